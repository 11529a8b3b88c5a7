"""Sampling noise that belongs to a place, not to a moment: a function of seed, channel and absolute HR position.

So a pixel's noise is the same whatever tile, batch or device it is drawn in, and patches share it where they overlap.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    """Scramble 32-bit numbers held in int64 (lowbias32 of Wellons' hash prospector: no detectable bias)."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def position_noise(seed: int, tops: Tensor, lefts: Tensor, size: int, period: tuple[int, int] | None = None) -> Tensor:
    """Standard normal noise of square patches.

    Args:
        seed: 0 to 2^63 - 1.
        tops: first HR row of each patch [B], int64, not negative unless there is a period; its device is where the
            noise is made.
        lefts: first HR column of each patch [B].
        size: side S of a patch in pixels.
        period: rows and columns after which the noise comes again; None: never.

    Returns:
        Noise [B, 3, S, S], float32. Integer arithmetic is the same on every device; only the last step, from uniform
        to normal numbers, rounds as the device does.
    """
    device = tops.device
    span = torch.arange(size, device=device)
    rows = (tops[:, None] + span)[:, None, :, None]  # (B, 1, S, 1)
    columns = (lefts[:, None] + span)[:, None, None, :]  # (B, 1, 1, S)
    if period is not None:
        rows, columns = rows % period[0], columns % period[1]
    channels = torch.arange(3, device=device).view(1, 3, 1, 1)
    mixed = _mix(_mix(torch.tensor(seed & _MASK)) ^ ((seed >> 32) & _MASK))  # on the host, which knows it at once
    state = _mix((int(mixed) + channels) & _MASK)
    state = _mix((state + rows) & _MASK)
    first = _mix((state + columns) & _MASK)  # (B, 3, S, S)
    second = _mix((first + 0x9E3779B9) & _MASK)
    # ---- Box-Muller: two uniform numbers to one normal number
    radius = (-2 * ((first.float() + 0.5) / 2**32).clamp(max=1 - 2**-24).log()).sqrt()
    return radius * (second.float() * (2 * math.pi / 2**32)).cos()
