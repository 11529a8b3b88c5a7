"""The curve of LPIPS against hours of training: `python -m patchscaler_cli.evaluation.history weights/history.csv -o FILE.svg`.

A row of the table is one version of the bundled weights as it was released, with the figures of its own metadata.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.plot import Curve, Point, check_plot, draw, parse_peer

HOURS = "hours"
SETS = ("clean", "real")


def history_curves(table: Path) -> list[Curve]:
    """A curve for each set of validation photos, from a CSV file with the columns run, hours, clean and real (LPIPS).

    Raises:
        PatchScalerError: if the file cannot be read, a column is missing, or a figure is none.
    """
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [Curve(name, [Point("", float(row[HOURS]), float(row[name])) for row in rows]) for name in SETS]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise PatchScalerError(
            f"{table}: no history of weights, which has the columns run, hours, clean and real ({error!r})."
        ) from error


def main(
    table: Annotated[Path, typer.Argument(help="CSV file with the columns run, hours, clean and real.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to draw (.svg or .png).")],
    peer: Annotated[
        list[str] | None, typer.Option(help="Another program's level, NAME:LPIPS; may be given again.")
    ] = None,
) -> None:
    """Draw it."""
    check_plot(output)
    draw(output, history_curves(table), [parse_peer(one) for one in peer or []], "hours of training on two CPU cores")


if __name__ == "__main__":
    typer.run(main)
