"""What an upscale promises: sizes, depth, colour, and a result that tiles, batches and seeds change only as they should."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from patchscaler_cli.errors import UsageError
from patchscaler_cli.models.coarse import CoarseConfig, CoarseModel
from patchscaler_cli.pipeline.bands import patch_grid
from patchscaler_cli.pipeline.canvas import Canvas
from patchscaler_cli.pipeline.coarse_stage import CoarseStage
from patchscaler_cli.pipeline.diffusion_stage import DiffusionStage
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.tiling import rows
from tests.small_model import gentle_upscaler, small_model, small_upscaler

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return small_upscaler()


@pytest.fixture(scope="module")
def picture() -> Picture:
    """A picture whose sides are no multiple of anything: smooth waves, an edge and noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:53, 0:71]
    waves = np.stack([np.sin(x / 9 + c) * np.cos(y / 7 - c) for c in range(3)], -1) * 80 + 128
    waves[:, 40:] *= 0.6
    return np.clip(waves + rng.normal(0, 12, waves.shape), 0, 255).astype(np.uint8)


def _difference(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("tile", [16, 24, 33, 1000])
def test_tiles_do_not_change_the_result(upscaler: Upscaler, picture: Picture, tile: int) -> None:
    whole = upscaler.upscale(picture, UpscaleSettings(tile=64)).pixels
    assert _difference(upscaler.upscale(picture, UpscaleSettings(tile=tile)).pixels, whole) <= 1


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_do_not_change_the_result(upscaler: Upscaler, picture: Picture, batch_size: int) -> None:
    usual = upscaler.upscale(picture).pixels
    assert _difference(upscaler.upscale(picture, UpscaleSettings(batch_size=batch_size)).pixels, usual) <= 1


def test_the_same_settings_give_the_same_bytes(upscaler: Upscaler, picture: Picture) -> None:
    assert np.array_equal(upscaler.upscale(picture).pixels, upscaler.upscale(picture).pixels)


def test_another_seed_gives_another_picture(upscaler: Upscaler, picture: Picture) -> None:
    assert _difference(upscaler.upscale(picture).pixels, upscaler.upscale(picture, UpscaleSettings(seed=1)).pixels) > 1


def test_the_picture_does_not_depend_on_what_lies_far_to_the_right(upscaler: Upscaler, picture: Picture) -> None:
    """A crop at the left keeps its pixels: nothing is global but the side of the patches, which is the same for both widths.

    The margin is halo, one patch and the low-pass kernel.
    """
    margin, width = 40, 67
    results = [upscaler.upscale(picture), upscaler.upscale(picture[:, :width])]
    assert results[0].grid.size == results[1].grid.size
    whole, cropped = (result.pixels[:, : (width - margin) * 4] for result in results)
    assert _difference(whole, cropped) <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (50, 1), (2, 3), (15, 16), (17, 31)])
