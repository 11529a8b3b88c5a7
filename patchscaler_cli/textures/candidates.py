"""Which 64x64-pixel patches of a photograph might go into a texture memory: those in which something is to be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from patchscaler_cli.models.texture import TEXTURE_SIDE
from patchscaler_cli.pipeline.pixels import AnyArray, to_network

STRIDE = 32
"""Patches lie on a grid and overlap by a half: a texture that one of them cuts lies whole in its neighbour."""
LEAST_ENERGY = 2 / 255
"""Patches that change less from pixel to pixel are sky, wall or blur, whatever a JPEG's noise makes of them."""


def texture_energy(photo: AnyArray) -> npt.NDArray[np.float32]:
    """How much every patch of the grid changes from pixel to pixel.

    Args:
        photo: [H, W, 3] of uint8, uint16 or float32 (0 to 1), H and W at least 64.

    Returns:
        Mean of |horizontal| + |vertical| difference of each patch [rows, columns], as a share of white.
    """
    white = 1.0 if photo.dtype == np.float32 else float(np.iinfo(photo.dtype).max)
    height, width = (side // STRIDE * STRIDE for side in photo.shape[:2])
    green = photo[:height, :width, 1]  # of the three the nearest to brightness
    # Averaged 2x2 first, which halves a sensor's grain and leaves what is wider than a pixel.
    half = sum(green[y::2, x::2].astype(np.float32) for y in (0, 1) for x in (0, 1)) / np.float32(4 * white)
    change = np.zeros_like(half)
    change[:, 1:] += np.abs(np.diff(half, axis=1))
    change[1:] += np.abs(np.diff(half, axis=0))
    block = STRIDE // 2
    blocks = change.reshape(height // STRIDE, block, width // STRIDE, block).mean((1, 3))
    energy: npt.NDArray[np.float32] = (blocks[:-1, :-1] + blocks[:-1, 1:] + blocks[1:, :-1] + blocks[1:, 1:]) / 4
    return energy


def draw_corners(photo: AnyArray, count: int, generator: torch.Generator) -> npt.NDArray[np.int64]:
    """Draw different patches of the grid, those of much energy sooner than those of little, flat ones never.

    Args:
        photo: as for `texture_energy`.
        count: how many to draw; fewer are found where fewer are there.
        generator: of the CPU.

    Returns:
        First row and column of each patch [n, 2], n from 0 to `count`.
    """
    energy = texture_energy(photo)
    chances = torch.from_numpy(np.where(energy < LEAST_ENERGY, 0, energy).ravel())
    count = min(count, int((chances > 0).sum()))
    if count == 0:
        return np.zeros((0, 2), np.int64)
    drawn = torch.multinomial(chances, count, generator=generator).numpy()
    return np.stack(np.divmod(drawn, energy.shape[1]), axis=1) * STRIDE


def cut(photo: AnyArray, corners: npt.NDArray[np.int64]) -> Tensor:
    """The patches of a photo [H, W, 3] at corners [n, 2]: float32 [n, 3, 64, 64] in [-1, 1]."""
    patches = [to_network(photo[top : top + TEXTURE_SIDE, left : left + TEXTURE_SIDE]) for top, left in corners]
    return torch.from_numpy(np.stack(patches))
