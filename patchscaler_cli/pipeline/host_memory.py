"""Host memory that tensors leave behind goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def return_freed_memory() -> None:
    """Have glibc give the freed parts of its heap back; where there is no glibc, nothing happens.

    Tiles at a picture's border have shapes of their own, and the holes that one tile's layers leave do not suit the next's: a third of
    the memory that a picture of 6 megapixels took were holes. (To let large blocks go back one by one, by M_MMAP_THRESHOLD, took half as
    long again: the system clears every page that it gives.)
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's function, looked up once."""
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
