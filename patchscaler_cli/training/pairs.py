"""Pairs (HR patch, coarse patch) for the texture and diffusion phases.

The coarse images of all photos, degraded a few times each, are made once and kept as uint8: no later step degrades
anything or runs the coarse model. Patches are drawn by how wrong the coarse image is, the worst about three
times as often as the best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.coarse import CoarseModel
from patchscaler_cli.models.dihedral import dihedral, inverse
from patchscaler_cli.models.patch_dit import PatchDiTConfig, packed, repeated
from patchscaler_cli.sampling.bound import expected_error
from patchscaler_cli.training.degradation import Degradation, degrade
from patchscaler_cli.training.photos import Photos
from patchscaler_cli.training.run import autocast

FLOOR = 10.0
"""Added to the error of every block, in 8-bit levels, about as much as the mean error: what is looked at and measured is the
whole picture. With a floor of 2, minutes of training made hard patches better and all others worse; that this one does not is
not shown."""

SURROUNDINGS = 16
"""LR pixels around a patch that the coarse model is given for its features. It reaches farther, but hardly looks there."""

BLOCK = 16
"""Side in HR pixels of the blocks whose error decides where patches are drawn."""


@dataclass(frozen=True)
class PatchBatch:
    """A batch of training patches.

    Attributes:
        hr: ground truth x [B, 3, S, S] in [-1, 1], float32.
        coarse: coarse patches y_0 [B, 3, S, S] in [-1, 1], float32.
        lr: the same part of the LR pictures, every pixel repeated to HR size [B, 3, S, S] in [-1, 1], float32.
        neighbours: what lies near in the same HR photograph, but apart from the patch [B, N, 3, S, S] in [-1, 1], float32.
        sources: the photograph of each [B], int64.
        expected: how wrong the coarse patches are expected to be [B, 1, S, S] on [-1, 1], float32, see `expected_error`.
        features: the coarse model's of the same part, as `packed` [B, C / 16, S, S], float32; None where they are not shown.
    """

    hr: Tensor
    coarse: Tensor
    lr: Tensor
    neighbours: Tensor
    sources: Tensor
    expected: Tensor
    features: Tensor | None = None

    def condition(self, config: PatchDiTConfig) -> Tensor:
        """What a denoiser of these sizes is shown of the patches [B, config.condition_channels, S, S]."""
        shown = [self.coarse, self.lr] if config.sees_lr else [self.coarse]
        if config.features:
            assert self.features is not None
            shown.append(self.features)
        return torch.cat(shown, 1)


@dataclass(frozen=True)
class Pairs:
    """HR photos and their coarse images on one device.

    Attributes:
        photos: the HR crops, uint8 [N, 3, H, W].
        coarse: uint8 [V, N, 3, H, W], of V degradations of each.
        lr: the LR pictures that they were made from, uint8 [V, N, 3, H/4, W/4].
        confidence: the confidence maps, float16 [V, N, 1, H/4, W/4].
        weights: probability of drawing a patch at each block [V * N, H/16 * W/16], float32; a row sums to one.
        shown: the coarse model whose features are drawn, too; None where the denoiser is not shown any.
    """

    photos: Photos
    coarse: Tensor
    lr: Tensor
    confidence: Tensor
    weights: Tensor
    shown: CoarseModel | None = None

    @classmethod
    def of(
        cls, photos: Photos, coarse: Tensor, lr: Tensor, confidence: Tensor, shown: CoarseModel | None = None
    ) -> Pairs:
        """Pairs of photos and what was made of them, with the weights that go with them."""
        return cls(photos, coarse, lr, confidence, draw_weights(photos.images, coarse), shown)

    def pictures_only(self) -> Pairs:
        """The same pairs, drawn without the coarse model's features, which take most of the time to draw."""
        return replace(self, shown=None)

    def draw(self, count: int, size: int, align: int = 4) -> PatchBatch:
        """Draw patches of `size` pixels with corners on multiples of `align`, flipped and turned at random.

        Args:
            count: how many.
            size: side of a patch in HR pixels.
            align: a multiple of the scale, so that a patch covers whole LR pixels.
        """
        variants, n, _, height, width = self.coarse.shape
        photo, variant = self.photos.draw(count), torch.randint(variants, (count,), device=self.weights.device)
        block = torch.multinomial(self.weights[variant * n + photo], 1)[:, 0]
        columns = width // BLOCK
        jitter = torch.randint(0, size // align, (2, count), device=block.device) * align
        top = (block // columns * BLOCK + BLOCK - jitter[0]).clamp(0, height - size)
        left = (block % columns * BLOCK + BLOCK - jitter[1]).clamp(0, width - size)
        hr = _cut(self.photos.images, (photo,), top, left, size)
        coarse = _cut(self.coarse, (variant, photo), top, left, size)
        scale = height // self.lr.shape[-2]
        lr = repeated(_cut(self.lr, (variant, photo), top // scale, left // scale, size // scale), scale)
        near_top, near_left = _aside(top, left, size, height, width)
        neighbour = _cut(self.photos.images, (photo,), near_top, near_left, size)
        patches, turn = torch.stack((hr, coarse, lr, neighbour)).float() / 127.5 - 1, int(torch.randint(8, ()))
        hr, coarse, lr, neighbour = dihedral(patches, turn).unbind()  # (B, 3, S, S) each
        features = self._features(variant, photo, top // scale, left // scale, size // scale, turn)
        sure = _cut(self.confidence, (variant, photo), top // scale, left // scale, size // scale).float()
        expected = dihedral(expected_error(sure), turn)
        return PatchBatch(hr, coarse, lr, neighbour[:, None], self.photos.sources[photo], expected, features)

    @torch.no_grad()
    def _features(
        self, variant: Tensor, photo: Tensor, top: Tensor, left: Tensor, size: int, turn: int
    ) -> Tensor | None:
        """What the coarse model makes of patches of `size` LR pixels, turned: it does not see a turned picture as it sees the
        picture. It is given SURROUNDINGS pixels around them, or more on one side and fewer on another where a photo ends."""
        if self.shown is None:
            return None
        seen, (height, width) = size + 2 * SURROUNDINGS, self.lr.shape[-2:]
        tops, lefts = ((at - SURROUNDINGS).clamp(0, side - seen) for at, side in ((top, height), (left, width)))
        pixels = dihedral(_cut(self.lr, (variant, photo), tops, lefts, seen).float() / 127.5 - 1, turn)
        with autocast(pixels.device):
            features = self.shown.features(pixels.contiguous(memory_format=torch.channels_last)).float()
        upright = dihedral(features, inverse(turn))
        span, every = torch.arange(size, device=top.device), torch.arange(len(top), device=top.device)
        rows, columns = (top - tops)[:, None] + span, (left - lefts)[:, None] + span
        inner = upright[every[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
        return packed(dihedral(inner, turn))


def _cut(images: Tensor, indices: tuple[Tensor, ...], top: Tensor, left: Tensor, size: int) -> Tensor:
    """Patches [B, 3, S, S] of images [..., 3, H, W] chosen by one index [B] for each leading dimension."""
    span = torch.arange(size, device=top.device)
    rows, columns = (top[:, None] + span)[:, :, None], (left[:, None] + span)[:, None, :]  # (B, S, 1), (B, 1, S)
    index: tuple[Tensor | slice, ...] = (*(index[:, None, None] for index in indices), slice(None), rows, columns)
    return images[index].permute(0, 3, 1, 2)  # from (B, S, S, 3)


def _aside(top: Tensor, left: Tensor, size: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """First rows and columns [B] of patches that lie beside those at `top`, `left` in a picture of `height` x `width`: one to two
    patches away along one axis, up to one along the other, so they have nothing in common where the picture has room."""
    far, near = torch.randint(size, 2 * size + 1, top.shape), torch.randint(0, size + 1, top.shape)
    tall = torch.rand(top.shape) < 0.5
    places = []
    for place, distance, length in ((top, torch.where(tall, far, near), height), (left, torch.where(tall, near, far), width)):  # fmt: skip
        distance, most = distance.to(place.device), length - size
        ahead = place + distance <= most
        behind = place >= distance
        either = torch.rand(top.shape).to(place.device) < 0.5
        sign = torch.where(ahead & (either | ~behind), 1, -1)
        places.append((place + sign * distance).clamp(0, most))
    return places[0], places[1]


@torch.no_grad()
def make_pairs(photos: Photos, model: CoarseModel, variants: int, degradation: Degradation | None = None) -> Pairs:
    """Degrade every photo `variants` times and restore it with the coarse model."""
    device, settings, scale = photos.images.device, degradation or Degradation(), model.config.scale
    n, _, height, width = photos.images.shape
    coarse = torch.empty((variants, n, 3, height, width), dtype=torch.uint8, device=device)
    lr = torch.empty((variants, n, 3, height // scale, width // scale), dtype=torch.uint8, device=device)
    confidence = torch.empty((variants, n, 1, height // scale, width // scale), dtype=torch.float16, device=device)
    for variant in range(variants):
        for start in range(0, len(photos.images), 8):
            hr = photos.images[start : start + 8].float() / 255
            degraded = degrade(hr, settings, scale, chunk=1)
            lr[variant, start : start + 8] = (degraded * 255).round().to(torch.uint8)
            with autocast(device):
                restored, logit = model((degraded * 2 - 1).contiguous(memory_format=torch.channels_last))
            coarse[variant, start : start + 8] = ((restored + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            confidence[variant, start : start + 8] = torch.sigmoid(logit).to(torch.float16)
    return Pairs.of(photos, coarse, lr, confidence)


def draw_weights(images: Tensor, coarse: Tensor) -> Tensor:
    """Mean absolute error of every block, plus FLOOR, of one crop each: they sum to one [V * N, blocks]."""
    weights = []
    for variant in coarse:
        for start in range(0, len(images), 64):
            error = (images[start : start + 64].float() - variant[start : start + 64].float()).abs().mean(1)
            blocks = F.avg_pool2d(error[:, None], BLOCK).flatten(1) + FLOOR
            weights.append(blocks / blocks.sum(1, keepdim=True))
    return torch.cat(weights)


def residual_deviation(pairs: Pairs, count: int = 4096) -> float:
    """Standard deviation of x - y_0 on [-1, 1] over drawn patches: the denoiser's sigma_data."""
    batch = pairs.pictures_only().draw(count, 64)
    return float((batch.hr - batch.coarse).std())
