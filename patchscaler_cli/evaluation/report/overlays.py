"""What can be laid over a picture: how sure the coarse model was of every patch, and which group the patch fell into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from patchscaler_cli.evaluation.examples import SCALE
from patchscaler_cli.evaluation.report.window import Window
from patchscaler_cli.pipeline.result import UpscaleResult

HARD, EVEN, EASY = (213, 94, 0), (240, 240, 240), (0, 114, 178)
"""Colours of the lowest, middle and highest Qmap value: a pair that colour-blind people tell apart."""
GROUP_COLOURS = ("#56b4e9", "#f0e442", "#d55e00", "#cc79a7", "#009e73")
"""Of the groups, easiest first (Okabe and Ito's palette); the cells carry the numbers too."""


@dataclass(frozen=True)
class Overlay:
    """A drawing over a picture: its name in the menu, an SVG of the picture's size, and an HTML legend."""

    label: str
    svg: str
    legend: str


def overlays_of(name: str, result: UpscaleResult, window: Window) -> list[Overlay]:
    """The Qmap and the groups of one upscale by the method `name`, as far as the window shows them."""
    found = [_qmap(name, result, window)]
    if result.groups:
        found.append(_groups(name, result, window))
    return found


def qmap_of(result: UpscaleResult) -> npt.NDArray[np.float64]:
    """Mean confidence of every patch [rows, columns]; of the part inside the picture, where that is smaller."""
    return result.patch_means(result.confidence)


def _qmap(name: str, result: UpscaleResult, window: Window) -> Overlay:
    qmap = qmap_of(result)
    low, high = float(qmap.min()), float(qmap.max())
    share = (qmap - low) / max(high - low, 1e-9)
    cells = [
        f'<rect {place} fill="{_colour(float(share[row, column]))}"/>' for row, column, place in _cells(result, window)
    ]
    legend = (
        f'<span class="key hard"></span> hard: {low:.3f} '
        f'<span class="key even"></span> <span class="key easy"></span> easy: {high:.3f} '
        "(mean confidence of the patch)"
    )
    return Overlay(f"Qmap ({name})", _svg(cells, window, f"Qmap of {name}"), legend)


def _groups(name: str, result: UpscaleResult, window: Window) -> Overlay:
    cells = []
    for row, column, place in _cells(result, window):
        group = int(result.patch_groups[row, column])
        cells.append(f'<rect {place} fill="{_group_colour(group)}"/>{_number(result, row, column, group)}')
    legend = "; ".join(
        f'<span class="key group{number % len(GROUP_COLOURS)}"></span> group {number}: {group.patches} of {result.patches} patches, '
        + (
            f"{group.steps} step{'s' if group.steps > 1 else ''} from σ {group.sigma:.3g}"
            if group.steps
            else "coarse image kept"
        )
        for number, group in enumerate(result.groups)
    )
    return Overlay(f"groups ({name})", _svg(cells, window, f"Groups of {name}"), legend)


def evaluations_overlay(result: UpscaleResult, window: Window) -> Overlay:
    """How many times each patch went through the network, as the window shows them."""
    steps = [group.steps for group in result.groups]
    most, cells = max(steps), []
    for row, column, place in _cells(result, window):
        count = steps[int(result.patch_groups[row, column])]
        cells.append(f'<rect {place} fill="{_colour(1 - count / max(most, 1))}"/>{_number(result, row, column, count)}')
    legend = (
        f'<span class="key easy"></span> 0 <span class="key even"></span> <span class="key hard"></span> {most} evaluations '
        f"of the network a patch; {result.network_evaluations} for {result.patches} patches"
    )
    return Overlay("evaluations per patch", _svg(cells, window, "Network evaluations per patch"), legend)


def places_overlay(result: UpscaleResult, places: list[tuple[int, int]], window: Window) -> Overlay:
    """Where patches lie, by row and column; numbered from 1 in their order."""
    grid = result.grid
    height, width = (length * SCALE for length in grid.size)
    cells = [
        f'<rect class="place" x="{grid.lefts[column] * SCALE}" y="{grid.tops[row] * SCALE}" width="{width}" height="{height}"/>'
        + _number(result, row, column, number)
        for number, (row, column) in enumerate(places, 1)
    ]
    return Overlay(
        "explained patches", _svg(cells, window, "Explained patches"), "the patches that are explained below"
    )


def _number(result: UpscaleResult, row: int, column: int, number: int) -> str:
    """A number in the middle of a patch."""
    grid = result.grid
    starts = grid.tops[row], grid.lefts[column]
    y, x = ((start + (size - grid.overlap) / 2) * SCALE for start, size in zip(starts, grid.size, strict=True))
    return f'<text x="{x:g}" y="{y:g}">{number}</text>'


def _cells(result: UpscaleResult, window: Window) -> Iterator[tuple[int, int, str]]:
    """Row, column and SVG place in HR pixels of the patches; overlaps are drawn as the later patch's.

    The SVG shows its window of them and cuts the rest off.
    """
    grid = result.grid
    rows, columns = (
        [(a * SCALE, b * SCALE) for a, b in pairwise([*starts.tolist(), extent])]
        for starts, extent in zip((grid.tops, grid.lefts), grid.extent, strict=True)
    )
    for row, (top, bottom) in enumerate(rows):
        for column, (left, right) in enumerate(columns):
            if left < window.right and right > window.left and top < window.bottom and bottom > window.top:
                yield row, column, f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"'


def _svg(cells: list[str], window: Window, label: str) -> str:
    box = f"{window.left} {window.top} {window.width} {window.height}"
    return (
        f'<svg class="overlay" viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}" hidden>'
        f"{''.join(cells)}</svg>"
    )


def _colour(share: float) -> str:
    """From HARD (0) over EVEN (0.5) to EASY (1)."""
    start, end = (HARD, EVEN) if share < 0.5 else (EVEN, EASY)
    part = share * 2 % 1 if share < 1 else 1.0
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(start, end, strict=True))


def _group_colour(group: int) -> str:
    return GROUP_COLOURS[group % len(GROUP_COLOURS)]
