"""Stage 2: patches of the coarse image, refined group by group and blended into rows of residuals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from patchscaler_cli.models.patch_dit import packed, repeated
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.placement import send
from patchscaler_cli.pipeline.coarse_stage import CoarseStage
from patchscaler_cli.pipeline.limits import Limits
from patchscaler_cli.pipeline.shared_batches import Share, sample_shares
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.sampling.grouped import PatchInputs
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.tiling.blending import add_patch, windows
from patchscaler_cli.tiling.noise import position_noise
from patchscaler_cli.tiling.rows import Rows, RowWindow


class DiffusionStage:
    """Refines the patches of one coarse image, some rows of patches at a time."""

    def __init__(
        self,
        model: PatchScalerModel,
        device: torch.device,
        coarse: CoarseStage,
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
            coarse: the stage before, which has patches, coarse image and LR picture.
            ladder: the groups' settings.
            seed: of the noise.
            batch_size: most patches in the network together.
            texture: whether to use the texture prompt.
            clock: told when the texture prompt ("retrieve") and the blending ("blend") begin and end.
            limits: says how many patches fit into the memory, and learns it; None where nothing is known yet.
            advance: called with the number of patches just finished.
        """
        self.model, self.device, self.coarse, self.ladder = model, device, coarse, ladder
        self.grid = grid = coarse.grid
        self.seed, self.batch_size, self.texture = seed, batch_size, texture
        self.clock, self.limits, self.advance = clock or StageClock(), limits or Limits(), advance
        self.scale = model.config.coarse.scale
        self.size = (grid.size[0] * self.scale, grid.size[1] * self.scale)  # of a patch
        overlap = grid.overlap * self.scale
        self._row_windows = windows(grid.tops * self.scale, self.size[0], overlap)
        self._column_windows = windows(grid.lefts * self.scale, self.size[1], overlap)
        self._period = (grid.height * self.scale, grid.width * self.scale) if grid.wraps else None

    def refine(self, first: int, patch_groups: npt.NDArray[np.int64]) -> Rows:
        """Sample rows of patches.

        Args:
            first: index of the first row of patches.
            patch_groups: group of every patch of these rows [n, columns].

        Returns:
            The blended residual x_0 - y_0 of these patches [3, n, 4 * extent width], in the rows that they reach (see
            `PatchGrid.reach`, n is four times as many); zero where patches keep the coarse image.
        """
        return refine_together([(self, first, patch_groups)])[0][0]

    def share(self, first: int, patch_groups: npt.NDArray[np.int64]) -> tuple[Share, Rows]:
        """Rows of patches as a share of batches, and where their blended residual comes to lie; arguments as `refine`.

        Where the picture wraps, patches that lie whole periods apart are one and the same: the first of them is sampled.
        """
        steps = np.array([group.steps for group in self.ladder.groups])
        top, bottom = (row * self.scale for row in self.grid.reach(first, first + len(patch_groups)))
        rows = RowWindow(3, self.grid.extent[1] * self.scale, top)
        rows.extend(bottom - top)[:] = 0
        offset = first * self.grid.columns  # patches are numbered row by row over the whole grid
        patches = np.arange(patch_groups.size) + offset
        twins = self._twins(patches)
        sampled = np.array(list(twins), np.int64)
        groups = patch_groups.ravel()[sampled - offset]
        never = patches.size - int((steps[groups] > 0).sum())
        self.advance(never)  # those do not come up in the loop
        blend = partial(self._blend, rows, twins)
        return Share(sampled, groups, self.pixels, blend, self.advance), rows.view(top, bottom)

    def _twins(self, patches: npt.NDArray[np.int64]) -> dict[int, list[int]]:
        """The patches that are the same as each by its number, itself among them, by the first number of each such set."""
        if self._period is None:
            return {patch: [patch] for patch in patches.tolist()}
        tops, lefts = self._corners(patches)
        found: dict[tuple[int, int], list[int]] = {}
        places = zip((tops % self._period[0]).tolist(), (lefts % self._period[1]).tolist(), strict=True)
        for place, patch in zip(places, patches.tolist(), strict=True):
            found.setdefault(place, []).append(patch)
        return {same[0]: same for same in found.values()}

    def _corners(self, patches: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First HR row and column of patches in the extent, by their numbers."""
        rows, columns = np.divmod(patches, self.grid.columns)
        return self.grid.tops[rows] * self.scale, self.grid.lefts[columns] * self.scale

    def pixels(self, patches: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Conditions [B, C, h, w] and noise [B, 3, h, w] of patches, by their numbers row by row over the grid."""
        tops, lefts = self._corners(patches)
        cut = [
            self.coarse.rows.view(int(top), int(top) + self.size[0])[:, :, left : left + self.size[1]]
            for top, left in zip(tops, lefts, strict=True)
        ]
        condition = send(np.stack(cut), self.device)
        corners = list(zip((tops // self.scale).tolist(), (lefts // self.scale).tolist(), strict=True))
        if self.model.config.patch_dit.sees_lr:
            condition = torch.cat((condition, self._lr(corners)), 1)
        if self.model.config.patch_dit.features:
            condition = torch.cat((condition, self._features(corners)), 1)
        where = send(np.stack((tops, lefts)), self.device)
        top, left = (place * self.scale for place in self.grid.origin)
        noise = position_noise(self.seed, where[0] - top, where[1] - left, self.size, self._period)
        return condition, noise

    def _lr(self, corners: list[tuple[int, int]]) -> Tensor:
        """The LR picture's patches with these corners, every pixel repeated to HR size [B, 3, h, w]."""
        height, width = self.grid.size
        cut = [self.coarse.lr(top, top + height, left, left + width) for top, left in corners]
        return repeated(send(np.stack(cut), self.device), self.scale)

    def _features(self, corners: list[tuple[int, int]]) -> Tensor:
        """The coarse model's features of the patches with these LR corners, `packed` [B, C / 16, h, w]."""
        height, width = self.grid.size
        cut = [self.coarse.features.view(top, top + height)[:, :, left : left + width] for top, left in corners]
        return packed(send(np.stack(cut), self.device))

    def prompt(self, condition: Tensor) -> Tensor:
        """Texture prompt tokens [B, M, P] of patches by their conditions [B, C, h, w]: only the coarse patch is asked for."""
        with self.clock.stage("retrieve"):
            values, similarities = self.model.memory.retrieve(self.model.classifier(condition[:, :3]))
            return self.model.encoder.prompt(values, similarities)

    def load(self, patches: npt.NDArray[np.int64]) -> PatchInputs:
        """All that sampling needs of patches, by their numbers."""
        condition, noise = self.pixels(patches)
        return PatchInputs(condition, noise, self.prompt(condition) if self.texture else None)

    def _blend(
        self, rows: RowWindow, twins: dict[int, list[int]], patch: int, refined: npt.NDArray[np.float32]
    ) -> None:
        """Add a patch's residual [3, h, w] to the rows wherever it belongs."""
        with self.clock.stage("blend"):
            for twin in twins[patch]:
                row, column = divmod(twin, self.grid.columns)
                top, left = int(self.grid.tops[row]) * self.scale, int(self.grid.lefts[column]) * self.scale
                target = rows.view(top, top + self.size[0])[:, :, left : left + self.size[1]]
                add_patch(target, refined, self._row_windows[row], self._column_windows[column])


Part = tuple[DiffusionStage, int, npt.NDArray[np.int64]]


@torch.inference_mode()
def refine_together(parts: Sequence[Part]) -> list[tuple[Rows, int]]:
    """Sample rows of patches of several pictures in common batches.

    Args:
        parts: a picture's stage, its first row of patches and their groups, as `DiffusionStage.refine` takes them. The
            stages are alike but for the picture. Only patches of one size share batches.

    Returns:
        What `DiffusionStage.refine` gives for each alone, and how many times its patches went through the network.
    """
    shares = [one.share(first, patch_groups) for one, first, patch_groups in parts]
    alike: dict[tuple[int, int], list[int]] = {}
    for number, (stage, _, _) in enumerate(parts):
        alike.setdefault(stage.size, []).append(number)
    evaluations: dict[int, int] = {}
    for numbers in alike.values():
        stage = parts[numbers[0]][0]
        counts = sample_shares(
            [shares[number][0] for number in numbers], stage.model.patch_dit, stage.ladder, stage.prompt if stage.texture else None,
            batch_size=stage.batch_size, device=stage.device, limits=stage.limits,
        )  # fmt: skip
        evaluations |= dict(zip(numbers, counts, strict=True))
    return [(rows, evaluations[number]) for number, (_, rows) in enumerate(shares)]
