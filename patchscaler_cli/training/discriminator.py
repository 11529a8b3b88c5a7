"""The critic of the few-step phase: is this patch a photograph, given its coarse patch?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


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
        """Patches and their coarse patches [B, 3, 64, 64] in [-1, 1] to verdicts [B, 1, 8, 8], float32; high = real."""
        pair = torch.cat((patch, coarse), 1).contiguous(memory_format=torch.channels_last)
        verdicts: Tensor = self.layers(pair).float()
        return verdicts


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The hinge loss of the critic's verdicts on real and generated patches."""
    return (F.relu(1 - real) + F.relu(1 + fake)).mean()
