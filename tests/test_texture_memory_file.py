"""A texture memory's file is read strictly, by the model that made it only, and whatever is wrong is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.memory_file import StoredMemory, fingerprint, load_memory, save_memory
from patchscaler_cli.models.weights_file import load_weights, save_weights
from tests.small_model import CALIBRATION, small_model

Tensors = dict[str, torch.Tensor]


def _memory(entries: int = 5, pictures: bool = True) -> StoredMemory:
    generator = torch.Generator().manual_seed(0)
    return StoredMemory(
        torch.nn.functional.normalize(torch.randn(entries, 8, generator=generator), dim=1),
        torch.randn(entries, 4, 16, generator=generator),
        photos=3,
        pictures=torch.randint(256, (entries, 3, 32, 32), dtype=torch.uint8, generator=generator) if pictures else None,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "textures.safetensors"
    save_memory(path, _memory(), small_model())
    return path


def test_keys_and_values_come_back_as_they_were_saved_in_fp16(file: Path) -> None:
    loaded = load_memory(file, small_model())
    assert torch.equal(loaded.keys, _memory().keys.half().float())
    assert torch.equal(loaded.values, _memory().values.half().float())


def test_pictures_come_back_as_they_were_saved(file: Path) -> None:
    loaded, saved = load_memory(file, small_model()).pictures, _memory().pictures
    assert loaded is not None
    assert saved is not None
    assert torch.equal(loaded, saved)


def test_a_memory_without_pictures_has_none(tmp_path: Path) -> None:
    save_memory(tmp_path / "m.safetensors", _memory(pictures=False), small_model())
    assert load_memory(tmp_path / "m.safetensors", small_model()).pictures is None


def test_the_metadata_says_what_it_is_made_of(file: Path) -> None:
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    assert (metadata["model"], metadata["photos"], metadata["entries"]) == ('"small"', "3", "5")
    assert json.loads(metadata["texture"])["token_width"] == 16


def test_nothing_but_the_file_itself_is_left_after_saving(file: Path) -> None:
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "m.safetensors"
    taken.mkdir()
    with pytest.raises(PatchScalerError, match=r"m\.safetensors: could not be written"):
        save_memory(taken, _memory(), small_model())
    assert list(tmp_path.iterdir()) == [taken]


def test_a_model_has_the_same_fingerprint_before_and_after_its_weights_were_saved(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": CALIBRATION})
    assert fingerprint(load_weights(tmp_path / "w.safetensors")[0]) == fingerprint(small_model())


def test_weights_trained_again_under_the_same_name_are_other_weights(file: Path) -> None:
    with pytest.raises(PatchScalerError, match=r"other weights \(model 'small'\).*patchscaler texture build") as caught:
        load_memory(file, small_model(seed=1))
    assert str(file) in str(caught.value)


def test_a_change_of_the_denoiser_alone_leaves_memories_usable(file: Path) -> None:
    model = small_model()
    model.patch_dit.load_state_dict(small_model(seed=1).patch_dit.state_dict())
    assert len(load_memory(file, model).keys) == 5


def _rewrite(path: Path, change: Callable[[Tensors, dict[str, str]], None]) -> None:
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118
    change(tensors, metadata)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors, _: tensors.pop("values"), "'values' of a memory of 5 entries for 'small' is missing"),
        (lambda tensors, _: tensors.update(extra=torch.zeros(1)), "'extra' has no place"),
        (lambda tensors, _: tensors.update(keys=torch.zeros(5, 9)), r"'keys' has the shape \[5, 9\]"),
        (lambda tensors, _: tensors.update(pictures=torch.zeros(5, 3, 8, 8)), "'pictures' has the shape"),
        (lambda _, metadata: metadata.update(entries="4"), r"'keys' has the shape \[5, 8\].*needs \[4, 8\]"),
        (lambda _, metadata: metadata.update(entries="0"), "says 0 entries"),
        (lambda _, metadata: metadata.update(entries="9" * 12), "says 999999999999 entries"),
        (lambda _, metadata: metadata.update(photos="many"), "metadata cannot be used"),
        (lambda _, metadata: metadata.pop("fingerprint"), "metadata cannot be used"),
        (lambda _, metadata: metadata.pop("format"), "no texture memory of PatchScaler"),
    ],
)
def test_a_foreign_or_changed_file_is_refused_by_name(
    file: Path, change: Callable[[Tensors, dict[str, str]], None], words: str
) -> None:
    _rewrite(file, change)
    with pytest.raises(PatchScalerError, match=words) as caught:
        load_memory(file, small_model())
    assert str(file) in str(caught.value)


def test_a_weights_file_is_no_texture_memory(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": CALIBRATION})
    with pytest.raises(PatchScalerError, match="'patchscaler-weights-1', not 'patchscaler-textures-1'"):
        load_memory(tmp_path / "w.safetensors", small_model())


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", None], ids=["empty", "text", "truncated"])
def test_a_file_that_is_no_whole_safetensors_file_is_refused(file: Path, content: bytes | None) -> None:
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    with pytest.raises(PatchScalerError, match="not a whole safetensors file"):
        load_memory(file, small_model())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match=r"none\.safetensors: no such texture memory"):
        load_memory(tmp_path / "none.safetensors", small_model())
