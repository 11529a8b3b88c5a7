"""Measure the upscaler on a folder of pictures whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.metrics import Pixels, psnr_y, spearman, ssim_y
from patchscaler_cli.pipeline.result import UpscaleResult
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler

Distance = Callable[[Pixels, Pixels], float]
METHODS = ("bicubic", "coarse", "patchscaler")


@dataclass(frozen=True)
class Example:
    """One picture: its file name, the truth [H, W, 3] and the LR picture [H/4, W/4, 3], both uint8 RGB."""

    name: str
    hr: Pixels
    lr: Pixels


def examples(hr_folder: Path, lr_folder: Path, every: int = 1) -> Iterator[Example]:
    """Pairs of pictures with the same file name, in the order of names; every `every`-th of them.

    Raises:
        PatchScalerError: if there is no pair, or an LR picture is no fourth of its HR picture.
    """
    names = sorted(file.name for file in hr_folder.glob("*.png") if (lr_folder / file.name).exists())
    if not names:
        raise PatchScalerError(f"{hr_folder} and {lr_folder} have no PNG file name in common.")
    for name in names[::every]:
        hr, lr = (np.asarray(Image.open(folder / name).convert("RGB")) for folder in (hr_folder, lr_folder))
        if hr.shape[:2] != (lr.shape[0] * 4, lr.shape[1] * 4):
            raise PatchScalerError(f"{lr_folder / name}: its sides are not a fourth of those of {hr_folder / name}.")
        yield Example(name, hr, lr)


@dataclass(frozen=True)
class Measured:
    """One picture's outcome: figures by method and metric, the result, and the error of its coarse image per patch."""

    example: Example
    figures: dict[str, dict[str, float]]
    result: UpscaleResult
    qmap: npt.NDArray[np.float64]
    patch_errors: npt.NDArray[np.float64]


def bicubic(lr: Pixels) -> Pixels:
    """The picture enlarged four times by Pillow's bicubic filter."""
    size = (lr.shape[1] * 4, lr.shape[0] * 4)
    return np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.BICUBIC))


def measure(
    upscaler: Upscaler, example: Example, settings: UpscaleSettings, lpips: Distance | None, ssim: bool = True
) -> Measured:
    """Upscale one picture and compare bicubic, the coarse image and the result with the truth."""
    result = upscaler.upscale(example.lr, settings)
    pictures = {"bicubic": bicubic(example.lr), "coarse": result.coarse, "patchscaler": result.pixels}
    figures: dict[str, dict[str, float]] = {}
    for method, picture in pictures.items():
        eight_bit = picture.astype(np.uint8)
        figures[method] = {"psnr_y": psnr_y(example.hr, eight_bit)}
        if ssim:
            figures[method]["ssim_y"] = ssim_y(example.hr, eight_bit)
        if lpips is not None:
            figures[method]["lpips"] = lpips(example.hr, eight_bit)
    qmap, errors = per_patch_errors(result, example.hr)
    return Measured(example, figures, result, qmap, errors)


def per_patch_errors(result: UpscaleResult, hr: Pixels) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean confidence and mean absolute error (in 8-bit levels) of the coarse image over 64x64-pixel patches side by side."""
    side, low = 64, 16
    rows, columns = hr.shape[0] // side, hr.shape[1] // side
    error = np.abs(result.coarse.astype(np.float64) - hr).mean(2)[: rows * side, : columns * side]
    confidence = result.confidence.astype(np.float64)[: rows * low, : columns * low]
    return (
        confidence.reshape(rows, low, columns, low).mean((1, 3)).ravel(),
        error.reshape(rows, side, columns, side).mean((1, 3)).ravel(),
    )


def summarise(measured: list[Measured]) -> dict[str, Any]:
    """Means over all pictures: figures by method, the Qmap's rank correlation with the error, evaluations and seconds."""
    summary: dict[str, Any] = {
        method: {
            metric: round(float(np.mean([one.figures[method][metric] for one in measured])), 4)
            for metric in measured[0].figures[method]
        }
        for method in METHODS
    }
    qmap = np.concatenate([one.qmap for one in measured])
    errors = np.concatenate([one.patch_errors for one in measured])
    summary["pictures"] = len(measured)
    summary["qmap_spearman"] = round(-spearman(qmap, errors), 4)
    summary["network_evaluations"] = round(float(np.mean([one.result.network_evaluations for one in measured])), 2)
    summary["patches"] = round(float(np.mean([one.result.patches for one in measured])), 2)
    summary["seconds"] = round(float(np.mean([sum(one.result.seconds.values()) for one in measured])), 3)
    return summary


def contact_sheet(measured: list[Measured], crop: int = 256) -> Image.Image:
    """LR (enlarged by repetition), bicubic, coarse, PatchScaler and truth side by side, a row a picture, at 100 %."""
    rows = []
    crop = min(crop, *(side for one in measured for side in one.example.hr.shape[:2]))
    for one in measured:
        hr, lr = one.example.hr, one.example.lr
        top, left = (hr.shape[0] - crop) // 2, (hr.shape[1] - crop) // 2
        repeated = lr.repeat(4, 0).repeat(4, 1)
        pictures = (repeated, bicubic(lr), one.result.coarse, one.result.pixels, hr)
        rows.append(np.concatenate([p[top : top + crop, left : left + crop].astype(np.uint8) for p in pictures], 1))
    return Image.fromarray(np.concatenate(rows))
