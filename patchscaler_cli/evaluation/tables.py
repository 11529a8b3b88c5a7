"""A comparison as values for JSON, as a CSV file, and as the cells of a table for people."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from patchscaler_cli.evaluation.columns import Column
from patchscaler_cli.evaluation.comparison import Comparison

DIGITS = 6
"""Significant digits of figures in JSON and CSV; more than any of the metrics means."""


def as_values(comparison: Comparison) -> dict[str, Any]:
    """Means by method, what was not measured, and every picture's figures; null where a figure is unknown or infinite."""
    return {
        "pictures": len(comparison.pictures),
        "methods": {
            method: {column.name: finite(comparison.mean(method, column.name)) for column in comparison.columns}
            for method in comparison.methods
        },
        "not_measured": missing(comparison),
        "qmap_spearman": finite(comparison.qmap_spearman),
        "per_picture": [
            {"picture": row.picture, "method": row.method}
            | {name: finite(figure) for name, figure in row.figures.items()}
            for row in comparison.rows
        ],
    }


def finite(figure: float | None) -> float | None:
    """A figure with six significant digits; None for what JSON cannot hold (PSNR is infinite for equal pictures)."""
    return None if figure is None or not math.isfinite(figure) else float(f"{figure:.{DIGITS}g}")


def missing(comparison: Comparison) -> dict[str, str]:
    """Columns that could not be measured at all, by name, with what they lack."""
    return {column.name: column.missing for column in comparison.columns if _is_missing(comparison, column)}


def _is_missing(comparison: Comparison, column: Column) -> bool:
    return column.measure is None and comparison.best(column) is None


def write_csv(comparison: Comparison, path: Path) -> None:
    """A line for each picture and method; an empty field where a figure is unknown."""
    names = [column.name for column in comparison.columns]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "method", *names])
        for row in comparison.rows:
            figures = [row.figures[name] for name in names]
            writer.writerow([row.picture, row.method, *("" if f is None else f"{f:.{DIGITS}g}" for f in figures)])


def cells(comparison: Comparison, method: str) -> list[tuple[str, bool]]:
    """A method's mean of each column as text, and whether it is the best; the text says what is missing."""
    best_of = {column.name: comparison.best(column) for column in comparison.columns}
    found = []
    for column in comparison.columns:
        mean = comparison.mean(method, column.name)
        if mean is not None:
            is_best = len(comparison.methods) > 1 and column.best != "" and mean == best_of[column.name]
            found.append((f"{mean:.{column.digits}f}", is_best))
        else:
            found.append((column.missing if _is_missing(comparison, column) else "–", False))
    return found
