"""`patchscaler benchmark`: what is counted adds up, what is compared is the same picture, what makes no sense is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.benchmark import in_process, whole_process, workload
from patchscaler_cli.evaluation.benchmark.in_process import Case, Measurement, measure
from patchscaler_cli.evaluation.benchmark.machine import matrix_peak
from patchscaler_cli.evaluation.benchmark.table import MAIN_HEADINGS, aligned, as_values, main_rows, stage_rows
from patchscaler_cli.evaluation.benchmark.workload import Workload, photo_of, sample_photo
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.tiling.grid import PatchGrid
from tests.conftest import SAMPLES
from tests.fake_upscaler import RunCli
from tests.small_model import small_upscaler

SIDE = 48


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return small_upscaler()


@pytest.fixture
def measured(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """A picture with calibrated groups, with uniform sampling, and without diffusion; the machine's peak is given."""
    monkeypatch.setattr(in_process, "matrix_peak", lambda device, dtype: 1e12)
    rng = np.random.default_rng(0)  # all groups occur
    waves = np.sin(np.arange(SIDE) / 9)[:, None, None] * 80 + 128 + rng.normal(0, 12, (SIDE, SIDE, 3))
    waves[:, SIDE // 2 :] *= 0.6
    photo = Workload(f"waves {SIDE}x{SIDE}", np.clip(waves, 0, 255).astype(np.uint8))
    wishes = {
        "default": UpscaleSettings(),
        "uniform": UpscaleSettings(groups=1),
        "coarse": UpscaleSettings(coarse_only=True),
    }
    return measure([Case(photo, name, settings, upscaler) for name, settings in wishes.items()], runs=3)


def test_a_larger_sample_holds_the_smaller_one_in_its_middle() -> None:
    small, large = sample_photo(100).pixels, sample_photo(300).pixels
    assert small.shape == (100, 100, 3)
    assert np.array_equal(large[100:200, 100:200], small)


@pytest.mark.parametrize("side", [1, 127, 128, 161, 500])
def test_the_sample_has_the_size_asked_for_and_only_the_photos_colours(side: int) -> None:
    pixels = sample_photo(side).pixels
    assert pixels.shape == (side, side, 3)
    photo = {tuple(colour) for colour in photo_of(SAMPLES / "chelsea.png").pixels.reshape(-1, 3)}
    assert {tuple(colour) for colour in pixels.reshape(-1, 3)} <= photo


def test_an_installation_without_the_sample_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workload, "SAMPLE_FOLDERS", (tmp_path,))
    with pytest.raises(PatchScalerError, match="name a picture of your own"):
        sample_photo(64)


def test_operations_grow_with_the_network_evaluations(measured: list[Measurement]) -> None:
    default, uniform, coarse = measured
    assert uniform.evaluations > default.evaluations > coarse.evaluations == 0
    per_evaluation = [one.operations["diffuse"] / one.evaluations for one in (default, uniform)]
    assert per_evaluation[0] == pytest.approx(per_evaluation[1], rel=0.01)
    assert default.operations["coarse"] == uniform.operations["coarse"] == coarse.operations["coarse"]


def test_the_coarse_models_operations_are_those_of_its_convolutions(measured: list[Measurement]) -> None:
    """Two for every weight and position that a later layer looks at, and little besides (the colour's low-pass filter)."""
    model = measured[0].case.upscaler.network.coarse
    side = PatchGrid(SIDE, SIDE, (16, 16)).extent[0]  # a single tile, with the picture's ends on every side and no halo
    trunk = [
        model.head,
        *(layer for layer in model.body.modules() if isinstance(layer, torch.nn.Conv2d)),
        model.body_end, model.tail, model.confidence_hidden, model.confidence_out,
    ]  # fmt: skip
    expected = sum(2 * layer.weight.numel() * side**2 for layer in trunk)
    assert measured[0].operations["coarse"] == pytest.approx(expected, rel=0.02)


def test_shares_of_the_peak_are_operations_over_seconds(measured: list[Measurement]) -> None:
    for one in measured[:2]:
        share = one.share_of_peak("diffuse")
        assert share == pytest.approx(one.operations["diffuse"] / one.stage_seconds["diffuse"] / 1e12)
    assert measured[2].share_of_peak("diffuse") is None


