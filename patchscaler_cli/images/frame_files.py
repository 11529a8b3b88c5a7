"""Animated files written frame by frame: however many there are, one or two frames are held at a time."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from PIL import GifImagePlugin, Image, ImageChops, PngImagePlugin

Frames = Iterator[tuple[Image.Image, int]]
"""Pictures of one size and mode, each with the milliseconds that it is shown."""

CLEAR_ENTRY = 255
"""The palette entry of a GIF that is transparent."""
_CLEARED = 2
"""What a GIF does with a frame before the next one: nothing (0), or clear it away (2)."""
_PNG_HEADER = b"\x89PNG\r\n\x1a\n"


def write_gif(
    file: BinaryIO, frames: Frames, to_palette: Callable[[Image.Image], Image.Image], words: Mapping[str, Any]
) -> None:
    """Write a GIF.

    Args:
        file: open for writing, at its start.
        frames: RGB, or RGBA with every alpha 0 or 255; milliseconds in whole tens.
        to_palette: an RGB picture in at most 256 colours; an RGBA one in at most 255, and `CLEAR_ENTRY` where it is clear.
        words: `loop`, the number of repeats (0: for ever), if there are any.
    """
    before: Image.Image | None = None
    for frame, milliseconds in frames:
        clear = frame.mode == "RGBA"
        left, top, right, bottom = (0, 0, *frame.size) if clear else _changed(before, frame)
        part = to_palette(frame.crop((left, top, right, bottom)))
        told = {"duration": milliseconds, "disposal": _CLEARED if clear else 0}
        if clear:
            told["transparency"] = CLEAR_ENTRY
        if before is None:
            file.writelines(GifImagePlugin.getheader(part, info={"duration": 1, **words})[0])
        file.writelines(GifImagePlugin.getdata(part, (left, top), include_color_table=True, **told))
        before = frame
    file.write(b";")


def write_png(file: BinaryIO, frames: Frames, count: int, words: Mapping[str, Any]) -> None:
    """Write an APNG.

    Args:
        file: open for writing, at its start.
        frames: RGB or RGBA.
        count: of the frames.
        words: `loop`, the number of plays (0: for ever), and what Pillow's `save` is told of a PNG.
    """
    before: Image.Image | None = None
    told, number = {name: word for name, word in words.items() if name != "loop"}, 0
    for frame, milliseconds in frames:
        left, top, right, bottom = _changed(before, frame)
        chunks = _chunks(frame.crop((left, top, right, bottom)), told if before is None else {})
        size, place = (right - left, bottom - top), (left, top)
        if before is None:
            file.write(_PNG_HEADER)
            for kind, data in chunks:
                if kind not in (b"IDAT", b"IEND"):
                    PngImagePlugin.putchunk(file, kind, data)
            PngImagePlugin.putchunk(file, b"acTL", struct.pack(">II", count, words["loop"]))
        control = struct.pack(">5I2H2B", number, *size, *place, *_delay(milliseconds), 0, 0)
        PngImagePlugin.putchunk(file, b"fcTL", control)
        number += 1
        for kind, data in chunks:
            if kind == b"IDAT" and before is None:
                PngImagePlugin.putchunk(file, b"IDAT", data)
            elif kind == b"IDAT":
                PngImagePlugin.putchunk(file, b"fdAT", struct.pack(">I", number), data)
                number += 1
        before = frame
    PngImagePlugin.putchunk(file, b"IEND", b"")


def write_webp(file: BinaryIO, frames: Frames, count: int, words: Mapping[str, Any]) -> None:
    """Write a WebP.

    Args:
        file: open for writing, at its start.
        frames: RGB or RGBA, at least two.
        count: of the frames.
        words: what Pillow's `save` is told, the durations too.
    """
    first, _ = next(frames)
    first.save(file, "WEBP", save_all=True, append_images=[_Following(frames, count - 1)], **words)


class _Following:
    """What Pillow takes for one picture of many frames: each is made when Pillow goes on to it, and then forgotten."""

    def __init__(self, frames: Iterable[tuple[Image.Image, int]], count: int) -> None:
        self._frames, self.n_frames = iter(frames), count

    def seek(self, number: int) -> None:
        self._frame, _ = next(self._frames)
        self.mode = self._frame.mode

    def getim(self) -> Any:
        return self._frame.getim()


def _changed(before: Image.Image | None, frame: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is not as before: all of a first frame, a corner where nothing changed."""
    if before is None:
        return (0, 0, *frame.size)
    return ImageChops.difference(before, frame).getbbox(alpha_only=False) or (0, 0, 1, 1)


def _chunks(image: Image.Image, words: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The chunks of an image as a PNG: their four-letter names and what is in them."""
    packed = io.BytesIO()
    image.save(packed, "PNG", **words)
    data, position, chunks = packed.getvalue(), len(_PNG_HEADER), []
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        chunks.append((kind, data[position + 8 : position + 8 + length]))
        position += length + 12  # length, name and checksum
    return chunks


def _delay(milliseconds: int) -> tuple[int, int]:
    """As a fraction of a second whose numerator and denominator have 16 bits."""
    if milliseconds <= 65535:
        return milliseconds, 1000
    return min(round(milliseconds / 1000), 65535), 1
