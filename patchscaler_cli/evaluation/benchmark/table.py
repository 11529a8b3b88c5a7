"""Measurements as rows of text and as values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from patchscaler_cli.evaluation.benchmark.in_process import Measurement

STAGES = ("start", "read", "coarse", "group", "retrieve", "diffuse", "blend", "resize", "write")
NAMES = ("picture", "settings", "device", "dtype")
MAIN_HEADINGS = (
    *NAMES, "whole s", "warm s", "MP/s", "evaluations", "GFLOP", "diffuse of peak", "coarse of peak", "peak GFLOP/s",
    "host MiB", "device MiB", "as fast as first",
)  # fmt: skip
STAGE_HEADINGS = (*NAMES, "", *STAGES)


def main_rows(measurements: Sequence[Measurement]) -> list[list[str]]:
    """A row for every case, under MAIN_HEADINGS.

    Evaluations are of the network per patch; shares and peak are of operations a second; the last cell says how many
    times as fast as the picture's first case this one is, warm, and its diffusion stage alone.
    """
    rows = []
    for one in measurements:
        whole = one.whole
        rows.append(
            [
                *_names(one),
                _cell(whole.seconds if whole else None, ".2f"),
                f"{one.seconds:.3f}",
                f"{one.megapixels / one.seconds:.2f}",
                f"{one.evaluations_per_patch:.2f}",
                f"{sum(one.operations.values()) / 1e9:.0f}",
                _percent(one.share_of_peak("diffuse")),
                _percent(one.share_of_peak("coarse")),
                f"{one.peak / 1e9:.0f}",
                _mebibytes(whole.host_bytes if whole else None),
                _mebibytes(one.device_bytes),
                _ratios(one, first_of(one, measurements)),
            ]
        )
    return rows


def stage_rows(measurements: Sequence[Measurement]) -> list[list[str]]:
    """Seconds by stage under STAGE_HEADINGS: a row for the warm runs of every case, and one for its whole processes."""
    rows = []
    for one in measurements:
        kinds = {"warm": one.stage_seconds} | ({"whole process": one.whole.stages} if one.whole else {})
        for kind, stages in kinds.items():
            rows.append([*_names(one), kind, *(_cell(stages.get(stage), ".3f") for stage in STAGES)])
    return rows


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with the cells under their headings: names to the left, figures to the right."""
    lines = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < len(NAMES) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def first_of(one: Measurement, measurements: Sequence[Measurement]) -> Measurement:
    """The first measurement of the same picture, which the others are compared with."""
    return next(other for other in measurements if other.case.workload is one.case.workload)


def as_values(measurements: Sequence[Measurement], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything measured, for JSON: seconds, bytes, operations and operations a second."""
    return {"setup": facts, "cases": [_values(one, first_of(one, measurements)) for one in measurements]}


def _values(one: Measurement, first: Measurement) -> dict[str, Any]:
    height, width = one.case.workload.pixels.shape[:2]
    return {
        "picture": one.case.workload.name,
        "input": [width, height],
        "settings": one.case.name,
        "changed": asdict(one.case.settings),
        "device": one.case.upscaler.device,
        "dtype": one.case.upscaler.dtype,
        "warm_seconds": one.seconds,
        "warm_runs": one.runs,
        "warm_stages": one.stage_seconds,
        "whole_process": asdict(one.whole) if one.whole else None,
        "megapixels": one.megapixels,
        "megapixels_per_second": one.megapixels / one.seconds,
        "patches": one.patches,
        "network_evaluations": one.evaluations,
        "evaluations_per_patch": one.evaluations_per_patch,
        "operations": one.operations,
        "peak_operations_per_second": one.peak,
        "share_of_peak": {stage: one.share_of_peak(stage) for stage in one.operations},
        "device_bytes": one.device_bytes,
        "times_as_fast_as_first": first.seconds / one.seconds,
        "diffusion_times_as_fast_as_first": _diffusion_ratio(one, first),
    }


def _names(one: Measurement) -> list[str]:
    return [one.case.workload.name, one.case.name, one.case.upscaler.device, one.case.upscaler.dtype]


def _diffusion_ratio(one: Measurement, first: Measurement) -> float | None:
    mine, theirs = one.stage_seconds.get("diffuse"), first.stage_seconds.get("diffuse")
    return theirs / mine if mine and theirs else None


def _ratios(one: Measurement, first: Measurement) -> str:
    if one is first:
        return ""
    diffusion = _diffusion_ratio(one, first)
    return f"{first.seconds / one.seconds:.2f}x" + (f", diffuse {diffusion:.2f}x" if diffusion else "")


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _mebibytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**20:.0f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
