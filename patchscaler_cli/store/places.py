"""Where weights files lie and come from: the bundled folders, the cache, and what the environment says about them.

PATCHSCALER_CACHE        the cache folder instead of the platform's own
PATCHSCALER_OFFLINE      1: never download
PATCHSCALER_WEIGHTS_URL  address of a mirror: a folder of weights files, tried before the manifest's addresses
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from patchscaler_cli.errors import UsageError
from patchscaler_cli.store.manifest import Model

_PACKAGE = Path(__file__).resolve().parent.parent
BUNDLED_FOLDERS = (_PACKAGE / "weights", _PACKAGE.parent / "weights")
"""In the wheel, and at the top of a development checkout."""


def bundled_file(model: Model) -> Path | None:
    """The model's weights file where it travels with the program and is there."""
    if not model.bundled:
        return None
    return next((path for path in (folder / model.file for folder in BUNDLED_FOLDERS) if path.is_file()), None)


def cache_folder() -> Path:
    """Where downloaded weights lie; it need not exist yet."""
    chosen = os.environ.get("PATCHSCALER_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path  # only here: --help should not wait for it

    # appauthor=False: on Windows the folder would otherwise be patchscaler inside patchscaler.
    return user_cache_path("patchscaler", appauthor=False)


def cached_file(model: Model) -> Path:
    """Where the model's weights file lies in the cache, or would lie."""
    return cache_folder() / model.file


def offline() -> bool:
    """Whether the environment forbids downloads."""
    return os.environ.get("PATCHSCALER_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def addresses(model: Model) -> list[str]:
    """Where the model's weights file can be downloaded, in the order of trying.

    Raises:
        UsageError: if the environment's mirror is no web address.
    """
    mirror = os.environ.get("PATCHSCALER_WEIGHTS_URL", "").strip()
    if not mirror:
        return list(model.urls)
    if not mirror.startswith(("http://", "https://")):
        raise UsageError(f"PATCHSCALER_WEIGHTS_URL must begin with http:// or https://, not {mirror!r}.")
    return [f"{mirror.rstrip('/')}/{model.file}", *model.urls]


def without_password(url: str) -> str:
    """The address as it may be shown: without the user and password that one to a private mirror may hold."""
    return re.sub(r"(?<=//)[^/@]*@", "", url)
