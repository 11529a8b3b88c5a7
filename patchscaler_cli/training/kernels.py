"""Blurs, ringing and sharpening: what lenses, resizers and other people's programs do to a picture before we see it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

KERNEL_RADIUS = 7
"""In pixels: three standard deviations of a typical blur; the strongest are cut at two and a third."""


def _offsets(device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns of a kernel's taps relative to its middle [k, k] each."""
    span = torch.arange(-KERNEL_RADIUS, KERNEL_RADIUS + 1.0, device=device)
    y, x = torch.meshgrid(span, span, indexing="ij")
    return y, x


def gaussian_kernels(sigma_x: Tensor, sigma_y: Tensor, angle: Tensor) -> Tensor:
    """Rotated anisotropic Gaussian kernels [B, k, k] that sum to one, from deviations [B] (pixels) and angles [B] (radians)."""
    y, x = _offsets(sigma_x.device)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    along, across = cos * x + sin * y, cos * y - sin * x
    exponent = (along / sigma_x.view(-1, 1, 1)) ** 2 + (across / sigma_y.view(-1, 1, 1)) ** 2
    kernels = torch.exp(-exponent / 2)
    return kernels / kernels.sum((1, 2), keepdim=True)


def sinc_kernels(cutoff: Tensor) -> Tensor:
    """Circular low-pass kernels [B, k, k] that sum to one and ring at edges (Real-ESRGAN, eq. 6).

    Args:
        cutoff: angular frequency that ends the pass band [B], in radians a pixel; pi is the picture's finest detail.
    """
    y, x = _offsets(cutoff.device)
    radius = (x.square() + y.square()).sqrt().clamp(min=1e-6)
    omega = cutoff.view(-1, 1, 1)
    kernels: Tensor = omega * torch.special.bessel_j1(omega * radius) / (2 * torch.pi * radius)  # (B, k, k)
    kernels[:, KERNEL_RADIUS, KERNEL_RADIUS] = cutoff.square() / (4 * torch.pi)  # the limit at radius zero
    return kernels / kernels.sum((1, 2), keepdim=True)


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every image [B, 3, H, W] with its own kernel [B, k, k]; the border is reflected."""
    b, c, h, w = images.shape
    padded = F.pad(images, (KERNEL_RADIUS,) * 4, mode="reflect")
    weight = kernels.repeat_interleave(c, 0)[:, None]  # (B*3, 1, k, k)
    return F.conv2d(padded.view(1, b * c, *padded.shape[-2:]), weight, groups=b * c).view(b, c, h, w)


def sharpen(images: Tensor, amount: Tensor, sigma: Tensor) -> Tensor:
    """Unsharp masking, which leaves halos: every image [B, 3, H, W] plus `amount` [B] of what a Gaussian of `sigma` [B] takes away."""
    soft = blur(images, gaussian_kernels(sigma, sigma, torch.zeros_like(sigma)))
    return images + amount.view(-1, 1, 1, 1) * (images - soft)
