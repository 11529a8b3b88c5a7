"""The texture prompt: classifier, reference texture memory and similarity-aware encoder (PatchScaler, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEXTURE_SIDE = 64
"""Side in HR pixels of a texture that the memory holds, whatever the side of Patch-DiT's patches."""


@dataclass(frozen=True)
class TextureConfig:
    """Sizes of the texture prompt's parts.

    Attributes:
        embedding: length D of a key.
        tokens: tokens T of one memory entry, a square number.
        token_width: length d of a token, Patch-DiT's `prompt_width`.
        entries: entries M of the memory.
        top_k: entries K retrieved for a patch.
    """

    embedding: int = 64
    tokens: int = 16
    token_width: int = 64
    entries: int = 512
    top_k: int = 4


class TextureClassifier(nn.Module):
    """Embeds a patch so that a coarse patch lies near the HR textures that it may have come from.

    The patch's mean colour is taken off first, and features are pooled to their mean and deviation over the patch:
    a texture is what depends neither on the paint nor on where.
    """

    def __init__(self, config: TextureConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 4, stride=4)
        self.middle = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(64, 128, 3, padding=1)
        self.out = nn.Linear(2 * 128, config.embedding)

    def forward(self, patch: Tensor) -> Tensor:
        """Patches [B, 3, S, S] in [-1, 1], S a multiple of 8, to unit vectors [B, D], float32."""
        patch = patch - patch.mean((2, 3), keepdim=True)
        x = F.relu(self.stem(patch.to(self.stem.weight.dtype)))  # (B, 32, S/4, S/4)
        x = F.relu(self.middle(x))  # (B, 64, S/8, S/8)
        x = F.relu(self.deep(x)).flatten(2).float()  # (B, 128, S/8 * S/8)
        mean = x.mean(2)
        variance = (x - mean[:, :, None]).square().mean(2)  # `var` takes eighteen times as long on a CPU
        pooled = torch.cat((mean, (variance + 1e-5).sqrt()), 1)  # (B, 256)
        return F.normalize(self.out(pooled.to(self.out.weight.dtype)).float(), dim=1)


LEAST_ENERGY = 3e-6
"""Added to every energy before its logarithm is taken: what rounding to 8 bits leaves of a filter's output."""


class TextureEncoder(nn.Module):
    """Turns texture patches into tokens (once, at export) and tokens with similarities into a prompt (at run time).

    A token is what patterns a texture has in one of its parts, and how much of each: logarithms of the energies of two
    banks of learned filters, one for the finest pattern and one for what is twice as rough. The filters are blind to flat
    colour. Faint texture is a hundredth of a colour's range; of the pixels themselves an encoder tells the denoiser the
    colours, which it sees anyway, and the denoiser learns not to listen (weights/runs.md, run 9).
    """

    def __init__(self, config: TextureConfig) -> None:
        super().__init__()
        width = config.token_width
        self.side = int(config.tokens**0.5)
        self.fine = nn.Conv2d(3, width - width // 2, 5, stride=2, bias=False)
        self.rough = nn.Conv2d(3, width // 2, 5, stride=2, bias=False)
        self.scale = nn.Parameter(torch.full((width,), 0.4))
        self.shift = nn.Parameter(torch.full((width,), 3.2))  # energies from 1e-5 to 1e-1 become about -1 to 2
        self.position = nn.Parameter(torch.randn(1, config.tokens, width) * 0.02)
        self.own = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.similarity_hidden = nn.Linear(1, 32)
        self.similarity_out = nn.Linear(32, 2 * width)
        nn.init.zeros_(self.similarity_out.weight)
        nn.init.zeros_(self.similarity_out.bias)

    def encode(self, patch: Tensor, own: bool = False) -> Tensor:
        """Value tokens [M, T, d], float32, of HR textures [M, 3, 64, 64] in [-1, 1].

        Args:
            patch: the textures.
            own: whether the user says that what is in the picture looks like this; what was only found to be like it
                is worth less, however similar.
        """
        with torch.autocast(patch.device.type, enabled=False):  # energies span four orders of magnitude
            patch = patch.float()
            banks = _energies(self.fine, patch, self.side), _energies(self.rough, F.avg_pool2d(patch, 2), self.side)
            tokens = torch.cat(banks, 1).flatten(2).transpose(1, 2)  # (M, T, d)
            tokens = tokens * self.scale + self.shift + self.position
            return tokens + self.own if own else tokens

    def prompt(self, values: Tensor, similarities: Tensor) -> Tensor:
        """Join retrieved tokens to a prompt; how similar an entry is scales and shifts its tokens.

        Args:
            values: value tokens of the retrieved entries [B, K, T, d].
            similarities: cosine similarity of each to its patch [B, K], in [-1, 1].

        Returns:
            Prompt tokens [B, K * T, d].
        """
        hidden = F.silu(self.similarity_hidden(similarities[..., None].to(self.similarity_out.weight.dtype)))
        scale, shift = self.similarity_out(hidden)[:, :, None].chunk(2, -1)  # (B, K, 1, d) each
        tokens: Tensor = (values.to(scale.dtype) * (1 + scale) + shift).flatten(1, 2)
        return tokens


def _energies(bank: nn.Conv2d, pixels: Tensor, side: int) -> Tensor:
    """Logarithms [M, C, side, side] of the mean energy of each filter of a bank in the parts of pictures [M, 3, H, W]."""
    weight = bank.weight.float()
    answers = F.conv2d(pixels, weight - weight.mean((2, 3), keepdim=True), stride=bank.stride)  # (M, C, h, w)
    return (F.adaptive_avg_pool2d(answers.square(), side) + LEAST_ENERGY).log()


class TextureMemory(nn.Module):
    """The reference texture memory (RTM): keys [M, D] to find an entry by, values [M, T, d] to prompt with; no pixels."""

    keys: Tensor
    values: Tensor

    def __init__(self, config: TextureConfig, entries: int | None = None) -> None:
        """Make an empty memory.

        Args:
            config: sizes.
            entries: entries M; None for the configuration's own number.
        """
        super().__init__()
        entries = config.entries if entries is None else entries
        self.top_k = min(config.top_k, entries)
        self.register_buffer("keys", torch.zeros(entries, config.embedding))
        self.register_buffer("values", torch.zeros(entries, config.tokens, config.token_width))

    def nearest(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """The K entries nearest to each of the queries [B, D]: their numbers and similarities, both [B, K]."""
        similarities, entries = (query.float() @ self.keys.float().T).topk(self.top_k, dim=1)
        return entries, similarities

    def retrieve(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """The K entries nearest to each query: value tokens [B, K, T, d] and similarities [B, K] of queries [B, D]."""
        entries, similarities = self.nearest(query)
        return self.values[entries], similarities
