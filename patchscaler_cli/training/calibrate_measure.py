"""The measurements that calibration chooses by: every picture's patches, sampled uniformly by every candidate.

The coarse image and its confidence are made once a picture, the truth's LPIPS features too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from patchscaler_cli.evaluation.examples import Example
from patchscaler_cli.evaluation.folder import bicubic
from patchscaler_cli.evaluation.metrics import BORDER, Lpips, psnr_y
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.pipeline.bands import coarse_stage, patch_grid
from patchscaler_cli.pipeline.coarse_stage import CoarseStage
from patchscaler_cli.pipeline.colour import REFINEMENT_SIGMA, colour_change, enlarged_low_pass
from patchscaler_cli.pipeline.diffusion_stage import DiffusionStage
from patchscaler_cli.pipeline.network_pass import bound_refinement, refinement_fade
from patchscaler_cli.pipeline.pixels import from_network, to_network
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.tiling.grid import PatchAxis, PatchGrid
from patchscaler_cli.tiling.rows import Rows, RowWindow
from patchscaler_cli.training.calibrate_table import Measurements

FIDELITIES = (-0.4, 0.0, 0.3, 0.7)
"""Where LPIPS is measured, beside 1: it changes smoothly in between."""
LUMA = np.array([65.481, 128.553, 24.966], np.float32) / 2
"""Of [-1, 1] to differences of Y in 16..235 (BT.601)."""
BATCH = 96

Sets = dict[str, list[Example]]
Cells = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Prepared:
    """One picture's coarse stage, finished, and its Qmap [rows, columns]."""

    coarse: CoarseStage
    qmap: npt.NDArray[np.float32]


