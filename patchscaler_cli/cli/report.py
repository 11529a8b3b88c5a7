"""What `patchscaler upscale` reports when it is done, or would do: as text for people, as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from patchscaler_cli.cli.edge import sentence_of
from patchscaler_cli.pipeline.settings import DEFAULT_SCALE, UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.engines.orders import Outcome


def asks_for_a_size(settings: UpscaleSettings) -> bool:
    """Whether the output's size was given in pixels, not as a factor."""
    return any(length is not None for length in (settings.width, settings.height, settings.long_edge))


def as_json(outcome: Outcome, settings: UpscaleSettings) -> dict[str, Any]:
    """What became of one picture, as values for JSON."""
    report: dict[str, Any] = {"input": str(outcome.work.source), "output": str(outcome.work.target)}
    if outcome.skipped:
        return report | {"skipped": True}
    if outcome.error is not None:
        return report | {"error": sentence_of(outcome.error)}
    assert outcome.machine is not None
    assert outcome.new_size is not None
    report |= {"width": outcome.new_size[0], "height": outcome.new_size[1], "scale": _scale(outcome, settings)}
    report |= asdict(outcome.machine) | {"seed": settings.seed}
    if outcome.frames > 1:
        report |= {"frames": outcome.frames}
    if outcome.plan is not None:
        return report | {"dry_run": True} | asdict(outcome.plan)
    assert outcome.result is not None
    return report | {
        "seconds": round(sum(outcome.seconds.values()), 3),
        "stages": {name: round(spent, 3) for name, spent in outcome.seconds.items()},
        "patches": outcome.result.patches,
        "network_evaluations": outcome.result.network_evaluations,
        "groups": [asdict(group) for group in outcome.result.groups],
    }


def as_text(outcome: Outcome, settings: UpscaleSettings) -> str:
    """A few lines: where the result is, its size, the time, and what the patches took."""
    if outcome.plan is not None:
        plan = outcome.plan
        return "\n".join(
            (
                f"{outcome.work.target}: {_sizes(outcome, settings)}, with {outcome.machine}",
                f"{plan.passes} {'pass' if plan.passes == 1 else 'passes'} of the x4 network, {plan.tiles} tiles, "
                f"{plan.patches} patches, at most {plan.most_network_evaluations} network evaluations",
                f"about {plan.memory_bytes / 2**20:,.0f} MiB of memory; nothing was written",
            )
        )
    lines = [
        f"{outcome.work.target}: {_sizes(outcome, settings)}, {sum(outcome.seconds.values()):.1f} s with {outcome.machine}"
    ]
    if outcome.result is not None and outcome.result.groups:
        lines.append(f"{outcome.result.patches} patches, {outcome.result.network_evaluations} network evaluations")
        lines.append("  group  start noise  steps  patches")
        for number, group in enumerate(outcome.result.groups):
            lines.append(f"  {number:>5}  {group.sigma:>11.3g}  {group.steps:>5}  {group.patches:>7}")
    return "\n".join(lines)


def as_line(outcome: Outcome, settings: UpscaleSettings) -> str:
    """One line on one picture of a batch."""
    if outcome.skipped:
        return f"{outcome.work.target}: exists already, left as it is"
    if outcome.plan is not None:
        return (
            f"{outcome.work.target}: {_sizes(outcome, settings)}, {outcome.plan.patches} patches; nothing was written"
        )
    return f"{outcome.work.target}: {_sizes(outcome, settings)}, {sum(outcome.seconds.values()):.1f} s"


@dataclass(frozen=True)
class Counts:
    """How a batch ended: pictures by what became of them, and files in folders that were passed over."""

    done: int
    skipped: int
    failed: int
    passed_over: int

    @classmethod
    def of(cls, outcomes: list[Outcome], passed_over: int) -> Counts:
        failed = sum(one.error is not None for one in outcomes)
        skipped = sum(one.skipped for one in outcomes)
        return cls(len(outcomes) - failed - skipped, skipped, failed, passed_over)


def _scale(outcome: Outcome, settings: UpscaleSettings) -> float:
    """The factor that was asked for; where a size was, what it comes to on the longer side."""
    if asks_for_a_size(settings) and outcome.size is not None and outcome.new_size is not None:
        return max(outcome.new_size) / max(outcome.size)
    return settings.scale or DEFAULT_SCALE


def _sizes(outcome: Outcome, settings: UpscaleSettings) -> str:
    assert outcome.size is not None
    assert outcome.new_size is not None
    new, old = outcome.new_size, outcome.size
    frames = f", {outcome.frames} frames" if outcome.frames > 1 else ""
    return f"{new[0]}x{new[1]} from {old[0]}x{old[1]} (x{_scale(outcome, settings):g}){frames}"
