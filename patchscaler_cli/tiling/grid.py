"""Where tiles and patches lie: geometry without pixels. All lengths here are LR pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PatchAxis:
    """The patches along one side of an image.

    Patches step by `size - overlap` from the image's beginning; the last one ends where the image does, so it overlaps by more.
    Only an image that is shorter than a patch is continued beyond its end, by reflection.

    Attributes:
        length: of the image.
        size: of a patch.
        overlap: of neighbouring patches, at most half of `size`.
    """

    length: int
    size: int
    overlap: int

    @property
    def different(self) -> int:
        """How many patches there are that are not the same as another."""
        return max(1, -(-(self.length - self.overlap) // (self.size - self.overlap)))

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """First pixel of every patch [n], counted in the extent."""
        starts = np.arange(self.different, dtype=np.int64) * (self.size - self.overlap)
        return np.minimum(starts, max(self.length - self.size, 0))

    def nearest(self, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """The patch in whose middle part each position of the extent lies [n]; pixel i reaches from i to i + 1."""
        middles = self.starts + self.size / 2
        patches: npt.NDArray[np.int64] = np.abs(positions - middles[:, None]).argmin(0)
        return patches

    @property
    def extent(self) -> int:
        """How long what the patches cover is: the image, or a patch where that is longer."""
        return int(self.starts[-1]) + self.size

    @property
    def origin(self) -> int:
        """Where in the extent the image begins."""
        return 0

    def pixels(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The image's pixels that stand at positions `start` to `stop` of the extent and of what lies around it."""
        return reflected(start, stop, self.length)


@dataclass(frozen=True)
class WrappedAxis(PatchAxis):
    """The patches along one side of an image that is continued by itself, as a texture that is laid like tiles.

    Every period has the same patches, spread evenly, overlapping by `overlap` at least; so what is computed at one end
    of the image is what is computed just beyond the other. The extent has some patches beyond either end.

    Attributes:
        around: pixels beyond the image's ends that are covered by all patches that belong there, and pixels of the
            continued image beyond the outermost patches.
    """

    around: int

    @property
    def different(self) -> int:
        """How many patches a period has."""
        return -(-self.length // (self.size - self.overlap))

    @cached_property
    def _patches(self) -> npt.NDArray[np.int64]:
        """First pixel of every patch [n], counted from the image's beginning."""
        count = self.different
        periods = 2 + (self.around + self.size) // self.length
        starts = np.arange(-periods * count, periods * count, dtype=np.int64) * self.length // count
        return starts[(starts + self.size > -self.around) & (starts < self.length + self.around)]

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        return self._patches + self.origin

    @property
    def extent(self) -> int:
        return int(self.starts[-1]) + self.size + self.around

    @property
    def origin(self) -> int:
        return self.around - int(self._patches[0])

    def pixels(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        return (np.arange(start, stop, dtype=np.int64) - self.origin) % self.length


def patch_axis(length: int, size: int, overlap: int, wrap: int | None) -> PatchAxis:
    """The patches along one side of an image; `wrap` as in `PatchGrid`."""
    return PatchAxis(length, size, overlap) if wrap is None else WrappedAxis(length, size, overlap, wrap)


@dataclass(frozen=True)
class PatchGrid:
    """The patches of one image, all of one size, anchored at its top left corner.

    Attributes:
        height: of the image.
        width: of the image.
        size: height and width of a patch.
        overlap: of neighbouring patches, at most half of `size`.
        wrap: None: the image ends at its border. Else it is continued by itself, and this is `WrappedAxis.around`.
    """

    height: int
    width: int
    size: tuple[int, int]
    overlap: int = 2
    wrap: int | None = None

    @cached_property
    def vertical(self) -> PatchAxis:
        """Rows of patches."""
        return patch_axis(self.height, self.size[0], self.overlap, self.wrap)

    @cached_property
    def horizontal(self) -> PatchAxis:
        """Columns of patches."""
        return patch_axis(self.width, self.size[1], self.overlap, self.wrap)

    @property
    def patch_pixels(self) -> int:
        """LR pixels of a patch."""
        return self.size[0] * self.size[1]

    @property
    def wraps(self) -> bool:
        """Whether the image is continued by itself."""
        return self.wrap is not None

    @property
    def rows(self) -> int:
        return len(self.tops)

    @property
    def columns(self) -> int:
        return len(self.lefts)

    @property
    def tops(self) -> npt.NDArray[np.int64]:
        """First row of every row of patches [rows], counted in the extent."""
        return self.vertical.starts

    @property
    def lefts(self) -> npt.NDArray[np.int64]:
        """First column of every column of patches [columns], counted in the extent."""
        return self.horizontal.starts

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the continued image that the patches need."""
        return self.vertical.extent, self.horizontal.extent

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """Rows of the extent that rows `first` to `last` of patches cover, with all above the first and below the last."""
        top = 0 if first == 0 else int(self.tops[first])
        bottom = self.extent[0] if last == self.rows else int(self.tops[last - 1]) + self.size[0]
        return top, bottom

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the extent at which the image begins."""
        return self.vertical.origin, self.horizontal.origin


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image: rows `top` to `bottom`, columns `left` to `right`, the ends not included."""

    top: int
    bottom: int
    left: int
    right: int


def even_cuts(length: int, side: int) -> npt.NDArray[np.int64]:
    """Cut a line into the fewest parts of at most `side`, all alike to within one: where they begin, and the end [n + 1]."""
    count = -(-length // side)
    return np.arange(count + 1, dtype=np.int64) * length // count


def tiles(height: int, width: int, side: int) -> Iterator[Tile]:
    """Cut a rectangle into the fewest tiles of at most `side` x `side`, row by row from the top left.

    Every pixel is in one tile, and no tile is a sliver that has little but its halo: all are alike to within a pixel.
    """
    for top, bottom in pairwise(even_cuts(height, side).tolist()):
        for left, right in pairwise(even_cuts(width, side).tolist()):
            yield Tile(top, bottom, left, right)


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
