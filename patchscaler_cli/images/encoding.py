"""A picture's samples and metadata in the words of each format, and sentences about what a format has no place for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image, PngImagePlugin

from patchscaler_cli.images.alpha import Samples, on_background
from patchscaler_cli.images.colour import matrix_profile, profile_space
from patchscaler_cli.images.depth import eight_bit, quantised, strips, unit, white_of
from patchscaler_cli.images.formats import Format
from patchscaler_cli.images.metadata import Metadata, exif_to_write
from patchscaler_cli.images.options import WHITE, Colour, WriteOptions
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.sixteen_bit import Deep, write_deep_png, write_deep_tiff

_JPEG_SEGMENT = 65533
"""Bytes that one segment of a JPEG holds; EXIF and XMP must each fit into one, with their names."""
_ROOM = 64
"""Bytes of it that the tags take which are added to the EXIF."""
_EXIF_NAME, _XMP_NAME = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def encode(file: BinaryIO, form: Format, picture: Picture, options: WriteOptions) -> None:
    """Write a picture as `form` stores it (`formats._STORED`).

    Args:
        file: open for writing and reading, at its start.
        form: a format of single pictures.
        picture: with the file's own colours as `pixels`.
        options: already checked.

    Raises:
        Exception: of any kind: the disk's errors, and whatever Pillow's encoders meet.
    """
    words = metadata_words(form, picture, options)
    stored = form.stored_mode(picture.mode)
    pixels, alpha = samples_for(form, picture, options.background)
    if stored in ("LA16", "RGB16", "RGBA16"):
        colours = pixels if pixels.ndim == 3 else pixels[..., None]
        if pixels.ndim == 2 and stored != "LA16":
            colours = np.broadcast_to(colours, (*pixels.shape, 3))
        write = write_deep_tiff if form.name == "TIFF" else write_deep_png
        write(file, cast("Deep", colours), cast("Deep | None", alpha), **words)
        return
    image = Image.fromarray(pixels)
    if stored in ("RGB", "RGBA") and image.mode == "L":
        image = image.convert("RGB")
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    image.save(file, form.name, **form.options, **options.compression(form), **pillows_words(words))


def samples_for(form: Format, picture: Picture, background: Colour) -> tuple[Samples, Samples | None]:
    """Colour [H, W, 3] or grey [H, W], and alpha [H, W] or None, in the depth and the colour space that `form` stores.

    Alpha that `form` does not store is composited on the background.
    """
    stored = form.stored_mode(picture.mode)
    pixels, alpha = picture.pixels, picture.alpha
    profile = matrix_profile(picture.metadata.icc_profile) if pixels.ndim == 3 else None
    if alpha is not None and "A" not in stored:
        white = white_of(pixels.dtype)
        paper = unit(np.array(background, np.uint8))
        if profile is not None:
            paper = profile.from_srgb(paper)
        if pixels.ndim == 2 and len(set(background)) > 1:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        levels = tuple(round(float(level) * white) for level in paper)
        pixels = on_background(pixels, alpha, levels if pixels.ndim == 3 else levels[:1])
        alpha = None
    if profile is not None and not form.icc_profile:
        pixels = pixels.copy()
        for rows in strips(pixels.shape[0]):
            pixels[rows] = quantised(profile.to_srgb(unit(pixels[rows])), pixels.dtype)
    if not stored.endswith("16"):
        pixels, alpha = eight_bit(pixels), None if alpha is None else eight_bit(alpha)
    return pixels, alpha


def metadata_words(form: Format, picture: Picture, options: WriteOptions) -> dict[str, Any]:
    """What travels beside the pixels, as the arguments of `write_deep_png` or `write_deep_tiff`."""
    metadata = _kept(form, picture, options)
    words: dict[str, Any] = {"icc_profile": metadata.icc_profile, "dpi": metadata.dpi}
    if form.name == "GIF":
        return {"texts": {"comment": options.provenance} if options.provenance else {}}
    if form.exif:
        words["exif"] = exif_to_write(
            metadata, picture.width, picture.height, options.provenance, with_xmp=form.name == "TIFF"
        )
    if form.name == "PNG":
        words["texts"] = {"Software": options.provenance} if options.provenance else {}
        if metadata.xmp:
            words["texts"]["XML:com.adobe.xmp"] = metadata.xmp.decode("utf-8", "replace")
    elif form.xmp and form.name != "TIFF":
        words["xmp"] = metadata.xmp
    return words


def pillows_words(words: dict[str, Any]) -> dict[str, Any]:
    """`metadata_words` as Pillow's `save` takes them."""
    words = {name: value for name, value in words.items() if value}
    texts = words.pop("texts", {})
    if "comment" in texts:
        return {"comment": texts["comment"]}
    if texts:
        words["pnginfo"] = PngImagePlugin.PngInfo()
        for keyword, text in texts.items():
            words["pnginfo"].add_itxt(keyword, text)
    return words


