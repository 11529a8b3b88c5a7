"""Pixels between the caller's depth and the network's range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.errors import UsageError
from patchscaler_cli.tiling.rows import parts

if TYPE_CHECKING:
    from PIL.Image import Image

AnyArray = npt.NDArray[Any]


def as_array(image: Image | AnyArray) -> AnyArray:
    """The picture as an array [H, W, 3] of uint8, uint16 or float32, from a Pillow image or an array [H, W] or [H, W, 3].

    Raises:
        UsageError: if the shape or dtype is none of these, or the picture has no pixels.
    """
    if not isinstance(image, np.ndarray):
        image = np.asarray(image.convert("RGB"))
    array: AnyArray = image
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise UsageError(
            f"An image array must have the shape [height, width, 3] or [height, width], not {list(array.shape)}."
        )
    if array.dtype in (np.uint8, np.uint16):
        return array
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32)
    raise UsageError(f"An image array must be uint8, uint16 or floating point in 0..1, not {array.dtype}.")


def to_network(array: AnyArray) -> npt.NDArray[np.float32]:
    """[H, W, 3] in the depth of its dtype to float32 [3, H, W] in [-1, 1]."""
    white = 1.0 if array.dtype == np.float32 else float(np.iinfo(array.dtype).max)
    return np.ascontiguousarray((array.astype(np.float32) * np.float32(2 / white) - 1).transpose(2, 0, 1))


def from_network(pixels: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> AnyArray:
    """float32 [3, H, W] in [-1, 1] to [H, W, 3] of uint8 or uint16 (rounded once, here) or float32 in 0..1; clipped."""
    if dtype == np.float32:
        return np.clip((pixels.transpose(1, 2, 0) + 1) / 2, 0, 1)
    white, (channels, height, width) = float(np.iinfo(dtype).max), pixels.shape
    quantised: AnyArray = np.empty((height, width, channels), dtype)
    for top, bottom in parts(0, height, width):
        levels = (pixels[:, top:bottom] + 1) * np.float32(white / 2) + np.float32(0.5)
        quantised[top:bottom] = np.clip(levels, 0, white, out=levels).transpose(1, 2, 0)
    return quantised
