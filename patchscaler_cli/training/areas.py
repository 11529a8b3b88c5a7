"""Areas of a few neighbouring patches: what the losses of the few-step phase look at.

Nobody ever sees a patch alone. In an area its neighbours are blended as in a picture, so the losses see the overlaps too,
and the deep layers of a perceptual network, for which a single patch is little but border, see what lies around a place.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.coarse import CoarseConfig
from patchscaler_cli.tiling.blending import windows
from patchscaler_cli.tiling.grid import PatchGrid
from patchscaler_cli.training.pairs import PatchBatch

ACROSS = 2
"""Patches of an area along each side."""

PATCHES = ACROSS**2

OVERLAP = PatchGrid.overlap * CoarseConfig.scale
"""HR pixels that neighbouring patches share: as many as in a picture."""


def area_side(patch: int) -> int:
    """Side of an area in HR pixels, of patches of `patch` pixels."""
    return patch + (ACROSS - 1) * (patch - OVERLAP)


def cut(areas: Tensor, patch: int) -> Tensor:
    """The patches [A * PATCHES, C, patch, patch] of areas [A, C, S, S], area by area and row by row."""
    channels = areas.shape[1]
    columns = F.unfold(areas, patch, stride=patch - OVERLAP)  # (A, C * patch * patch, PATCHES)
    return columns.transpose(1, 2).reshape(-1, channels, patch, patch)


def blend(patches: Tensor) -> Tensor:
    """Areas [A, C, S, S] of their patches [A * PATCHES, C, patch, patch], blended as a picture's are."""
    channels, patch = patches.shape[1:3]
    window = _window(patch).to(patches.device).repeat(len(patches) // PATCHES, 1, 1, 1)
    columns = (patches.float() * window).reshape(-1, PATCHES, channels * patch * patch).transpose(1, 2)
    return F.fold(columns, (area_side(patch),) * 2, patch, stride=patch - OVERLAP)


def patches_of(areas: PatchBatch, patch: int) -> PatchBatch:
    """A batch of areas as the batch of their patches; each has all patches of its area's neighbours as its own."""
    hr, coarse, lr = (cut(part, patch) for part in (areas.hr, areas.coarse, areas.lr))
    side = area_side(patch)
    neighbours = cut(areas.neighbours.reshape(-1, 3, side, side), patch)
    neighbours = neighbours.view(len(areas.hr), -1, 3, patch, patch)  # (A, N * PATCHES, …)
    several = (part.repeat_interleave(PATCHES, 0) for part in (neighbours, areas.sources))
    return PatchBatch(hr, coarse, lr, *several)


def lattice(refinement: Tensor) -> Tensor:
    """How much of areas' refinement [A, 3, S, S] repeats with every LR pixel: the mean square, over the places within an LR
    pixel, of what its mean over all LR pixels is above or below its mean over everything. A scalar.

    Nothing that repeats so can be known from the LR picture, but networks that look in strides like to see it, and one
    that writes blocks of 4x4 pixels finds it easy to make.
    """
    scale = CoarseConfig.scale
    areas, channels, side, _ = refinement.shape
    places = refinement.float().reshape(areas, channels, side // scale, scale, side // scale, scale).mean((2, 4))
    return (places - places.mean((2, 3), keepdim=True)).square().mean()


@cache
def _window(patch: int) -> Tensor:
    """Weights of an area's patches [PATCHES, 1, patch, patch], which sum to one at every pixel."""
    along = torch.from_numpy(windows(np.arange(ACROSS) * (patch - OVERLAP), patch, OVERLAP))  # (ACROSS, patch)
    return (along[:, None, :, None] * along[None, :, None, :]).reshape(PATCHES, 1, patch, patch)
