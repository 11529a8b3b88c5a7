"""Phase 4: one to four steps made good.

The EDM loss trains the denoiser for infinitely many small steps; a user wants one. This phase walks the sampler's own
trajectory (no gradient), takes the last step with gradient, and judges what comes out, neighbouring patches blended as in
a picture: by its pixels, by a perceptual distance and by critics. Start noise and step count are drawn at random, so that
every group that the calibration may choose later is a case the network knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.placement import place
from patchscaler_cli.models.texture import TextureClassifier
from patchscaler_cli.sampling.schedule import karras_sigmas
from patchscaler_cli.sampling.solver import solver_step
from patchscaler_cli.training.areas import PATCHES, area_side, blend, cut, patches_of
from patchscaler_cli.training.diffusion import PromptedDenoiser, retrieve_prompt
from patchscaler_cli.training.discriminator import Critics, critic_loss
from patchscaler_cli.training.efficientnet import EfficientNetLite
from patchscaler_cli.training.pairs import Pairs
from patchscaler_cli.training.perceptual import LpipsSqueeze
from patchscaler_cli.training.photos import dihedral
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast
from patchscaler_cli.training.texture import ReferenceTextures

START_SIGMAS = (0.06, 0.3)
STEP_COUNTS = (1, 2, 3, 4)
STEP_SHARES = (0.5, 0.25, 0.05, 0.2)
VIEW_SHIFT = 8
VIEW_CONTRAST = (0.6, 1.0)
VIEW_SCALE = (0.5, 1.2)


@dataclass(frozen=True)
class FewStepWeights:
    """Weights of the losses (efficientnet: of the second perceptual one; adversarial: of the critic of pixels, and of those
    of features), and how many steps the critics learn alone before the denoiser listens to them.

    What a weight does is to be judged by gradients: at a refined patch those of pixels, LPIPS, the critic of pixels and
    the critics of features are about as 1 : 40 : 80 : 500 after 150 steps of critics' warm-up; EfficientNet's is 1.4 times
    that of LPIPS.
    """

    pixel: float = 0.8
    perceptual: float = 1.0
    efficientnet: float = 0.5
    adversarial: float = 0.03
    feature_adversarial: float = 0.01
    critic_warmup: int = 150


def sample_last_step(
    denoiser: PromptedDenoiser, noise: Tensor, condition: Tensor, prompt: Tensor | None, steps: int
) -> Tensor:
    """Sample residuals [B, 3, 64, 64] in `steps` steps from a random share of the `noise` each; only the last step has
    gradients."""
    device = condition.device
    low, high = START_SIGMAS
    starts = (low * (high / low) ** torch.rand(len(condition))).tolist()
    grid = torch.tensor([karras_sigmas(start, steps).tolist() for start in starts], dtype=torch.float32, device=device)
    residual = grid[:, :1, None, None] * noise
    previous = torch.zeros_like(residual)
    with torch.no_grad():
        for i in range(steps - 1):
            denoised = denoiser(residual, grid[:, i], condition, prompt)
            before = grid[:, i - 1] if i else torch.full_like(grid[:, 0], torch.inf)
            residual = solver_step(residual, denoised, previous, before, grid[:, i], grid[:, i + 1])
            previous = denoised
    last: Tensor = denoiser(residual, grid[:, steps - 1], condition, prompt)
    return last


def random_views(*patches: Tensor) -> list[Tensor]:
    """The same part of batches [B, 3, S, S], cut up to VIEW_SHIFT pixels aside, turned, smaller or larger, with other colours
    and less contrast, all at random but alike: [B, 3, R, R], R from VIEW_SCALE times S - 8.

    A perceptual network's strides sample always the same places of a patch, its filters are of one scale and know up from
    down and red from green; a denoiser that learns against one fixed view paints what that view likes to see, not what a
    photograph shows (Kettunen et al. 2019, "E-LPIPS").
    """
    top, left = torch.randint(VIEW_SHIFT + 1, (2,)).tolist()
    size = patches[0].shape[-1] - VIEW_SHIFT
    turn, colours = int(torch.randint(8, ())), torch.randperm(3)
    low, high = VIEW_CONTRAST
    contrast = float(low + (high - low) * torch.rand(()))
    smallest, largest = VIEW_SCALE
    side = round(size * smallest * (largest / smallest) ** float(torch.rand(())))
    parts = [batch[..., top : top + size, left : left + size][:, colours] * contrast for batch in patches]
    parts = [F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True) for part in parts]
    return [dihedral(part, turn) for part in parts]


def efficientnet_distance(network: EfficientNetLite | None, images: Tensor, truth: Tensor) -> Tensor:
    """EfficientNet's distance of images from the truth [B, 3, R, R] in [-1, 1], a scalar; zero without the network."""
    if network is None:
        return torch.zeros((), device=images.device)
    with torch.no_grad():
        of_truth = network.features(truth)
    return network.distance(network.features(images), of_truth)


