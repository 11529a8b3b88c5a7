"""Where finished rows go: reduced to the exact size, quantised once, in memory or, when that is too much, on disk."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.pipeline.pixels import AnyArray, from_network
from patchscaler_cli.tiling.rows import Rows, RowWindow

MAPPED_BYTES = 2**31
"""Canvases of this many bytes and more lie in a memory-mapped temporary file, which the system keeps in memory only as
long as there is room."""

LANCZOS_SUPPORT = 3


def canvas_bytes(size: tuple[int, int], dtype: np.dtype[Any]) -> int:
    """What the pixels of a canvas of that height and width take."""
    return math.prod(size) * 3 * dtype.itemsize


def check_room(canvases: Iterable[int]) -> None:
    """Refuse, before any work, canvases for which the disk has no room.

    Args:
        canvases: `canvas_bytes` of those that exist at the same time.

    Raises:
        PatchScalerError: if the folder for temporary files has no room for those that will lie there.
    """
    needed = sum(size for size in canvases if size >= MAPPED_BYTES)
    if needed and needed > shutil.disk_usage(tempfile.gettempdir()).free:
        raise _no_room(needed)


def _no_room(needed: int) -> PatchScalerError:
    folder = tempfile.gettempdir()
    return PatchScalerError(
        f"A picture as large as this is kept in a temporary file of {needed:,} bytes, but the disk of {folder} has "
        f"{shutil.disk_usage(folder).free:,} free; make room, or name another folder in the environment as TMPDIR."
    )


def new_array(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> AnyArray:
    """An array in memory, or in a temporary file that vanishes with it.

    Raises:
        PatchScalerError: if the disk has no room for the file.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < MAPPED_BYTES:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="patchscaler-") as file:
        # The file is made with all its blocks at once: a disk that is full later would kill the process, not raise.
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise _no_room(size) from error
        return np.memmap(file, dtype, "w+", shape=shape)


class Canvas:
    """Takes a picture's rows from the top down and keeps them at another size and in another depth.

    Attributes:
        pixels: [height, width, 3] of `dtype`; whole after the last rows were added.
    """

    def __init__(self, source: tuple[int, int], size: tuple[int, int], dtype: np.dtype[Any], margin: int = 0) -> None:
        """Prepare for rows of a picture.

        Args:
            source: height and width of the picture that will be added.
            size: height and width to keep it at: not more than the source's.
            dtype: uint8, uint16, or float32 for 0..1.
            margin: pixels on every side of the picture that will be added too: what it continues with.
        """
        self._source, self._size, self._margin = source, size, margin
        self.pixels = new_array((*size, 3), dtype)
        self._window = RowWindow(3, source[1] + 2 * margin)
        self._done = 0  # output rows that are kept
        self._added = 0  # rows of the source, with its margins

    def add(self, rows: Rows) -> None:
        """Add the next rows [3, n, source width and margins], in [-1, 1]."""
        (height, width), margin = self._source, self._margin
        self._added += rows.shape[1]
        if self._size == self._source:
            top = margin - (self._added - rows.shape[1])
            kept = rows[:, max(top, 0) : max(top + height, 0), margin : margin + width]
            self.pixels[self._done : self._done + kept.shape[1]] = from_network(kept, self.pixels.dtype)
            self._done += kept.shape[1]
            return
        self._window.append(rows)
        factor = height / self._size[0]
        reach = LANCZOS_SUPPORT * factor + 1
        whole = self._added == height + 2 * margin
        ready = self._size[0] if whole else int((self._added - margin - reach) / factor)
        if ready > self._done:
            self.pixels[self._done : ready] = from_network(self._reduce(self._done, ready, factor), self.pixels.dtype)
            self._done = ready
            self._window.drop(max(0, int(margin + ready * factor - reach)))

    def _reduce(self, top: int, bottom: int, factor: float) -> Rows:
        """Output rows `top` to `bottom` by antialiased Lanczos, without rounding to 8 bits."""
        from PIL import Image

        base = self._window.start
        held = self._window.view(base, self._window.stop)
        first, last = (self._margin + row * factor - base for row in (top, bottom))
        box = (float(self._margin), first, float(self._margin + self._source[1]), min(last, held.shape[1]))
        size = (self._size[1], bottom - top)
        planes = [Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS, box) for plane in held]
        return np.stack([np.asarray(plane) for plane in planes])
