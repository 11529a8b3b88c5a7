"""The ablation's sizes are networks that train, and only differ in what their names say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from patchscaler_cli.models.patch_dit import PatchDiT, PatchDiTConfig
from patchscaler_cli.training.ablation import SIZES


@pytest.mark.parametrize("name", SIZES)
def test_every_size_gives_a_residual_for_a_patch(name: str) -> None:
    config = replace(PatchDiTConfig(sees_lr=True), **SIZES[name])
    patches = torch.zeros(1, 3, config.patch, config.patch)
    denoised = PatchDiT(config)(patches, torch.tensor([0.1]), torch.cat((patches, patches), 1), None)
    assert denoised.shape == patches.shape
    assert config.tokens == (config.patch // config.token) ** 2
