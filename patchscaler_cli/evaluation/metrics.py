"""How near a picture is to the truth: PSNR-Y, SSIM-Y and LPIPS, as the field reports them for x4."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError

BORDER = 4
"""Pixels cut off at every side before PSNR and SSIM, as is usual for x4."""

Pixels = npt.NDArray[np.uint8]


def luma(rgb: Pixels) -> npt.NDArray[np.float64]:
    """Y of BT.601 in 16..235, [H, W], not rounded, of RGB [H, W, 3]."""
    weights = np.array([65.481, 128.553, 24.966])
    y: npt.NDArray[np.float64] = rgb.astype(np.float64) @ weights / 255 + 16
    return y


def inner_luma(rgb: Pixels) -> npt.NDArray[np.float64]:
    """Y as `luma` gives it, without the border: [H - 8, W - 8]."""
    return luma(rgb)[BORDER:-BORDER, BORDER:-BORDER]


def psnr_y(truth: Pixels, picture: Pixels) -> float:
    """Peak signal-to-noise ratio in dB on Y, with a peak of 255; infinite for equal pictures [H, W, 3]."""
    error = float(np.mean((inner_luma(truth) - inner_luma(picture)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def ssim_y(truth: Pixels, picture: Pixels) -> float:
    """Structural similarity on Y (Wang et al. 2004: Gaussian window of sigma 1.5) by scikit-image."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            inner_luma(truth), inner_luma(picture), data_range=255,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
    )  # fmt: skip


def spearman(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Rank correlation of two samples [N], -1 to 1."""
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


class Lpips:
    """LPIPS 0.1 on AlexNet (Zhang et al. 2018), with weights from a safetensors file.

    The file holds `conv1.weight` … `conv5.bias` and the linear heads `lin0` … `lin4`.
    """

    def __init__(self, weights: Path) -> None:
        """Read the weights.

        Raises:
            PatchScalerError: if the file cannot be read or lacks a tensor.
        """
        try:
            self._weights = load_file(weights)
        except (OSError, SafetensorError) as error:
            raise PatchScalerError(f"{weights}: cannot read LPIPS's weights ({error}).") from error
        wanted = [f"conv{i}.{part}" for i in range(1, 6) for part in ("weight", "bias")] + [f"lin{i}" for i in range(5)]
        missing = [name for name in wanted if name not in self._weights]
        if missing:
            raise PatchScalerError(f"{weights}: these are not LPIPS's AlexNet weights; {missing[0]!r} is missing.")

    def __call__(self, truth: Pixels, picture: Pixels) -> float:
        """The distance of two RGB pictures [H, W, 3], at least 32x32 pixels; 0 = equal."""
        return sum(float(layer.mean()) for layer in self.maps(self.features(truth), picture))

    @torch.inference_mode()
    def features(self, picture: Pixels) -> list[Tensor]:
        """The five layers' unit features [C, h, w] of a picture [H, W, 3]."""
        pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float() / 127.5 - 1
        return [layer[0] for layer in self._unit_features(pixels)]

    def distance(self, truth: Tensor, pictures: Tensor) -> Tensor:
        """The mean distance of batches of pictures [B, 3, H, W] in [-1, 1], float32, a scalar with gradients: to ask where it
        would fall, never to train by."""
        pairs = zip(self._unit_features(truth), self._unit_features(pictures), strict=True)
        maps = [
            ((one - other).square() * self._weights[f"lin{i}"].view(-1, 1, 1)).sum(1)
            for i, (one, other) in enumerate(pairs)
        ]
        return torch.stack([layer.mean() for layer in maps]).sum()

    @torch.inference_mode()
    def maps(self, truth: list[Tensor], picture: Pixels) -> list[npt.NDArray[np.float32]]:
        """Where a picture [H, W, 3] differs from one whose `features` are given: five maps [h, w], whose means add up to
        the distance."""
        pairs = zip(truth, self.features(picture), strict=True)
        return [
            ((one - other).square() * self._weights[f"lin{i}"].view(-1, 1, 1)).sum(0).numpy()
            for i, (one, other) in enumerate(pairs)
        ]

    def _unit_features(self, pixels: Tensor) -> list[Tensor]:
        mean = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
        deviation = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
        layers = self._features((pixels - mean) / deviation)
        return [layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10) for layer in layers]

    def _features(self, x: Tensor) -> list[Tensor]:
        layers = []
        plan = ((4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False))  # stride, padding, pool before
        for number, (stride, padding, pool) in enumerate(plan, 1):
            if pool:
                x = F.max_pool2d(x, 3, 2)
            weight, bias = self._weights[f"conv{number}.weight"], self._weights[f"conv{number}.bias"]
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            layers.append(x)
        return layers


@lru_cache(maxsize=2)
def load_lpips(weights: Path) -> Lpips:
    """LPIPS with the weights of a file, read once."""
    return Lpips(weights)
