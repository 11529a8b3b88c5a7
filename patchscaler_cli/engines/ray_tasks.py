"""What runs in Ray's workers: whole pictures, and sections of large ones."""

from __future__ import annotations

import os
import pickle
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.local import run_local
from patchscaler_cli.engines.orders import Machine, Orders, Outcome
from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import NoProgress, UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.bands import Band, Section
    from patchscaler_cli.pipeline.upscaler import Upscaler

Answer = TypeVar("Answer")

_loaded: dict[ModelChoice, Upscaler] = {}
"""The model of this worker, which serves one task after the other."""


@dataclass(frozen=True)
class Told(Generic[Answer]):
    """What a task brings back: an answer, or why there is none, and the model's notices."""

    answer: Answer | None = None
    failure: Exception | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class MadeSection:
    """A section's bands and what computed them."""

    bands: list[Band]
    machine: Machine


def upscale_picture(work: Work, orders: Orders, choice: ModelChoice, folder: str) -> Told[Outcome]:
    """One picture, as the local engine does it. What goes wrong with the picture itself is in the outcome.

    Args:
        work: with paths that are relative to `folder`.
        orders: what is wanted of it.
        choice: the model.
        folder: where to work.
    """

    def upscale(load: Callable[[], Upscaler]) -> Outcome:
        (outcome,) = run_local((work,), orders, load, NoProgress())
        return outcome if outcome.error is None else replace(outcome, error=_portable(outcome.error))

    return _told(upscale, [orders.settings], choice, folder)


def compute_section(section: Section, settings: UpscaleSettings, choice: ModelChoice, folder: str) -> Told[MadeSection]:
    """The bands of a section of a picture.

    Args:
        section: which, with its pixels.
        settings: of the upscale.
        choice: the model, with paths that are relative to `folder`.
        folder: where to work.
    """

    def compute(load: Callable[[], Upscaler]) -> MadeSection:
        from patchscaler_cli.pipeline.stage_clock import StageClock

        upscaler = load()
        bands = list(upscaler.bands(section, settings, NoProgress(), StageClock()))
        return MadeSection(bands, Machine(upscaler.model_name, upscaler.device, upscaler.dtype))

    return _told(compute, [settings], choice, folder)


def _told(
    work: Callable[[Callable[[], Upscaler]], Answer], settings: list[UpscaleSettings], choice: ModelChoice, folder: str
) -> Told[Answer]:
    """Work in a folder, with the model at hand."""

    def load() -> Upscaler:
        if choice not in _loaded:
            _loaded.clear()
            _loaded[choice] = choice.load(settings)
        return _loaded[choice]

    try:
        os.chdir(folder)
    except OSError as error:
        return Told(
            failure=PatchScalerError(
                f"The folder {folder} is not to be had on the machine {platform.node()} ({error.strerror}); all "
                "machines of the Ray cluster must see the same files."
            )
        )
    try:
        answer = work(load)
    except Exception as error:
        return Told(failure=_portable(error))
    return Told(answer, notices=tuple(_loaded[choice].notices) if choice in _loaded else ())


def _portable(error: Exception) -> Exception:
    """The exception, or one of its words where it does not travel between processes."""
    try:
        return error if type(pickle.loads(pickle.dumps(error))) is type(error) else RuntimeError(str(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
