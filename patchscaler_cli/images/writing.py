"""From a `Picture` to a file: refused before the work where it can be, whole or not at all where it is written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.images.alpha import on_white
from patchscaler_cli.images.formats import Format, format_of
from patchscaler_cli.images.picture import Picture, Pixels

_JPEG_EXIF_LIMIT = 65533 - len(b"Exif\0\0")
"""Bytes: a JPEG holds EXIF in one segment."""


def check_output(path: Path, *, source: Path, width: int, height: int, overwrite: bool) -> None:
    """Refuse, before any work, an output that could not or must not be written.

    Args:
        path: the file to be written.
        source: the input, which is never touched.
        width: of the picture to be written, in pixels.
        height: of the picture to be written, in pixels.
        overwrite: an existing file may be replaced.

    Raises:
        UsageError: if the ending names no format, the path is a folder, or it leads to `source`.
        PatchScalerError: if the file exists and must not be replaced, its folder is missing or may not be written
            to, or the format cannot hold a picture of this size.
    """
    form = format_of(path)
    if path.is_dir():
        raise UsageError(f"The output {path} is a folder; give the path of a file in it.")
    if path.exists() and path.samefile(source):
        raise UsageError(
            f"The output {path} is the input itself; give it another name, the original is never replaced."
        )
    if os.path.lexists(path) and not overwrite:
        raise PatchScalerError(f"The output {path} exists already; give --overwrite to replace it, or another name.")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise PatchScalerError(f"The output's folder {folder} does not exist; create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PatchScalerError(
            f"The output's folder {folder} may not be written to; choose another or change its permissions."
        )
    if form.max_side is not None and max(width, height) > form.max_side:
        raise PatchScalerError(
            f"{path} would have {width}x{height} pixels, but {form.label} holds at most {form.max_side} on a side; "
            "write PNG or TIFF instead."
        )


def write_picture(path: Path, picture: Picture) -> list[str]:
    """Write a picture in the format that the path's ending names; `path` holds it whole or is as it was.

    Returns:
        Sentences about what the format has no place for.

    Raises:
        UsageError: if the ending names no format.
        PatchScalerError: if the file cannot be written.
    """
    form = format_of(path)
    notes = _what_is_lost(path, form, picture)
    image = _as_image(form, picture)
    try:
        with _replacing(path) as file:
            image.save(file, form.name, **form.options, **_metadata_options(form, picture))
    except MemoryError:
        raise
    except Exception as error:  # the disk's errors, and whatever Pillow's encoders meet
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise PatchScalerError(
            f"{path} could not be written ({reason}); nothing was left behind, check the disk or try another format."
        ) from error
    return notes


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path` that takes its place when the block ends well and vanishes when it does not."""
    target = path.resolve()  # through a symbolic link: the file it leads to is replaced, the link stays
    temporary = target.parent / f".patchscaler-{secrets.token_hex(8)}.part"
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, target)
    except BaseException:  # KeyboardInterrupt too
        temporary.unlink(missing_ok=True)
        raise


def _has_see_through(picture: Picture) -> bool:
    return picture.alpha is not None and bool((picture.alpha < 255).any())


def _as_image(form: Format, picture: Picture) -> Image.Image:
    """The picture in a mode that `form` can store."""
    if picture.pixels.dtype == np.uint16 and form.sixteen_bit_grey:
        return Image.fromarray(picture.pixels)
    pixels = _eight_bit(picture.pixels)
    if picture.alpha is None:
        return Image.fromarray(pixels)
    if not form.alpha:
        return Image.fromarray(on_white(pixels, picture.alpha))
    image = Image.fromarray(pixels)
    image.putalpha(Image.fromarray(picture.alpha))
    return image


def _eight_bit(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Of the same shape, 0 to 65535 rounded to 0 to 255."""
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.uint32) + 128) // 257
    return pixels.astype(np.uint8, copy=False)


def _metadata_options(form: Format, picture: Picture) -> dict[str, Any]:
    """What Pillow's `save` is told so that the metadata travels along."""
    metadata = picture.metadata
    options: dict[str, Any] = {}
    if form.exif and metadata.exif and not _exif_is_too_long(form, metadata.exif):
        options["exif"] = metadata.exif
    if form.icc_profile and metadata.icc_profile:
        options["icc_profile"] = metadata.icc_profile
    if form.dpi and metadata.dpi:
        options["dpi"] = metadata.dpi
    return options


def _exif_is_too_long(form: Format, exif: bytes) -> bool:
    return form.name == "JPEG" and len(exif) > _JPEG_EXIF_LIMIT


def _what_is_lost(path: Path, form: Format, picture: Picture) -> list[str]:
    notes = []
    if not form.alpha and _has_see_through(picture):
        notes.append(
            f"{form.label} has no transparency: in {path} the transparent parts are white; write PNG to keep them."
        )
    if not form.sixteen_bit_grey and picture.pixels.dtype == np.uint16:
        notes.append(f"{form.label} has no 16-bit grey: {path} has 8 bits; write PNG or TIFF to keep 16.")
    if picture.metadata.exif and form.exif and _exif_is_too_long(form, picture.metadata.exif):
        notes.append(f"The EXIF data is too long for a JPEG and is left out of {path}; write PNG to keep it.")
    return notes
