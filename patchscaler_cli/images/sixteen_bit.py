"""Pictures of 16 bits for each channel, of which Pillow by itself keeps 8.

Reading needs no second library: Pillow unpacks 16-bit colour to the upper byte of each sample, and told that the
bytes lie in the other order, the same unpacker gives the lower byte; two decodes make 16 bits. That works for every
compression, tiling and interlacing that Pillow knows. Writing is a matter of headers: a PNG is filtered and deflated,
a TIFF is the bare samples behind a directory that Pillow makes. Both write strips: no copy of the whole picture.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, TiffImagePlugin

from patchscaler_cli.images.depth import strips

Deep = npt.NDArray[np.uint16]

_METRE_IN_INCHES = 1 / 0.0254
_PLANAR, _PLANES_APART = 284, 2
_BITS_PER_SAMPLE = 258


def is_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Whether an opened file, not decoded yet, has 16 bits for each of several channels that `load_deep` reads."""
    return bool(image.tile) and re.fullmatch(r"(RGB|RGBA|RGBX|RGBa|LA);16[BLN]", _packing(image.tile[0])) is not None


def is_deep_otherwise(image: ImageFile.ImageFile) -> bool:
    """Whether an opened file, not decoded yet, has 16 bits for each channel of which only the upper 8 can be had."""
    return bool(image.tile) and re.search(r"(?<!^I);16[BLN]", _packing(image.tile[0])) is not None


def has_deep_planes(image: ImageFile.ImageFile) -> bool:
    """Whether an opened file is a TIFF with 16-bit channels one after the other, which Pillow decodes wrongly."""
    tags = getattr(image, "tag_v2", {})
    return bool(tags.get(_PLANAR) == _PLANES_APART and 16 in tags.get(_BITS_PER_SAMPLE, ()))


def load_deep(image: ImageFile.ImageFile, again: ImageFile.ImageFile) -> Deep:
    """Decode 16-bit colour [H, W, 3], with alpha [H, W, 4], or grey with alpha [H, W, 2], not multiplied by alpha.

    Args:
        image: opened, not decoded, `is_deep_colour`; it is decoded to its upper bytes on the way.
        again: the same file opened once more.

    Raises:
        Exception: of any kind, where the file is damaged.
    """
    kind, order = _packing(image.tile[0]).split(";16")
    big_endian = order == "B" or (order == "N" and sys.byteorder == "big")
    if kind == "LA":  # four bytes for each pixel, which Pillow may as well take for four channels
        image.tile = [_repacked(tile, "RGBA") for tile in image.tile]
        image.load()
        return np.ascontiguousarray(np.asarray(image)).view(">u2").astype(np.uint16)
    multiplied = kind == "RGBa"
    kind = "RGBA" if multiplied else kind
    image.tile = [_repacked(tile, f"{kind};16{'B' if big_endian else 'L'}") for tile in image.tile]
    again.tile = [_repacked(tile, f"{kind};16{'L' if big_endian else 'B'}") for tile in again.tile]
    image.load()
    again.load()
    samples: Deep = np.asarray(image).astype(np.uint16) << 8 | np.asarray(again)
    if multiplied:
        alpha = np.maximum(samples[..., 3:].astype(np.float32), 1)
        samples[..., :3] = np.clip(np.rint(samples[..., :3] * (65535 / alpha)), 0, 65535)
    return samples


def _packing(tile: Any) -> str:
    """How the file packs its pixels, in Pillow's words: "RGB;16B" is 16-bit colour with the upper byte first."""
    return str(tile.args if isinstance(tile.args, str) else tile.args[0] if tile.args else "")


def _repacked(tile: Any, packing: str) -> Any:
    return tile._replace(args=packing if isinstance(tile.args, str) else (packing, *tile.args[1:]))


