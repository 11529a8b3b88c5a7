"""What `patchscaler upscale` reports when it is done, or would do: as text for people, as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchscaler_cli.pipeline.settings import DEFAULT_SCALE, UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.result import UpscalePlan, UpscaleResult


@dataclass(frozen=True)
class Job:
    """One upscale with everything decided.

    Attributes:
        source: the input file.
        target: the output file.
        size: width and height of the input in pixels.
        new_size: width and height of the output in pixels.
        settings: how it is upscaled.
        model: name of the model.
        device: what computes, such as "cpu".
        dtype: the arithmetic, such as "fp32".
    """

    source: Path
    target: Path
    size: tuple[int, int]
    new_size: tuple[int, int]
    settings: UpscaleSettings
    model: str
    device: str
    dtype: str

    @property
    def scale(self) -> float:
        """The factor that was asked for; where a size was, what it comes to on the longer side."""
        if asks_for_a_size(self.settings):
            return max(self.new_size) / max(self.size)
        return self.settings.scale or DEFAULT_SCALE


def asks_for_a_size(settings: UpscaleSettings) -> bool:
    """Whether the output's size was given in pixels, not as a factor."""
    return any(length is not None for length in (settings.width, settings.height, settings.long_edge))


def result_as_json(job: Job, result: UpscaleResult, stages: dict[str, float], seconds: float) -> str:
    """One JSON object on what was done.

    Args:
        stages: wall-clock seconds of every stage, reading, loading and writing among them.
        seconds: wall-clock seconds of the whole command.
    """
    report = _common(job) | {
        "seconds": round(seconds, 3),
        "stages": {name: round(spent, 3) for name, spent in stages.items()},
        "patches": result.patches,
        "network_evaluations": result.network_evaluations,
        "groups": [asdict(group) for group in result.groups],
    }
    return json.dumps(report)


def plan_as_json(job: Job, plan: UpscalePlan) -> str:
    """One JSON object on what would be done."""
    return json.dumps(_common(job) | {"dry_run": True} | asdict(plan))


def _common(job: Job) -> dict[str, Any]:
    return {
        "input": str(job.source),
        "output": str(job.target),
        "width": job.new_size[0],
        "height": job.new_size[1],
        "scale": job.scale,
        "model": job.model,
        "device": job.device,
        "dtype": job.dtype,
        "seed": job.settings.seed,
    }


def result_as_text(job: Job, result: UpscaleResult, seconds: float) -> str:
    """A few lines: where the result is, its size, the time, and what the patches took."""
    lines = [f"{job.target}: {_sizes(job)}, {seconds:.1f} s with {_machine(job)}"]
    if result.groups:
        lines.append(f"{result.patches} patches, {result.network_evaluations} network evaluations")
        lines.append("  group  start noise  steps  patches")
        for number, group in enumerate(result.groups):
            lines.append(f"  {number:>5}  {group.sigma:>11.3g}  {group.steps:>5}  {group.patches:>7}")
    return "\n".join(lines)


def plan_as_text(job: Job, plan: UpscalePlan) -> str:
    """A few lines on what would be done."""
    return "\n".join(
        (
            f"{job.target}: {_sizes(job)}, with {_machine(job)}",
            f"{plan.passes} {'pass' if plan.passes == 1 else 'passes'} of the x4 network, {plan.tiles} tiles, "
            f"{plan.patches} patches, at most {plan.most_network_evaluations} network evaluations",
            f"about {plan.memory_bytes / 2**20:,.0f} MiB of memory; nothing was written",
        )
    )


def _sizes(job: Job) -> str:
    return f"{job.new_size[0]}x{job.new_size[1]} from {job.size[0]}x{job.size[1]} (x{job.scale:g})"


def _machine(job: Job) -> str:
    return f"{job.model} on {job.device} in {job.dtype}"
