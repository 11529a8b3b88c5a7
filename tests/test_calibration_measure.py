"""What calibration measures is what the pipeline makes: shares of patches add up to the figures of whole pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from patchscaler_cli.evaluation.examples import Example
from patchscaler_cli.evaluation.folder import bicubic
from patchscaler_cli.evaluation.metrics import Lpips, psnr_y
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.training.calibrate import Calibrator
from patchscaler_cli.training.calibrate_table import Measurements, outcome
from tests.evaluation_samples import example, write_lpips
from tests.small_model import small_model

CANDIDATES = (Group(0.1, 1), Group(0.2, 3))
SETS = {"even": [example(seed=0)], "odd": [example(height=136, width=180, seed=1)]}


def upscaler_with(group: Group, texture: object = True) -> Upscaler:
    calibration = GroupLadder((group,), ()).to_dict() | {"texture": texture}
    return Upscaler(small_model(), {"calibration": calibration}, "cpu", "fp32")


@pytest.fixture(scope="module")
def lpips(tmp_path_factory: pytest.TempPathFactory) -> Lpips:
    return Lpips(write_lpips(tmp_path_factory.mktemp("networks")))


@pytest.fixture(scope="module")
def calibrated(lpips: Lpips, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    """The result of a calibration of the small model, and the file of its measurements."""
    store = tmp_path_factory.mktemp("run") / "calibration.npz"
    calibrator = Calibrator(upscaler_with(CANDIDATES[0]), SETS, lpips, say=lambda line: None)
    return calibrator.run(CANDIDATES, -30.0, store), store


@pytest.fixture(scope="module")
def measured(calibrated: tuple[dict[str, object], Path]) -> Measurements:
    with np.load(calibrated[1]) as stored:
        key = str(stored["key"])
    table = Measurements.load(calibrated[1], key)
    assert table is not None
    return table


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("fidelity", [0.0, 0.3])
def test_a_candidates_shares_add_up_to_what_users_would_get(
    measured: Measurements, calibrated: tuple[dict[str, object], Path], lpips: Lpips, number: int, fidelity: float
) -> None:
    group = measured.candidates[number]
    settings = UpscaleSettings(fidelity=fidelity, coarse_only=group.steps == 0)
    upscaler = upscaler_with(group if group.steps else CANDIDATES[0], calibrated[0]["texture"])
    pairs: list[tuple[Example, np.ndarray]] = [
        (one, upscaler.upscale(one.lr, settings).pixels) for some in SETS.values() for one in some
    ]
    found = outcome(measured, measured.at(fidelity), np.full(len(measured.qmap), number))
    assert found.lpips == pytest.approx(np.mean([lpips(one.hr, pixels) for one, pixels in pairs]), rel=2e-3)
    gains = [psnr_y(one.hr, pixels) - psnr_y(one.hr, bicubic(one.lr)) for one, pixels in pairs]
    if fidelity == 0:  # in between, pixels beyond black and white are clipped a little otherwise
        assert found.gain == pytest.approx(min(gains), abs=0.02)
    assert found.evaluations == group.steps


def test_every_preset_can_be_sampled_and_is_measured_for_real(
    calibrated: tuple[dict[str, object], Path], lpips: Lpips
) -> None:
    presets = calibrated[0]["presets"]
    assert isinstance(presets, dict)
    for preset in presets.values():
        upscaler = Upscaler(
            small_model(), {"calibration": preset | {"texture": calibrated[0]["texture"]}}, "cpu", "fp32"
        )
        results = [(one, upscaler.upscale(one.lr)) for some in SETS.values() for one in some]
        distances = [lpips(one.hr, result.pixels) for one, result in results]
        assert preset["lpips"] == pytest.approx(np.mean(distances), rel=5e-3)
        evaluations = [result.network_evaluations / result.patches for _, result in results]
        assert preset["evaluations"] == pytest.approx(np.mean(evaluations), abs=1e-3)
    assert all(calibrated[0][name] == presets["balanced"][name] for name in ("groups", "thresholds", "fidelity"))


def test_the_models_textures_are_used_if_they_are_found_to_pay(
    calibrated: tuple[dict[str, object], Path], lpips: Lpips
) -> None:
    distances = {}
    for texture in (True, False):
        upscaler = upscaler_with(CANDIDATES[0], texture)
        found = [lpips(one.hr, upscaler.upscale(one.lr).pixels) for some in SETS.values() for one in some]
        distances[texture] = float(np.mean(found))
    assert calibrated[0]["texture"] == (distances[True] < distances[False])
    told = calibrated[0]["texture_lpips"]
    assert told == {
        "with": pytest.approx(distances[True], abs=1e-3),
        "without": pytest.approx(distances[False], abs=1e-3),
    }


def test_the_same_measurements_are_not_made_twice(calibrated: tuple[dict[str, object], Path], lpips: Lpips) -> None:
    said: list[str] = []
    calibrator = Calibrator(upscaler_with(CANDIDATES[0]), SETS, lpips, said.append)
    calibrator.run(CANDIDATES, -30.0, calibrated[1])
    assert said[1] == f"the measurements are taken from {calibrated[1]}"


def test_measurements_of_other_candidates_are_made_anew(
    calibrated: tuple[dict[str, object], Path], lpips: Lpips
) -> None:
    said: list[str] = []
    calibrator = Calibrator(upscaler_with(CANDIDATES[0]), SETS, lpips, said.append)
    calibrator.run((Group(0.15, 1),), -30.0, calibrated[1])
    assert said[1].startswith("1 of 2 pictures measured")