def mean_of(scalars: list[Tensor]) -> Tensor:
    """The mean of some scalars."""
    return torch.stack(scalars).mean()


def train_few_step(
    pairs: Pairs,
    textures: ReferenceTextures,
    classifier: TextureClassifier,
    denoiser: PromptedDenoiser,
    squeeze: LpipsSqueeze,
    efficientnet: EfficientNetLite | None,
    checkpoint: Path,
    budget: Budget,
    *,
    weights: FewStepWeights,
    top_k: int = 4,
    batch_size: int = 32,
    learning_rate: float = 2e-4,
) -> PromptedDenoiser:
    """Train on from the EDM phase's `denoiser`, on the device that the pairs lie on; resumes from `checkpoint`.

    Args:
        batch_size: patches a step, of a fourth as many areas.

    Returns:
        The denoiser with its averaged weights.
    """
    device, config = pairs.coarse.device, denoiser.patch_dit.config
    place(denoiser, device).train().requires_grad_(True)
    critics = place(Critics(squeeze.CRITICS_LAYERS), device)
    generator = Trainee(denoiser, learning_rate, betas=(0.5, 0.99), ema_decay=0.998)
    judge = Trainee(critics, 2e-4, betas=(0.5, 0.99))
    run = Run(checkpoint, {"denoiser": generator, "critics": judge}, budget)
    run.resume()
    shares = torch.tensor(STEP_SHARES)
    for progress in run.steps():
        with run.fetching(device):
            areas = pairs.draw(max(1, batch_size // PATCHES), area_side(config.patch))
            batch = patches_of(areas, config.patch)
            noise = cut(torch.randn_like(areas.coarse), config.patch)
        steps = STEP_COUNTS[int(torch.multinomial(shares, 1))]
        with autocast(device):
            prompt = retrieve_prompt(denoiser, classifier, textures, batch, top_k)
            residual = sample_last_step(denoiser, noise, batch.condition(config), prompt, steps)
            refined = areas.coarse + blend(residual)
            of_refined, *views = random_views(refined, areas.hr, areas.coarse)
            with torch.no_grad():
                hr_features, coarse_features = (squeeze.features(view) for view in views)
            features = squeeze.features(of_refined)
            perceived = squeeze.distance(features, hr_features)
            seen = efficientnet_distance(efficientnet, of_refined, views[0])
            critics.requires_grad_(False)
            verdicts = [critics.pixels(refined, areas.coarse), *critics.features(features, coarse_features)]
        pixel = F.l1_loss(refined, areas.hr)
        adversarial, *of_features = (-verdict.mean() for verdict in verdicts)
        feature_adversarial = mean_of(of_features)
        loss = weights.pixel * pixel + weights.perceptual * perceived + weights.efficientnet * seen
        if judge.steps >= weights.critic_warmup:
            loss = loss + weights.adversarial * adversarial + weights.feature_adversarial * feature_adversarial
        generator.step(loss, progress)

        critics.requires_grad_(True)
        with autocast(device):
            both = torch.cat((areas.hr, refined.detach()))
            of_both = [torch.cat((real, fake.detach())) for real, fake in zip(hr_features, features, strict=True)]
            of_coarse = [layer.repeat(2, 1, 1, 1) for layer in coarse_features]
            verdicts = [critics.pixels(both, areas.coarse.repeat(2, 1, 1, 1)), *critics.features(of_both, of_coarse)]
        doubts = [critic_loss(*verdict.chunk(2)) for verdict in verdicts]
        judge.step(mean_of(doubts), progress)
        run.record(
            len(batch.hr),
            pixel=pixel.detach(),
            coarse_pixel=F.l1_loss(areas.coarse, areas.hr),
            perceptual=perceived.detach(),
            efficientnet=seen.detach(),
            adversarial=adversarial.detach(),
            feature_adversarial=feature_adversarial.detach(),
            critic=doubts[0].detach(),
            feature_critic=mean_of(doubts[1:]).detach(),
        )
    average = generator.average
    assert isinstance(average, PromptedDenoiser)
    return average
