"""An upscale with the user's own textures: it uses them, and keeps what every upscale promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.memory_file import save_memory
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.textures.build import build_memory
from tests.small_model import CALIBRATION, small_model, small_upscaler
from tests.texture_photos import save_textures, texture


def _with_textures(folder: Path, entries: int) -> Upscaler:
    """The small model with a memory built of the two kinds of textures."""
    upscaler = small_upscaler()
    memory = build_memory(upscaler.network, save_textures(folder), entries)
    assert len(memory.keys) == entries, "the sample must give as many textures as are asked for"
    save_memory(folder / "textures.safetensors", memory, upscaler.network)
    upscaler.use_textures(folder / "textures.safetensors")
    return upscaler


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory: pytest.TempPathFactory) -> Upscaler:
    return _with_textures(tmp_path_factory.mktemp("textures"), 6)


@pytest.fixture(scope="module")
def picture() -> npt.NDArray[np.uint8]:
    return texture("blobs", 7, 41, 53)


def _difference(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_own_textures_change_the_picture(upscaler: Upscaler, picture: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(small_upscaler().upscale(picture).pixels, small_upscaler().upscale(picture).pixels)
    assert not np.array_equal(upscaler.upscale(picture).pixels, small_upscaler().upscale(picture).pixels)


@pytest.mark.parametrize("settings", [UpscaleSettings(tile=16), UpscaleSettings(batch_size=1), UpscaleSettings(batch_size=3)])  # fmt: skip
def test_tiles_and_batches_do_not_change_the_result(
    upscaler: Upscaler, picture: npt.NDArray[np.uint8], settings: UpscaleSettings
) -> None:
    assert _difference(upscaler.upscale(picture, settings).pixels, upscaler.upscale(picture).pixels) <= 1


def test_no_texture_leaves_them_out(upscaler: Upscaler, picture: npt.NDArray[np.uint8]) -> None:
    without = UpscaleSettings(texture=False)
    assert np.array_equal(upscaler.upscale(picture, without).pixels, small_upscaler().upscale(picture, without).pixels)


def test_a_memory_of_fewer_entries_than_are_usually_retrieved_works(
    tmp_path: Path, picture: npt.NDArray[np.uint8]
) -> None:
    upscaler = _with_textures(tmp_path, 1)
    assert upscaler.network.config.texture.top_k > 1
    assert upscaler.upscale(picture).pixels.shape == (164, 212, 3)


def test_a_refused_memory_leaves_the_upscaler_as_it_was(tmp_path: Path, picture: npt.NDArray[np.uint8]) -> None:
    other = small_model(seed=1)
    save_memory(tmp_path / "other.safetensors", build_memory(other, save_textures(tmp_path), 2), other)
    upscaler = small_upscaler()
    with pytest.raises(PatchScalerError, match="other weights"):
        upscaler.use_textures(tmp_path / "other.safetensors")
    assert np.array_equal(upscaler.upscale(picture).pixels, small_upscaler().upscale(picture).pixels)


@pytest.mark.parametrize("pays", [True, False])
def test_the_models_own_textures_are_used_where_the_calibration_found_that_they_pay(pays: bool, tmp_path: Path) -> None:
    lr = texture("blobs", 3, 24, 24)
    upscaler = small_upscaler(calibration=CALIBRATION | {"texture": pays})
    with_them, without = (upscaler.upscale(lr, UpscaleSettings(texture=wanted)).pixels for wanted in (True, False))
    assert not np.array_equal(with_them, without)
    assert np.array_equal(upscaler.upscale(lr).pixels, with_them if pays else without)
    path = tmp_path / "own.safetensors"
    save_textures(tmp_path / "photos")
    save_memory(path, build_memory(upscaler.network, sorted((tmp_path / "photos").iterdir()), 4), upscaler.network)
    upscaler.use_textures(path)
    assert not np.array_equal(upscaler.upscale(lr).pixels, without)
