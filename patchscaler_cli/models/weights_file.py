"""The weights file: fp16 safetensors whose metadata carries all that is needed to use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.patchscaler import ModelConfig, PatchScalerModel
from patchscaler_cli.models.tensor_file import (
    as_stored,
    check_format,
    fill,
    fill_what_fits,
    open_tensors,
    write_tensors,
)

FORMAT = "patchscaler-weights-1"


def save_weights(path: Path, model: PatchScalerModel, details: dict[str, Any]) -> None:
    """Write `model` as fp16, whole or not at all.

    Args:
        path: the file to write.
        model: all five parts.
        details: JSON values that travel along: calibration, data licences, seed, figures. Key "config" is taken.

    Raises:
        PatchScalerError: if the file cannot be written.
    """
    tensors = {name: as_stored(tensor) for name, tensor in model.state_dict().items()}
    metadata = {"format": FORMAT, "config": json.dumps(model.config.to_dict())}
    metadata |= {key: json.dumps(value) for key, value in details.items()}
    write_tensors(path, tensors, metadata)


def load_weights(path: Path) -> tuple[PatchScalerModel, dict[str, Any]]:
    """Read a weights file, strictly: every tensor of the model must be there in its shape, and none besides.

    Returns:
        The model in fp32 on the CPU, in eval mode without gradients, and the file's details (JSON values by key).

    Raises:
        PatchScalerError: naming the file and the first thing wrong with it.
    """
    with open_tensors(path, "weights file") as file:
        metadata = file.metadata() or {}
        model = PatchScalerModel(_read_config(path, metadata))
        fill(path, file, model.state_dict(), f"the model {model.config.name!r}")
    return model.eval().requires_grad_(False), _details(metadata)


def load_to_train_on(path: Path) -> tuple[PatchScalerModel, dict[str, Any], list[str]]:
    """Read a weights file that an earlier version may have written, to train on from it.

    Returns:
        As `load_weights`, and the names of the tensors that the file does not have so: they are as in an untrained model.

    Raises:
        PatchScalerError: naming the file and what is wrong with it.
    """
    with open_tensors(path, "weights file") as file:
        metadata = file.metadata() or {}
        model = PatchScalerModel(_read_config(path, metadata))
        untrained = fill_what_fits(file, model.state_dict())
    return model.eval().requires_grad_(False), _details(metadata), untrained


def _details(metadata: dict[str, str]) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in metadata.items() if key not in ("format", "config")}


def _read_config(path: Path, metadata: dict[str, str]) -> ModelConfig:
    check_format(path, metadata, FORMAT, "these are not weights of PatchScaler", "patchscaler train export")
    try:
        return ModelConfig.from_dict(json.loads(metadata["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PatchScalerError(
            f"{path}: the model's configuration in its metadata cannot be used ({error})."
        ) from error
