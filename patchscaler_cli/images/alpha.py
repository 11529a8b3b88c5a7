"""Transparency: kept apart from the colours, enlarged apart, or left out where a format has no place for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from patchscaler_cli.images.depth import quantised, resized, resized_rows, strips, unit, white_of, wrapped

_LANCZOS_SUPPORT = 3
_BLED_AROUND = 32
"""Pixels beyond its ends from which a picture that wraps takes colours: more than the network looks at from there."""

Samples = npt.NDArray[np.unsignedinteger[Any]]
"""uint8 (0 to 255) or uint16 (0 to 65535)."""


def resize_alpha(alpha: Samples, width: int, height: int, *, wraps: bool = False) -> Samples:
    """Enlarge opacity [H, W] to [height, width] by Lanczos without its ringing.

    Each pixel is held to the range of the 3x3 input pixels around it. Lanczos alone would dim opaque pixels and
    tint transparent ones along every edge; so what is opaque or clear (0) all around stays exactly that. Beyond its
    ends lies nothing, or if it `wraps` its other side.
    """
    margin = _LANCZOS_SUPPORT if wraps else 0
    left, top, right, bottom = margin, margin, margin + alpha.shape[1], margin + alpha.shape[0]
    alpha = wrapped(alpha, margin)
    # Pillow filters 16 bits only as floating point; and 8 bits it rounds and clips between rows and columns, in the
    # order that suits the size, so that strips of several heights would not fit together.
    image = Image.fromarray(alpha.astype(np.float32))
    lowest, highest = (np.asarray(image.filter(filter(3))) for filter in (ImageFilter.MinFilter, ImageFilter.MaxFilter))
    columns = margin + _nearest(range(width), width, right - left)
    smooth = np.empty((height, width), alpha.dtype)
    scale = (bottom - top) / height
    for strip in strips(height):
        box = (left, top + strip.start * scale, right, min(top + strip.stop * scale, bottom))
        lanczos = np.asarray(image.resize((width, strip.stop - strip.start), Image.Resampling.LANCZOS, box))
        around = np.ix_(margin + _nearest(range(strip.start, strip.stop), height, bottom - top), columns)
        held = np.clip(lanczos, lowest[around], highest[around])
        smooth[strip] = np.rint(held)
    return smooth


def _nearest(positions: range, length: int, small: int) -> npt.NDArray[np.int64]:
    """The pixels of a line of `small` pixels that lie under `positions` of the same line enlarged to `length`."""
    return (2 * np.arange(positions.start, positions.stop, dtype=np.int64) + 1) * small // (2 * length)


def on_background(pixels: Samples, alpha: Samples, background: tuple[int, ...]) -> Samples:
    """What colours [H, W, 3] or grey [H, W] of opacity [H, W] look like on paper of one colour.

    Args:
        pixels: not multiplied by alpha.
        alpha: in the depth of `pixels`.
        background: red, green and blue, or grey alone, in the depth of `pixels`.
    """
    white, paper = white_of(pixels.dtype), np.array(background, np.uint32)
    composite = np.empty_like(pixels)
    for rows in strips(pixels.shape[0]):
        weight = alpha[rows].astype(np.uint32)
        if pixels.ndim == 3:
            weight = weight[..., None]
        composite[rows] = (pixels[rows] * weight + paper * (white - weight) + white // 2) // white
    return composite


def bled(pixels: Samples, alpha: Samples, *, wraps: bool = False) -> Samples:
    """Colours [H, W, 3] or grey [H, W] continued under what is clear (alpha [H, W] 0), of the same depth.

    Files hold anything there, mostly black or white. Nobody sees it until the picture is enlarged: then it mixes with
    the visible colours and makes a dark or light fringe. What is not wholly clear stays as it is. What is near the
    end of a picture that `wraps` takes colours of its other side, too.
    """
    clear = alpha == 0
    if not clear.any() or clear.all():
        return pixels
    if wraps:
        inner = slice(_BLED_AROUND, -_BLED_AROUND)
        return bled(wrapped(pixels, _BLED_AROUND), wrapped(alpha, _BLED_AROUND))[inner, inner]
    height, width = alpha.shape
    half = ((height + 1) // 2, (width + 1) // 2)
    weighted = np.empty((*half, 3 if pixels.ndim == 3 else 1), np.float32)
    weight = np.empty((*half, 1), np.float32)
    for rows in strips(height):  # of an even number of rows
        opacity = unit(alpha[rows])[..., None]
        halves = slice(rows.start // 2, (rows.stop + 1) // 2)
        weighted[halves] = _blocks(unit(pixels[rows]).reshape(*opacity.shape[:2], -1) * opacity)
        weight[halves] = _blocks(opacity)
    around, continued = _spread(weighted, weight), pixels.copy()
    box = (0, 0, width / 2, height / 2)
    for rows in strips(height):
        if clear[rows].any():
            colours = resized_rows(around, width, height, rows, box, Image.Resampling.BILINEAR)[clear[rows]]
            continued[rows][clear[rows]] = quantised(colours if pixels.ndim == 3 else colours[:, 0], pixels.dtype)
    return continued


def _spread(weighted: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Fill the unknown with what is around it: the average of the nearest blocks of 2, 4, 8 … pixels that know.

    Args:
        weighted: [H, W, C], multiplied by `weight`.
        weight: [H, W, 1]; 0 is unknown, and something is known.

    Returns:
        [H, W, C], no longer multiplied.
    """
    height, width = weight.shape[:2]
    known = np.divide(weighted, weight, out=np.zeros_like(weighted), where=weight > 0)
    if height == width == 1:
        return known
    coarse = _spread(_blocks(weighted), _blocks(weight))
    around = (0, 0, width / 2, height / 2)
    return np.where(weight > 0, known, resized(coarse, width, height, around, Image.Resampling.BILINEAR))


def _blocks(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sums over blocks of 2x2: [H, W, C] -> [⌈H/2⌉, ⌈W/2⌉, C]."""
    height, width, channels = values.shape
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    sums: npt.NDArray[np.float32] = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, channels).sum(
        axis=(1, 3)
    )
    return sums
