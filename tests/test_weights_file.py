"""A weights file is read strictly, and whatever is wrong with it is one sentence that names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.weights_file import load_weights, save_weights
from tests.small_model import CALIBRATION, small_model

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, small_model(), {"calibration": CALIBRATION})
    return path


def test_a_model_comes_back_as_it_was_saved_in_fp16(weights: Path) -> None:
    model, details = load_weights(weights)
    for name, tensor in small_model().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor.to(torch.float16).float()), name
    assert details["calibration"] == CALIBRATION
    assert model.config == small_model().config


def test_nothing_but_the_file_itself_is_left_after_saving(weights: Path) -> None:
    assert [file.name for file in weights.parent.iterdir()] == ["small.safetensors"]


def _rewrite(path: Path, change: Callable[[Tensors, dict[str, str]], None]) -> None:
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118
    change(tensors, metadata)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors, _: tensors.pop("coarse.head.weight"), "'coarse.head.weight' of the model 'small' is missing"),
        (lambda tensors, _: tensors.update(extra=torch.zeros(1)), "'extra' has no place"),
        (
            lambda tensors, _: tensors.update({"coarse.head.bias": torch.zeros(5)}),
            r"'coarse.head.bias' has the shape \[5\]",
        ),
        (lambda _, metadata: metadata.pop("format"), "not weights of PatchScaler"),
        (lambda _, metadata: metadata.update(config=json.dumps({"name": "small"})), "configuration"),
    ],
)
def test_a_foreign_or_changed_file_is_refused_by_name(
    weights: Path, change: Callable[[Tensors, dict[str, str]], None], words: str
) -> None:
    _rewrite(weights, change)
    with pytest.raises(PatchScalerError, match=words) as caught:
        load_weights(weights)
    assert str(weights) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", "truncated"])
def test_a_file_that_is_no_whole_safetensors_file_is_refused(weights: Path, content: bytes | str) -> None:
    weights.write_bytes(weights.read_bytes()[:-1000] if isinstance(content, str) else content)
    with pytest.raises(PatchScalerError, match="not a whole safetensors file"):
        load_weights(weights)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match=r"none\.safetensors: no such weights file"):
        load_weights(tmp_path / "none.safetensors")
