"""The pipeline: image in, image out (design, section 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.errors import UsageError
from patchscaler_cli.models.memory_file import load_memory
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.placement import place
from patchscaler_cli.models.texture import TextureMemory
from patchscaler_cli.models.weights_file import load_weights
from patchscaler_cli.pipeline.bands import (
    Band,
    BandMaker,
    Section,
    band_bytes,
    bands_together,
    patch_grid,
    whole_picture,
)
from patchscaler_cli.pipeline.canvas import MAPPED_BYTES, Canvas, canvas_bytes, check_room
from patchscaler_cli.pipeline.coarse_stage import largest_tile, tile_count
from patchscaler_cli.pipeline.device import DTYPES, choose_device, choose_dtype
from patchscaler_cli.pipeline.limits import Limits, batch_size, patch_bytes
from patchscaler_cli.pipeline.network_pass import NetworkPass
from patchscaler_cli.pipeline.pixels import AnyArray, as_array
from patchscaler_cli.pipeline.precision import trusted_dtype
from patchscaler_cli.pipeline.result import GroupReport, UpscalePlan, UpscaleResult
from patchscaler_cli.pipeline.settings import DEFAULT_PRESET, NoProgress, Progress, UpscaleSettings, pass_sizes
from patchscaler_cli.pipeline.stage_clock import StageClock
from patchscaler_cli.sampling.groups import GroupLadder, Preset, read_presets
from patchscaler_cli.store.finding import find_weights, refuse_both
from patchscaler_cli.store.progress import DownloadProgress

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_MODEL = "tiny"
LIBRARY_BYTES = 450 * 2**20
"""Host memory of Python with torch and the weights loaded, measured on Linux."""
WRITING_BYTES = 4
"""Host memory that a pixel of the result takes in Pillow while it is written, beside the canvas."""

Compute = Callable[[Section, UpscaleSettings, Progress, StageClock], Iterator[Band]]
"""Gives a whole picture's bands from the top down, as `Upscaler.bands` does."""


