"""From a file's bytes to Pillow's decoded picture; every way in which that fails is one sentence."""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.formats import FORMATS, LABELS

_HEVC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_FIRST_BOX = 1024
"""Bytes of a file in which its first box lies, if it is made of boxes."""


def contents_of(path: Path) -> bytes:
    """The file's bytes, at least one.

    Pillow is given these, not the path: it would map an uncompressed TIFF into memory and, where its orientation
    swaps width and height, garble it.

    Raises:
        PatchScalerError: if the file is missing, a folder, empty or may not be read.
    """
    with opened(path) as file:
        return file.read()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, not empty, open for reading.

    Raises:
        PatchScalerError: if the file is missing, a folder, a pipe or device, empty or may not be read.
    """
    if os.path.isdir(path):
        raise PatchScalerError(f"{path} is a folder; give the path of one picture in it.")
    if os.path.exists(path) and not os.path.isfile(path):  # whose end may never come
        raise PatchScalerError(f"{path} is a pipe or a device; save the picture as a file and give that file's path.")
    try:
        with path.open("rb") as file:
            if not file.peek(1):
                raise PatchScalerError(f"{path} is empty (0 bytes); copy or download it again.")
            yield file
    except FileNotFoundError:
        raise PatchScalerError(f"There is no file {path}; check the path for typing errors.") from None
    except OSError as error:
        raise PatchScalerError(f"{path} cannot be read ({error.strerror}); check that you may read it.") from error


def open_picture(path: Path, file: BinaryIO) -> ImageFile.ImageFile:
    """Open, without decoding, a file as one of the formats that are read.

    Raises:
        PatchScalerError: if it is HEIC and the extra for it is not installed.
        Exception: of any kind, where the file is no picture or damaged; see `decoding`.
    """
    formats = [each.name for each in FORMATS]
    start = file.read(_FIRST_BOX)
    file.seek(0)
    if _is_heic(start):
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError:
            raise PatchScalerError(
                f"{path} is a HEIC picture, which needs the extra heif: pip install 'patchscaler[heif]'."
            ) from None
        formats = ["HEIF"]
    return Image.open(file, formats=formats)


def _is_heic(start: bytes) -> bool:
    """Whether a file says in its first box that it holds HEVC pictures; AVIF files begin alike."""
    if start[4:8] != b"ftyp":
        return False
    box = start[8 : int.from_bytes(start[:4], "big")]
    return not _HEVC_BRANDS.isdisjoint(box[i : i + 4] for i in range(0, len(box), 4))


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Whatever Pillow raises inside says in one sentence what is wrong with the file.

    Raises:
        PatchScalerError: if the file is no picture, damaged, or holds more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about odd but readable files
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (PatchScalerError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as bomb:
        raise PatchScalerError(_too_many_pixels(path, str(bomb))) from None
    except UnidentifiedImageError:
        raise PatchScalerError(
            f"{path} is not a picture that PatchScaler reads ({LABELS}), or it is damaged or has no pixels; "
            "open it in an image viewer to see which."
        ) from None
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        raise PatchScalerError(f"{path} is damaged or cut short ({error}); copy or download it again.") from error


def _too_many_pixels(path: Path, pillows_words: str) -> str:
    number = re.search(r"\d+", pillows_words)  # "Image size (… pixels) exceeds limit of …"
    count = f"{int(number.group()):,} pixels" if number else "too many pixels"
    return f"{path} holds {count}, more than the limit of {Image.MAX_IMAGE_PIXELS:,}; crop it or reduce it first."
