"""How overlapping patches become one picture: windows that sum to one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def window(index: int, count: int, size: int, overlap: int) -> npt.NDArray[np.float32]:
    """The weight of each pixel along one axis of a patch.

    Linear ramps over the overlaps, centred on pixels; no ramp at the ends of the axis. In an overlap of o pixels, pixel
    i weighs (i + 1/2) / o in the one patch and 1 minus that in the other.

    Args:
        index: which patch along the axis, 0 to `count` - 1.
        count: patches along the axis.
        size: pixels of a patch along the axis.
        overlap: pixels that neighbours share, at most half of `size`.

    Returns:
        Weights [size] in (0, 1]; over all patches of the axis they sum to one at every pixel.
    """
    weights = np.ones(size, np.float32)
    ramp = ((np.arange(overlap) + 0.5) / max(overlap, 1)).astype(np.float32)
    if overlap and index > 0:
        weights[:overlap] = ramp
    if overlap and index < count - 1:
        weights[size - overlap :] = 1 - ramp
    return weights


def border_fade(first: int, last: int, length: int, width: int) -> npt.NDArray[np.float32]:
    """How much of the refinement stays near a picture's true border, where no neighbour's window covers a patch's edge.

    Args:
        first: first position along one axis.
        last: the position after the last.
        length: of the picture along the axis; positions beyond it are as its last.
        width: positions over which the refinement fades in.

    Returns:
        Weights [last - first] in (0, 1]: a linear ramp from either border.
    """
    position = np.arange(first, last)
    distance = np.minimum(position, length - 1 - position).clip(min=0)
    return np.minimum(1, (distance + 0.5) / width).astype(np.float32)


def add_patch(
    target: npt.NDArray[np.float32],
    patch: npt.NDArray[np.float32],
    row: tuple[int, int],
    column: tuple[int, int],
    overlap: int,
) -> None:
    """Add one windowed patch to the place where it belongs.

    Args:
        target: the patch's part of the canvas [3, S, S], added to in place.
        patch: [3, S, S].
        row: index of the patch among the grid's rows, and how many rows there are.
        column: the same for columns.
        overlap: pixels that neighbours share.
    """
    size = patch.shape[-1]
    target += patch * window(*row, size, overlap)[:, None] * window(*column, size, overlap)[None]
