"""The optimisers of a network in training."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from patchscaler_cli.pipeline.device import gains_from_bf16


def adamw(
    module: nn.Module, learning_rate: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
) -> list[Optimizer]:
    """AdamW for all weights."""
    return [AdamW(module.parameters(), learning_rate, betas, weight_decay=weight_decay, fused=True)]


class Fp32Muon(Muon):
    """torch's Muon (as it is with nesterov, no weight decay and adjust_lr_fn="match_rms_adamw"), in fp32.

    torch's makes updates orthogonal in bf16 whatever the machine; without it that took 5.4 s a step of the few-step phase, beside
    2.5 s for all the rest.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step; returns what `closure` does, if there is one."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            momentum = group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                buffer = state["momentum_buffer"]
                buffer.lerp_(matrix.grad, 1 - momentum)
                update = orthogonal(matrix.grad.lerp(buffer, momentum), group["ns_coefficients"], group["ns_steps"])
                matrix.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))
        return loss


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """A matrix with the singular vectors of `matrix` and singular values near 1, by Newton and Schulz's iteration (Jordan et al.
    2024)."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def muon(
    module: nn.Module,
    learning_rate: float,
    betas: tuple[float, float],
    eager: Collection[nn.Parameter] = (),
    eagerness: float = 1.0,
) -> list[Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of linear layers, AdamW for kernels, biases and what else there is.

    Muon's steps are made as large as AdamW's (Liu et al. 2025), so both have the same learning rate. Measured without critics, at
    5e-4: the denoiser came as far in 393 steps as by AdamW alone in 572, and a step takes an eighth longer. From trained
    weights, AdamW alone made LPIPS 2 to 8 % worse in its first minutes, Muon 1 to 3 % (weights/runs.md, run 11).

    Args:
        module: whose weights they are.
        learning_rate: of both.
        betas: AdamW's.
        eager: weights that learn faster than the others.
        eagerness: how many times as fast.
    """
    matrices = {id(layer.weight) for layer in module.modules() if isinstance(layer, nn.Linear)}
    early = {id(one) for one in eager}

    def groups(of_matrices: bool) -> list[dict[str, Any]]:
        parameters = [one for one in module.parameters() if (id(one) in matrices) == of_matrices]
        plain, others = ([one for one in parameters if (id(one) in early) == is_early] for is_early in (False, True))
        found = {"params": plain}, {"params": others, "eagerness": eagerness}
        return [group for group in found if group["params"]]

    device = next(module.parameters()).device
    kind = Muon if gains_from_bf16(device) else Fp32Muon
    of_matrices = kind(groups(True), learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    return [of_matrices, AdamW(groups(False), learning_rate, betas, weight_decay=0.0, fused=True)]
