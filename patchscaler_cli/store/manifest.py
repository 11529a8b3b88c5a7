"""The manifest: every model by name, with what its weights file must be and where it comes from.

It is a data file, manifest.json beside this module. After new bundled weights were exported, this brings their size,
sha256, licence and figures up to date:

    python -m patchscaler_cli.store.refresh
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patchscaler_cli.errors import PatchScalerError, UsageError

MANIFEST = Path(__file__).with_name("manifest.json")

Figures = dict[str, dict[str, float]]
"""Means over a set of validation pictures: set → metric → value."""


@dataclass(frozen=True)
class Model:
    """A named model and the one file that holds its weights.

    Attributes:
        name: what --model takes.
        file: the file's name, without folders; it ends in .safetensors, for no other format is ever read.
        size: bytes of the file.
        sha256: its digest in lower-case hex.
        licence: SPDX identifier of the weights' licence.
        purpose: one sentence on what the model is for.
        bundled: whether the file travels inside the wheel.
        urls: where it can be downloaded, in the order of trying; may be empty.
        figures: how it did on the validation pictures.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    purpose: str
    bundled: bool
    urls: tuple[str, ...]
    figures: Figures

    def matches(self, path: Path) -> bool:
        """Whether the file there has this model's size and digest; False if there is none.

        Raises:
            PatchScalerError: if the file cannot be read.
        """
        try:
            return path.is_file() and path.stat().st_size == self.size and sha256_of(path) == self.sha256
        except OSError as error:
            raise PatchScalerError(f"{path}: cannot read the weights file ({error}); check its permissions.") from error


def sha256_of(path: Path) -> str:
    """The file's digest in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_manifest(path: Path | None = None) -> dict[str, Model]:
    """All models by name, in the file's order.

    Args:
        path: another manifest than the package's own.

    Raises:
        PatchScalerError: naming the file and the first thing wrong with it.
    """
    path = path or MANIFEST
    try:
        models = json.loads(path.read_text(encoding="utf-8"))["models"]
        return {name: _read_model(name, fields) for name, fields in models.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PatchScalerError(
            f"{path}: the list of models cannot be used ({type(error).__name__}: {error}); reinstall PatchScaler."
        ) from error


def find_model(name: str) -> Model:
    """The model of that name.

    Raises:
        UsageError: if there is none, with the names that there are.
        PatchScalerError: if the manifest cannot be used.
    """
    models = load_manifest()
    if name not in models:
        raise UsageError(f"There is no model {name!r}; choose one of {', '.join(models)}.")
    return models[name]


def _read_model(name: str, fields: dict[str, Any]) -> Model:
    """Check one entry.

    Raises:
        ValueError, KeyError, TypeError: saying what is wrong.
    """
    model = Model(name=name, **(fields | {"urls": tuple(fields["urls"])}))
    # A name with folders in it could lead out of the cache; another ending could be a format that runs code when read.
    if not re.fullmatch(r"\w[\w.-]*\.safetensors", model.file):
        raise ValueError(f"file of {name!r} must be a plain name ending in .safetensors, not {model.file!r}")
    if not re.fullmatch(r"[0-9a-f]{64}", model.sha256):
        raise ValueError(f"sha256 of {name!r} must be 64 hexadecimal digits, not {model.sha256!r}")
    if type(model.size) is not int or model.size < 0:
        raise ValueError(f"size of {name!r} must be a number of bytes, not {model.size!r}")
    if type(model.bundled) is not bool:
        raise ValueError(f"bundled of {name!r} must be true or false, not {model.bundled!r}")
    for url in model.urls:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"urls of {name!r} must begin with http:// or https://, not {url!r}")
    return model
