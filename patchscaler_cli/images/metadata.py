"""What a picture file holds beside its pixels: EXIF, colour profile, resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import ExifTags, Image

_Base = ExifTags.Base

# TIFF, and so EXIF, mixes tags that describe the picture with tags that say how its bytes lie in this very file
# (strips, compression, size). Only the former are true of another file, so they are listed and the rest left.
_DESCRIPTIVE = frozenset(
    {
        _Base.ImageDescription, _Base.Make, _Base.Model, _Base.Software, _Base.DateTime, _Base.Artist,
        _Base.HostComputer, _Base.Copyright, _Base.Rating, _Base.RatingPercent,
        _Base.XPTitle, _Base.XPComment, _Base.XPAuthor, _Base.XPKeywords, _Base.XPSubject,
    }
)  # fmt: skip
_OF_THE_OLD_SIZE = frozenset({_Base.ExifImageWidth, _Base.ExifImageHeight})
_UPRIGHT = 1
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of each EXIF orientation upright."""


@dataclass(frozen=True)
class Metadata:
    """What is written back unchanged where the output format has a place for it.

    Attributes:
        exif: EXIF block as Pillow's `save` takes it; its orientation says upright.
        icc_profile: colour profile of the pixels as they are in `Picture`.
        dpi: horizontal and vertical resolution in pixels per inch.
    """

    exif: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


def upright(image: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation wants it seen.

    `ImageOps.exif_transpose` would also write the EXIF anew, and fail on a block of which only another tag is odd.

    Raises:
        Exception: of any kind, where the EXIF is damaged beyond reading.
    """
    turn = _TURNS.get(image.getexif().get(_Base.Orientation, _UPRIGHT))
    return image if turn is None else image.transpose(turn)


def exif_to_keep(image: Image.Image) -> bytes | None:
    """The EXIF of a decoded file without what the upscaled, upright picture makes false; None if there is none.

    The embedded thumbnail goes too: it shows the picture before it was turned.

    Raises:
        Exception: of any kind, where the block is damaged; Pillow's parser raises whatever it meets.
    """
    source = image.getexif()
    kept = Image.Exif()
    for tag in _DESCRIPTIVE & source.keys():
        kept[tag] = source[tag]
    for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        content = {tag: value for tag, value in source.get_ifd(block).items() if tag not in _OF_THE_OLD_SIZE}
        if content:
            kept[block] = content
    if _Base.Orientation in source:
        kept[_Base.Orientation] = _UPRIGHT
    return kept.tobytes() if len(kept) else None


def dpi_to_keep(image: Image.Image) -> tuple[float, float] | None:
    """The resolution of a decoded file; None if there is none, or none that every format could hold."""
    try:
        horizontal, vertical = (float(value) for value in image.info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (horizontal, vertical)):
        return None
    return horizontal, vertical
