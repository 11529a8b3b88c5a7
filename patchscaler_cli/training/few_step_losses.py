"""The losses of the few-step phase, of areas blended as in a picture, and how much each counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.training.areas import lattice
from patchscaler_cli.training.discriminator import Critics, critic_loss
from patchscaler_cli.training.efficientnet import VARIANTS
from patchscaler_cli.training.looks import Look
from patchscaler_cli.training.pairs import PatchBatch
from patchscaler_cli.training.perceptual import PerceptualNetwork
from patchscaler_cli.training.texture_energy import texture_gap

SQUEEZENET = "squeezenet"
CRITICS_OF = "critics_of_"
CRITIC_OF_PIXELS = CRITICS_OF + "pixels"


@dataclass(frozen=True)
class FewStepWeights:
    """Weights of the losses (perceptual: of LPIPS on SqueezeNet; efficientnet: of all variants of it together; adversarial: of
    the critic of pixels, and of those of features; lattice: of what repeats with every LR pixel; texture_energy: of how much
    texture there is where), and how many steps the critics learn alone before the denoiser learns: from the other losses alone
    it would only learn to be smoother.

    What a weight does is to be judged by gradients: how large they are, and whether they point where the judge's distance on
    validation pictures falls (`training/alignment.py`). With two to six times as much for the critics of
    features LPIPS rose on photos that the denoiser had not seen after ten minutes or so (weights/runs.md, run 6).
    """

    pixel: float = 0.8
    perceptual: float = 1.0
    efficientnet: float = 1.0
    adversarial: float = 0.02
    feature_adversarial: float = 0.01
    lattice: float = 400.0
    texture_energy: float = 0.2
    critic_warmup: int = 300

    def by_loss(self, networks: Collection[str]) -> dict[str, float]:
        """The weights of `few_step_losses` by their names, with perceptual networks of these names."""
        weights = {
            "pixel": self.pixel,
            "lattice": self.lattice,
            "texture_energy": self.texture_energy,
            CRITIC_OF_PIXELS: self.adversarial,
        }
        for name in networks:
            weights[name] = self.perceptual if name == SQUEEZENET else self.efficientnet / len(VARIANTS)
            weights[CRITICS_OF + name] = self.feature_adversarial / len(networks)
        return weights


def looks_at(areas: PatchBatch, refined: Tensor, networks: Mapping[str, PerceptualNetwork]) -> dict[str, Look]:
    """What each network sees of areas and of the same refined [A, 3, S, S], by its name."""
    return {name: Look.at(network, refined, areas.hr, areas.coarse) for name, network in networks.items()}


def few_step_losses(
    areas: PatchBatch, refinement: Tensor, looks: Mapping[str, Look], critics: Critics, pixels_judged: bool
) -> dict[str, Tensor]:
    """All losses of areas whose refinement [A, 3, S, S] was blended from their patches, scalars by name.

    Args:
        looks: at these areas.
        critics: need no gradients here.
        pixels_judged: whether the critic of pixels is asked, too.
    """
    refined = areas.coarse + refinement
    with torch.autocast(refined.device.type, enabled=False):  # differences of small numbers
        losses = {
            "pixel": F.l1_loss(refined, areas.hr),
            "lattice": lattice(refinement),
            "texture_energy": texture_gap(refined, areas.hr),
        }
    losses |= {name: look.distance() for name, look in looks.items()}
    if pixels_judged:
        losses[CRITIC_OF_PIXELS] = -critics.pixels(refined, areas.coarse).mean()
    return losses | {CRITICS_OF + name: look.adversarial_loss(critics.of(name)) for name, look in looks.items()}


def critics_losses(
    areas: PatchBatch, refined: Tensor, looks: Mapping[str, Look], critics: Critics, pixels_judged: bool
) -> dict[str, Tensor]:
    """The critics' own losses, scalars by name; the refined areas get no gradients of them."""
    doubts = {name: look.critic_loss(critics.of(name)) for name, look in looks.items()}
    if pixels_judged:
        both = torch.cat((areas.hr, refined.detach()))
        doubts["pixels"] = critic_loss(*critics.pixels(both, areas.coarse.repeat(2, 1, 1, 1)).chunk(2))
    return doubts
