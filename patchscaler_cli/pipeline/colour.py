"""Colour cannot drift: the low-pass part of what the networks make is held to what they were given (design, section 2).

Differences are formed and low-passed at LR resolution, where a Gaussian of 2 pixels is one of 8 HR pixels, and come
back to HR resolution by bilinear interpolation. All of it works on rows, so that pictures of any height stream through.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from patchscaler_cli.tiling.rows import Rows, RowWindow

LOW_PASS_SIGMA = 2.0
"""Standard deviation in LR pixels of the Gaussian that parts colour from detail."""

RADIUS = math.ceil(3 * LOW_PASS_SIGMA)

REACH = RADIUS + 1
"""LR rows above and below a row that its enlarged low-pass part depends on: the Gaussian's radius, one for bilinear."""


def enlarged_low_pass(difference: RowWindow, top: int, bottom: int, height: int, scale: int) -> Rows:
    """The low-pass part of an LR-sized difference, at HR resolution, for some of its rows.

    The picture's border pixels are repeated beyond its true borders.

    Args:
        difference: window on [C, height, w] that holds REACH rows above `top` and below `bottom`, as far as there are.
        top: first LR row.
        bottom: the LR row after the last.
        height: LR rows of the whole picture.
        scale: HR pixels to an LR pixel.

    Returns:
        [C, (bottom - top) * scale, w * scale]; the same whichever rows are asked for together.
    """
    above, below = max(top - 1, 0), min(bottom + 1, height)  # bilinear looks one row up and down
    smooth = _low_pass(difference, above, below, height)
    enlarged = F.interpolate(smooth[None], scale_factor=scale, mode="bilinear", align_corners=False)[0]
    rows: Rows = enlarged[:, (top - above) * scale : (bottom - above) * scale].numpy()
    return rows


def _low_pass(image: RowWindow, top: int, bottom: int, height: int) -> torch.Tensor:
    """Rows `top` to `bottom` of the Gaussian-blurred picture [C, bottom - top, w]."""
    taps = torch.exp(-(torch.arange(-RADIUS, RADIUS + 1.0) ** 2) / (2 * LOW_PASS_SIGMA**2))
    taps /= taps.sum()
    first, last = max(top - RADIUS, 0), min(bottom + RADIUS, height)
    rows = torch.from_numpy(image.view(first, last))[:, None]  # (C, 1, rows, w)
    rows = F.pad(rows, (RADIUS, RADIUS, RADIUS - (top - first), RADIUS - (last - bottom)), mode="replicate")
    return F.conv2d(F.conv2d(rows, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[:, 0]


def reduced(rows: Rows, scale: int) -> Rows:
    """The mean of every scale x scale block of HR rows [C, n * scale, w * scale]: [C, n, w]."""
    means: Rows = F.avg_pool2d(torch.from_numpy(rows), scale).numpy()
    return means
