"""How much texture there is where: the loss that asks for as much of it as the truth has, wherever its lines may run."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BANDS = 3
"""Octaves: details of one, two and four pixels."""

WINDOW = 16
"""Side in HR pixels of the windows within which energy is told; they overlap by a half."""

FLOOR = (0.5 / 127.5) ** 2
"""Added to every energy before its logarithm is taken: what rounding to 8 bits leaves, twice over."""


def log_energies(images: Tensor) -> list[Tensor]:
    """Logarithms of the mean energy of details within windows, band by band.

    Args:
        images: [B, 3, S, S] in [-1, 1].

    Returns:
        For each of BANDS octaves [B, 1, n, n], float32: of what a pixel of grey differs from the mean of its four neighbours.
    """
    grey = images.float().mean(1, keepdim=True)
    found = []
    for band in range(BANDS):
        cross = grey[..., :-2, 1:-1] + grey[..., 2:, 1:-1] + grey[..., 1:-1, :-2] + grey[..., 1:-1, 2:]
        detail = grey[..., 1:-1, 1:-1] - cross / 4
        window = WINDOW >> band
        found.append((F.avg_pool2d(detail.square(), window, window // 2) + FLOOR).log())
        grey = F.avg_pool2d(grey, 2)
    return found


def texture_gap(refined: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of the logarithms of two pictures' energies [B, 3, S, S] each: a scalar.

    Pixels and the features of networks prefer smooth to wrong, and of faint texture that the LR picture has lost nobody knows
    how it ran; but how much of it there was, its surroundings tell.
    """
    with torch.no_grad():
        wanted = log_energies(hr)
    gaps = [(found - truth).abs().mean() for found, truth in zip(log_energies(refined), wanted, strict=True)]
    return torch.stack(gaps).mean()
