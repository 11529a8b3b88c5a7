"""A large picture on a Ray cluster: its sections are tasks, and this process joins what they make as the local engine does."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchscaler_cli.engines.local import run_local
from patchscaler_cli.engines.ray_tasks import MadeSection, compute_section
from patchscaler_cli.pipeline.bands import Band, Section, cut
from patchscaler_cli.pipeline.settings import Progress, UpscaleSettings
from patchscaler_cli.pipeline.stage_clock import StageClock

if TYPE_CHECKING:
    from patchscaler_cli.engines.inputs import Work
    from patchscaler_cli.engines.orders import Machine, Orders, Outcome
    from patchscaler_cli.engines.ray_cluster import Cluster
    from patchscaler_cli.pipeline.upscaler import Upscaler

SECTIONS_AHEAD = 1
"""Sections that wait for a worker, besides those that have one: more would fill the cluster's memory with bands that
cannot be joined yet."""


def upscale_in_sections(
    work: Work, orders: Orders, cluster: Cluster, upscaler: Upscaler, progress: Progress
) -> Outcome:
    """Upscale one picture, reading, joining and writing here and computing on the cluster.

    Args:
        work: the picture.
        orders: what is wanted of it.
        cluster: computes the bands.
        upscaler: the same model as the cluster's, which computes nothing.
        progress: told how many patches are done.
    """
    tasks = _SectionTasks(work.source, cluster)
    upscaler.compute = tasks
    (outcome,) = run_local((work,), orders, lambda: upscaler, progress)
    if outcome.result is None or tasks.machine is None:
        return outcome
    result = replace(outcome.result, device=tasks.machine.device, dtype=tasks.machine.dtype)
    return replace(outcome, machine=tasks.machine, result=result)


class _SectionTasks:
    """Gives a picture's bands, computed by tasks; a few sections are under way at a time.

    Attributes:
        machine: what computed them.
    """

    def __init__(self, source: Path, cluster: Cluster) -> None:
        """For the picture in the file `source`."""
        self.machine: Machine | None = None
        self._source, self._cluster = source, cluster

    def __call__(
        self, whole: Section, settings: UpscaleSettings, progress: Progress, clock: StageClock
    ) -> Iterator[Band]:
        cluster, running = self._cluster, deque[Any]()
        task = cluster.task(compute_section)
        waiting = deque(cut(whole, settings.tile, cluster.workers))
        progress.begin("cluster", whole.grid.rows * whole.grid.columns)
        try:
            while waiting or running:
                while waiting and len(running) < cluster.workers + SECTIONS_AHEAD:
                    running.append(task.remote(waiting.popleft(), settings, cluster.choice, os.getcwd()))
                with clock.stage("cluster"):
                    made: MadeSection = cluster.answer(self._source, running[0])
                running.popleft()
                self.machine = made.machine
                for band in made.bands:
                    yield band
                    progress.advance("cluster", band.patch_groups.size)
                del made, band  # their memory is the cluster's
        finally:
            cluster.cancel(running)
