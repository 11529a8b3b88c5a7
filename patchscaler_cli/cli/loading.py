"""The model as every command gets it: refused early where it can be, downloads and notices told."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from patchscaler_cli.cli.console import say_warning
from patchscaler_cli.cli.downloads import DownloadLines
from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.store.progress import SilentProgress

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.upscaler import Upscaler


def load_model(choice: ModelChoice, settings: Iterable[UpscaleSettings] = (), *, quiet: bool = False) -> Upscaler:
    """Load a model, refuse settings that its weights cannot do, and say its notices.

    A download is told in lines: other bars may be on the screen already.
    """
    upscaler = choice.load(settings, SilentProgress() if quiet else DownloadLines())
    for notice in [] if quiet else upscaler.notices:
        say_warning(notice)
    return upscaler


def check_texture(texture: Path | None, no_texture: bool) -> None:
    """Refuse a texture memory that is not there or not wanted; what is in it is found out with the model."""
    if texture is None:
        return
    if no_texture:
        raise UsageError("Give only one of --texture and --no-texture: one uses textures, the other none.")
    if not texture.is_file():
        raise PatchScalerError(
            f"There is no texture memory {texture}; `patchscaler texture build` makes one of your photographs."
        )
