"""How overlapping patches become one picture: windows that sum to one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def windows(starts: npt.NDArray[np.int64], size: int, overlap: int) -> npt.NDArray[np.float32]:
    """The weights of all patches along one axis.

    Where two neighbours share `overlap` pixels, pixel i weighs (i + 1/2) / overlap in the one and 1 minus that in the other.
    Where they share more, that ramp lies in the middle, and on either side of it one patch alone counts: the mean of two
    patches has less texture than either. There is no ramp at the ends of the axis, where a patch has no neighbour.

    Args:
        starts: first position of every patch [n], rising.
        size: pixels of a patch along the axis.
        overlap: pixels of a ramp; neighbours share so many or more.

    Returns:
        Weights [n, size] in [0, 1]; over all patches of the axis they sum to one at every pixel.
    """
    weights = np.ones((len(starts), size))
    for first, second, shared in zip(weights[:-1], weights[1:], starts[:-1] + size - starts[1:], strict=True):
        before = (shared - overlap) // 2  # of the shared pixels, those in which the first alone counts
        rising = ((np.arange(shared) - before + 0.5) / max(overlap, 1)).clip(0, 1)
        second[:shared] *= rising
        first[size - shared :] *= 1 - rising
    places = starts[:, None] - starts[0] + np.arange(size)
    total = np.bincount(places.ravel(), weights.ravel())  # is one but where more than two patches lie
    shares: npt.NDArray[np.float32] = (weights / total[places]).astype(np.float32)
    return shares


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
    row_weights: npt.NDArray[np.float32],
    column_weights: npt.NDArray[np.float32],
) -> None:
    """Add one windowed patch to the place where it belongs.

    Args:
        target: the patch's part of the canvas [3, h, w], added to in place.
        patch: [3, h, w].
        row_weights: [h], see `windows`.
        column_weights: [w].
    """
    target += patch * row_weights[:, None] * column_weights
