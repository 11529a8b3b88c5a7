"""What comes out of an upscale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.tiling.grid import PatchGrid

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class GroupReport:
    """One difficulty group as it was used: its start noise, its steps and how many patches fell into it."""

    sigma: float
    steps: int
    patches: int


@dataclass(frozen=True)
class UpscaleResult:
    """One upscaled picture and how it came about.

    Attributes:
        pixels: the result [H, W, 3] in the depth that came in: uint8 (0..255), uint16 (0..65535) or float32 (0..1).
        kept_coarse: the coarse model's image at the same size and depth; None if it was not kept (see `coarse`).
        confidence: the confidence map [h, w] of the (first) LR image, float32 in (0, 1).
        grid: where the patches lie in the (first) LR image. (A picture that wraps has patches beyond its ends, too.)
        patch_groups: group of every patch of the grid [rows, columns], int64; 0 is the easiest.
        groups: the groups' settings and patch counts, easiest first; empty with `coarse_only`.
        patches: patches on the grid.
        network_evaluations: how many times a patch went through the Patch-DiT.
        seconds: wall-clock seconds of each stage by name: coarse, group, retrieve, diffuse, blend, resize; a stage that
            did not occur is missing.
        device: the device that did it, such as "cpu" or "cuda:0".
        dtype: the arithmetic used: "fp32", "fp16" or "bf16".
        warnings: sentences about what had to be done otherwise than asked for.
    """

    pixels: npt.NDArray[Any]
    kept_coarse: npt.NDArray[Any] | None
    confidence: npt.NDArray[np.float32]
    grid: PatchGrid
    patch_groups: npt.NDArray[np.int64]
    groups: tuple[GroupReport, ...]
    patches: int
    network_evaluations: int
    seconds: dict[str, float]
    device: str
    dtype: str
    warnings: tuple[str, ...] = ()

    def patch_means(self, values: npt.NDArray[Any], scale: int = 1) -> npt.NDArray[np.float64]:
        """The mean of a map over every patch [rows, columns]; over the part inside the map, where a patch reaches beyond it.

        Args:
            values: the map [H, W] of the whole (first) LR image, which does not wrap.
            scale: how many values along an axis stand for an LR pixel.
        """
        height, width = (side * scale for side in self.grid.size)
        tops, lefts = (starts * scale for starts in (self.grid.tops, self.grid.lefts))
        means = [[values[top : top + height, left : left + width].mean() for left in lefts] for top in tops]
        return np.array(means, np.float64)

    @property
    def image(self) -> Image:
        """The result as an 8-bit RGB Pillow image."""
        return _as_image(self.pixels)

    @property
    def coarse(self) -> npt.NDArray[Any]:
        """The coarse model's image at the same size and depth.

        Raises:
            ValueError: if it was not kept.
        """
        if self.kept_coarse is None:
            raise ValueError("The coarse image was not kept; call upscale(…, keep_coarse=True).")
        return self.kept_coarse

    def without_pictures(self) -> UpscaleResult:
        """The figures alone, for reports that outlive the pictures."""
        # Not slices: a slice holds the whole array.
        nothing = np.empty((0, 0), np.float32)
        return replace(
            self, pixels=np.empty((0, 0, 3), self.pixels.dtype), kept_coarse=None, confidence=nothing,
            patch_groups=np.empty((0, 0), np.int64),
        )  # fmt: skip

    @property
    def coarse_image(self) -> Image:
        """The coarse image as an 8-bit RGB Pillow image."""
        return _as_image(self.coarse)


def together(results: Sequence[UpscaleResult]) -> UpscaleResult:
    """Results of pictures of one size with the same settings as one: the last, with the work and time of all."""
    groups = tuple(
        replace(same[0], patches=sum(group.patches for group in same))
        for same in zip(*(result.groups for result in results), strict=True)
    )
    stages = dict.fromkeys(stage for result in results for stage in result.seconds)
    return replace(
        results[-1],
        groups=groups,
        patches=sum(result.patches for result in results),
        network_evaluations=sum(result.network_evaluations for result in results),
        seconds={stage: sum(result.seconds.get(stage, 0.0) for result in results) for stage in stages},
        warnings=tuple(sentence for result in results for sentence in result.warnings),
    )


def _as_image(pixels: npt.NDArray[Any]) -> Image:
    from PIL import Image as PillowImage

    if pixels.dtype == np.uint8:
        eight_bit = pixels
    elif pixels.dtype == np.uint16:
        eight_bit = (pixels.astype(np.float32) / 257).round().astype(np.uint8)
    else:
        eight_bit = (pixels * 255).round().astype(np.uint8)
    return PillowImage.fromarray(eight_bit)


@dataclass(frozen=True)
class UpscalePlan:
    """What an upscale would do, without doing it (`--dry-run`).

    Attributes:
        width: output width in pixels.
        height: output height in pixels.
        passes: how many times the x4 network is applied one after the other (2 above a factor of 4).
        tiles: coarse tiles over all passes.
        patches: patches over all passes.
        most_network_evaluations: upper bound: every patch in the hardest group.
        memory_bytes: estimated peak of host memory for an 8-bit picture, without what lies in temporary files.
    """

    width: int
    height: int
    passes: int
    tiles: int
    patches: int
    most_network_evaluations: int
    memory_bytes: int

    def repeated(self, times: int) -> UpscalePlan:
        """The plan of so many pictures of this size, one after the other."""
        return replace(
            self, tiles=self.tiles * times, patches=self.patches * times,
            most_network_evaluations=self.most_network_evaluations * times,
        )  # fmt: skip
