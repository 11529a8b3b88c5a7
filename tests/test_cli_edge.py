"""How the command line ends: exceptions as sentences, help without waiting, the installed command as users run it."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from patchscaler_cli import __version__
from patchscaler_cli.cli.progress import BarProgress, LineProgress
from patchscaler_cli.errors import PatchScalerError, UsageError
from tests.fake_upscaler import FakeUpscaler, RunCli


@pytest.fixture
def photo(tmp_path: Path, chelsea: Path) -> Path:
    return Path(shutil.copy(chelsea, tmp_path / "cat.png"))


class OutOfMemoryError(RuntimeError):
    """Named as torch's own, which the command line must know without importing torch."""


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (PatchScalerError("The weights w.bin are cut short."), 1, "Error: The weights w.bin are cut short.\n"),
        (UsageError("There is no model huge."), 2, "Error: There is no model huge.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (MemoryError(), 1, "--tile"),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), 1, "--batch-size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), 1, "--tile"),
        (ValueError("odd shape"), 1, "bug in PatchScaler, please report it (ValueError: odd shape)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_exception_ends_as_one_sentence(
    run_cli: RunCli,
    photo: Path,
    fake_upscaler: type[FakeUpscaler],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    exit_code: int,
    said: str,
) -> None:
    monkeypatch.setattr(fake_upscaler, "raises", error)
    result = run_cli("upscale", photo, "--quiet")
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert list(photo.parent.iterdir()) == [photo]


def test_debug_shows_where_a_bug_is(
    run_cli: RunCli, photo: Path, fake_upscaler: type[FakeUpscaler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_upscaler, "raises", ValueError("odd shape"))
    monkeypatch.setenv("PATCHSCALER_DEBUG", "1")
    assert "Traceback" in run_cli("upscale", photo).stderr


# ---- as users run it ------------------------------------------------------------------------------------------------


def run_process(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "patchscaler_cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_version() -> None:
    finished = run_process("--version")
    assert (finished.returncode, finished.stdout) == (0, f"patchscaler {__version__}\n")


def test_help_lists_the_commands() -> None:
    finished = run_process("--help")
    assert finished.returncode == 0
    assert "upscale" in finished.stdout


def test_missing_file_in_a_process() -> None:
    finished = run_process("upscale", "missing.png")
    assert finished.returncode == 1
    assert finished.stderr == "Error: There is no file missing.png; check the path for typing errors.\n"


def test_command_line_imports_nothing_slow() -> None:
    """What keeps --help and --version under 0.3 seconds, without a clock that a busy machine would upset."""
    script = (
        "import sys, patchscaler_cli.cli.main;"
        "slow = {'torch', 'numpy', 'PIL', 'safetensors', 'rich', 'pydantic', 'platformdirs', 'patchscaler_cli.engines.local'};"
        "print(slow & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout == "set()\n"


def test_upscaling_a_picture_imports_nothing_that_it_does_not_use(chelsea: Path, tmp_path: Path) -> None:
    """Importing torch takes most of a small picture's time already; what it imports itself is its own affair."""
    script = (
        "import sys; from typer.testing import CliRunner; from patchscaler_cli.cli.main import app;"
        f"done = CliRunner().invoke(app, ['upscale', {str(chelsea)!r}, '-o', {str(tmp_path / 'out.png')!r}, '--coarse-only']);"
        "unwanted = {'torch._dynamo', 'torch._inductor', 'sympy', 'scipy', 'skimage', 'requests', 'tenacity', 'ray'};"
        "print(done.exit_code, unwanted & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert finished.stdout == "0 set()\n"


def test_every_option_of_upscale_has_help(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run_cli("upscale", "--help").stdout
    names = (
        "scale width height long-edge steps groups fidelity coarse-only ensemble no-texture tile batch-size seed device dtype "
        "model weights save-confidence json quiet dry-run overwrite output"
    )
    for name in names.split():
        assert f"--{name} " in text


# ---- progress -------------------------------------------------------------------------------------------------------


def test_log_gets_a_line_for_each_stage_and_one_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter((0.0, 5.0, 11.0, 11.0, 15.0, 22.0, 22.0))  # asked once for an advance, again where it says a line
    progress = LineProgress(clock=lambda: next(times))
    progress.begin("diffuse", 100)
    for _ in range(4):
        progress.advance("diffuse", 10)
    assert capsys.readouterr().err.splitlines() == [
        "diffuse: 100 patches",
        "diffuse: 20 of 100 patches",
        "diffuse: 40 of 100 patches",
    ]


def test_terminal_gets_a_bar_for_each_stage() -> None:
    bars = Bars(console=Console(file=io.StringIO()))
    progress = BarProgress(bars)
    progress.begin("coarse", 4)
    progress.begin("diffuse", 8)
    progress.advance("diffuse")
    progress.advance("coarse", 4)
    assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
        ("coarse", 4, 4),
        ("diffuse", 1, 8),
    ]
