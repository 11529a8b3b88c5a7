"""A headless Chromium for tests of the report, driven by chromedriver over the W3C WebDriver protocol.

The protocol is JSON over HTTP; the few commands that are needed do not justify a library that every developer installs.
"""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which the protocol tells an element's id."""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1000,900",
)  # fmt: skip
KEYS = {"Tab": "\ue004", "Home": "\ue011", "End": "\ue010", "Left": "\ue012", "Right": "\ue014"}


class Browser:
    """One window of the browser."""

    def __init__(self, session: str) -> None:
        """For a session's address."""
        self._session = session

    def _ask(self, command: str, **body: Any) -> Any:
        answer = requests.post(f"{self._session}/{command}", json=body, timeout=60).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def open(self, page: Path) -> None:
        """Open a file."""
        self._ask("url", url=page.resolve().as_uri())

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self._ask("execute/sync", script=script, args=[])

    def _find(self, selector: str) -> Any:
        return self._ask("element", using="css selector", value=selector)

    def click(self, selector: str) -> None:
        """Click the first element that a selector finds."""
        self._ask(f"element/{self._find(selector)[ELEMENT]}/click")

    def type(self, selector: str, *keys: str) -> None:
        """Press keys in an element; those of KEYS by name."""
        text = "".join(KEYS.get(key, key) for key in keys)
        self._ask(f"element/{self._find(selector)[ELEMENT]}/value", text=text)

    def press(self, *keys: str) -> None:
        """Press and release keys one after the other, wherever the focus is."""
        strokes = [
            {"type": way, "value": KEYS.get(key, key)} for key in keys for way in ("keyDown", "keyUp")
        ]  # fmt: skip
        self._ask("actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes}])

    def drag(self, selector: str, start: tuple[int, int], end: tuple[int, int], pointer: str = "mouse") -> None:
        """Drag with a mouse or touch from one place to another; both are pixels from the element's centre."""
        origin = self._find(selector)
        steps: list[dict[str, Any]] = [
            {"type": "pointerMove", "origin": origin, "x": start[0], "y": start[1], "duration": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "origin": origin, "x": (start[0] + end[0]) // 2, "y": (start[1] + end[1]) // 2, "duration": 50},
            {"type": "pointerMove", "origin": origin, "x": end[0], "y": end[1], "duration": 50},
            {"type": "pointerUp", "button": 0},
        ]  # fmt: skip
        pointers = {"type": "pointer", "id": pointer, "parameters": {"pointerType": pointer}, "actions": steps}
        self._ask("actions", actions=[pointers])

    def screenshot(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        answer = requests.get(f"{self._session}/screenshot", timeout=60).json()["value"]
        path.write_bytes(base64.b64decode(answer))

    def messages(self) -> list[str]:
        """What the browser's console has said at level warning and above since it was asked last."""
        return [entry["message"] for entry in self._ask("se/log", type="browser")]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with a fresh profile in the empty folder `profile`, for as long as the block runs."""
    assert CHROMIUM is not None
    assert DRIVER is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/status")
        options: Any = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted: Any = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "WARNING"},
        }
        body = {"capabilities": {"alwaysMatch": wanted}}
        session = requests.post(f"{address}/session", json=body, timeout=120).json()["value"]
        assert "sessionId" in session, session
        try:
            yield Browser(f"{address}/session/{session['sessionId']}")
        finally:
            requests.delete(f"{address}/session/{session['sessionId']}", timeout=60)
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def _wait_for(status: str) -> None:
    for _ in range(100):
        try:
            if requests.get(status, timeout=5).json()["value"]["ready"]:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("chromedriver does not answer")
