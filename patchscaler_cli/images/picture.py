"""A picture in memory: colour apart from alpha, and what travels along unchanged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from patchscaler_cli.images.alpha import Samples, resize_alpha
from patchscaler_cli.images.colour import OwnColours
from patchscaler_cli.images.depth import strips
from patchscaler_cli.images.formats import Mode
from patchscaler_cli.images.metadata import Metadata

Pixels = npt.NDArray[Any]
"""uint8 (0 to 255) or uint16 (0 to 65535), in the file's depth; uint16 for a wide-gamut picture in sRGB."""


@dataclass(frozen=True)
class Picture:
    """A picture, upright, as the network takes it.

    Attributes:
        pixels: colour [H, W, 3] or grey [H, W], never multiplied by alpha, continued under what is clear.
        alpha: opacity [H, W] in the file's depth, its largest value is opaque; None if the file has none.
        metadata: what is written back beside the pixels.
        warnings: sentences about what reading had to leave behind.
        own_colours: of a wide-gamut picture, its colours in the file's own profile and depth; `pixels` has them in
            sRGB. None where `pixels` are the file's own.
        wraps: a texture that is laid like tiles: beyond its ends lies its other side.
    """

    pixels: Pixels
    alpha: Samples | None = None
    metadata: Metadata = field(default_factory=Metadata)
    warnings: tuple[str, ...] = ()
    own_colours: OwnColours | None = None
    wraps: bool = False

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    @property
    def mode(self) -> Mode:
        """What one pixel of the file is made of."""
        samples = self.pixels if self.own_colours is None else self.own_colours.pixels
        letters = "L" if samples.ndim == 2 else "RGB"
        return cast("Mode", letters + ("A" if self.alpha is not None else "") + ("16" if samples.itemsize == 2 else ""))

    def as_in_file(self) -> Picture:
        """This picture with the file's own colours as its `pixels`, as it is written."""
        return self if self.own_colours is None else replace(self, pixels=self.own_colours.pixels, own_colours=None)

    def enlarged(self, pixels: npt.NDArray[np.generic]) -> Picture:
        """This picture with its upscaled colours: alpha follows to their size, grey stays grey, a wide gamut returns.

        Args:
            pixels: [H', W', 3] in the dtype of this picture's `pixels`.
        """
        height, width = pixels.shape[:2]
        alpha = None if self.alpha is None else resize_alpha(self.alpha, width, height, wraps=self.wraps)
        if self.own_colours is not None:
            own = self.own_colours.enlarged(pixels, wraps=self.wraps)
            return replace(self, pixels=own, alpha=alpha, own_colours=None)
        colours = pixels.astype(self.pixels.dtype, copy=False)
        return replace(self, pixels=_grey(colours) if self.pixels.ndim == 2 else colours, alpha=alpha)


def _grey(pixels: Pixels) -> Pixels:
    """The rounded average of the three channels [H, W, 3] -> [H, W]: a tint that the network added cancels out."""
    average = np.empty(pixels.shape[:2], pixels.dtype)
    for rows in strips(pixels.shape[0]):
        average[rows] = (pixels[rows].sum(axis=2, dtype=np.uint32) + 1) // 3
    return average
