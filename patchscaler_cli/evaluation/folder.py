"""Measure one model on a folder of pictures whose truth is known: what training needs to calibrate and to export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.evaluation.examples import SCALE, Example, examples
from patchscaler_cli.evaluation.methods import bicubic
from patchscaler_cli.evaluation.metrics import Pixels, psnr_y, spearman, ssim_y
from patchscaler_cli.pipeline.result import UpscaleResult
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler

Distance = Callable[[Pixels, Pixels], float]
METHODS = ("bicubic", "coarse", "patchscaler")

__all__ = ["Distance", "Example", "Measured", "bicubic", "examples", "measure", "per_patch_errors", "summarise"]


@dataclass(frozen=True)
class Measured:
    """One picture's outcome: figures by method and metric, the result, and the error of its coarse image per patch."""

    example: Example
    figures: dict[str, dict[str, float]]
    result: UpscaleResult
    qmap: npt.NDArray[np.float64]
    patch_errors: npt.NDArray[np.float64]


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
    """Mean confidence and mean absolute error (in 8-bit levels) of the coarse image over every patch [P]."""
    error = np.abs(result.coarse.astype(np.float64) - hr).mean(2)
    return result.patch_means(result.confidence).ravel(), result.patch_means(error, SCALE).ravel()


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
