"""The optimisers of a network in training."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from patchscaler_cli.pipeline.device import gains_from_bf16


def adamw(
    module: nn.Module, learning_rate: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
) -> list[Optimizer]:
    """AdamW for all weights."""
    return [AdamW(module.parameters(), learning_rate, betas, weight_decay=weight_decay, fused=True)]


def muon(
    module: nn.Module,
    learning_rate: float,
    betas: tuple[float, float],
    eager: Collection[nn.Parameter] = (),
    eagerness: float = 1.0,
) -> list[Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of linear layers, AdamW for kernels, biases and what else there is.

    Muon's steps are made as large as AdamW's (Liu et al. 2025), so both have the same learning rate. Measured without critics, at
    5e-4: the denoiser came as far in 393 steps as by AdamW alone in 572, and a step takes an eighth longer. torch's Muon computes in
    bf16: on a CPU without it that took 5.4 s a step, beside 2.5 s for all the rest, so there all weights are AdamW's.

    Args:
        module: whose weights they are.
        learning_rate: of both.
        betas: AdamW's.
        eager: weights that learn faster than the others.
        eagerness: how many times as fast.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    matrices = {id(layer.weight) for layer in layers if gains_from_bf16(layer.weight.device)}
    early = {id(one) for one in eager}

    def groups(of_matrices: bool) -> list[dict[str, Any]]:
        parameters = [one for one in module.parameters() if (id(one) in matrices) == of_matrices]
        plain, others = ([one for one in parameters if (id(one) in early) == is_early] for is_early in (False, True))
        found = {"params": plain}, {"params": others, "eagerness": eagerness}
        return [group for group in found if group["params"]]

    optimizers: list[Optimizer] = [AdamW(groups(False), learning_rate, betas, weight_decay=0.0, fused=True)]
    if matrices:
        orthogonal = Muon(groups(True), learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        optimizers.insert(0, orthogonal)
    return optimizers
