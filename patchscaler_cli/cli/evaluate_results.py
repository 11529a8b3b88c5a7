"""Where the results of `patchscaler evaluate` go: pictures, contact sheet, report, CSV, and the table on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchscaler_cli.errors import UsageError

if TYPE_CHECKING:
    from patchscaler_cli.evaluation.comparison import Compared, Comparison
    from patchscaler_cli.evaluation.metrics import Pixels

WIDTH_OF_FILES = 160
"""Columns of the table where it goes into a file or a pipe."""


@dataclass(frozen=True)
class Targets:
    """What is written, each None if it is not.

    Attributes:
        output: folder of PatchScaler's pictures.
        save_lr: folder of the LR pictures.
        sheet: the contact sheet.
        report: the HTML page.
        csv: the figures.
        report_pictures: how many pictures the page shows.
    """

    output: Path | None
    save_lr: Path | None
    sheet: Path | None
    report: Path | None
    csv: Path | None
    report_pictures: int

    def check(self, compared: list[Path]) -> None:
        """Refuse what could not be written or would hit pictures, before anything is computed.

        Args:
            compared: the folders that are read.

        Raises:
            UsageError: if a file has the wrong ending or no folder, or a folder is one of `compared`.
        """
        endings = {
            "--report": (self.report, (".html", ".htm")),
            "--csv": (self.csv, (".csv",)),
            "--sheet": (self.sheet, (".png", ".webp", ".jpg", ".jpeg")),
        }
        for option, (path, allowed) in endings.items():
            if path is None:
                continue
            if path.suffix.lower() not in allowed:
                raise UsageError(f"{option} writes a file that ends in {' or '.join(allowed)}, not {path.name}.")
            if not path.absolute().parent.is_dir():
                raise UsageError(f"{option}: there is no folder {path.absolute().parent}; make it first.")
        read = {folder.resolve() for folder in compared}
        for path in (self.output, self.save_lr, self.sheet and self.sheet.parent):
            if path is not None and path.resolve() in read:
                raise UsageError(f"{path} holds pictures that are compared; write into another folder.")


class Results:
    """Writes what each picture leaves behind, and at the end what they leave together."""

    def __init__(self, targets: Targets, comparison: Comparison, pictures: int) -> None:
        """For so many pictures, whose figures `comparison` gathers."""
        from patchscaler_cli.evaluation.report.page import Report
        from patchscaler_cli.evaluation.sheet import ContactSheet

        self._targets, self._comparison = targets, comparison
        self._report, self._sheet = Report(comparison), ContactSheet()
        self._shown = evenly_spread(targets.report_pictures, pictures)
        self._seen = 0

    def add(self, compared: Compared, patchscaler: list[str]) -> None:
        """Keep what is wanted of one more picture; `patchscaler` names the methods whose pictures are written."""
        to, stem = self._targets, compared.example.stem
        self._comparison.add(compared)
        if to.output is not None:
            for name in patchscaler:
                folder = to.output if name == "patchscaler" else to.output / name
                _write_png(folder / f"{stem}.png", compared.enlarged[name].pixels)
        if to.save_lr is not None:
            _write_png(to.save_lr / f"{stem}.png", compared.example.lr)
        if to.sheet is not None:
            self._sheet.add(compared)
        if to.report is not None and self._seen in self._shown:
            self._report.add(compared)
        self._seen += 1

    def close(self, facts: dict[str, str]) -> None:
        """Write the files; `facts` says what was evaluated and how."""
        from patchscaler_cli.evaluation.tables import write_csv

        if self._targets.sheet is not None:
            self._sheet.image().save(self._targets.sheet)
        if self._targets.csv is not None:
            write_csv(self._comparison, self._targets.csv)
        if self._targets.report is not None:
            self._targets.report.write_text(self._report.html(facts), encoding="utf-8")


def evenly_spread(wanted: int, count: int) -> set[int]:
    """At most `wanted` of the numbers 0 to count - 1, the first and the last among them if they are two or more."""
    return {round(i * (count - 1) / max(wanted - 1, 1)) for i in range(wanted)}


def _write_png(path: Path, pixels: Pixels) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def print_table(comparison: Comparison, facts: dict[str, str]) -> None:
    """The methods' means on stdout; the best of each metric in bold."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from patchscaler_cli.evaluation.tables import cells

    table = Table("method", box=SIMPLE_HEAD)
    for column in comparison.columns:
        table.add_column(column.heading, justify="right")
    for method in comparison.methods:
        texts = [(escape(text), is_best) for text, is_best in cells(comparison, method)]
        table.add_row(escape(method), *(f"[bold]{text}[/bold]" if is_best else text for text, is_best in texts))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_FILES)
    console.print(table)
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", markup=False, highlight=False, soft_wrap=True)
