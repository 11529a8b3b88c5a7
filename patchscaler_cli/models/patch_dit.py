"""Patch-DiT: the diffusion transformer that sees one patch only (PatchScaler, section 3.3).

What diffuses is the residual r = x - y_0 between the HR patch x and the coarse patch y_0, in the EDM form of
Karras et al. 2022 (arXiv 2206.00364, table 1): D(r; sigma) = c_skip r + c_out F(c_in r; ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchscaler_cli.models.attention import Attention
from patchscaler_cli.models.fused import convolution_sum, gated_sum, linear, linear_sum, modulate
from patchscaler_cli.models.positions import spread_positions

PIXELS_A_FEATURE = 16
"""HR pixels for each LR pixel, at which the coarse model's features lie."""

FEATURE_GAIN = 8.0
"""Brings the coarse model's features to a deviation of about one."""

SLOPE = 0.1
"""Of the leaky ReLU of the convolutional ends, below zero."""


@dataclass(frozen=True)
class PatchDiTConfig:
    """Sizes of Patch-DiT.

    Attributes:
        patch: side of a patch in HR pixels in training; others, of whole tokens, may be somewhat smaller or larger.
        token: side of what a token covers, in HR pixels: a multiple of 4 that divides `patch`.
        width: width of the transformer.
        blocks: transformer blocks.
        heads: attention heads; must divide `width`.
        outer_channels: width of the convolutional end at half resolution.
        inner_channels: width of the convolutional end at quarter resolution.
        prompt_width: width of a texture prompt token.
        sigma_data: standard deviation of the residual r on [-1, 1].
        sees_lr: whether the denoiser is shown the LR picture beside the coarse patch. The coarse image is the mean of what
            may have been: where it is smooth, only the LR picture tells faint texture from none.
        features: channels of the coarse model's features that the denoiser is shown too, 0 for none: what that model knows of
            the picture, from farther around than a patch reaches. A multiple of 16.
    """

    patch: int = 64
    token: int = 8
    width: int = 192
    blocks: int = 6
    heads: int = 3
    outer_channels: int = 32
    inner_channels: int = 64
    prompt_width: int = 64
    sigma_data: float = 0.1
    sees_lr: bool = False
    features: int = 0

    @property
    def picture_channels(self) -> int:
        """Of the condition y: the coarse patch's three, and three of the LR picture where it is seen."""
        return 6 if self.sees_lr else 3

    @property
    def condition_channels(self) -> int:
        """Of the condition y: the pictures', and the features' in planes of HR size, sixteen in each (`packed`)."""
        return self.picture_channels + self.features // PIXELS_A_FEATURE

    @property
    def tokens(self) -> int:
        return (self.patch // self.token) ** 2

    @property
    def pooled(self) -> int:
        """Pixels of the inner convolutional end, at quarter resolution, that a token covers along each side."""
        return self.token // 4


class NoiseEmbedding(nn.Module):
    """Noise levels as vectors: Fourier features of c_noise = ln(sigma) / 4, then two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequencies = 32
        self.first = nn.Linear(2 * self.frequencies, width)
        self.second = nn.Linear(width, width)

    def forward(self, sigma: Tensor) -> Tensor:
        """Noise levels [B], float32 and positive, to embeddings [B, width]."""
        octaves = torch.linspace(math.log(0.25), math.log(32.0), self.frequencies, device=sigma.device).exp()
        angles = (sigma.log() / 4)[:, None] * octaves * 2  # (B, 32)
        features = torch.cat((angles.cos(), angles.sin()), 1).to(self.first.weight.dtype)  # (B, 64)
        return F.silu(self.second(F.silu(self.first(features))))


class ConvBlock(nn.Module):
    """A residual block of the convolutional ends; the noise level scales and shifts it between its convolutions.

    Without gradients the result may take the place of what it is given.
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        scale, shift = self.modulation(noise)[:, :, None, None].chunk(2, 1)  # (B, C, 1, 1) each
        hidden = self.first(F.leaky_relu(x, SLOPE))
        hidden = F.leaky_relu(modulate(hidden, scale, shift), SLOPE, inplace=not torch.is_grad_enabled())
        return convolution_sum(self.second, hidden, x, (1, 1))


class DiTBlock(nn.Module):
    """Self-attention, cross-attention to the prompt, and a two-layer network, with adaLN-single (PixArt-alpha).

    The six modulations come from one network for all blocks; a block adds its own learned offset.
    """

    def __init__(self, width: int, prompt_width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, width, heads)
        self.norm_prompt = nn.LayerNorm(width)
        self.prompt_attention = Attention(width, prompt_width, heads)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.offset = nn.Parameter(torch.zeros(6, width))

    def forward(self, x: Tensor, prompt: Tensor, modulation: Tensor) -> Tensor:
        """Tokens [B, N, width], prompt [B, M, prompt_width], modulation [B, 6, width] to tokens [B, N, width]."""
        offset = self.offset.to(modulation.dtype)  # or autocast would compute all tokens in fp32, a tenth slower
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (modulation + offset)[:, :, None].unbind(1)
        attended = modulate(self.norm_attention(x), scale_a, shift_a)
        x = gated_sum(x, gate_a, self.attention(attended, attended))
        x = linear_sum(self.prompt_attention.out, self.prompt_attention.mixed(self.norm_prompt(x), prompt), x)
        first, _, second = self.mlp
        assert isinstance(first, nn.Linear)
        assert isinstance(second, nn.Linear)
        hidden = F.gelu(linear(first, modulate(self.norm_mlp(x), scale_m, shift_m)))
        return gated_sum(x, gate_m, linear(second, hidden))


class PatchDiT(nn.Module):
    """The denoiser D(r_sigma; sigma, y, prompt) of one patch's residual, given its condition y.

    Convolutional ends at half and quarter resolution, with skip connections, around transformer blocks on tokens (of
    8x8 pixels). Patches of one batch never see each other and each has its own noise level.
    """

    def __init__(self, config: PatchDiTConfig) -> None:
        super().__init__()
        self.config = config
        width, outer, inner = config.width, config.outer_channels, config.inner_channels
        self.noise_embedding = NoiseEmbedding(width)
        self.modulation = nn.Linear(width, 6 * width)
        self.stem = nn.Conv2d(3 + config.picture_channels, outer, 4, stride=2, padding=1)
        self.outer_down = nn.ModuleList(ConvBlock(outer, width) for _ in range(2))
        self.to_inner = nn.Conv2d(outer, inner, 2, stride=2)
        self.inner_down = nn.ModuleList(ConvBlock(inner, width) for _ in range(2))
        self.to_tokens = nn.Conv2d(inner, width, config.pooled, stride=config.pooled)
        self.position = nn.Parameter(torch.randn(1, config.tokens, width) * 0.02)
        self.no_prompt = nn.Parameter(torch.zeros(1, 1, config.prompt_width))
        self.norm_prompt = nn.LayerNorm(config.prompt_width)
        self.prompt_hidden = nn.Linear(config.prompt_width, width)
        self.prompt_modulation = nn.Linear(width, width)
        self.blocks = nn.ModuleList(DiTBlock(width, config.prompt_width, config.heads) for _ in range(config.blocks))
        self.norm_tokens = nn.LayerNorm(width)
        self.from_tokens = nn.Conv2d(width, config.pooled**2 * inner, 1)
        self.merge_inner = nn.Conv2d(2 * inner, inner, 1)
        self.inner_up = nn.ModuleList(ConvBlock(inner, width) for _ in range(2))
        self.from_inner = nn.Conv2d(inner, 4 * outer, 1)
        self.merge_outer = nn.Conv2d(2 * outer, outer, 1)
        self.outer_up = nn.ModuleList(ConvBlock(outer, width) for _ in range(2))
        self.out = nn.Conv2d(outer, 4 * 3, 3, padding=1)
        if config.features:
            self.features_down = nn.Conv2d(config.features, inner, 1)
            self.features_up = nn.Conv2d(config.features, inner, 1)
        self.initialize_weights()

    def initialize_weights(self) -> None:
        # F starts at zero, so D starts as the best linear denoiser c_skip * r.
        # Nor does the prompt modulate anything, or the features add anything.
        silent: list[nn.Linear | nn.Conv2d] = [self.out, self.modulation, self.prompt_modulation]
        for layer in silent + ([self.features_down, self.features_up] if self.config.features else []):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        # A transformer block starts with its prompt branch silent and its other gates half open.
        for block in self.blocks:
            assert isinstance(block, DiTBlock)
            nn.init.zeros_(block.prompt_attention.out.weight)
            nn.init.zeros_(block.prompt_attention.out.bias)
            with torch.no_grad():
                block.offset[2], block.offset[5] = 0.5, 0.5
        for module in self.modules():
            if isinstance(module, ConvBlock):
                with torch.no_grad():
                    module.second.weight.mul_(0.2)
                nn.init.zeros_(module.modulation.weight)
                nn.init.zeros_(module.modulation.bias)

    def forward(self, residual: Tensor, sigma: Tensor, condition: Tensor, prompt: Tensor | None) -> Tensor:
        """Estimate the clean residual of every patch.

        Args:
            residual: noisy residuals r_sigma [B, 3, h, w], float32; h and w multiples of the tokens' side.
            sigma: the noise level of each patch [B], float32, positive.
            condition: coarse patches y_0 and, with `sees_lr`, the same part of the LR picture, every pixel repeated to HR
                size, in [-1, 1], and with `features` those of the coarse model, `packed`
                [B, condition_channels, h, w], float32.
            prompt: texture prompt tokens [B, M, prompt_width]; None for the learned empty prompt.

        Returns:
            The denoised residual [B, 3, h, w], float32: x - y_0 as far as it can be told.
        """
        return self.preconditioned(residual, sigma, lambda scaled: self.network(scaled, sigma, condition, prompt))

    def preconditioned(self, residual: Tensor, sigma: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        """D(r) = c_skip r + c_out F(c_in r) for noise levels [B], where `network` is F (EDM, table 1)."""
        data = self.config.sigma_data
        variance = sigma**2 + data**2
        c_skip = data**2 / variance
        c_out = sigma * data * variance.rsqrt()
        c_in = variance.rsqrt()
        raw = network(residual * _per_patch(c_in))
        return _per_patch(c_skip) * residual + _per_patch(c_out) * raw.float()

    def network(self, scaled: Tensor, sigma: Tensor, condition: Tensor, prompt: Tensor | None) -> Tensor:
        """F of the preconditioning: scaled residual [B, 3, h, w] to [B, 3, h, w], in the weights' dtype or autocast's."""
        dtype = self.stem.weight.dtype
        noise = self.noise_embedding(sigma)  # (B, D)
        if prompt is None:
            prompt = self.no_prompt.expand(len(sigma), -1, -1)
        else:
            # How much of which pattern is there concerns the whole patch, and the convolutional ends most of all.
            noise = noise + self.prompt_modulation(F.silu(self.prompt_hidden(prompt.to(dtype).mean(1))))
        modulation = self.modulation(noise).view(len(sigma), 6, -1)  # (B, 6, D)
        prompt = self.norm_prompt(prompt.to(dtype))  # (B, M, P)

        pictures, planes = condition.tensor_split((self.config.picture_channels,), 1)
        features = FEATURE_GAIN * unpacked(planes).to(dtype) if self.config.features else None
        pixels = torch.cat((scaled, pictures), 1).to(dtype).contiguous(memory_format=torch.channels_last)
        outer = self.stem(pixels)  # (B, outer, h/2, w/2)
        for block in self.outer_down:
            outer = block(outer, noise)
        inner = self.to_inner(outer)  # (B, inner, h/4, w/4)
        if features is not None:
            inner = inner + self.features_down(features)
        for block in self.inner_down:
            inner = block(inner, noise)
        grid = self.to_tokens(inner)  # (B, D, rows, columns)
        b, d, rows, columns = grid.shape
        position = spread_positions(self.position, rows, columns).to(grid.dtype)
        tokens = grid.permute(0, 2, 3, 1).reshape(b, rows * columns, d) + position  # (B, rows * columns, D)
        for block in self.blocks:
            tokens = block(tokens, prompt, modulation)
        grid = self.norm_tokens(tokens).view(b, rows, columns, d).permute(0, 3, 1, 2)  # (B, D, rows, columns)
        up = F.pixel_shuffle(self.from_tokens(grid), self.config.pooled)  # (B, inner, h/4, w/4)
        inner = self.merge_inner(torch.cat((up, inner), 1))
        if features is not None:
            inner = inner + self.features_up(features)
        for block in self.inner_up:
            inner = block(inner, noise)
        up = F.pixel_shuffle(self.from_inner(inner), 2)  # (B, outer, h/2, w/2)
        outer = self.merge_outer(torch.cat((up, outer), 1))
        for block in self.outer_up:
            outer = block(outer, noise)
        return F.pixel_shuffle(self.out(F.leaky_relu(outer, SLOPE)), 2)  # (B, 3, h, w)


def repeated(lr: Tensor, scale: int) -> Tensor:
    """LR pictures [B, C, h, w] as the denoiser is shown them: every pixel repeated to HR size [B, C, scale h, scale w]."""
    return lr.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


def packed(features: Tensor) -> Tensor:
    """Features at LR resolution [B, C, h, w] as planes of HR size [B, C / 16, 4 h, 4 w]: a patch of them is cut as from a picture."""
    return F.pixel_shuffle(features, math.isqrt(PIXELS_A_FEATURE))


def unpacked(planes: Tensor) -> Tensor:
    """The features [B, C, h, w] of `packed` planes [B, C / 16, 4 h, 4 w]."""
    return F.pixel_unshuffle(planes, math.isqrt(PIXELS_A_FEATURE))


def _per_patch(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
