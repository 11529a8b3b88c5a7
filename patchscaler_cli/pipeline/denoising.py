"""The denoiser as the pipeline calls it: a batch that the memory does not hold is evaluated in parts."""

from __future__ import annotations

import torch
from torch import Tensor

from patchscaler_cli.pipeline.limits import Limits, is_out_of_memory, release
from patchscaler_cli.sampling.grouped import Denoise


class CarefulDenoiser:
    """D(r, sigma, y, prompt) of a batch of patches; since patches never see each other, parts of it come to the same."""

    def __init__(self, denoise: Denoise, limits: Limits) -> None:
        """Wrap a denoiser; `limits` says how many patches fit, and learns it."""
        self._denoise, self._limits = denoise, limits

    def __call__(self, residual: Tensor, sigma: Tensor, condition: Tensor, prompt: Tensor | None) -> Tensor:
        """As the denoiser.

        Raises:
            PatchScalerError: if the memory does not hold a single patch.
        """
        count = len(residual)
        if count <= (self._limits.batch or count):
            denoised = self._attempt(residual, sigma, condition, prompt)
            if denoised is not None:
                return denoised
        assert self._limits.batch is not None
        slices = [slice(first, first + self._limits.batch) for first in range(0, count, self._limits.batch)]
        return torch.cat(
            [self(residual[s], sigma[s], condition[s], None if prompt is None else prompt[s]) for s in slices]
        )

    def _attempt(self, residual: Tensor, sigma: Tensor, condition: Tensor, prompt: Tensor | None) -> Tensor | None:
        """The whole batch, or None if it does not fit."""
        try:
            return self._denoise(residual, sigma, condition, prompt)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Here, not above: until the exception is gone, it holds on to the memory of what was tried.
        release(residual.device)
        self._limits.halve_batch(len(residual))
        return None
