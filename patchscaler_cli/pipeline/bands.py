"""What the networks make of a picture, band by band: all that takes long, and nothing that looks beyond a band.

A band is some rows of patches; before it is refined, the coarse image is made as far down as its patches and the colour
hold reach. Bands can be made anywhere: which patches share a band, and which rows a tile, is a matter of the picture and
the settings alone, so sections of a picture that are computed apart give the same bits as the whole one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from patchscaler_cli.models.ensemble import CoarseEnsemble
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.pipeline.coarse_stage import CoarseStage, rows_of_tiles, tile_count
from patchscaler_cli.pipeline.colour import COARSE_REACH
from patchscaler_cli.pipeline.diffusion_stage import DiffusionStage, Part, refine_together
from patchscaler_cli.pipeline.limits import Limits, batch_size
from patchscaler_cli.pipeline.pixels import AnyArray
from patchscaler_cli.pipeline.settings import Progress, UpscaleSettings
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.tiling.fitting import fitting_grid
from patchscaler_cli.tiling.grid import PatchGrid
from patchscaler_cli.tiling.rows import Rows

BAND_PIXELS = 2**21
"""HR pixels of a band, about: enough patches to fill batches, few enough rows to hold."""

SECTION_PIXELS = 2**19
"""LR pixels of a section, about, unless it would be lower than a tile: 24 bytes travel for each of their 16 HR pixels."""

WRAP_MARGIN = 4
"""LR pixels around a wrapping picture that are made too, for a canvas that reduces it: Lanczos looks beyond its ends."""


@dataclass(frozen=True)
class Band:
    """What the networks make of some rows of patches. The first band covers all rows above it, too, the last all below.

    Attributes:
        first: the first of these rows of patches.
        patch_groups: group of every patch [n, columns].
        confidence: the confidence map [rows, w] in (0, 1) of the extent's rows that these patches cover.
        coarse: the coarse image of the same rows at HR resolution [3, 4 rows, 4 w], about [-1, 1].
        residual: what these patches add to it, blended with each other; where patches of the next band overlap, theirs
            is to be added. None with `coarse_only`.
        network_evaluations: of the Patch-DiT.
        warnings: sentences about what had to be done otherwise than asked for.
    """

    first: int
    patch_groups: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    coarse: Rows
    residual: Rows | None
    network_evaluations: int
    warnings: tuple[str, ...]

    @property
    def last(self) -> int:
        """The row of patches after the last."""
        return self.first + len(self.patch_groups)


@dataclass(frozen=True)
class Section:
    """Rows `first` to `last` of a picture's patches, in whole bands, and the pixels that they are made of.

    Attributes:
        grid: all patches of the picture.
        per_band: how many rows of patches a band has, the picture's last one perhaps fewer.
        halo: LR pixels on every side of a tile that the coarse model looks at, too.
        seed: of the noise.
        first: the first row of patches.
        last: the row of patches after the last.
        pixels: rows of the LR picture [n, w, 3], from its row `top` on: uint8, uint16, or float32 in 0..1.
        top: see `pixels`.
    """

    grid: PatchGrid
    per_band: int
    halo: int
    seed: int
    first: int
    last: int
    pixels: AnyArray
    top: int = 0


def whole_picture(model: PatchScalerModel, picture: AnyArray, wrap: bool, seed: int) -> Section:
    """All patches of an LR picture [h, w, 3]: uint8, uint16, or float32 in 0..1."""
    grid = patch_grid(model, picture.shape[0], picture.shape[1], wrap)
    config = model.config.coarse
    return Section(grid, rows_per_band(grid, config.scale), config.halo, seed, 0, grid.rows, picture)


def band_bytes(model: PatchScalerModel, grid: PatchGrid, tile: int, settings: UpscaleSettings) -> int:
    """Host memory of making a band: itself on its way, and the rows of coarse image and features that it is cut from.

    Args:
        grid: the picture's patches.
        tile: the longest side of a tile in LR pixels.
        settings: say what is made.
    """
    scale, rows = model.config.coarse.scale, min(grid.extent[0], tile + 2 * grid.size[0] + 2 * COARSE_REACH)
    held = 3 * scale**2 + model.config.coarse.channels * shows_features(model, settings)
    return (3 * 6 * BAND_PIXELS + held * rows * grid.extent[1]) * 4


def coarse_stage(
    model: PatchScalerModel, picture: AnyArray, grid: PatchGrid, settings: UpscaleSettings, device: torch.device, **others: Any
) -> CoarseStage:  # fmt: skip
    """The coarse stage that the settings ask for; other arguments are `CoarseStage`'s."""
    restoring = CoarseEnsemble(model.coarse) if settings.ensemble else model.coarse
    with_features = shows_features(model, settings)
    return CoarseStage(restoring, picture, grid, settings.tile, device, with_features=with_features, **others)


def shows_features(model: PatchScalerModel, settings: UpscaleSettings) -> bool:
    """Whether the coarse model's features are kept for the denoiser."""
    return model.config.patch_dit.features > 0 and not settings.coarse_only


