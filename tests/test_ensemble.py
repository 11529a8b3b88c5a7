"""`--ensemble`: the coarse image is the mean of eight, so it turns with its picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from patchscaler_cli import Upscaler
from patchscaler_cli.cli.variants import varied
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.trace import trace_patches
from tests.small_model import small_upscaler

Pixels = npt.NDArray[Any]
COARSE = UpscaleSettings(coarse_only=True, ensemble=True)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return small_upscaler()


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """21x34 pixels: no square, so that what turns the wrong way shows."""
    return np.random.default_rng(1).integers(0, 256, (21, 34, 3), np.uint8)


@pytest.mark.parametrize(
    "turned", [np.rot90, np.fliplr, np.flipud, lambda x: x.transpose(1, 0, 2)], ids=["turned", "left", "down", "other"]
)
def test_a_turned_picture_gives_the_turned_coarse_image(
    upscaler: Upscaler, picture: Pixels, turned: Callable[[Pixels], Pixels]
) -> None:
    usual, other = upscaler.upscale(picture, COARSE).pixels, upscaler.upscale(turned(picture), COARSE).pixels
    assert np.abs(turned(usual).astype(int) - other).max() <= 1
    plain = UpscaleSettings(coarse_only=True)
    differing = (
        turned(upscaler.upscale(picture, plain).pixels).astype(int) - upscaler.upscale(turned(picture), plain).pixels
    )
    assert np.abs(differing).max() > 8


def test_tiles_do_not_change_it(upscaler: Upscaler, picture: Pixels) -> None:
    whole = upscaler.upscale(picture, UpscaleSettings(ensemble=True)).pixels
    tiled = upscaler.upscale(picture, UpscaleSettings(ensemble=True, tile=16)).pixels
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_it_comes_nearer_to_a_reduced_photo() -> None:
    tiny, photo = Upscaler.from_pretrained("tiny", device="cpu"), data.chelsea()[:240, :320]
    lr = photo.reshape(60, 4, 80, 4, 3).mean((1, 3)).round().astype(np.uint8)
    alone, together = (
        peak_signal_noise_ratio(photo, tiny.upscale(lr, UpscaleSettings(coarse_only=True, ensemble=ensemble)).pixels)
        for ensemble in (False, True)
    )
    assert together > alone


def test_explained_patches_have_its_coarse_image(upscaler: Upscaler, picture: Pixels) -> None:
    settings = UpscaleSettings(ensemble=True)
    result = upscaler.upscale(picture, settings)
    (trace,) = trace_patches(upscaler, picture, settings, result.patch_groups, [(0, 0)])
    height, width, _ = trace.coarse.shape
    assert result.kept_coarse is not None
    assert np.abs(trace.coarse.astype(int) - result.kept_coarse[:height, :width]).max() <= 1


def test_variants_may_ask_for_it() -> None:
    assert varied("eight", "ensemble:on", UpscaleSettings()).ensemble
