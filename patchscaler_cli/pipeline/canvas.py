"""Where finished rows go: reduced to the exact size, quantised once, in memory or, when that is too much, on disk."""

from __future__ import annotations

import math
import tempfile
from typing import Any

import numpy as np

from patchscaler_cli.pipeline.pixels import AnyArray, from_network
from patchscaler_cli.tiling.rows import Rows, RowWindow

MAPPED_BYTES = 2**31
"""Canvases of this many bytes and more lie in a memory-mapped temporary file, which the system keeps in memory only as
long as there is room."""

LANCZOS_SUPPORT = 3


def new_array(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> AnyArray:
    """An array in memory, or in a temporary file that vanishes with it."""
    if math.prod(shape) * dtype.itemsize < MAPPED_BYTES:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="patchscaler-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


class Canvas:
    """Takes a picture's rows from the top down and keeps them at another size and in another depth.

    Attributes:
        pixels: [height, width, 3] of `dtype`; whole after the last rows were added.
    """

    def __init__(self, source: tuple[int, int], size: tuple[int, int], dtype: np.dtype[Any]) -> None:
        """Prepare for rows of a picture.

        Args:
            source: height and width of the picture that will be added.
            size: height and width to keep it at: not more than the source's.
            dtype: uint8, uint16, or float32 for 0..1.
        """
        self._source, self._size = source, size
        self.pixels = new_array((*size, 3), dtype)
        self._window = RowWindow(3, source[1])
        self._done = 0  # output rows that are kept

    def add(self, rows: Rows) -> None:
        """Add the next rows [3, n, source width], in [-1, 1]."""
        if self._size == self._source:
            self.pixels[self._done : self._done + rows.shape[1]] = from_network(rows, self.pixels.dtype)
            self._done += rows.shape[1]
            return
        self._window.append(rows)
        factor = self._source[0] / self._size[0]
        reach = LANCZOS_SUPPORT * factor + 1
        ready = self._size[0] if self._window.stop == self._source[0] else int((self._window.stop - reach) / factor)
        if ready > self._done:
            self.pixels[self._done : ready] = from_network(self._reduce(self._done, ready, factor), self.pixels.dtype)
            self._done = ready
            self._window.drop(max(0, int(ready * factor - reach)))

    def _reduce(self, top: int, bottom: int, factor: float) -> Rows:
        """Output rows `top` to `bottom` by antialiased Lanczos, without rounding to 8 bits."""
        from PIL import Image

        base = self._window.start
        held = self._window.view(base, self._window.stop)
        box = (0.0, top * factor - base, float(self._source[1]), min(bottom * factor - base, held.shape[1]))
        size = (self._size[1], bottom - top)
        planes = [Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS, box) for plane in held]
        return np.stack([np.asarray(plane) for plane in planes])
