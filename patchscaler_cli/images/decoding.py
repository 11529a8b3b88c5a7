"""From a file's bytes to Pillow's decoded picture; every way in which that fails is one sentence."""

from __future__ import annotations

import importlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.formats import FORMATS, LABELS

_HEVC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


def contents_of(path: Path) -> bytes:
    """The file's bytes, at least one.

    Pillow is given these, not the path: it would map an uncompressed TIFF into memory and, where its orientation
    swaps width and height, garble it.

    Raises:
        PatchScalerError: if the file is missing, a folder, empty or may not be read.
    """
    if os.path.isdir(path):
        raise PatchScalerError(f"{path} is a folder; give the path of one picture in it.")
    try:
        contents = path.read_bytes()
    except FileNotFoundError:
        raise PatchScalerError(f"There is no file {path}; check the path for typing errors.") from None
    except OSError as error:
        raise PatchScalerError(f"{path} cannot be read ({error.strerror}); check that you may read it.") from error
    if not contents:
        raise PatchScalerError(f"{path} is empty (0 bytes); copy or download it again.")
    return contents


def open_picture(path: Path, contents: bytes) -> ImageFile.ImageFile:
    """Open, without decoding, a file's bytes as one of the formats that are read.

    Raises:
        PatchScalerError: if it is HEIC and the extra for it is not installed.
        Exception: of any kind, where the file is no picture or damaged; see `decoding`.
    """
    formats = [each.name for each in FORMATS]
    if _is_heic(contents):
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError:
            raise PatchScalerError(
                f"{path} is a HEIC picture, which needs the extra heif: pip install 'patchscaler[heif]'."
            ) from None
        formats = ["HEIF"]
    return Image.open(io.BytesIO(contents), formats=formats)


def _is_heic(contents: bytes) -> bool:
    """Whether a file says in its first box that it holds HEVC pictures; AVIF files begin alike."""
    if contents[4:8] != b"ftyp":
        return False
    box = contents[8 : int.from_bytes(contents[:4], "big")]
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
