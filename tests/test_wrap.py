"""`--wrap`: what comes out of a texture that is laid like tiles can be laid like tiles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from patchscaler_cli.images.alpha import bled, resize_alpha
from patchscaler_cli.images.colour import OwnColours, matrix_profile
from patchscaler_cli.pipeline import diffusion_stage
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.tiling.noise import position_noise
from tests.fake_upscaler import FakeUpscaler, RunCli
from tests.image_samples import P3_PROFILE
from tests.small_model import small_upscaler

Pixels = npt.NDArray[Any]
WRAP = UpscaleSettings(wrap=True)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return small_upscaler()


@pytest.fixture(scope="module")
def texture() -> Pixels:
    """A texture whose sides are no multiple of anything, 38x45: waves that close, and a little noise."""
    y, x = np.mgrid[0:38, 0:45]
    waves = [np.sin(2 * np.pi * (2 * x / 45 + c / 3)) * np.cos(2 * np.pi * (y / 38 - c / 5)) for c in range(3)]
    noise = np.random.default_rng(0).normal(0, 12, (38, 45, 3))
    return np.clip(np.stack(waves, -1) * 60 + 128 + noise, 0, 255).astype(np.uint8)


def rolled(pixels: Pixels, rows: int, columns: int) -> Pixels:
    return np.roll(pixels, (rows, columns), (0, 1))


def difference(a: Pixels, b: Pixels) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("scale", [4.0, 2.0, 8.0])
def test_the_coarse_image_of_a_rolled_texture_is_the_rolled_coarse_image(
    upscaler: Upscaler, texture: Pixels, scale: float
) -> None:
    settings = replace(WRAP, coarse_only=True, scale=scale)
    usual = upscaler.upscale(texture, settings).pixels
    moved = upscaler.upscale(rolled(texture, 17, -9), settings).pixels
    assert difference(rolled(usual, int(17 * scale), int(-9 * scale)), moved) <= 1


def test_the_refined_picture_of_a_texture_rolled_by_patches_is_the_rolled_picture(
    upscaler: Upscaler, texture: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches lie every 14 pixels here, so everything but the noise comes again after so many; the noise is made to."""

    def noise(
        seed: int, tops: torch.Tensor, lefts: torch.Tensor, size: tuple[int, int], period: object
    ) -> torch.Tensor:
        assert period == (42 * 4, 56 * 4)
        return position_noise(seed, tops, lefts, size, (14 * 4, 14 * 4))

    monkeypatch.setattr(diffusion_stage, "position_noise", noise)
    even = np.tile(texture, (2, 2, 1))[:42, :56]
    usual = upscaler.upscale(even, replace(WRAP, groups=1)).pixels
    moved = upscaler.upscale(rolled(even, 14, -28), replace(WRAP, groups=1)).pixels
    assert difference(rolled(usual, 14 * 4, -28 * 4), moved) <= 1


def test_a_patch_that_comes_again_beyond_an_end_is_sampled_once(upscaler: Upscaler, texture: Pixels) -> None:
    result = upscaler.upscale(np.tile(texture, (2, 2, 1))[:42, :56], replace(WRAP, groups=1))
    assert result.grid.size == (16, 16)
    assert result.patches > 3 * 4
    assert result.network_evaluations == 3 * 4 * result.groups[0].steps


@pytest.mark.parametrize("change", [{"tile": 16}, {"batch_size": 3}, {"tile": 64}])
def test_tiles_and_batches_do_not_change_the_result(
    upscaler: Upscaler, texture: Pixels, change: dict[str, int]
) -> None:
    usual = upscaler.upscale(texture, WRAP).pixels
    assert difference(usual, upscaler.upscale(texture, replace(WRAP, **change)).pixels) <= 1  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [4.0, 2.5])
def test_streaming_in_bands_does_not_change_the_result(
    upscaler: Upscaler, texture: Pixels, monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    tall = np.concatenate((texture, texture, texture[:20]))
    usual = upscaler.upscale(tall, replace(WRAP, scale=scale)).pixels
    monkeypatch.setattr("patchscaler_cli.pipeline.bands.BAND_PIXELS", 1)
    assert difference(usual, upscaler.upscale(tall, replace(WRAP, scale=scale)).pixels) <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (7, 9), (14, 15), (29, 16)])
@pytest.mark.parametrize("scale", [4.0, 3.0, 5.0])
def test_textures_of_any_size_work(upscaler: Upscaler, size: tuple[int, int], scale: float) -> None:
    settings = replace(WRAP, scale=scale, coarse_only=1 in size)
    result = upscaler.upscale(np.full((*size, 3), 100, np.uint8), settings)
    assert result.pixels.shape == (size[0] * scale, size[1] * scale, 3)
    assert result.confidence.shape == size
    assert result.patches == upscaler.plan(size[1], size[0], settings).patches


