"""The measurement of what a user's own textures are worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from patchscaler_cli.evaluation.examples import Example, clean_bicubic
from patchscaler_cli.evaluation.own_textures import build_of_left_half, main, right_half
from patchscaler_cli.models.memory_file import load_memory
from patchscaler_cli.models.weights_file import save_weights
from patchscaler_cli.textures.build import build_memory
from tests.evaluation_samples import write_lpips
from tests.small_model import CALIBRATION, small_model, small_upscaler
from tests.texture_photos import texture


def test_the_memory_is_of_the_left_half_and_of_nothing_else(tmp_path: Path) -> None:
    upscaler, hr = small_upscaler(), texture("blobs", 0, 128, 256)
    changed = hr.copy()
    changed[:, 128:] = 0
    assert np.array_equal(right_half(hr), hr[:, 128:])
    made = [
        build_of_left_half(upscaler, Example("a.png", one, clean_bicubic("a", one)), tmp_path) for one in (hr, changed)
    ]
    memories = [load_memory(path, upscaler.network) for path in made if path is not None]
    assert torch.equal(memories[0].values, memories[1].values)
    Image.fromarray(hr[:, :128]).save(tmp_path / "left.png")
    assert torch.equal(
        memories[0].keys, build_memory(upscaler.network, [tmp_path / "left.png"], 64).keys.half().float()
    )


def test_the_table_tells_of_the_textured_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = {
        "a": texture("blobs", 0, 128, 256),
        "b": texture("stripes", 1, 128, 256),
        "flat": np.full((128, 256, 3), 90, np.uint8),
    }
    for folder in ("hr", "lr"):
        (tmp_path / folder).mkdir()
    for name, hr in pictures.items():
        Image.fromarray(hr).save(tmp_path / "hr" / f"{name}.png")
        Image.fromarray(clean_bicubic(name, hr)).save(tmp_path / "lr" / f"{name}.png")
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": CALIBRATION})
    lpips = write_lpips(tmp_path)
    main(tmp_path / "hr", tmp_path / "lr", lpips, tmp_path / "w.safetensors")
    said = capsys.readouterr().out
    assert "2 pictures, 1 more" in said
    assert "| no texture |" in said
    assert "| textures of the other half |" in said
