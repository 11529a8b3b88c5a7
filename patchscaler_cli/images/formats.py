"""The file formats that PatchScaler reads and writes, and what each has room for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from patchscaler_cli.errors import UsageError

Mode = Literal["L", "LA", "RGB", "RGBA", "L16", "LA16", "RGB16", "RGBA16"]
"""What one pixel is made of: grey (L) or colour (RGB), with alpha (A) or without, of 8 or 16 bits each."""
MODES: tuple[Mode, ...] = ("L", "LA", "RGB", "RGBA", "L16", "LA16", "RGB16", "RGBA16")

# Which mode goes to which format how: a column for each mode of a `Picture`, a row for each format, and where they
# meet the mode that the file gets. The difference says what happens on the way: 16 -> 8 bits is rounded, a lost A is
# composited on the background, L -> RGB is repeated. P is a palette made for the picture, PA one with a clear entry.
_STORED = {
    # a Picture's  L    LA    RGB  RGBA  L16  LA16    RGB16  RGBA16
    "PNG":  "      L    LA    RGB  RGBA  L16  LA16    RGB16  RGBA16",
    "JPEG": "      L    L     RGB  RGB   L    L       RGB    RGB",
    "WEBP": "      RGB  RGBA  RGB  RGBA  RGB  RGBA    RGB    RGBA",
    "TIFF": "      L    LA    RGB  RGBA  L16  RGBA16  RGB16  RGBA16",  # most readers know no 16-bit grey with alpha
    "BMP":  "      L    L     RGB  RGB   L    L       RGB    RGB",
    "AVIF": "      RGB  RGBA  RGB  RGBA  RGB  RGBA    RGB    RGBA",  # Pillow's AVIF ends at 8 bits
    "GIF":  "      P    PA    P    PA    P    PA      P      PA",
}  # fmt: skip


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: Pillow's name for it.
        label: the name that people use.
        suffixes: file name endings in lower case; the first is the usual one.
        still: single pictures are written in it.
        animated: animations are written in it.
        max_side: largest width or height in pixels that can be stored and read again; None if no picture reaches it.
        max_bytes: largest size of the pixels, which are not compressed; None if no picture reaches it.
        least_share: of the pixels' size, what a photograph's file takes at the very least: half of what upscaled
            photographs were measured to take at the quality below, all of it where nothing is compressed.
        quality: the quality (1 to 100) that is used where none is asked for; None where nothing is ever lost.
        lossless: has a way to lose nothing.
        exif: has a place for EXIF.
        xmp: has a place for XMP.
        icc_profile: has a place for a colour profile.
        dpi: has a place for the resolution.
        options: what Pillow's `save` is told beyond the picture.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    still: bool = True
    animated: bool = False
    max_side: int | None = None
    max_bytes: int | None = None
    least_share: float = 1.0
    quality: int | None = None
    lossless: bool = True
    exif: bool = True
    xmp: bool = True
    icc_profile: bool = True
    dpi: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    def stored_mode(self, mode: Mode) -> Mode | Literal["P", "PA"]:
        """The mode in which the format stores a picture of `mode`."""
        return cast("Mode | Literal['P', 'PA']", _STORED[self.name].split()[MODES.index(mode)])


_4_GIB = 2**32 - 2**20
"""Bytes that a file with 32-bit offsets has for pixels; a mebibyte is left for everything else."""

# The lossy formats keep full colour resolution and a quality at which their losses are hard to see: an upscaled
# picture's fine detail is what the user waited for.
FORMATS = (
    Format("PNG", "PNG", (".png", ".apng"), animated=True, least_share=0.25),
    # The JPEG standard ends at 65535; libjpeg, which writes and reads nearly all of them, at 65500.
    Format("JPEG", "JPEG", (".jpg", ".jpeg"), max_side=65500, least_share=0.05, quality=95, lossless=False, options={"subsampling": 0}),
    Format("WEBP", "WebP", (".webp",), animated=True, max_side=16383, least_share=0.03, quality=95, dpi=False),
    # Uncompressed: Pillow's way to compress a TIFF cannot write EXIF's inner blocks (exposure, position).
    Format("TIFF", "TIFF", (".tif", ".tiff"), max_bytes=_4_GIB),
    Format("BMP", "BMP", (".bmp",), max_bytes=_4_GIB, exif=False, xmp=False, icc_profile=False),
    # libavif writes up to 65536 but by default reads no more than 32768.
    Format("AVIF", "AVIF", (".avif",), max_side=32768, least_share=0.03, quality=90, lossless=False, dpi=False, options={"subsampling": "4:4:4"}),
    Format("GIF", "GIF", (".gif",), still=False, animated=True, max_side=65535, least_share=0.1, exif=False, xmp=False, icc_profile=False, dpi=False),
)  # fmt: skip


def _listed(words: list[str], last: str) -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


LABELS = _listed([*(each.label for each in FORMATS), "HEIC"], "or")
"""The formats that are read, as a sentence lists them: "PNG, JPEG, … or HEIC"."""


def named_format(name: str) -> Format:
    """The format of that name.

    Args:
        name: a format's name in any case, or one of its endings without the dot, such as "jpeg" or "tif".

    Raises:
        UsageError: if nothing is written in a format of that name.
    """
    for each in FORMATS:
        if f".{name.lower()}" in each.suffixes:
            return each
    labels = _listed([each.label for each in FORMATS], "or")
    raise UsageError(f"{name} is not a format that PatchScaler writes; choose {labels}.")


def format_of(path: Path, name: str | None = None, *, animated: bool = False) -> Format:
    """The format that is asked for by its name or, without one, by the file name's ending.

    Args:
        path: the file to be written.
        name: as `named_format` takes it.
        animated: ask for a format that holds an animation.

    Raises:
        UsageError: if the name or the ending is none of theirs, or they contradict each other.
    """
    possible = [each for each in FORMATS if (each.animated if animated else each.still)]
    by_ending = next((each for each in FORMATS if path.suffix.lower() in each.suffixes), None)
    still = ", or --first-frame for a single picture" if animated else ""
    if name is None:
        if by_ending in possible:
            return by_ending
        endings = ", ".join(suffix for each in possible for suffix in each.suffixes)
        ending = f"the ending {path.suffix}" if path.suffix else "no ending"
        what = "format for an animation" if animated else "format for a single picture"
        raise UsageError(f"The output {path} has {ending}, which says no {what}; give it one of {endings}{still}.")
    named = named_format(name)
    if named not in possible:
        labels = _listed([each.label for each in possible], "or")
        what = "animations" if animated else "single pictures"
        raise UsageError(f"{named.label} is not a format for {what}; choose {labels}{still}.")
    if by_ending not in (None, named):
        raise UsageError(
            f"The output {path} says another format than the {named.label} that is asked for; "
            f"give it the ending {named.suffixes[0]} or leave the format out."
        )
    return named
