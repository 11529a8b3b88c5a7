"""Where a token stands in its patch: learned for one size of patches, spread over patches of any other."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def spread_positions(position: Tensor, rows: int, columns: int) -> Tensor:
    """The positions of a square patch's tokens [1, T, D], row by row, for a patch of `rows` x `columns` tokens.

    They are interpolated, as those of vision transformers are for other resolutions (Dosovitskiy et al. 2021, section 3.2).

    Returns:
        [1, rows * columns, D], of the same dtype; `position` itself where the patch has its size.
    """
    side = math.isqrt(position.shape[1])
    if (rows, columns) == (side, side):
        return position
    grid = position.float().view(1, side, side, -1).permute(0, 3, 1, 2)  # (1, D, side, side)
    spread = F.interpolate(grid, (rows, columns), mode="bilinear", align_corners=False)
    return spread.flatten(2).transpose(1, 2).to(position.dtype)


def squarely_spread(position: Tensor, tokens: int) -> Tensor:
    """The same for a square patch of so many tokens [1, tokens, D]."""
    side = math.isqrt(tokens)
    return spread_positions(position, side, side)