class Upscaler:
    """A loaded model that upscales pictures. Use it for many pictures: loading takes longer than a small picture.

    Attributes:
        model_name: name of the model, such as "tiny".
        device: the device's name, such as "cpu" or "cuda:0".
        dtype: the arithmetic's name: "fp32", "fp16" or "bf16".
        notices: sentences for the user about what differs from what was asked.
        details: the weights file's details: calibration, licences of the training data, figures.
        texture_pictures: what the textures in use look like, uint8 RGB [M, 32, 32, 3]; None unless they are a memory of the
            user's own, built with its pictures.
        presets: the calibrated groups and fidelities by name; every model has "balanced".
        compute: who computes the bands of a picture, if not this process.
    """

    def __init__(
        self, model: PatchScalerModel, details: dict[str, Any], device: str = "auto", dtype: str = "auto"
    ) -> None:
        """Take over a loaded model (use `from_pretrained` to load one).

        Raises:
            UsageError: if the device or the dtype is unknown or not there.
            PatchScalerError: if the calibration in `details` cannot be used, or the device computes wrongly.
        """
        self._device = choose_device(device)
        chosen, notice = choose_dtype(dtype, self._device)
        self.dtype, distrust = trusted_dtype(chosen, self._device)
        self.notices = [sentence for sentence in (notice, distrust) if sentence]
        self.device = str(self._device)
        self.model_name = model.config.name
        self.details = details
        self.presets = read_presets(details.get("calibration"), DEFAULT_PRESET)
        self.texture_pictures: npt.NDArray[np.uint8] | None = None
        self._textures_pay = bool(details.get("calibration", {}).get("texture", True))
        self.compute: Compute | None = None
        self._limits = Limits()
        self._model = place(model, self._device)
        place(self._model.coarse, self._device, DTYPES[self.dtype])
        place(self._model.patch_dit, self._device, DTYPES[self.dtype])

    @classmethod
    def from_pretrained(
        cls,
        model: str | None = None,
        *,
        weights: Path | str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        may_download: bool = True,
        progress: DownloadProgress | None = None,
    ) -> Upscaler:
        """Load a model by name, or from a weights file.

        Args:
            model: name of bundled weights; None for the default of the device.
            weights: a weights file; excludes `model`.
            device: auto, cpu, cuda, cuda:n or mps.
            dtype: auto, fp32, fp16 or bf16.
            may_download: whether weights that are not on this machine may be downloaded.
            progress: told how far a download is.

        Raises:
            UsageError: if a name is unknown, both names are given, or the device is not there.
            PatchScalerError: if the weights file cannot be had or used.
        """
        refuse_both(model, weights)
        choose_dtype(dtype, choose_device(device))  # refuse these before reading the file
        if weights is not None:
            path = Path(weights)
        else:
            path = find_weights(model or DEFAULT_MODEL, may_download=may_download, progress=progress)
        network, details = load_weights(path)
        return cls(network, details, device, dtype)

    @property
    def network(self) -> PatchScalerModel:
        """The model itself, on its device, for tools that use its parts."""
        return self._model

    def use_textures(self, path: Path | str) -> None:
        """Take textures from a memory file from now on, in place of those that came with the weights.

        Raises:
            PatchScalerError: if the file is not there, is no texture memory, or was made with other weights.
        """
        stored = load_memory(Path(path), self._model)
        memory = TextureMemory(self._model.config.texture, len(stored.keys))
        memory.load_state_dict({"keys": stored.keys, "values": stored.values})
        self._model.memory = place(memory, self._device)
        self._textures_pay = True
        self.texture_pictures = None if stored.pictures is None else stored.pictures.permute(0, 2, 3, 1).numpy()

    def prompted(self, settings: UpscaleSettings) -> bool:
        """Whether patches get a texture prompt."""
        return self._textures_pay if settings.texture is None else settings.texture

    def sampling(self, settings: UpscaleSettings) -> Preset:
        """The groups and the fidelity that the settings come to with these weights.

        Raises:
            UsageError: if the weights have no such preset, or fewer groups.
        """
        name = settings.preset or DEFAULT_PRESET
        if name not in self.presets:
            raise UsageError(
                f"These weights ({self.model_name}) were calibrated without presets, so there is no --preset {name}; "
                "leave it out, or choose by --steps, --groups and --fidelity."
            )
        preset = self.presets[name]
        fidelity = preset.fidelity if settings.fidelity is None else settings.fidelity
        return Preset(preset.ladder.select(settings.groups, settings.steps), fidelity)

    def plan(self, width: int, height: int, settings: UpscaleSettings) -> UpscalePlan:
        """What upscaling a picture of that size would mean. Nothing is computed.

        Raises:
            UsageError: if the settings do not fit the size or the weights.
            PatchScalerError: if the disk has no room for a picture that is too large for memory.
        """
        out_width, out_height = settings.output_size(width, height)
        steps = self.sampling(settings).ladder.groups[-1].steps
        config, tiles, patches = self._model.config.coarse, 0, 0
        sizes = pass_sizes(height, width, out_height, out_width)
        canvases = [canvas_bytes(*each) for each in _canvases(sizes, np.dtype(np.uint8))]
        check_room(canvases)
        for rows, columns in [(height, width), *sizes[:-1]]:
            grid = patch_grid(self._model, rows, columns, settings.wrap)
            tiles += tile_count(grid.extent, settings.tile)
            patches += grid.rows * grid.columns
        kept = width * height * 3 + sum(size for size in canvases if size < MAPPED_BYTES)
        side = largest_tile(settings.tile)
        tile = (min(side, max(width, height)) + 2 * config.halo) ** 2 * config.channels * 4 * 4
        band = band_bytes(self._model, grid, side, settings)
        sampled, pixels = 0 if settings.coarse_only else patches, grid.patch_pixels * config.scale**2
        batch = min(self.batch_size(settings, pixels), sampled) * patch_bytes(self._model.config.patch_dit, pixels)
        memory = LIBRARY_BYTES + kept + max(band + max(tile, batch), out_width * out_height * WRITING_BYTES)
        return UpscalePlan(out_width, out_height, len(sizes), tiles, patches, sampled * steps, memory)

    def bands(
        self, section: Section, settings: UpscaleSettings, progress: Progress, clock: StageClock
    ) -> Iterator[Band]:
        """What the networks make of a section of a picture, computed here, one band whenever it is asked for."""
        return self._maker(section, settings, progress, clock).bands()

    def bands_together(
        self, sections: Sequence[Section], settings: UpscaleSettings, progress: Progress, clock: StageClock
    ) -> list[Band]:
        """What the networks make of small pictures, whose patches share batches; each must be one band."""
        makers = [self._maker(section, settings, progress, clock) for section in sections]
        return bands_together(makers, progress, clock)

    def _maker(self, section: Section, settings: UpscaleSettings, progress: Progress, clock: StageClock) -> BandMaker:
        ladder = self.sampling(settings).ladder
        settings = replace(settings, texture=self.prompted(settings))
        return BandMaker(self._model, self._device, section, settings, ladder, progress, clock, self._limits)

    def batch_size(self, settings: UpscaleSettings, pixels: int | None = None) -> int:
        """Patches of `pixels` HR pixels (None: as many as in training) that go through the network together."""
        config = self._model.config.patch_dit
        return batch_size(settings.batch_size, self._device, config, config.patch**2 if pixels is None else pixels)

    def upscale(
        self,
        image: Image | AnyArray,
        settings: UpscaleSettings | None = None,
        *,
        keep_coarse: bool = True,
        progress: Progress | None = None,
        clock: StageClock | None = None,
        compute: Compute | None = None,
    ) -> UpscaleResult:
        """Upscale one picture. Its rows stream through: memory holds the input, the output and a band of rows.

        Args:
            image: a Pillow image (taken as 8-bit RGB) or an array [H, W, 3] or [H, W], uint8, uint16 or float in 0..1.
            settings: see UpscaleSettings; None for the defaults.
            keep_coarse: give the coarse image too; without it a large picture takes half the memory.
            progress: told how far the work is.
            clock: measures the stages; None for wall-clock seconds. What it has spent becomes the result's `seconds`.
            compute: who computes the bands, if it is neither `self.compute` nor this process.

        Returns:
            The picture in the depth that came in, with how it came about. It depends on the image, the settings other
            than `tile` and `batch_size`, and the weights: in fp32, tiles, batches and devices change it by rounding
            only (at most 1/255).

        Raises:
            UsageError: if the image is no picture, or the settings do not fit it or the weights.
            PatchScalerError: if the disk has no room for a picture that is too large for memory.
        """
        settings, progress, clock = settings or UpscaleSettings(), progress or NoProgress(), clock or StageClock()
        picture = as_array(image)
        dtype, (height, width) = picture.dtype, picture.shape[:2]
        out_width, out_height = settings.output_size(width, height)
        sampling = self.sampling(settings)
        ladder, fidelity = sampling.ladder, sampling.fidelity
        sizes, passes = pass_sizes(height, width, out_height, out_width), []
        canvases = _canvases(sizes, dtype)
        check_room(canvas_bytes(*each) for each in canvases + canvases[-1:] * keep_coarse)
        coarse, computed = None, compute or self.compute or self.bands
        for number, (size, depth) in enumerate(canvases):
            section = whole_picture(self._model, picture, settings.wrap, settings.seed + number)
            one = NetworkPass(section.grid, self._model.config.coarse.scale, fidelity, clock)
            source = (picture.shape[0] * 4, picture.shape[1] * 4)
            refined = Canvas(source, size, depth, one.margin)
            coarse = Canvas(source, size, depth, one.margin) if number == len(sizes) - 1 and keep_coarse else None
            for strip in one.strips(computed(section, settings, progress, clock)):
                with clock.stage("resize"):
                    refined.add(strip.refined)
                    if coarse is not None:
                        coarse.add(strip.coarse)
            passes.append(one)
            picture = refined.pixels
        return _result(self, passes, ladder, picture, coarse, settings.coarse_only, clock)


