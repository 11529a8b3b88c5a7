"""What the networks guarantee: a finite receptive field, patches that never see each other, a known start."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from patchscaler_cli.models import fused
from patchscaler_cli.models.coarse import CoarseConfig, CoarseModel, Ends
from patchscaler_cli.models.patch_dit import PatchDiT, packed, unpacked
from patchscaler_cli.models.patchscaler import PRESETS, ModelConfig, PatchScalerModel
from patchscaler_cli.models.texture import TextureConfig, TextureEncoder, TextureMemory
from patchscaler_cli.training.widening import can_grow, grown_coarse, shown_features, shown_lr, with_larger_patches
from tests.small_model import SMALL, small_model

CHANNELS = SMALL.patch_dit.condition_channels


@pytest.mark.parametrize("blocks", [1, 3])
def test_no_output_pixel_depends_on_anything_beyond_the_halo(blocks: int) -> None:
    model = CoarseModel(CoarseConfig(channels=8, blocks=blocks))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    halo = model.config.halo
    image = torch.rand(1, 3, 2 * halo + 9, 2 * halo + 9)
    changed = image.clone()
    changed[..., 0, 0] += 1.0  # the corner
    with torch.no_grad():
        difference = [(a - b).abs().amax((0, 1)) for a, b in zip(model(image), model(changed), strict=True)]
    assert float(difference[0][(halo + 1) * 4 :].max()) == 0
    assert float(difference[1][halo + 1 :].max()) == 0
    assert float(difference[0].max()) > 0


def test_an_untrained_coarse_model_is_bicubic_and_half_sure() -> None:
    image = torch.rand(1, 3, 12, 12) * 2 - 1
    restored, logit = CoarseModel(CoarseConfig())(image)
    bicubic = torch.nn.functional.interpolate(image, scale_factor=4, mode="bicubic", align_corners=False)
    assert torch.allclose(restored, bicubic, atol=1e-6)
    assert torch.equal(logit, torch.zeros_like(logit))


def test_an_untrained_denoiser_is_the_best_linear_one() -> None:
    config = SMALL.patch_dit
    residual, sigma = torch.randn(2, 3, 64, 64), torch.tensor([0.05, 0.3])
    denoised = PatchDiT(config)(residual, sigma, torch.zeros(2, CHANNELS, 64, 64), None)
    share = config.sigma_data**2 / (config.sigma_data**2 + sigma**2)
    assert torch.allclose(denoised, residual * share.view(-1, 1, 1, 1), atol=1e-6)


def test_patches_of_one_batch_never_see_each_other() -> None:
    model = small_model().patch_dit
    residual, condition, prompt = torch.randn(3, 3, 64, 64), torch.rand(3, CHANNELS, 64, 64), torch.randn(3, 8, 16)
    sigma = torch.tensor([0.05, 0.1, 0.3])
    together = model(residual, sigma, condition, prompt)
    alone = torch.cat([model(*(x[i : i + 1] for x in (residual, sigma, condition, prompt))) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_prompt_changes_what_the_denoiser_makes() -> None:
    model = small_model().patch_dit
    inputs = torch.randn(1, 3, 64, 64), torch.tensor([0.1]), torch.rand(1, CHANNELS, 64, 64)
    assert not torch.allclose(model(*inputs, torch.randn(1, 8, 16)), model(*inputs, None), atol=1e-4)


def test_tokens_tell_faint_textures_apart_whatever_their_colour() -> None:
    encoder = TextureEncoder(TextureConfig())
    columns, rows = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="xy")
    upright, level = (torch.sin(place * 1.2) * 2 / 127.5 for place in (columns, rows))  # two levels of 255
    dark, bright, other = (
        encoder.encode((x - 0.5 * y).expand(1, 3, 64, 64)) for x, y in ((upright, 1), (upright, -1), (level, 1))
    )
    assert torch.allclose(dark, bright, atol=1e-3)
    assert (dark - other).abs().mean() > 0.1


def test_a_texture_of_the_users_own_says_so() -> None:
    encoder, patch = TextureEncoder(TextureConfig()), torch.rand(1, 3, 64, 64)
    assert not torch.allclose(encoder.encode(patch), encoder.encode(patch, own=True))


def test_a_denoiser_that_is_shown_the_lr_picture_computes_what_it_did_before() -> None:
    blind = PatchDiT(dataclasses.replace(SMALL.patch_dit, sees_lr=False, features=0))
    torch.nn.init.normal_(blind.out.weight)
    residual, sigma, coarse = torch.randn(2, 3, 64, 64), torch.tensor([0.1, 0.3]), torch.rand(2, 3, 64, 64)
    seeing = shown_lr(blind)
    assert seeing.config.sees_lr
    for lr in torch.rand(2, 2, 3, 64, 64):
        shown = seeing(residual, sigma, torch.cat((coarse, lr), 1), None)
        assert torch.allclose(shown, blind(residual, sigma, coarse, None), atol=1e-6)


def test_a_denoiser_that_is_shown_features_computes_what_it_did_before_and_learns_to_look_at_them() -> None:
    blind = PatchDiT(dataclasses.replace(SMALL.patch_dit, features=0))
    torch.nn.init.normal_(blind.out.weight)
    residual, sigma, pictures = torch.randn(2, 3, 64, 64), torch.tensor([0.1, 0.3]), torch.rand(2, 6, 64, 64)
    seeing = shown_features(blind, 16)
    assert seeing.config == SMALL.patch_dit
    planes = torch.rand(2, 1, 64, 64)
    shown = seeing(residual, sigma, torch.cat((pictures, planes), 1), None)
    assert torch.allclose(shown, blind(residual, sigma, pictures, None), atol=1e-6)
    shown.square().mean().backward()
    for layer in (seeing.features_down, seeing.features_up):
        assert layer.weight.grad is not None
        assert layer.weight.grad.abs().max() > 0


def test_features_are_packed_into_the_patch_that_they_lie_in() -> None:
    features = torch.rand(2, 32, 8, 12)
    planes = packed(features)
    assert planes.shape == (2, 2, 32, 48)
    assert torch.equal(unpacked(planes[..., 8:24, 4:20]), features[..., 2:6, 1:5])


def test_larger_patches_keep_all_weights_and_spread_the_positions() -> None:
    small = PatchDiT(SMALL.patch_dit)
    patch, side = small.config.patch * 2, small.config.patch // small.config.token
    large = with_larger_patches(small, patch)
    assert large.config == dataclasses.replace(small.config, patch=patch)
    before, after = small.state_dict(), large.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items() if name != "position")
    corners = [after["position"].view(2 * side, 2 * side, -1)[row, column] for row in (0, -1) for column in (0, -1)]
    expected = [before["position"].view(side, side, -1)[row, column] for row in (0, -1) for column in (0, -1)]
    assert all(torch.allclose(one, other) for one, other in zip(corners, expected, strict=True))


def test_a_grown_coarse_model_computes_what_it_did_before_and_all_of_it_learns() -> None:
    small, sizes = CoarseModel(CoarseConfig(8, 2, 4)), CoarseConfig(12, 4, 6)
    for layer in (small.tail, small.confidence_out):
        torch.nn.init.normal_(layer.weight)
    large = grown_coarse(small, sizes)
    assert large.config == sizes
    lr = torch.rand(2, 3, 12, 12) * 2 - 1
    for before, after in zip(small(lr), large(lr), strict=True):
        assert torch.allclose(after, before, atol=1e-5)
    optimizer = torch.optim.SGD(large.parameters(), 0.1)
    untrained = {name: parameter.clone() for name, parameter in large.named_parameters()}
    for _ in range(2):  # what leads only to weights of zero has a gradient once these have moved
        image, logit = large(lr)
        optimizer.zero_grad()
        (image.square().mean() + logit.square().mean()).backward()
        optimizer.step()
    for name, parameter in large.named_parameters():
        assert not torch.equal(parameter, untrained[name]), name


@pytest.mark.parametrize(
    ("sizes", "can"), [((8, 2, 4), False), ((12, 2, 4), True), ((8, 3, 4), True), ((12, 1, 4), False)]
)
def test_a_coarse_model_grows_only_where_nothing_becomes_smaller(sizes: tuple[int, int, int], can: bool) -> None:
    assert can_grow(CoarseConfig(8, 2, 4), CoarseConfig(*sizes)) is can


def test_retrieval_finds_the_nearest_entries_in_order() -> None:
    memory: TextureMemory = small_model().memory
    values, similarities = memory.retrieve(memory.keys[[5, 2]])
    assert torch.equal(values[:, 0], memory.values[[5, 2]])
    assert torch.allclose(similarities[:, 0], torch.ones(2), atol=1e-5)
    assert bool((similarities[:, :-1] >= similarities[:, 1:]).all())


def test_embeddings_do_not_depend_on_the_mean_colour() -> None:
    patch = torch.rand(1, 3, 64, 64) * 0.5
    classifier = small_model().classifier
    assert torch.allclose(classifier(patch), classifier(patch + 0.3), atol=1e-4)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_configuration_survives_its_way_through_metadata(name: str) -> None:
    assert ModelConfig.from_dict(PRESETS[name].to_dict()) == PRESETS[name]


@pytest.mark.parametrize(("name", "limit"), [("tiny", 12), ("base", 60)])
def test_presets_keep_to_their_file_size(name: str, limit: int) -> None:
    model = PatchScalerModel(PRESETS[name])
    assert sum(tensor.numel() * 2 for tensor in model.state_dict().values()) <= limit * 2**20


@pytest.mark.parametrize("size", [(1, 1), (16, 37)])
@pytest.mark.parametrize(
    "ends", [Ends(), Ends(top=True), Ends(left=True, right=True), Ends(True, False, False, True), Ends(*[True] * 4)]
)
def test_restoring_without_the_halo_is_the_inner_part_of_restoring_with_it(size: tuple[int, int], ends: Ends) -> None:
    """At the image's ends there is no halo: there it is restored as a whole image is."""
    model = small_model().coarse
    halo = model.config.halo
    top, bottom, left, right = (0 if end else halo for end in ends)
    height, width = size
    image = torch.rand(1, 3, height + top + bottom, width + left + right) * 2 - 1
    restored, logit = model(image)
    inner, inner_logit, features = model.restore_inner(image, ends)
    rows, columns = slice(top, top + height), slice(left, left + width)
    assert torch.allclose(inner_logit, logit[..., rows, columns], atol=1e-5)
    assert torch.allclose(features, model.features(image)[..., rows, columns], atol=1e-5)
    rows, columns = slice(4 * top, 4 * (top + height)), slice(4 * left, 4 * (left + width))
    assert torch.allclose(inner, restored[..., rows, columns], atol=1e-5)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_without_gradients_the_denoiser_computes_the_same(dtype: torch.dtype, near: float) -> None:
    """Layers that are joined at inference (models/fused.py) give what training sees."""
    model = small_model().patch_dit.to(dtype)
    inputs = torch.randn(2, 3, 64, 64), torch.tensor([0.1, 0.3]), torch.rand(2, CHANNELS, 64, 64), torch.randn(2, 8, 16)
    with torch.enable_grad():
        plain = model(*inputs)
    with torch.inference_mode():
        assert torch.allclose(model(*inputs), plain, atol=near * float(plain.abs().max()))


def test_joined_layers_are_left_apart_where_the_library_computes_them_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = torch.nn.Linear(8, 4), torch.randn(3, 8)
    wrong = SimpleNamespace(_linear_pointwise=lambda *arguments: torch.zeros(16, 16))
    wrong._linear_pointwise.binary = wrong._linear_pointwise
    monkeypatch.setattr(torch.ops, "mkldnn", wrong)
    fused._computed_rightly.cache_clear()
    with torch.inference_mode():
        assert torch.allclose(fused.linear_sum(layer, x, x[:, :4]), x[:, :4] + layer(x))
        assert torch.allclose(fused.linear(layer, x), layer(x))
    fused._computed_rightly.cache_clear()


def test_layers_are_joined_neither_with_gradients_nor_under_autocast() -> None:
    x, weight = torch.randn(2, 4), torch.randn(4, 4)
    assert not fused._joins(x, weight)
    with torch.no_grad(), torch.autocast("cpu"):
        assert not fused._joins(x, weight)