def _kept(form: Format, picture: Picture, options: WriteOptions) -> Metadata:
    """The metadata that goes into the file: what the user wants kept and the format has a place for."""
    metadata = picture.metadata
    if options.strip_metadata:
        metadata = Metadata(icc_profile=metadata.icc_profile)
    return replace(
        metadata,
        exif=None if not form.exif or _is_too_long(form, metadata.exif, _EXIF_NAME, options) else metadata.exif,
        xmp=None if not form.xmp or _is_too_long(form, metadata.xmp, _XMP_NAME, options) else metadata.xmp,
        dpi=metadata.dpi if form.dpi else None,
        icc_profile=metadata.icc_profile if form.icc_profile and not _misfits(form, picture, options) else None,
    )


def _misfits(form: Format, picture: Picture, options: WriteOptions) -> bool:
    """Whether the picture has a profile for grey and the file gets colour."""
    profile = picture.metadata.icc_profile
    coloured = form.stored_mode(picture.mode).startswith("RGB") or (
        picture.alpha is not None and "A" not in form.stored_mode(picture.mode) and len(set(options.background)) > 1
    )
    return profile is not None and profile_space(profile) == "GRAY" and coloured


def _is_too_long(form: Format, block: bytes | None, name: bytes, options: WriteOptions) -> bool:
    if block is None or form.name != "JPEG":
        return False
    added = _ROOM + len(options.provenance or "") if name == _EXIF_NAME else 0
    return len(block.removeprefix(name)) + len(name) + added > _JPEG_SEGMENT


def what_is_lost(path: Path, form: Format, picture: Picture, options: WriteOptions) -> list[str]:
    """Sentences about what the file will not hold although the picture has it."""
    stored, metadata, notes = form.stored_mode(picture.mode), picture.metadata, []
    if "A" not in stored and has_see_through(picture):
        red, green, blue = options.background
        on = "white" if options.background == WHITE else f"of the colour #{red:02x}{green:02x}{blue:02x}"
        notes.append(
            f"{form.label} has no transparency: in {path} the transparent parts are {on}; write PNG to keep them."
        )
    if picture.mode.endswith("16") and not stored.endswith("16"):
        notes.append(
            f"{form.label} holds no 16 bits: {path} has 8 bits for each channel; write PNG or TIFF to keep 16."
        )
    if _misfits(form, picture, options):
        notes.append(f"{form.label} stores grey as colour, so the grey profile of {path} is left out.")
    if not form.icc_profile and picture.pixels.ndim == 3 and matrix_profile(metadata.icc_profile) is not None:
        notes.append(f"{form.label} has no colour profiles: {path} is in sRGB; write PNG to keep the wide gamut.")
    if not options.strip_metadata:
        for word, block, name in (("EXIF", metadata.exif, _EXIF_NAME), ("XMP", metadata.xmp, _XMP_NAME)):
            if _is_too_long(form, block, name, options):
                notes.append(f"The {word} data is too long for a JPEG and is left out of {path}; write PNG to keep it.")
    return notes


def has_see_through(picture: Picture) -> bool:
    """Whether any pixel is not opaque."""
    return picture.alpha is not None and bool(cast("int", picture.alpha.min()) < white_of(picture.alpha.dtype))
