"""Stage 1: the coarse model over tiles of the LR picture, row of tiles by row of tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from patchscaler_cli.models.coarse import CoarseConfig, CoarseModel, Ends
from patchscaler_cli.models.ensemble import CoarseEnsemble
from patchscaler_cli.models.placement import send
from patchscaler_cli.pipeline.colour import (
    COARSE_REACH,
    COARSE_SIGMA,
    PLAIN_REACH,
    enlarged_low_pass,
    keep_plain,
    reduced,
)
from patchscaler_cli.pipeline.host_memory import return_freed_memory
from patchscaler_cli.pipeline.limits import Limits, is_out_of_memory, release
from patchscaler_cli.pipeline.pixels import AnyArray, to_network
from patchscaler_cli.pipeline.precision import widened
from patchscaler_cli.sampling.qmap import plain_patches, quantify
from patchscaler_cli.tiling.grid import PatchGrid, Tile, even_cuts, tiles
from patchscaler_cli.tiling.rows import Rows, RowWindow, parts


@dataclass(frozen=True)
class _Span:
    """Positions along an axis that the model is given, to restore some of them.

    Attributes:
        start: the first that it is given.
        stop: the one after the last.
        first: the first that is wanted.
        last: the one after the last.
        at_start: whether the picture ends before `start`; then there may be less of a halo than usual, or none.
        at_stop: whether it ends at `stop`.
    """

    start: int
    stop: int
    first: int
    last: int
    at_start: bool
    at_stop: bool

    def wanted(self, config: CoarseConfig, scale: int = 1) -> slice:
        """Where the wanted positions stand in what `restore_inner` gives: without the halo, but for what lies at an end."""
        begin = self.start + (0 if self.at_start else config.halo)
        return slice((self.first - begin) * scale, (self.last - begin) * scale)


class CoarseStage:
    """The coarse image of one picture, made from the top down as it is asked for.

    Every tile is given a halo as wide as the model's receptive field, of real pixels, so the result does not depend on the
    tiles. It ends where the extent does: there the model knows that it sees nothing. A picture that wraps has no end.

    Attributes:
        extent: LR rows and columns that are restored: the grid's.
        rows: window on the coarse image [3, 4 * extent height, 4 * extent width], about [-1, 1]; finished down to
            `finished` LR rows.
        confidence: the confidence map [extent height, extent width] in (0, 1), valid where rows are made.
        features: window on the model's features [channels, extent height, extent width], whose rows are those of `rows`; holds
            nothing if they are not asked for.
        finished: down to this LR row the coarse image is made and held to the LR picture's colour, and keeps what is plain.
    """

    def __init__(
        self,
        model: CoarseModel | CoarseEnsemble,
        picture: AnyArray,
        grid: PatchGrid,
        tile: int,
        device: torch.device,
        limits: Limits | None = None,
        advance: Callable[[int], None] = lambda tiles: None,
        *,
        first_row: int = 0,
        picture_top: int = 0,
        with_features: bool = False,
    ) -> None:
        """Prepare; nothing is computed yet.

        Args:
            model: on `device`, in the dtype to compute in.
            picture: the LR picture [h, w, 3]: uint8, uint16, or float32 in 0..1; some of its rows are enough, if they
                are those that will be looked at.
            grid: says how far beyond the picture to restore, and how it is continued there.
            tile: side of a tile in LR pixels, see `largest_tile`.
            limits: says how large a tile fits, and learns it; None where nothing is known yet.
            advance: called with 1 after every tile.
            first_row: the first row of the extent that is wanted. Tiles lie where they always do.
            picture_top: the row of the LR picture that `picture` begins with.
            with_features: whether to keep the model's features.
        """
        self.model, self.picture, self.grid, self.tile = model, picture, grid, largest_tile(tile)
        self.extent = extent = grid.extent
        self.device, self.limits, self.advance = device, limits or Limits(), advance
        self.scale = model.config.scale
        cuts = rows_of_tiles(extent[0], first_row, extent[0], tile)
        top = int(cuts[0])
        self.rows = RowWindow(3, extent[1] * self.scale, top * self.scale)
        self.confidence = np.empty(extent, np.float32)
        self.features = RowWindow(model.config.channels if with_features else 0, extent[1], top)
        self.finished = first_row
        self._bottoms = iter(cuts[1:].tolist())  # of the rows of tiles
        self._difference = RowWindow(3, extent[1], top)  # LR picture minus reduced coarse image
        self._picture_top = picture_top

    def finish(self, bottom: int) -> None:
        """Make the coarse image down to LR row `bottom`."""
        while self._difference.stop < min(bottom + COARSE_REACH, self.extent[0]):
            self._restore_row_of_tiles()
        if bottom > self.finished:
            scale, (height, width) = self.scale, self.extent
            for begin, end in parts(self.finished, bottom, width * scale**2):
                rows = self.rows.view(begin * scale, end * scale)
                rows += enlarged_low_pass(self._difference, COARSE_SIGMA, begin, end, height, scale)
                around = self.lr(begin - PLAIN_REACH, end + PLAIN_REACH, -PLAIN_REACH, width + PLAIN_REACH)
                keep_plain(rows, around, scale)
            self.finished = bottom
            self._difference.drop(max(bottom - COARSE_REACH, 0))

    def _restore_row_of_tiles(self) -> None:
        scale, top = self.scale, self._difference.stop
        bottom = next(self._bottoms)
        image, features = self.rows.extend((bottom - top) * scale), self.features.extend(bottom - top)
        for part in tiles(bottom - top, self.extent[1], self.tile):
            self._restore(part, top, image, features)
            return_freed_memory()
            self.advance(1)
        self._difference.append(self.lr(top, bottom, 0, self.extent[1]) - reduced(image, scale))

    def drop(self, before: int) -> None:
        """Let go of coarse image and features above LR row `before`."""
        self.rows.drop(before * self.scale)
        self.features.drop(before)

    def _restore(self, part: Tile, top: int, image: Rows, features: Rows) -> None:
        """Put a tile of the row of tiles that begins at LR row `top` into that row's image and features, in parts if it must
        be."""
        height, width = part.bottom - part.top, part.right - part.left
        if max(height, width) <= (self.limits.tile or max(height, width)) and self._attempt(part, top, image, features):
            return
        assert self.limits.tile is not None
        for inner in tiles(height, width, self.limits.tile):
            rows, columns = (
                (part.top + inner.top, part.top + inner.bottom),
                (part.left + inner.left, part.left + inner.right),
            )
            self._restore(Tile(*rows, *columns), top, image, features)

    def _attempt(self, part: Tile, top: int, image: Rows, features: Rows) -> bool:
        """Whether the tile fitted into the memory; if so, it is done."""
        scale = self.scale
        rows = self._with_halo(top + part.top, top + part.bottom, self.extent[0])
        columns = self._with_halo(part.left, part.right, self.extent[1])
        cut = self.lr(rows.start, rows.stop, columns.start, columns.stop)
        try:
            made = self._run(self.model, cut, rows, columns)
            if not all(np.isfinite(one).all() for one in made[:2]):  # features that overflow spoil the image, too
                made = self._run(widened(self.model), cut, rows, columns)
                self.limits.warn("Half precision overflowed in a tile; it was computed again in fp32.")
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            restored, sure, known = made
            image[:, part.top * scale : part.bottom * scale, part.left * scale : part.right * scale] = restored
            self.confidence[top + part.top : top + part.bottom, part.left : part.right] = sure
            features[:, part.top : part.bottom, part.left : part.right] = known
            return True
        release(self.device)  # not above: until the exception is gone, it holds on to the memory
        self.limits.halve_tile(max(part.bottom - part.top, part.right - part.left))
        return False

    def _with_halo(self, first: int, last: int, length: int) -> _Span:
        """What the model is given along an axis of the extent, to restore positions `first` to `last`."""
        start, stop = first - self.model.config.halo, last + self.model.config.halo
        at_start, at_stop = (not self.grid.wraps and end for end in (start <= 0, stop >= length))
        return _Span(0 if at_start else start, length if at_stop else stop, first, last, at_start, at_stop)

    @torch.inference_mode()
    def _run(
        self, model: CoarseModel | CoarseEnsemble, cut: Rows, rows: _Span, columns: _Span
    ) -> tuple[Rows, npt.NDArray[np.float32], Rows]:
        """LR pixels with their halo [3, h, w] to coarse image, confidence and features without it, on the host."""
        ends = Ends(rows.at_start, rows.at_stop, columns.at_start, columns.at_stop)
        restored = model.restore_inner(send(cut[None], self.device), ends)
        inner = rows.wanted(model.config), columns.wanted(model.config)
        image = restored.image[0, :, rows.wanted(model.config, self.scale), columns.wanted(model.config, self.scale)]
        sure = torch.sigmoid(restored.logit[0, 0, *inner])
        features = restored.features[0, : self.features.channels, *inner]
        features = features.to(torch.float32, memory_format=torch.contiguous_format)  # as rows are kept
        return image.cpu().numpy(), sure.cpu().numpy(), features.cpu().numpy()

    def qmap(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """Qmap [n, columns] of rows `first` to `last` of the patches, under which the coarse image is finished: the mean
        confidence of each, and 1 where the LR picture has one single colour."""
        grid, (top, bottom) = self.grid, self.grid.reach(first, last)
        patches = grid.tops[first:last] - top, grid.lefts, grid.size
        plain = plain_patches(self.lr(top, bottom + 1, 0, self.extent[1] + 1), *patches)
        return np.where(plain, np.float32(1), quantify(self.confidence[top:bottom], *patches))

    def lr(self, top: int, bottom: int, left: int, right: int) -> Rows:
        """A rectangle of the continued LR picture [3, bottom - top, right - left], in [-1, 1], float32."""
        rows = self.grid.vertical.pixels(top, bottom) - self._picture_top
        columns = self.grid.horizontal.pixels(left, right)
        return to_network(self.picture[rows[:, None], columns[None]])


def largest_tile(tile: int) -> int:
    """How long a tile's side may be where so much is asked for.

    Another row and column of tiles for a picture that is a little longer than one or two would be halo for the most part.
    """
    return tile + tile // 8


def rows_of_tiles(height: int, top: int, bottom: int, tile: int) -> npt.NDArray[np.int64]:
    """Where those rows of tiles begin, and the last ends, that are restored to have rows `top` to `bottom` finished [n + 1].

    Args:
        height: of the extent, whose tiles they are.
        top: first row.
        bottom: the row after the last.
        tile: side of a tile in LR pixels, see `largest_tile`.
    """
    cuts = even_cuts(height, largest_tile(tile))
    first = np.searchsorted(cuts, max(top - COARSE_REACH, 0), side="right") - 1
    last = np.searchsorted(cuts, min(bottom + COARSE_REACH, height))
    return cuts[first : last + 1]


def tile_count(extent: tuple[int, int], tile: int, top: int = 0, bottom: int | None = None) -> int:
    """Tiles of a picture of `extent` LR rows and columns, or those restored to have some of its rows finished."""
    height, width = extent
    rows = rows_of_tiles(height, top, height if bottom is None else bottom, tile)
    return (len(rows) - 1) * (len(even_cuts(width, largest_tile(tile))) - 1)
