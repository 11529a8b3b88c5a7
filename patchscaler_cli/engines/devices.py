"""Several devices of this machine: a batch's pictures are spread over them, and whichever is free takes the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.local import clear_outputs_litter, run_pictures
from patchscaler_cli.engines.orders import Orders, Outcome
from patchscaler_cli.pipeline.settings import NoProgress

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.upscaler import Upscaler


def run_devices(work: tuple[Work, ...], orders: Orders, loads: Sequence[Callable[[], Upscaler]]) -> Iterator[Outcome]:
    """Upscale pictures on several devices at the same time and tell what became of each, in order.

    Every device has a thread that does one picture after the other as the local engine does: most of the time it waits
    for its device, or is in torch, and holds up no other.

    Args:
        work: the pictures.
        orders: what is wanted of each.
        loads: gives the model of each device; called once, in the device's thread, for no more devices than pictures.

    Raises:
        PatchScalerError: if a model cannot be loaded: that concerns all pictures.
        KeyboardInterrupt: as it comes; every device stops within a batch of patches, and what is being written is
            finished or dropped whole.
    """
    if not orders.dry_run:
        clear_outputs_litter(work, orders)
    # A picture for each device to begin with: one that reads ahead would take a short batch for itself.
    busy = min(len(loads), len(work))
    waiting, told, stopped = deque(work[busy:]), SimpleQueue[Outcome | BaseException](), Event()

    def pictures(first: Work) -> Iterator[Work]:
        yield first
        while not stopped.is_set():
            try:
                yield waiting.popleft()
            except IndexError:
                return

    def serve(first: Work, load: Callable[[], Upscaler]) -> None:
        try:
            for outcome in run_pictures(pictures(first), orders, load, _Stopping(stopped)):
                told.put(outcome)
        except BaseException as error:
            told.put(error)

    threads = [
        Thread(target=serve, args=each, name=f"device {n}") for n, each in enumerate(zip(work, loads, strict=False))
    ]
    done: dict[Work, Outcome] = {}
    try:
        for thread in threads:
            thread.start()
        for one in work:
            while one not in done:
                news = told.get()
                if isinstance(news, BaseException):
                    raise news
                done[news.work] = news
            yield done.pop(one)
    finally:
        stopped.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


class _Stopping(NoProgress):
    """Interrupts a thread from within, where its work tells how far it is: from outside none can be."""

    def __init__(self, stopped: Event) -> None:
        self._stopped = stopped

    def begin(self, stage: str, total: int) -> None:
        self._check()

    def advance(self, stage: str, units: int = 1) -> None:
        self._check()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise KeyboardInterrupt
