"""Which figures are reported: those that can be measured, and of the others what they lack."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from patchscaler_cli.evaluation.columns import Column, metric_columns
from tests.evaluation_samples import textured, write_pristine

Create = Callable[..., Callable[[Tensor], Tensor]]


def columns_by_name(pristine: Path | None = None, with_pyiqa: bool = False) -> dict[str, Column]:
    return {column.name: column for column in metric_columns(None, pristine, with_pyiqa)}


def install_pyiqa(monkeypatch: pytest.MonkeyPatch, create: Create) -> None:
    module = ModuleType("pyiqa")
    module.create_metric = create  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", module)


def test_without_weights_the_columns_say_what_they_need() -> None:
    columns = columns_by_name()
    assert {name: column.missing for name, column in columns.items() if column.measure is None} == {
        "lpips": "needs --lpips",
        "niqe": "needs --niqe",
    }


def test_niqe_is_measured_with_its_model(tmp_path: Path) -> None:
    measure = columns_by_name(write_pristine(tmp_path))["niqe"].measure
    assert measure is not None
    assert measure(textured(220, 310, 1), textured(220, 310, 0)) == pytest.approx(15.11505, abs=1e-3)


def test_the_heading_points_to_the_better_end() -> None:
    columns = columns_by_name()
    assert (columns["psnr_y"].heading, columns["lpips"].heading) == ("PSNR-Y ↑", "LPIPS ↓")


def test_pyiqa_is_asked_for_only_if_wished() -> None:
    assert "clipiqa" not in columns_by_name()


def test_pyiqa_gets_the_picture_as_a_batch_from_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []

    def create(name: str, device: torch.device) -> Callable[[Tensor], Tensor]:
        def judge(rgb: Tensor) -> Tensor:
            asked.append(rgb)
            return rgb.amax()

        return judge

    install_pyiqa(monkeypatch, create)
    column = columns_by_name(with_pyiqa=True)["musiq"]
    assert column.measure is not None
    picture = textured(40, 50)
    assert column.measure(textured(40, 50, 1), picture) == pytest.approx(picture.max() / 255)
    assert asked[0].shape == (1, 3, 40, 50)


def test_without_pyiqa_the_columns_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    columns = columns_by_name(with_pyiqa=True)
    assert {columns[name].missing for name in ("clipiqa", "musiq")} == {"needs pyiqa"}


def test_without_pyiqas_weights_the_columns_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(name: str, device: torch.device) -> Callable[[Tensor], Tensor]:
        raise ConnectionError("no network")

    install_pyiqa(monkeypatch, create)
    column = columns_by_name(with_pyiqa=True)["clipiqa"]
    assert (column.measure, column.missing) == (None, "pyiqa has no weights (ConnectionError)")


def test_without_the_extra_the_columns_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for library in ("skimage", "scipy"):
        monkeypatch.setitem(sys.modules, library, None)
    columns = columns_by_name(write_pristine(tmp_path))
    assert {columns[name].missing for name in ("ssim_y", "niqe")} == {"needs patchscaler[eval]"}
