"""Reading ahead: pictures are decoded beside the network's work, and refused where they can be before it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.orders import Orders, Outcome
from patchscaler_cli.errors import PatchScalerError, UsageError

if TYPE_CHECKING:
    from patchscaler_cli.images.animation import Animation
    from patchscaler_cli.images.picture import Picture

READ_AHEAD = 2
"""Pictures that are decoded before the network asks for them."""


@dataclass(frozen=True)
class Read:
    """A picture as it was read, or why there is none: an error or a skip in its outcome."""

    outcome: Outcome
    picture: Picture | Animation | None = None


class ReadAhead:
    """Gives pictures in order while a thread decodes the next ones."""

    def __init__(self, work: Iterator[Work], orders: Orders, reader: ThreadPoolExecutor) -> None:
        """Prepare; nothing is read before the first picture is asked for."""
        self._work, self._orders, self._reader = work, orders, reader
        self._reading = deque[Future[Read]]()

    def peek(self) -> Read | None:
        """The next picture, which stays the next; None after the last."""
        while len(self._reading) < READ_AHEAD and (one := next(self._work, None)) is not None:
            self._reading.append(self._reader.submit(read, one, self._orders))
        return self._reading[0].result() if self._reading else None

    def take(self) -> Read | None:
        """The next picture; None after the last."""
        return self._reading.popleft().result() if self.peek() is not None else None


def read(work: Work, orders: Orders) -> Read:
    """Decode a picture and refuse what can be refused before the work."""
    from patchscaler_cli.images.animation import Animation, read_picture_or_animation
    from patchscaler_cli.images.writing import check_output

    begin, outcome = time.perf_counter(), Outcome(work)
    try:
        if orders.skip_existing and os.path.lexists(work.target):
            return Read(replace(outcome, skipped=True))
        picture = read_picture_or_animation(work.source, first_frame=orders.first_frame, wraps=orders.settings.wrap)
        frames = len(picture.timing.durations) if isinstance(picture, Animation) else 1
        size, animated = (picture.width, picture.height), frames > 1
        outcome = replace(outcome, size=size, new_size=orders.settings.output_size(*size), frames=frames)
        assert outcome.new_size is not None
        if orders.make_folders and not orders.dry_run:
            work.target.parent.mkdir(parents=True, exist_ok=True)
        if not (orders.make_folders and orders.dry_run):
            width, height = outcome.new_size
            check_output(
                work.target, source=work.source, width=width, height=height, overwrite=orders.overwrite,
                options=orders.write, mode=picture.mode, animated=animated,
            )  # fmt: skip
        if orders.confidence is not None:
            beside = orders.confidence(work)
            if os.path.realpath(beside) == os.path.realpath(work.target):
                raise UsageError(
                    f"--save-confidence and the output are the same file {beside}; give them different names."
                )
            if orders.make_folders and not orders.dry_run:
                beside.parent.mkdir(parents=True, exist_ok=True)
            check_output(
                beside, source=work.source, width=size[0], height=size[1], animated=animated,
                overwrite=orders.overwrite or orders.skip_existing,  # left by a run that was killed before its picture
            )  # fmt: skip
    except OSError as error:
        return Read(
            replace(outcome, error=PatchScalerError(f"{work.target.parent} cannot be made ({error.strerror})."))
        )
    except Exception as error:
        return Read(replace(outcome, error=error))
    warnings, seconds = tuple(picture.warnings), {"read": time.perf_counter() - begin}
    return Read(replace(outcome, warnings=warnings, seconds=seconds), picture)
