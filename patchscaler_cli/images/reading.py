"""From a file to a `Picture`; every way in which that fails is one sentence."""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.formats import FORMATS, LABELS
from patchscaler_cli.images.metadata import Metadata, dpi_to_keep, exif_to_keep, upright
from patchscaler_cli.images.picture import Picture, Pixels

_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_RGB_MODES = frozenset({"RGB", "RGBA", "RGBa", "RGBX", "P", "PA"})


def read_picture(path: Path) -> Picture:
    """Read the first frame of a picture file, turned upright.

    Grey and black-and-white become grey [H, W] (16 bits stay 16 bits), everything else RGB [H, W, 3] uint8.

    Raises:
        PatchScalerError: if the file is missing, a folder, empty, unreadable, no picture, damaged, or holds more
            pixels than Pillow's limit (`PIL.Image.MAX_IMAGE_PIXELS`) or pixels that are not read yet.
    """
    image, notes = _decode(path, _contents(path))
    exif, turned = None, image
    try:
        turned = upright(image)
        exif = exif_to_keep(image)
    except Exception:  # Pillow's EXIF parser raises whatever it meets; the pixels are fine without it
        notes.append(f"The EXIF data of {path} is damaged and is not kept.")
    image = turned

    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        pixels: Pixels = np.asarray(image).astype(np.uint16)
        alpha = None
    elif image.mode in {"I", "F"}:
        raise PatchScalerError(
            f"{path} has 32 bits for each pixel, which PatchScaler does not read; "
            "convert it to 16-bit grey or 8-bit colour first."
        )
    else:
        if image.mode not in _GREY_MODES | _RGB_MODES:
            image, profile = _to_rgb(image, profile), None  # the profile described the ink, not these colours
        pixels, alpha = _split(image)
    metadata = Metadata(exif=exif, icc_profile=profile or None, dpi=dpi_to_keep(image))
    return Picture(pixels, alpha, metadata, tuple(notes))


def _contents(path: Path) -> bytes:
    """The file's bytes, at least one.

    Pillow is given these, not the path: it would map an uncompressed TIFF into memory and, where its orientation
    swaps width and height, garble it.
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


def _decode(path: Path, contents: bytes) -> tuple[Image.Image, list[str]]:
    """Decode it all, so that nothing can fail later; and say what will be left behind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about odd but readable files
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(contents), formats=[each.name for each in FORMATS])
            notes = _what_is_lost(path, image)
            image.load()
            return image, notes
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as bomb:
        raise PatchScalerError(_too_many_pixels(path, str(bomb))) from None
    except UnidentifiedImageError:
        raise PatchScalerError(
            f"{path} is not a picture that PatchScaler reads ({LABELS}), or it is damaged or has no pixels; "
            "open it in an image viewer to see which."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        raise PatchScalerError(f"{path} is damaged or cut short ({error}); copy or download it again.") from error


def _too_many_pixels(path: Path, pillows_words: str) -> str:
    number = re.search(r"\d+", pillows_words)  # "Image size (… pixels) exceeds limit of …"
    count = f"{int(number.group()):,} pixels" if number else "too many pixels"
    return f"{path} holds {count}, more than the limit of {Image.MAX_IMAGE_PIXELS:,}; crop it or reduce it first."


def _what_is_lost(path: Path, image: ImageFile.ImageFile) -> list[str]:
    """Sentences about what this version of PatchScaler does not carry over; asked between opening and decoding."""
    notes = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a phone's JPEG whose further frames are its own previews
        notes.append(f"{path} has {frames} frames or pages; only the first is upscaled.")
    packing = " ".join(str(tile.args) for tile in image.tile)  # how the file packs its pixels, such as "RGB;16B"
    if image.mode.startswith("I;16"):
        if "transparency" in image.info:
            notes.append(f"The transparent grey of {path} is not kept: 16-bit pictures are written without alpha.")
    elif re.search(r";16[BLN]", packing):
        notes.append(f"{path} has 16 bits for each channel; only the upper 8 are kept.")
    return notes


def _to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert CMYK, LAB and other foreign colours to sRGB, by the file's own profile where it is usable."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _split(image: Image.Image) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """Colour [H, W, 3] or grey [H, W], and alpha [H, W] or None; all uint8."""
    grey = image.mode in _GREY_MODES
    if not image.has_transparency_data:
        return np.array(image.convert("L" if grey else "RGB")), None
    whole = np.array(image.convert("LA" if grey else "RGBA"))
    colours = whole[..., 0] if grey else whole[..., :3]
    return np.ascontiguousarray(colours), np.ascontiguousarray(whole[..., -1])
