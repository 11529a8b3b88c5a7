"""`patchscaler evaluate` as users run it, with a small model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.cli.evaluate_lr import Kind, LrMaker
from tests.evaluation_samples import example, textured, write_folders, write_pristine, write_weights
from tests.fake_upscaler import RunCli


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two pictures of 128x128 pixels in hr/ and their reductions in lr/."""
    return write_folders(tmp_path_factory.mktemp("pictures"))


def values(run_cli: RunCli, *words: object) -> dict[str, Any]:
    """What `evaluate --json` prints."""
    result = run_cli("evaluate", *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_all_methods_are_measured(run_cli: RunCli, folders: tuple[Path, Path], weights: Path) -> None:
    found = values(run_cli, *folders, "--weights", weights)
    assert found["pictures"] == 2
    assert list(found["methods"]) == ["bicubic", "lanczos", "coarse", "patchscaler"]
    assert found["methods"]["patchscaler"]["network_evaluations"] > 0
    assert len(found["per_picture"]) == 8


def test_given_and_made_lr_pictures_are_the_same(run_cli: RunCli, folders: tuple[Path, Path]) -> None:
    hr, lr = folders
    given, made = (values(run_cli, *words, "--methods", "bicubic") for words in ((hr, lr), (hr,)))
    assert given["methods"]["bicubic"]["psnr_y"] == made["methods"]["bicubic"]["psnr_y"]


def test_a_variant_has_its_own_row(run_cli: RunCli, folders: tuple[Path, Path], weights: Path) -> None:
    words = ("--weights", weights, "--methods", "none", "--variant", "long=groups:1,steps:5")
    found = values(run_cli, *folders, *words)
    assert list(found["methods"]) == ["long"]
    assert found["setup"]["settings of long"] == "steps 5, groups 1"


def test_other_peoples_pictures_need_no_model(run_cli: RunCli, folders: tuple[Path, Path]) -> None:
    found = values(run_cli, *folders, "--methods", "bicubic", "--compare", f"truth itself={folders[0]}")
    assert found["methods"]["truth itself"]["ssim_y"] == 1
    assert found["methods"]["truth itself"]["seconds"] is None


def test_the_saved_lr_pictures_are_those_that_were_measured(
    run_cli: RunCli, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    degradation = ("--degradation", "training", "--degradation-seed", 3)
    made = values(run_cli, folders[0], *degradation, "--methods", "bicubic", "--save-lr", tmp_path / "lr")
    again = values(run_cli, folders[0], tmp_path / "lr", "--methods", "bicubic")
    assert made["methods"]["bicubic"]["psnr_y"] == again["methods"]["bicubic"]["psnr_y"]


@pytest.mark.parametrize("kind", ["noisy", "training"])
def test_a_degradation_that_draws_depends_on_seed_and_name_alone(kind: Kind) -> None:
    hr = example().hr
    first = LrMaker(kind, 1)("a", hr)
    np.testing.assert_array_equal(LrMaker(kind, 1)("a", hr), first)
    assert (LrMaker(kind, 2)("a", hr) != first).any()
    assert (LrMaker(kind, 1)("b", hr) != first).any()


def test_a_noisy_lr_picture_is_the_clean_one_and_noise() -> None:
    grey = np.full((512, 512, 3), 128, np.uint8)
    noise = LrMaker("noisy")("a", grey).astype(float) - LrMaker("clean")("a", grey)
    assert abs(noise.mean()) < 0.5
    assert noise.std() == pytest.approx(20, rel=0.02)


def test_the_table_says_what_was_not_measured(run_cli: RunCli, folders: tuple[Path, Path]) -> None:
    result = run_cli("evaluate", *folders, "--methods", "bicubic")
    assert result.exit_code == 0, result.output
    assert "needs --lpips" in result.stdout
    assert "PSNR-Y ↑" in result.stdout


def test_niqe_is_measured_from_a_file(run_cli: RunCli, tmp_path: Path) -> None:
    folders = write_folders(tmp_path, ("0.png",), side=304)
    found = values(run_cli, *folders, "--methods", "bicubic", "--niqe", write_pristine(tmp_path))
    assert found["methods"]["bicubic"]["niqe"] > 0


def test_files_are_written(run_cli: RunCli, folders: tuple[Path, Path], weights: Path, tmp_path: Path) -> None:
    result = run_cli(
        "evaluate", *folders, "--weights", weights, "--variant", "again=seed:1", "--output", tmp_path / "out",
        "--sheet", tmp_path / "sheet.png", "--csv", tmp_path / "figures.csv", "--report", tmp_path / "report.html",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.png")} == {
        "0.png", "1.png", "again/0.png", "again/1.png"
    }  # fmt: skip
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (7 * 128, 2 * 128)  # LR, five methods, truth
    assert len((tmp_path / "figures.csv").read_text().splitlines()) == 1 + 2 * 5
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count('<section class="picture"') == 2


def test_the_report_shows_as_many_pictures_as_wished(
    run_cli: RunCli, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    words = ("--methods", "bicubic,lanczos", "--report", page, "--report-pictures", 1)
    assert run_cli("evaluate", *folders, *words).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert text.count('<section class="picture"') == 1
    assert "1 of 2 pictures are shown." in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--report", "report.png"], "--report writes a file that ends in .html or .htm, not report.png"),
        (["--csv", "no/folder/a.csv"], "--csv: there is no folder"),
        (["--degradation", "clean"], "--degradation is about LR pictures that are made"),
        (["--methods", "magic"], "--methods knows bicubic, lanczos, coarse, patchscaler and none, not magic"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    run_cli: RunCli, folders: tuple[Path, Path], words: list[str], told: str
) -> None:
    result = run_cli("evaluate", *folders, *words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_a_seed_without_anything_to_draw_is_refused(run_cli: RunCli, folders: tuple[Path, Path]) -> None:
    result = run_cli("evaluate", folders[0], "--degradation-seed", 1)
    assert result.exit_code == 2
    assert "--degradation-seed draws only for --degradation noisy or training" in result.stderr


def test_the_truth_is_never_overwritten(run_cli: RunCli, tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("0.png",))
    result = run_cli("evaluate", hr, lr, "--output", hr)
    assert result.exit_code == 2
    assert "holds pictures that are compared" in result.stderr
    with Image.open(hr / "0.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), textured(128, 128))
