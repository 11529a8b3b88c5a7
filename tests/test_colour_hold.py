"""The colour hold's low-pass part streams: a row is the same bits whichever rows it is asked for with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from patchscaler_cli.pipeline.colour import (
    COARSE_SIGMA,
    PLAIN_REACH,
    REFINEMENT_SIGMA,
    enlarged_low_pass,
    keep_plain,
    radius,
    reach,
)
from patchscaler_cli.tiling.rows import Rows, RowWindow


def difference(height: int, width: int, top: int = 0, bottom: int | None = None) -> RowWindow:
    """Rows `top` to `bottom` of a random difference of that size."""
    whole = np.random.default_rng(height * 1000 + width).normal(size=(3, height, width)).astype(np.float32)
    window = RowWindow(3, width)
    window.append(whole[:, :bottom])
    window.drop(top)
    return window


SIGMAS = st.sampled_from((REFINEMENT_SIGMA, COARSE_SIGMA))


@given(st.integers(1, 60), st.integers(1, 70), SIGMAS, st.data())
@settings(max_examples=60)
def test_some_rows_are_the_bits_of_the_whole_pictures(
    height: int, width: int, sigma: float, data: st.DataObject
) -> None:
    top = data.draw(st.integers(0, height - 1))
    bottom = data.draw(st.integers(top + 1, height))
    held = difference(height, width, max(top - reach(sigma), 0), min(bottom + reach(sigma), height))
    whole = enlarged_low_pass(difference(height, width), sigma, 0, height, height, 4)
    assert np.array_equal(enlarged_low_pass(held, sigma, top, bottom, height, 4), whole[:, top * 4 : bottom * 4])


def test_the_blocks_of_a_jpeg_file_do_not_come_back_with_its_colour() -> None:
    blocks = np.indices((12, 12)).sum(0) % 2 * 2.0 - 1
    window = RowWindow(1, 96)
    window.append(blocks.repeat(8, 0).repeat(8, 1).astype(np.float32)[None])
    assert np.abs(enlarged_low_pass(window, COARSE_SIGMA, 0, 96, 96, 4)[:, 128:-128, 128:-128]).max() < 0.2


@given(SIGMAS)
def test_it_is_a_gaussian_enlarged_bilinearly_with_the_borders_repeated(sigma: float) -> None:
    window = difference(23, 31)
    looks = radius(sigma)
    taps = torch.exp(-(torch.arange(-looks, looks + 1.0) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    rows = F.pad(torch.from_numpy(window.view(0, 23))[:, None], (looks,) * 4, mode="replicate")
    smooth = F.conv2d(rows, (taps[:, None] * taps)[None, None]).transpose(0, 1)
    wanted: Rows = F.interpolate(smooth, scale_factor=4, mode="bilinear", align_corners=False)[0].numpy()
    assert np.allclose(enlarged_low_pass(window, sigma, 0, 23, 23, 4), wanted, atol=1e-5)


def test_what_is_of_one_colour_stays_so_and_all_else_is_as_it_was() -> None:
    scale, lr = 4, np.zeros((3, 20, 30), np.float32)
    lr[:, 4, 21] = 0.5  # a dot
    coarse = np.random.default_rng(0).random((3, 80, 120), np.float32)
    kept = coarse.copy()
    around = np.pad(lr, ((0, 0), (PLAIN_REACH, PLAIN_REACH), (PLAIN_REACH, PLAIN_REACH)), mode="edge")
    keep_plain(kept, around, scale)
    near = np.zeros((20, 30), bool)
    near[4 - PLAIN_REACH : 5 + PLAIN_REACH, 21 - PLAIN_REACH : 22 + PLAIN_REACH] = True
    near = near.repeat(scale, 0).repeat(scale, 1)
    assert np.array_equal(kept[:, near], coarse[:, near])
    assert (kept[:, ~near] == 0).all()
