"""The pipeline: image in, image out (design, section 1)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from patchscaler_cli.errors import UsageError
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.placement import place
from patchscaler_cli.models.weights_file import load_weights
from patchscaler_cli.pipeline.coarse_stage import restore_coarse
from patchscaler_cli.pipeline.colour import add_low_pass, reduced
from patchscaler_cli.pipeline.device import DTYPES, choose_device, choose_dtype
from patchscaler_cli.pipeline.diffusion_stage import DiffusionStage
from patchscaler_cli.pipeline.pixels import AnyArray, as_array, from_network, resize, to_network
from patchscaler_cli.pipeline.result import GroupReport, UpscalePlan, UpscaleResult
from patchscaler_cli.pipeline.settings import NoProgress, Progress, UpscaleSettings
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.sampling.qmap import quantify
from patchscaler_cli.store.bundled import find_weights
from patchscaler_cli.tiling.grid import PatchGrid, reflected, tiles

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_MODEL = "tiny"
LIBRARY_BYTES = 450 * 2**20
"""Host memory of Python with torch and the weights loaded, measured on Linux."""
PATCH_BYTES = 5 * 2**20
"""Host memory that one patch of a batch takes in the networks at most, measured with `tiny` in fp32."""


@dataclass(frozen=True)
class _Pass:
    """One run of the x4 network: its picture [3, 4h, 4w] in [-1, 1] and how it came about."""

    refined: npt.NDArray[np.float32]
    coarse: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    patch_groups: npt.NDArray[np.int64]
    network_evaluations: int


class Upscaler:
    """A loaded model that upscales pictures. Use it for many pictures: loading takes longer than a small picture.

    Attributes:
        model_name: name of the model, such as "tiny".
        device: the device's name, such as "cpu" or "cuda:0".
        dtype: the arithmetic's name: "fp32", "fp16" or "bf16".
        notices: sentences for the user about what differs from what was asked.
        details: the weights file's details: calibration, licences of the training data, figures.
        ladder: the calibrated groups.
        default_fidelity: the calibrated fidelity.
    """

    def __init__(
        self, model: PatchScalerModel, details: dict[str, Any], device: str = "auto", dtype: str = "auto"
    ) -> None:
        """Take over a loaded model (use `from_pretrained` to load one).

        Raises:
            UsageError: if the device or the dtype is unknown or not there.
            PatchScalerError: if the calibration in `details` cannot be used.
        """
        self._device = choose_device(device)
        self.dtype, notice = choose_dtype(dtype, self._device)
        self.notices = [notice] if notice else []
        self.device = str(self._device)
        self.model_name = model.config.name
        self.details = details
        self.ladder = GroupLadder.from_dict(details.get("calibration"))
        self.default_fidelity = float(details["calibration"].get("fidelity", 0.0))
        self._model = place(model, self._device)
        place(self._model.coarse, self._device, DTYPES[self.dtype])
        place(self._model.patch_dit, self._device, DTYPES[self.dtype])

    @classmethod
    def from_pretrained(
        cls, model: str | None = None, *, weights: Path | str | None = None, device: str = "auto", dtype: str = "auto"
    ) -> Upscaler:
        """Load a model by name, or from a weights file.

        Args:
            model: name of bundled weights; None for the default of the device.
            weights: a weights file; excludes `model`.
            device: auto, cpu, cuda, cuda:n or mps.
            dtype: auto, fp32, fp16 or bf16.

        Raises:
            UsageError: if a name is unknown, both names are given, or the device is not there.
            PatchScalerError: if the weights file cannot be used.
        """
        if model is not None and weights is not None:
            raise UsageError("Give only one of --model and --weights: both say which weights are used.")
        choose_dtype(dtype, choose_device(device))  # refuse these before reading the file
        path = Path(weights) if weights is not None else find_weights(model or DEFAULT_MODEL)
        network, details = load_weights(path)
        return cls(network, details, device, dtype)

    def plan(self, width: int, height: int, settings: UpscaleSettings) -> UpscalePlan:
        """What upscaling a picture of that size would mean. Nothing is computed.

        Raises:
            UsageError: if the settings do not fit the size or the weights.
        """
        out_width, out_height = settings.output_size(width, height)
        ladder = self.ladder.select(settings.groups, settings.steps)
        passes = _passes(width, height, out_width, out_height)
        scale, tile_count, patches, largest = self._model.config.coarse.scale, 0, 0, 0
        for number in range(passes):
            grid = self._grid(height * scale**number, width * scale**number)
            extent = grid.extent
            tile_count += sum(1 for _ in tiles(*extent, settings.tile))
            patches += grid.rows * grid.columns
            largest = extent[0] * extent[1] * scale**2
        evaluations = 0 if settings.coarse_only else patches * ladder.groups[-1].steps
        halo = self._model.config.coarse.halo
        tile_bytes = (
            (min(settings.tile, max(width, height)) + 2 * halo) ** 2 * self._model.config.coarse.channels * 4 * 4
        )
        canvases = largest * 3 * 4 * 3 + out_width * out_height * 3 * 6
        batch_bytes = 0 if settings.coarse_only else min(settings.batch_size, patches) * PATCH_BYTES
        memory = LIBRARY_BYTES + canvases + max(tile_bytes, batch_bytes)
        return UpscalePlan(out_width, out_height, passes, tile_count, patches, evaluations, memory)

    def upscale(
        self, image: Image | AnyArray, settings: UpscaleSettings | None = None, *, progress: Progress | None = None
    ) -> UpscaleResult:
        """Upscale one picture.

        Args:
            image: a Pillow image (taken as 8-bit RGB) or an array [H, W, 3] or [H, W], uint8, uint16 or float in 0..1.
            settings: see UpscaleSettings; None for the defaults.
            progress: told how far the work is.

        Returns:
            The picture in the depth that came in, with how it came about. It depends on the image, the settings other
            than `tile` and `batch_size`, and the weights: in fp32, tiles, batches and devices change it by rounding
            only (at most 1/255).

        Raises:
            UsageError: if the image is no picture, or the settings do not fit it or the weights.
        """
        settings, progress = settings or UpscaleSettings(), progress or NoProgress()
        array = as_array(image)
        height, width = array.shape[:2]
        out_width, out_height = settings.output_size(width, height)
        ladder = self.ladder.select(settings.groups, settings.steps)
        seconds: dict[str, float] = dict.fromkeys(("coarse", "retrieve", "diffuse", "blend", "resize"), 0.0)
        lr, done = to_network(array), []
        for number in range(_passes(width, height, out_width, out_height)):
            done.append(self._run_pass(lr, settings, settings.seed + number, ladder, seconds, progress))
            lr = done[-1].refined
        with _timed(seconds, "resize"):
            refined = from_network(resize(done[-1].refined, out_width, out_height), array.dtype)
            coarse = from_network(resize(done[-1].coarse, out_width, out_height), array.dtype)
        counts = sum(np.bincount(one.patch_groups.ravel(), minlength=len(ladder.groups)) for one in done)
        reports = [
            GroupReport(group.sigma, group.steps, int(count))
            for group, count in zip(ladder.groups, np.atleast_1d(counts), strict=True)
        ]
        return UpscaleResult(
            pixels=refined,
            coarse=coarse,
            confidence=done[0].confidence,
            patch_groups=done[0].patch_groups,
            groups=() if settings.coarse_only else tuple(reports),
            patches=sum(one.patch_groups.size for one in done),
            network_evaluations=sum(one.network_evaluations for one in done),
            seconds=seconds,
            device=self.device,
            dtype=self.dtype,
        )

    def _grid(self, height: int, width: int) -> PatchGrid:
        return PatchGrid(height, width, self._model.config.patch_dit.patch // self._model.config.coarse.scale)

    def _run_pass(
        self, lr: npt.NDArray[np.float32], settings: UpscaleSettings, seed: int, ladder: GroupLadder,
        seconds: dict[str, float], progress: Progress,
    ) -> _Pass:  # fmt: skip
        """Enlarge an LR image [3, h, w] in [-1, 1] four times."""
        _, height, width = lr.shape
        grid = self._grid(height, width)
        scale, (rows, columns) = self._model.config.coarse.scale, grid.extent
        progress.stage("coarse", sum(1 for _ in tiles(rows, columns, settings.tile)))
        with _timed(seconds, "coarse"):
            coarse, confidence = restore_coarse(
                self._model.coarse, lr, grid.extent, settings.tile, self._device, progress.advance
            )
            continued = lr[:, reflected(0, rows, height)[:, None], reflected(0, columns, width)[None]]
            add_low_pass(coarse, torch.from_numpy(continued) - reduced(coarse))
        qmap = quantify(confidence, grid.tops, grid.lefts, grid.size)
        patch_groups = ladder.assign(qmap)
        evaluations, inside = 0, (slice(None), slice(height * scale), slice(width * scale))
        refined = coarse
        if not settings.coarse_only:
            stage = DiffusionStage(self._model, self._device, coarse, grid, seed)
            steps = np.array([group.steps for group in ladder.groups])
            progress.stage("diffuse", int(steps[patch_groups].sum()))
            with _timed(seconds, "diffuse"):
                residual, evaluations = stage.refine(
                    patch_groups, ladder, settings.batch_size, settings.texture, progress.advance
                )
            seconds["diffuse"] -= stage.seconds_retrieving + stage.seconds_blending
            seconds["retrieve"] += stage.seconds_retrieving
            seconds["blend"] += stage.seconds_blending
            with _timed(seconds, "blend"):
                add_low_pass(residual, -reduced(residual))
                residual *= 1 - (self.default_fidelity if settings.fidelity is None else settings.fidelity)
                residual += coarse
            refined = residual
        return _Pass(refined[inside], coarse[inside], confidence[:height, :width], patch_groups, evaluations)


def _passes(width: int, height: int, out_width: int, out_height: int) -> int:
    """How often the x4 network must be applied for the output to be reached by reduction."""
    return 1 if out_width <= 4 * width and out_height <= 4 * height else 2


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the wall-clock seconds of a block to a stage."""
    begin = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - begin
