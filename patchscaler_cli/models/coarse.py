"""The coarse model: a convolutional x4 network that also says how sure it is (PatchScaler, section 3.2, GRM)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class CoarseConfig:
    """Sizes of the coarse model.

    Attributes:
        channels: width of every layer of the body.
        blocks: residual blocks of two 3x3 convolutions each.
        confidence_channels: width of the confidence head's hidden layer.
    """

    channels: int = 48
    blocks: int = 10
    confidence_channels: int = 16

    scale = 4

    @property
    def halo(self) -> int:
        """Radius of the receptive field in LR pixels: an output pixel depends on nothing farther away.

        One for the head, two a block, one for the end of the body, one for the tail or two for the
        confidence head; the bicubic skip reaches two.
        """
        return 2 * self.blocks + 4


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), without normalisation (EDSR, Lim et al. 2017): local, so tiles can be cut anywhere."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        restored: Tensor = x + self.second(F.relu(self.first(x), inplace=True))
        return restored


class CoarseModel(nn.Module):
    """LR image to coarse HR image and confidence map. Every convolution works at LR resolution.

    Guarantees a finite receptive field of `config.halo` LR pixels: no global pooling, no normalisation
    over positions. The convolutions pad with zeros, so a caller that wants the same result wherever
    the image is cut gives at least `config.halo` real (or reflected) pixels on every side and drops them after.
    """

    def __init__(self, config: CoarseConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(width) for _ in range(config.blocks)))
        self.body_end = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * config.scale**2, 3, padding=1)
        self.confidence_hidden = nn.Conv2d(width, config.confidence_channels, 3, padding=1)
        self.confidence_out = nn.Conv2d(config.confidence_channels, 1, 3, padding=1)
        self.initialize_weights()

    def initialize_weights(self) -> None:
        # A residual block starts near the identity, so that ten of them in a row pass gradients from the first step.
        for block in self.body:
            assert isinstance(block, ResidualBlock)
            with torch.no_grad():
                block.second.weight.mul_(0.1)
        # The untrained model is the bicubic image with a confidence of one half everywhere.
        for layer in (self.tail, self.confidence_out):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Restore one batch of LR images.

        Args:
            lr: LR images [B, 3, h, w], in [-1, 1].

        Returns:
            The coarse HR image [B, 3, 4h, 4w], about [-1, 1] (not clipped), and the logit of the
            confidence map [B, 1, h, w]; `torch.sigmoid` of it is the confidence C in (0, 1).
        """
        scale = self.config.scale
        shallow = self.head(lr.to(self.head.weight.dtype))  # (B, c, h, w)
        deep = shallow + self.body_end(self.body(shallow))  # (B, c, h, w)
        detail = F.pixel_shuffle(self.tail(deep), scale)  # (B, 3, 4h, 4w)
        skip = F.interpolate(lr.float(), scale_factor=scale, mode="bicubic", align_corners=False)
        confidence = self.confidence_out(F.relu(self.confidence_hidden(deep)))  # (B, 1, h, w)
        return skip + detail.float(), confidence.float()

    def restore_inner(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Restore LR images that carry `config.halo` pixels more on every side, and nothing of the halo.

        The same as `forward` with its result's halo cut off, for a fifth fewer operations at usual sizes: every layer
        computes only what a later one still looks at.

        Args:
            lr: LR images with their halo [B, 3, h + 2 halo, w + 2 halo], in [-1, 1].

        Returns:
            As `forward`: [B, 3, 4h, 4w] and [B, 1, h, w].
        """
        scale, halo = self.config.scale, self.config.halo
        x = lr.to(self.head.weight.dtype).contiguous(memory_format=torch.channels_last)
        shallow = _within(self.head, x)
        deep = shallow
        for block in self.body:
            assert isinstance(block, ResidualBlock)
            deep = _inner(deep, 2) + _within(block.second, F.relu_(_within(block.first, deep)))
        deep = _inner(shallow, 2 * self.config.blocks + 1) + _within(self.body_end, deep)  # two pixels are left
        detail = F.pixel_shuffle(_within(self.tail, _inner(deep, 1)), scale)  # (B, 3, 4h, 4w)
        confidence = _within(self.confidence_out, F.relu_(_within(self.confidence_hidden, deep)))  # (B, 1, h, w)
        near = _inner(lr.float(), halo - 2).contiguous()  # bicubic reaches two pixels; planes are its fast layout
        skip = F.interpolate(near, scale_factor=scale, mode="bicubic", align_corners=False)
        return _inner(skip, 2 * scale) + detail.float(), confidence.float()


def _within(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A 3x3 convolution where it sees nothing but pixels: one fewer on every side."""
    return F.conv2d(x, layer.weight, layer.bias)


def _inner(x: Tensor, margin: int) -> Tensor:
    """[B, C, h, w] without so many pixels on every side."""
    return x[:, :, margin:-margin, margin:-margin]