def seam(pixels: Pixels, axis: int) -> float:
    """How much stronger the step over the edge at which the picture meets itself is than the steps beside it."""
    grey = pixels.astype(float).mean(2)
    lines = np.roll(grey, 12, axis)  # the edge lies between line 11 and line 12
    steps = [np.abs(np.take(lines, i + 1, axis) - np.take(lines, i, axis)).mean() for i in range(23)]
    return float(steps[11] / np.mean([*steps[:10], *steps[13:]]))


def test_a_real_texture_meets_itself_without_a_seam(chelsea: Path) -> None:
    """Fur that continues over its sides (mirrored, and cut open elsewhere), with the bundled weights."""
    fur = np.asarray(Image.open(chelsea).convert("RGB"))[84:106, 100:120]
    half = np.concatenate((fur, fur[::-1]))
    texture = rolled(np.concatenate((half, half[:, ::-1]), 1), 11, 9)
    upscaler = Upscaler.from_pretrained(device="cpu", dtype="fp32")

    def seams(wrap: bool, **settings: Any) -> list[float]:
        pixels = upscaler.upscale(texture, UpscaleSettings(wrap=wrap, **settings)).pixels
        return [seam(pixels, axis) for axis in (0, 1)]

    # Some line of fur or other is always a strong step: of the refined texture, the mean of several edges counts.
    assert np.mean([seams(wrap=True, seed=seed) for seed in (0, 1)]) < 1.15
    assert max(seams(wrap=True, coarse_only=True)) < 1.15
    for plain in (seams(wrap=False, seed=0), seams(wrap=False, coarse_only=True)):
        assert min(plain) > 1.3, "without wrapping there is a seam to be seen"


# ---- what the network does not see ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_wraps(dtype: type) -> None:
    alpha: Pixels = np.random.default_rng(0).integers(0, 256, (9, 11)).astype(dtype)
    usual = resize_alpha(alpha, 44, 36, wraps=True)
    moved = resize_alpha(rolled(alpha, 4, -3), 44, 36, wraps=True)
    assert difference(rolled(usual, 16, -12), moved) <= 1
    assert difference(usual, resize_alpha(alpha, 44, 36)) > 1


def test_colours_under_clear_pixels_are_those_of_the_nearest_side() -> None:
    pixels = np.zeros((8, 60, 3), np.uint8)
    pixels[:, 30:] = (200, 0, 0)
    pixels[:, 20:30] = (0, 0, 200)
    alpha = np.zeros((8, 60), np.uint8)
    alpha[:, 20:] = 255  # clear at the left, where red continues from the right side and blue is farther away
    assert bled(pixels, alpha, wraps=True)[:, 0, 0].min() > 150
    assert bled(pixels, alpha)[:, 0, 0].max() < 50


def test_what_a_wide_gamut_adds_wraps() -> None:
    profile = matrix_profile(P3_PROFILE)
    assert profile is not None
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    grey = np.full((36, 44, 3), 0.5, np.float32)
    usual = OwnColours(profile, pixels).enlarged(grey, wraps=True)
    moved = OwnColours(profile, rolled(pixels, 4, -3)).enlarged(grey, wraps=True)
    assert difference(rolled(usual, 16, -12), moved) <= 1
    assert difference(usual, OwnColours(profile, pixels).enlarged(grey)) > 1


# ---- the command line -----------------------------------------------------------------------------------------------


def test_a_sprite_wraps_through_the_command_line_and_says_so(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Upscaler, "from_pretrained", lambda *names, **words: small_upscaler())
    noise = np.random.default_rng(0).integers(0, 256, (20, 26, 4)).astype(np.uint8)
    noise[3:9, 18:] = noise[12:, :5] = 0
    results = []
    for name, pixels in (("usual", noise), ("moved", rolled(noise, 7, 9))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        words = ("--wrap", "--coarse-only", "-o", tmp_path / f"{name}_out.png")
        assert run_cli("upscale", tmp_path / f"{name}.png", *words).exit_code == 0
        with Image.open(tmp_path / f"{name}_out.png") as image:
            results.append(np.asarray(image))
            assert ", wrap, " in str(image.getexif()[0x0131])
    alphas = [result[..., 3] for result in results]
    assert difference(rolled(alphas[0], 28, 36), alphas[1]) <= 1


@pytest.mark.usefixtures("fake_upscaler")
def test_wrap_reaches_the_pipeline(run_cli: RunCli, chelsea: Path, tmp_path: Path) -> None:
    assert run_cli("upscale", chelsea, "-o", tmp_path / "x.png", "--wrap").exit_code == 0
    assert FakeUpscaler.asked == [UpscaleSettings(wrap=True)]
