"""The critics of the few-step phase: is this patch a photograph, given its coarse patch?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from patchscaler_cli.training.perceptual import CriticsLayers


class Discriminator(nn.Module):
    """A convolutional critic whose verdict is a map, one for every 8x8 pixels; spectrally normalised (Miyato et al. 2018)."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
            return spectral_norm(nn.Conv2d(inputs, outputs, size, stride=stride, padding=(size - 1) // 2))

        c = channels
        self.layers = nn.Sequential(
            layer(6, c, 4, 2), nn.LeakyReLU(0.2),  # (B, c, 32, 32)
            layer(c, 2 * c, 4, 2), nn.LeakyReLU(0.2),  # (B, 2c, 16, 16)
            layer(2 * c, 2 * c, 3, 1), nn.LeakyReLU(0.2),
            layer(2 * c, 4 * c, 4, 2), nn.LeakyReLU(0.2),  # (B, 4c, 8, 8)
            layer(4 * c, 4 * c, 3, 1), nn.LeakyReLU(0.2),
            layer(4 * c, 1, 3, 1),  # (B, 1, 8, 8)
        )  # fmt: skip

    def forward(self, patch: Tensor, coarse: Tensor) -> Tensor:
        """Patches and their coarse patches [B, 3, S, S] in [-1, 1] to verdicts [B, 1, S/8, S/8], float32; high = real."""
        pair = torch.cat((patch, coarse), 1).contiguous(memory_format=torch.channels_last)
        verdicts: Tensor = self.layers(pair).float()
        return verdicts


class FeatureCritic(nn.Module):
    """Small critics on a pretrained network's features, one for each chosen layer (Sauer et al. 2021, Projected GANs).

    The network has seen a million photographs; the critic need not learn from ours what texture is.
    """

    def __init__(self, layers: CriticsLayers, channels: int = 64) -> None:
        """A critic for each of the network's `layers`, given by number with its channels and the size of its usual values."""
        super().__init__()
        self.scales = {layer: 1 / size for layer, (_, size) in layers.items()}

        def head(width: int) -> nn.Module:
            return nn.Sequential(
                spectral_norm(nn.Conv2d(2 * width, channels, 1)), nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(channels, channels, 3, padding=1)), nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(channels, 1, 3, padding=1)),
            )  # fmt: skip

        self.heads = nn.ModuleList(head(width) for width, _ in layers.values())

    def forward(self, patch: list[Tensor], coarse: list[Tensor]) -> list[Tensor]:
        """All layers' features [B, C, h, w] of patches and of their coarse patches to a map of verdicts [B, 1, h, w] for
        each chosen layer."""
        return [
            head(torch.cat((patch[layer], coarse[layer]), 1) * scale).float()
            for head, (layer, scale) in zip(self.heads, self.scales.items(), strict=True)
        ]


class Critics(nn.Module):
    """A critic of pixels, and critics of the features of each perceptual network."""

    def __init__(self, layers: Mapping[str, CriticsLayers]) -> None:
        """For networks whose `layers` are given by the network's name, as `FeatureCritic` takes them."""
        super().__init__()
        self.pixels = Discriminator()
        self.features = nn.ModuleDict({name: FeatureCritic(of_network) for name, of_network in layers.items()})

    def of(self, network: str) -> FeatureCritic:
        """The critics of a network's features."""
        critic = self.features[network]
        assert isinstance(critic, FeatureCritic)
        return critic


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The hinge loss of the critic's verdicts on real and generated patches."""
    return (F.relu(1 - real) + F.relu(1 + fake)).mean()
