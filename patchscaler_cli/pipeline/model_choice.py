"""Which model on which device, as something that travels to another process."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.store.progress import DownloadProgress

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.upscaler import Upscaler


@dataclass(frozen=True)
class ModelChoice:
    """What is asked for with --model, --weights, --texture, --device, --dtype and --offline.

    Attributes:
        model: name of the model; None for the default.
        weights: a weights file in its place.
        texture: a texture memory in place of the model's own.
        device: auto, cpu, cuda, cuda:n or mps.
        dtype: auto, fp32, fp16 or bf16.
        may_download: whether weights that are not on the machine may be downloaded.
    """

    model: str | None = None
    weights: Path | None = None
    texture: Path | None = None
    device: str = "auto"
    dtype: str = "auto"
    may_download: bool = True

    def load(self, settings: Iterable[UpscaleSettings], progress: DownloadProgress | None = None) -> Upscaler:
        """Load it, and refuse any of the settings that these weights cannot do, once for all pictures.

        Raises:
            UsageError: if a name is unknown, the device is not there, or the settings do not fit the weights.
            PatchScalerError: if a file cannot be had or used.
        """
        upscaler = _upscaler_class().from_pretrained(
            self.model, weights=self.weights, device=self.device, dtype=self.dtype, may_download=self.may_download,
            progress=progress,
        )  # fmt: skip
        if self.texture is not None:
            upscaler.use_textures(self.texture)
        for one in settings:
            upscaler.sampling(one)
        return upscaler


def _upscaler_class() -> type[Upscaler]:
    """Import the pipeline, and torch with it. Only now: --help and a mistyped option or input should not wait for it.

    The garbage collector rests meanwhile: nothing of what is imported is garbage, and to look through it takes a tenth
    of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        from patchscaler_cli.pipeline.upscaler import Upscaler
    finally:
        if collecting:
            gc.enable()
    return Upscaler
