"""Samples of 8 and 16 bits: between each other, and between them and floating point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_STRIP_ROWS = 64


def strips(height: int) -> Iterator[slice]:
    """Slices of rows that cover a picture. Large pictures are worked through in them: no second copy in 32 bits."""
    for top in range(0, height, _STRIP_ROWS):
        yield slice(top, min(top + _STRIP_ROWS, height))


def white_of(dtype: np.dtype[Any]) -> int:
    """The largest sample: 255 or 65535, or 1 for floating point."""
    return 1 if np.issubdtype(dtype, np.floating) else int(np.iinfo(dtype).max)


def unit(samples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """uint8, uint16 or floating point of any shape to float32 in 0..1."""
    return samples.astype(np.float32) / np.float32(white_of(samples.dtype))


def quantised(samples: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """float32 in 0..1, of any shape, clipped and rounded to uint8 or uint16."""
    white = white_of(dtype)
    return (np.clip(samples, 0, 1) * np.float32(white) + np.float32(0.5)).astype(dtype)


def eight_bit(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """uint8 as it is, uint16 (0 to 65535) [H, W] or [H, W, C] rounded to uint8 (0 to 255)."""
    if samples.dtype == np.uint8:
        return samples
    rounded = np.empty(samples.shape, np.uint8)
    for rows in strips(samples.shape[0]):
        rounded[rows] = (samples[rows].astype(np.uint32) + 128) // 257
    return rounded


def wrapped(samples: npt.NDArray[Any], margin: int) -> npt.NDArray[Any]:
    """[H, W] or [H, W, C] with so many pixels on every side: those of the other side, as in a texture laid like tiles."""
    return np.pad(samples, [(margin, margin)] * 2 + [(0, 0)] * (samples.ndim - 2), mode="wrap")


def resized(
    values: npt.NDArray[np.float32],
    width: int,
    height: int,
    box: tuple[float, float, float, float],
    resampling: Image.Resampling,
) -> npt.NDArray[np.float32]:
    """A part of floating-point values [H, W, C] resized to [height, width, C].

    Args:
        values: of any range.
        width: in pixels.
        height: in pixels.
        box: left, top, right and bottom of the part, in pixels; what lies around it is looked at, too.
        resampling: Pillow's filter.
    """
    planes = [Image.fromarray(np.ascontiguousarray(values[..., i])) for i in range(values.shape[2])]
    return np.stack([np.asarray(plane.resize((width, height), resampling, box)) for plane in planes], axis=-1)


def resized_rows(
    values: npt.NDArray[np.float32],
    width: int,
    height: int,
    rows: slice,
    box: tuple[float, float, float, float],
    resampling: Image.Resampling,
) -> npt.NDArray[np.float32]:
    """Some `rows` of what `resized` makes, by a bilinear or bicubic filter: [rows, width, C], from what is near them."""
    left, top, right, bottom = box
    scale = (bottom - top) / height
    above, below = top + rows.start * scale, min(top + rows.stop * scale, bottom)
    reach = 2 * max(1, scale)  # of bicubic
    first = max(0, int(above - reach) - 1)
    near = values[first : int(below + reach) + 2]
    part = (left, above - first, right, below - first)
    return resized(near, width, rows.stop - rows.start, part, resampling)