def test_stages_make_up_a_run(measured: list[Measurement]) -> None:
    for one in measured:
        assert len(one.runs) == len(one.stages) == 3
        for run, stages in zip(one.runs, one.stages, strict=True):
            assert sum(stages.values()) <= run


def test_the_first_case_of_a_picture_is_what_the_others_are_compared_with(measured: list[Measurement]) -> None:
    values = as_values(measured, {})["cases"]
    ratio = values[0]["warm_stages"]["diffuse"] / values[1]["warm_stages"]["diffuse"]
    assert values[1]["diffusion_times_as_fast_as_first"] == pytest.approx(ratio)
    assert values[2]["diffusion_times_as_fast_as_first"] is None
    assert [row[-1] == "" for row in main_rows(measured)] == [True, False, False]


def test_rows_have_a_cell_for_every_heading(measured: list[Measurement]) -> None:
    lines = aligned(MAIN_HEADINGS, main_rows(measured)).splitlines()
    assert len(lines) == 4
    assert all(line.startswith(("picture", "waves")) for line in lines)
    assert len(stage_rows(measured)) == 3


def test_the_matrix_product_finds_a_peak_that_a_cpu_can_have() -> None:
    assert 1e8 < matrix_peak(torch.device("cpu"), torch.float32, seconds=0.01) < 1e15


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (UpscaleSettings(groups=1, fidelity=0.5), ["--groups", "1", "--fidelity", "0.5"]),
        (UpscaleSettings(coarse_only=True, texture=False), ["--coarse-only", "--no-texture"]),
        (UpscaleSettings(ensemble=True, texture=True), ["--ensemble", "--texture", "model"]),
        (UpscaleSettings(long_edge=900), ["--long-edge", "900"]),
    ],
)
def test_a_process_is_asked_for_the_same_settings(settings: UpscaleSettings, words: list[str]) -> None:
    said = " ".join(whole_process.options_of(settings))
    assert " ".join(words) in said
    assert "None" not in said


def test_a_process_that_fails_is_told_with_its_own_words() -> None:
    with pytest.raises(PatchScalerError, match="nosuch"):
        whole_process.run_processes(sample_photo(8), UpscaleSettings(), ["--model", "nosuch"], 1)


def test_the_command_times_warm_runs_and_a_process_and_writes_both_down(run_cli: RunCli, tmp_path: Path) -> None:
    written, trace = tmp_path / "figures.json", tmp_path / "trace.json"
    done = run_cli(
        "benchmark", "--sizes", 16, "--runs", 1, "--processes", 1, "--dtype", "fp32", "--variant", "coarse=groups:1",
        "--json", written, "--profile", trace,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "sample 16x16" in done.stdout
    figures = json.loads(written.read_text())
    first, second = figures["cases"]
    assert (first["settings"], second["settings"], second["changed"]["groups"]) == ("default", "coarse", 1)
    whole = first["whole_process"]
    assert whole["stages"]["start"] > 0
    assert sum(whole["stages"].values()) == pytest.approx(whole["seconds"])
    assert json.loads(trace.read_text())["traceEvents"]


def test_your_own_picture_is_timed_in_its_own_size(run_cli: RunCli, chelsea: Path, tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    words = ("--runs", 1, "--processes", 0, "--coarse-only", "--json", written)
    assert run_cli("benchmark", chelsea, *words).exit_code == 0
    (case,) = json.loads(written.read_text())["cases"]
    assert (case["picture"], case["input"], case["whole_process"]) == ("chelsea.png", [160, 128], None)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--sizes", "128,"), "--sizes takes words"),
        (("--sizes", "12.5"), "--sizes must be whole numbers"),
        (("--sizes", "128", "photo.png"), "leave one of them out"),
        (("--dtype", "int8"), "--dtype must be"),
        (("--variant", "default=groups:1"), "the name default is taken"),
        (("--variant", "odd=colour:red"), "--variant odd knows"),
        (("--json", "/nowhere/at/all.json"), "there is no folder"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(run_cli: RunCli, words: tuple[str, ...], sentence: str) -> None:
    refused = run_cli("benchmark", *words)
    assert refused.exit_code == 2
    assert sentence in " ".join(refused.stderr.split())