def test_pictures_smaller_than_a_patch_and_lines_work(upscaler: Upscaler, size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 100, np.uint8)
    assert upscaler.upscale(picture).pixels.shape == (size[0] * 4, size[1] * 4, 3)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (UpscaleSettings(scale=1), (20, 30)),
        (UpscaleSettings(scale=2.5), (50, 75)),
        (UpscaleSettings(scale=4), (80, 120)),
        (UpscaleSettings(scale=7), (140, 210)),
        (UpscaleSettings(scale=16), (320, 480)),
        (UpscaleSettings(width=61), (41, 61)),
        (UpscaleSettings(height=50), (50, 75)),
        (UpscaleSettings(width=40, height=70), (70, 40)),
        (UpscaleSettings(long_edge=90), (60, 90)),
    ],
)
def test_the_output_has_exactly_the_size_asked_for(
    upscaler: Upscaler, settings: UpscaleSettings, size: tuple[int, int]
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    result = upscaler.upscale(picture, replace(settings, coarse_only=True))
    assert result.pixels.shape[:2] == size
    plan = upscaler.plan(30, 20, settings)
    assert (plan.height, plan.width) == size


def greyish(picture: Picture) -> npt.NDArray[np.float32]:
    """The picture in 0..1, far from black and white."""
    return (0.4 + 0.2 / 255 * picture).astype(np.float32)


def test_the_mean_colour_of_every_block_is_the_coarse_images(picture: Picture) -> None:
    def blocks(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        low = pixels.astype(np.float64)[:192, :256]
        means: npt.NDArray[Any] = low.reshape(6, 32, 8, 32, 3).mean((1, 3))
        return means

    result = gentle_upscaler().upscale(greyish(picture), UpscaleSettings(groups=1))
    drift = np.abs(blocks(result.pixels) - blocks(result.coarse))
    free = np.abs(result.pixels - result.coarse).mean()
    assert drift.mean() < 0.25 * free


def test_fidelity_one_is_the_coarse_image(upscaler: Upscaler, picture: Picture) -> None:
    result = upscaler.upscale(picture, UpscaleSettings(fidelity=1.0))
    assert np.array_equal(result.pixels, result.coarse)


def test_fidelity_lies_between_refinement_and_coarse_image(picture: Picture) -> None:
    upscaler, smooth = gentle_upscaler(), greyish(picture)
    refined, half = (upscaler.upscale(smooth, UpscaleSettings(fidelity=f)) for f in (0.0, 0.5))
    assert np.allclose(half.pixels, (refined.pixels + refined.coarse) / 2, atol=1e-5)


def test_a_fidelity_below_zero_goes_beyond_the_refinement(picture: Picture) -> None:
    upscaler, smooth = gentle_upscaler(), greyish(picture)
    refined, beyond = (upscaler.upscale(smooth, UpscaleSettings(fidelity=f)) for f in (0.0, -0.5))
    assert np.allclose(beyond.pixels, refined.pixels + (refined.pixels - refined.coarse) / 2, atol=1e-5)


def test_coarse_only_never_enters_the_patch_dit(upscaler: Upscaler, picture: Picture) -> None:
    result = upscaler.upscale(picture, UpscaleSettings(coarse_only=True))
    assert result.network_evaluations == 0
    assert np.array_equal(result.pixels, result.coarse)


def test_patches_of_one_colour_never_enter_the_patch_dit(upscaler: Upscaler, picture: Picture) -> None:
    drawing = np.full((60, 80, 3), 200, np.uint8)
    assert upscaler.upscale(drawing).network_evaluations == 0
    drawing[:20, :20] = picture[:20, :20]
    result = upscaler.upscale(drawing)
    assert result.network_evaluations > 0
    assert (result.patch_groups[2:, 2:] == 0).all()
    assert np.array_equal(result.pixels[200:, 200:], result.coarse[200:, 200:])


def test_no_texture_leaves_the_prompt_out(upscaler: Upscaler, picture: Picture) -> None:
    assert (
        _difference(upscaler.upscale(picture).pixels, upscaler.upscale(picture, UpscaleSettings(texture=False)).pixels)
        > 1
    )


def test_one_group_costs_all_patches_times_the_hardest_groups_steps(upscaler: Upscaler, picture: Picture) -> None:
    uniform = upscaler.upscale(picture, UpscaleSettings(groups=1))
    assert uniform.network_evaluations == uniform.patches * 3


def test_the_report_adds_up(upscaler: Upscaler, picture: Picture) -> None:
    result = upscaler.upscale(picture)
    assert [group.patches for group in result.groups] == np.bincount(result.patch_groups.ravel(), minlength=3).tolist()
    assert result.network_evaluations == sum(group.steps * group.patches for group in result.groups)
    assert result.patches == result.patch_groups.size
    assert result.confidence.shape == picture.shape[:2]
    assert all(group.patches for group in result.groups), "the sample must exercise every group"


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_the_result_has_the_depth_of_the_input(upscaler: Upscaler, dtype: type, white: int) -> None:
    ramp: npt.NDArray[Any] = (np.linspace(0.1, 0.9, 40)[None, :, None] * np.ones((20, 1, 3)) * white).astype(dtype)
    result = upscaler.upscale(ramp, UpscaleSettings(coarse_only=True))
    assert result.pixels.dtype == dtype


def test_sixteen_bits_keep_more_levels_than_eight(upscaler: Upscaler) -> None:
    ramp = (np.linspace(20000, 30000, 64)[None, :, None] * np.ones((20, 1, 3))).astype(np.uint16)
    assert len(np.unique(upscaler.upscale(ramp).pixels)) > 256


@pytest.mark.parametrize(
    "image", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3), np.int32)]
)
def test_an_array_that_is_no_picture_is_refused(upscaler: Upscaler, image: npt.NDArray[Any]) -> None:
    with pytest.raises(UsageError, match="image array must"):
        upscaler.upscale(image)