def _canvases(sizes: list[tuple[int, int]], dtype: np.dtype[Any]) -> list[tuple[tuple[int, int], np.dtype[Any]]]:
    """Size and depth of what each pass gives: 16 bits between passes, finer than any file of 8."""
    return [*((size, np.dtype(np.uint16)) for size in sizes[:-1]), (sizes[-1], dtype)]


def _result(
    upscaler: Upscaler, passes: list[NetworkPass], ladder: GroupLadder, pixels: AnyArray, coarse: Canvas | None,
    coarse_only: bool, clock: StageClock,
) -> UpscaleResult:  # fmt: skip
    """Gather what the passes did."""
    counts = np.sum([np.bincount(one.patch_groups.ravel(), minlength=len(ladder.groups)) for one in passes], axis=0)
    reports = [
        GroupReport(group.sigma, group.steps, int(count)) for group, count in zip(ladder.groups, counts, strict=True)
    ]
    return UpscaleResult(
        pixels=pixels,
        kept_coarse=None if coarse is None else coarse.pixels,
        confidence=passes[0].confidence,
        grid=passes[0].grid,
        patch_groups=passes[0].patch_groups,
        groups=() if coarse_only else tuple(reports),
        patches=sum(one.patch_groups.size for one in passes),
        network_evaluations=sum(one.network_evaluations for one in passes),
        seconds=dict(clock.spent),
        device=upscaler.device,
        dtype=upscaler.dtype,
        warnings=tuple(sentence for one in passes for sentence in one.warnings),
    )
