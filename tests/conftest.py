"""What several test files share: the sample photos, a fast stand-in for the Upscaler, and the command line in-process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings as hypothesis_settings
from typer.testing import CliRunner, Result

from patchscaler_cli.cli.main import app
from patchscaler_cli.store import manifest, places
from tests.fake_upscaler import FakeUpscaler, RunCli
from tests.weights_shelf import Shelf, running_server

# No test measures time, on however busy a machine it runs.
hypothesis_settings.register_profile("patchscaler", deadline=None)
hypothesis_settings.load_profile("patchscaler")

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def chelsea() -> Path:
    """A photo of a cat, 160x128, RGB."""
    return SAMPLES / "chelsea.png"


@pytest.fixture
def run_cli() -> RunCli:
    """Runs `patchscaler` with the given words (paths too) in this process; the result has exit_code, stdout, stderr."""

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


@pytest.fixture
def fake_upscaler(monkeypatch: pytest.MonkeyPatch) -> type[FakeUpscaler]:
    """The command line finds `FakeUpscaler` where it looks for the Upscaler, and torch is never imported."""
    module = ModuleType("patchscaler_cli.pipeline.upscaler")
    module.Upscaler = FakeUpscaler  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(FakeUpscaler, "loads", [])
    monkeypatch.setattr(FakeUpscaler, "asked", [])
    return FakeUpscaler


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A weights store of its own, with a web server behind it, in place of the package's and the user's."""
    with running_server() as server:
        shelf = Shelf(server, tmp_path)
        monkeypatch.setattr(manifest, "MANIFEST", shelf.manifest)
        monkeypatch.setattr(places, "BUNDLED_FOLDERS", (shelf.bundled,))
        monkeypatch.setenv("PATCHSCALER_CACHE", str(shelf.cache))
        for name in ("PATCHSCALER_OFFLINE", "PATCHSCALER_WEIGHTS_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield shelf
