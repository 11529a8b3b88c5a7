"""Host memory that a tensor leaves behind goes back to the system at once."""

from __future__ import annotations

import ctypes
import os
import sys

MAPPED_FROM = 4 * 2**20
"""Blocks of so many bytes come straight from the system and go straight back; smaller ones are kept for the next."""
KEPT_AT_MOST = 64 * 2**20
"""Free bytes at the end of the heap that are kept: without it, every layer of a small picture would ask the system anew."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def return_large_blocks() -> None:
    """Have glibc return large freed blocks, for this process.

    By itself it learns from the first large tensor that such blocks come and go, and cuts them from its heap from then on. Tiles
    at a picture's border have shapes of their own, and the holes that one layer leaves do not suit the next: a third of
    the memory that a picture of 6 megapixels took were holes. Where there is no glibc, nothing happens; who has set
    MALLOC_MMAP_THRESHOLD_ has decided already.
    """
    if sys.platform != "linux" or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM)
        mallopt(_M_TRIM_THRESHOLD, KEPT_AT_MOST)
