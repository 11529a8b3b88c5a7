"""Patch-DiT at one noise level without a texture prompt: what the level decides is folded into the weights.

All patches at a level share its modulations, and a modulation is linear: it scales and shifts what a layer is given or gives. So
the layer's weights take it over once (W (s x + t) = (W s) x + W t), and no patch is passed over for it. The empty prompt is one token:
attention to it is that token's value whatever the query, a constant. What enlarges the tokens and what merges them with a skip
connection are two linear layers with nothing between, so one. The same numbers up to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchscaler_cli.models.attention import attend
from patchscaler_cli.models.fused import Layer, convolution_leaky_relu, convolution_sum, linear, linear_sum
from patchscaler_cli.models.patch_dit import FEATURE_GAIN, SLOPE, ConvBlock, DiTBlock, PatchDiT, unpacked
from patchscaler_cli.models.positions import spread_positions


class _Convolutions(NamedTuple):
    """A `ConvBlock` at its noise level."""

    first: Layer
    second: Layer

    def __call__(self, x: Tensor) -> Tensor:
        hidden = convolution_leaky_relu(self.first, F.leaky_relu(x, SLOPE), (1, 1), SLOPE)
        return convolution_sum(self.second, hidden, x, (1, 1))


class _Transformer(NamedTuple):
    """A `DiTBlock` at its noise level; attention to the empty prompt is in the bias of `attended`."""

    heads: int
    query_key_value: Layer
    attended: Layer
    hidden: Layer
    out: Layer

    def __call__(self, x: Tensor) -> Tensor:
        b, n, width = x.shape
        mixed = linear(self.query_key_value, F.layer_norm(x, (width,))).view(b, n, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (B, heads, N, d) each
        x = linear_sum(self.attended, attend(query, key, value).transpose(1, 2).reshape(b, n, width), x)
        return linear_sum(self.out, F.gelu(linear(self.hidden, F.layer_norm(x, (width,)))), x)


class OneLevelPatchDiT:
    """F of a Patch-DiT's preconditioning at one noise level, by the empty prompt. For inference on a CPU.

    What is folded are weights of its own, in the whole network's dtype, as that had them when this was made; in fp32 the rest are the
    network's.
    """

    @torch.no_grad()
    def __init__(self, whole: PatchDiT, sigma: float) -> None:
        """Fold a noise level into a network's weights, in fp32.

        Args:
            whole: the network.
            sigma: the noise level, positive.
        """
        self.config, self.dtype = whole.config, whole.stem.weight.dtype
        self._position, self._spread = whole.position, dict[tuple[int, int], Tensor]()
        noise = whole.noise_embedding(torch.tensor([sigma], device=whole.stem.weight.device))  # (1, D)
        modulation = whole.modulation(noise).view(6, -1).float()  # (6, D)
        prompt = whole.norm_prompt(whole.no_prompt[0, 0])  # (P)

        self._stem, self._to_inner, self._to_tokens, self._out = (
            self._kept(*_wide(convolution)) for convolution in (whole.stem, whole.to_inner, whole.to_tokens, whole.out)
        )
        self._outer_down, self._inner_down, self._inner_up, self._outer_up = (
            [self._convolutions(block, noise) for block in blocks]
            for blocks in (whole.outer_down, whole.inner_down, whole.inner_up, whole.outer_up)
        )
        self._blocks = [self._transformer(block, modulation, prompt) for block in whole.blocks]
        enlarge, bias = _scaled_and_shifted(*_wide(whole.from_tokens), *_wide(whole.norm_tokens))
        self._enlarge_tokens, self._merge_inner = self._merged(enlarge, bias, whole.merge_inner)
        self._enlarge_inner, self._merge_outer = self._merged(*_wide(whole.from_inner), whole.merge_outer)
        if self.config.features:
            self._features_down, self._features_up = (
                self._kept(layer.weight * FEATURE_GAIN, layer.bias)
                for layer in (whole.features_down, whole.features_up)
            )

    def __call__(self, scaled: Tensor, condition: Tensor) -> Tensor:
        """Scaled residuals [B, 3, h, w] and conditions [B, condition_channels, h, w], float32, to [B, 3, h, w], as `PatchDiT.network`."""
        pictures, planes = condition.tensor_split((self.config.picture_channels,), 1)
        features = self._placed(unpacked(planes)) if self.config.features else None
        pixels = torch.cat((scaled.to(self.dtype), pictures.to(self.dtype)), 1)
        outer = _convolved(self._stem, self._placed(pixels), 2, 1)
        for block in self._outer_down:
            outer = block(outer)
        inner = _convolved(self._to_inner, outer, 2)  # (B, inner, h/4, w/4)
        if features is not None:
            inner = convolution_sum(self._features_down, features, inner, (0, 0))
        for block in self._inner_down:
            inner = block(inner)
        grid = _convolved(self._to_tokens, inner, self.config.pooled)
        b, d, rows, columns = grid.shape
        tokens = grid.permute(0, 2, 3, 1).reshape(b, rows * columns, d) + self._positions(rows, columns)
        for transformer in self._blocks:
            tokens = transformer(tokens)
        tokens = F.layer_norm(tokens, (d,)).view(b, rows, columns, d)
        up = _spread(linear(self._enlarge_tokens, tokens), self.config.pooled)  # (B, inner, h/4, w/4)
        inner = convolution_sum(self._merge_inner, inner, up, (0, 0))
        if features is not None:
            inner = convolution_sum(self._features_up, features, inner, (0, 0))
        for block in self._inner_up:
            inner = block(inner)
        up = _spread(linear(self._enlarge_inner, inner.permute(0, 2, 3, 1)), 2)  # (B, outer, h/2, w/2)
        outer = convolution_sum(self._merge_outer, outer, up, (0, 0))
        for block in self._outer_up:
            outer = block(outer)
        out = _convolved(self._out, F.leaky_relu(outer, SLOPE), 1, 1)  # (B, 4 * 3, h/2, w/2)
        b, _, h, w = out.shape
        return _spread(out.permute(0, 2, 3, 1).reshape(b, h, w, 3, 4).transpose(3, 4), 2).contiguous()

    def _placed(self, image: Tensor) -> Tensor:
        return image.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def _positions(self, rows: int, columns: int) -> Tensor:
        size = rows, columns
        if size not in self._spread:
            self._spread = {size: spread_positions(self._position, rows, columns).to(self.dtype)}
        return self._spread[size]

    def _kept(self, weight: Tensor, bias: Tensor | None) -> Layer:
        """Folded weights in the network's dtype; kernels channels-last, as `place` lays them."""
        layout = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
        return Layer(
            weight.detach().to(self.dtype).contiguous(memory_format=layout),
            None if bias is None else bias.detach().to(self.dtype).contiguous(),
        )

    def _convolutions(self, block: nn.Module, noise: Tensor) -> _Convolutions:
        assert isinstance(block, ConvBlock)
        (weight, bias), (scale, shift) = _wide(block.first), block.modulation(noise)[0].float().chunk(2)
        first = self._kept(weight * (1 + scale)[:, None, None, None], bias * (1 + scale) + shift)
        return _Convolutions(first, self._kept(*_wide(block.second)))

    def _transformer(self, block: nn.Module, modulation: Tensor, prompt: Tensor) -> _Transformer:
        assert isinstance(block, DiTBlock)
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = modulation + block.offset.float()
        prompted = block.prompt_attention
        constant = prompted.out(prompted.key_value(prompt).chunk(2)[1]).float()
        attention = [_wide(layer) for layer in (block.attention.query, block.attention.key_value)]
        together, biases = (torch.cat(parts) for parts in zip(*attention, strict=True))
        attended, attended_bias = _wide(block.attention.out)
        hidden, _, out = block.mlp
        out_weight, out_bias = _wide(out)
        return _Transformer(
            block.attention.heads,
            self._kept(*_scaled_and_shifted(together, biases, 1 + scale_a, shift_a)),
            self._kept(attended * gate_a[:, None], attended_bias * gate_a + constant),
            self._kept(*_scaled_and_shifted(*_wide(hidden), 1 + scale_m, shift_m)),
            self._kept(out_weight * gate_m[:, None], out_bias * gate_m),
        )

    def _merged(self, enlarge: Tensor, bias: Tensor, merge: nn.Conv2d) -> tuple[Layer, Layer]:
        """The layer that enlarges, with its half of the one that merges behind it, and the other half.

        Args:
            enlarge: weights [channels s^2, D] or [channels s^2, D, 1, 1], the s^2 places of a channel side by side, as `pixel_shuffle` has them.
            bias: [channels s^2].
            merge: 1x1, from enlarged and skipped channels to as many as enlarged ones.

        Returns:
            D to [s^2 channels], the channels of a place side by side, as `_spread` has them, and a 1x1 convolution.
        """
        channels = merge.out_channels
        merging, merging_bias = _wide(merge)
        up, skipped = merging[:, :, 0, 0].tensor_split((channels,), 1)  # (channels, channels) each
        weight = torch.einsum("oc,cpd->pod", up, enlarge.view(channels, -1, enlarge[0].numel()))
        merged = torch.einsum("oc,cp->po", up, bias.view(channels, -1)) + merging_bias
        return self._kept(weight.flatten(0, 1), merged.flatten()), self._kept(skipped[:, :, None, None], None)


def _wide(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """A layer's weights and bias in fp32."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return weight.float(), bias.float()


def _scaled_and_shifted(weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and bias of a linear layer [out, in] (or [out, in, 1, 1]) of `scale * x + shift`."""
    weight = weight.flatten(1)
    return weight * scale, bias + weight @ shift


def _convolved(layer: Layer, x: Tensor, stride: int, padding: int = 0) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, stride=stride, padding=padding)


def _spread(x: Tensor, side: int) -> Tensor:
    """Vectors [B, h, w, side^2 C], the channels of each of side^2 places together, as an image [B, C, side h, side w], channels-last.

    Like `pixel_shuffle`, which takes the channels in another order, and ten times as long.
    """
    b, h, w = x.shape[:3]
    places = x.reshape(b, h, w, side, side, -1).transpose(2, 3)  # (B, h, side, w, side, C)
    return places.reshape(b, h * side, w * side, -1).permute(0, 3, 1, 2)
