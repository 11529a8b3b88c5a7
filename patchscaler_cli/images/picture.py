"""A picture in memory: colour apart from alpha, and what travels along unchanged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.images.alpha import resize_alpha
from patchscaler_cli.images.metadata import Metadata

Pixels = npt.NDArray[np.unsignedinteger[Any]]
"""uint8 (0 to 255) or uint16 (0 to 65535)."""


@dataclass(frozen=True)
class Picture:
    """A picture, upright, as the network takes it.

    Attributes:
        pixels: colour [H, W, 3] uint8, or grey [H, W] uint8 or uint16; never multiplied by alpha.
        alpha: opacity [H, W] uint8, 255 is opaque; None if the file has none.
        metadata: what is written back beside the pixels.
        warnings: sentences about what reading had to leave behind.
    """

    pixels: Pixels
    alpha: npt.NDArray[np.uint8] | None = None
    metadata: Metadata = field(default_factory=Metadata)
    warnings: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    def enlarged(self, pixels: npt.NDArray[np.generic]) -> Picture:
        """This picture with its upscaled colours: alpha follows to their size, grey stays grey.

        Args:
            pixels: [H', W', 3] in this picture's depth.
        """
        height, width = pixels.shape[:2]
        colours = pixels.astype(self.pixels.dtype, copy=False)
        alpha = None if self.alpha is None else resize_alpha(self.alpha, width, height)
        return replace(self, pixels=_grey(colours) if self.pixels.ndim == 2 else colours, alpha=alpha)


def _grey(pixels: Pixels) -> Pixels:
    """The rounded average of the three channels [H, W, 3] -> [H, W]: a tint that the network added cancels out."""
    total = pixels.sum(axis=2, dtype=np.uint32)
    average: Pixels = ((total + 1) // 3).astype(pixels.dtype)
    return average
