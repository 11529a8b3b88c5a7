"""The quantified confidence map (PatchScaler, section 3.3): one confidence for every patch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def quantify(
    confidence: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.float32]:
    """Average the confidence map over every patch of a grid.

    Args:
        confidence: the map C [h, w] in (0, 1), at LR resolution.
        rows: first LR row of every row of patches [R].
        columns: first LR column of every column of patches [Q].
        size: side of a patch in LR pixels; every patch lies within the map.

    Returns:
        Qmap [R, Q], float32; low = hard to reconstruct.
    """
    sums = np.zeros((confidence.shape[0] + 1, confidence.shape[1] + 1), np.float64)
    sums[1:, 1:] = confidence.cumsum(0, dtype=np.float64).cumsum(1)
    top, bottom = rows[:, None], rows[:, None] + size
    left, right = columns[None], columns[None] + size
    totals = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return (totals / size**2).astype(np.float32)
