"""From a file to a `Picture`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.alpha import Samples, bled
from patchscaler_cli.images.colour import OwnColours, matrix_profile
from patchscaler_cli.images.decoding import contents_of, decoding, open_picture
from patchscaler_cli.images.header import ANIMATED, frame_numbers
from patchscaler_cli.images.metadata import Metadata, dpi_to_keep, exif_to_keep, orientation_of, upright, xmp_to_keep
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.sixteen_bit import has_deep_planes, is_deep_colour, is_deep_otherwise, load_deep

_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_RGB_MODES = frozenset({"RGB", "RGBA", "RGBa", "RGBX", "P", "PA"})


def read_picture(path: Path, *, first_frame: bool = False, wraps: bool = False) -> Picture:
    """Read a picture file, turned upright.

    Grey and black-and-white become grey [H, W], everything else RGB [H, W, 3], of 8 or 16 bits as the file has them.
    A wide-gamut picture comes in sRGB, of 16 bits, with its own colours apart. Inks (CMYK) and LAB become sRGB.

    Args:
        path: the file.
        first_frame: of an animation, take the first frame; see `read_animation` for all.
        wraps: it is a texture that is laid like tiles.

    Raises:
        PatchScalerError: if the file is missing, a folder, empty, unreadable, no picture, damaged, an animation
            without `first_frame`, HEIC without the extra for it, or holds more pixels than Pillow's limit
            (`PIL.Image.MAX_IMAGE_PIXELS`) or 32-bit pixels.
    """
    contents = contents_of(path)
    with decoding(path):
        image = open_picture(path, io.BytesIO(contents))
        notes = _about_frames(path, image, first_frame)
        if has_deep_planes(image):
            raise PatchScalerError(
                f"{path} stores its 16-bit channels apart, which PatchScaler does not read; "
                "save it as an ordinary 16-bit TIFF or PNG first."
            )
        if is_deep_colour(image):
            pixels, alpha = _deep(image, load_deep(image, open_picture(path, io.BytesIO(contents))))
            return picture_of(path, image, pixels, alpha, notes, wraps=wraps)
        if is_deep_otherwise(image):
            notes.append(f"{path} has 16 bits for each channel; only the upper 8 are kept.")
        if image.info.get("bit_depth", 8) > 8:  # of a HEIC
            notes.append(f"{path} has {image.info['bit_depth']} bits for each channel; only the upper 8 are kept.")
        image.load()
    if image.mode in {"I", "F"}:
        raise PatchScalerError(
            f"{path} has 32 bits for each pixel, which PatchScaler does not read; "
            "convert it to 16-bit grey or 8-bit colour first."
        )
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint16)
        return picture_of(path, image, grey, _keyed_alpha(grey[..., None], image), notes, wraps=wraps)
    return picture_of(path, image, *_samples(path, image, notes), notes, wraps=wraps)


def _about_frames(path: Path, image: ImageFile.ImageFile, first_frame: bool) -> list[str]:
    """Sentences about what further frames or pages mean for the result.

    Raises:
        PatchScalerError: if the file is an animation and not only its first frame is wanted.
    """
    animated = image.format in ANIMATED
    frames = len(frame_numbers(image)) if animated else getattr(image, "n_frames", 1)
    if frames == 1:
        return []
    if animated:
        if first_frame:
            return []
        raise PatchScalerError(
            f"{path} is an animation of {frames} frames, of which this would keep one; "
            "give --first-frame to upscale that one."
        )
    if image.format in {"MPO", "HEIF"}:
        return []
    return [f"{path} has {frames} pages; only the first is upscaled."]


def picture_of(
    path: Path, image: Image.Image, pixels: Samples, alpha: Samples | None, notes: list[str], *, wraps: bool = False
) -> Picture:
    """The picture of decoded samples, with what the file holds beside them.

    Args:
        path: the file.
        image: as it was decoded.
        pixels: its colours [H, W, 3] or grey [H, W], not yet upright.
        alpha: [H, W] in the same depth, or None.
        notes: sentences about what was left behind.
        wraps: it is a texture that is laid like tiles.
    """
    notes = list(notes)
    exif, orientation = None, 1
    try:
        orientation = orientation_of(image)
        exif = exif_to_keep(image)
    except Exception:  # Pillow's EXIF parser raises whatever it meets; the pixels are fine without it
        notes.append(f"The EXIF data of {path} is damaged and is not kept.")
    pixels = cast("Samples", upright(pixels, orientation))
    if alpha is not None:
        alpha = cast("Samples", upright(alpha, orientation))
        pixels = bled(pixels, alpha, wraps=wraps)
    icc_profile = image.info.get("icc_profile") or None
    metadata = Metadata(exif, icc_profile, dpi_to_keep(image), xmp_to_keep(image))
    profile = matrix_profile(icc_profile) if pixels.ndim == 3 else None
    if profile is None:
        return Picture(pixels, alpha, metadata, tuple(notes), wraps=wraps)
    own = OwnColours(profile, pixels)
    return Picture(own.for_network(), alpha, metadata, tuple(notes), own, wraps)


def _deep(
    image: Image.Image, samples: npt.NDArray[np.uint16]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16] | None]:
    """16-bit samples [H, W, C] as colour [H, W, 3] or grey [H, W], and alpha [H, W] or None."""
    channels = samples.shape[2]
    if channels == 3:
        return samples, _keyed_alpha(samples, image)
    colours = samples[..., 0] if channels == 2 else samples[..., :3]
    return np.ascontiguousarray(colours), np.ascontiguousarray(samples[..., -1])


def _keyed_alpha(samples: npt.NDArray[np.uint16], image: Image.Image) -> npt.NDArray[np.uint16] | None:
    """Alpha [H, W] of a PNG in which one colour or grey of `samples` [H, W, C] is transparent; None if none is."""
    key = image.info.get("transparency")
    if key is None:
        return None
    return np.where((samples == np.array(key)).all(axis=2), 0, 65535).astype(np.uint16)


def _samples(
    path: Path, image: Image.Image, notes: list[str]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """Colour [H, W, 3] or grey [H, W], and alpha [H, W] or None, of a decoded picture of 8 bits or fewer.

    Adds to `notes`, and takes the profile out of the picture's `info` where it describes other colours than these.
    """
    if image.mode not in _GREY_MODES | _RGB_MODES:
        notes.append(f"{path} has {image.mode} colours; the result is RGB.")
        rgb = _to_srgb(image)
        image.info.pop("icc_profile", None)  # it described the ink
        return np.array(rgb), None
    colours, alpha = split(image)
    if image.mode in {"P", "PA"} and not image.info.get("icc_profile"):
        grey = colours[..., :1]
        if (colours == grey).all():  # a palette of greys stays grey
            return np.ascontiguousarray(grey[..., 0]), alpha
    return colours, alpha


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert CMYK, LAB and other foreign colours to sRGB, by the file's own profile where it is usable."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def split(image: Image.Image) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """Colour [H, W, 3] or grey [H, W], and alpha [H, W] or None; all uint8."""
    grey = image.mode in _GREY_MODES
    if not image.has_transparency_data:
        return np.array(image.convert("L" if grey else "RGB")), None
    whole = np.array(image.convert("LA" if grey else "RGBA"))
    colours = whole[..., 0] if grey else whole[..., :3]
    return np.ascontiguousarray(colours), np.ascontiguousarray(whole[..., -1])
