"""How much texture there is where: the loss that asks for as much of it as the truth has, wherever its lines may lie."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOWS = (16, 12, 8)
"""Sides of the windows within which energy is told, for each octave (details of one, two and four pixels) in pixels of its own
scale: of 16, 24 and 32 HR pixels. They overlap by a half."""

FLOOR = (0.5 / 127.5) ** 2
"""Added to every energy before its logarithm is taken: what rounding to 8 bits leaves, twice over."""


def log_energies(images: Tensor) -> list[Tensor]:
    """Logarithms of the mean energy of details within windows, band by band.

    Details across, down and both at once are told apart. Told together they were once asked for by the sum, and a network gave what is
    cheapest: squares of single pixels in turn, which no photograph has, but which count four times in a difference to four neighbours.

    Args:
        images: [B, 3, S, S] in [-1, 1].

    Returns:
        For each of the octaves [B, 3, n, n], float32: of what a pixel of grey differs by from the mean of its neighbours at the
        left and right, above and below, and in both ways at once (the second of the first).
    """
    grey = images.float().mean(1, keepdim=True)
    found = []
    for window in WINDOWS:
        details = F.conv2d(grey, _details(grey.device))  # (B, 3, s - 2, s - 2)
        found.append((F.avg_pool2d(details.square(), window, window // 2) + FLOOR).log())
        grey = F.avg_pool2d(grey, 2)
    return found


@cache
def _details(device: torch.device) -> Tensor:
    """Kernels [3, 1, 3, 3] of details across, down and both at once: each detail's own direction differs, the other is smoothed."""
    smooth, sharp = torch.tensor([0.25, 0.5, 0.25]), torch.tensor([-0.5, 1.0, -0.5])
    pairs = ((smooth, sharp), (sharp, smooth), (sharp, sharp))
    return torch.stack([torch.outer(down, across) for down, across in pairs])[:, None].to(device)


def texture_gap(refined: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of the logarithms of two pictures' energies [B, 3, S, S] each: a scalar.

    Pixels and the features of networks prefer smooth to wrong, and of faint texture that the LR picture has lost nobody knows
    how it ran; but how much of it there was, its surroundings tell.
    """
    with torch.no_grad():
        wanted = log_energies(hr)
    gaps = [(found - truth).abs().mean() for found, truth in zip(log_energies(refined), wanted, strict=True)]
    return torch.stack(gaps).mean()
