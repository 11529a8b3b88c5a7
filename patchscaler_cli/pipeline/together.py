"""Small pictures upscaled together: their patches share batches, fewer and fuller ones than each would need alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patchscaler_cli.pipeline.bands import Band, patch_grid, rows_per_band, whole_picture
from patchscaler_cli.pipeline.pixels import AnyArray, as_array
from patchscaler_cli.pipeline.result import UpscaleResult
from patchscaler_cli.pipeline.settings import Progress, UpscaleSettings, pass_sizes
from patchscaler_cli.pipeline.stage_clock import StageClock

if TYPE_CHECKING:
    from PIL.Image import Image

    from patchscaler_cli.pipeline.upscaler import Compute, Upscaler


def patches_to_share(upscaler: Upscaler, width: int, height: int, settings: UpscaleSettings) -> int:
    """How many patches a picture of that size can give to common batches.

    A picture that fills a batch of its own, has no diffusion or takes two passes gives none. Nor does any in fp32 on a CPU:
    nothing is won there, and the last bits of a patch would depend on its company.

    Raises:
        UsageError: if the settings do not fit the size.
    """
    out_width, out_height = settings.output_size(width, height)
    passes = len(pass_sizes(height, width, out_height, out_width))
    if settings.coarse_only or upscaler.compute is not None or passes > 1:
        return 0
    if (upscaler.device, upscaler.dtype) == ("cpu", "fp32"):
        return 0
    grid = patch_grid(upscaler.network, height, width, settings.wrap)
    patches = grid.rows * grid.columns
    one_band = grid.rows <= rows_per_band(grid, upscaler.network.config.coarse.scale)
    batch = upscaler.batch_size(settings, grid.patch_pixels * upscaler.network.config.coarse.scale**2)
    return patches if patches <= batch and one_band else 0


def upscale_together(
    upscaler: Upscaler, images: Sequence[Image | AnyArray], settings: UpscaleSettings, progress: Progress
) -> list[UpscaleResult]:
    """Upscale pictures that have `patches_to_share`.

    Args:
        upscaler: the model.
        images: as `Upscaler.upscale` takes them.
        settings: the same for all.
        progress: told how far all of them are together.

    Returns:
        What `Upscaler.upscale` gives for each, without its coarse image. `seconds` holds a picture's part, by its number
        of patches, of the time that they took together.

    Raises:
        What `Upscaler.upscale` raises for any of them.
    """
    clock, network = StageClock(), upscaler.network
    pictures = [as_array(image) for image in images]
    sections = [whole_picture(network, picture, settings.wrap, settings.seed) for picture in pictures]
    bands = upscaler.bands_together(sections, settings, progress, clock)
    patches, results = sum(band.patch_groups.size for band in bands), []
    for picture, band in zip(pictures, bands, strict=True):
        own = StageClock()
        own.spent = {stage: spent * band.patch_groups.size / patches for stage, spent in clock.spent.items()}
        results.append(upscaler.upscale(picture, settings, keep_coarse=False, clock=own, compute=_computed(band)))
    return results


def _computed(band: Band) -> Compute:
    """Gives the one band of a picture that is there already."""
    return lambda section, settings, progress, clock: iter((band,))
