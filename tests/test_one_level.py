"""Patch-DiT at one noise level is the whole Patch-DiT, only faster."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from patchscaler_cli.models.one_level import OneLevelPatchDiT
from patchscaler_cli.models.placement import place
from patchscaler_cli.models.weights_file import load_weights
from patchscaler_cli.pipeline import levels
from patchscaler_cli.pipeline.levels import MOST_LEVELS, LevelDenoiser
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.store.manifest import find_model
from patchscaler_cli.store.places import bundled_file
from tests.small_model import SMALL, small_model

CPU = torch.device("cpu")
LADDER = GroupLadder((Group(0.0, 0), Group(0.1, 1), Group(0.2, 3)), (0.5, 0.2))


def patches(count: int, height: int = 64, width: int = 64) -> tuple[Tensor, Tensor]:
    """Residuals and conditions of some patches."""
    generator = torch.Generator().manual_seed(count)
    channels = SMALL.patch_dit.condition_channels
    return (
        torch.randn(count, 3, height, width, generator=generator) * 0.1,
        torch.rand(count, channels, height, width, generator=generator) * 2 - 1,
    )


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("size", [(64, 64), (72, 56)])
def test_it_computes_what_the_whole_network_computes(dtype: torch.dtype, near: float, size: tuple[int, int]) -> None:
    network = place(small_model().patch_dit, CPU, dtype)
    residual, condition = patches(3, *size)
    with torch.inference_mode():
        expected = network.network(residual, torch.full((3,), 0.2), condition, None).float()
        found = OneLevelPatchDiT(network, 0.2)(residual, condition).float()
    assert torch.allclose(found, expected, atol=near * float(expected.abs().max()))


def test_the_weights_as_they_ship_give_the_same_at_their_own_levels() -> None:
    file = bundled_file(find_model("tiny"))
    assert file is not None
    network = load_weights(file)[0].patch_dit
    residual = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.06
    condition = torch.zeros(1, network.config.condition_channels, 64, 64)
    with torch.inference_mode():
        expected = network(residual, torch.tensor([0.06]), condition, None)
        found = LevelDenoiser(network, GroupLadder((Group(0.06, 1),), ()))(
            residual, torch.tensor([0.06]), condition, None
        )
    assert torch.allclose(found, expected, atol=1e-4)


def test_patches_at_several_levels_are_each_denoised_at_their_own() -> None:
    network = small_model().patch_dit
    residual, condition = patches(4)
    sigma = torch.tensor([0.2, 0.1, 0.2, 0.1])
    with torch.inference_mode():
        expected = network(residual, sigma, condition, None)
        found = LevelDenoiser(network, LADDER)(residual, sigma, condition, None)
    assert torch.allclose(found, expected, atol=1e-5)


def test_with_a_prompt_the_whole_network_is_asked() -> None:
    network = small_model().patch_dit
    residual, condition = patches(2)
    sigma, prompt = torch.tensor([0.2, 0.1]), torch.randn(2, 8, SMALL.patch_dit.prompt_width)
    with torch.inference_mode():
        found = LevelDenoiser(network, LADDER)(residual, sigma, condition, prompt)
        assert torch.equal(found, network(residual, sigma, condition, prompt))


def test_weights_that_changed_are_folded_again() -> None:
    network = small_model().patch_dit
    residual, condition = patches(1)
    sigma = torch.tensor([0.1])
    with torch.inference_mode():
        LevelDenoiser(network, LADDER)(residual, sigma, condition, None)
    with torch.no_grad():
        network.out.weight.mul_(-1)
    with torch.inference_mode():
        found = LevelDenoiser(network, LADDER)(residual, sigma, condition, None)
        assert torch.allclose(found, network(residual, sigma, condition, None), atol=1e-5)


def test_a_copy_of_a_network_has_levels_of_its_own() -> None:
    network = small_model().patch_dit
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.out.weight.mul_(-1)
    residual, condition = patches(1)
    sigma = torch.tensor([0.1])
    with torch.inference_mode():
        one, two = (LevelDenoiser(each, LADDER)(residual, sigma, condition, None) for each in (network, other))
    assert not torch.allclose(one, two, atol=1e-3)


def test_a_level_is_folded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    folded: list[float] = []

    class Counted(OneLevelPatchDiT):
        def __init__(self, whole: object, sigma: float) -> None:
            folded.append(sigma)
            super().__init__(network, sigma)

    monkeypatch.setattr(levels, "OneLevelPatchDiT", Counted)
    network = small_model().patch_dit
    residual, condition = patches(2)
    with torch.inference_mode():
        for sigma in (0.25, 0.5, 0.25, 0.5):
            LevelDenoiser(network, LADDER)(residual, torch.full((2,), sigma), condition, None)
    assert folded == [0.25, 0.5]


def test_no_more_levels_are_kept_than_said() -> None:
    network = small_model().patch_dit
    residual, condition = patches(1)
    with torch.inference_mode():
        for tenth in range(1, 2 * MOST_LEVELS):
            LevelDenoiser(network, LADDER)(residual, torch.tensor([tenth / 10]), condition, None)
    assert len(levels._kept_levels(network)) == MOST_LEVELS


def test_many_levels_go_through_the_whole_network() -> None:
    network = small_model().patch_dit
    residual, condition = patches(2)
    sigma, many = torch.tensor([0.2, 0.1]), GroupLadder((Group(0.2, MOST_LEVELS + 1),), ())
    with torch.inference_mode():
        found = LevelDenoiser(network, many)(residual, sigma, condition, None)
        assert torch.equal(found, network(residual, sigma, condition, None))
    assert not levels._kept_levels(network)
