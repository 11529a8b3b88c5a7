"""The Ray engine: pictures are tasks of a Ray cluster, which does each as the local engine does.

Where there are fewer pictures than workers, large ones are cut, and their sections are the tasks. All machines of the
cluster must have PatchScaler installed and see the same files under the same paths.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.orders import Orders, Outcome
from patchscaler_cli.engines.ray_tasks import Told, upscale_picture
from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import NoProgress, Progress, UpscaleSettings

Answer = TypeVar("Answer")

RETRIES = 3
"""How often a picture, or a section of one, is done again after its worker died."""

AHEAD = 4
"""Tasks that are handed in for every worker of the cluster."""

LARGE_PIXELS = 2**19
"""LR pixels of a picture that is worth being cut: about ten seconds' work of a processor with `tiny`."""

_SECONDS_TO_ANSWER = 10.0


class WorkersDiedError(PatchScalerError):
    """A task was given up because every worker that tried it died."""


@dataclass
class Cluster:
    """The cluster and what is asked of all its workers.

    Attributes:
        ray: the module, connected.
        choice: the model, which every worker loads once.
        resources: what a task takes of a machine.
        workers: how many tasks can run at a time.
        tell_notice: told the model's notices, each once.
    """

    ray: Any
    choice: ModelChoice
    resources: dict[str, int]
    workers: int
    tell_notice: Callable[[str], None]
    _noticed: set[str] = field(default_factory=set)

    def task(self, function: Callable[..., Told[Any]]) -> Any:
        """A function as Ray's task."""
        return self.ray.remote(function).options(max_retries=RETRIES, **self.resources)

    def answer(self, source: Path, reference: Any) -> Any:
        """Wait for a task on the picture `source`, and give the answer in what it tells.

        Raises:
            WorkersDiedError: if every worker that tried it died.
            Exception: what the task tells.
        """
        try:
            told = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError:
            raise  # a bug of ours
        except self.ray.exceptions.RayError as error:
            raise WorkersDiedError(
                f"{source}: Ray's workers died of it {RETRIES + 1} times ({type(error).__name__}); look at the memory of "
                "their machines and at Ray's logs, or leave --engine ray out."
            ) from error
        for notice in told.notices:
            if notice not in self._noticed:
                self._noticed.add(notice)
                self.tell_notice(notice)
        if told.failure is not None:
            raise told.failure
        return told.answer

    def cancel(self, references: Iterable[Any]) -> None:
        """Stop tasks that nobody waits for any more."""
        for reference in references:
            self.ray.cancel(reference, force=True)


