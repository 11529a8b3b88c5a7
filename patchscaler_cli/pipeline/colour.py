"""Colour cannot drift: the low-pass part of what the networks make is held to what they were given (design, section 2), and
what is of one colour stays so.

Differences are formed and low-passed at LR resolution, where a Gaussian of 4 pixels is one of 16 HR pixels, and come
back to HR resolution by bilinear interpolation. All of it works on rows, so that pictures of any height stream through.
The arithmetic is NumPy's, one number at a time: torch's kernels round a number differently where it stands elsewhere in
the array, so a row would depend on the rows that it is asked for with. (One thread of NumPy is faster here, too.)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.tiling.rows import Rows, RowWindow

COARSE_SIGMA = 4.0
"""Standard deviation in LR pixels of the Gaussian below which the coarse image is held to the LR picture: as wide as the blocks of 8
pixels of JPEG and the blotches of noise, which came back with 2.0. LPIPS of the coarse image is then 0.8 % lower for damaged pictures,
1.2 % at JPEG's quality 50 and 1.5 % under noise of 20 levels; with 8.0 a thousandth more, which is not worth its reach."""

REFINEMENT_SIGMA = 0.8
"""That below which the result is held to the coarse image. With 2.0, PSNR-Y is 0.03 to 0.05 dB lower, LPIPS the same, and many more
blocks of 32x32 pixels differ from the coarse image's colour by more than a level; with 0.6, LPIPS of damaged pictures rises."""

PLAIN_REACH = 3
"""LR pixels on every side of one that is kept as it is (see `keep_plain`)."""


def radius(sigma: float) -> int:
    """How far a Gaussian looks, in LR pixels."""
    return math.ceil(3 * sigma)


def reach(sigma: float) -> int:
    """LR rows above and below a row that its enlarged low-pass part depends on: the Gaussian's radius, one for bilinear."""
    return radius(sigma) + 1


COARSE_REACH, REFINEMENT_REACH = reach(COARSE_SIGMA), reach(REFINEMENT_SIGMA)


def enlarged_low_pass(difference: RowWindow, sigma: float, top: int, bottom: int, height: int, scale: int) -> Rows:
    """The low-pass part of an LR-sized difference, at HR resolution, for some of its rows.

    The picture's border pixels are repeated beyond its true borders.

    Args:
        difference: window on [C, height, w] that holds `reach(sigma)` rows above `top` and below `bottom`, as far as there are.
        sigma: standard deviation of the Gaussian in LR pixels.
        top: first LR row.
        bottom: the LR row after the last.
        height: LR rows of the whole picture.
        scale: HR pixels to an LR pixel.

    Returns:
        [C, (bottom - top) * scale, w * scale]; the same bits whichever rows are asked for together.
    """
    return enlarged(lambda above, below: _low_pass(difference, sigma, above, below, height), top, bottom, height, scale)


def _low_pass(image: RowWindow, sigma: float, top: int, bottom: int, height: int) -> Rows:
    """Rows `top` to `bottom` of the Gaussian-blurred picture [C, bottom - top, w]."""
    looks = radius(sigma)
    taps = np.exp(-(np.arange(-looks, looks + 1.0) ** 2) / (2 * sigma**2))
    weights = (taps / taps.sum()).astype(np.float32)
    first, last = max(top - looks, 0), min(bottom + looks, height)
    beyond = (looks - (top - first), looks - (last - bottom))
    rows = np.pad(image.view(first, last), ((0, 0), beyond, (looks, looks)), mode="edge")
    for axis in (1, 2):
        length = rows.shape[axis] - 2 * looks
        blurred = weights[0] * _part(rows, axis, 0, length)
        for place, weight in enumerate(weights[1:], 1):
            blurred += weight * _part(rows, axis, place, place + length)
        rows = blurred
    return rows


