"""Runs a batch again and again in processes of its own and kills each at a moment drawn by chance; then lets one finish.

`python -m tests.killed_batch IN OUT`: prints, as JSON, how the runs ended and what lay in OUT after each. Processes are
forked, so that torch is imported once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from patchscaler_cli.cli.main import app
from patchscaler_cli.images import animation, writing  # noqa: F401 - imported once, before the processes part
from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.small_model import small_upscaler

KILLS = 10
_WRITING = frozenset(("write", "flush"))


def _is_ours(frame: FrameType, event: str, about: Any) -> bool:
    """A function of PatchScaler is called or left."""
    return event in ("call", "return") and "patchscaler_cli" in frame.f_code.co_filename


def _is_writing(frame: FrameType, event: str, about: Any) -> bool:
    """Something is about to be written or renamed, or just was."""
    return event in ("c_call", "c_return") and (about is os.replace or getattr(about, "__name__", "") in _WRITING)


def _count(counts: Callable[[FrameType, str, Any], bool], kill_at: int | None) -> list[int]:
    """Count events in all threads; at the `kill_at`-th end this process as the system does when memory is short."""
    seen = [0]

    def look(frame: FrameType, event: str, about: Any) -> None:
        if counts(frame, event, about):
            seen[0] += 1
            if seen[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(look)
    sys.setprofile(look)
    return seen


def run(folder: Path, out: Path, counts: Callable[[FrameType, str, Any], bool], kill_at: int | None) -> int:
    """Upscale a folder in a process of its own; its end as `os.waitpid` tells it."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        Upscaler.from_pretrained = lambda *names, **words: small_upscaler()  # type: ignore[method-assign]
        _count(counts, kill_at)
        app(["upscale", str(folder), "-o", str(out), "--save-confidence", str(out / "sure"), "-r", "--quiet"])
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(1)


def main(folder: Path, out: Path) -> None:
    torch.set_num_threads(1)
    chance, runs = random.Random(0), []
    for number in range(KILLS):
        counts, most = (_is_writing, 100) if number % 2 else (_is_ours, 1500)
        end = run(folder, out, counts, chance.randint(1, most))
        files = {str(path.relative_to(out)): path.read_bytes().hex() for path in out.rglob("*") if path.is_file()}
        runs.append({"killed": os.WIFSIGNALED(end) and os.WTERMSIG(end) == signal.SIGKILL, "files": files})
    end = run(folder, out, _is_ours, None)
    print(json.dumps({"runs": runs, "end": os.waitstatus_to_exitcode(end)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
