"""The curve of quality against work, drawn: adaptive sampling against uniform, presets and other programs as points."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

from patchscaler_cli.errors import PatchScalerError, UsageError

ENDINGS = (".svg", ".png")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of Okabe and Ito's palette, which colour-blind people tell apart; every curve has a marker of its own too."""
MARKERS = ("o", "s", "D", "^", "v", "P")


@dataclass(frozen=True)
class Point:
    """A way to enlarge: what it takes, None if that cannot be compared, and its mean LPIPS."""

    name: str
    cost: float | None
    lpips: float


@dataclass(frozen=True)
class Curve:
    """Ways that belong together, joined by a line in the order of their costs; only points with a name are labelled."""

    name: str
    points: list[Point]


def check_plot(path: Path) -> None:
    """Refuse, before any work, a plot that could not be written.

    Raises:
        UsageError: if the ending is none that is drawn, or the folder is missing.
        PatchScalerError: if matplotlib is not installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--plot writes a file that ends in {' or '.join(ENDINGS)}, not {path.name}.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--plot: there is no folder {path.absolute().parent}; make it first.")
    if find_spec("matplotlib") is None:
        raise PatchScalerError("--plot needs matplotlib; install it with `pip install 'patchscaler[eval]'`.")


def parse_peer(words: str) -> Point:
    """Another program's point from NAME:LPIPS or NAME:COST:LPIPS.

    Raises:
        UsageError: if it is neither.
    """
    name, *figures = (part.strip() for part in words.split(":"))
    try:
        cost, lpips = (None, *map(float, figures)) if len(figures) == 1 else map(float, figures)
    except ValueError:
        cost, lpips = None, -1.0
    if not name or lpips is None or not (0 <= lpips < 10) or (cost is not None and not 0 <= cost < 1e9):
        raise UsageError(
            f"--peer takes NAME:LPIPS, or NAME:COST:LPIPS with the cost in the plot's unit, such as ESRGAN:0.26; not {words}."
        )
    return Point(name, cost, lpips)


def calibration_curves(calibration: dict[str, Any]) -> tuple[list[Curve], list[Point]]:
    """Adaptive and uniform sampling and the presets, from what calibration wrote (evaluations a patch).

    Raises:
        PatchScalerError: if the calibration has no curve.
    """
    try:
        adaptive, uniform = (calibration["curve"][name] for name in ("adaptive", "uniform"))
        curves = [
            Curve("adaptive", [Point("", one["evaluations"], one["lpips"]) for one in adaptive]),
            Curve("uniform", [Point("", one["evaluations"], one["lpips"]) for one in uniform]),
        ]
        names: dict[tuple[float, float], str] = {}  # presets may be the same
        for name, one in calibration["presets"].items():
            place = one["evaluations"], one["lpips"]
            names[place] = f"{names[place]}, {name}" if place in names else name
    except (KeyError, TypeError) as error:
        raise PatchScalerError(f"The calibration has no curve to draw ({error!r}); calibrate again.") from error
    return curves, [Point(name, *place) for place, name in names.items()]


def draw(path: Path, curves: list[Curve], points: list[Point], cost: str) -> None:
    """Draw LPIPS against cost.

    Args:
        path: the file (.svg or .png), as `check_plot` lets through.
        curves: lines with a marker at every point.
        points: single ones; one without a cost becomes a level line.
        cost: what the horizontal axis says, with its unit.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    styles = cycle(zip(COLOURS, MARKERS, strict=True))
    for curve, (colour, marker) in zip(curves, styles, strict=False):
        line = sorted((one for one in curve.points if one.cost is not None), key=lambda one: one.cost or 0.0)
        axes.plot(
            [one.cost or 0.0 for one in line], [one.lpips for one in line],
            color=colour, marker=marker, markersize=5, label=curve.name,
        )  # fmt: skip
        for one in line:
            _label(axes, one)
    for point, (colour, _) in zip(points, styles, strict=False):
        if point.cost is None:
            axes.axhline(
                point.lpips, color=colour, linestyle="--", linewidth=1.2, label=f"{point.name} ({point.lpips:.3f})"
            )
        else:
            axes.plot([point.cost], [point.lpips], color=colour, marker="*", markersize=13, linestyle="", zorder=3)
            _label(axes, point)
    axes.set_xlabel(cost)
    axes.set_ylabel("LPIPS (lower is better)")
    axes.grid(alpha=0.3)
    axes.margins(x=0.08, y=0.08)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    partial = path.with_name(f".{path.stem}.partial{path.suffix.lower()}")
    try:
        figure.savefig(partial, metadata={"Date": None} if partial.suffix == ".svg" else None)
        partial.replace(path)
    except OSError as error:
        raise PatchScalerError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        partial.unlink(missing_ok=True)


def _label(axes: Any, point: Point) -> None:
    if point.name:
        axes.annotate(point.name, (point.cost, point.lpips), xytext=(7, 5), textcoords="offset points", fontsize=9)
