"""What a file says of itself before its pixels are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile

from patchscaler_cli.images.decoding import decoding, open_picture, opened
from patchscaler_cli.images.metadata import orientation_of

ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
"""Formats whose further frames are an animation; a TIFF's are pages, a phone's JPEG's and HEIC's its own previews."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        format: Pillow's name of the file's format, such as "PNG".
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
        frames: of an animation; 1 for a single picture, pages of a TIFF and previews of a photograph.
    """

    format: str
    width: int
    height: int
    frames: int


def read_header(path: Path) -> Header:
    """Read what a file says of itself: in most formats only its beginning. Whether the rest is whole is not known then.

    Raises:
        PatchScalerError: if the file cannot be read or is no picture.
    """
    with opened(path) as file, decoding(path):
        image = open_picture(path, file)
        return Header(image.format or "", *upright_size(image), len(frame_numbers(image)))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as the EXIF orientation of an opened file wants it seen."""
    try:
        turned = orientation_of(image) >= 5
    except Exception:  # Pillow's EXIF parser raises whatever it meets; the picture is taken as it lies then
        turned = False
    width, height = image.size
    return (height, width) if turned else (width, height)


def frame_numbers(image: ImageFile.ImageFile) -> range:
    """Which of Pillow's frames are the animation's, or the one of a single picture."""
    frames = getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
    still_first = bool(image.info.get("default_image"))  # an APNG's picture for those who know no APNG
    return range(1 if still_first and frames > 1 else 0, frames)
