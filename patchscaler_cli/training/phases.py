"""The training phases as a user runs them: each takes what the one before left in the run's folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from patchscaler_cli.errors import UsageError
from patchscaler_cli.training.coarse import train_coarse
from patchscaler_cli.training.diffusion import train_diffusion
from patchscaler_cli.training.efficientnet import VARIANTS, EfficientNetLite
from patchscaler_cli.training.few_step import train_few_step
from patchscaler_cli.training.few_step_losses import FewStepWeights
from patchscaler_cli.training.folder import RunFolder
from patchscaler_cli.training.graphics import drawn_pictures
from patchscaler_cli.training.pairs import residual_deviation
from patchscaler_cli.training.perceptual import LpipsSqueeze, PerceptualNetwork
from patchscaler_cli.training.photos import Photos, load_photos
from patchscaler_cli.training.run import Budget
from patchscaler_cli.training.texture import train_texture

DRAWN_SEED = 0
"""Of the drawn pictures that are trained on; those with any other can be measured with."""


@dataclass(frozen=True)
class PhaseSettings:
    """What all phases are given.

    Attributes:
        data: folder of training photos or tar shards, or one shard.
        folder: the run's folder.
        budget: steps and minutes of this phase.
        device: where photos, networks and all arithmetic live.
        seed: of everything drawn at random.
        threads: of the CPU.
        batch_size: samples a step; None for the phase's own.
        drawn: how many drawn pictures join the photos. They are the same whatever the seed: the pairs of a run's folder are
            made of them.
    """

    data: Path
    folder: RunFolder
    budget: Budget
    device: torch.device
    seed: int = 0
    threads: int = 2
    batch_size: int | None = None
    drawn: int = 0

    def begin(self) -> None:
        """Seed the generators and set the threads. A resumed phase draws on from another point: seed and step."""
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise UsageError(f"--device {self.device}: this machine has no CUDA device; use cpu.")
        torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True

    def photos(self) -> Photos:
        """What there is to train on, on the device."""
        photos = load_photos(self.data, self.threads).to(self.device)
        return photos.joined(drawn_pictures(self.drawn, DRAWN_SEED)) if self.drawn else photos


def run_coarse(settings: PhaseSettings, preset: str | None, learning_rate: float) -> None:
    """Phase 1: coarse model and confidence."""
    settings.begin()
    config = settings.folder.config(preset)
    photos = settings.photos()
    train_coarse(
        photos, settings.folder.coarse, config.coarse, settings.budget,
        batch_size=settings.batch_size or 16, learning_rate=learning_rate,
    )  # fmt: skip


def run_texture(settings: PhaseSettings, variants: int) -> None:
    """Phase 2: the pairs, the texture classifier, the choice of textures, and the residual's deviation."""
    settings.begin()
    folder, config = settings.folder, settings.folder.config()
    pairs = folder.pairs(settings.photos(), variants)
    train_texture(pairs, folder.texture, config.texture, settings.budget, batch_size=settings.batch_size or 128)
    folder.textures(pairs)
    patch_dit = dataclasses.replace(config.patch_dit, sigma_data=round(residual_deviation(pairs), 4))
    folder.set_config(dataclasses.replace(config, patch_dit=patch_dit))


def run_diffusion(settings: PhaseSettings, variants: int) -> None:
    """Phase 3: Patch-DiT and texture encoder by the EDM loss."""
    settings.begin()
    folder = settings.folder
    pairs = folder.pairs(settings.photos(), variants)
    classifier = folder.load_classifier().to(settings.device)
    train_diffusion(
        pairs, folder.textures(pairs), classifier, folder.load_denoiser(), folder.diffusion, settings.budget,
        top_k=folder.config().texture.top_k, batch_size=settings.batch_size or 64,
    )  # fmt: skip


def perceptual_networks(squeeze: Path, weights: FewStepWeights, device: torch.device) -> dict[str, PerceptualNetwork]:
    """The networks of the few-step phase's perceptual losses, by name.

    Raises:
        PatchScalerError: if one of them is not at hand.
    """
    networks: dict[str, PerceptualNetwork] = {"squeezenet": LpipsSqueeze(squeeze, device)}
    if weights.efficientnet:
        networks |= {name: EfficientNetLite(name, device) for name in VARIANTS}
    return networks


def run_few_step(
    settings: PhaseSettings, variants: int, weights: FewStepWeights, squeeze: Path, learning_rate: float
) -> None:
    """Phase 4: pixel, perceptual and adversarial losses along the sampler's own trajectory."""
    settings.begin()
    folder = settings.folder
    networks = perceptual_networks(squeeze, weights, settings.device)
    pairs = folder.pairs(settings.photos(), variants)
    classifier = folder.load_classifier().to(settings.device)
    train_few_step(
        pairs, folder.textures(pairs), classifier, folder.load_denoiser(folder.diffusion), networks, folder.few_step,
        settings.budget, weights=weights, top_k=folder.config().texture.top_k, batch_size=settings.batch_size,
        learning_rate=learning_rate,
    )  # fmt: skip
