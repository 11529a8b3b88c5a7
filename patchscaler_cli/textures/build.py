"""From photographs to a texture memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.models.diversity import pick_diverse
from patchscaler_cli.models.memory_file import MOST_ENTRIES, PICTURE_SIDE, StoredMemory
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.tensor_file import as_stored
from patchscaler_cli.models.texture import TEXTURE_SIDE
from patchscaler_cli.pipeline.pixels import AnyArray, as_array
from patchscaler_cli.pipeline.settings import NoProgress, Progress
from patchscaler_cli.textures.candidates import cut, draw_corners

PER_ENTRY = 32
"""Candidates for every entry, as in training."""
BATCH = 256
"""Patches that go through the networks together."""


def check_choice(entries: int, seed: int) -> None:
    """Refuse a number of entries that no memory may have, and a seed that no generator takes.

    Raises:
        UsageError: naming the option and its range.
    """
    if not 1 <= entries <= MOST_ENTRIES:
        raise UsageError(f"--entries must be from 1 to {MOST_ENTRIES}, not {entries}.")
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed must be from 0 to 2^63 - 1, not {seed}.")


def check_memory_path(path: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a memory file that must not or could not be written.

    Raises:
        UsageError: if the path is a folder or has not the ending .safetensors.
        PatchScalerError: if the file exists and must not be replaced, or its folder is missing.
    """
    if path.is_dir():
        raise UsageError(f"The output {path} is a folder; give the path of a file in it.")
    if path.suffix.lower() != ".safetensors":
        raise UsageError(
            f"The output {path} does not end in .safetensors, as a memory's name must; give it another name."
        )
    if path.exists() and not overwrite:
        raise PatchScalerError(f"The output {path} exists already; give --overwrite to replace it, or another name.")
    if not path.resolve().parent.is_dir():
        raise PatchScalerError(f"The output's folder {path.resolve().parent} does not exist; create it first.")


@torch.no_grad()
def build_memory(
    model: PatchScalerModel,
    photos: list[Path],
    entries: int,
    *,
    seed: int = 0,
    keep_pictures: bool = False,
    notice: Callable[[str], None] = lambda sentence: None,
    progress: Progress | None = None,
) -> StoredMemory:
    """Choose textures from photographs and encode them.

    Every photograph gives the same share of the candidates, drawn among its textured patches; of all candidates, those
    are kept that are most unlike each other. Only keys and tokens of candidates are held, so memory does not grow with
    the photographs.

    Args:
        model: whose classifier and encoder make keys and values; it computes where it lies.
        photos: picture files, at least one.
        entries: how many textures are wanted; fewer are kept where two would be the same or the photos hold fewer.
        seed: of the draw; on one machine, the same photos, model and seed give the same memory.
        keep_pictures: keep what each entry looks like.
        notice: told of every photo that is passed over, and why.
        progress: told how far the work is: stage "pictures".

    Returns:
        The memory on the CPU, keys in fp32 and values in fp16, its entries in the order of the photos.

    Raises:
        UsageError: if `entries` or `seed` is out of range.
        PatchScalerError: if no photo holds a texture.
    """
    check_choice(entries, seed)
    progress = progress or NoProgress()
    progress.begin("pictures", len(photos))
    generator = torch.Generator().manual_seed(seed)
    share = -(-entries * PER_ENTRY // len(photos))
    keys, values, pictures, used = [], [], [], 0
    for path in photos:
        try:
            photo = _read(path)
        except PatchScalerError as error:
            notice(f"{error} It is passed over.")
        else:
            corners = draw_corners(photo, share, generator)
            if len(corners) == 0:
                notice(f"{path} is flat or blurred throughout, and passed over.")
            used += len(corners) > 0
            for start in range(0, len(corners), BATCH):
                patches = cut(photo, corners[start : start + BATCH]).to(model.memory.keys.device)
                keys.append(model.classifier(patches).cpu())
                values.append(as_stored(model.encoder.encode(patches, own=True)))
                if keep_pictures:
                    pictures.append(_small(patches))
        progress.advance("pictures")
    if not keys:
        raise PatchScalerError(
            f"None of the {len(photos)} pictures holds a texture; give sharp photographs of {TEXTURE_SIDE}x{TEXTURE_SIDE} pixels and more."
        )
    embeddings = torch.cat(keys)
    chosen = sorted(set(pick_diverse(embeddings, entries, generator=generator).tolist()))
    kept = torch.cat(pictures)[chosen] if keep_pictures else None
    return StoredMemory(embeddings[chosen], torch.cat(values)[chosen], used, kept)


def _read(path: Path) -> AnyArray:
    """A photo [H, W, 3] of at least one patch; raises PatchScalerError."""
    photo = as_array(read_picture(path, first_frame=True).pixels)
    height, width = photo.shape[:2]
    if min(height, width) < TEXTURE_SIDE:
        raise PatchScalerError(
            f"{path} has {width}x{height} pixels, but a texture takes {TEXTURE_SIDE}x{TEXTURE_SIDE}."
        )
    return photo


def _small(patches: Tensor) -> Tensor:
    """Patches [n, 3, 64, 64] in [-1, 1] as pictures for people: uint8 [n, 3, 32, 32]."""
    levels = (F.interpolate(patches, (PICTURE_SIDE, PICTURE_SIDE), mode="area") + 1) * 127.5
    return levels.round().clamp(0, 255).to(torch.uint8).cpu()
