"""What is compared: every way to enlarge an LR picture four times, each as a name and a function."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.examples import SCALE, Example, ExampleFiles, pictures_by_stem, read_rgb
from patchscaler_cli.evaluation.metrics import Pixels
from patchscaler_cli.pipeline.result import UpscaleResult
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler


@dataclass(frozen=True)
class Enlarged:
    """What a method made of one LR picture.

    Attributes:
        pixels: [4H, 4W, 3], uint8 RGB.
        seconds: wall-clock time; None if somebody else made the picture.
        network_evaluations: of the Patch-DiT; None if somebody else made the picture.
        result: how it came about, if the diffusion stage was used.
    """

    pixels: Pixels
    seconds: float | None
    network_evaluations: int | None
    result: UpscaleResult | None = None


@dataclass(frozen=True)
class Method:
    """A way to enlarge, by the name that the tables show."""

    name: str
    enlarge: Callable[[Example], Enlarged]


def bicubic(lr: Pixels) -> Pixels:
    """The picture enlarged four times by Pillow's bicubic filter."""
    return _resized(lr, Image.Resampling.BICUBIC)


def lanczos(lr: Pixels) -> Pixels:
    """The picture enlarged four times by Pillow's Lanczos filter (a = 3)."""
    return _resized(lr, Image.Resampling.LANCZOS)


def _resized(lr: Pixels, kernel: Image.Resampling) -> Pixels:
    size = (lr.shape[1] * SCALE, lr.shape[0] * SCALE)
    return np.asarray(Image.fromarray(lr).resize(size, kernel))


def interpolation(name: str) -> Method:
    """Pillow's `bicubic` or `lanczos`."""
    kernel = {"bicubic": bicubic, "lanczos": lanczos}[name]

    def enlarge(example: Example) -> Enlarged:
        begin = time.perf_counter()
        pixels = kernel(example.lr)
        return Enlarged(pixels, time.perf_counter() - begin, 0)

    return Method(name, enlarge)


def upscaling(name: str, upscaler: Upscaler, settings: UpscaleSettings) -> Method:
    """PatchScaler with given settings; with `coarse_only` the coarse image."""

    def enlarge(example: Example) -> Enlarged:
        begin = time.perf_counter()
        result = upscaler.upscale(example.lr, settings, keep_coarse=not settings.coarse_only)
        seconds = time.perf_counter() - begin
        pixels = result.pixels.astype(np.uint8)  # uint8 already: it came in as that
        return Enlarged(pixels, seconds, result.network_evaluations, None if settings.coarse_only else result)

    return Method(name, enlarge)


def folder_of_others(name: str, folder: Path, wanted: list[ExampleFiles]) -> Method:
    """Pictures that another program made of the same LR pictures.

    A file belongs to the picture whose name it has, or whose name it alone begins with, followed by _ or - (programs
    write 00_out.png for 00.png).

    Raises:
        PatchScalerError: if a picture's file is missing.
    """
    found = pictures_by_stem(folder)
    files = {files.hr.stem: _file_of(files.hr.stem, found, folder) for files in wanted}

    def enlarge(example: Example) -> Enlarged:
        path = files[example.stem]
        pixels = read_rgb(path)
        height, width = example.hr.shape[:2]
        if pixels.shape[:2] != (height, width):
            raise PatchScalerError(
                f"{path} has {pixels.shape[1]}x{pixels.shape[0]} pixels, but 4 times the LR picture is {width}x{height}; "
                "compare pictures that were enlarged by 4."
            )
        return Enlarged(pixels, None, None)

    return Method(name, enlarge)


def _file_of(stem: str, found: dict[str, Path], folder: Path) -> Path:
    if stem in found:
        return found[stem]
    marked = [file for other, file in found.items() if other.startswith((f"{stem}_", f"{stem}-"))]
    if len(marked) != 1:
        many = "several" if marked else "no"
        raise PatchScalerError(
            f"{folder} has {many} pictures for {stem}; it must hold one of that name for every picture that is evaluated."
        )
    return marked[0]


def warm_up(upscaler: Upscaler) -> None:
    """Enlarge a small grey picture, so that no method pays for what libraries do once in their first run."""
    upscaler.upscale(np.full((16, 16, 3), 128, np.uint8))
