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


def test_nothing_sticks_out_at_the_corners(tiny: Upscaler, photo: Pixels) -> None:
    """A patch's edge is its weakest part, and at the picture's border no neighbour covers it."""
    result = tiny.upscale(photo)
    change = np.abs(result.pixels.astype(int) - result.coarse.astype(int)).max(2)
    assert max(change[y, x] for y in (0, -1) for x in (0, -1)) <= 8


@pytest.mark.parametrize("tile", [64, 200])
def test_tiles_do_not_change_a_real_photo(tiny: Upscaler, photo: Pixels, tile: int) -> None:
    untiled, tiled = (tiny.upscale(photo, UpscaleSettings(tile=side)).pixels for side in (1000, tile))
    assert int(np.abs(untiled.astype(int) - tiled.astype(int)).max()) <= 1


@pytest.mark.parametrize("material", ["grass", "gravel"])
def test_sharp_photos_of_the_same_material_make_a_lost_texture_truer(material: str, tmp_path: Path) -> None:
    grey = getattr(skimage.data, material)()  # 512x512
    left, right = np.split(np.repeat(grey[:256, :, None], 3, axis=2), 2, axis=1)
    other = np.repeat(skimage.data.brick()[:256, :256, None], 3, axis=2)
    low = np.asarray(Image.fromarray(right).resize((64, 64), Image.Resampling.BICUBIC))
    upscaler = Upscaler.from_pretrained("tiny", device="cpu", dtype="fp32")
    found = {"none": psnr_y(right, upscaler.upscale(low, UpscaleSettings(texture=False)).pixels)}
    for name, photo in (("same", left), ("other", other)):
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
        memory = build_memory(upscaler.network, [tmp_path / f"{name}.png"], 16)
        save_memory(tmp_path / f"{name}.safetensors", memory, upscaler.network)
        upscaler.use_textures(tmp_path / f"{name}.safetensors")
        found[name] = psnr_y(right, upscaler.upscale(low).pixels)
    assert found["same"] > found["none"] + 0.2
    assert found["same"] > found["other"] + 0.2


def test_a_flat_picture_stays_flat(tiny: Upscaler) -> None:
    flat = np.full((32, 32, 3), (90, 140, 200), np.uint8)
    assert (tiny.upscale(flat).pixels == [90, 140, 200]).all()


def test_a_black_and_white_drawing_stays_free_of_colour(tiny: Upscaler) -> None:
    drawing = np.full((48, 48, 3), 255, np.uint8)
    drawing[8:40, 20:24] = drawing[30:34, 8:40] = 0
    result = tiny.upscale(drawing).pixels.astype(int)
    assert float((result.max(2) - result.min(2)).mean()) < 3
