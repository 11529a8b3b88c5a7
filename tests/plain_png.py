"""PNG files written by the standard's first pages alone: 16 bits a channel, and headers that claim what is not there."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tests.image_samples import Samples

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's numbers for grey, grey with alpha, colour, colour with alpha."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain_png(path: Path, samples: Samples, key: tuple[int, ...] | None = None) -> Path:
    """A PNG of uint16 samples [H, W, C] without filters; `key` is the transparent colour."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0))
    transparent = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    data = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(SIGNATURE + head + transparent + data)
    return path


def claiming_png(width: int, height: int) -> bytes:
    """A grey PNG that claims a size and holds a single black row."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return SIGNATURE + head + chunk(b"IDAT", zlib.compress(bytes(1 + width))) + chunk(b"IEND", b"")
