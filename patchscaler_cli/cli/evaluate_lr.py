"""Where the LR pictures of `patchscaler evaluate` come from if nobody gives them.

It stands here since evaluation/ knows nothing of training/, whose degradation this uses.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from patchscaler_cli.evaluation.metrics import Pixels

Kind = Literal["clean", "noisy", "training"]

NOISE_SIGMA = 20.0
"""Of a noisy LR picture, in 8-bit grey levels: a small sensor at night."""


@dataclass(frozen=True)
class LrMaker:
    """Makes LR pictures: always the same one of the same picture, by its name and the seed."""

    kind: Kind = "clean"
    seed: int = 0

    def __str__(self) -> str:
        if self.kind == "clean":
            return "made by antialiased bicubic"
        if self.kind == "noisy":
            return f"made by antialiased bicubic, with Gaussian noise of {NOISE_SIGMA:g} levels, seed {self.seed}"
        return f"made by the training degradation, seed {self.seed}"

    def __call__(self, name: str, hr: Pixels) -> Pixels:
        """The LR picture [H/4, W/4, 3] of an HR picture [H, W, 3]; both uint8 RGB, H and W multiples of 4."""
        own_seed = zlib.crc32(f"{self.seed}/{name}".encode())
        if self.kind == "training":
            return _degraded(hr, own_seed)
        from patchscaler_cli.evaluation.examples import clean_bicubic

        clean = clean_bicubic(name, hr)
        return _noisy(clean, own_seed) if self.kind == "noisy" else clean


def _noisy(clean: Pixels, seed: int) -> Pixels:
    """A picture [h, w, 3] with Gaussian noise of its own in every channel of every pixel."""
    import numpy as np

    noise = np.random.default_rng(seed).normal(0.0, NOISE_SIGMA, clean.shape)
    pixels: Pixels = (clean + noise).round().clip(0, 255).astype(np.uint8)
    return pixels


def _degraded(hr: Pixels, seed: int) -> Pixels:
    """The training degradation; no picture stays clean, as a quarter does in training."""
    import torch

    from patchscaler_cli.training.degradation import Degradation, degrade

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        batch = torch.tensor(hr).permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)
        usual = Degradation()
        damaged = replace(usual, clean_share=0.0, strong_share=usual.strong_share / (1 - usual.clean_share))
        lr = degrade(batch, damaged)
    pixels: Pixels = (lr[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return pixels
