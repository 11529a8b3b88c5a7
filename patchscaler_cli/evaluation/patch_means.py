"""What a picture's patches have in common with a map of it: the map's mean over each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.tiling.grid import PatchGrid


def patch_means(values: npt.NDArray[Any], grid: PatchGrid, scale: int = 1) -> npt.NDArray[np.float64]:
    """The mean of a map over every patch [rows, columns]; over the part inside the map, where a patch reaches beyond it.

    Args:
        values: the map [H, W] of a whole picture that does not wrap.
        grid: its patches.
        scale: how many values along an axis stand for an LR pixel.
    """
    height, width = (side * scale for side in grid.size)
    tops, lefts = (starts * scale for starts in (grid.tops, grid.lefts))
    means = [[values[top : top + height, left : left + width].mean() for left in lefts] for top in tops]
    return np.array(means, np.float64)
