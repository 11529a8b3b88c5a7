"""PatchScaler: a patch-independent diffusion upscaler (arXiv 2405.17158). `from patchscaler_cli import Upscaler`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patchscaler_cli.errors import PatchScalerError, UsageError

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.result import UpscaleResult
    from patchscaler_cli.pipeline.settings import UpscaleSettings
    from patchscaler_cli.pipeline.upscaler import Upscaler

__version__ = "0.1.0"
__all__ = ["PatchScalerError", "UpscaleResult", "UpscaleSettings", "Upscaler", "UsageError", "__version__"]

_HOMES = {"Upscaler": "upscaler", "UpscaleResult": "result", "UpscaleSettings": "settings"}


def __getattr__(name: str) -> Any:
    """Import the pipeline (and torch with it) only when it is used: `patchscaler --help` never waits for it."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"patchscaler_cli.pipeline.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
