"""A folder of everything that people keep among their photographs: what is fine, what is broken, what is no picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from patchscaler_cli.images.formats import MODES, Mode
from patchscaler_cli.images.writing import write_picture
from tests.image_samples import P3_PROFILE, ramp
from tests.plain_png import claiming_png

Make = Callable[[Path], object]
"""Makes the file."""


@dataclass(frozen=True)
class Good:
    """A file that is a picture.

    Attributes:
        make: writes it.
        mode: what its output is made of.
        tolerance: largest difference of an 8-bit sample from what it shows.
    """

    make: Make
    mode: Mode = "RGB"
    tolerance: int = 0


def photo(width: int = 24, height: int = 16) -> Image.Image:
    """A colourful picture with a dark top left corner, so that it is seen when it is turned."""
    across = np.linspace(60, 250, width)[None].repeat(height, 0)
    down = np.linspace(40, 220, height)[:, None].repeat(width, 1)
    pixels = np.stack([across, down, 255 - across], 2).astype(np.uint8)
    pixels[: height // 3, : width // 3] = 10
    return Image.fromarray(pixels)


def _saved(mode: str = "RGB", **words: Any) -> Make:
    return lambda path: photo().convert(mode).save(path, **words)


def _sized(width: int, height: int, **words: Any) -> Make:
    return lambda path: photo(width, height).save(path, **words)


def _turned(orientation: int) -> Make:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return _saved(exif=exif.tobytes())


def _sprite(path: Path) -> None:
    image = photo().convert("RGBA")
    image.paste((255, 255, 255, 0), (14, 0, 24, 16))
    image.save(path)


def _grey_palette(path: Path) -> None:
    photo().convert("L").quantize(16, dither=Image.Dither.NONE).save(path)


def _clear_palette(path: Path) -> None:
    image = photo().quantize(15)
    image.paste(15, (14, 0, 24, 16))
    image.save(path, transparency=15)


def _animated(path: Path) -> None:
    frames = [photo(), photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, lossless=True)


def _pages(path: Path) -> None:
    photo().save(path, save_all=True, append_images=[photo(5, 5)])


def _inks(path: Path) -> None:
    photo().convert("CMYK").save(path, quality=100, subsampling=0)


LONG = "long " + "n" * 246
"""With an ending of four letters a name of 255, the longest there can be."""


def good_files() -> dict[str, Good]:
    """Names and files; a folder in front of a name is a folder in the folder."""
    files: dict[str, Good] = {}
    for mode in MODES:
        for ending in ("png", "tif"):
            name = f"{mode} as {ending}.{ending}"
            stored: Mode = "RGBA16" if (mode, ending) == ("LA16", "tif") else mode
            files[name] = Good(lambda path, mode=mode: write_picture(path, ramp(mode)), stored)  # type: ignore[misc]
    for orientation in range(1, 9):
        files[f"orientation {orientation}.jpg"] = Good(_turned(orientation), tolerance=2)
    return files | {
        "orientation 6 webp.webp": Good(_turned(6), tolerance=2),
        "orientation 5 tiff.tiff": Good(_turned(5)),
        "orientation 3 png.PNG": Good(_turned(3)),
        "bit png.png": Good(_saved("1"), "L"),
        "bit tiff.tif": Good(_saved("1"), "L"),
        "bit bmp.bmp": Good(_saved("1"), "L"),
        "palette.png": Good(_saved("P")),
        "palette grey.png": Good(_grey_palette, "L"),
        "palette clear.png": Good(_clear_palette, "RGBA"),
        "palette bmp.bmp": Good(_saved("P")),
        "still.gif": Good(_saved("P")),
        "moving gif.gif": Good(_animated, tolerance=40),
        "moving webp.webp": Good(_animated, tolerance=8),
        "moving png.png": Good(_animated),
        "grey.jpg": Good(_saved("L"), "L", 2),
        "inks.jpg": Good(_inks, tolerance=2),
        "inks tiff.tif": Good(_saved("CMYK")),
        "lab.tif": Good(_saved("LAB"), tolerance=1),
        "pages.tif": Good(_pages),
        "colour bmp.bmp": Good(_saved()),
        "sprite.png": Good(_sprite, "RGBA"),
        "sprite webp.webp": Good(_sprite, "RGBA", 8),
        "colour webp.webp": Good(_saved(lossless=True)),
        "colour avif.avif": Good(_saved(), tolerance=2),
        "wide gamut.png": Good(_saved(icc_profile=P3_PROFILE), tolerance=2),
        "progressive.jpeg": Good(_saved(progressive=True), tolerance=2),
        "one pixel.png": Good(_sized(1, 1)),
        "one pixel jpeg.jpg": Good(_sized(1, 1), tolerance=2),
        "tall line.png": Good(_sized(1, 5000)),
        "wide line.png": Good(_sized(5000, 1)),
        "tall line jpeg.jpg": Good(_sized(1, 500), tolerance=2),
        "three by two.webp": Good(_sized(3, 2, lossless=True)),
        "Ferien in Tōkyō 東京 🗼.png": Good(_saved()),
        "cafe\u0301.png": Good(_saved()),
        "-o.png": Good(_saved()),
        "[a-z]*?.png": Good(_saved()),
        "quotes ' and \" and %d {} $HOME.png": Good(_saved()),
        "line\nbreak.png": Good(_saved()),
        "some.dots.in it.png": Good(_saved()),
        "really a jpeg.png": Good(_saved(format="JPEG", quality=95), tolerance=2),
        "ENDING.JPG": Good(_saved(), tolerance=2),
        os.fsdecode(b"latin-1 caf\xe9.png"): Good(_saved()),
        f"{LONG}.jpg": Good(_saved(), tolerance=2),
        "東" * 83 + ".png": Good(_saved()),
        "deep/er/one.png": Good(_saved()),
        "folder named like a.png/picture.png": Good(_saved()),
        "read only/picture.png": Good(_saved()),
    }


def _holding(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def _cut(share: float, make: Make | None = None) -> Make:
    """A file of which only the first part is there."""

    def make_and_cut(path: Path) -> None:
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
        (make or noise.save)(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])

    return make_and_cut


def _flipped(path: Path) -> None:
    """A PNG with one wrong byte amid its pixels."""
    photo(64, 64).save(path)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)


def bad_files() -> dict[str, Make]:
    """Names and makers of files that are pictures by their names alone."""
    return {
        "empty.png": _holding(b""),
        "text.jpg": _holding(b"Milk, bread, apples.\n" * 40),
        "zeros.tif": _holding(bytes(1000)),
        "no pixels.png": _holding(claiming_png(0, 5)),
        "bomb.png": _holding(claiming_png(50000, 50000)),
        "cut.png": _cut(0.5),
        "cut near its end.png": _cut(0.97),
        "cut jpeg.jpg": _cut(0.5),
        "cut in its header.jpg": _cut(0.02),
        "cut webp.webp": _cut(0.5),
        "cut tiff.tif": _cut(0.5),
        "cut bmp.bmp": _cut(0.5),
        "cut avif.avif": _cut(0.9),
        "cut animation.gif": _cut(0.8, _animated),
        "cut animation webp.webp": _cut(0.8, _animated),
        "flipped.png": _flipped,
        "float.tif": lambda path: Image.fromarray(np.zeros((4, 4), np.float32)).save(path),
        "not heic.heic": _holding(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)),
        "link to nothing.png": lambda path: path.symlink_to("nothing.png"),
        "link to itself.png": lambda path: path.symlink_to(path.name),
    }


def other_files() -> dict[str, Make]:
    """Names and makers of what is passed over."""
    return {
        "notes.txt": _holding(b"no picture"),
        "raw.cr2": _holding(b"II*\0"),
        ".hidden.png": _saved(),
        "pipe.png": lambda path: os.mkfifo(path),
    }
