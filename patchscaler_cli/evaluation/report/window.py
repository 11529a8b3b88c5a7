"""The part of a picture that the report shows, and how its pixels get into the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from patchscaler_cli.evaluation.examples import SCALE
from patchscaler_cli.evaluation.metrics import Pixels

MOST = 1024
"""Longest side in HR pixels; of larger pictures the middle is shown, for a page that a browser opens at once."""


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture in HR pixels, on the grid of LR pixels; `bottom` and `right` are not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def cut(self, picture: Pixels) -> Pixels:
        """The window's part of an HR picture [H, W, 3]."""
        return picture[self.top : self.bottom, self.left : self.right]

    def cut_lr(self, picture: Pixels) -> Pixels:
        """The same part of the LR picture [H/4, W/4, 3]."""
        return picture[self.top // SCALE : self.bottom // SCALE, self.left // SCALE : self.right // SCALE]


def window_of(height: int, width: int, most: int = MOST) -> Window:
    """The middle of an HR picture, at most `most` pixels high and wide; all three lengths are multiples of 4."""
    top, left = ((max(0, side - most) // 2) // SCALE * SCALE for side in (height, width))
    return Window(top, left, top + min(height, most), left + min(width, most))


def data_uri(pixels: Pixels) -> str:
    """A picture [H, W, 3] as a lossless WebP inside a URI: a comparison must not add losses of its own."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=50, method=4)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