def run_ray(
    work: tuple[Work, ...],
    orders: Orders,
    choice: ModelChoice,
    address: str | None,
    tell_notice: Callable[[str], None] = lambda sentence: None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Upscale pictures on a Ray cluster and tell what became of each, in order.

    A task takes one processor, and one GPU where GPUs are used. What a worker that dies had to do is done again.

    Args:
        work: the pictures.
        orders: what is wanted of each.
        choice: the model, which every worker loads once.
        address: of the cluster; None for RAY_ADDRESS in the environment or else a cluster of this machine's own, which
            ends with the work. A connection that this process has already is used as it is.
        tell_notice: told the model's notices, each once.
        progress: told how far a picture is that is cut.

    Raises:
        UsageError: if the device names one GPU: Ray gives them out.
        PatchScalerError: if Ray is not installed, the cluster does not answer or lacks the device, or the model cannot be
            loaded: that concerns all pictures.
    """
    try:
        import ray
    except ImportError:
        raise PatchScalerError("--engine ray needs the extra ray: pip install 'patchscaler[ray]'.") from None
    if choice.device.startswith("cuda:"):
        raise UsageError(f"--device {choice.device}: Ray gives out the GPUs; say --device cuda.")
    own = not ray.is_initialized()
    if own:
        _connect(ray, address or os.environ.get("RAY_ADDRESS") or "local")
    try:
        found = ray.cluster_resources()
        choice, resources = _with_resources(choice, found)
        workers = max(1, int(found.get("GPU" if resources["num_gpus"] else "CPU", 1)))
        yield from _run(work, orders, Cluster(ray, choice, resources, workers, tell_notice), progress or NoProgress())
    finally:
        if own:
            ray.shutdown()


def _run(work: tuple[Work, ...], orders: Orders, cluster: Cluster, progress: Progress) -> Iterator[Outcome]:
    skipped = {one for one in work if orders.skip_existing and os.path.lexists(one.target)}
    may_cut = len(work) - len(skipped) < cluster.workers
    large = {one for one in work if may_cut and one not in skipped and _is_large(one.source, orders.settings)}
    task, waiting, running = cluster.task(upscale_picture), deque(work), deque[tuple[Work, Any]]()
    joiner = None  # the model that joins large pictures
    try:
        while waiting or running:
            while waiting and len(running) < AHEAD * cluster.workers:
                one = waiting.popleft()
                whole = one not in skipped | large
                words = (one, _repeatable(one, orders), cluster.choice, os.getcwd())
                running.append((one, task.remote(*words) if whole else None))
            one, reference = running[0]
            if one in skipped:
                yield Outcome(one, skipped=True)
            elif one in large:
                from patchscaler_cli.engines.ray_sections import upscale_in_sections

                joiner = joiner or replace(cluster.choice, device="cpu", dtype="fp32").load([orders.settings])
                yield upscale_in_sections(one, orders, cluster, joiner, progress)
            else:
                yield _outcome(cluster, one, reference)
            running.popleft()
    finally:
        cluster.cancel(reference for _, reference in running if reference is not None)


def _connect(ray: Any, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report home
    words = {"include_dashboard": False} if address == "local" else {}
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        if host and port.isdecimal():  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **words)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PatchScalerError(
            f"No Ray cluster could be had at {address} ({reason}); start one with `ray start --head`."
        ) from error


def _with_resources(choice: ModelChoice, cluster: dict[str, float]) -> tuple[ModelChoice, dict[str, int]]:
    """The choice with its device settled for the whole cluster, and what a task takes of a machine."""
    gpus = cluster.get("GPU", 0) >= 1
    if choice.device == "cuda" and not gpus:
        raise PatchScalerError("--device cuda: the Ray cluster has no GPU; use cpu or auto.")
    if choice.device == "auto" and gpus:
        choice = replace(choice, device="cuda")
    return choice, {"num_cpus": 1, "num_gpus": int(choice.device == "cuda")}


def _repeatable(work: Work, orders: Orders) -> Orders:
    """Orders under which a task can be done again after its worker died with the output in place already.

    Whether an output may be replaced is decided here, before the work: where it exists and may not be, the task is left
    to refuse it.
    """
    files = [work.target] + ([orders.confidence(work)] if orders.confidence and not orders.skip_existing else [])
    if not orders.overwrite and any(os.path.lexists(file) for file in files):
        return orders
    return replace(orders, overwrite=True, skip_existing=False)


def _outcome(cluster: Cluster, work: Work, reference: Any) -> Outcome:
    """Wait for a picture's task."""
    try:
        outcome: Outcome = cluster.answer(work.source, reference)
    except WorkersDiedError as error:
        return Outcome(work, error=error)
    return outcome


def _is_large(source: Path, settings: UpscaleSettings) -> bool:
    """Whether a picture is worth being cut; what cannot be read is left to a task to refuse."""
    from patchscaler_cli.images.header import read_header

    try:
        header = read_header(source)
        width, _ = settings.output_size(header.width, header.height)
    except PatchScalerError:
        return False
    passes = 16 if width > 4 * header.width else 1  # the second pass begins with 16 times as many pixels
    return header.width * header.height * passes >= LARGE_PIXELS
