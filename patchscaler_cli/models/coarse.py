"""The coarse model: a convolutional x4 network that also says how sure it is (PatchScaler, section 3.2, GRM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchscaler_cli.models.fused import convolution_relu, convolution_sum

ETA = 0.01
"""Error (on [-1, 1], averaged over a 4x4 block) at which the confidence reaches one: C = eta / error is what it learns."""


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


class Ends(NamedTuple):
    """At which of its sides a rectangle of the image lies at the image's own border, with nothing beyond."""

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False

    def turned(self, element: int) -> Ends:
        """The ends of the rectangle turned by `dihedral`."""
        top, bottom, left, right = self
        if element & 1:
            left, right = right, left
        if element & 2:
            top, bottom = bottom, top
        return Ends(left, right, top, bottom) if element & 4 else Ends(top, bottom, left, right)

    @property
    def padded(self) -> Ends:
        """The sides beyond which layers see zeros: both of an axis if one is an end, since to pad one alone copies a layer's input."""
        down, across = self.top or self.bottom, self.left or self.right
        return Ends(down, down, across, across)

    @property
    def spoilt(self) -> Ends:
        """All but those sides that are padded though the image goes on there: a pixel more is wrong there after every layer."""
        return Ends(*(end or not padded for end, padded in zip(self, self.padded, strict=True)))


NOWHERE = Ends()


class Restored(NamedTuple):
    """What the coarse model makes of LR images: image and logit of the confidence as `CoarseModel.forward` gives them
    [B, 3, 4h, 4w] and [B, 1, h, w], and the features as `CoarseModel.features` does [B, channels, h, w]."""

    image: Tensor
    logit: Tensor
    features: Tensor


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
    over positions. The convolutions pad with zeros at the border of what they are given. So it learns to restore at a border
    beyond which nothing is known, and that is how it meets the image's own in use: given pixels that are made up by
    reflection it restores the outermost eight HR pixels 1.1 dB (clean) and 0.5 dB (real) worse. A caller that wants
    the same result wherever the image is cut gives `config.halo` real pixels on the other sides: `restore_inner`.
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
        scale, deep = self.config.scale, self.features(lr)
        detail = F.pixel_shuffle(self.tail(deep), scale)  # (B, 3, 4h, 4w)
        skip = F.interpolate(lr.float(), scale_factor=scale, mode="bicubic", align_corners=False)
        confidence = self.confidence_out(F.relu(self.confidence_hidden(deep)))  # (B, 1, h, w)
        return skip + detail.float(), confidence.float()

    def features(self, lr: Tensor) -> Tensor:
        """What image and confidence are made of, for LR images [B, 3, h, w] in [-1, 1]: [B, channels, h, w]."""
        shallow = self.head(lr.to(self.head.weight.dtype))
        deep: Tensor = shallow + self.body_end(self.body(shallow))
        return deep

    def restore_inner(self, lr: Tensor, ends: Ends = NOWHERE) -> Restored:
        """Restore LR images that carry `config.halo` pixels more on every side but at the image's ends, without these.

        The same as `forward` with its result's halo cut off, for a fifth fewer operations at usual sizes: every layer
        computes only what a later one still looks at, or little more.

        Args:
            lr: LR images with their halo [B, 3, h + 2 halo, w + 2 halo], in [-1, 1]; smaller by the halo for each end.
            ends: the sides without a halo.

        Returns:
            Of the pixels without their halo.
        """
        scale, halo, padded = self.config.scale, self.config.halo, ends.padded
        x = lr.to(self.head.weight.dtype).contiguous(memory_format=torch.channels_last)
        zeros = int(padded.top), int(padded.left)  # beyond padded axes; along others a layer sees nothing but pixels
        shallow = _within(self.head, x, zeros)
        deep = shallow.clone()
        for block in self.body:
            assert isinstance(block, ResidualBlock)
            hidden = convolution_relu(block.first, deep, zeros)
            deep = convolution_sum(block.second, hidden, _inner(deep, 2, padded), zeros)
        deep = convolution_sum(self.body_end, deep, _inner(shallow, 2 * self.config.blocks + 1, padded), zeros)
        # Two pixels of the halo are left.
        detail = F.pixel_shuffle(_within(self.tail, _inner(deep, 1, padded), zeros), scale)  # (B, 3, 4h, 4w)
        confidence = _within(self.confidence_out, convolution_relu(self.confidence_hidden, deep, zeros), zeros)
        detail, confidence = _inner(detail, halo * scale, ends.spoilt), _inner(confidence, halo, ends.spoilt)
        features = _inner(_inner(deep, 2, padded), halo, ends.spoilt)
        near = _inner(lr.float(), halo - 2, ends).contiguous()  # bicubic reaches two pixels; planes are its fast layout
        skip = F.interpolate(near, scale_factor=scale, mode="bicubic", align_corners=False)
        return Restored(_inner(skip, 2 * scale, ends) + detail.float(), confidence.float(), features)


def _within(layer: nn.Conv2d, x: Tensor, zeros: tuple[int, int]) -> Tensor:
    """A 3x3 convolution with so many rows and columns of zeros around its input."""
    return F.conv2d(x, layer.weight, layer.bias, padding=zeros)


def _inner(x: Tensor, margin: int, ends: Ends) -> Tensor:
    """[B, C, h, w] without so many pixels on every side that is no end."""
    height, width = x.shape[2:]
    rows = slice(0 if ends.top else margin, height if ends.bottom else height - margin)
    columns = slice(0 if ends.left else margin, width if ends.right else width - margin)
    return x[:, :, rows, columns]