def test_the_plan_bounds_the_evaluations(upscaler: Upscaler, picture: Picture) -> None:
    plan = upscaler.plan(71, 53, UpscaleSettings())
    result = upscaler.upscale(picture)
    assert plan.patches == result.patches
    assert result.network_evaluations <= plan.most_network_evaluations == result.patches * 3


def test_progress_reports_every_unit_that_it_announces(upscaler: Upscaler, picture: Picture) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.totals: dict[str, int] = {}
            self.done = Counter[str]()

        def begin(self, stage: str, total: int) -> None:
            self.totals[stage] = total

        def advance(self, stage: str, units: int = 1) -> None:
            self.done[stage] += units

    recorder = Recorder()
    upscaler.upscale(picture, UpscaleSettings(tile=16), progress=recorder)
    assert list(recorder.totals) == ["coarse", "diffuse"]
    assert recorder.totals == recorder.done


@pytest.mark.parametrize("pixels", [1, 224 * 320, 10**9])
@pytest.mark.parametrize("scale", [4.0, 3.0, 6.5])
def test_streaming_in_bands_of_any_height_gives_the_same_picture(
    upscaler: Upscaler, picture: Picture, monkeypatch: pytest.MonkeyPatch, pixels: int, scale: float
) -> None:
    tall = np.concatenate((picture, picture[::-1], picture))[:130, :40]
    usual = upscaler.upscale(tall, UpscaleSettings(scale=scale))
    monkeypatch.setattr("patchscaler_cli.pipeline.bands.BAND_PIXELS", pixels)
    streamed = upscaler.upscale(tall, UpscaleSettings(scale=scale, tile=24))
    assert _difference(streamed.pixels, usual.pixels) <= 1
    assert _difference(streamed.coarse, usual.coarse) <= 1
    assert np.array_equal(streamed.patch_groups, usual.patch_groups)
    assert np.allclose(streamed.confidence, usual.confidence, atol=1e-4)


def test_a_canvas_fed_row_by_row_is_pillows_lanczos() -> None:
    rows = np.random.default_rng(0).random((3, 97, 60), np.float32) * 2 - 1
    canvas = Canvas((97, 60), (41, 33), np.dtype(np.float32))
    for top in range(0, 97, 5):
        canvas.add(rows[:, top : top + 5])
    whole = [np.asarray(Image.fromarray(plane).resize((33, 41), Image.Resampling.LANCZOS)) for plane in rows]
    assert np.allclose(canvas.pixels, np.clip((np.stack(whole, -1) + 1) / 2, 0, 1), atol=1e-5)


def test_a_large_canvas_lies_on_disk_and_holds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).random((3, 8, 9), np.float32) * 2 - 1
    in_memory = Canvas((8, 9), (8, 9), np.dtype(np.uint8))
    monkeypatch.setattr("patchscaler_cli.pipeline.canvas.MAPPED_BYTES", 100)
    on_disk = Canvas((8, 9), (8, 9), np.dtype(np.uint8))
    for canvas in (in_memory, on_disk):
        canvas.add(rows)
    assert isinstance(on_disk.pixels, np.memmap)
    assert np.array_equal(in_memory.pixels, on_disk.pixels)


