"""The model as every command gets it: refused early where it can be, downloads and notices told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from patchscaler_cli.cli.console import say_warning
from patchscaler_cli.cli.downloads import DownloadLines
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
