"""LR images from HR images on the fly, in the spirit of BSRGAN (Zhang et al. 2021) and Real-ESRGAN (Wang et al. 2021).

blur -> resize (sometimes in two rounds, by a random kernel) -> noise -> JPEG -> 8 bits, each sample with its own
settings; a share stays a clean bicubic reduction, so that clean inputs stay clean. Everything is tensor arithmetic on
the batch's own device: nothing is decoded, nothing leaves the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.training.jpeg import jpeg_round_trip

KERNEL_RADIUS = 7
"""In HR pixels: three standard deviations of a typical blur; the strongest are cut at two and a third."""


@dataclass(frozen=True)
class Degradation:
    """The ranges that a sample's settings are drawn from.

    Attributes:
        clean_share: share of samples that are only reduced by antialiased bicubic.
        blur_sigma: standard deviation of the blur along each axis, in HR pixels.
        two_round_share: share of chunks resized in two rounds.
        noise_sigma: standard deviation of Gaussian noise, in 8-bit grey levels.
        grey_noise_share: share of noisy samples whose noise is the same in all three channels.
        poisson_share: share of noisy samples whose noise grows with the square root of the light.
        jpeg_share: share of degraded samples that are JPEG-coded.
        jpeg_quality: IJG quality.
    """

    clean_share: float = 0.2
    blur_sigma: tuple[float, float] = (0.2, 2.8)
    two_round_share: float = 0.25
    noise_sigma: tuple[float, float] = (0.0, 11.0)
    grey_noise_share: float = 0.4
    poisson_share: float = 0.3
    jpeg_share: float = 0.9
    jpeg_quality: tuple[float, float] = (30.0, 95.0)


def _uniform(bounds: tuple[float, float], count: int, device: torch.device) -> Tensor:
    return torch.rand(count, device=device) * (bounds[1] - bounds[0]) + bounds[0]


def _chance(share: float, count: int, device: torch.device) -> Tensor:
    return torch.rand(count, device=device) < share


def gaussian_kernels(sigma_x: Tensor, sigma_y: Tensor, angle: Tensor) -> Tensor:
    """Rotated anisotropic Gaussian kernels [B, k, k] that sum to one, from deviations [B] (pixels) and angles [B] (radians)."""
    offsets = torch.arange(-KERNEL_RADIUS, KERNEL_RADIUS + 1.0, device=sigma_x.device)
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    along, across = cos * x + sin * y, cos * y - sin * x
    exponent = (along / sigma_x.view(-1, 1, 1)) ** 2 + (across / sigma_y.view(-1, 1, 1)) ** 2
    kernels = torch.exp(-exponent / 2)
    return kernels / kernels.sum((1, 2), keepdim=True)


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every image [B, 3, H, W] with its own kernel [B, k, k]; the border is reflected."""
    b, c, h, w = images.shape
    padded = F.pad(images, (KERNEL_RADIUS,) * 4, mode="reflect")
    weight = kernels.repeat_interleave(c, 0)[:, None]  # (B*3, 1, k, k)
    return F.conv2d(padded.view(1, b * c, *padded.shape[-2:]), weight, groups=b * c).view(b, c, h, w)


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize by a kernel drawn at random: area, bilinear (aliasing or not), antialiased bicubic."""
    choice = int(torch.randint(4, ()))
    if choice == 0:
        return F.interpolate(images, size=size, mode="area")
    if choice == 3:
        return reduce_clean(images, size)
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=choice == 1)


def reduce_clean(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bicubic (a = -0.5), as Pillow and Matlab reduce."""
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)


def _reduce(images: Tensor, size: tuple[int, int], two_round_share: float) -> Tensor:
    if float(torch.rand(())) < two_round_share:
        factor = float(torch.rand(())) * 0.9 + 0.35  # relative to HR: from a little above LR to a little above HR
        height, width = images.shape[-2:]
        images = _resize(images, (max(size[0], round(height * factor)), max(size[1], round(width * factor))))
    return _resize(images, size)


def _add_noise(images: Tensor, settings: Degradation) -> Tensor:
    b, device = images.shape[0], images.device
    sigma = _uniform(settings.noise_sigma, b, device).view(-1, 1, 1, 1) / 255
    noise = torch.randn_like(images)
    grey = _chance(settings.grey_noise_share, b, device).view(-1, 1, 1, 1)
    noise = torch.where(grey, noise[:, :1], noise)
    poisson = _chance(settings.poisson_share, b, device).view(-1, 1, 1, 1)
    strength = torch.where(poisson, (2 * images.clamp(0, 1)).sqrt(), torch.ones_like(images))
    return images + noise * sigma * strength


def degrade(hr: Tensor, settings: Degradation, scale: int = 4, chunk: int = 4) -> Tensor:
    """Make the LR images of a batch of HR images.

    Args:
        hr: HR images [B, 3, H, W] in [0, 1], H and W multiples of `scale`.
        settings: ranges to draw from. Draws come from torch's global generators.
        scale: reduction.
        chunk: samples that share their resize kernel (a resize has one size for the whole tensor).

    Returns:
        LR images [B, 3, H/scale, W/scale] in [0, 1], on the 8-bit grid.
    """
    b, device = hr.shape[0], hr.device
    size = (hr.shape[-2] // scale, hr.shape[-1] // scale)
    sigma_x = _uniform(settings.blur_sigma, b, device)
    sigma_y = torch.where(_chance(0.4, b, device), sigma_x, _uniform(settings.blur_sigma, b, device))
    blurred = blur(hr, gaussian_kernels(sigma_x, sigma_y, _uniform((0.0, torch.pi), b, device)))
    lr = torch.cat([_reduce(part, size, settings.two_round_share) for part in torch.split(blurred, chunk)])
    lr = _add_noise(lr, settings).clamp(0, 1)
    lr = (lr * 255).round() / 255
    coded = jpeg_round_trip(lr, _uniform(settings.jpeg_quality, b, device))
    lr = torch.where(_chance(settings.jpeg_share, b, device).view(-1, 1, 1, 1), coded, lr)
    clean = _chance(settings.clean_share, b, device).view(-1, 1, 1, 1)
    lr = torch.where(clean, reduce_clean(hr, size), lr)
    return (lr.clamp(0, 1) * 255).round() / 255