@pytest.mark.parametrize(("name", "words"), [("gpu", "--device must be"), ("cuda:99", "CUDA devices")])
def test_a_device_that_is_not_there_is_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Upscaler.from_pretrained(device=name)


def test_fp16_on_a_cpu_becomes_fp32_with_a_word() -> None:
    small = small_upscaler()
    asked = Upscaler(small._model, small.details, "cpu", "fp16")
    assert asked.dtype == "fp32"
    assert "fp32 is used instead" in asked.notices[0]


def test_the_denoiser_is_shown_the_lr_picture_of_its_patch_and_beyond_the_border_what_continues_it() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (19, 30, 3), np.uint8)
    model = small_model()
    grid = patch_grid(model, 19, 30)
    coarse = CoarseStage(model.coarse, picture, grid, 16, torch.device("cpu"))
    coarse.finish(grid.extent[0])
    stage = DiffusionStage(
        model, torch.device("cpu"), coarse, GroupLadder((Group(0.1, 1),), ()), seed=0, batch_size=8, texture=False
    )
    condition, _ = stage.pixels(np.arange(grid.rows * grid.columns))
    last = condition[-1].numpy()  # the patch at the lower right: it reaches over the border
    top, left = int(grid.tops[-1]), int(grid.lefts[-1])
    seen = ((last[3:, ::4, ::4].transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)
    inside = picture[top:, left:]
    assert np.array_equal(seen[: len(inside), : inside.shape[1]], inside)
    bottom, right = top + grid.size[0], left + grid.size[1]
    assert np.array_equal(last[3:], coarse.lr(top, bottom, left, right).repeat(4, 1).repeat(4, 2))
    assert np.array_equal(last[:3], coarse.rows.view(4 * top, 4 * bottom)[:, :, 4 * left : 4 * right])


def test_tiles_smaller_than_the_halo_restore_what_one_tile_does() -> None:
    model, picture = (
        CoarseModel(CoarseConfig(8, 10, 4)),
        np.random.default_rng(5).integers(0, 256, (61, 45, 3), np.uint8),
    )
    torch.nn.init.normal_(model.tail.weight, std=0.1)
    assert model.config.halo > 16
    made = []
    for tile in (16, 256):
        stage = CoarseStage(model.eval(), picture, patch_grid(small_model(), 61, 45), tile, torch.device("cpu"))
        stage.finish(stage.extent[0])
        made.append((stage.rows.view(0, stage.rows.stop).copy(), stage.confidence))
    for small, large in zip(*made, strict=True):
        assert np.allclose(small, large, atol=1e-5)


@pytest.mark.parametrize("settings", [UpscaleSettings(), UpscaleSettings(scale=3, wrap=True)])
def test_what_is_done_at_a_time_does_not_change_the_result(
    upscaler: Upscaler, picture: Picture, settings: UpscaleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = upscaler.upscale(picture, settings).pixels
    monkeypatch.setattr(rows, "PART_PIXELS", 1)
    assert np.array_equal(upscaler.upscale(picture, settings).pixels, usual)


def test_a_picture_ends_where_it_ends() -> None:
    """At its border the coarse model sees nothing beyond, as where it was trained, and no pixels that are made up."""
    model, picture = (
        CoarseModel(CoarseConfig(8, 1, 4)),
        np.random.default_rng(6).integers(0, 256, (30, 16, 3), np.uint8),
    )
    torch.nn.init.normal_(model.tail.weight, std=0.1)
    stage = CoarseStage(model.eval(), picture, patch_grid(small_model(), 30, 16), 256, torch.device("cpu"))
    assert stage.extent == (30, 16)
    with torch.inference_mode():
        _, logit = model(torch.from_numpy(stage.lr(0, 30, 0, 16))[None])
    stage.finish(30)
    assert np.allclose(stage.confidence, torch.sigmoid(logit[0, 0]).numpy(), atol=1e-6)
