"""A texture memory in a file of its own, made of the user's photographs, to take the place of the model's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.tensor_file import as_stored, check_format, fill, open_tensors, write_tensors
from patchscaler_cli.models.texture import TextureMemory

FORMAT = "patchscaler-textures-1"
MOST_ENTRIES = 4096
"""Twice the largest model's; more would hardly be chosen and take long to choose from."""
PICTURE_SIDE = 32
"""Side of an entry's picture in pixels: half a patch's, enough to recognise it."""


@dataclass(frozen=True)
class StoredMemory:
    """What the file holds.

    Attributes:
        keys: unit vectors [M, D].
        values: value tokens [M, T, d].
        photos: how many photographs the entries were chosen from.
        pictures: what each entry looks like, uint8 RGB [M, 3, 32, 32]; None where the user did not ask to keep them.
    """

    keys: Tensor
    values: Tensor
    photos: int
    pictures: Tensor | None = None


def fingerprint(model: PatchScalerModel) -> str:
    """A digest of the weights that make keys and values, as fp16: two models share memories if it is the same."""
    digest = hashlib.sha256()
    for part in (model.classifier, model.encoder):
        for name, tensor in part.state_dict().items():
            digest.update(name.encode())
            digest.update(as_stored(tensor).numpy().tobytes())
    return digest.hexdigest()


def save_memory(path: Path, memory: StoredMemory, model: PatchScalerModel) -> None:
    """Write a memory, whole or not at all.

    Args:
        path: the file to write.
        memory: with at most MOST_ENTRIES entries.
        model: whose classifier and encoder made it.

    Raises:
        PatchScalerError: if the file cannot be written.
    """
    tensors = {"keys": as_stored(memory.keys), "values": as_stored(memory.values)}
    if memory.pictures is not None:
        tensors["pictures"] = memory.pictures.contiguous()
    facts = {
        "model": model.config.name,
        "texture": asdict(model.config.texture),
        "fingerprint": fingerprint(model),
        "photos": memory.photos,
        "entries": len(memory.keys),
    }
    write_tensors(path, tensors, {"format": FORMAT} | {key: json.dumps(fact) for key, fact in facts.items()})


def load_memory(path: Path, model: PatchScalerModel) -> StoredMemory:
    """Read a memory file, strictly, for use with `model`.

    Returns:
        The memory in fp32 on the CPU.

    Raises:
        PatchScalerError: naming the file and the first thing wrong with it, such as that another model made it.
    """
    with open_tensors(path, "texture memory") as file:
        metadata = file.metadata() or {}
        check_format(path, metadata, FORMAT, "this is no texture memory of PatchScaler", "patchscaler texture build")
        entries, photos = _read_facts(path, metadata, model)
        memory = TextureMemory(model.config.texture, entries)
        pictures = torch.zeros(entries, 3, PICTURE_SIDE, PICTURE_SIDE, dtype=torch.uint8)
        kept = {"pictures": pictures} if "pictures" in file.keys() else {}  # noqa: SIM118 (`file` is no mapping)
        fill(path, file, memory.state_dict() | kept, f"a memory of {entries} entries for {model.config.name!r}")
    return StoredMemory(memory.keys, memory.values, photos, pictures if kept else None)


def _read_facts(path: Path, metadata: dict[str, str], model: PatchScalerModel) -> tuple[int, int]:
    """How many entries and photos the metadata tells of, once it is sure that `model` made them."""
    try:
        maker, made_by = str(json.loads(metadata["model"])), json.loads(metadata["fingerprint"])
        entries, photos = int(json.loads(metadata["entries"])), int(json.loads(metadata["photos"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PatchScalerError(f"{path}: the memory's metadata cannot be used ({error}); build it again.") from error
    if made_by != fingerprint(model):
        raise PatchScalerError(
            f"{path}: other weights (model {maker!r}) made this texture memory than those in use "
            f"(model {model.config.name!r}); build it again with these, by `patchscaler texture build`."
        )
    if not 1 <= entries <= MOST_ENTRIES:
        raise PatchScalerError(
            f"{path}: the memory's metadata says {entries} entries, but it can be 1 to {MOST_ENTRIES}; build it again."
        )
    return entries, photos
