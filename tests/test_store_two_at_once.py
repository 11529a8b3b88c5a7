"""Two that want the same weights at the same time download them once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.weights_shelf import Hold, Recorder, Shelf, fetch


def test_two_threads_fetch_once(shelf: Shelf) -> None:
    hold = Hold()
    second = Recorder(told=hold.release)
    shelf.server.plan = [hold]
    with ThreadPoolExecutor() as pool:
        one = pool.submit(fetch)
        assert hold.arrived.wait(timeout=60)
        other = pool.submit(fetch, second)
        one.result(timeout=60)
        other.result(timeout=60)
    assert second.notices == ["Another process is downloading large.safetensors; waiting for it."]
    assert len(shelf.server.requests) == 1


def test_two_processes_fetch_once(shelf: Shelf) -> None:
    script = f"""
from pathlib import Path
from patchscaler_cli.cli.downloads import DownloadLines
from patchscaler_cli.store import manifest
from patchscaler_cli.store.finding import find_weights
manifest.MANIFEST = Path({str(shelf.manifest)!r})
print(find_weights("large", progress=DownloadLines()))
"""

    def start() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", script]
        return subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    hold = Hold()
    shelf.server.plan = [hold]
    with start() as one:
        assert hold.arrived.wait(timeout=60)
        with start() as other:
            assert other.stderr is not None
            assert "waiting" in other.stderr.readline()
            hold.release.set()
            assert [process.communicate(timeout=60)[0] for process in (one, other)] == [f"{shelf.large}\n"] * 2
    assert len(shelf.server.requests) == 1
