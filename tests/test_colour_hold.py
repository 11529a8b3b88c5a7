"""The colour hold's low-pass part streams: a row is the same bits whichever rows it is asked for with."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from patchscaler_cli.pipeline.colour import LOW_PASS_SIGMA, RADIUS, REACH, enlarged_low_pass
from patchscaler_cli.tiling.rows import Rows, RowWindow


def difference(height: int, width: int, top: int = 0, bottom: int | None = None) -> RowWindow:
    """Rows `top` to `bottom` of a random difference of that size."""
    whole = np.random.default_rng(height * 1000 + width).normal(size=(3, height, width)).astype(np.float32)
    window = RowWindow(3, width)
    window.append(whole[:, :bottom])
    window.drop(top)
    return window


@given(st.integers(1, 60), st.integers(1, 70), st.data())
@settings(max_examples=60)
def test_some_rows_are_the_bits_of_the_whole_pictures(height: int, width: int, data: st.DataObject) -> None:
    top = data.draw(st.integers(0, height - 1))
    bottom = data.draw(st.integers(top + 1, height))
    held = difference(height, width, max(top - REACH, 0), min(bottom + REACH, height))
    whole = enlarged_low_pass(difference(height, width), 0, height, height, 4)
    assert np.array_equal(enlarged_low_pass(held, top, bottom, height, 4), whole[:, top * 4 : bottom * 4])


def test_it_is_a_gaussian_enlarged_bilinearly_with_the_borders_repeated() -> None:
    window = difference(23, 31)
    taps = torch.exp(-(torch.arange(-RADIUS, RADIUS + 1.0) ** 2) / (2 * LOW_PASS_SIGMA**2))
    taps /= taps.sum()
    rows = F.pad(torch.from_numpy(window.view(0, 23))[:, None], (RADIUS,) * 4, mode="replicate")
    smooth = F.conv2d(rows, (taps[:, None] * taps)[None, None]).transpose(0, 1)
    wanted: Rows = F.interpolate(smooth, scale_factor=4, mode="bilinear", align_corners=False)[0].numpy()
    assert np.allclose(enlarged_low_pass(window, 0, 23, 23, 4), wanted, atol=1e-5)
