"""Noise levels of a group's steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RHO = 7.0
SIGMA_MIN = 0.01


def karras_sigmas(sigma: float, steps: int) -> npt.NDArray[np.float64]:
    """The noise levels that a patch passes through, from its group's sigma_tau down to zero.

    Karras et al. 2022, eq. 5, with one change: the N steps divide the way from sigma_tau to SIGMA_MIN into N parts,
    the last of which goes to zero. So one step goes from sigma_tau straight to zero, and two steps meet in the
    middle of the (warped) way instead of at SIGMA_MIN, where the first step would have to do all the work.

    Args:
        sigma: start noise sigma_tau, at least SIGMA_MIN.
        steps: number of steps N, at least 1.

    Returns:
        Strictly falling levels [N + 1], float64; the first is `sigma`, the last 0.
    """
    start, end = sigma ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    levels = (start + np.arange(steps) / steps * (end - start)) ** RHO
    levels[0] = sigma
    return np.append(levels, 0.0)
