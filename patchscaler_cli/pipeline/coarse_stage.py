"""Stage 1: the coarse model over tiles of the LR picture, row of tiles by row of tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from patchscaler_cli.models.coarse import CoarseModel
from patchscaler_cli.pipeline.colour import REACH, enlarged_low_pass, reduced
from patchscaler_cli.pipeline.pixels import AnyArray, to_network
from patchscaler_cli.tiling.grid import PatchGrid, tiles
from patchscaler_cli.tiling.rows import Rows, RowWindow


class CoarseStage:
    """The coarse image of one picture, made from the top down as it is asked for.

    Every tile is given a halo as wide as the model's receptive field, of real pixels where there are any and of
    continued ones only beyond the picture's true border, so the result does not depend on the tiles.

    Attributes:
        extent: LR rows and columns that are restored: the grid's.
        rows: window on the coarse image [3, 4 * extent height, 4 * extent width], about [-1, 1]; finished down to
            `finished` LR rows.
        confidence: the confidence map [extent height, extent width] in (0, 1), valid as far down as rows are made.
        finished: LR rows whose coarse image is made and held to the LR picture's colour.
    """

    def __init__(
        self,
        model: CoarseModel,
        picture: AnyArray,
        grid: PatchGrid,
        tile: int,
        device: torch.device,
        advance: Callable[[int], None] = lambda tiles: None,
    ) -> None:
        """Prepare; nothing is computed yet.

        Args:
            model: on `device`, in the dtype to compute in.
            picture: the LR picture [h, w, 3]: uint8, uint16, or float32 in 0..1.
            grid: says how far beyond the picture to restore, and how it is continued there.
            tile: side of a tile in LR pixels.
            advance: called with 1 after every tile.
        """
        self.model, self.picture, self.grid, self.tile = model, picture, grid, tile
        self.extent = extent = grid.extent
        self.device, self.advance, self.scale = device, advance, model.config.scale
        self.rows = RowWindow(3, extent[1] * self.scale)
        self.confidence = np.empty(extent, np.float32)
        self.finished = 0
        self._difference = RowWindow(3, extent[1])  # LR picture minus reduced coarse image

    def finish(self, bottom: int) -> None:
        """Make the coarse image down to LR row `bottom`."""
        while self._difference.stop < min(bottom + REACH, self.extent[0]):
            self._restore_row_of_tiles()
        if bottom > self.finished:
            drift = enlarged_low_pass(self._difference, self.finished, bottom, self.extent[0], self.scale)
            self.rows.view(self.finished * self.scale, bottom * self.scale)[:] += drift
            self.finished = bottom
            self._difference.drop(max(bottom - REACH, 0))

    @torch.inference_mode()
    def _restore_row_of_tiles(self) -> None:
        scale, halo, top = self.scale, self.model.config.halo, self._difference.stop
        bottom = min(top + self.tile, self.extent[0])
        image = self.rows.extend((bottom - top) * scale)
        for part in tiles(bottom - top, self.extent[1], self.tile):
            padded = torch.from_numpy(self._cut(top - halo, bottom + halo, part.left - halo, part.right + halo))[None]
            restored, logit = self.model.restore_inner(padded.to(self.device))
            image[:, :, part.left * scale : part.right * scale] = restored[0].cpu().numpy()
            self.confidence[top:bottom, part.left : part.right] = torch.sigmoid(logit[0, 0]).cpu().numpy()
            self.advance(1)
        self._difference.append(self._cut(top, bottom, 0, self.extent[1]) - reduced(image, scale))

    def _cut(self, top: int, bottom: int, left: int, right: int) -> Rows:
        """A rectangle of the continued LR picture [3, bottom - top, right - left], in [-1, 1]."""
        rows = self.grid.vertical.pixels(top, bottom)
        columns = self.grid.horizontal.pixels(left, right)
        return to_network(self.picture[rows[:, None], columns[None]])


def tile_count(extent: tuple[int, int], tile: int) -> int:
    """Tiles of a picture of `extent` LR rows and columns."""
    return sum(1 for _ in tiles(*extent, tile))