def enlarged(rows: Callable[[int, int], Rows], top: int, bottom: int, height: int, scale: int) -> Rows:
    """Some rows of a picture at HR resolution, by bilinear interpolation [C, (bottom - top) * scale, w * scale].

    Args:
        rows: gives rows of it [C, n, w] by the first and the one after the last; asked for one more above and below, where there are.
        top: first row.
        bottom: the row after the last.
        height: rows of the whole picture, whose outermost pixels are repeated beyond it.
        scale: HR pixels to one of its pixels.
    """
    above, below = max(top - 1, 0), min(bottom + 1, height)
    beyond = (above - (top - 1), bottom + 1 - below)
    padded = np.pad(rows(above, below), ((0, 0), beyond, (1, 1)), mode="edge")
    return _stretched(_stretched(padded, 2, scale), 1, scale)


def _stretched(rows: Rows, axis: int, scale: int) -> Rows:
    """Bilinear interpolation along one axis, at whose ends there is one pixel more for it: n + 2 become n * scale."""
    before, (length, *after) = rows.shape[:axis], rows.shape[axis:]
    stretched = np.empty((*before, length - 2, scale, *after), np.float32)
    for phase in range(scale):
        offset = (phase + 0.5) / scale - 0.5  # of the new pixel's middle from the old one's
        beside = _part(rows, axis, 0, length - 2) if offset < 0 else _part(rows, axis, 2, length)
        target = stretched[(slice(None),) * (axis + 1) + (phase,)]
        np.multiply(_part(rows, axis, 1, length - 1), np.float32(1 - abs(offset)), out=target)
        target += np.float32(abs(offset)) * beside
    return stretched.reshape(*before, (length - 2) * scale, *after)


def _part(rows: Rows, axis: int, start: int, stop: int) -> Rows:
    """Positions `start` to `stop` along one axis."""
    return rows[(slice(None),) * axis + (slice(start, stop),)]


def keep_plain(image: Rows, around: Rows, scale: int) -> None:
    """Give the coarse image the LR picture's very colour where that is of one single colour all around.

    Drawings and screenshots are full of such places, and a level or two of error is seen there, above all along the picture's
    border, where the coarse model has less to go by.

    Args:
        image: rows of the coarse image [3, n * scale, w * scale], changed in place.
        around: the same rows of the continued LR picture, with PLAIN_REACH pixels more on every side.
        scale: HR pixels to an LR pixel.
    """
    pixels = torch.from_numpy(around)
    highest, lowest = _highest_around(pixels), -_highest_around(-pixels)
    plain = (highest == lowest).all(0).numpy()
    if plain.any():
        colour, where = (np.repeat(np.repeat(one, scale, -2), scale, -1) for one in (highest.numpy(), plain))
        np.copyto(image, colour, where=where)


def _highest_around(pixels: Tensor) -> Tensor:
    """The highest value within PLAIN_REACH of every pixel of [C, h, w] that has so many on every side; by rows, then by
    columns, which is a third of the work of both at once."""
    window = 2 * PLAIN_REACH + 1
    return F.max_pool2d(F.max_pool2d(pixels, (1, window), 1), (window, 1), 1)


def colour_change(coarse: Rows, refinement: Rows, scale: int) -> Rows:
    """How a refinement changes the colour of the coarse image's blocks of an LR pixel, as it is seen: no picture is brighter than
    white, and fine texture that white or black cuts off on one side would change it.

    Args:
        coarse: rows of the coarse image [C, n * scale, w * scale].
        refinement: what is added to them.
        scale: HR pixels to an LR pixel.

    Returns:
        [C, n, w]
    """
    refined: Rows = np.clip(coarse + refinement, -1, 1)
    refined -= np.clip(coarse, -1, 1)
    return reduced(refined, scale)


def reduced(rows: Rows, scale: int) -> Rows:
    """The mean of every scale x scale block of HR rows [C, n * scale, w * scale]: [C, n, w]."""
    means: Rows = F.avg_pool2d(torch.from_numpy(rows), scale).numpy()
    return means
