"""`patchscaler texture build` and `upscale --texture` as a user calls them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from patchscaler_cli.models.memory_file import StoredMemory, load_memory
from patchscaler_cli.models.weights_file import load_weights, save_weights
from tests.fake_upscaler import RunCli
from tests.small_model import CALIBRATION, small_model
from tests.texture_photos import save_textures, texture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two photographs of stripes and two of blobs."""
    save_textures(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, small_model(), {"calibration": CALIBRATION})
    return path


@pytest.fixture
def memory(run_cli: RunCli, photos: Path, weights: Path, tmp_path: Path) -> Path:
    """A memory built of the photographs."""
    path = tmp_path / "textures.safetensors"
    result = run_cli("texture", "build", photos, "-o", path, "--weights", weights, "--device", "cpu", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    return path


def _load(path: Path, weights: Path) -> StoredMemory:
    return load_memory(path, load_weights(weights)[0])


# ---- build ----------------------------------------------------------------------------------------------------------


def test_build_writes_a_memory_of_the_models_own_size(memory: Path, weights: Path) -> None:
    stored = _load(memory, weights)
    assert (len(stored.keys), stored.photos, stored.pictures) == (8, 4, None)


def test_build_says_what_it_made(run_cli: RunCli, photos: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.safetensors"
    result = run_cli("texture", "build", photos, "-o", output, "--weights", weights, "--entries", 3)
    assert f"{output}: 3 textures of 4 photographs for the model small" in result.stdout
    assert "pictures: 4 pictures" in result.stderr


def test_build_keeps_pictures_if_asked(run_cli: RunCli, photos: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.safetensors"
    run_cli("texture", "build", photos, "-o", output, "--weights", weights, "--entries", 3, "--keep-pictures")
    pictures = _load(output, weights).pictures
    assert pictures is not None
    assert pictures.shape == (3, 3, 32, 32)


def test_the_same_seed_writes_the_same_tensors(
    run_cli: RunCli, memory: Path, photos: Path, weights: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.safetensors"
    run_cli("texture", "build", photos, "-o", again, "--weights", weights, "--device", "cpu", "--seed", 0)
    one, other = _load(memory, weights), _load(again, weights)
    assert torch.equal(one.keys, other.keys)
    assert torch.equal(one.values, other.values)


def test_build_names_bad_files_and_goes_on(run_cli: RunCli, photos: Path, weights: Path, tmp_path: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"nothing")
    result = run_cli("texture", "build", photos, "-o", tmp_path / "t.safetensors", "--weights", weights)
    assert result.exit_code == 0
    assert f"Warning: {photos / 'bad.jpg'}" in result.stderr


def test_build_looks_into_folders_of_the_folder_if_asked(
    run_cli: RunCli, photos: Path, weights: Path, tmp_path: Path
) -> None:
    output = tmp_path / "t.safetensors"
    save_textures(photos / "more", each=1)
    run_cli("texture", "build", photos, "-o", output, "--weights", weights, "--recursive")
    assert _load(output, weights).photos == 6


def test_an_existing_file_is_refused_and_kept(run_cli: RunCli, photos: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.safetensors"
    output.write_bytes(b"mine")
    result = run_cli("texture", "build", photos, "-o", output, "--weights", weights)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert output.read_bytes() == b"mine"


def test_overwrite_replaces_an_existing_file(run_cli: RunCli, memory: Path, photos: Path, weights: Path) -> None:
    result = run_cli("texture", "build", photos, "-o", memory, "--weights", weights, "--entries", 2, "--overwrite")
    assert result.exit_code == 0
    assert len(_load(memory, weights).keys) == 2


def test_a_build_that_fails_leaves_the_old_file(
    run_cli: RunCli, memory: Path, weights: Path, tmp_path: Path
) -> None:  # fmt: skip
    before = memory.read_bytes()
    sky = tmp_path / "sky"
    sky.mkdir()
    Image.new("RGB", (99, 99)).save(sky / "sky.png")
    result = run_cli("texture", "build", sky, "-o", memory, "--weights", weights, "--overwrite")
    assert result.exit_code == 1
    assert "None of the 1 pictures holds a texture" in result.stderr
    assert memory.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "exit_code", "sentence"),
    [
        (("missing", "-o", "t.safetensors"), 1, "There is no folder missing"),
        (("photos", "-o", "t.png"), 2, "does not end in .safetensors"),
        (("photos", "-o", "no/t.safetensors"), 1, "does not exist"),
        (("photos", "-o", "photos"), 2, "is a folder"),
        (("photos", "-o", "t.safetensors", "--entries", "0"), 2, "--entries must be from 1 to 4096"),
        (("photos", "-o", "t.safetensors", "--seed", "-1"), 2, "--seed must be from 0"),
        (("photos", "-o", "t.safetensors", "--device", "gpu"), 2, "--device must be"),
        (("photos", "-o", "t.safetensors", "--model", "tiny"), 2, "only one of --model and --weights"),
        (("empty", "-o", "t.safetensors"), 1, "holds no pictures"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_build_refuses_what_cannot_work(
    run_cli: RunCli,
    photos: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    exit_code: int,
    sentence: str,
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("empty").mkdir()
    result = run_cli("texture", "build", *words, "--weights", weights)
    assert (result.exit_code, result.stderr.count("\n")) == (exit_code, 1)
    assert sentence in result.stderr


# ---- upscale --texture ----------------------------------------------------------------------------------------------


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photograph of blobs."""
    Image.fromarray(texture("blobs", 5, 24, 30)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_upscale_uses_the_memory(run_cli: RunCli, memory: Path, weights: Path, photo: Path, tmp_path: Path) -> None:
    own, usual = tmp_path / "own.png", tmp_path / "usual.png"
    common = ("upscale", photo, "--weights", weights, "--device", "cpu", "--dtype", "fp32")
    assert run_cli(*common, "-o", own, "--texture", memory).exit_code == 0
    assert run_cli(*common, "-o", usual).exit_code == 0
    assert not np.array_equal(np.asarray(Image.open(own)), np.asarray(Image.open(usual)))


def test_upscale_refuses_a_memory_of_other_weights(
    run_cli: RunCli, memory: Path, photo: Path, tmp_path: Path
) -> None:  # fmt: skip
    save_weights(tmp_path / "other.safetensors", small_model(seed=1), {"calibration": CALIBRATION})
    result = run_cli("upscale", photo, "--weights", tmp_path / "other.safetensors", "--texture", memory)
    assert result.exit_code == 1
    assert f"{memory}: other weights" in result.stderr


@pytest.mark.usefixtures("fake_upscaler")
def test_upscale_refuses_a_memory_together_with_no_texture(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo, "--texture", "t.safetensors", "--no-texture")
    assert result.exit_code == 2
    assert "only one of --texture and --no-texture" in result.stderr


def test_upscale_refuses_a_missing_memory_before_it_loads_the_model(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo, "--texture", "none.safetensors", "--weights", "none of these either")
    assert result.exit_code == 1
    assert "no texture memory none.safetensors" in result.stderr


def test_upscale_takes_photographs_in_place_of_a_memory(
    run_cli: RunCli, memory: Path, photos: Path, weights: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    results = []
    for number, textures in enumerate((memory, photos, photos / "blobs-0.png", photos / "stripes-0.png")):
        output = tmp_path / f"{number}.png"
        common = ("upscale", photo, "--weights", weights, "--device", "cpu", "--dtype", "fp32", "--quiet")
        assert run_cli(*common, "-o", output, "--texture", textures).exit_code == 0
        results.append(np.asarray(Image.open(output)))
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[2], results[3])
    assert not list(scratch.iterdir())


def test_upscale_refuses_a_folder_without_photographs_before_it_loads_the_model(
    run_cli: RunCli, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    result = run_cli("upscale", photo, "--texture", tmp_path / "empty", "--weights", "none of these either")
    assert result.exit_code == 1
    assert "holds no pictures" in result.stderr


def test_a_cluster_needs_a_memory_file(run_cli: RunCli, photo: Path, photos: Path) -> None:
    result = run_cli("upscale", photo, "--texture", photos, "--engine", "ray")
    assert result.exit_code == 2
    assert "other machines see no memory" in result.stderr


def test_a_dry_run_makes_no_memory(run_cli: RunCli, photo: Path, photos: Path, weights: Path) -> None:
    result = run_cli("upscale", photo, "--texture", photos, "--weights", weights, "--dry-run")
    assert result.exit_code == 0
    assert "pictures: 4 pictures" not in result.stderr


def test_explain_takes_photographs_and_shows_them(
    run_cli: RunCli, photo: Path, photos: Path, weights: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert run_cli("explain", photo, "-o", page, "--texture", photos, "--weights", weights, "--quiet").exit_code == 0
    assert f"{photos}, 8 entries" in page.read_text()


def test_the_models_own_textures_can_be_asked_for(run_cli: RunCli, photo: Path, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": CALIBRATION | {"texture": False}})
    results: dict[tuple[str, ...], np.ndarray] = {}
    for words in ((), ("--texture", "model"), ("--no-texture",)):
        output = tmp_path / f"{len(results)}.png"
        common = ("upscale", photo, "--weights", tmp_path / "w.safetensors", "--dtype", "fp32", "--quiet")
        assert run_cli(*common, "-o", output, *words).exit_code == 0
        results[words] = np.asarray(Image.open(output))
    assert np.array_equal(results[()], results["--no-texture",])
    assert not np.array_equal(results[()], results["--texture", "model"])
