"""Photographs of two kinds of texture that nobody mistakes for each other: vertical stripes, and round blobs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Kind = Literal["stripes", "blobs"]


def texture(kind: Kind, seed: int, height: int = 160, width: int = 192) -> npt.NDArray[np.uint8]:
    """RGB [height, width, 3]; the seed moves and tints it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    shift = rng.uniform(0, 20, 2)
    wave = np.sin((x + shift[0]) / 1.5)
    if kind == "blobs":
        wave = np.sin((x + shift[0]) / 6) * np.sin((y + shift[1]) / 6)
    tint = rng.uniform(0.95, 1, 3)
    pixels: npt.NDArray[np.uint8] = np.clip(wave[..., None] * 60 * tint + 128, 0, 255).astype(np.uint8)
    return pixels


def save_textures(folder: Path, kinds: tuple[Kind, ...] = ("stripes", "blobs"), each: int = 2) -> list[Path]:
    """Write PNG files such as stripes-0.png, `each` of every kind; their paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for kind in kinds:
        for seed in range(each):
            paths.append(folder / f"{kind}-{seed}.png")
            Image.fromarray(texture(kind, seed)).save(paths[-1])
    return paths
