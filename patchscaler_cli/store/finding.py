"""From a model's name to its weights file: bundled, else cached, else downloaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.store.manifest import Model, find_model
from patchscaler_cli.store.places import addresses, bundled_file, cache_folder, cached_file, offline
from patchscaler_cli.store.progress import DownloadProgress, SilentProgress


@dataclass(frozen=True)
class Found:
    """A weights file on this machine.

    Attributes:
        path: the file.
        place: whether it travels with the program or was downloaded.
    """

    path: Path
    place: Literal["bundled", "cache"]


def locate(model: Model) -> Found | None:
    """The model's weights file, bundled before cached, whatever is in it; None if there is none."""
    bundled = bundled_file(model)
    if bundled is not None:
        return Found(bundled, "bundled")
    cached = cached_file(model)
    return Found(cached, "cache") if cached.is_file() else None


class FileState(StrEnum):
    """What a weights file is, measured against the manifest."""

    MATCHES = "matches the manifest"
    DIFFERS = "differs from the manifest"
    MISSING = "not on this machine"


def check(model: Model) -> FileState:
    """Whether the model's weights file is what the manifest says.

    Raises:
        PatchScalerError: if the file cannot be read.
    """
    found = locate(model)
    if found is None:
        return FileState.MISSING
    return FileState.MATCHES if model.matches(found.path) else FileState.DIFFERS


def refuse_both(model: str | None, weights: Path | str | None) -> None:
    """Raises UsageError if weights are named twice: as a model's and as a file."""
    if model is not None and weights is not None:
        raise UsageError("Give only one of --model and --weights: both say which weights are used.")


def find_weights(
    name: str,
    *,
    may_download: bool = True,
    progress: DownloadProgress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """The weights file of a model; the first use of one that is not bundled downloads it.

    A bundled file is taken as it is. One in the cache is compared with the manifest at every use (0.05 s for 60 MiB where
    the processor has SHA instructions), so that one that was cut, spoilt or put there for another version is never loaded.

    Args:
        name: the model's name.
        may_download: False forbids it, as PATCHSCALER_OFFLINE=1 does.
        progress: told how far a download is.
        wait: how seconds are spent before a failed download is tried again.

    Raises:
        UsageError: if there is no model of that name.
        PatchScalerError: if the file is neither here nor to be had.
    """
    model = find_model(name)
    found = locate(model)
    if found is not None and (found.place == "bundled" or model.matches(found.path)):
        return found.path

    from patchscaler_cli.store.download import by_hand, download  # takes 0.2 s, which bundled weights need not wait for

    state = "not on this machine" if found is None else f"damaged or of another version ({found.path})"
    urls, target = addresses(model), cached_file(model)
    if not urls and model.bundled:
        raise PatchScalerError(
            f"The weights of {name!r} travel with PatchScaler, but {model.file} is missing; reinstall it, or give a "
            "weights file with --weights."
        )
    if not urls:
        raise PatchScalerError(
            f"The weights of {name!r} are {state}, and there is no address to download them from; "
            f"{by_hand(model, urls, target)}, or give a weights file with --weights."
        )
    if offline() or not may_download:
        raise PatchScalerError(
            f"The weights of {name!r} are {state}, and downloads are switched off (--offline or PATCHSCALER_OFFLINE); "
            f"{by_hand(model, urls, target)}."
        )
    download(model, urls, target, progress or SilentProgress(), wait)
    return target


def remove_weights(name: str) -> list[Path]:
    """Delete what a model has in the cache, an unfinished download too.

    Returns:
        The files deleted.

    Raises:
        UsageError: if there is no model of that name, or it has nothing in the cache.
        PatchScalerError: if a file cannot be deleted.
    """
    model = find_model(name)
    target = cached_file(model)
    files = [path for path in (target, *sorted(cache_folder().glob(f"{model.file}.*.partial"))) if path.is_file()]
    if not files:
        reason = "they travel with the program" if bundled_file(model) else f"there are none in {cache_folder()}"
        raise UsageError(f"The weights of {name!r} cannot be removed: {reason}.")
    for path in files:
        try:
            path.unlink()
        except OSError as error:
            raise PatchScalerError(f"{path}: cannot delete it ({error}); check its permissions.") from error
    return files
