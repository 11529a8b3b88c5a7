"""A comparison's figures: means, what is best, what is missing, and what JSON and CSV make of it."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from patchscaler_cli.evaluation.columns import metric_columns
from patchscaler_cli.evaluation.comparison import Comparison, Row
from patchscaler_cli.evaluation.folder import per_patch_errors
from patchscaler_cli.evaluation.tables import as_values, cells, write_csv
from tests.evaluation_samples import compared_pictures, example, textured
from tests.small_model import small_upscaler


@pytest.fixture
def comparison() -> Comparison:
    """Two pictures by two methods; other people's has no time."""
    found = Comparison.of(metric_columns())
    for picture, ours, theirs in (("a", 30.0, 20.0), ("b", 32.0, math.inf)):
        unknown: dict[str, float | None] = {"lpips": None, "niqe": None}
        found.rows.append(
            Row(picture, "ours", unknown | {"psnr_y": ours, "ssim_y": 0.9, "seconds": 2, "network_evaluations": 7})
        )
        found.rows.append(Row(picture, "theirs", unknown | {"psnr_y": theirs, "ssim_y": 0.8, "seconds": None, "network_evaluations": None}))  # fmt: skip
    return found


def test_means_are_over_the_pictures(comparison: Comparison) -> None:
    assert comparison.mean("ours", "psnr_y") == 31


def test_the_best_of_a_metric_is_marked(comparison: Comparison) -> None:
    assert cells(comparison, "ours")[1] == ("0.900", True)
    assert cells(comparison, "theirs")[1] == ("0.800", False)


def test_cost_is_not_judged(comparison: Comparison) -> None:
    assert cells(comparison, "ours")[-2:] == [("2.000", False), ("7.0", False)]


def test_a_column_that_cannot_be_measured_says_what_it_needs(comparison: Comparison) -> None:
    assert cells(comparison, "ours")[2] == ("needs --lpips", False)


def test_what_one_method_does_not_know_is_a_dash(comparison: Comparison) -> None:
    assert cells(comparison, "theirs")[-2] == ("–", False)


def test_json_has_no_infinity(comparison: Comparison) -> None:
    assert as_values(comparison)["methods"]["theirs"]["psnr_y"] is None


def test_json_says_what_was_not_measured(comparison: Comparison) -> None:
    assert as_values(comparison)["not_measured"] == {"lpips": "needs --lpips", "niqe": "needs --niqe"}


def test_csv_has_a_line_for_each_picture_and_method(comparison: Comparison, tmp_path: Path) -> None:
    write_csv(comparison, tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["picture"], line["method"]) for line in lines] == [
        ("a", "ours"), ("a", "theirs"), ("b", "ours"), ("b", "theirs")
    ]  # fmt: skip
    assert (lines[0]["psnr_y"], lines[0]["lpips"], lines[1]["seconds"]) == ("30", "", "")


def test_the_qmap_is_ranked_against_the_error_of_the_coarse_image() -> None:
    _, comparison = compared_pictures([example()])
    assert comparison.qmap_spearman is not None
    assert -1 <= comparison.qmap_spearman <= 1


def test_the_error_of_a_patch_is_that_of_its_own_pixels() -> None:
    """A coarse image that is right but for one pixel: only the patches that cover it have an error."""
    result = small_upscaler().upscale(textured(40, 30))
    truth = result.coarse.copy()
    pixel = truth[4 * 20, 4 * 29]  # of row 20 and the last column of the LR picture
    pixel[:] = np.where(pixel < 128, pixel + 96, pixel - 96)
    qmap, errors = per_patch_errors(result, truth)
    grid = result.grid
    covers = [
        [top <= 20 < top + grid.size[0] and left <= 29 < left + grid.size[1] for left in grid.lefts]
        for top in grid.tops
    ]
    assert qmap.shape == errors.shape == (grid.rows * grid.columns,)
    np.testing.assert_allclose(errors, np.ravel(covers) * 96 / (grid.patch_pixels * 16))


def test_without_the_model_there_is_no_qmap() -> None:
    _, comparison = compared_pictures([example()], patchscaler=False)
    assert comparison.qmap_spearman is None


def test_without_scipy_there_is_no_rank_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    _, comparison = compared_pictures([example()])
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert comparison.qmap_spearman is None
