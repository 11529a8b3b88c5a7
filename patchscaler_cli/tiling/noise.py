"""Sampling noise that belongs to a place, not to a moment: a function of seed, channel and absolute HR position.

So a pixel's noise is the same whatever tile, batch or device it is drawn in, and patches share it where they overlap.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    """Scramble 32-bit numbers (lowbias32 of Wellons' hash prospector: no detectable bias).

    They are held in int32, whose products wrap around as those of unsigned numbers do: half the memory of int64.
    """
    x = x ^ _shifted(x, 16)
    x *= 0x7FEB352D
    x ^= _shifted(x, 15)
    x *= 0x846CA68B - 2**32  # as int32 writes it
    x ^= _shifted(x, 16)
    return x


def _shifted(x: Tensor, bits: int) -> Tensor:
    """x >> bits with zeros from above, as unsigned numbers shift; int32 fills up with its sign."""
    return (x >> bits).bitwise_and_(_MASK >> bits)


def _unsigned(x: Tensor) -> Tensor:
    """32-bit numbers held in int32 as floats from 0 to 2^32: both halves are exact, so their sum is rounded once."""
    return torch.add((x & 0xFFFF).float(), _shifted(x, 16).float(), alpha=2**16)


def position_noise(
    seed: int, tops: Tensor, lefts: Tensor, size: tuple[int, int], period: tuple[int, int] | None = None
) -> Tensor:
    """Standard normal noise of patches.

    Args:
        seed: 0 to 2^63 - 1.
        tops: first HR row of each patch [B], int64, not negative unless there is a period; its device is where the
            noise is made.
        lefts: first HR column of each patch [B].
        size: rows h and columns w of a patch in pixels.
        period: rows and columns after which the noise comes again; None: never.

    Returns:
        Noise [B, 3, h, w], float32. Integer arithmetic is the same on every device; only the last step, from uniform
        to normal numbers, rounds as the device does.
    """
    device = tops.device
    rows = (tops[:, None] + torch.arange(size[0], device=device))[:, None, :, None]  # (B, 1, h, 1)
    columns = (lefts[:, None] + torch.arange(size[1], device=device))[:, None, None, :]  # (B, 1, 1, w)
    if period is not None:
        rows, columns = rows % period[0], columns % period[1]
    channels = torch.arange(3, device=device).view(1, 3, 1, 1)
    low, high = torch.tensor((seed & _MASK, seed >> 32)).int()  # on the host, which knows the seed at once
    state = _mix(int(_mix(_mix(low) ^ high)) + channels.int())
    state = _mix(state + rows.int())
    first = _mix(state + columns.int())  # (B, 3, h, w)
    second = _mix(first + (0x9E3779B9 - 2**32))
    # ---- Box-Muller: two uniform numbers to one normal number
    radius = _unsigned(first).add_(0.5).div_(2**32).clamp_(max=1 - 2**-24).log_().mul_(-2).sqrt_()
    return _unsigned(second).mul_(2 * math.pi / 2**32).cos_().mul_(radius)
