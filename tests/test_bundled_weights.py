"""The weights that travel with the program: they are whole, they say where they come from, and they are worth having."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from patchscaler_cli.evaluation.folder import bicubic
from patchscaler_cli.evaluation.metrics import Pixels, psnr_y
from patchscaler_cli.models.memory_file import save_memory
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.store.finding import find_weights
from patchscaler_cli.textures.build import build_memory


@pytest.fixture(scope="module")
def tiny() -> Upscaler:
    return Upscaler.from_pretrained("tiny", device="cpu", dtype="fp32")


@pytest.fixture
def photo(chelsea: Path) -> Pixels:
    """The cat, 128x160."""
    return np.asarray(Image.open(chelsea).convert("RGB"))


def test_tiny_keeps_to_its_size() -> None:
    assert find_weights("tiny", may_download=False).stat().st_size <= 12 * 2**20


def test_the_metadata_tells_where_the_weights_come_from(tiny: Upscaler) -> None:
    assert {
        "training",
        "data_licences",
        "seed",
        "commit",
        "licence",
        "validation",
        "calibration",
    } <= tiny.details.keys()
    assert set(tiny.details["validation"]) == {"clean", "real"}


def test_a_reduced_photo_comes_back_nearer_to_the_truth_than_by_bicubic(tiny: Upscaler, photo: Pixels) -> None:
    low = np.asarray(Image.fromarray(photo).resize((40, 32), Image.Resampling.BICUBIC))
    assert psnr_y(photo, tiny.upscale(low, UpscaleSettings(coarse_only=True)).pixels) > psnr_y(photo, bicubic(low))


def test_the_result_says_where_its_patches_lie(tiny: Upscaler, photo: Pixels) -> None:
    """Reports draw the groups there, whatever the side of the model's patches."""
    result = tiny.upscale(photo)
    assert result.patch_groups.shape == (result.grid.rows, result.grid.columns)
    assert result.grid.extent == photo.shape[:2]


def test_nothing_sticks_out_at_the_corners(tiny: Upscaler, photo: Pixels) -> None:
    """A patch's edge is its weakest part, and at the picture's border no neighbour covers it."""
    result = tiny.upscale(photo)
    change = np.abs(result.pixels.astype(int) - result.coarse.astype(int)).max(2)
    assert max(change[y, x] for y in (0, -1) for x in (0, -1)) <= 8


@pytest.mark.parametrize("tile", [64, 200])
def test_tiles_do_not_change_a_real_photo(tiny: Upscaler, photo: Pixels, tile: int) -> None:
    untiled, tiled = (tiny.upscale(photo, UpscaleSettings(tile=side)).pixels for side in (1000, tile))
    assert int(np.abs(untiled.astype(int) - tiled.astype(int)).max()) <= 1


def test_the_result_takes_after_the_users_textures(tmp_path: Path) -> None:
    """Of grass hardly anything is left at a fourth of its size: photographs say whether it was grass or a smooth wall."""
    grass, brick = (np.repeat(grey[:256, :, None], 3, axis=2) for grey in (skimage.data.grass(), skimage.data.brick()))
    low = np.asarray(Image.fromarray(grass[:, 256:]).resize((64, 64), Image.Resampling.BICUBIC))
    upscaler = Upscaler.from_pretrained("tiny", device="cpu", dtype="fp32")
    strength = {"none": _fine_texture(upscaler.upscale(low, UpscaleSettings(texture=False)).pixels)}
    for name, photo in (("grass", grass), ("brick", brick)):
        Image.fromarray(photo[:, :256]).save(tmp_path / f"{name}.png")
        memory = build_memory(upscaler.network, [tmp_path / f"{name}.png"], 16)
        save_memory(tmp_path / f"{name}.safetensors", memory, upscaler.network)
        upscaler.use_textures(tmp_path / f"{name}.safetensors")
        strength[name] = _fine_texture(upscaler.upscale(low).pixels)
    assert strength["brick"] < strength["none"] < strength["grass"]
    assert strength["brick"] < 0.95 * strength["grass"]
    assert strength["grass"] < 1.1 * _fine_texture(grass[:, 256:])


def _fine_texture(picture: Pixels) -> float:
    """Mean difference of neighbouring pixels of a row, in 8-bit levels."""
    return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())


def test_a_flat_picture_stays_flat(tiny: Upscaler) -> None:
    flat = np.full((32, 32, 3), (90, 140, 200), np.uint8)
    assert (tiny.upscale(flat).pixels == [90, 140, 200]).all()


@pytest.mark.parametrize("light", [0.0, 0.3])
def test_the_mean_colour_of_every_block_stays_within_a_level(tiny: Upscaler, photo: Pixels, light: float) -> None:
    """In glaring light, too, where white cuts off the upper half of fine texture."""
    glaring = (photo * (1 - light) + 255 * 2.5 * light).clip(0, 255).astype(np.uint8)
    result = tiny.upscale(glaring)
    refined, coarse = (
        pixels.astype(float).reshape(16, 32, 20, 32, 3).mean((1, 3)) for pixels in (result.pixels, result.coarse)
    )
    assert np.abs(refined - coarse).max() < 1


def test_a_black_and_white_drawing_stays_free_of_colour(tiny: Upscaler) -> None:
    drawing = np.full((48, 48, 3), 255, np.uint8)
    drawing[8:40, 20:24] = drawing[30:34, 8:40] = 0
    result = tiny.upscale(drawing).pixels.astype(int)
    assert float((result.max(2) - result.min(2)).mean()) < 3
