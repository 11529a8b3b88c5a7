"""The quantified confidence map (PatchScaler, section 3.3): one confidence for every patch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def quantify(
    confidence: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    size: tuple[int, int],
) -> npt.NDArray[np.float32]:
    """Average the confidence map over every patch of a grid.

    Args:
        confidence: the map C [h, w] in (0, 1), at LR resolution.
        rows: first LR row of every row of patches [R].
        columns: first LR column of every column of patches [Q].
        size: height and width of a patch in LR pixels; every patch lies within the map.

    Returns:
        Qmap [R, Q], float32; low = hard to reconstruct.
    """
    return (_patch_sums(confidence, rows, columns, size) / (size[0] * size[1])).astype(np.float32)


def plain_patches(
    lr: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Which patches of a grid [R, Q] are of one single colour in the LR picture, the pixels next to them counted in.

    Screenshots and drawings are full of them; of photographs only what is clipped looks like that. The coarse image of such a
    patch is right, which the confidence map, having learned from photographs, cannot know.

    Args:
        lr: the LR picture [3, h + 1, w + 1], with a row and a column more than the patches cover.
        rows: as `quantify`.
        columns: as `quantify`.
        size: as `quantify`.
    """
    changes = (np.diff(lr, axis=1)[:, :, :-1] != 0).any(0) | (np.diff(lr, axis=2)[:, :-1] != 0).any(0)
    plain: npt.NDArray[np.bool_] = _patch_sums(changes, rows, columns, size) == 0
    return plain


def _patch_sums(
    values: npt.NDArray[np.float32] | npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    size: tuple[int, int],
) -> npt.NDArray[np.float64]:
    """The sum of a map [h, w] over every patch [R, Q]."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.float64)
    sums[1:, 1:] = values.cumsum(0, dtype=np.float64).cumsum(1)
    top, bottom = rows[:, None], rows[:, None] + size[0]
    left, right = columns[None], columns[None] + size[1]
    patch_sums: npt.NDArray[np.float64] = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return patch_sums
