"""The plot of quality against work: what is drawn is what was measured, and what cannot be drawn is said before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.evaluation.plot import Curve, Point, calibration_curves, check_plot, draw, parse_peer

CURVES = [
    Curve("adaptive", [Point("", 1.5, 0.3), Point("", 0.5, 0.35)]),
    Curve("uniform", [Point("", 1.0, 0.33), Point("", 4.0, 0.31)]),
]
POINTS = [Point("balanced", 1.2, 0.31), Point("ESRGAN", None, 0.26)]


def preset(evaluations: float, lpips: float) -> dict[str, Any]:
    return {"evaluations": evaluations, "lpips": lpips, "fidelity": 0.1}


def test_an_svg_holds_every_name(tmp_path: Path) -> None:
    path = tmp_path / "curve.svg"
    draw(path, CURVES, POINTS, "network evaluations a patch")
    ElementTree.parse(path)
    text = path.read_text()
    for words in ("adaptive", "uniform", "balanced", "ESRGAN (0.260)", "network evaluations a patch"):
        assert f"<!-- {words} -->" in text
    assert list(tmp_path.iterdir()) == [path]


def test_a_png_shows_points_lower_where_lpips_is_lower(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    draw(path, [], [Point("", 1, 0.4), Point("", 2, 0.2)], "seconds")
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    rows = [np.argwhere(np.abs(pixels - colour).sum(2) < 30)[:, 0].mean() for colour in ((0, 114, 178), (213, 94, 0))]
    assert rows[0] < rows[1]


def test_the_curves_are_the_calibrations() -> None:
    calibration = {
        "curve": {"adaptive": [preset(0.5, 0.4), preset(1, 0.3)], "uniform": [preset(4, 0.29)]},
        "presets": {"fast": preset(0.5, 0.4), "balanced": preset(1, 0.3), "best": preset(1, 0.3)},
    }
    curves, points = calibration_curves(calibration)
    assert [[(one.cost, one.lpips) for one in curve.points] for curve in curves] == [
        [(0.5, 0.4), (1, 0.3)],
        [(4, 0.29)],
    ]
    assert points == [Point("fast", 0.5, 0.4), Point("balanced, best", 1, 0.3)]


def test_a_calibration_without_a_curve_is_an_error() -> None:
    with pytest.raises(PatchScalerError, match=r"no curve to draw"):
        calibration_curves({"groups": []})


def test_peers_are_read() -> None:
    assert parse_peer("Real-ESRGAN x4plus: 0.261") == Point("Real-ESRGAN x4plus", None, 0.261)
    assert parse_peer("mine:2.5:0.3") == Point("mine", 2.5, 0.3)


@pytest.mark.parametrize("words", ["", "a", "a:b", ":0.3", "a:-1:0.3", "a:1:nan", "a:1:2:0.3", "a:1:-0.1"])
def test_what_is_no_peer_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match=r"--peer takes NAME:LPIPS"):
        parse_peer(words)


def test_a_plot_that_cannot_be_drawn_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"ends in \.svg or \.png, not curve\.gif"):
        check_plot(tmp_path / "curve.gif")
    with pytest.raises(UsageError, match=r"there is no folder"):
        check_plot(tmp_path / "none" / "curve.svg")
    monkeypatch.setattr("patchscaler_cli.evaluation.plot.find_spec", lambda name: None)
    with pytest.raises(PatchScalerError, match=r"needs matplotlib"):
        check_plot(tmp_path / "curve.svg")
