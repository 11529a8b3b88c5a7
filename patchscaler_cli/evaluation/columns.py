"""The columns of a comparison: which metrics there are, and which can be measured here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from patchscaler_cli.evaluation.metrics import Pixels, load_lpips, psnr_y, ssim_y
from patchscaler_cli.evaluation.niqe import load_pristine, niqe
from patchscaler_cli.evaluation.no_reference import PYIQA_METRICS, load_pyiqa

Measure = Callable[[Pixels, Pixels], float]
"""From the truth and a picture, both [H, W, 3] uint8 RGB, to a figure; nan where it has none."""

ARROWS = {"high": "↑", "low": "↓", "": ""}


@dataclass(frozen=True)
class Column:
    """One figure that is reported of every picture.

    Attributes:
        name: in JSON and CSV.
        label: in tables for people.
        best: which end is better, "high" or "low"; "" where neither is judged.
        measure: None if it cannot be measured here.
        missing: what it lacks then, in a few words, such as "needs --lpips".
        digits: decimals in tables for people.
    """

    name: str
    label: str
    best: str
    measure: Measure | None
    missing: str = ""
    digits: int = 3

    @property
    def heading(self) -> str:
        """The label with an arrow towards the better end."""
        return f"{self.label} {ARROWS[self.best]}".rstrip()


def metric_columns(lpips: Path | None = None, pristine: Path | None = None, with_pyiqa: bool = False) -> list[Column]:
    """The metrics' columns, those that cannot be measured too.

    Args:
        lpips: safetensors file of LPIPS's AlexNet and heads.
        pristine: NIQE's pristine model (.npz).
        with_pyiqa: also CLIP-IQA and MUSIQ.

    Raises:
        PatchScalerError: if a file that was given cannot be used.
    """
    extra = "needs patchscaler[eval]"
    has_skimage, has_scipy = find_spec("skimage") is not None, find_spec("scipy") is not None
    columns = [
        Column("psnr_y", "PSNR-Y", "high", psnr_y, digits=2),
        Column("ssim_y", "SSIM-Y", "high", ssim_y if has_skimage else None, extra),
        Column("lpips", "LPIPS", "low", load_lpips(lpips) if lpips else None, "needs --lpips"),
    ]
    if pristine is None:
        columns.append(Column("niqe", "NIQE", "low", None, "needs --niqe", digits=2))
    else:
        measure = partial(_without_truth, partial(niqe, pristine=load_pristine(pristine)))
        columns.append(Column("niqe", "NIQE", "low", measure if has_scipy else None, extra, digits=2))
    for name, label in PYIQA_METRICS.items() if with_pyiqa else ():
        judge, missing = load_pyiqa(name)
        columns.append(Column(name, label, "high", partial(_without_truth, judge) if judge else None, missing))
    return columns


def _without_truth(judge: Callable[[Pixels], float], truth: Pixels, picture: Pixels) -> float:
    """A figure of the picture alone, called like the others."""
    return judge(picture)
