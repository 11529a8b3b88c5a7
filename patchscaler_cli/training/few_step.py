"""Phase 4: one to four steps made good.

The EDM loss trains the denoiser for infinitely many small steps; a user wants one. This phase walks the sampler's own
trajectory (no gradient), takes the last step with gradient, and judges what comes out, neighbouring patches blended as in
a picture: by its pixels, by a perceptual distance, by critics and by how much texture it has. Start noise and step count are drawn at random, so that
every group that the calibration may choose later is a case the network knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.placement import place
from patchscaler_cli.models.texture import TextureClassifier
from patchscaler_cli.sampling.alternation import take_alternation
from patchscaler_cli.sampling.schedule import karras_sigmas
from patchscaler_cli.sampling.solver import solver_step
from patchscaler_cli.training.areas import area_side, cut, patches_an_area, patches_of, refinement_of
from patchscaler_cli.training.diffusion import PromptedDenoiser, retrieve_prompt
from patchscaler_cli.training.discriminator import Critics
from patchscaler_cli.training.few_step_losses import FewStepWeights, critics_losses, few_step_losses, looks_at
from patchscaler_cli.training.looks import mean_of
from patchscaler_cli.training.optimizers import adamw, muon
from patchscaler_cli.training.pairs import Pairs
from patchscaler_cli.training.perceptual import PerceptualNetwork
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast
from patchscaler_cli.training.texture import ReferenceTextures

START_SIGMAS = (0.06, 0.3)
STEP_COUNTS = (1, 2, 3, 4)
STEP_SHARES = (0.5, 0.25, 0.05, 0.2)
BETAS = (0.5, 0.99)
"""AdamW's: critics and denoiser chase each other, so old gradients count little."""

AREAS = 8
"""Areas a step."""

EAGERNESS = 5.0
"""How many times as fast as the other weights those learn that take up the prompt: a denoiser gets far without one, and what
a texture tells it comes late."""


def sample_last_step(
    denoiser: PromptedDenoiser,
    noise: Tensor,
    condition: Tensor,
    prompt: Tensor | None,
    steps: int,
    start_sigmas: tuple[float, float],
) -> Tensor:
    """Sample residuals [B, 3, S, S] in `steps` steps, each from `noise` of a level drawn between `start_sigmas`; only the last
    step has gradients."""
    device = condition.device
    low, high = start_sigmas
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
    return take_alternation(last)  # as a user gets it


def train_few_step(
    pairs: Pairs,
    textures: ReferenceTextures,
    classifier: TextureClassifier,
    denoiser: PromptedDenoiser,
    networks: Mapping[str, PerceptualNetwork],
    checkpoint: Path,
    budget: Budget,
    *,
    weights: FewStepWeights,
    top_k: int = 4,
    batch_size: int | None = None,
    learning_rate: float = 1e-4,
) -> PromptedDenoiser:
    """Train on from the EDM phase's `denoiser`, on the device that the pairs lie on; resumes from `checkpoint`.

    Args:
        networks: the perceptual networks by name; each has critics of its features.
        batch_size: patches a step; None for those of eight areas.

    Returns:
        The denoiser with its averaged weights.
    """
    device, config = pairs.coarse.device, denoiser.patch_dit.config
    areas_a_step = AREAS if batch_size is None else max(1, batch_size // patches_an_area(config.patch))
    place(denoiser, device).train().requires_grad_(True)
    critics = place(Critics({name: network.critics_layers for name, network in networks.items()}), device)
    optimizers = muon(denoiser, learning_rate, BETAS, denoiser.listening(), EAGERNESS)
    generator = Trainee(denoiser, optimizers, ema_decay=0.998)
    judge = Trainee(critics, adamw(critics, 2e-4, BETAS))
    run = Run(checkpoint, {"denoiser": generator, "critics": judge}, budget)
    run.resume()
    shares, pixels_judged, weight = torch.tensor(STEP_SHARES), weights.adversarial > 0, weights.by_loss(networks)
    for progress in run.steps():
        with run.fetching(device):
            areas = pairs.draw(areas_a_step, area_side(config.patch))
            batch = patches_of(areas, config.patch)
            noise = cut(torch.randn_like(areas.coarse), config.patch)
        steps = STEP_COUNTS[int(torch.multinomial(shares, 1))]
        learns = judge.steps >= weights.critic_warmup
        with autocast(device), torch.set_grad_enabled(learns):
            prompt = retrieve_prompt(denoiser, classifier, textures, batch, top_k)
            residual = sample_last_step(denoiser, noise, batch.condition(config), prompt, steps, START_SIGMAS)
            critics.requires_grad_(False)
            refinement = refinement_of(areas, residual)
            refined = areas.coarse + refinement
            looks = looks_at(areas, refined, networks)
            losses = few_step_losses(areas, refinement, looks, critics, pixels_judged)
        if learns:
            weighted = [weight[name] * loss for name, loss in losses.items()]
            generator.step(torch.stack(weighted).sum(), progress)

        critics.requires_grad_(True)
        with autocast(device):
            doubts = critics_losses(areas, refined, looks, critics, pixels_judged)
        judge.step(mean_of(list(doubts.values())), progress)
        run.record(
            len(batch.hr),
            coarse_pixel=F.l1_loss(areas.coarse, areas.hr),
            **{name: loss.detach() for name, loss in losses.items()},
            **{f"{name}_critic": doubt.detach() for name, doubt in doubts.items()},
        )
    average = generator.average
    assert isinstance(average, PromptedDenoiser)
    return average
