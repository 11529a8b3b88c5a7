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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from patchscaler_cli import __version__
from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.orders import Machine, Orders, Outcome
from patchscaler_cli.engines.reading import Read, ReadAhead
from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.pipeline.settings import DEFAULT_PRESET, Progress, UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.images.picture import Picture
    from patchscaler_cli.pipeline.result import UpscaleResult
    from patchscaler_cli.pipeline.upscaler import Upscaler

SHARED_BATCHES = 4
"""Small pictures are upscaled together until their patches fill so many batches."""

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
    yield from run_pictures(iter(work), orders, load, progress, share=len(work) > 1)


def run_pictures(
    work: Iterator[Work], orders: Orders, load: Callable[[], Upscaler], progress: Progress, share: bool = False
) -> Iterator[Outcome]:
    """As `run_local`, for pictures that are asked for one by one, somewhat ahead of the network.

    With `share`, small ones that follow each other are asked for, and upscaled, together.
    """
    upscaler: Upscaler | None = None
    writing = deque[tuple[Future[Outcome], int]]()
    reader, writer = ThreadPoolExecutor(1, "reader"), ThreadPoolExecutor(1, "writer")
    pictures = ReadAhead(work, orders, reader)
    try:
        while (one := pictures.take()) is not None:
            if one.picture is None:
                writing.append((_finished(one.outcome), 0))
            else:
                upscaler = upscaler or load()
                together = [one, *_company(one, pictures, upscaler, orders)] if share else [one]
                futures = _upscale_together(together, upscaler, orders, writer, progress)
                sizes = [math.prod(each.outcome.new_size or ()) for each in together]
                writing.extend(zip(futures, sizes, strict=True))
                del together
            del one  # and the picture with it, while the next one is waited for
            while writing and (
                len(writing) > WRITE_BEHIND or writing[0][0].done() or _pixels(writing) > WAITING_PIXELS
            ):
                yield writing.popleft()[0].result()
        while writing:
            yield writing.popleft()[0].result()
    finally:
        reader.shutdown(cancel_futures=True)
        writer.shutdown(cancel_futures=True)


def _company(first: Read, pictures: ReadAhead, upscaler: Upscaler, orders: Orders) -> list[Read]:
    """Pictures that come right after `first` and share its batches: none, unless all of them are small."""
    company: list[Read] = []
    patches, enough = _patches(first, upscaler, orders), SHARED_BATCHES * upscaler.batch_size(orders.settings)
    while 0 < patches < enough:
        following = pictures.peek()
        more = _patches(following, upscaler, orders) if following is not None else 0
        if not more:
            break
        taken = pictures.take()
        assert taken is not None
        company.append(taken)
        patches += more
    return company


def _patches(read: Read, upscaler: Upscaler, orders: Orders) -> int:
    """How many patches a picture can give to common batches."""
    from patchscaler_cli.images.picture import Picture
    from patchscaler_cli.pipeline.together import patches_to_share

    if orders.dry_run or not isinstance(read.picture, Picture):
        return 0
    try:
        return patches_to_share(upscaler, read.picture.width, read.picture.height, orders.settings)
    except PatchScalerError:  # it is refused when its turn comes
        return 0


def clear_outputs_litter(work: tuple[Work, ...], orders: Orders) -> None:
    """Remove what killed runs left where this one will write."""
    from patchscaler_cli.images.replacing import clear_litter

    files = [one.target for one in work]
    if orders.confidence is not None:
        files += [orders.confidence(one) for one in work]
    for folder in {os.path.dirname(os.path.realpath(file)) for file in files}:
        clear_litter(Path(folder))


def _pixels(writing: Iterable[tuple[Future[Outcome], int]]) -> int:
    return sum(pixels for _, pixels in writing)


def _finished(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


def _upscale_together(
    together: list[Read], upscaler: Upscaler, orders: Orders, writer: ThreadPoolExecutor, progress: Progress
) -> list[Future[Outcome]]:
    """Run the network here and now, and leave the writing to the writer. Where that fails, each picture is tried alone."""
    from patchscaler_cli.images.picture import Picture
    from patchscaler_cli.pipeline.together import upscale_together

    machine = Machine(upscaler.model_name, upscaler.device, upscaler.dtype)
    together = [replace(one, outcome=replace(one.outcome, machine=machine)) for one in together]
    pictures = [one.picture for one in together if isinstance(one.picture, Picture)]
    if len(together) > 1:
        try:
            results = upscale_together(upscaler, [picture.pixels for picture in pictures], orders.settings, progress)
        except Exception:  # of one of them, which will tell
            pass
        else:
            done = zip(together, pictures, results, strict=True)
            return [_to_write(one.outcome, picture, result, upscaler, orders, writer) for one, picture, result in done]
    return [_upscale(one, upscaler, orders, writer, progress) for one in together]


def _upscale(
    read: Read, upscaler: Upscaler, orders: Orders, writer: ThreadPoolExecutor, progress: Progress
) -> Future[Outcome]:
    """Run the network on one picture."""
    from patchscaler_cli.engines.animations import upscale_animation
    from patchscaler_cli.images.picture import Picture

    outcome, picture = read.outcome, read.picture
    assert picture is not None
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
    return _to_write(outcome, picture, result, upscaler, orders, writer)


def _to_write(
    outcome: Outcome,
    picture: Picture,
    result: UpscaleResult,
    upscaler: Upscaler,
    orders: Orders,
    writer: ThreadPoolExecutor,
) -> Future[Outcome]:
    """Leave a picture to the writer."""
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
        if not upscaler.prompted(settings):
            words.append("no texture prompt")
        words.append(f"seed {settings.seed}")
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
