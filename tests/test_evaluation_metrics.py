"""The figures: known values, and what cannot be measured."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.metrics import Lpips, psnr_y, ssim_y
from patchscaler_cli.evaluation.niqe import fit, halved, load_pristine, niqe
from tests.evaluation_samples import textured, write_lpips, write_pristine


def test_psnr_of_one_grey_level_of_error() -> None:
    dark, light = (np.full((64, 64, 3), grey, np.uint8) for grey in (100, 101))
    assert psnr_y(dark, light) == pytest.approx(20 * math.log10(255 * 255 / 219))


def test_psnr_does_not_see_the_border() -> None:
    truth, picture = textured(64, 64), textured(64, 64)
    picture[:4], picture[:, -4:] = 0, 0
    assert psnr_y(truth, picture) == math.inf


def test_ssim_of_equal_pictures_is_one() -> None:
    assert ssim_y(textured(64, 64), textured(64, 64)) == pytest.approx(1)


def test_ssim_of_other_texture_is_low() -> None:
    assert ssim_y(textured(64, 64, 0), textured(64, 64, 1)) < 0.2


def test_niqe_is_that_of_an_independent_implementation(tmp_path: Path) -> None:
    # The figure is by the project's judge (a separate program) with the same made-up pristine model.
    pristine = load_pristine(write_pristine(tmp_path))
    assert niqe(textured(220, 310), pristine) == pytest.approx(15.11505, abs=1e-3)


def test_niqe_needs_two_blocks(tmp_path: Path) -> None:
    assert math.isnan(niqe(textured(150, 150), load_pristine(write_pristine(tmp_path))))


def test_niqe_of_a_flat_picture_is_unknown(tmp_path: Path) -> None:
    assert math.isnan(niqe(np.full((220, 310, 3), 90, np.uint8), load_pristine(write_pristine(tmp_path))))


@pytest.mark.parametrize(("name", "shape"), [("normal", 2.0), ("laplace", 1.0)])
def test_the_fit_finds_the_shape_of_known_distributions(name: str, shape: float) -> None:
    rng = np.random.default_rng(0)
    values = getattr(rng, name)(size=100_000)
    assert fit(values).shape == pytest.approx(shape, rel=0.05)


def test_the_fit_finds_which_side_is_wider() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    found = fit(np.where(values > 0, 3 * values, values))
    assert found.right / found.left == pytest.approx(3, rel=0.05)


def test_halving_keeps_a_ramp_away_from_the_border() -> None:
    ramp = np.tile(np.arange(40.0), (16, 1))
    np.testing.assert_allclose(halved(ramp)[:, 4:-4], np.tile(np.arange(20.0) * 2 + 0.5, (8, 1))[:, 4:-4])


@pytest.mark.parametrize("contents", [b"", b"no array", b"PK\x03\x04 no archive"])
def test_a_file_that_is_no_pristine_model_is_named(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(contents)
    with pytest.raises(PatchScalerError, match=r"bad\.npz: this is not NIQE's pristine model"):
        load_pristine(path)


def test_a_pristine_model_of_other_shapes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, mu_pris_param=np.zeros(4), cov_pris_param=np.eye(4), gaussian_window=np.ones((7, 7)))
    with pytest.raises(PatchScalerError, match=r"other\.npz: its arrays have other shapes"):
        load_pristine(path)


def test_a_file_that_is_no_lpips_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(PatchScalerError, match=r"bad\.safetensors: cannot read LPIPS's weights"):
        Lpips(path)


def test_the_distance_with_gradients_is_the_same_distance(tmp_path: Path) -> None:
    write_lpips(tmp_path)
    judge, one, other = Lpips(tmp_path / "alex.safetensors"), textured(64, 64), textured(64, 80)[:, 16:]
    batches = [torch.from_numpy(picture.transpose(2, 0, 1).copy())[None] / 127.5 - 1 for picture in (one, other)]
    assert float(judge.distance(*batches)) == pytest.approx(judge(one, other), rel=1e-4)
