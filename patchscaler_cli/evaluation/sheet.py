"""The contact sheet: the middle of every picture by every method, side by side."""

from __future__ import annotations

import numpy as np
from PIL import Image

from patchscaler_cli.evaluation.comparison import Compared
from patchscaler_cli.evaluation.examples import SCALE
from patchscaler_cli.evaluation.metrics import Pixels

CROP = 256
"""Pixels of a picture's side that the sheet shows, at 100 %."""


class ContactSheet:
    """Grows by a row with every picture: LR (enlarged by repetition), the methods in their order, truth."""

    def __init__(self) -> None:
        self._rows: list[list[Pixels]] = []

    def add(self, compared: Compared) -> None:
        """Add one picture's row."""
        repeated = compared.example.lr.repeat(SCALE, 0).repeat(SCALE, 1)
        pictures = [repeated, *(one.pixels for one in compared.enlarged.values()), compared.example.hr]
        self._rows.append([_middle(picture, CROP) for picture in pictures])

    def image(self) -> Image.Image:
        """All rows, cut to the smallest picture's size."""
        side = min(side for row in self._rows for side in row[0].shape[:2])
        return Image.fromarray(
            np.concatenate([np.concatenate([_middle(p, side) for p in row], axis=1) for row in self._rows])
        )


def _middle(picture: Pixels, most: int) -> Pixels:
    """At most `most` x `most` pixels from the middle of a picture [H, W, 3]."""
    height, width = picture.shape[:2]
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return picture[top : top + most, left : left + most]
