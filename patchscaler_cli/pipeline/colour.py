"""Colour cannot drift: the low-pass part of what the networks make is held to what they were given (design, section 2).

Differences are formed, low-passed and taken off at LR resolution: a Gaussian of 2 LR pixels is one of 8 HR pixels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

LOW_PASS_SIGMA = 2.0
"""Standard deviation in LR pixels of the Gaussian that parts colour from detail."""

STRIP = 64
"""LR rows that are brought up to HR resolution together."""


def low_pass(image: Tensor) -> Tensor:
    """Blur [C, h, w] with a Gaussian of LOW_PASS_SIGMA, cut off at three deviations; the border pixel is repeated."""
    radius = math.ceil(3 * LOW_PASS_SIGMA)
    taps = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * LOW_PASS_SIGMA**2))
    taps /= taps.sum()
    padded = F.pad(image[:, None], (radius,) * 4, mode="replicate")  # (C, 1, h + 2r, w + 2r)
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[:, 0]


def add_low_pass(canvas: npt.NDArray[np.float32], difference: Tensor, scale: int = 4) -> None:
    """Add the low-pass part of an LR-sized difference to an HR canvas, bilinearly enlarged.

    Args:
        canvas: [3, scale * h, scale * w], changed in place, a strip of rows at a time.
        difference: [3, h, w].
    """
    smooth = low_pass(difference)
    height = smooth.shape[1]
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        above, below = max(top - 1, 0), min(bottom + 1, height)  # bilinear looks one row up and down
        enlarged = F.interpolate(smooth[None, :, above:below], scale_factor=scale, mode="bilinear", align_corners=False)
        strip = enlarged[0, :, (top - above) * scale : (bottom - above) * scale]
        canvas[:, top * scale : bottom * scale] += strip.numpy()


def reduced(canvas: npt.NDArray[np.float32], scale: int = 4) -> Tensor:
    """The mean of every scale x scale block of an HR canvas [3, H, W]: [3, H / scale, W / scale]."""
    return F.avg_pool2d(torch.from_numpy(canvas), scale)
