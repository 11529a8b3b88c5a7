"""Phase 3: Patch-DiT and the texture encoder by the EDM loss (Karras et al. 2022, eq. 2 with table 1's weighting)."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from patchscaler_cli.models.patch_dit import PatchDiT, PatchDiTConfig
from patchscaler_cli.models.placement import place
from patchscaler_cli.models.texture import TextureClassifier, TextureEncoder
from patchscaler_cli.training.areas import textures_in
from patchscaler_cli.training.optimizers import adamw
from patchscaler_cli.training.pairs import Pairs, PatchBatch
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast
from patchscaler_cli.training.texture import ReferenceTextures

SIGMA_RANGE = (0.01, 0.6)
NO_PROMPT_SHARE = 0.1
"""Share of steps without a prompt, so that `--no-texture` is a case the network knows."""

OWN_SHARE = 0.45
"""Share of steps whose patches are prompted with textures from nearby in the same photograph, as a memory offers them that the
user has built from pictures of the same material. The model's own memory never does (a patch's own photograph is left out)."""
STRANGERS = 0.25
"""Share of these patches whose textures are from nearby another patch of the batch: not all that is in a picture is in the user's
memory, and how similar a texture is has to tell the denoiser whether to believe it."""


class PromptedDenoiser(nn.Module):
    """Patch-DiT and the texture encoder, which train together."""

    def __init__(self, patch_dit: PatchDiT, encoder: TextureEncoder) -> None:
        super().__init__()
        self.patch_dit = patch_dit
        self.encoder = encoder

    def encode(self, entries: Tensor, textures: ReferenceTextures) -> Tensor:
        """Value tokens [B, K, T, d] of memory entries [B, K]; a texture is encoded once a batch."""
        unique, where = torch.unique(entries, return_inverse=True)
        values: Tensor = self.encoder.encode(textures.pixels(unique))  # (U, T, d)
        return values[where]

    def listening(self) -> list[nn.Parameter]:
        """The weights that take up the prompt, and the coarse model's features."""
        network = self.patch_dit
        parts: list[nn.Module] = [self.encoder, network.norm_prompt, network.prompt_hidden, network.prompt_modulation]
        if network.config.features:
            parts += [network.features_down, network.features_up]
        parts += [part for name, part in network.blocks.named_modules() if name.endswith("prompt_attention")]
        return [weight for part in parts for weight in part.parameters()]

    def forward(self, residual: Tensor, sigma: Tensor, condition: Tensor, prompt: Tensor | None) -> Tensor:
        denoised: Tensor = self.patch_dit(residual, sigma, condition, prompt)
        return denoised


def draw_sigmas(count: int, device: torch.device) -> Tensor:
    """Noise levels [B], log-uniform over SIGMA_RANGE."""
    low, high = (math.log(bound) for bound in SIGMA_RANGE)
    return (torch.rand(count, device=device) * (high - low) + low).exp()


def edm_loss(denoiser: nn.Module, config: PatchDiTConfig, batch: PatchBatch, prompt: Tensor | None) -> Tensor:
    """How far a denoiser is from the residuals of a batch, each under noise of a level drawn for it: a scalar, weighted by the
    level (lambda of Karras et al. 2022, table 1)."""
    clean, data = batch.hr - batch.coarse, config.sigma_data
    sigma = draw_sigmas(len(clean), clean.device)
    noisy = clean + sigma.view(-1, 1, 1, 1) * torch.randn_like(clean)
    with autocast(clean.device):
        denoised = denoiser(noisy, sigma, batch.condition(config), prompt)
    weight = (sigma**2 + data**2) / (sigma * data) ** 2
    loss: Tensor = (weight.view(-1, 1, 1, 1) * (denoised - clean).square()).mean()
    return loss


def train_diffusion(
    pairs: Pairs,
    textures: ReferenceTextures,
    classifier: TextureClassifier,
    denoiser: PromptedDenoiser,
    checkpoint: Path,
    budget: Budget,
    *,
    top_k: int = 4,
    batch_size: int = 64,
    learning_rate: float = 5e-4,
) -> PromptedDenoiser:
    """Train on drawn pairs, on the device that they lie on; resumes from `checkpoint`.

    Args:
        top_k: textures retrieved for a patch.
        batch_size: patches a step.

    Returns:
        The denoiser with its averaged weights.
    """
    device = pairs.coarse.device
    config = denoiser.patch_dit.config
    place(denoiser, device)
    trainee = Trainee(denoiser, adamw(denoiser, learning_rate, weight_decay=0.01))
    run = Run(checkpoint, {"denoiser": trainee}, budget)
    run.resume()
    for progress in run.steps():
        with run.fetching(device):
            batch = pairs.draw(batch_size, config.patch)
        with autocast(device):
            prompt = retrieve_prompt(denoiser, classifier, textures, batch, top_k)
        loss = edm_loss(denoiser, config, batch, prompt)
        trainee.step(loss, progress)
        run.record(batch_size, loss=loss.detach())
    average = trainee.average
    assert isinstance(average, PromptedDenoiser)
    return average


def retrieve_prompt(
    denoiser: PromptedDenoiser,
    classifier: TextureClassifier,
    textures: ReferenceTextures,
    batch: PatchBatch,
    top_k: int,
) -> Tensor | None:
    """Prompt tokens [B, K * T, d] for a batch's patches: of retrieved textures or, on a share of steps, of those nearby; on
    another share None, to train without."""
    chance = float(torch.rand(()))
    if chance < NO_PROMPT_SHARE:
        return None
    with torch.no_grad():
        query = classifier(batch.coarse)
    if chance >= NO_PROMPT_SHARE + OWN_SHARE:
        entries, similarities = textures.retrieve(query, batch.sources, top_k)  # (B, K) each
        return denoiser.encoder.prompt(denoiser.encode(entries, textures), similarities)
    near = textures_in(batch.neighbours)[:, :top_k]  # (B, K, 3, 64, 64)
    strange = torch.rand(len(near), 1, 1, 1, 1) < STRANGERS
    near = torch.where(strange.to(near.device), near.roll(len(near) // 2, 0), near)
    several, patches = near.shape[:2], near.flatten(0, 1)
    with torch.no_grad():
        similarities = (classifier(patches).view(*several, -1) * query[:, None]).sum(2)  # (B, K)
    values = denoiser.encoder.encode(patches, own=True)  # (B * K, T, d)
    return denoiser.encoder.prompt(values.view(*several, *values.shape[1:]), similarities)
