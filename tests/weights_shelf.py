"""A test manifest, and a real web server on this machine that misbehaves as it is told."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from patchscaler_cli.store.finding import find_weights

LARGE = random.Random(0).randbytes(300_000)
"""The weights of the model that must be downloaded: several of the downloader's chunks."""
SMALL = b"small weights"
"""Those of the bundled model."""


class Handler(BaseHTTPRequestHandler):
    """One request, answered by the next behaviour of the plan."""

    server: WeightsServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        behaviour = self.server.plan.pop(0) if self.server.plan else serve
        behaviour(self)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @property
    def start(self) -> int:
        """The first byte that is asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        return int(asked[1]) if asked else 0

    def answer(self, status: int, body: bytes = b"", **headers: object) -> None:
        """Send a whole answer; underscores in the headers' names stand for hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)


Behaviour = Callable[[Handler], None]


class WeightsServer(ThreadingHTTPServer):
    """Serves LARGE at every path, unless the plan says otherwise.

    Attributes:
        plan: what to do with the next requests, one after the other; when it is empty, `serve`.
        requests: path and Range header of each request so far.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[Behaviour] = []
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_server() -> Iterator[WeightsServer]:
    """A server for as long as the block runs."""
    with WeightsServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# ---- behaviours -----------------------------------------------------------------------------------------------------


def serve(handler: Handler) -> None:
    """As a good server does, ranges too."""
    if not handler.start:
        return handler.answer(200, LARGE, Content_Length=len(LARGE))
    rest, span = LARGE[handler.start :], f"bytes {handler.start}-{len(LARGE) - 1}/{len(LARGE)}"
    handler.answer(206, rest, Content_Length=len(rest), Content_Range=span)


def serve_without_ranges(handler: Handler) -> None:
    handler.answer(200, LARGE, Content_Length=len(LARGE))


def serve_another_range(handler: Handler) -> None:
    handler.answer(206, LARGE[:-7], Content_Range=f"bytes 7-{len(LARGE) - 1}/{len(LARGE)}")


def serve_corrupt(handler: Handler) -> None:
    handler.answer(200, bytes(len(LARGE)), Content_Length=len(LARGE))


def serve_too_much(handler: Handler) -> None:
    """Without a Content-Length that would give it away."""
    handler.answer(200, LARGE + b"more")


def serve_login_page(handler: Handler) -> None:
    handler.answer(200, b"<html>Welcome to the hotel</html>", Content_Length=33)


def cut(count: int) -> Behaviour:
    """Break the connection after so many bytes of those promised."""

    def behaviour(handler: Handler) -> None:
        rest = LARGE[handler.start :]
        headers: dict[str, object] = {"Content_Length": len(rest)}
        if handler.start:
            headers["Content_Range"] = f"bytes {handler.start}-{len(LARGE) - 1}/{len(LARGE)}"
        handler.answer(206 if handler.start else 200, rest[:count], **headers)

    return behaviour


def cut_unannounced(handler: Handler) -> None:
    """Send a third and end as if that were all, without a Content-Length."""
    handler.answer(200, LARGE[:100_000])


def hang_up(handler: Handler) -> None:
    """Answer nothing."""


def status(code: int) -> Behaviour:
    return lambda handler: handler.answer(code)


def redirect(url: str) -> Behaviour:
    return lambda handler: handler.answer(302, Location=url)


class Hold:
    """Serve, but not before `release` is set; `arrived` is set when the request is there."""

    def __init__(self) -> None:
        self.arrived, self.release = threading.Event(), threading.Event()

    def __call__(self, handler: Handler) -> None:
        self.arrived.set()
        assert self.release.wait(timeout=60)
        serve(handler)


# ---- a store around it ----------------------------------------------------------------------------------------------


@dataclass
class Shelf:
    """A store for one test: the models `small` (bundled, at hand) and `large` (to be downloaded from `server`).

    Attributes:
        server: what the manifest's address of `large` leads to.
        manifest: the manifest's file.
        bundled: the folder of bundled weights.
        cache: the cache folder, not there yet.
    """

    server: WeightsServer
    folder: Path
    manifest: Path = field(init=False)
    bundled: Path = field(init=False)
    cache: Path = field(init=False)

    def __post_init__(self) -> None:
        self.manifest, self.bundled = self.folder / "manifest.json", self.folder / "bundled"
        self.cache = self.folder / "cache"
        self.bundled.mkdir()
        (self.bundled / "small.safetensors").write_bytes(SMALL)
        self.write_manifest()

    def write_manifest(self, **changes: object) -> None:
        """Write the manifest, with changes to the entry of `large`."""
        models = {
            "small": _entry("small.safetensors", SMALL) | {"bundled": True},
            "large": _entry("large.safetensors", LARGE)
            | {"urls": [f"{self.server.url}/v1/large.safetensors"]}
            | changes,
        }
        self.manifest.write_text(json.dumps({"models": models}))

    @property
    def large(self) -> Path:
        """Where the weights of `large` come to lie."""
        return self.cache / "large.safetensors"

    @property
    def part(self) -> Path:
        """Where they gather before."""
        return self.cache / f"large.safetensors.{hashlib.sha256(LARGE).hexdigest()[:12]}.partial"

    def begin_download(self, content: bytes) -> None:
        """Leave an unfinished download behind."""
        self.cache.mkdir()
        self.part.write_bytes(content)

    def keep(self, content: bytes) -> None:
        """Put a file into the cache by hand."""
        self.cache.mkdir()
        self.large.write_bytes(content)


def _entry(file: str, content: bytes) -> dict[str, object]:
    return {
        "file": file,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "CC0-1.0",
        "purpose": "Tests.",
        "bundled": False,
        "urls": [],
        "figures": {"val-lr": {"psnr_y": 25.5, "lpips": 0.25}},
    }


# ---- a customer ------------------------------------------------------------------------------------------------------


class Recorder:
    """A progress that remembers what it is told."""

    def __init__(self, told: threading.Event | None = None) -> None:
        """`told` is set by the first notice."""
        self.done, self.total = 0, 0
        self.notices: list[str] = []
        self._told = told or threading.Event()

    def begin(self, file: str, total: int, done: int) -> None:
        self.total, self.done = total, done

    def advance(self, count: int) -> None:
        self.done += count

    def notice(self, sentence: str) -> None:
        self.notices.append(sentence)
        self._told.set()


def fetch(progress: Recorder | None = None, waits: list[float] | None = None) -> None:
    """Find the weights of `large`; waiting costs no time and is written into `waits`."""
    waits = [] if waits is None else waits
    find_weights("large", progress=progress, wait=waits.append)
