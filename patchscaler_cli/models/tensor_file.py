"""Safetensors files whose metadata says what they are: written whole or not at all, read strictly, never unpickled."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError


def as_stored(tensor: Tensor) -> Tensor:
    """A tensor as files hold it: fp16, on the CPU, contiguous."""
    return tensor.detach().cpu().to(torch.float16).contiguous()


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a file under a temporary name, then rename it; missing folders are made.

    Raises:
        PatchScalerError: if the file cannot be written; one that was there before is then as it was.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save(tensors, metadata))  # not save_file: it makes files that only their owner may read
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise PatchScalerError(
            f"{path}: could not be written ({error.strerror}); check the disk, or choose another folder."
        ) from error


@contextmanager
def open_tensors(path: Path, what: str) -> Iterator[Any]:
    """An open safetensors file, for as long as the block runs.

    Args:
        path: the file.
        what: what it should be, such as "weights file".

    Raises:
        PatchScalerError: if the file is not there, or the block comes upon a part of it that is broken.
    """
    if not path.is_file():
        raise PatchScalerError(f"{path}: no such {what}.")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise PatchScalerError(
            f"{path}: this is not a whole safetensors file ({error}); download or copy it again."
        ) from error


def check_format(path: Path, metadata: Mapping[str, str], wanted: str, otherwise: str, maker: str) -> None:
    """Refuse a file of another format.

    Args:
        path: the file.
        metadata: of the file.
        wanted: the format's tag.
        otherwise: the sentence's beginning, such as "these are not weights of PatchScaler".
        maker: the command that makes such files.

    Raises:
        PatchScalerError: if the metadata has another tag, or none.
    """
    found = metadata.get("format", "nothing")
    if found != wanted:
        raise PatchScalerError(
            f"{path}: {otherwise} (its metadata says format {found!r}, not {wanted!r}); give a file made by `{maker}`."
        )


def fill(path: Path, file: Any, wanted: Mapping[str, Tensor], owner: str) -> None:
    """Copy the file's tensors into `wanted`, by name; every one must be there in its shape, and none besides.

    Args:
        path: the file.
        file: as `open_tensors` gives it.
        wanted: the tensors to fill.
        owner: what they belong to, such as "the model 'tiny'".

    Raises:
        PatchScalerError: naming the first tensor that does not fit.
    """
    found = set(file.keys())
    for name in sorted(found - wanted.keys()):
        raise PatchScalerError(f"{path}: tensor {name!r} has no place in {owner}.")
    for name, tensor in wanted.items():
        if name not in found:
            raise PatchScalerError(f"{path}: tensor {name!r} of {owner} is missing.")
        stored = file.get_tensor(name)
        if stored.shape != tensor.shape:
            shapes = f"{list(stored.shape)}, but {owner} needs {list(tensor.shape)}"
            raise PatchScalerError(f"{path}: tensor {name!r} has the shape {shapes}.")
        tensor.copy_(stored)


def fill_what_fits(file: Any, wanted: Mapping[str, Tensor]) -> list[str]:
    """Copy the file's tensors into those of `wanted` that have the same name and shape.

    Returns:
        The names of the others, which stay as they were.
    """
    found = set(file.keys())
    others = []
    for name, tensor in wanted.items():
        stored = file.get_tensor(name) if name in found else None
        if stored is not None and stored.shape == tensor.shape:
            tensor.copy_(stored)
        else:
            others.append(name)
    return others
