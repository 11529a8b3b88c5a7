"""How the perceptual networks of the few-step phase look at its areas: each from a random view of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.dihedral import dihedral
from patchscaler_cli.training.discriminator import FeatureCritic, critic_loss
from patchscaler_cli.training.perceptual import PerceptualNetwork

VIEW_SHIFT = 8
VIEW_CONTRAST = (0.6, 1.0)
VIEW_SCALE = (0.5, 1.2)


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


def mean_of(scalars: list[Tensor]) -> Tensor:
    """The mean of some scalars."""
    return torch.stack(scalars).mean()


@dataclass(frozen=True)
class Look:
    """One network's features of refined areas, of the truth and of the coarse areas, from the same view.

    Only those of the refined areas have gradients.
    """

    network: PerceptualNetwork
    refined: list[Tensor]
    hr: list[Tensor]
    coarse: list[Tensor]

    @classmethod
    def at(cls, network: PerceptualNetwork, refined: Tensor, hr: Tensor, coarse: Tensor) -> Look:
        """Look at areas [A, 3, S, S] in [-1, 1] from a random view."""
        of_refined, *views = random_views(refined, hr, coarse)
        with torch.no_grad():
            of_hr, of_coarse = (network.features(view) for view in views)
        return cls(network, network.features(of_refined), of_hr, of_coarse)

    def distance(self) -> Tensor:
        """How far the refined areas are from the truth, a scalar."""
        return self.network.distance(self.refined, self.hr)

    def adversarial_loss(self, critic: FeatureCritic) -> Tensor:
        """How little the critics of the features are taken in by the refined areas, a scalar."""
        return mean_of([-verdict.mean() for verdict in critic(self.refined, self.coarse)])

    def critic_loss(self, critic: FeatureCritic) -> Tensor:
        """The critics' own loss, a scalar; the refined areas get no gradients of it."""
        both = [torch.cat((real, fake.detach())) for real, fake in zip(self.hr, self.refined, strict=True)]
        verdicts = critic(both, [layer.repeat(2, 1, 1, 1) for layer in self.coarse])
        return mean_of([critic_loss(*verdict.chunk(2)) for verdict in verdicts])
