"""The local engine: one picture after the other on this machine, reading and writing beside the network's work.

One picture takes the same way as a thousand.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from patchscaler_cli import __version__
from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.orders import Machine, Orders, Outcome
from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.pipeline.settings import DEFAULT_PRESET, Progress, UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.images.animation import Animation
    from patchscaler_cli.images.picture import Picture
    from patchscaler_cli.pipeline.upscaler import Upscaler

READ_AHEAD = 2
"""Pictures that are decoded before the network asks for them."""

WRITE_BEHIND = 2
"""Pictures that may wait to be encoded; then the network waits."""

WAITING_PIXELS = 2**27
"""How many pixels these may have together; beyond it the network waits, so that large pictures are not there twice."""


def run_local(
    work: tuple[Work, ...], orders: Orders, load: Callable[[], Upscaler], progress: Progress
) -> Iterator[Outcome]:
    """Upscale pictures and tell what became of each, in order.

    A picture that cannot be read, upscaled or written is an outcome, not an exception: the others go on.

    Args:
        work: the pictures.
        orders: what is wanted of each.
        load: gives the model; called once, when the first picture could be read, so that a mistyped name is told at once.
        progress: told how far the present picture is.

    Raises:
        PatchScalerError: if the model cannot be loaded: that concerns all pictures.
        KeyboardInterrupt: as it comes; what is being written is finished or dropped whole.
    """
    if not orders.dry_run:
        clear_outputs_litter(work, orders)
    yield from run_pictures(iter(work), orders, load, progress)


def run_pictures(
    work: Iterator[Work], orders: Orders, load: Callable[[], Upscaler], progress: Progress
) -> Iterator[Outcome]:
    """As `run_local`, for pictures that are asked for one by one, somewhat ahead of the network."""
    upscaler: Upscaler | None = None
    reading, writing = deque[Future[_Read]](), deque[tuple[Future[Outcome], int]]()
    reader, writer = ThreadPoolExecutor(1, "reader"), ThreadPoolExecutor(1, "writer")
    try:
        while True:
            while len(reading) < READ_AHEAD and (one := next(work, None)) is not None:
                reading.append(reader.submit(_read, one, orders))
            if not reading:
                break
            read = reading.popleft().result()
            if read.picture is None:
                writing.append((_finished(read.outcome), 0))
            else:
                upscaler = upscaler or load()
                future = _upscale(read.outcome, read.picture, upscaler, orders, writer, progress)
                writing.append((future, math.prod(read.outcome.new_size or ())))
            del read  # and the picture with it, while the next one is waited for
            while writing and (
                len(writing) > WRITE_BEHIND or writing[0][0].done() or _pixels(writing) > WAITING_PIXELS
            ):
                yield writing.popleft()[0].result()
        while writing:
            yield writing.popleft()[0].result()
    finally:
        reader.shutdown(cancel_futures=True)
        writer.shutdown(cancel_futures=True)


def clear_outputs_litter(work: tuple[Work, ...], orders: Orders) -> None:
    """Remove what killed runs left where this one will write."""
    from patchscaler_cli.images.replacing import clear_litter

    files = [one.target for one in work]
    if orders.confidence is not None:
        files += [orders.confidence(one) for one in work]
    for folder in {os.path.dirname(os.path.realpath(file)) for file in files}:
        clear_litter(Path(folder))


@dataclass(frozen=True)
class _Read:
    outcome: Outcome
    picture: Picture | Animation | None = None


def _pixels(writing: Iterable[tuple[Future[Outcome], int]]) -> int:
    return sum(pixels for _, pixels in writing)


def _finished(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


def _read(work: Work, orders: Orders) -> _Read:
    """Decode a picture and refuse what can be refused before the work."""
    from patchscaler_cli.images.animation import Animation, read_picture_or_animation
    from patchscaler_cli.images.writing import check_output

    begin, outcome = time.perf_counter(), Outcome(work)
    try:
        if orders.skip_existing and os.path.lexists(work.target):
            return _Read(replace(outcome, skipped=True))
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
        return _Read(
            replace(outcome, error=PatchScalerError(f"{work.target.parent} cannot be made ({error.strerror})."))
        )
    except Exception as error:
        return _Read(replace(outcome, error=error))
    warnings, seconds = tuple(picture.warnings), {"read": time.perf_counter() - begin}
    return _Read(replace(outcome, warnings=warnings, seconds=seconds), picture)


def _upscale(
    outcome: Outcome,
    picture: Picture | Animation,
    upscaler: Upscaler,
    orders: Orders,
    writer: ThreadPoolExecutor,
    progress: Progress,
) -> Future[Outcome]:
    """Run the network here and now, and leave the writing to the writer."""
    from patchscaler_cli.engines.animations import upscale_animation
    from patchscaler_cli.images.picture import Picture

    machine = Machine(upscaler.model_name, upscaler.device, upscaler.dtype)
    outcome = replace(outcome, machine=machine)
    try:
        if orders.dry_run:
            plan = upscaler.plan(picture.width, picture.height, orders.settings)
            return _finished(replace(outcome, plan=plan.repeated(outcome.frames)))
        if not isinstance(picture, Picture):
            options = replace(orders.write, provenance=provenance(upscaler, orders.settings, outcome))
            return _finished(upscale_animation(outcome, picture, upscaler, orders, options, progress))
        result = upscaler.upscale(picture.pixels, orders.settings, keep_coarse=False, progress=progress)
    except Exception as error:
        return _finished(replace(outcome, error=error))
    options = replace(orders.write, provenance=provenance(upscaler, orders.settings, outcome))
    return writer.submit(_write, replace(outcome, result=result), picture, options, orders.confidence)


def provenance(upscaler: Upscaler, settings: UpscaleSettings, outcome: Outcome) -> str:
    """One line on how a picture was made: the software, the model, and the settings that decide what it looks like."""
    assert outcome.size is not None
    assert outcome.new_size is not None
    words = [
        f"PatchScaler {__version__}",
        f"model {upscaler.model_name}",
        "{}x{} from {}x{}".format(*outcome.new_size, *outcome.size),
    ]
    if settings.wrap:
        words.append("wrap")
    if settings.coarse_only:
        words.append("coarse only")
    else:
        sampling, preset = upscaler.sampling(settings), settings.preset or DEFAULT_PRESET
        groups = sampling.ladder.groups
        words += [
            f"preset {preset}",
            f"fidelity {sampling.fidelity:g}",
            f"{len(groups)} groups",
            f"{groups[-1].steps} steps",
        ]
        words += [f"seed {settings.seed}"] if settings.texture else ["no texture prompt", f"seed {settings.seed}"]
    return ", ".join(words)


def _write(
    outcome: Outcome, picture: Picture, options: WriteOptions, confidence: Callable[[Work], Path] | None
) -> Outcome:
    from patchscaler_cli.images.picture import Picture
    from patchscaler_cli.images.writing import write_picture

    assert outcome.result is not None
    begin, result = time.perf_counter(), outcome.result
    try:
        if confidence is not None:  # first: a run that finds the picture takes all of it as done
            grey = (result.confidence * 255).round().astype("uint8")
            write_picture(confidence(outcome.work), Picture(grey))
        warnings = write_picture(outcome.work.target, picture.enlarged(result.pixels), options)
    except Exception as error:
        return replace(outcome, error=error)
    seconds = outcome.seconds | result.seconds | {"write": time.perf_counter() - begin}
    said = (*outcome.warnings, *result.warnings, *warnings)
    return replace(outcome, result=result.without_pictures(), warnings=said, seconds=seconds)
