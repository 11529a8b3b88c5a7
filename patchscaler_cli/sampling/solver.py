"""DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2), one step for a batch of patches on different grids."""

from __future__ import annotations

import torch
from torch import Tensor


def solver_step(
    residual: Tensor,
    denoised: Tensor,
    previous_denoised: Tensor,
    sigma_previous: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
) -> Tensor:
    """Move every patch from its noise level to its next one along the probability-flow ODE.

    Args:
        residual: r at `sigma` [B, 3, S, S], float32.
        denoised: D(r; sigma) [B, 3, S, S].
        previous_denoised: D at the step before [B, 3, S, S]; any finite values on a patch's first step.
        sigma_previous: noise level of the step before [B]; infinity on a patch's first step.
        sigma: present noise level [B], positive.
        sigma_next: next noise level [B], below `sigma`; zero ends the way.

    Returns:
        r at `sigma_next` [B, 3, S, S]: the denoised residual itself where that is zero.
    """
    # ---- second order (eq. 17): extrapolate D linearly in log sigma; the first and the last step have none
    interval = (sigma / sigma_next).log()  # h_i, infinite on the last step
    interval_before = (sigma_previous / sigma).log()  # h_{i-1}, infinite on the first step
    weight = interval / (2 * interval_before)
    weight = torch.where(torch.isfinite(interval) & torch.isfinite(interval_before), weight, torch.zeros_like(weight))
    extrapolated = denoised + weight.view(-1, 1, 1, 1) * (denoised - previous_denoised)
    # ---- exponential integrator: the linear part is exact
    ratio = (sigma_next / sigma).view(-1, 1, 1, 1)
    return ratio * residual + (1 - ratio) * extrapolated
