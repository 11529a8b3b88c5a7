"""The degradations are what they say: JPEG is JPEG, bicubic is Pillow's, and what comes out is an 8-bit LR image."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from patchscaler_cli.training.degradation import Degradation, degrade, reduce_clean
from patchscaler_cli.training.jpeg import jpeg_round_trip
from patchscaler_cli.training.kernels import blur, gaussian_kernels, sharpen, sinc_kernels
from patchscaler_cli.training.webp import webp_round_trip


@pytest.fixture
def photo(chelsea: Path) -> torch.Tensor:
    pixels = np.asarray(Image.open(chelsea).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_jpeg_loses_what_pillows_jpeg_loses(photo: torch.Tensor, quality: int) -> None:
    original = (photo[0].permute(1, 2, 0).numpy() * 255).round()
    buffer = io.BytesIO()
    Image.fromarray(original.astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    reference = np.asarray(Image.open(buffer)).astype(np.float32)
    ours = jpeg_round_trip(photo, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy() * 255

    assert rms(ours, reference) < 0.5 * rms(original, reference)
    assert abs(rms(ours, original) / rms(reference, original) - 1) < 0.1


@pytest.mark.parametrize("quality", [40, 75, 90])
def test_webp_loses_about_as_much_as_pillows_webp(photo: torch.Tensor, quality: int) -> None:
    original = (photo[0].permute(1, 2, 0).numpy() * 255).round()
    buffer = io.BytesIO()
    Image.fromarray(original.astype(np.uint8)).save(buffer, "WEBP", quality=quality)
    reference = np.asarray(Image.open(buffer).convert("RGB")).astype(np.float32)
    ours = webp_round_trip(photo, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy() * 255
    assert abs(rms(ours, original) / rms(reference, original) - 1) < 0.25


def test_clean_reduction_is_pillows_bicubic(photo: torch.Tensor) -> None:
    pixels = Image.fromarray((photo[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    reference = np.asarray(pixels.resize((40, 32), Image.Resampling.BICUBIC)).astype(np.float32)
    ours = reduce_clean(photo, (32, 40))[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(ours.clip(0, 255) - reference).max() <= 1


def test_kernels_sum_to_one_and_keep_flat_images_flat() -> None:
    kernels = gaussian_kernels(torch.tensor([0.3, 2.0]), torch.tensor([2.5, 0.5]), torch.tensor([0.7, 2.0]))
    assert torch.allclose(kernels.sum((1, 2)), torch.ones(2), atol=1e-5)
    flat = torch.full((2, 3, 24, 24), 0.4)
    assert torch.allclose(blur(flat, kernels), flat, atol=1e-5)


def test_a_sinc_kernel_keeps_flat_images_and_rings_at_an_edge() -> None:
    kernels = sinc_kernels(torch.tensor([1.2]))
    step = torch.zeros(1, 3, 32, 32)
    step[..., 16:] = 0.5
    ringing = blur(step, kernels)
    assert torch.allclose(blur(torch.full((1, 3, 24, 24), 0.4), kernels), torch.tensor(0.4), atol=1e-5)
    assert float(ringing.max()) > 0.51
    assert float(ringing.min()) < -0.01


def test_sharpening_leaves_a_halo_at_an_edge() -> None:
    step = torch.zeros(1, 3, 32, 32)
    step[..., 16:] = 0.5
    assert float(sharpen(step, torch.tensor([1.0]), torch.tensor([1.0])).max()) > 0.55


@pytest.mark.parametrize("strong_share", [0.0, 0.5])
def test_degraded_images_are_a_fourth_as_large_and_on_the_8_bit_grid(photo: torch.Tensor, strong_share: float) -> None:
    lr = degrade(photo.repeat(6, 1, 1, 1), Degradation(clean_share=0.5 - strong_share, strong_share=strong_share))
    assert lr.shape == (6, 3, 32, 40)
    assert torch.allclose(lr * 255, (lr * 255).round(), atol=1e-4)
    assert float(lr.min()) >= 0
    assert float(lr.max()) <= 1


def test_samples_of_one_batch_are_degraded_differently(photo: torch.Tensor) -> None:
    lr = degrade(photo.repeat(2, 1, 1, 1), Degradation(clean_share=0.0))
    assert not torch.equal(lr[0], lr[1])


def test_a_share_of_one_leaves_everything_clean(photo: torch.Tensor) -> None:
    lr = degrade(photo, Degradation(clean_share=1.0, strong_share=0.0))
    assert float((lr - reduce_clean(photo, (32, 40)).clamp(0, 1)).abs().max()) <= 0.5 / 255 + 1e-6
