"""A window on the rows of a picture too tall to be held as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]

PART_PIXELS = 2**17
"""HR pixels of a part, about: what is done to it in several passes does not leave the processor's cache in between."""


def parts(first: int, last: int, pixels_a_row: int) -> Iterator[tuple[int, int]]:
    """Rows `first` to `last` in parts of about PART_PIXELS, from the top down: the first row of each and the one after its
    last."""
    height = max(1, PART_PIXELS // pixels_a_row)
    for top in range(first, last, height):
        yield top, min(top + height, last)


class RowWindow:
    """Rows `start` to `stop` of a tall picture [channels, …, width], float32: rows join below and are dropped above.

    The rows lie in one buffer, as large as the most rows ever held together; it is filled again from its top when its
    end is reached, so that rows are rarely copied and never held twice.

    Attributes:
        channels: of the picture.
        start: first row that is held.
        stop: the row after the last that is held.
    """

    def __init__(self, channels: int, width: int, start: int = 0) -> None:
        """A window that holds nothing yet; the first row to join is row `start`."""
        self.channels = channels
        self.start = self.stop = start
        self._buffer: Rows = np.empty((channels, 0, width), np.float32)
        self._first = 0  # where row `start` lies in the buffer

    def extend(self, count: int) -> Rows:
        """Join `count` rows below, to be filled in: [channels, count, width], of any values. Earlier views end here."""
        held = self.stop - self.start
        channels, room, width = self._buffer.shape
        if self._first + held + count > room:
            rows = self.view(self.start, self.stop).copy()
            if held + count > room:
                del self._buffer  # before the larger one is there
                self._buffer = np.empty((channels, held + count, width), np.float32)
            self._first = 0
            self._buffer[:, :held] = rows
        self.stop += count
        return self.view(self.stop - count, self.stop)

    def append(self, rows: Rows) -> None:
        """Join rows [channels, n, width] below."""
        self.extend(rows.shape[1])[:] = rows

    def view(self, top: int, bottom: int) -> Rows:
        """Rows `top` to `bottom` [channels, bottom - top, width], writable in place; they must be held."""
        assert self.start <= top <= bottom <= self.stop, (self.start, top, bottom, self.stop)
        offset = self._first - self.start
        return self._buffer[:, top + offset : bottom + offset]

    def drop(self, before: int) -> None:
        """Let go of the rows above row `before`."""
        if before > self.start:
            self._first += before - self.start
            self.start = before
