"""A stand-in for the Upscaler, for tests of what the command line does around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from typer.testing import Result

from patchscaler_cli.pipeline.result import GroupReport, UpscalePlan, UpscaleResult
from patchscaler_cli.pipeline.settings import NoProgress, Progress, UpscaleSettings
from patchscaler_cli.sampling.groups import Group, GroupLadder, Preset
from patchscaler_cli.tiling.grid import PatchGrid

RunCli = Callable[..., Result]
"""The fixture `run_cli`: takes the words of a command line."""


class FakeUpscaler:
    """Enlarges by repeating pixels and remembers what it was asked; what the command line does around it is real."""

    loads: ClassVar[list[dict[str, Any]]] = []
    """The arguments of each `from_pretrained`."""
    raises: ClassVar[BaseException | None] = None
    """What `upscale` raises instead of upscaling."""
    asked: ClassVar[list[UpscaleSettings]] = []
    """The settings of each `upscale` and `plan`."""

    model_name, device, dtype = "fake", "cpu", "fp32"
    compute = "elsewhere"  # so that no pictures share batches
    ladder = GroupLadder((Group(0.05, 1), Group(0.2, 2)), (0.5,))

    def __init__(self) -> None:
        self.notices: list[str] = ["fp16 is not computed on a CPU; fp32 is used instead."]

    @classmethod
    def from_pretrained(cls, model: str | None = None, **options: Any) -> FakeUpscaler:
        del options["progress"]  # a display, of no account to what is computed
        cls.loads.append({"model": model, **options})
        return cls()

    def sampling(self, settings: UpscaleSettings) -> Preset:
        fidelity = 0.25 if settings.fidelity is None else settings.fidelity
        return Preset(self.ladder.select(settings.groups, settings.steps), fidelity)

    def prompted(self, settings: UpscaleSettings) -> bool:
        return settings.texture is not False

    def batch_size(self, settings: UpscaleSettings) -> int:
        return 32

    def plan(self, width: int, height: int, settings: UpscaleSettings) -> UpscalePlan:
        self.asked.append(settings)
        new_width, new_height = settings.output_size(width, height)
        return UpscalePlan(new_width, new_height, 1, 2, 30, 60, 100 * 2**20)

    def upscale(
        self,
        image: npt.NDArray[np.generic],
        settings: UpscaleSettings,
        *,
        keep_coarse: bool = True,
        progress: Progress | None = None,
    ) -> UpscaleResult:
        self.asked.append(settings)
        if self.raises is not None:
            raise self.raises
        progress = progress or NoProgress()
        progress.begin("coarse", 1)
        height, width = image.shape[:2]
        new_width, new_height = settings.output_size(width, height)
        rows = np.arange(new_height) * height // new_height
        columns = np.arange(new_width) * width // new_width
        pixels = image[rows][:, columns]
        if pixels.ndim == 2:
            pixels = np.stack([pixels] * 3, axis=2)
        progress.advance("coarse")
        return UpscaleResult(
            pixels=pixels,
            kept_coarse=None,
            confidence=np.full((height, width), 0.5, np.float32),
            grid=PatchGrid(height, width, (16, 16)),
            patch_groups=np.zeros((5, 6), np.int64),
            groups=(GroupReport(0.05, 1, 20), GroupReport(0.2, 2, 10)),
            patches=30,
            network_evaluations=40,
            seconds={"coarse": 0.01, "diffuse": 0.02},
            device="cpu",
            dtype="fp32",
        )
