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
from patchscaler_cli.training.discriminator import Discriminator, critic_loss
from patchscaler_cli.training.pairs import Pairs, PatchBatch
from patchscaler_cli.training.perceptual import Distance
from patchscaler_cli.training.photos import dihedral
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast
from patchscaler_cli.training.texture import ReferenceTextures

START_SIGMAS = (0.06, 0.3)
STEP_COUNTS = (1, 2, 3, 4)
STEP_SHARES = (0.4, 0.3, 0.1, 0.2)
VIEW_SHIFT = 8


@dataclass(frozen=True)
class FewStepWeights:
    """Weights of the three losses, and how many steps the critic learns alone before the denoiser listens to it."""

    pixel: float = 5.0
    perceptual: float = 0.25
    adversarial: float = 0.05
    critic_warmup: int = 150


def sample_last_step(denoiser: PromptedDenoiser, coarse: Tensor, prompt: Tensor | None, steps: int) -> Tensor:
    """Sample residuals [B, 3, 64, 64] in `steps` steps from a random start noise each; only the last step has gradients."""
    device = coarse.device
    low, high = START_SIGMAS
    starts = (low * (high / low) ** torch.rand(len(coarse))).tolist()
    grid = torch.tensor([karras_sigmas(start, steps).tolist() for start in starts], dtype=torch.float32, device=device)
    residual = grid[:, :1, None, None] * torch.randn_like(coarse)
    previous = torch.zeros_like(residual)
    with torch.no_grad():
        for i in range(steps - 1):
            denoised = denoiser(residual, grid[:, i], coarse, prompt)
            before = grid[:, i - 1] if i else torch.full_like(grid[:, 0], torch.inf)
            residual = solver_step(residual, denoised, previous, before, grid[:, i], grid[:, i + 1])
            previous = denoised
    last: Tensor = denoiser(residual, grid[:, steps - 1], coarse, prompt)
    return last


def shifted_view(refined: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """The same part of two batches [B, 3, S, S], cut up to VIEW_SHIFT pixels aside and turned at random: [B, 3, S - 8, S - 8].

    A perceptual network's strides sample always the same places of a patch and its filters know up from down; a denoiser
    that learns against one fixed view paints what that view likes to see, not what a photograph shows.
    """
    top, left = torch.randint(VIEW_SHIFT + 1, (2,)).tolist()
    size = refined.shape[-1] - VIEW_SHIFT
    turn = int(torch.randint(8, ()))
    of_refined, of_hr = (dihedral(x[..., top : top + size, left : left + size], turn) for x in (refined, hr))
    return of_refined, of_hr


def train_few_step(
    pairs: Pairs,
    textures: ReferenceTextures,
    classifier: TextureClassifier,
    denoiser: PromptedDenoiser,
    perceptual: Distance,
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
    device = pairs.coarse.device
    place(denoiser, device).train().requires_grad_(True)
    critic = place(Discriminator(), device)
    generator = Trainee(denoiser, learning_rate, betas=(0.5, 0.99), ema_decay=0.998)
    judge = Trainee(critic, 2e-4, betas=(0.5, 0.99))
    run = Run(checkpoint, {"denoiser": generator, "critic": judge}, budget)
    run.resume()
    shares = torch.tensor(STEP_SHARES)
    for progress in run.steps():
        with run.fetching(device):
            batch: PatchBatch = pairs.draw(batch_size, denoiser.patch_dit.config.patch)
        steps = STEP_COUNTS[int(torch.multinomial(shares, 1))]
        with autocast(device):
            prompt = retrieve_prompt(denoiser, classifier, textures, batch, top_k)
            refined = batch.coarse + sample_last_step(denoiser, batch.coarse, prompt, steps)
            verdict = critic.requires_grad_(False)(refined, batch.coarse)
            perceived = perceptual(*shifted_view(refined, batch.hr))
        pixel = F.l1_loss(refined, batch.hr)
        adversarial = -verdict.mean() if judge.steps >= weights.critic_warmup else verdict.new_zeros(())
        loss = weights.pixel * pixel + weights.perceptual * perceived + weights.adversarial * adversarial
        generator.step(loss, progress)

        critic.requires_grad_(True)
        with autocast(device):
            verdicts = critic(torch.cat((batch.hr, refined.detach())), batch.coarse.repeat(2, 1, 1, 1))
        doubt = critic_loss(*verdicts.chunk(2))
        judge.step(doubt, progress)
        run.record(
            batch_size,
            pixel=pixel.detach(),
            coarse_pixel=F.l1_loss(batch.coarse, batch.hr),
            perceptual=perceived.detach(),
            adversarial=-verdict.detach().mean(),
            critic=doubt.detach(),
        )
    average = generator.average
    assert isinstance(average, PromptedDenoiser)
    return average
