"""Areas of a few neighbouring patches, or of a single large one: what the losses of the few-step phase look at.

Nobody ever sees a small patch alone. In an area its neighbours are blended as in a picture, so the losses see the overlaps too,
and the deep layers of a perceptual network, for which a single patch is little but border, see what lies around a place.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.coarse import CoarseConfig
from patchscaler_cli.models.texture import TEXTURE_SIDE
from patchscaler_cli.sampling.bound import bounded
from patchscaler_cli.tiling.blending import windows
from patchscaler_cli.tiling.grid import PatchGrid
from patchscaler_cli.training.pairs import PatchBatch

AREA = 128
"""About the side of an area in HR pixels."""

OVERLAP = PatchGrid.overlap * CoarseConfig.scale
"""HR pixels that neighbouring patches share: as many as in a picture."""


def across(patch: int) -> int:
    """Patches of `patch` pixels along each side of an area: two of 64, or one of 128."""
    return max(1, AREA // patch)


def patches_an_area(patch: int) -> int:
    """How many patches of `patch` pixels an area has."""
    return across(patch) ** 2


def area_side(patch: int) -> int:
    """Side of an area in HR pixels, of patches of `patch` pixels."""
    return patch + (across(patch) - 1) * (patch - OVERLAP)


def cut(areas: Tensor, patch: int) -> Tensor:
    """The patches [A * P, C, patch, patch] of areas [A, C, S, S], area by area and row by row."""
    channels = areas.shape[1]
    columns = F.unfold(areas, patch, stride=patch - OVERLAP)  # (A, C * patch * patch, P)
    return columns.transpose(1, 2).reshape(-1, channels, patch, patch)


def blend(patches: Tensor) -> Tensor:
    """Areas [A, C, S, S] of their patches [A * P, C, patch, patch], blended as a picture's are."""
    channels, patch = patches.shape[1:3]
    count = patches_an_area(patch)
    window = _window(patch).to(patches.device).repeat(len(patches) // count, 1, 1, 1)
    columns = (patches.float() * window).reshape(-1, count, channels * patch * patch).transpose(1, 2)
    return F.fold(columns, (area_side(patch),) * 2, patch, stride=patch - OVERLAP)


def refinement_of(areas: PatchBatch, residuals: Tensor) -> Tensor:
    """What is added to areas [A, 3, S, S] by their patches' residuals [A * P, 3, patch, patch]: blended and bounded, as in a picture."""
    return bounded(blend(residuals), areas.expected)


def patches_of(areas: PatchBatch, patch: int) -> PatchBatch:
    """A batch of areas as the batch of their patches; each has its area's neighbours."""
    hr, coarse, lr = (cut(part, patch) for part in (areas.hr, areas.coarse, areas.lr))
    neighbours, sources = (
        part.repeat_interleave(patches_an_area(patch), 0) for part in (areas.neighbours, areas.sources)
    )
    features = None if areas.features is None else cut(areas.features, patch)
    return PatchBatch(hr, coarse, lr, neighbours, sources, cut(areas.expected, patch), features)


def textures_in(neighbours: Tensor) -> Tensor:
    """Textures [B, T, 3, 64, 64] cut out of what lies near each of B patches [B, N, 3, S, S]."""
    textures = cut(neighbours.flatten(0, 1), TEXTURE_SIDE)
    return textures.view(len(neighbours), -1, *textures.shape[1:])


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
    """Weights of an area's patches [P, 1, patch, patch], which sum to one at every pixel."""
    starts = np.arange(across(patch)) * (patch - OVERLAP)
    along = torch.from_numpy(windows(starts, patch, OVERLAP))  # (across, patch)
    return (along[:, None, :, None] * along[None, :, None, :]).reshape(-1, 1, patch, patch)
