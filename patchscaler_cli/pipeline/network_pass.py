"""One run of the x4 network over a picture of any size, streamed from the top down: bands become finished rows.

Only a few rows are ever held as float at HR resolution. After a band, the rows that nothing below can change any more go
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from patchscaler_cli.models.coarse import ETA
from patchscaler_cli.pipeline.bands import WRAP_MARGIN, Band
from patchscaler_cli.pipeline.colour import (
    REFINEMENT_REACH,
    REFINEMENT_SIGMA,
    colour_change,
    enlarged,
    enlarged_low_pass,
)
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.sampling.bound import bounded
from patchscaler_cli.tiling.blending import border_fade
from patchscaler_cli.tiling.grid import PatchGrid
from patchscaler_cli.tiling.rows import Rows, RowWindow, parts


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
    """Joins the bands of one picture, enlarged four times.

    Attributes:
        grid: the patches.
        margin: HR pixels around the picture that its strips have too: what it continues with where it wraps, else none.
        patch_groups: group of every patch [rows, columns]; whole after the last strip.
        network_evaluations: of the Patch-DiT so far.
        warnings: sentences about what had to be done otherwise than asked for, so far.
    """

    def __init__(self, grid: PatchGrid, scale: int, fidelity: float, clock: StageClock) -> None:
        """Prepare for the bands of a picture with these patches."""
        self.grid, self._scale, self._fidelity, self._clock = grid, scale, fidelity, clock
        self.margin = WRAP_MARGIN * scale if grid.wraps else 0
        self.patch_groups = np.zeros((grid.rows, grid.columns), np.int64)
        self.network_evaluations = 0
        self.warnings: list[str] = []
        self._confidence = np.empty(grid.extent, np.float32)
        self._coarse = RowWindow(3, grid.extent[1] * scale)
        self._residual = RowWindow(3, grid.extent[1] * scale)  # x_0 - y_0; zero where patches keep the coarse image
        self._drift = RowWindow(3, grid.extent[1])  # how its blocks change the colour, which is given back
        self._given = 0  # LR rows that went out

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """The confidence map [h, w] in (0, 1); whole after the last strip."""
        top, left = self.grid.origin
        return self._confidence[top : top + self.grid.height, left : left + self.grid.width]

    def strips(self, bands: Iterable[Band]) -> Iterator[Strip]:
        """Give the picture's rows from the top down as they are finished, once.

        Args:
            bands: all of the picture's, from the top down.
        """
        height = self.grid.extent[0]
        for band in bands:
            complete = height if band.last == self.grid.rows else int(self.grid.tops[band.last])
            refined = band.residual is not None
            self._join(band, complete)
            del band  # before there are finished rows beside it
            finished = max(complete - REFINEMENT_REACH, self._given) if refined and complete < height else complete
            # Nothing is where the last patches, flush with the end, begin just below the first ones.
            if finished > self._given:
                yield self._finish(finished, refined)

    def _join(self, band: Band, complete: int) -> None:
        """Take a band over; no later band reaches above LR row `complete`."""
        scale = self._scale
        top, bottom = self.grid.reach(band.first, band.last)
        self.patch_groups[band.first : band.last] = band.patch_groups
        self._confidence[top:bottom] = band.confidence
        self.network_evaluations += band.network_evaluations
        self.warnings += band.warnings
        known = self._coarse.stop - top * scale
        self._coarse.append(band.coarse[:, known:])
        if band.residual is None:
            return
        with self._clock.stage("blend"):
            self._residual.view(top * scale, self._residual.stop)[:] += band.residual[:, :known]
            self._residual.append(band.residual[:, known:])
            for begin, end in parts(self._drift.stop, complete, self.grid.extent[1] * scale**2):
                first, last = begin * scale, end * scale
                rows = self._residual.view(first, last)
                bound_refinement(rows, self._confidence, begin, end, scale)
                rows *= (1 - self._fidelity) * refinement_fade(self.grid, scale, first, last)
                self._drift.append(-colour_change(self._coarse.view(first, last), rows, scale))

    def _finish(self, bottom: int, refined: bool) -> Strip:
        """The rows down to LR row `bottom`, without what reaches over the picture's border; then forget them."""
        scale, (height, _), top = self._scale, self.grid.extent, self._given
        coarse = self._coarse.view(top * scale, bottom * scale).copy()
        result = coarse
        if refined:
            with self._clock.stage("blend"):
                result = np.empty_like(coarse)
                for begin, end in parts(top, bottom, self.grid.extent[1] * scale**2):
                    made = enlarged_low_pass(self._drift, REFINEMENT_SIGMA, begin, end, height, scale)
                    made += self._residual.view(begin * scale, end * scale)
                    made += self._coarse.view(begin * scale, end * scale)
                    result[:, (begin - top) * scale : (end - top) * scale] = made
                self._residual.drop(bottom * scale)
                self._drift.drop(max(bottom - REFINEMENT_REACH, 0))
        self._coarse.drop(bottom * scale)
        self._given = bottom
        (row, column), margin = self.grid.origin, self.margin
        first, last = ((edge - top) * scale for edge in (row, row + self.grid.height))
        rows = slice(max(first - margin, 0), max(last + margin, 0))
        columns = slice(column * scale - margin, (column + self.grid.width) * scale + margin)
        inside = (slice(None), rows, columns)
        return Strip(result[inside], coarse[inside])


def bound_refinement(rows: Rows, confidence: npt.NDArray[np.float32], first: int, last: int, scale: int) -> None:
    """Keep a refinement within what the confidence allows, in place (`sampling/bound.py`).

    Args:
        rows: x_0 - y_0 of LR rows `first` to `last` of the extent, at HR size [3, scale (last - first), W].
        confidence: map of the extent [h, w], valid in these rows and one more above and below, where there are.
    """
    expected = enlarged(lambda top, bottom: ETA / confidence[None, top:bottom], first, last, len(confidence), scale)
    refinement = torch.from_numpy(rows)[None]
    refinement[:] = bounded(refinement, torch.from_numpy(expected)[None])


def refinement_fade(grid: PatchGrid, scale: int, top: int, bottom: int) -> Rows:
    """Weight of the refinement for HR rows `top` to `bottom` of the extent [bottom - top, W], or [bottom - top, 1].

    It fades in over one LR pixel: a patch's outermost pixels are its weakest (their residual is twice the others').
    """
    if grid.wraps:  # there is no border
        return np.ones((bottom - top, 1), np.float32)
    rows = border_fade(top, bottom, grid.height * scale, scale)
    columns = border_fade(0, grid.extent[1] * scale, grid.width * scale, scale)
    return rows[:, None] * columns
