"""The curve of LPIPS against hours is read from the table beside the weights, whose last row is the bundled weights'."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.history import SETS, history_curves
from patchscaler_cli.models.weights_file import load_weights

WEIGHTS = Path(__file__).parent.parent / "weights"


def test_the_last_row_is_of_the_bundled_weights() -> None:
    validation = load_weights(WEIGHTS / "tiny.safetensors")[1]["validation"]
    for name, curve in zip(SETS, history_curves(WEIGHTS / "history.csv"), strict=True):
        assert curve.points[-1].lpips == pytest.approx(validation[name]["patchscaler"]["lpips"], abs=1e-4)


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("run,hours\n1,2\n")
    with pytest.raises(PatchScalerError, match="columns run, hours, clean and real"):
        history_curves(table)
