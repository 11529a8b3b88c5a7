"""Where tiles and patches lie: geometry without pixels. All lengths here are LR pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PatchGrid:
    """The patches of one image, anchored at its top left corner.

    Patches step by `size - overlap` and cover the image; the last ones reach over its right and bottom border by
    less than one step, where the image is continued by reflection.

    Attributes:
        height: of the image.
        width: of the image.
        size: side of a patch.
        overlap: of neighbouring patches, at most half of `size`.
    """

    height: int
    width: int
    size: int = 16
    overlap: int = 2

    def _count(self, length: int) -> int:
        return max(1, -(-(length - self.overlap) // (self.size - self.overlap)))

    @property
    def rows(self) -> int:
        return self._count(self.height)

    @property
    def columns(self) -> int:
        return self._count(self.width)

    @property
    def tops(self) -> npt.NDArray[np.int64]:
        """First row of every row of patches [rows]."""
        return np.arange(self.rows, dtype=np.int64) * (self.size - self.overlap)

    @property
    def lefts(self) -> npt.NDArray[np.int64]:
        """First column of every column of patches [columns]."""
        return np.arange(self.columns, dtype=np.int64) * (self.size - self.overlap)

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width that the patches cover together: at least the image's."""
        return int(self.tops[-1]) + self.size, int(self.lefts[-1]) + self.size


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image: rows `top` to `bottom`, columns `left` to `right`, the ends not included."""

    top: int
    bottom: int
    left: int
    right: int


def tiles(height: int, width: int, side: int) -> Iterator[Tile]:
    """Cut a rectangle into tiles of at most `side` x `side`, row by row from the top left; every pixel is in one tile."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Tile(top, min(top + side, height), left, min(left + side, width))


def reflected(start: int, stop: int, length: int) -> npt.NDArray[np.int64]:
    """The pixels that stand at positions `start` to `stop` of a line of `length` pixels continued by reflection.

    The border pixel is not repeated (... 2 1 0 1 2 ...); beyond the far end it is reflected again, as often as needed.

    Returns:
        Indices [stop - start], each in 0..length-1.
    """
    if length == 1:
        return np.zeros(stop - start, np.int64)
    folded = np.arange(start, stop, dtype=np.int64) % (2 * (length - 1))
    return np.minimum(folded, 2 * (length - 1) - folded)
