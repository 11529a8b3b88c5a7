"""Bands: a picture whose sections are computed apart, from their own pixels alone, is the same bytes as the whole one."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from patchscaler_cli.pipeline import bands as bands_module
from patchscaler_cli.pipeline.bands import Band, Section, cut, whole_picture
from patchscaler_cli.pipeline.settings import NoProgress, Progress, UpscaleSettings
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.tiling.grid import PatchGrid
from tests.small_model import small_upscaler

Pixels = npt.NDArray[Any]


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return small_upscaler()


def picture_of(height: int, width: int, dtype: type = np.uint8) -> Pixels:
    """Waves under noise: every group occurs."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 9 + c) * np.cos(y / 7 - c) for c in range(3)], -1) * 0.3 + 0.5
    noisy = np.clip(waves + np.random.default_rng(0).normal(0, 0.05, waves.shape), 0, 1)
    if dtype == np.float32:
        return noisy.astype(np.float32)
    return (noisy * np.iinfo(dtype).max).astype(dtype)


class Apart:
    """Computes every section of a picture by itself, from what a task would be given, and counts them."""

    def __init__(self, upscaler: Upscaler, workers: int) -> None:
        self.upscaler, self.workers = upscaler, workers
        self.sections: list[Section] = []

    def __call__(
        self, whole: Section, settings: UpscaleSettings, progress: Progress, clock: StageClock
    ) -> Iterator[Band]:
        cuts = [pickle.loads(pickle.dumps(one)) for one in cut(whole, settings.tile, self.workers)]
        self.sections += cuts
        made = [list(self.upscaler.bands(one, settings, progress, clock)) for one in reversed(cuts)]
        for each in reversed(made):
            yield from each


def compared(upscaler: Upscaler, picture: Pixels, settings: UpscaleSettings, workers: int = 100) -> list[Section]:
    """Upscale a picture whole and in sections, assert that nothing differs, and give the sections."""
    whole = upscaler.upscale(picture, settings)
    apart = Apart(upscaler, workers)
    upscaler.compute = apart
    try:
        joined = upscaler.upscale(picture, settings)
    finally:
        upscaler.compute = None
    assert np.array_equal(joined.pixels, whole.pixels)
    assert np.array_equal(joined.coarse, whole.coarse)
    assert np.array_equal(joined.confidence, whole.confidence)
    assert np.array_equal(joined.patch_groups, whole.patch_groups)
    assert (joined.groups, joined.patches) == (whole.groups, whole.patches)
    assert joined.network_evaluations == whole.network_evaluations
    return apart.sections


@pytest.mark.parametrize(
    "settings",
    [
        UpscaleSettings(tile=16),
        UpscaleSettings(tile=24, scale=2.5, seed=5),
        UpscaleSettings(tile=16, scale=6),
        UpscaleSettings(tile=16, coarse_only=True),
        UpscaleSettings(tile=32, texture=False, fidelity=0.4, batch_size=3),
        UpscaleSettings(tile=16, wrap=True),
        UpscaleSettings(tile=16, wrap=True, scale=3),
    ],
    ids=str,
)
def test_sections_give_the_bytes_of_the_whole_picture(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch, settings: UpscaleSettings
) -> None:
    monkeypatch.setattr(bands_module, "BAND_PIXELS", 2 * 14 * 40 * 16)  # two rows of patches
    sections = compared(upscaler, picture_of(107, 37), settings)
    assert len(sections) > 2
    assert any(len(one.pixels) < one.grid.height for one in sections) or settings.wrap


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_sections_of_deep_pictures_give_their_bytes(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    monkeypatch.setattr(bands_module, "BAND_PIXELS", 1)
    assert len(compared(upscaler, picture_of(60, 20, dtype), UpscaleSettings(tile=16))) > 1


@example(height=17, tile=16, rows=1, workers=1)
@given(height=st.integers(1, 120), tile=st.integers(16, 60), rows=st.integers(1, 4), workers=st.integers(1, 9))
@hypothesis_settings(max_examples=15)
def test_pictures_of_any_height_can_be_cut(height: int, tile: int, rows: int, workers: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands_module, "BAND_PIXELS", rows * 14 * 16 * 16)
        compared(small_upscaler(), picture_of(height, 13), UpscaleSettings(tile=tile), workers)


@given(
    st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 300), st.integers(1, 64), st.integers(1, 50),
    st.sampled_from((None, 11)),
)  # fmt: skip
def test_sections_follow_each_other_and_hold_what_they_need(
    height: int, width: int, tile: int, workers: int, per_band: int, wrap: int | None
) -> None:
    grid = PatchGrid(height, width, (16, 18), wrap=wrap)
    picture = np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))
    sections = list(cut(Section(grid, per_band, 24, 0, 0, grid.rows, picture), tile, workers))
    assert [one.first for one in sections] == [0, *(one.last for one in sections[:-1])]
    assert sections[-1].last == grid.rows
    assert all(one.first < one.last for one in sections)
    for one in sections:
        top, bottom = grid.reach(one.first, one.last)
        needed = grid.vertical.pixels(top, bottom)
        assert one.top <= needed.min()
        assert needed.max() < one.top + len(one.pixels)


def test_a_large_picture_has_a_section_for_every_worker() -> None:
    grid = PatchGrid(4096, 1024, (16, 16))
    picture = np.broadcast_to(np.zeros(3, np.uint8), (4096, 1024, 3))
    whole = Section(grid, 4, 24, 0, 0, grid.rows, picture)
    counts = [len(list(cut(whole, 256, workers))) for workers in (1, 8, 16, 99)]
    assert counts == [8, 8, 16, 16]


def test_a_section_warns_of_what_happened_in_it(upscaler: Upscaler) -> None:
    upscaler._limits.warn("It was tight.")
    section = whole_picture(upscaler.network, picture_of(20, 20), wrap=False, seed=0)
    (band,) = upscaler.bands(section, UpscaleSettings(), NoProgress(), StageClock())
    assert band.warnings == ("It was tight.",)
