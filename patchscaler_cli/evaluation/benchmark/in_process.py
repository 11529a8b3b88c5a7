"""Warm timings: the model is loaded, one run is behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from patchscaler_cli.evaluation.benchmark.machine import matrix_peak, synchronised_time
from patchscaler_cli.evaluation.benchmark.whole_process import WholeProcess
from patchscaler_cli.evaluation.benchmark.workload import Workload
from patchscaler_cli.pipeline.device import DTYPES
from patchscaler_cli.pipeline.result import UpscaleResult
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.pipeline.upscaler import Upscaler


@dataclass(frozen=True)
class Case:
    """What is timed: a picture, settings and their name, and a model on a device in a dtype."""

    workload: Workload
    name: str
    settings: UpscaleSettings
    upscaler: Upscaler

    @property
    def device(self) -> torch.device:
        return torch.device(self.upscaler.device)

    def run(self, clock: StageClock | None = None) -> UpscaleResult:
        return self.upscaler.upscale(self.workload.pixels, self.settings, keep_coarse=False, clock=clock)


@dataclass
class Measurement:
    """The figures of one case.

    Attributes:
        case: what was timed.
        megapixels: of the output.
        patches: on the grid.
        evaluations: how many times a patch went through the Patch-DiT.
        operations: floating-point operations by stage, a multiplication and an addition counted as two.
        peak: operations a second of a large matrix product on the same device in the same dtype.
        device_bytes: peak of the device's memory that torch held; None on a CPU.
        runs: seconds of every warm run.
        stages: seconds by stage of every warm run.
        whole: whole processes; None if none were run.
    """

    case: Case
    megapixels: float
    patches: int
    evaluations: int
    operations: dict[str, float]
    peak: float = 0.0
    device_bytes: int | None = None
    runs: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    whole: WholeProcess | None = None

    @property
    def seconds(self) -> float:
        """Median of the warm runs."""
        return median(self.runs)

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Median of each stage over the warm runs."""
        return {stage: median(run[stage] for run in self.stages) for stage in self.stages[0]}

    @property
    def evaluations_per_patch(self) -> float:
        return self.evaluations / self.patches

    def share_of_peak(self, stage: str) -> float | None:
        """Operations a second in a stage as a share of `peak`; None where the stage did not occur or counts nothing."""
        operations, seconds = self.operations.get(stage), self.stage_seconds.get(stage)
        return operations / seconds / self.peak if operations and seconds else None


def measure(cases: Sequence[Case], runs: int, advance: Callable[[], None] = lambda: None) -> list[Measurement]:
    """Time all cases in turns, so that a machine that is slower for a while is so for all of them.

    Args:
        cases: what to time.
        runs: warm runs of each case.
        advance: called after every run; there are `runs` + 2 of each case.
    """
    measurements = []
    for case in cases:
        case.run()
        advance()
        measurements.append(_counted(case))
        advance()
    for _ in range(runs):
        peaks = {(one.case.device, one.case.upscaler.dtype): 0.0 for one in measurements}
        for device, dtype in peaks:
            peaks[device, dtype] = matrix_peak(device, DTYPES[dtype])
        for one in measurements:
            one.peak = max(one.peak, peaks[one.case.device, one.case.upscaler.dtype])
            _time(one)
            advance()
    return measurements


def _counted(case: Case) -> Measurement:
    """A measurement with all but the times: a run whose clock counts operations instead of seconds."""
    with FlopCounterMode(display=False, custom_mapping=_joined_layers()) as counter:
        result = case.run(StageClock(lambda: float(counter.get_total_flops())))
    height, width = result.pixels.shape[:2]
    operations = {stage: count for stage, count in result.seconds.items() if count}
    return Measurement(case, height * width / 1e6, result.patches, result.network_evaluations, operations)


def _joined_layers() -> dict[Any, Any]:
    """How to count the layers of models/fused.py, which torch's counter does not know."""

    def linear(x: Sequence[int], *rest: Any, out_shape: Sequence[int], **options: Any) -> int:
        return 2 * prod(out_shape) * x[-1]

    def convolution(
        x: Sequence[int], kernels: Sequence[int], *rest: Any, out_shape: Sequence[int], **options: Any
    ) -> int:
        return 2 * prod(out_shape) * prod(kernels[1:])

    def convolution_sum(
        other: Sequence[int], x: Sequence[int], kernels: Sequence[int], *rest: Any, **options: Any
    ) -> int:
        return 2 * prod(other) * prod(kernels[1:])

    operations = {
        "_linear_pointwise": linear, "_convolution_pointwise": convolution, "_convolution_pointwise_": convolution_sum,
    }  # fmt: skip
    found = {getattr(torch.ops.mkldnn, name, None): count for name, count in operations.items()}
    return {operation: count for operation, count in found.items() if operation is not None}


def _time(one: Measurement) -> None:
    device = one.case.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    clock = StageClock(lambda: synchronised_time(device))
    begin = synchronised_time(device)
    one.case.run(clock)
    one.runs.append(synchronised_time(device) - begin)
    one.stages.append(clock.spent)
    if device.type == "cuda":
        one.device_bytes = max(one.device_bytes or 0, torch.cuda.max_memory_allocated(device))


def write_trace(case: Case, path: Path) -> None:
    """Write torch's profile of one warm run in Chrome's trace format (chrome://tracing, ui.perfetto.dev).

    Raises:
        OSError: if the file cannot be written.
    """
    from torch.profiler import ProfilerActivity, profile

    case.run()
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if case.device.type == "cuda" else [])
    with profile(activities=activities, record_shapes=True) as profiler:
        case.run()
    profiler.export_chrome_trace(str(path))
