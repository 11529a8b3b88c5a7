"""Stage 2: patches of the coarse image, refined group by group and blended into rows of residuals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from patchscaler_cli.models.patch_dit import PatchDiT
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.placement import send
from patchscaler_cli.pipeline.denoising import CarefulDenoiser
from patchscaler_cli.pipeline.limits import Limits
from patchscaler_cli.pipeline.precision import widened
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.sampling.grouped import PatchInputs, sample_groups
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.tiling.blending import add_patch, windows
from patchscaler_cli.tiling.grid import PatchGrid
from patchscaler_cli.tiling.noise import position_noise
from patchscaler_cli.tiling.rows import Rows, RowWindow


class DiffusionStage:
    """Refines the patches of one coarse image, some rows of patches at a time.

    Attributes:
        network_evaluations: how many times a patch went through the Patch-DiT so far.
    """

    def __init__(
        self,
        model: PatchScalerModel,
        device: torch.device,
        coarse: RowWindow,
        grid: PatchGrid,
        ladder: GroupLadder,
        *,
        seed: int,
        batch_size: int,
        texture: bool,
        clock: StageClock | None = None,
        limits: Limits | None = None,
        advance: Callable[[int], None] = lambda patches: None,
    ) -> None:
        """Prepare for a coarse image whose window holds the rows that are asked for.

        Args:
            coarse: window on the coarse image [3, 4 * extent height, 4 * extent width] in [-1, 1].
            ladder: the groups' settings.
            seed: of the noise.
            batch_size: most patches in the network together.
            texture: whether to use the texture prompt.
            clock: told when the texture prompt ("retrieve") and the blending ("blend") begin and end.
            limits: says how many patches fit into the memory, and learns it; None where nothing is known yet.
            advance: called with the number of patches just finished.
        """
        self.model, self.device, self.coarse, self.grid, self.ladder = model, device, coarse, grid, ladder
        self.seed, self.batch_size, self.texture = seed, batch_size, texture
        self.clock, self.limits, self.advance = clock or StageClock(), limits or Limits(), advance
        self.scale = model.config.coarse.scale
        self.size = model.config.patch_dit.patch
        overlap = grid.overlap * self.scale
        self._row_windows = windows(grid.tops * self.scale, self.size, overlap)
        self._column_windows = windows(grid.lefts * self.scale, self.size, overlap)
        self._period = (grid.height * self.scale, grid.width * self.scale) if grid.wraps else None
        self.network_evaluations = 0

    @torch.inference_mode()
    def refine(self, first: int, patch_groups: npt.NDArray[np.int64]) -> Rows:
        """Sample rows of patches.

        Args:
            first: index of the first row of patches.
            patch_groups: group of every patch of these rows [n, columns].

        Returns:
            The blended residual x_0 - y_0 of these patches [3, n, 4 * extent width], in the rows that they reach (see
            `PatchGrid.reach`, n is four times as many); zero where patches keep the coarse image.
        """
        steps = np.array([group.steps for group in self.ladder.groups])
        self.advance(int((steps[patch_groups] == 0).sum()))  # those never come up in the loop
        top, bottom = (row * self.scale for row in self.grid.reach(first, first + len(patch_groups)))
        rows = RowWindow(3, self.grid.extent[1] * self.scale, top)
        rows.extend(bottom - top)[:] = 0
        offset = first * self.grid.columns  # patches are numbered row by row over the whole grid
        patches = np.arange(patch_groups.size) + offset
        self._sample(self.model.patch_dit, patches, patch_groups.ravel(), rows)
        return rows.view(top, bottom)

    def _sample(
        self, network: PatchDiT, patches: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], rows: RowWindow
    ) -> None:
        """Sample patches, by their numbers, as their groups say, and add them to `rows`; what overflows again in fp32."""
        finished: list[tuple[npt.NDArray[np.int64], Tensor]] = []
        overflowed: list[npt.NDArray[np.int64]] = []

        def settle(places: npt.NDArray[np.int64], residual: Tensor) -> None:
            refined = residual.cpu().numpy()
            sound = np.isfinite(refined).all((1, 2, 3))
            if not sound.all():
                overflowed.append(places[~sound])
                places, refined = places[sound], refined[sound]
            self._blend(patches[places], refined, rows)

        def emit(places: npt.NDArray[np.int64], residual: Tensor) -> None:
            if self.device.type == "cpu":
                settle(places, residual)
            else:  # to wait for these now would let the device run dry
                finished.append((places, residual))

        self.network_evaluations += sample_groups(
            CarefulDenoiser(network, self.limits),
            lambda places: self.load(patches[places]),
            emit,
            groups,
            self.ladder,
            min(self.batch_size, self.limits.batch or self.batch_size),
        )
        for places, residual in finished:
            settle(places, residual)
        if overflowed:
            again = np.concatenate(overflowed)
            wide = widened(network)
            self.limits.warn(f"Half precision overflowed in {len(again)} patches; they were computed again in fp32.")
            self._sample(wide, patches[again], groups[again], rows)

    def _corners(self, patches: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First HR row and column of patches in the extent, by their numbers."""
        rows, columns = np.divmod(patches, self.grid.columns)
        return self.grid.tops[rows] * self.scale, self.grid.lefts[columns] * self.scale

    def load(self, patches: npt.NDArray[np.int64]) -> PatchInputs:
        """Coarse pixels, noise and texture prompt of patches, by their numbers row by row over the grid."""
        tops, lefts = self._corners(patches)
        cut = [
            self.coarse.view(int(top), int(top) + self.size)[:, :, left : left + self.size]
            for top, left in zip(tops, lefts, strict=True)
        ]
        coarse = send(np.stack(cut), self.device)
        where = send(np.stack((tops, lefts)), self.device)
        top, left = (place * self.scale for place in self.grid.origin)
        noise = position_noise(self.seed, where[0] - top, where[1] - left, self.size, self._period)
        return PatchInputs(coarse, noise, self._prompt(coarse) if self.texture else None)

    def _prompt(self, coarse: Tensor) -> Tensor:
        with self.clock.stage("retrieve"):
            values, similarities = self.model.memory.retrieve(self.model.classifier(coarse))
            return self.model.encoder.prompt(values, similarities)

    def _blend(self, patches: npt.NDArray[np.int64], refined: npt.NDArray[np.float32], rows: RowWindow) -> None:
        """Add residuals [n, 3, S, S] to the rows where they belong."""
        with self.clock.stage("blend"):
            tops, lefts = self._corners(patches)
            for patch, top, left, pixels in zip(patches, tops, lefts, refined, strict=True):
                row, column = divmod(int(patch), self.grid.columns)
                target = rows.view(int(top), int(top) + self.size)[:, :, left : left + self.size]
                add_patch(target, pixels, self._row_windows[row], self._column_windows[column])
        self.advance(len(patches))
