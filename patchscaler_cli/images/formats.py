"""The file formats that PatchScaler reads and writes, and what each has room for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patchscaler_cli.errors import UsageError


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: Pillow's name for it.
        label: the name that people use.
        suffixes: file name endings in lower case; the first is the usual one.
        max_side: largest width or height in pixels that can be stored and read again; None if no picture reaches it.
        alpha: has transparency.
        sixteen_bit_grey: stores 16 bits for each grey pixel.
        exif: has a place for EXIF.
        icc_profile: has a place for a colour profile.
        dpi: has a place for the resolution.
        options: what Pillow's `save` is told beyond the picture.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    max_side: int | None = None
    alpha: bool = False
    sixteen_bit_grey: bool = False
    exif: bool = True
    icc_profile: bool = True
    dpi: bool = True
    options: dict[str, Any] = field(default_factory=dict)


# The lossy formats keep full colour resolution and a quality at which their losses are hard to see: an upscaled
# picture's fine detail is what the user waited for.
FORMATS = (
    Format("PNG", "PNG", (".png",), alpha=True, sixteen_bit_grey=True),
    # The JPEG standard ends at 65535; libjpeg, which writes and reads nearly all of them, at 65500.
    Format("JPEG", "JPEG", (".jpg", ".jpeg"), max_side=65500, options={"quality": 95, "subsampling": 0}),
    Format("WEBP", "WebP", (".webp",), max_side=16383, alpha=True, dpi=False, options={"quality": 95}),
    # Uncompressed: Pillow's way to compress a TIFF cannot write EXIF's inner blocks (exposure, position).
    Format("TIFF", "TIFF", (".tif", ".tiff"), alpha=True, sixteen_bit_grey=True),
    Format("BMP", "BMP", (".bmp",), exif=False, icc_profile=False),
    # libavif writes up to 65536 but by default reads no more than 32768.
    Format("AVIF", "AVIF", (".avif",), max_side=32768, alpha=True, dpi=False, options={"quality": 90, "subsampling": "4:4:4"}),
)  # fmt: skip

_labels = [each.label for each in FORMATS]
LABELS = f"{', '.join(_labels[:-1])} or {_labels[-1]}"
"""The formats as a sentence lists them: "PNG, JPEG, … or AVIF"."""


def format_of(path: Path) -> Format:
    """The format that the file name's ending asks for.

    Raises:
        UsageError: if the ending is none of theirs.
    """
    for each in FORMATS:
        if path.suffix.lower() in each.suffixes:
            return each
    endings = ", ".join(suffix for each in FORMATS for suffix in each.suffixes)
    ending = f"the ending {path.suffix}" if path.suffix else "no ending"
    raise UsageError(f"The output {path} has {ending}, which says no format; give it one of {endings}.")
