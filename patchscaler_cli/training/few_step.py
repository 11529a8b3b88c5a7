"""Phase 4: one to four steps made good.

The EDM loss trains the denoiser for infinitely many small steps; a user wants one. This phase walks the sampler's own
trajectory (no gradient), takes the last step with gradient, and judges the patch that comes out: by its pixels, by a
perceptual distance and by a critic. Start noise and step count are drawn at random, so that every group that the
calibration may choose later is a case the network knows.
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
from patchscaler_cli.training.diffusion import PromptedDenoiser, retrieve_prompt
from patchscaler_cli.training.discriminator import Critics, critic_loss
from patchscaler_cli.training.pairs import Pairs, PatchBatch
from patchscaler_cli.training.perceptual import LpipsSqueeze
from patchscaler_cli.training.photos import dihedral
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast
from patchscaler_cli.training.texture import ReferenceTextures

START_SIGMAS = (0.06, 0.3)
STEP_COUNTS = (1, 2, 3, 4)
STEP_SHARES = (0.5, 0.25, 0.05, 0.2)
VIEW_SHIFT = 8
VIEW_CONTRAST = (0.6, 1.0)


@dataclass(frozen=True)
class FewStepWeights:
    """Weights of the losses (adversarial: of the critic of pixels, and of those of features), and how many steps the
    critics learn alone before the denoiser listens to them.

    What a weight does is to be judged by gradients: at a refined patch those of pixels, LPIPS, the critic of pixels and
    the critics of features are about as 1 : 40 : 80 : 500 after 150 steps of critics' warm-up.
    """

    pixel: float = 3.0
    perceptual: float = 0.5
    adversarial: float = 0.04
    feature_adversarial: float = 0.01
    critic_warmup: int = 150


def sample_last_step(denoiser: PromptedDenoiser, condition: Tensor, prompt: Tensor | None, steps: int) -> Tensor:
    """Sample residuals [B, 3, 64, 64] in `steps` steps from a random start noise each; only the last step has gradients."""
    device = condition.device
    low, high = START_SIGMAS
    starts = (low * (high / low) ** torch.rand(len(condition))).tolist()
    grid = torch.tensor([karras_sigmas(start, steps).tolist() for start in starts], dtype=torch.float32, device=device)
    residual = grid[:, :1, None, None] * torch.randn_like(condition[:, :3])
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
    """The same part of batches [B, 3, S, S], cut up to VIEW_SHIFT pixels aside, turned, with other colours and less contrast,
    all at random but alike: [B, 3, S - 8, S - 8].

    A perceptual network's strides sample always the same places of a patch, and its filters know up from down and red from
    green; a denoiser that learns against one fixed view paints what that view likes to see, not what a photograph shows
    (Kettunen et al. 2019, "E-LPIPS").
    """
    top, left = torch.randint(VIEW_SHIFT + 1, (2,)).tolist()
    size = patches[0].shape[-1] - VIEW_SHIFT
    turn, colours = int(torch.randint(8, ())), torch.randperm(3)
    low, high = VIEW_CONTRAST
    contrast = float(low + (high - low) * torch.rand(()))
    parts = [batch[..., top : top + size, left : left + size][:, colours] * contrast for batch in patches]
    return [dihedral(part, turn) for part in parts]


def mean_of(scalars: list[Tensor]) -> Tensor:
    """The mean of some scalars."""
    return torch.stack(scalars).mean()


def train_few_step(
    pairs: Pairs,
    textures: ReferenceTextures,
    classifier: TextureClassifier,
    denoiser: PromptedDenoiser,
    squeeze: LpipsSqueeze,
    checkpoint: Path,
    budget: Budget,
    *,
    weights: FewStepWeights,
    top_k: int = 4,
    batch_size: int = 32,
    learning_rate: float = 2e-4,
) -> PromptedDenoiser:
    """Train on from the EDM phase's `denoiser`, on the device that the pairs lie on; resumes from `checkpoint`.

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
            batch: PatchBatch = pairs.draw(batch_size, config.patch)
        steps = STEP_COUNTS[int(torch.multinomial(shares, 1))]
        with autocast(device):
            prompt = retrieve_prompt(denoiser, classifier, textures, batch, top_k)
            refined = batch.coarse + sample_last_step(denoiser, batch.condition(config), prompt, steps)
            of_refined, *views = random_views(refined, batch.hr, batch.coarse)
            with torch.no_grad():
                hr_features, coarse_features = (squeeze.features(view) for view in views)
            features = squeeze.features(of_refined)
            perceived = squeeze.distance(features, hr_features)
            critics.requires_grad_(False)
            verdicts = [critics.pixels(refined, batch.coarse), *critics.features(features, coarse_features)]
        pixel = F.l1_loss(refined, batch.hr)
        adversarial, *of_features = (-verdict.mean() for verdict in verdicts)
        feature_adversarial = mean_of(of_features)
        loss = weights.pixel * pixel + weights.perceptual * perceived
        if judge.steps >= weights.critic_warmup:
            loss = loss + weights.adversarial * adversarial + weights.feature_adversarial * feature_adversarial
        generator.step(loss, progress)

        critics.requires_grad_(True)
        with autocast(device):
            both = torch.cat((batch.hr, refined.detach()))
            of_both = [torch.cat((real, fake.detach())) for real, fake in zip(hr_features, features, strict=True)]
            of_coarse = [layer.repeat(2, 1, 1, 1) for layer in coarse_features]
            verdicts = [critics.pixels(both, batch.coarse.repeat(2, 1, 1, 1)), *critics.features(of_both, of_coarse)]
        doubts = [critic_loss(*verdict.chunk(2)) for verdict in verdicts]
        judge.step(mean_of(doubts), progress)
        run.record(
            batch_size,
            pixel=pixel.detach(),
            coarse_pixel=F.l1_loss(batch.coarse, batch.hr),
            perceptual=perceived.detach(),
            adversarial=adversarial.detach(),
            feature_adversarial=feature_adversarial.detach(),
            critic=doubts[0].detach(),
            feature_critic=mean_of(doubts[1:]).detach(),
        )
    average = generator.average
    assert isinstance(average, PromptedDenoiser)
    return average
