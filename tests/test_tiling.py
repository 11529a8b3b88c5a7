"""Geometry: every pixel is covered, windows sum to one, reflection is numpy's, noise belongs to a place."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from patchscaler_cli.tiling.blending import add_patch, windows
from patchscaler_cli.tiling.fitting import fitting_grid, fitting_side
from patchscaler_cli.tiling.grid import PatchGrid, WrappedAxis, reflected, tiles
from patchscaler_cli.tiling.noise import position_noise
from patchscaler_cli.tiling.rows import PART_PIXELS, parts

lengths = st.integers(1, 200)


@given(lengths, lengths, st.integers(4, 20), st.integers(4, 20))
def test_patches_cover_the_image_and_end_where_it_does(height: int, width: int, rows: int, columns: int) -> None:
    grid = PatchGrid(height, width, (rows, columns))
    axes = zip((grid.tops, grid.lefts), grid.extent, (height, width), grid.size, strict=True)
    for starts, extent, length, size in axes:
        assert extent == max(length, size)
        assert starts[0] == 0
        assert starts[-1] + size == extent
        assert (np.diff(starts) > 0).all()
        assert (np.diff(starts) <= size - grid.overlap).all()


@given(lengths, st.sampled_from((None, 5)))
def test_patches_that_fit_are_of_whole_tokens_and_not_far_from_the_networks_own(length: int, wrap: int | None) -> None:
    side = fitting_side(length, 32, 2, wrap)
    assert side % 2 == 0
    assert 24 <= side <= 40 or (16 <= side <= 40 and length <= 40)


@given(st.integers(1, 40))
def test_a_short_image_is_one_patch_no_longer_than_it_must_be(length: int) -> None:
    assert fitting_side(length, 32, 2) == max(length + length % 2, 16)


@given(lengths, st.sampled_from((None, 5)))
def test_patches_that_fit_have_no_more_pixels_than_those_of_the_networks_own_side(
    length: int, wrap: int | None
) -> None:
    fitting, own = fitting_grid(length, 1, 32, 2, wrap), PatchGrid(length, 1, (32, 32), wrap=wrap)
    assert fitting.vertical.different * fitting.size[0] <= own.vertical.different * own.size[0]


@pytest.mark.parametrize(
    ("length", "side"),
    [(1, 16), (17, 18), (36, 36), (64, 34), (128, 34), (256, 34), (512, 32), (1000, 32)],
)
def test_the_side_of_patches_that_fit(length: int, side: int) -> None:
    """Four patches of 34 pixels cover 128; of 32, five would be needed."""
    assert fitting_side(length, 32, 2) == side


@given(lengths, lengths, st.integers(1, 64))
def test_tiles_cover_every_pixel_once(height: int, width: int, side: int) -> None:
    covered = np.zeros((height, width), int)
    for tile in tiles(height, width, side):
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert (covered == 1).all()


@given(lengths, lengths, st.integers(1, 64))
def test_tiles_are_as_few_as_can_be_and_alike(height: int, width: int, side: int) -> None:
    cut = list(tiles(height, width, side))
    assert len(cut) == math.ceil(height / side) * math.ceil(width / side)
    for sides in ([tile.bottom - tile.top for tile in cut], [tile.right - tile.left for tile in cut]):
        assert max(sides) <= side
        assert max(sides) - min(sides) <= 1


@given(st.integers(1, 40), st.integers(-100, 0), st.integers(1, 200))
def test_reflection_is_that_of_numpy(length: int, start: int, stop: int) -> None:
    line = np.arange(length)
    padded = (
        np.pad(line, (-start, max(0, stop - length)), mode="reflect") if length > 1 else np.zeros(stop - start, int)
    )
    assert np.array_equal(line[reflected(start, stop, length)], padded[: stop - start])


@given(st.integers(1, 8), st.integers(2, 64), st.data())
def test_windows_sum_to_one_everywhere(count: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size // 2))
    starts = np.arange(count) * (size - overlap)
    total = np.zeros(starts[-1] + size, np.float32)
    for start, weights in zip(starts, windows(starts, size, overlap), strict=True):
        total[start : start + size] += weights
    assert np.allclose(total, 1, atol=1e-6)


def test_a_patch_without_a_neighbour_has_no_ramp_and_two_share_a_linear_one() -> None:
    first, last = windows(np.array([0, 12]), 16, 4)
    assert first.tolist() == [1] * 12 + [0.875, 0.625, 0.375, 0.125]
    assert last.tolist() == [0.125, 0.375, 0.625, 0.875] + [1] * 12


@given(st.lists(st.integers(1, 12), max_size=6))
def test_windows_of_patches_that_share_more_sum_to_one_too(steps: list[int]) -> None:
    starts = np.cumsum([0, *steps])
    total = np.zeros(starts[-1] + 16, np.float32)
    for start, weights in zip(starts, windows(starts, 16, 4), strict=True):
        assert (weights >= 0).all()
        total[start : start + 16] += weights
    assert np.allclose(total, 1, atol=1e-6)


def test_two_patches_that_share_more_than_a_ramp_are_blended_in_its_middle_only() -> None:
    first, last = windows(np.array([0, 6]), 16, 4)
    assert first.tolist() == [1] * 9 + [0.875, 0.625, 0.375, 0.125] + [0] * 3
    assert last.tolist() == [0] * 3 + [0.125, 0.375, 0.625, 0.875] + [1] * 9


@given(st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=20)
def test_blending_patches_of_one_picture_gives_that_picture(rows: int, columns: int) -> None:
    size, overlap = 16, 4
    step = size - overlap
    picture = np.random.default_rng(0).random((3, step * (rows - 1) + size, step * (columns - 1) + size), np.float32)
    canvas = np.zeros_like(picture)
    row_windows, column_windows = (windows(np.arange(n) * step, size, overlap) for n in (rows, columns))
    for r in range(rows):
        for c in range(columns):
            place = (slice(None), slice(r * step, r * step + size), slice(c * step, c * step + size))
            add_patch(canvas[place], picture[place], row_windows[r], column_windows[c])
    assert np.allclose(canvas, picture, atol=1e-6)


@given(lengths, st.integers(0, 12))
def test_wrapped_patches_come_again_after_a_period(length: int, around: int) -> None:
    axis = WrappedAxis(length, 16, 2, around)
    places = axis.starts - axis.origin
    needed = np.arange(-around, length + around)
    weights = windows(axis.starts, 16, 2)
    by_place = {int(place): row for place, row in zip(places, weights, strict=True)}
    for position in needed:
        here = {
            place - position: row[position - place] for place, row in by_place.items() if 0 <= position - place < 16
        }
        there = position + length
        beyond = {place - there: row[there - place] for place, row in by_place.items() if 0 <= there - place < 16}
        assert here, "every position is covered"
        if there < length + around:
            assert beyond.keys() == here.keys()
            assert all(np.isclose(beyond[offset], weight) for offset, weight in here.items())
    steps = np.diff(places)
    assert (steps >= 1).all()
    assert (steps <= 14).all()


@given(lengths, st.integers(-300, 300))
def test_wrapped_pixels_are_those_one_period_away(length: int, start: int) -> None:
    axis = WrappedAxis(length, 16, 2, 5)
    assert axis.pixels(axis.origin, axis.origin + length).tolist() == list(range(length))
    assert np.array_equal(axis.pixels(start, start + 20), axis.pixels(start + length, start + length + 20))


def _noise(seed: int, top: int, left: int, size: int) -> torch.Tensor:
    return position_noise(seed, torch.tensor([top]), torch.tensor([left]), (size, size))[0]


@given(st.integers(0, 2**63 - 1), st.integers(0, 100_000), st.integers(0, 100_000))
@settings(max_examples=30)
def test_overlapping_patches_share_their_noise(seed: int, top: int, left: int) -> None:
    first, second = _noise(seed, top, left, 16), _noise(seed, top + 5, left + 3, 16)
    assert torch.equal(first[:, 5:, 3:], second[:, :-5, :-3])


@given(st.integers(-200, 200), st.integers(16, 90), st.integers(16, 90))
@settings(max_examples=30)
def test_noise_with_a_period_comes_again_after_it(top: int, rows: int, columns: int) -> None:
    corner, other = torch.tensor([top]), torch.tensor([-top])
    here = position_noise(3, corner, other, (16, 12), (rows, columns))
    assert torch.equal(here, position_noise(3, corner + rows, other - 2 * columns, (16, 12), (rows, columns)))
    assert not torch.equal(here, position_noise(3, corner + 1, other, (16, 12), (rows, columns)))


def _lowbias32(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


@given(st.integers(0, 2**63 - 1), st.integers(0, 2), st.integers(0, 2**33), st.integers(0, 100_000))
@settings(max_examples=30)
def test_noise_is_that_of_whole_numbers_without_a_largest(seed: int, channel: int, top: int, left: int) -> None:
    """What is computed in 32 bits, some of them taken for signs, is what Python's own numbers come to."""
    state = _lowbias32(_lowbias32(seed % 2**32) ^ seed >> 32) + channel
    for place in (top, left):
        state = _lowbias32(state % 2**32) + place
    first = _lowbias32(state % 2**32)
    second = _lowbias32((first + 0x9E3779B9) % 2**32)
    radius = math.sqrt(-2 * math.log(min((first + 0.5) / 2**32, 1 - 2**-24)))
    expected = radius * math.cos(second * 2 * math.pi / 2**32)
    assert math.isclose(float(_noise(seed, top, left, 1)[channel, 0, 0]), expected, rel_tol=1e-4, abs_tol=1e-4)


def test_noise_is_standard_normal_in_space_and_across_channels() -> None:
    noise = _noise(7, 1000, 2000, 512)
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01
    assert abs(float((noise**4).mean()) - 3) < 0.1  # a normal number's fourth moment
    shifted = [noise[:, 1:] * noise[:, :-1], noise[:, :, 1:] * noise[:, :, :-1], noise[1:] * noise[:-1]]
    assert all(abs(float(product.mean())) < 0.01 for product in shifted)


def test_seeds_give_different_noise_in_their_upper_half_too() -> None:
    noises = [_noise(seed, 0, 0, 16) for seed in (0, 1, 2**32, 2**62)]
    assert all(not torch.equal(a, b) for i, a in enumerate(noises) for b in noises[:i])


@given(first=st.integers(0, 50), count=st.integers(0, 400), width=st.integers(1, 10**6))
def test_parts_are_all_rows_once_and_in_order(first: int, count: int, width: int) -> None:
    found = list(parts(first, first + count, width))
    assert [row for top, bottom in found for row in range(top, bottom)] == list(range(first, first + count))
    assert all((bottom - top) * width <= max(PART_PIXELS, width) for top, bottom in found)
