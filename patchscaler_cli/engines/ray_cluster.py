"""The Ray engine: every picture is a task of a Ray cluster, which does it as the local engine does.

All machines of the cluster must have PatchScaler installed and see the same files under the same paths.
"""

from __future__ import annotations

import os
import pickle
import platform
import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.local import run_local
from patchscaler_cli.engines.orders import Orders, Outcome
from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import NoProgress

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.upscaler import Upscaler

RETRIES = 3
"""How often a picture is done again after its worker died."""

AHEAD = 4
"""Tasks that are handed in for every processor of the cluster."""

_SECONDS_TO_ANSWER = 10.0

_OBJECT_BYTES = 2**27
"""Shared memory of a cluster of our own: only orders and reports pass through it."""


@dataclass(frozen=True)
class _Told:
    """What a task brings back: the outcome, or why the model cannot be loaded, and the model's notices."""

    outcome: Outcome | None = None
    failure: Exception | None = None
    notices: tuple[str, ...] = ()


def run_ray(
    work: tuple[Work, ...],
    orders: Orders,
    choice: ModelChoice,
    address: str | None,
    tell_notice: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Outcome]:
    """Upscale pictures on a Ray cluster and tell what became of each, in order.

    A task takes one processor, and one GPU where GPUs are used. A picture whose worker dies is done again.

    Args:
        work: the pictures.
        orders: what is wanted of each.
        choice: the model, which every worker loads once.
        address: of the cluster; None for RAY_ADDRESS in the environment or else a cluster of this machine's own, which
            ends with the work. A connection that this process has already is used as it is.
        tell_notice: told the model's notices, each once.

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
    running: deque[tuple[Work, Any]] = deque()
    try:
        choice, resources = _with_resources(choice, ray.cluster_resources())
        task = ray.remote(_do).options(max_retries=RETRIES, **resources)
        most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting, noticed = deque(work), set[str]()
        while waiting or running:
            while waiting and len(running) < most:
                one = waiting.popleft()
                skipped = orders.skip_existing and os.path.lexists(one.target)
                told = None if skipped else task.remote(one, _repeatable(one, orders), choice, os.getcwd())
                running.append((one, told))
            one, told = running[0]
            yield Outcome(one, skipped=True) if told is None else _result(ray, one, told, noticed, tell_notice)
            running.popleft()
    finally:
        for _, told in running:
            if told is not None:
                ray.cancel(told, force=True)
        if own:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report home
    words = {"include_dashboard": False, "object_store_memory": _OBJECT_BYTES} if address == "local" else {}
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


def _result(ray: Any, work: Work, reference: Any, noticed: set[str], tell_notice: Callable[[str], None]) -> Outcome:
    """Wait for a task."""
    try:
        told: _Told = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise  # a bug of ours
    except ray.exceptions.RayError as error:
        reason = type(error).__name__
        return Outcome(
            work,
            error=PatchScalerError(
                f"{work.source}: Ray's workers died of it {RETRIES + 1} times ({reason}); look at the memory of their "
                "machines and at Ray's logs, or leave --engine ray out."
            ),
        )
    for notice in told.notices:
        if notice not in noticed:
            noticed.add(notice)
            tell_notice(notice)
    if told.failure is not None:
        raise told.failure
    assert told.outcome is not None
    return told.outcome


# ---- in the workers ---------------------------------------------------------------------------------------------------

_loaded: dict[ModelChoice, Upscaler] = {}
"""The model of this worker, which serves one task after the other."""


def _do(work: Work, orders: Orders, choice: ModelChoice, folder: str) -> _Told:
    """One picture, with paths that are relative to `folder`."""

    def load() -> Upscaler:
        if choice not in _loaded:
            _loaded.clear()
            _loaded[choice] = choice.load([orders.settings])
        return _loaded[choice]

    try:
        os.chdir(folder)
        (outcome,) = run_local((work,), orders, load, NoProgress())
    except OSError as error:
        return _Told(
            failure=PatchScalerError(
                f"The folder {folder} is not to be had on the machine {platform.node()} ({error.strerror}); all "
                "machines of the Ray cluster must see the same files."
            )
        )
    except Exception as error:
        return _Told(failure=_portable(error))
    notices = tuple(_loaded[choice].notices) if choice in _loaded else ()
    if outcome.error is not None:
        outcome = replace(outcome, error=_portable(outcome.error))
    return _Told(outcome, notices=notices)


def _portable(error: Exception) -> Exception:
    """The exception, or one of its words where it does not travel between processes."""
    try:
        return error if type(pickle.loads(pickle.dumps(error))) is type(error) else RuntimeError(str(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
