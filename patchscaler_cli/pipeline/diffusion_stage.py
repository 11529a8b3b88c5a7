"""Stage 2: the patches of the coarse image, refined group by group and blended into a canvas of residuals."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.sampling.grouped import PatchInputs, sample_groups
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.tiling.blending import add_patch
from patchscaler_cli.tiling.grid import PatchGrid
from patchscaler_cli.tiling.noise import position_noise


class DiffusionStage:
    """Refines one coarse image.

    Attributes:
        seconds_retrieving: wall-clock seconds spent on the texture prompt.
        seconds_blending: wall-clock seconds spent on blending.
    """

    def __init__(
        self, model: PatchScalerModel, device: torch.device, coarse: npt.NDArray[np.float32], grid: PatchGrid, seed: int
    ) -> None:
        """Prepare for a coarse image [3, 4 * extent height, 4 * extent width] in [-1, 1] that the grid covers exactly."""
        self.model = model
        self.device = device
        self.coarse = coarse
        self.grid = grid
        self.seed = seed
        self.scale = model.config.coarse.scale
        self.size = model.config.patch_dit.patch
        self.seconds_retrieving = 0.0
        self.seconds_blending = 0.0

    @torch.inference_mode()
    def refine(
        self,
        patch_groups: npt.NDArray[np.int64],
        ladder: GroupLadder,
        batch_size: int,
        texture: bool,
        advance: Callable[[int], None] = lambda evaluations: None,
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Sample every patch as its group [rows, columns] says.

        Returns:
            The blended residual x_0 - y_0, the coarse image's shape (zero where patches keep the coarse image), and
            the count of network evaluations.
        """
        canvas = np.zeros_like(self.coarse)
        step, overlap = (self.grid.size - self.grid.overlap) * self.scale, self.grid.overlap * self.scale

        def emit(patches: npt.NDArray[np.int64], residual: Tensor) -> None:
            refined = residual.cpu().numpy()
            begin = time.perf_counter()
            for patch, pixels in zip(patches, refined, strict=True):
                row, column = divmod(int(patch), self.grid.columns)
                add_patch(canvas, pixels, (row, self.grid.rows), (column, self.grid.columns), step, overlap)
            self.seconds_blending += time.perf_counter() - begin

        evaluations = sample_groups(
            self.model.patch_dit, lambda patches: self._load(patches, texture), emit,
            patch_groups.ravel(), ladder, batch_size, advance,
        )  # fmt: skip
        return canvas, evaluations

    def _load(self, patches: npt.NDArray[np.int64], texture: bool) -> PatchInputs:
        """Coarse pixels, noise and texture prompt of patches by their row-major numbers."""
        tops = self.grid.tops[patches // self.grid.columns] * self.scale
        lefts = self.grid.lefts[patches % self.grid.columns] * self.scale
        cut = np.stack([self.coarse[:, y : y + self.size, x : x + self.size] for y, x in zip(tops, lefts, strict=True)])
        coarse = torch.from_numpy(cut).to(self.device)
        where = torch.from_numpy(np.stack((tops, lefts))).to(self.device)
        noise = position_noise(self.seed, where[0], where[1], self.size)
        return PatchInputs(coarse, noise, self._prompt(coarse) if texture else None)

    def _prompt(self, coarse: Tensor) -> Tensor:
        begin = time.perf_counter()
        values, similarities = self.model.memory.retrieve(self.model.classifier(coarse))
        prompt = self.model.encoder.prompt(values, similarities)
        self.seconds_retrieving += time.perf_counter() - begin
        return prompt
