"""LR images from HR images on the fly, in the spirit of BSRGAN (Zhang et al. 2021) and Real-ESRGAN (Wang et al. 2021).

Three kinds of LR image come in one batch, every sample with settings of its own:

clean   antialiased bicubic and nothing else, so that clean inputs stay clean
light   one round of blur -> resize -> noise -> JPEG: a photo as a camera or a web site leaves it
strong  two such rounds, with ringing, sharpening halos and WebP among them: a photo that has been through many hands

Everything is tensor arithmetic on the batch's own device: nothing is decoded, nothing leaves the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.training.jpeg import jpeg_round_trip
from patchscaler_cli.training.kernels import blur, gaussian_kernels, sharpen, sinc_kernels
from patchscaler_cli.training.webp import webp_round_trip


@dataclass(frozen=True)
class Damage:
    """The ranges that one round of damage is drawn from.

    Attributes:
        blur_sigma: standard deviation of the blur along each axis, in pixels of the round's input.
        sinc_share: share of samples whose blur is a ringing low-pass instead of a Gaussian.
        noise_sigma: standard deviation of Gaussian noise, in 8-bit grey levels.
        grey_noise_share: share of noisy samples whose noise is the same in all three channels.
        poisson_share: share of noisy samples whose noise grows with the square root of the light.
        coded_share: share of samples that are coded.
        webp_share: share of coded samples that are WebP; the others are JPEG.
        quality: of the coder, as its users know it (1 to 100).
    """

    blur_sigma: tuple[float, float] = (0.2, 2.8)
    sinc_share: float = 0.0
    noise_sigma: tuple[float, float] = (0.0, 11.0)
    grey_noise_share: float = 0.4
    poisson_share: float = 0.3
    coded_share: float = 0.9
    webp_share: float = 0.0
    quality: tuple[float, float] = (30.0, 95.0)


@dataclass(frozen=True)
class Degradation:
    """The mix of a batch and the ranges of its kinds.

    Attributes:
        clean_share: share of samples that are only reduced by antialiased bicubic.
        strong_share: share of samples with two rounds of damage; the rest is light.
        two_resizes_share: share of light samples (in chunks) resized in two goes.
        light: the damage of a light sample.
        first: the first round of a strong sample, at its HR size; the picture is then resized by `first_factor`.
        first_factor: size after the first round, relative to HR.
        second: the second round of a strong sample.
        sharpen_share: share of strong samples that are sharpened between the rounds.
        sharpen_amount: how much of the unsharp mask is added.
        last_sinc_share: share of strong samples that end in a ringing low-pass.
    """

    clean_share: float = 0.25
    strong_share: float = 0.25
    two_resizes_share: float = 0.25
    light: Damage = Damage()
    first: Damage = Damage(
        blur_sigma=(0.2, 3.0), sinc_share=0.1, noise_sigma=(0.0, 30.0), webp_share=0.25, quality=(35.0, 95.0)
    )
    first_factor: tuple[float, float] = (0.25, 1.2)
    second: Damage = Damage(
        blur_sigma=(0.2, 1.2),
        sinc_share=0.1,
        noise_sigma=(0.0, 25.0),
        coded_share=0.75,
        webp_share=0.25,
        quality=(35.0, 95.0),
    )
    sharpen_share: float = 0.3
    sharpen_amount: tuple[float, float] = (0.3, 1.5)
    last_sinc_share: float = 0.4


def _uniform(bounds: tuple[float, float], count: int, device: torch.device) -> Tensor:
    return torch.rand(count, device=device) * (bounds[1] - bounds[0]) + bounds[0]


def _chance(share: float, images: Tensor) -> Tensor:
    """For every image of [B, 3, H, W], whether it is among the `share` [B, 1, 1, 1]."""
    return (torch.rand(len(images), device=images.device) < share).view(-1, 1, 1, 1)


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


def _resized(images: Tensor, size: tuple[int, int], factor: tuple[float, float]) -> Tensor:
    """Resize to a size drawn at random, `factor` of the present one in each direction, but never below `size`."""
    drawn = float(torch.rand(())) * (factor[1] - factor[0]) + factor[0]
    height, width = images.shape[-2:]
    return _resize(images, (max(size[0], round(height * drawn)), max(size[1], round(width * drawn))))


def _blur(images: Tensor, damage: Damage) -> Tensor:
    b, device = len(images), images.device
    sigma_x, sigma_y = _uniform(damage.blur_sigma, b, device), _uniform(damage.blur_sigma, b, device)
    sigma_y = torch.where(torch.rand(b, device=device) < 0.4, sigma_x, sigma_y)
    kernels = gaussian_kernels(sigma_x, sigma_y, _uniform((0.0, torch.pi), b, device))
    if damage.sinc_share:
        ringing = sinc_kernels(_uniform((torch.pi / 3, torch.pi), b, device))
        kernels = torch.where(_chance(damage.sinc_share, images)[:, 0], ringing, kernels)
    return blur(images, kernels)


def _add_noise(images: Tensor, damage: Damage) -> Tensor:
    sigma = _uniform(damage.noise_sigma, len(images), images.device).view(-1, 1, 1, 1) / 255
    noise = torch.randn_like(images)
    noise = torch.where(_chance(damage.grey_noise_share, images), noise[:, :1], noise)
    poisson = (2 * images.clamp(0, 1)).sqrt()
    strength = torch.where(_chance(damage.poisson_share, images), poisson, torch.ones_like(images))
    return images + noise * sigma * strength


def _to_8_bits(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round() / 255


def _code(images: Tensor, damage: Damage) -> Tensor:
    images = _to_8_bits(images)
    quality = _uniform(damage.quality, len(images), images.device)
    coded = jpeg_round_trip(images, quality)
    if damage.webp_share:
        coded = torch.where(_chance(damage.webp_share, images), webp_round_trip(images, quality), coded)
    return torch.where(_chance(damage.coded_share, images), coded, images)


def _light(hr: Tensor, size: tuple[int, int], settings: Degradation) -> Tensor:
    images = _blur(hr, settings.light)
    if float(torch.rand(())) < settings.two_resizes_share:
        images = _resized(images, size, (0.35, 1.25))
    return _code(_add_noise(_resize(images, size), settings.light), settings.light)


def _strong(hr: Tensor, size: tuple[int, int], settings: Degradation) -> Tensor:
    device = hr.device
    images = _resized(_blur(hr, settings.first), size, settings.first_factor)
    images = _code(_add_noise(images, settings.first), settings.first)
    amount, sigma = _uniform(settings.sharpen_amount, len(hr), device), _uniform((0.5, 1.5), len(hr), device)
    images = torch.where(_chance(settings.sharpen_share, hr), sharpen(images, amount, sigma), images)
    images = _add_noise(_resize(_blur(images, settings.second), size), settings.second)
    ringing = blur(images, sinc_kernels(_uniform((torch.pi / 2, torch.pi), len(hr), device)))
    images = torch.where(_chance(settings.last_sinc_share, hr), ringing, images)
    return _code(images, settings.second)


def degrade(hr: Tensor, settings: Degradation, scale: int = 4, chunk: int = 4) -> Tensor:
    """Make the LR images of a batch of HR images.

    Args:
        hr: HR images [B, 3, H, W] in [0, 1], H and W multiples of `scale`.
        settings: ranges to draw from. Draws come from torch's global generators.
        scale: reduction.
        chunk: most samples that share their sizes and resize kernels (a resize has one size for the whole tensor).

    Returns:
        LR images [B, 3, H/scale, W/scale] in [0, 1], on the 8-bit grid.
    """
    size = (hr.shape[-2] // scale, hr.shape[-1] // scale)
    lr = hr.new_empty((*hr.shape[:2], *size))
    light_share = 1 - settings.clean_share - settings.strong_share
    shares = torch.tensor([settings.clean_share, max(light_share, 0.0), settings.strong_share], dtype=torch.float32)
    kinds = torch.multinomial(shares, len(hr), replacement=True)
    for kind, make in enumerate((None, _light, _strong)):
        for rows in torch.split(torch.nonzero(kinds == kind)[:, 0].to(hr.device), chunk if make else len(hr)):
            if len(rows):
                lr[rows] = make(hr[rows], size, settings) if make else reduce_clean(hr[rows], size)
    return _to_8_bits(lr)
