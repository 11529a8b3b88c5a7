"""The manifest: the package's own agrees with the bundled files, and a bad one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.store.manifest import Model, find_model, load_manifest
from patchscaler_cli.store.places import bundled_file
from patchscaler_cli.store.refresh import refresh
from tests.weights_shelf import Shelf


@pytest.mark.parametrize("model", load_manifest().values(), ids=lambda model: str(model.name))
def test_manifest_agrees_with_the_bundled_file(model: Model) -> None:
    path = bundled_file(model)
    if path is None:
        pytest.skip(f"{model.file} is not in this checkout")
    assert model.matches(path), "refresh the manifest: python -m patchscaler_cli.store.refresh"


def test_every_model_is_bundled_or_has_an_address() -> None:
    assert all(model.bundled or model.urls for model in load_manifest().values())


# ---- bad manifests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": "large.pth"}, "ending in .safetensors"),
        ({"file": "../large.safetensors"}, "plain name"),
        ({"sha256": "ABC"}, "64 hexadecimal digits"),
        ({"size": -1}, "number of bytes"),
        ({"size": "12 MiB"}, "number of bytes"),
        ({"bundled": "yes"}, "true or false"),
        ({"urls": ["ftp://example.org/large.safetensors"]}, "https://"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda value: str(next(iter(value.items()))) if isinstance(value, dict) else None,
)
def test_bad_entry_is_refused(shelf: Shelf, changes: dict[str, Any], said: str) -> None:
    shelf.write_manifest(**changes)
    with pytest.raises(PatchScalerError, match=said) as refusal:
        load_manifest()
    assert str(shelf.manifest) in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": {"large": {"file": "large.safetensors"}}}'])
def test_what_is_no_manifest_is_refused(shelf: Shelf, text: str) -> None:
    shelf.manifest.write_text(text)
    with pytest.raises(PatchScalerError, match="reinstall"):
        load_manifest()


# ---- refreshing -----------------------------------------------------------------------------------------------------


def export(path: Path) -> None:
    """A weights file with the metadata that `patchscaler train export` writes."""
    validation = {"val-lr/real": {"bicubic": {"psnr_y": 24.0}, "patchscaler": {"psnr_y": 25.5, "lpips": 0.25}}}
    metadata = {"licence": json.dumps("Apache-2.0"), "validation": json.dumps(validation)}
    save_file({"tensor": np.zeros(3, np.float16)}, path, metadata)


def test_refresh_makes_the_manifest_agree(shelf: Shelf) -> None:
    path = shelf.bundled / "small.safetensors"
    export(path)
    assert refresh() == [path]
    assert find_model("small").matches(path)


def test_refresh_takes_licence_and_figures_from_the_file(shelf: Shelf) -> None:
    export(shelf.bundled / "small.safetensors")
    refresh()
    assert find_model("small").licence == "Apache-2.0"
    assert find_model("small").figures == {"val-lr/real": {"psnr_y": 25.5, "lpips": 0.25}}


def test_refresh_leaves_models_without_a_file_alone(shelf: Shelf) -> None:
    (shelf.bundled / "small.safetensors").unlink()
    before = load_manifest()
    refresh()
    assert load_manifest() == before


def test_refresh_refuses_what_is_no_safetensors_file(shelf: Shelf) -> None:
    before = shelf.manifest.read_text()
    with pytest.raises(PatchScalerError, match=r"small\.safetensors: this is not a whole safetensors file"):
        refresh()
    assert shelf.manifest.read_text() == before
