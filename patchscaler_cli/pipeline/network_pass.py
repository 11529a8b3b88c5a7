"""One run of the x4 network over a picture of any size: the two stages, streamed from the top down.

Only a few rows are ever held as float at HR resolution. A band is some rows of patches; before it is refined, the coarse
image is made as far down as its patches and the colour hold reach; after it, the rows that nothing below can change any
more go out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.pipeline.coarse_stage import CoarseStage, tile_count
from patchscaler_cli.pipeline.colour import REACH, enlarged_low_pass, reduced
from patchscaler_cli.pipeline.diffusion_stage import DiffusionStage
from patchscaler_cli.pipeline.limits import Limits, usual_batch
from patchscaler_cli.pipeline.pixels import AnyArray
from patchscaler_cli.pipeline.settings import Progress, UpscaleSettings
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.sampling.qmap import quantify
from patchscaler_cli.tiling.blending import border_fade
from patchscaler_cli.tiling.grid import PatchGrid
from patchscaler_cli.tiling.rows import Rows, RowWindow

BAND_PIXELS = 2**21
"""HR pixels of a band, about: enough patches to fill batches, few enough rows to hold."""

WRAP_MARGIN = 4
"""LR pixels around a wrapping picture that are made too, for a canvas that reduces it: Lanczos looks beyond its ends."""


@dataclass(frozen=True)
class Strip:
    """Finished rows of a picture, from the top down.

    Attributes:
        refined: the result [3, n, W] in [-1, 1], not clipped; with `NetworkPass.margin` pixels on every side of it.
        coarse: the coarse image's same rows.
    """

    refined: Rows
    coarse: Rows


class NetworkPass:
    """Enlarges one picture four times.

    Attributes:
        grid: the patches.
        margin: HR pixels around the picture that its strips have too: what it continues with where it wraps, else none.
        confidence: the confidence map [h, w] in (0, 1); whole after the last strip.
        patch_groups: group of every patch [rows, columns]; whole after the last strip.
        network_evaluations: of the Patch-DiT so far.
    """

    def __init__(
        self,
        model: PatchScalerModel,
        device: torch.device,
        picture: AnyArray,
        settings: UpscaleSettings,
        ladder: GroupLadder,
        fidelity: float,
        seed: int,
        progress: Progress,
        clock: StageClock,
        limits: Limits,
    ) -> None:
        """Prepare for an LR picture [h, w, 3]: uint8, uint16, or float32 in 0..1."""
        self._height, self._width = picture.shape[:2]
        self._scale = model.config.coarse.scale
        self.grid = patch_grid(model, self._height, self._width, settings.wrap)
        self.margin = WRAP_MARGIN * self._scale if settings.wrap else 0
        self._settings, self._ladder, self._fidelity, self._progress = settings, ladder, fidelity, progress
        self.patch_groups = np.zeros((self.grid.rows, self.grid.columns), np.int64)
        self._clock = clock
        self._coarse = CoarseStage(
            model.coarse, picture, self.grid, settings.tile, device, limits, lambda n: progress.advance("coarse", n)
        )
        self._diffusion = DiffusionStage(
            model, device, self._coarse.rows, self.grid, ladder,
            seed=seed, batch_size=settings.batch_size or usual_batch(device, model.config.patch_dit),
            texture=settings.texture, clock=clock, limits=limits,
            advance=lambda n: progress.advance("diffuse", n),
        )  # fmt: skip
        self._drift = RowWindow(3, self.grid.extent[1])  # reduced residual: what colour hold takes off

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        top, left = self.grid.origin
        return self._coarse.confidence[top : top + self._height, left : left + self._width]

    @property
    def network_evaluations(self) -> int:
        return self._diffusion.network_evaluations

    def strips(self) -> Iterator[Strip]:
        """Compute, and give the picture's rows from the top down as they are finished, once."""
        grid, (height, _) = self.grid, self.grid.extent
        self._progress.begin("coarse", tile_count(grid.extent, self._settings.tile))
        if not self._settings.coarse_only:
            self._progress.begin("diffuse", grid.rows * grid.columns)
        per_band = max(1, BAND_PIXELS // (grid.extent[1] * (grid.size - grid.overlap) * self._scale**2))
        given = 0  # LR rows that went out
        for first in range(0, grid.rows, per_band):
            last = min(first + per_band, grid.rows)
            bottom = height if last == grid.rows else int(grid.tops[last - 1]) + grid.size
            complete = height if last == grid.rows else int(grid.tops[last])  # no later patch reaches above this
            with self._clock.stage("coarse"):
                self._coarse.finish(bottom)
            with self._clock.stage("group"):
                self._assign(first, last)
            finished = complete
            if not self._settings.coarse_only:
                self._refine(first, last, complete)
                finished = height if complete == height else max(complete - REACH, given)
            yield self._finish(given, finished)
            given = finished

    def _assign(self, first: int, last: int) -> None:
        tops, size = self.grid.tops[first:last], self.grid.size
        made = self._coarse.confidence[tops[0] : tops[-1] + size]  # what lies below is not computed yet
        qmap = quantify(made, tops - tops[0], self.grid.lefts, size)
        self.patch_groups[first:last] = self._ladder.assign(qmap)

    def _refine(self, first: int, last: int, complete: int) -> None:
        """Sample rows of patches; their residual is complete down to LR row `complete`."""
        with self._clock.stage("diffuse"):
            self._diffusion.refine(first, self.patch_groups[first:last])
        with self._clock.stage("blend"):
            rows = self._diffusion.rows.view(self._drift.stop * self._scale, complete * self._scale)
            self._drift.append(-reduced(rows, self._scale))

    def _finish(self, top: int, bottom: int) -> Strip:
        """LR rows `top` to `bottom` at HR resolution, without what reaches over the picture's border; then forget them."""
        scale, (height, _) = self._scale, self.grid.extent
        coarse = self._coarse.rows.view(top * scale, bottom * scale).copy()
        refined = coarse
        with self._clock.stage("blend"):
            if not self._settings.coarse_only:
                refined = enlarged_low_pass(self._drift, top, bottom, height, scale)
                refined += self._diffusion.rows.view(top * scale, bottom * scale)
                refined *= (1 - self._fidelity) * refinement_fade(self.grid, scale, top * scale, bottom * scale)
                refined += coarse
                self._diffusion.rows.drop(bottom * scale)
                self._drift.drop(max(bottom - REACH, 0))
        self._coarse.rows.drop(bottom * scale)
        (row, column), margin = self.grid.origin, self.margin
        first, last = ((edge - top) * scale for edge in (row, row + self._height))
        rows = slice(max(first - margin, 0), max(last + margin, 0))
        columns = slice(column * scale - margin, (column + self._width) * scale + margin)
        inside = (slice(None), rows, columns)
        return Strip(refined[inside], coarse[inside])


def patch_grid(model: PatchScalerModel, height: int, width: int, wrap: bool = False) -> PatchGrid:
    """The patches of an LR picture of that size."""
    size = model.config.patch_dit.patch // model.config.coarse.scale
    # Beyond the picture's ends: the margin itself, and how far the colour hold reaches.
    return PatchGrid(height, width, size, wrap=WRAP_MARGIN + REACH if wrap else None)


def refinement_fade(grid: PatchGrid, scale: int, top: int, bottom: int) -> Rows:
    """Weight of the refinement for HR rows `top` to `bottom` of the extent [bottom - top, W], or [bottom - top, 1].

    It fades in over one LR pixel: a patch's outermost pixels are its weakest (their residual is twice the others').
    """
    if grid.wraps:  # there is no border
        return np.ones((bottom - top, 1), np.float32)
    rows = border_fade(top, bottom, grid.height * scale, scale)
    columns = border_fade(0, grid.extent[1] * scale, grid.width * scale, scale)
    return rows[:, None] * columns