class PatchMeasurer:
    """Samples pictures with one model, as the pipeline does, and measures them patch by patch."""

    def __init__(self, model: PatchScalerModel, device: torch.device, lpips: Lpips, texture: bool = True) -> None:
        """For a model that lies on `device` in the dtype to compute in; `texture`: whether with the texture prompt."""
        self._model, self._device, self._lpips, self._texture = model, device, lpips, texture
        self._scale = model.config.coarse.scale

    def measure(
        self, sets: Sets, candidates: tuple[Group, ...], say: Callable[[str], None] = lambda line: None
    ) -> Measurements:
        """Every picture by every candidate (the first of which keeps the coarse patch)."""
        assert candidates[0].steps == 0
        qmaps, lpips, squared, picture, picture_set = [], [], [], [], []
        of_bicubic: list[float] = []
        begin, count = time.perf_counter(), sum(map(len, sets.values()))
        for number, pictures in enumerate(sets.values()):
            for one in pictures:
                qmap, distances, errors = self._measure(one, candidates)
                qmaps.append(qmap.ravel())
                lpips.append(distances.reshape(*distances.shape[:2], -1))
                squared.append(errors.reshape(*errors.shape[:2], -1))
                picture.append(np.full(qmap.size, len(of_bicubic)))
                picture_set.append(number)
                of_bicubic.append(psnr_y(one.hr, bicubic(one.lr)))
                say(f"{len(of_bicubic)} of {count} pictures measured, {time.perf_counter() - begin:.0f} s")
        return Measurements(
            candidates, (*FIDELITIES, 1.0), tuple(sets), np.array(picture_set), np.array(of_bicubic),
            np.concatenate(picture), np.concatenate(qmaps).astype(np.float64),
            np.concatenate(lpips, axis=2), np.concatenate(squared, axis=2),
        )  # fmt: skip

    def _measure(
        self, one: Example, candidates: tuple[Group, ...]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Qmap [rows, columns], LPIPS [K, C, rows, columns] and coefficients of the squared error [3, C, rows, columns]."""
        height, width = one.hr.shape[:2]
        prepared = self._prepare(one)
        grid, rows = prepared.coarse.grid, prepared.coarse.rows
        coarse = self._inside(rows.view(0, rows.stop), one)
        truth = self._lpips.features(one.hr)
        cells = PatchCells(grid, self._scale, height, width)
        lpips = np.empty((len(FIDELITIES) + 1, len(candidates), grid.rows, grid.columns), np.float32)
        squared = np.zeros((3, *lpips.shape[1:]), np.float32)
        shown = coarse.clip(-1, 1)  # what a file can hold
        kept = np.einsum("chw,c->hw", shown - to_network(one.hr), LUMA)
        lpips[:] = cells.sum_of_means(self._lpips.maps(truth, from_network(coarse, one.hr.dtype)))
        squared[0] = cells.inner_mean(kept**2)
        for number, group in enumerate(candidates[1:], 1):
            refinement = self.refinement(prepared, group, one)
            change = np.einsum("chw,c->hw", (coarse + refinement).clip(-1, 1) - shown, LUMA)
            squared[1, number] = cells.inner_mean(2 * kept * change)
            squared[2, number] = cells.inner_mean(change**2)
            for place, fidelity in enumerate(FIDELITIES):
                mixed = from_network(coarse + np.float32(1 - fidelity) * refinement, one.hr.dtype)
                lpips[place, number] = cells.sum_of_means(self._lpips.maps(truth, mixed))
        return prepared.qmap, lpips, squared

    def _prepare(self, one: Example) -> _Prepared:
        grid = patch_grid(self._model, *one.lr.shape[:2])
        stage = coarse_stage(self._model, one.lr, grid, UpscaleSettings(), self._device)
        stage.finish(grid.extent[0])
        return _Prepared(stage, stage.qmap(0, grid.rows))

    def refinement(self, prepared: _Prepared, group: Group, one: Example) -> Rows:
        """What the pipeline adds to the coarse image at fidelity 0 if all patches are in one group [3, H, W]."""
        grid, scale = prepared.coarse.grid, self._scale
        stage = DiffusionStage(
            self._model, self._device, prepared.coarse, GroupLadder((group,), ()), seed=0, batch_size=BATCH, texture=self._texture
        )  # fmt: skip
        rows, height = stage.refine(0, np.zeros((grid.rows, grid.columns), np.int64)), grid.extent[0]
        bound_refinement(rows, prepared.coarse.confidence, 0, height, scale)
        rows *= refinement_fade(grid, scale, 0, height * scale)
        drift = RowWindow(3, grid.extent[1])
        drift.append(-colour_change(prepared.coarse.rows.view(0, height * scale), rows, scale))
        rows += enlarged_low_pass(drift, REFINEMENT_SIGMA, 0, height, height, scale)
        return self._inside(rows, one)

    def _inside(self, rows: Rows, one: Example) -> Rows:
        return rows[:, : one.hr.shape[0], : one.hr.shape[1]]


class PatchCells:
    """Parts a picture among its patches: every place belongs to the patch whose middle part it lies in."""

    def __init__(self, grid: PatchGrid, scale: int, height: int, width: int) -> None:
        """For a picture of `height` x `width` pixels."""
        self._grid, self._scale, self._size = grid, scale, (height, width)

    def _belongs(self, positions: npt.NDArray[np.float64], axis: PatchAxis) -> Cells:
        """Which patch along an axis each position (in pixels) belongs to, as 0 and 1 [patches, n]."""
        cell = axis.nearest(positions / self._scale)
        member: Cells = (np.arange(len(axis.starts))[:, None] == cell).astype(np.float32)
        return member

    def mean(self, values: npt.NDArray[np.float32], border: int = 0) -> Cells:
        """Every patch's share of the mean of a map [h, w] that covers the picture without `border` [rows, columns]."""
        axes = []
        both = (self._grid.vertical, self._grid.horizontal)
        for places, length, axis in zip(values.shape, self._size, both, strict=True):
            positions = border + (np.arange(places) + 0.5) * ((length - 2 * border) / places)
            axes.append(self._belongs(positions, axis))
        shares: Cells = (axes[0] @ values @ axes[1].T / values.size).astype(np.float32)
        return shares

    def inner_mean(self, values: npt.NDArray[np.float32]) -> Cells:
        """Shares of the mean of a map [H, W] without the border that PSNR leaves out."""
        return self.mean(values[BORDER:-BORDER, BORDER:-BORDER], BORDER)

    def sum_of_means(self, maps: list[npt.NDArray[np.float32]]) -> Cells:
        """Shares of LPIPS, which is the sum of several maps' means."""
        total: Cells = np.stack([self.mean(values) for values in maps]).sum(0)
        return total
