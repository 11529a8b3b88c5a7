"""An animation through the network: frame by frame, each written before the next is upscaled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from patchscaler_cli.images.animation import Animation, write_animation
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.pipeline.result import UpscaleResult, together
from patchscaler_cli.pipeline.settings import Progress

if TYPE_CHECKING:
    from patchscaler_cli.engines.orders import Orders, Outcome
    from patchscaler_cli.pipeline.upscaler import Upscaler


def upscale_animation(
    outcome: Outcome, animation: Animation, upscaler: Upscaler, orders: Orders, options: WriteOptions, progress: Progress
) -> Outcome:  # fmt: skip
    """Upscale all frames with the same settings and the same noise, so that what stands still does not flicker.

    Args:
        outcome: what is known so far.
        animation: as it was read.
        upscaler: the model.
        orders: what is wanted.
        options: how the file is written.
        progress: told of every frame, and how far it is.

    Returns:
        The outcome; its confidence map is an animation, too.
    """
    results: list[UpscaleResult] = []
    sure: list[Picture] = []
    failures: list[Exception] = []

    def enlarged() -> Iterator[Picture]:
        for frame in animation.frames():
            try:
                result = upscaler.upscale(frame.pixels, orders.settings, keep_coarse=False, progress=progress)
            except Exception as error:
                failures.append(error)
                raise
            if orders.confidence is not None:
                sure.append(Picture((result.confidence * 255).round().astype("uint8")))
                if len(sure) == outcome.frames:  # before the picture is whole: a run that finds it takes all as done
                    write_animation(orders.confidence(outcome.work), sure, animation.timing)
            results.append(result.without_pictures())
            yield frame.enlarged(result.pixels)
            progress.advance("frames")

    begin = time.perf_counter()
    progress.begin("frames", outcome.frames)
    try:
        warnings = write_animation(outcome.work.target, enlarged(), animation.timing, options)
    except Exception as error:
        return replace(outcome, error=failures[0] if failures else error)  # the network's own words, not the writer's
    result = together(results)
    seconds = result.seconds | {"write": time.perf_counter() - begin - sum(result.seconds.values())}
    said = (*outcome.warnings, *result.warnings, *warnings)
    return replace(outcome, result=result, warnings=said, seconds=outcome.seconds | seconds)
