"""Methods side by side: each enlarges every picture, and every column's figure is taken of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from patchscaler_cli.evaluation.columns import Column
from patchscaler_cli.evaluation.examples import Example
from patchscaler_cli.evaluation.folder import per_patch_errors
from patchscaler_cli.evaluation.methods import Enlarged, Method
from patchscaler_cli.evaluation.metrics import spearman

COST_COLUMNS = (
    Column("seconds", "seconds", "", None, "not known"),
    Column("network_evaluations", "evaluations", "", None, "not known", digits=1),
)
"""What a picture took: filled by whoever enlarged it."""


@dataclass(frozen=True)
class Row:
    """The figures of one picture by one method, by column name; None where there is none."""

    picture: str
    method: str
    figures: dict[str, float | None]


@dataclass(frozen=True)
class Compared:
    """One picture: the example, what each method made of it by the method's name, and the rows of figures."""

    example: Example
    enlarged: dict[str, Enlarged]
    rows: list[Row]


def compare(examples: Iterable[Example], methods: list[Method], columns: list[Column]) -> Iterator[Compared]:
    """Enlarge and measure one picture after the other; only one is held at a time."""
    for example in examples:
        enlarged = {method.name: method.enlarge(example) for method in methods}
        yield Compared(example, enlarged, [_row(example, name, one, columns) for name, one in enlarged.items()])


def _row(example: Example, method: str, enlarged: Enlarged, columns: list[Column]) -> Row:
    figures: dict[str, float | None] = {}
    for column in columns:
        figure = math.nan if column.measure is None else column.measure(example.hr, enlarged.pixels)
        figures[column.name] = None if math.isnan(figure) else figure
    figures["seconds"], figures["network_evaluations"] = enlarged.seconds, enlarged.network_evaluations
    return Row(example.stem, method, figures)


@dataclass
class Comparison:
    """Everything that was measured, without the pictures.

    Attributes:
        columns: the metrics' columns, then what it cost.
        rows: a row for each picture and method.
        qmap: Qmap values of patches side by side over all pictures, and beside them
        errors: the coarse image's mean absolute error there; both empty if PatchScaler was not among the methods.
    """

    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    qmap: list[npt.NDArray[np.float64]] = field(default_factory=list)
    errors: list[npt.NDArray[np.float64]] = field(default_factory=list)

    @classmethod
    def of(cls, columns: list[Column]) -> Comparison:
        """An empty comparison with these metrics' columns."""
        return cls([*columns, *COST_COLUMNS])

    def add(self, compared: Compared) -> None:
        """Take over the figures of one more picture."""
        self.rows += compared.rows
        result = next((one.result for one in compared.enlarged.values() if one.result is not None), None)
        if result is not None:
            qmap, errors = per_patch_errors(result, compared.example.hr)
            self.qmap.append(qmap)
            self.errors.append(errors)

    @property
    def methods(self) -> list[str]:
        """The methods' names in the order in which they ran."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def pictures(self) -> list[str]:
        """The pictures' names in their order."""
        return list(dict.fromkeys(row.picture for row in self.rows))

    def mean(self, method: str, column: str) -> float | None:
        """A method's mean figure over the pictures that have one; None if none has."""
        figures = [row.figures[column] for row in self.rows if row.method == method]
        known = [figure for figure in figures if figure is not None]
        return float(np.mean(known)) if known else None

    def best(self, column: Column) -> float | None:
        """The best of the methods' means."""
        means = [mean for method in self.methods if (mean := self.mean(method, column.name)) is not None]
        if not means:
            return None
        return max(means) if column.best == "high" else min(means)

    @property
    def qmap_spearman(self) -> float | None:
        """Rank correlation of confidence and error over all patches, its sign turned: 1 is a perfect order.

        None without PatchScaler among the methods, and without scipy (extra `eval`).
        """
        if not self.qmap or find_spec("scipy") is None:
            return None
        figure = -spearman(np.concatenate(self.qmap), np.concatenate(self.errors))
        return None if math.isnan(figure) else figure
