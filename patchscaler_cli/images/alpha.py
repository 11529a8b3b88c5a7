"""Transparency: enlarged apart from the colours, or left out where a format has no place for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter


def resize_alpha(alpha: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """Enlarge opacity [H, W] to [height, width] by Lanczos without its ringing.

    Each pixel is held to the range of the 3x3 input pixels around it. Lanczos alone would dim opaque pixels and
    tint transparent ones along every edge; so what is opaque (255) or clear (0) all around stays exactly that.
    """
    image, size = Image.fromarray(alpha), (width, height)
    smooth = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    lowest = np.asarray(image.filter(ImageFilter.MinFilter(3)).resize(size, Image.Resampling.NEAREST))
    highest = np.asarray(image.filter(ImageFilter.MaxFilter(3)).resize(size, Image.Resampling.NEAREST))
    return smooth.clip(lowest, highest)


def on_white(pixels: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What colours [H, W, 3] or grey [H, W] of opacity [H, W] look like on white paper."""
    weight = alpha.astype(np.uint32)
    if pixels.ndim == 3:
        weight = weight[..., None]
    return ((pixels * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
