"""How far a refinement may go from the coarse image: not much farther than that is expected to be from the truth."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.coarse import ETA, CoarseConfig

SPAN = 1.5
"""Expected errors that the bound is, beside the floor. With 1, LPIPS is 0.001 lower on clean pictures and PSNR-Y 0.1 dB higher, but NIQE is higher by 0.3
there and by 0.5 on damaged ones: photographs do have a few strong details."""

FLOOR = 1 / 127.5
"""Added to the error that is expected, on [-1, 1]: a level of 255, for grain where the coarse model is sure of everything."""


def expected_error(confidence: Tensor) -> Tensor:
    """How wrong a coarse image is expected to be, by its confidence map.

    Args:
        confidence: [B, 1, h, w] in (0, 1), float32. C = eta / error is what the coarse model learned (`training/coarse.py`).

    Returns:
        Mean absolute error on [-1, 1] at HR size [B, 1, 4h, 4w], bilinear between the LR pixels.
    """
    return F.interpolate(ETA / confidence, scale_factor=CoarseConfig.scale, mode="bilinear", align_corners=False)


def bounded(refinement: Tensor, expected: Tensor) -> Tensor:
    """A refinement whose length nowhere exceeds the bound: faint ones as they are, strong ones shorter, of the same colour.

    The truth does go farther here and there. A network that goes as far is wrong more often than right: what is lost are sparks and
    specks beside strong edges. Nothing but what every processor rounds alike, so a pixel does not depend on those computed with it.

    Args:
        refinement: x_0 - y_0 on [-1, 1] [B, 3, H, W], float32.
        expected: error of the coarse image there [B, 1, H, W], as `expected_error` gives it.

    Returns:
        d / (1 + n^4)^(1/4) [B, 3, H, W], where n is d's length (root mean square of its channels) as a share of the bound.
    """
    red, green, blue = refinement.square().unbind(1)
    bound = SPAN * expected[:, 0] + FLOOR
    share = (red + green + blue) / (3 * bound * bound)  # n^2, [B, H, W]
    return refinement / (1 + share * share).sqrt().sqrt()[:, None]
