"""The weights file: fp16 safetensors whose metadata carries all that is needed to use it. Nothing is ever unpickled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.patchscaler import ModelConfig, PatchScalerModel

FORMAT = "patchscaler-weights-1"


def save_weights(path: Path, model: PatchScalerModel, details: dict[str, Any]) -> None:
    """Write `model` as fp16 under a temporary name, then rename it.

    Args:
        path: the file to write.
        model: all five parts.
        details: JSON values that travel along: calibration, data licences, seed, figures. Key "config" is taken.
    """
    tensors = {
        name: tensor.detach().cpu().to(torch.float16).contiguous() for name, tensor in model.state_dict().items()
    }
    metadata = {"format": FORMAT, "config": json.dumps(model.config.to_dict())}
    metadata |= {key: json.dumps(value) for key, value in details.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(save(tensors, metadata))  # not save_file: it makes files that only their owner may read
    os.replace(partial, path)


def load_weights(path: Path) -> tuple[PatchScalerModel, dict[str, Any]]:
    """Read a weights file, strictly: every tensor of the model must be there in its shape, and none besides.

    Returns:
        The model in fp32 on the CPU, in eval mode without gradients, and the file's details (JSON values by key).

    Raises:
        PatchScalerError: naming the file and the first thing wrong with it.
    """
    if not path.is_file():
        raise PatchScalerError(f"{path}: no such weights file.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            config = _read_config(path, metadata)
            model = PatchScalerModel(config)
            _fill(path, model, file)
    except (SafetensorError, OSError) as error:
        raise PatchScalerError(
            f"{path}: this is not a whole safetensors file ({error}); download or copy it again."
        ) from error
    details = {key: json.loads(value) for key, value in metadata.items() if key not in ("format", "config")}
    return model.eval().requires_grad_(False), details


def _read_config(path: Path, metadata: dict[str, str]) -> ModelConfig:
    if metadata.get("format") != FORMAT:
        raise PatchScalerError(
            f"{path}: these are not weights of PatchScaler (its metadata says format "
            f"{metadata.get('format', 'nothing')!r}, not {FORMAT!r}); give a file made by `patchscaler train export`."
        )
    try:
        return ModelConfig.from_dict(json.loads(metadata["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PatchScalerError(
            f"{path}: the model's configuration in its metadata cannot be used ({error})."
        ) from error


def _fill(path: Path, model: PatchScalerModel, file: Any) -> None:
    wanted, found = model.state_dict(), set(file.keys())
    for name in sorted(found - wanted.keys()):
        raise PatchScalerError(f"{path}: tensor {name!r} has no place in the model {model.config.name!r}.")
    for name, tensor in wanted.items():
        if name not in found:
            raise PatchScalerError(f"{path}: tensor {name!r} of the model {model.config.name!r} is missing.")
        stored = file.get_tensor(name)
        if stored.shape != tensor.shape:
            shapes = f"{list(stored.shape)}, but the model {model.config.name!r} needs {list(tensor.shape)}"
            raise PatchScalerError(f"{path}: tensor {name!r} has the shape {shapes}.")
        tensor.copy_(stored)