def write_deep_png(
    file: BinaryIO,
    colours: Deep,
    alpha: Deep | None = None,
    *,
    exif: bytes | None = None,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    texts: dict[str, str] | None = None,
) -> None:
    """Write a 16-bit PNG.

    Args:
        file: open for writing, at its start.
        colours: colour [H, W, 3] or grey [H, W, 1]; one channel more where alpha is in it.
        alpha: [H, W] where it is apart; grey has one or the other.
        exif: as Pillow's `Exif.tobytes` gives it.
        icc_profile: colour profile.
        dpi: horizontal and vertical resolution in pixels per inch.
        texts: keywords, in Latin letters, and what they say.

    Raises:
        OSError: if the file cannot be written.
    """

    def chunk(kind: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    height, width, channels = _shape(colours, alpha)
    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
    if icc_profile:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile))
    if dpi:
        chunk(b"pHYs", struct.pack(">IIB", *(round(each * _METRE_IN_INCHES) for each in dpi), 1))
    for keyword, text in (texts or {}).items():
        chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode())
    if exif:
        chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    deflate = zlib.compressobj()
    above = np.zeros((1, width * channels * 2), np.uint8)
    for rows in strips(height):
        current = _together(colours, alpha, rows).astype(">u2").view(np.uint8).reshape(-1, width * channels * 2)
        filtered = _paeth(np.concatenate([above, current]), channels * 2)
        above = current[-1:]
        if data := deflate.compress(filtered.tobytes()):
            chunk(b"IDAT", data)
    chunk(b"IDAT", deflate.flush())
    chunk(b"IEND", b"")


def _shape(colours: Deep, alpha: Deep | None) -> tuple[int, int, int]:
    height, width, channels = colours.shape
    return height, width, channels + (alpha is not None)


def _together(colours: Deep, alpha: Deep | None, rows: slice) -> Deep:
    """Some rows of colours and alpha [R, W, C], as they lie in a file."""
    return colours[rows] if alpha is None else np.concatenate([colours[rows], alpha[rows][..., None]], axis=2)


def _paeth(rows: npt.NDArray[np.uint8], pixel: int) -> npt.NDArray[np.uint8]:
    """PNG's filter 4: what is left of each byte when the closest of its neighbours is taken off.

    Args:
        rows: bytes [1 + R, B], the first row being the one above.
        pixel: bytes of one pixel.

    Returns:
        [R, 1 + B], each row after the filter's number.
    """
    around = np.pad(rows, ((0, 0), (pixel, 0))).astype(np.int16)
    corner, up, left = around[:-1, :-pixel], around[:-1, pixel:], around[1:, :-pixel]
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    guess = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
    return np.pad((rows[1:] - guess).astype(np.uint8), ((0, 0), (1, 0)), constant_values=4)


def write_deep_tiff(
    file: BinaryIO,
    colours: Deep,
    alpha: Deep | None = None,
    *,
    exif: bytes | None = None,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write an uncompressed 16-bit TIFF.

    Args:
        file: open for writing, at its start.
        colours: colour [H, W, 3].
        alpha: [H, W], or None.
        exif: as Pillow's `Exif.tobytes` gives it.
        icc_profile: colour profile.
        dpi: horizontal and vertical resolution in pixels per inch.

    Raises:
        OSError: if the file cannot be written.
    """
    height, width, channels = _shape(colours, alpha)
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    write: Callable[[int, Any], None] = directory.__setitem__
    tags = Image.Exif()
    tags.load(exif or b"")
    for tag in tags:
        write(tag, tags.get_ifd(tag) or tags[tag])
    write(TiffImagePlugin.IMAGEWIDTH, width)
    write(TiffImagePlugin.IMAGELENGTH, height)
    write(TiffImagePlugin.BITSPERSAMPLE, (16,) * channels)
    write(TiffImagePlugin.COMPRESSION, 1)
    write(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 2)
    write(TiffImagePlugin.SAMPLESPERPIXEL, channels)
    write(TiffImagePlugin.ROWSPERSTRIP, height)
    directory.tagtype[TiffImagePlugin.STRIPBYTECOUNTS] = 4  # LONG
    write(TiffImagePlugin.STRIPBYTECOUNTS, height * width * channels * 2)
    write(TiffImagePlugin.STRIPOFFSETS, 0)  # counted from the directory's end; `save` adds where that is
    if channels == 4:
        write(TiffImagePlugin.EXTRASAMPLES, 2)  # alpha, not multiplied
    if icc_profile:
        write(TiffImagePlugin.ICCPROFILE, icc_profile)
    if dpi:
        write(TiffImagePlugin.X_RESOLUTION, dpi[0])
        write(TiffImagePlugin.Y_RESOLUTION, dpi[1])
        write(TiffImagePlugin.RESOLUTION_UNIT, 2)  # inches
    directory.save(file)
    for rows in strips(height):
        file.write(_together(colours, alpha, rows).astype("<u2").tobytes())
