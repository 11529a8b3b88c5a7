"""Files that are whole or not there: written under another name, locked while their process lives, and renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from patchscaler_cli.errors import PatchScalerError

if sys.platform != "win32":
    import fcntl

_PREFIX, _SUFFIX = ".patchscaler-", ".part"
_DAYS_OLD = 2 * 24 * 3600.0


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path` that takes its place when the block ends well and vanishes when it does not.

    Raises:
        PatchScalerError: if the block raises what the disk or an encoder may.
    """
    target = Path(os.path.realpath(path))  # through a symbolic link: the file it leads to is replaced, the link stays
    part: Path | None = None
    try:
        with _new_part(target.parent) as file:
            part = Path(file.name)
            yield file
            file.flush()
            if sys.platform != "win32":  # while it is still locked
                os.replace(part, target)
        if sys.platform == "win32":  # where no open file can be renamed
            os.replace(part, target)
    except BaseException as error:  # KeyboardInterrupt too
        if part is not None:
            part.unlink(missing_ok=True)
        if isinstance(error, (PatchScalerError, MemoryError)) or not isinstance(error, Exception):
            raise
        raise PatchScalerError(_could_not(path, error)) from error


def _new_part(folder: Path) -> BinaryIO:
    """A new file, open for writing and reading. On a disk that knows locks it is locked until it is closed."""
    while True:
        file = (folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}").open("x+b")
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink == 0:  # another run took it for litter before it was locked
                file.close()
                continue
        return file


def clear_litter(folder: Path) -> int:
    """Remove what killed runs left in a folder: parts of files that no process has locked, or that are days old.

    The system lets go of a lock when its process ends, however it ends, and whatever other process or container has
    its number then. (Windows does not remove a file that is open.)

    Returns:
        How many files were removed. What cannot be removed is left: it is no picture and harms nobody.
    """
    removed = 0
    for part in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError), part.open("r+b") as file:
            if sys.platform != "win32" and not _is_old(part):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where it is locked, or locks are unknown
                part.unlink()
                removed += 1
        with contextlib.suppress(OSError):
            if sys.platform == "win32" or _is_old(part):
                part.unlink()
                removed += 1
    return removed


def _is_old(part: Path) -> bool:
    return time.time() - part.stat().st_mtime > _DAYS_OLD


def _could_not(path: Path, error: Exception) -> str:
    reason: Any = (error.strerror if isinstance(error, OSError) else None) or error
    return f"{path} could not be written ({reason}); nothing was left behind, check the disk or try another format."