def rows_per_band(grid: PatchGrid, scale: int) -> int:
    """How many rows of a picture's patches make a band."""
    return max(1, BAND_PIXELS // (grid.extent[1] * (grid.size[0] - grid.overlap) * scale**2))


def cut(whole: Section, tile: int, workers: int) -> Iterator[Section]:
    """Cut a picture into sections for several workers.

    Tiles that two sections look at are computed for both, so sections are as high as they may be while every worker has
    one, and no lower than a tile.

    Args:
        whole: the picture.
        tile: side of a tile in LR pixels.
        workers: how many.
    """
    grid = whole.grid
    height, width = grid.extent
    bands = -(-grid.rows // whole.per_band)
    wanted = max(tile, min(SECTION_PIXELS // width, -(-height // workers)))
    sections = max(1, min(bands, round(height / wanted)))
    for number in range(sections):
        first, last = (min(bands * n // sections * whole.per_band, grid.rows) for n in (number, number + 1))
        rows = rows_of_tiles(grid.extent[0], *grid.reach(first, last), tile)
        looked_at = grid.vertical.pixels(int(rows[0]) - whole.halo, int(rows[-1]) + whole.halo)
        begin, end = int(looked_at.min()), int(looked_at.max()) + 1
        yield replace(whole, first=first, last=last, pixels=whole.pixels[begin:end], top=begin)


class BandMaker:
    """Makes the bands of one section, from the top down."""

    def __init__(
        self,
        model: PatchScalerModel,
        device: torch.device,
        section: Section,
        settings: UpscaleSettings,
        ladder: GroupLadder,
        progress: Progress,
        clock: StageClock,
        limits: Limits,
    ) -> None:
        """Prepare; nothing is computed yet."""
        self.section, self._progress, self._coarse_only, self._ladder = section, progress, settings.coarse_only, ladder
        self._clock, self._limits, self._scale = clock, limits, model.config.coarse.scale
        begin, end = section.grid.reach(section.first, section.last)
        self.work = {"coarse": tile_count(section.grid.extent, settings.tile, begin, end)}
        if not settings.coarse_only:
            self.work["diffuse"] = (section.last - section.first) * section.grid.columns
        self._coarse = coarse_stage(
            model, section.pixels, section.grid, settings, device, limits=limits,
            advance=lambda n: progress.advance("coarse", n), first_row=begin, picture_top=section.top,
        )  # fmt: skip
        self._diffusion = DiffusionStage(
            model, device, self._coarse, ladder,
            seed=section.seed, batch_size=batch_size(settings.batch_size, device, model.config.patch_dit, section.grid.patch_pixels * self._scale**2),
            texture=settings.texture is not False, clock=clock, limits=limits,
            advance=lambda n: progress.advance("diffuse", n),
        )  # fmt: skip

    def patch_groups(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Make the coarse image under rows `first` to `last` of the patches and tell their groups [n, columns]."""
        with self._clock.stage("coarse"):
            self._coarse.finish(self.section.grid.reach(first, last)[1])
        with self._clock.stage("group"):
            return self._ladder.assign(self._coarse.qmap(first, last))

    def part(self, first: int, patch_groups: npt.NDArray[np.int64]) -> Part:
        """What `refine_together` takes to refine these patches."""
        return self._diffusion, first, patch_groups

    def band(self, first: int, patch_groups: npt.NDArray[np.int64], refined: tuple[Rows, int] | None) -> Band:
        """The band of these patches, given what `refine_together` made of them; the coarse image above the next is let go."""
        grid, coarse, last = self.section.grid, self._coarse, first + len(patch_groups)
        top, bottom = grid.reach(first, last)
        rows = coarse.rows.view(top * self._scale, bottom * self._scale).copy()
        if last < grid.rows:
            coarse.drop(int(grid.tops[last]))
        residual, evaluations = refined or (None, 0)
        warnings = self._limits.take_warnings()
        return Band(first, patch_groups, coarse.confidence[top:bottom], rows, residual, evaluations, warnings)

    def bands(self) -> Iterator[Band]:
        """All bands, one whenever it is asked for."""
        for stage, units in self.work.items():
            self._progress.begin(stage, units)
        for first in range(self.section.first, self.section.last, self.section.per_band):
            yield self._next(
                first, min(first + self.section.per_band, self.section.last)
            )  # of which nothing is kept here

    def _next(self, first: int, last: int) -> Band:
        """The band of rows `first` to `last` of the patches."""
        patch_groups, refined = self.patch_groups(first, last), None
        if not self._coarse_only:
            with self._clock.stage("diffuse"):
                (refined,) = refine_together([self.part(first, patch_groups)])
        return self.band(first, patch_groups, refined)


def bands_together(makers: Sequence[BandMaker], progress: Progress, clock: StageClock) -> list[Band]:
    """The bands of several small pictures, each of which is one band; their patches share batches."""
    for stage in makers[0].work:
        progress.begin(stage, sum(maker.work[stage] for maker in makers))
    groups = [maker.patch_groups(0, maker.section.last) for maker in makers]
    with clock.stage("diffuse"):
        refined = refine_together([maker.part(0, each) for maker, each in zip(makers, groups, strict=True)])
    return [maker.band(0, each, made) for maker, each, made in zip(makers, groups, refined, strict=True)]


def patch_grid(model: PatchScalerModel, height: int, width: int, wrap: bool = False) -> PatchGrid:
    """The patches of an LR picture of that size."""
    side, token = (
        pixels // model.config.coarse.scale for pixels in (model.config.patch_dit.patch, model.config.patch_dit.token)
    )
    # Beyond the picture's ends: the margin itself, and how far the colour hold reaches.
    return fitting_grid(height, width, side, token, wrap=WRAP_MARGIN + COARSE_REACH if wrap else None)
