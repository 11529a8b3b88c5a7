"""What a picture file holds beside its pixels: EXIF, XMP, colour profile, resolution."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
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
_XMP_TAG = 700
_XMP_SIZES = rb"(?:tiff:Image(?:Width|Length)|exif:Pixel[XY]Dimension)"


@dataclass(frozen=True)
class Metadata:
    """What is written back unchanged where the output format has a place for it.

    Attributes:
        exif: EXIF block as Pillow's `save` takes it; its orientation says upright.
        icc_profile: colour profile of the pixels as they are in `Picture`.
        dpi: horizontal and vertical resolution in pixels per inch.
        xmp: XMP packet, without the old size; its orientation says upright.
    """

    exif: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of a decoded file, 1 (upright) to 8; 1 if it says none.

    Raises:
        Exception: of any kind, where the EXIF is damaged beyond reading.
    """
    orientation = image.getexif().get(_Base.Orientation, _UPRIGHT)
    return orientation if orientation in range(1, 9) else _UPRIGHT


def upright(samples: npt.NDArray[np.generic], orientation: int) -> npt.NDArray[np.generic]:
    """An array [H, W, ...] turned as its EXIF orientation (1 to 8) wants it seen."""
    turned = samples.swapaxes(0, 1) if orientation >= 5 else samples
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


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
    # Pillow says 1 of a TIFF that says none.
    if not all(math.isfinite(value) and 1 < value <= 65535 for value in (horizontal, vertical)):
        return None
    return horizontal, vertical


def xmp_to_keep(image: Image.Image) -> bytes | None:
    """The XMP of a decoded file without the old size and orientation; None if there is none."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if not isinstance(xmp, bytes):
        return None
    xmp = re.sub(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)[1-8]""", rb"\g<1>1", xmp)
    xmp = re.sub(rb"""\s""" + _XMP_SIZES + rb"""\s*=\s*("[^"]*"|'[^']*')""", b"", xmp)  # as attributes
    return re.sub(rb"<(" + _XMP_SIZES + rb")>[^<]*</\1>", b"", xmp).rstrip(b"\0")  # as elements


def exif_to_write(
    metadata: Metadata, width: int, height: int, provenance: str | None, *, with_xmp: bool = False
) -> bytes | None:
    """The kept EXIF with the size of the picture to be written, and in `Software` how it was made; None if empty.

    Args:
        metadata: what is kept.
        width: of the picture to be written, in pixels.
        height: of the picture to be written, in pixels.
        provenance: one line, or None.
        with_xmp: have the XMP among the tags, as a TIFF has it.
    """
    written = Image.Exif()
    if metadata.exif:
        written.load(metadata.exif)
        inner = written.get_ifd(ExifTags.IFD.Exif)
        if inner:  # only a block of this kind has to say the size
            written[ExifTags.IFD.Exif] = {**inner, _Base.ExifImageWidth: width, _Base.ExifImageHeight: height}
    if provenance:
        written[_Base.Software] = provenance
    if with_xmp and metadata.xmp:
        written[_XMP_TAG] = metadata.xmp
    return written.tobytes() if len(written) else None
