"""What is wanted of pictures and what became of them: the same for every engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.pipeline.settings import UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.result import UpscalePlan, UpscaleResult


@dataclass(frozen=True)
class Orders:
    """What is wanted of every picture.

    Attributes:
        settings: of the upscale.
        overwrite: replace outputs that exist.
        skip_existing: leave pictures alone whose output exists (they count as skipped, not as failed).
        make_folders: make the outputs' folders where they are missing.
        dry_run: read and plan, compute and write nothing.
        confidence: where a picture's confidence map goes; None for nowhere.
        write: how pictures are written; the provenance note is added to it.
        first_frame: of an animation, take the first frame.
    """

    settings: UpscaleSettings
    overwrite: bool = False
    skip_existing: bool = False
    make_folders: bool = False
    dry_run: bool = False
    confidence: Callable[[Work], Path] | None = None
    write: WriteOptions = field(default_factory=WriteOptions)
    first_frame: bool = False


@dataclass(frozen=True)
class Machine:
    """What computes: name of the model, device such as "cpu", arithmetic such as "fp32"."""

    model: str
    device: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.model} on {self.device} in {self.dtype}"


@dataclass(frozen=True)
class Outcome:
    """What became of one picture.

    Attributes:
        work: which.
        size: width and height of the input in pixels; None if it could not be read or was skipped.
        new_size: width and height of the output.
        skipped: the output existed.
        error: why it failed; None if it did not.
        warnings: sentences for the user.
        plan: with `dry_run`.
        machine: what computed it; None if nothing did.
        result: without the pixels' being needed any more; of an animation, of all frames together.
        frames: of an animation; 1 for a single picture.
        seconds: wall-clock seconds by stage: read, the pipeline's stages, write.
    """

    work: Work
    size: tuple[int, int] | None = None
    new_size: tuple[int, int] | None = None
    skipped: bool = False
    error: Exception | None = None
    warnings: tuple[str, ...] = ()
    plan: UpscalePlan | None = None
    machine: Machine | None = None
    result: UpscaleResult | None = None
    frames: int = 1
    seconds: dict[str, float] = field(default_factory=dict)
