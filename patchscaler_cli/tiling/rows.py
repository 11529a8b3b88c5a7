"""A window on the rows of a picture too tall to be held as a whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]


class RowWindow:
    """Rows `start` to `stop` of a tall picture [channels, …, width], float32: rows join below and are dropped above.

    Attributes:
        start: first row that is held.
    """

    def __init__(self, channels: int, width: int) -> None:
        self.start = 0
        self._rows: Rows = np.empty((channels, 0, width), np.float32)

    @property
    def stop(self) -> int:
        """The row after the last that is held."""
        return self.start + int(self._rows.shape[1])

    def append(self, rows: Rows) -> None:
        """Join rows [channels, n, width] below."""
        self._rows = np.concatenate((self._rows, rows), axis=1)

    def view(self, top: int, bottom: int) -> Rows:
        """Rows `top` to `bottom` [channels, bottom - top, width], writable in place; they must be held."""
        assert self.start <= top <= bottom <= self.stop, (self.start, top, bottom, self.stop)
        return self._rows[:, top - self.start : bottom - self.start]

    def drop(self, before: int) -> None:
        """Let go of the rows above row `before`."""
        if before > self.start:
            self._rows = self._rows[:, before - self.start :].copy()
            self.start = before
