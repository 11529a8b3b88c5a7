"""The pictures that are timed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.reading import read_picture

_PACKAGE = Path(__file__).resolve().parents[2]
SAMPLE_FOLDERS = (_PACKAGE / "samples", _PACKAGE.parent / "tests" / "samples")
"""In the wheel, and in a development checkout."""
SAMPLE = "chelsea.png"
"""A photo in the public domain whose share of hard patches is about that of the validation photos."""


@dataclass(frozen=True)
class Workload:
    """A picture to enlarge.

    Attributes:
        name: as tables show it.
        pixels: [H, W, 3] or [H, W], in the file's depth.
    """

    name: str
    pixels: npt.NDArray[Any]


def sample_photo(side: int) -> Workload:
    """The sample photo as a square of `side` pixels.

    A larger square is the photo's middle repeated by reflection, so every size has the same share of hard patches.

    Raises:
        PatchScalerError: if the sample is not installed.
    """
    found = next((path for folder in SAMPLE_FOLDERS if (path := folder / SAMPLE).is_file()), None)
    if found is None:
        raise PatchScalerError(f"The sample photo {SAMPLE} is not installed; name a picture of your own.")
    photo = read_picture(found).pixels
    rows, columns = (_reflected(side, length) for length in photo.shape[:2])
    return Workload(f"sample {side}x{side}", np.ascontiguousarray(photo[rows[:, None], columns[None]]))


def _reflected(side: int, length: int) -> npt.NDArray[np.int64]:
    """`side` indices into a line of `length` pixels: its middle, continued by reflection on both sides."""
    folded = np.arange(side) + (length - side) // 2
    folded %= 2 * length
    return np.minimum(folded, 2 * length - 1 - folded)


def photo_of(path: Path) -> Workload:
    """A picture from a file.

    Raises:
        PatchScalerError: if it cannot be read.
    """
    return Workload(path.name, read_picture(path, first_frame=True).pixels)
