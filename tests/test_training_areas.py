"""Areas of neighbouring patches are cut and blended as a picture's are."""

from __future__ import annotations

import pytest
import torch

from patchscaler_cli.training.areas import (
    OVERLAP,
    area_side,
    blend,
    cut,
    lattice,
    patches_an_area,
    patches_of,
    textures_in,
)
from patchscaler_cli.training.pairs import PatchBatch

PATCHES = 4
"""Of 64 pixels, an area has."""


@pytest.mark.parametrize("patch", [32, 64, 128])
def test_the_patches_of_an_area_blend_to_the_area(patch: int) -> None:
    side = area_side(patch)
    areas = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    patches = cut(areas, patch)
    assert patches.shape == (3 * patches_an_area(patch), 3, patch, patch)
    assert torch.allclose(blend(patches), areas, atol=1e-6)


def test_neighbours_share_their_overlap() -> None:
    left, right, *_ = cut(torch.randn(1, 3, area_side(64), area_side(64)), 64)
    assert torch.equal(left[..., -OVERLAP:], right[..., :OVERLAP])


def test_where_no_neighbour_lies_a_patch_alone_counts() -> None:
    patches = torch.zeros(PATCHES, 3, 64, 64)
    patches[0] = 1
    area = blend(patches)
    inner = 64 - OVERLAP
    assert (area[..., :inner, :inner] == 1).all()
    assert (area[..., 64:] == 0).all()
    assert (area[..., 64:, :] == 0).all()
    assert (area[..., :inner, inner:64].diff(dim=-1) < 0).all()


def test_gradients_reach_every_patch_of_an_area() -> None:
    patches = torch.zeros(PATCHES, 3, 64, 64, requires_grad=True)
    blend(patches).sum().backward()  # type: ignore[no-untyped-call]
    assert patches.grad is not None
    assert (patches.grad > 0).all()
    assert torch.allclose(patches.grad.sum(), torch.tensor(3.0 * area_side(64) ** 2))


def test_the_lattice_is_what_repeats_with_every_lr_pixel() -> None:
    tile = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    woven = tile.repeat(1, 1, 30, 30)
    expected = (tile - tile.mean((2, 3), keepdim=True)).square().mean()
    assert torch.allclose(lattice(woven), expected, atol=1e-5)
    assert torch.allclose(lattice(woven + 0.7), expected, atol=1e-5)  # colour is the colour hold's
    assert lattice(torch.randn(2, 3, 120, 120)) < 0.003  # noise of deviation one: over 900 LR pixels it averages out


def test_a_batch_of_areas_becomes_the_batch_of_their_patches() -> None:
    side = area_side(64)
    hr, coarse, lr, neighbour = torch.randn(4, 2, 3, side, side).unbind()
    expected = torch.rand(2, 1, side, side)
    batch = patches_of(PatchBatch(hr, coarse, lr, neighbour[:, None], torch.tensor([5, 7]), expected), 64)
    assert batch.sources.tolist() == [5] * PATCHES + [7] * PATCHES
    for patches, areas in ((batch.hr, hr), (batch.coarse, coarse), (batch.lr, lr), (batch.expected, expected)):
        assert torch.equal(patches[PATCHES], areas[1, :, :64, :64])
        assert torch.equal(patches[PATCHES - 1], areas[0, :, -64:, -64:])
    for one in batch.neighbours[PATCHES:]:
        assert torch.equal(one[0], neighbour[1])


def test_textures_are_of_one_size_whatever_the_patch() -> None:
    near = torch.randn(5, 1, 3, 128, 128)
    textures = textures_in(near)
    assert textures.shape == (5, 4, 3, 64, 64)
    assert torch.equal(textures[3, 0], near[3, 0, :, :64, :64])
    side = area_side(64)
    several = textures_in(near[..., :side, :side])
    assert torch.equal(several[3, 0], near[3, 0, :, :64, :64])
    assert torch.equal(several[3, -1], near[3, 0, :, side - 64 : side, side - 64 : side])
    alone = torch.randn(5, 2, 3, 64, 64)
    assert torch.equal(textures_in(alone), alone)
