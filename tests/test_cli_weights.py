"""`patchscaler weights …` as users call it."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from patchscaler_cli.cli.downloads import DownloadBar, DownloadLines
from tests.fake_upscaler import RunCli
from tests.weights_shelf import LARGE, Shelf, status

# ---- list -----------------------------------------------------------------------------------------------------------


def test_list_tells_where_each_model_is(run_cli: RunCli, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run_cli("weights", "list")
    assert result.exit_code == 0
    small, large = (line for line in result.stdout.splitlines() if "CC0-1.0" in line)
    assert "bundled" in small
    assert "not here" in large


def test_list_shows_the_figures(run_cli: RunCli, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "val-lr: psnr_y 25.500, lpips 0.250" in run_cli("weights", "list").stdout


def test_list_as_json_has_the_whole_manifest(run_cli: RunCli, shelf: Shelf) -> None:
    small, large = json.loads(run_cli("weights", "list", "--json").stdout)
    assert small["path"] == str(shelf.bundled / "small.safetensors")
    assert large["place"] is None
    assert large["urls"] == [f"{shelf.server.url}/v1/large.safetensors"]
    assert large["size"] == len(LARGE)


# ---- download -------------------------------------------------------------------------------------------------------


def test_download_prints_the_path(run_cli: RunCli, shelf: Shelf) -> None:
    result = run_cli("weights", "download", "large")
    assert (result.exit_code, result.stdout) == (0, f"large: {shelf.large}\n")
    assert shelf.large.read_bytes() == LARGE


def test_download_shows_progress(run_cli: RunCli, shelf: Shelf) -> None:
    lines = run_cli("weights", "download", "large").stderr.splitlines()
    assert lines[0] == "large.safetensors: 0.0 of 0.3 MiB"
    assert lines[-1] == "large.safetensors: 0.3 of 0.3 MiB"


def test_download_quietly(run_cli: RunCli, shelf: Shelf) -> None:
    assert run_cli("weights", "download", "large", "--quiet").output == ""


def test_download_of_all(run_cli: RunCli, shelf: Shelf) -> None:
    result = run_cli("weights", "download", "--all", "--quiet")
    assert result.exit_code == 0
    assert shelf.large.exists()


@pytest.mark.parametrize("words", [(), ("large", "--all")])
def test_download_of_nothing_or_twice_is_refused(run_cli: RunCli, shelf: Shelf, words: tuple[str, ...]) -> None:
    result = run_cli("weights", "download", *words)
    assert result.exit_code == 2
    assert "give names of models, or --all" in result.stderr


def test_download_offline_says_what_to_do(run_cli: RunCli, shelf: Shelf) -> None:
    result = run_cli("weights", "download", "large", "--offline")
    assert result.exit_code == 1
    assert f"by hand and put it at {shelf.large}." in result.stderr
    assert shelf.server.requests == []


def test_failed_download_ends_as_one_sentence(run_cli: RunCli, shelf: Shelf) -> None:
    shelf.server.plan = [status(404)]
    result = run_cli("weights", "download", "large", "--quiet")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The weights of 'large' could not be downloaded")
    assert result.stderr.count("\n") == 1


def test_unknown_model(run_cli: RunCli, shelf: Shelf) -> None:
    result = run_cli("weights", "download", "huge")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: There is no model 'huge'; choose one of small, large.\n",
    )


# ---- verify ---------------------------------------------------------------------------------------------------------


def test_verify_of_all_minds_no_missing_ones(run_cli: RunCli, shelf: Shelf) -> None:
    result = run_cli("weights", "verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"small: matches the manifest ({shelf.bundled / 'small.safetensors'})",
        "large: not on this machine",
    ]


def test_verify_fails_for_a_damaged_file(run_cli: RunCli, shelf: Shelf) -> None:
    shelf.keep(LARGE[:-1])
    result = run_cli("weights", "verify")
    assert result.exit_code == 1
    assert f"large: differs from the manifest ({shelf.large})" in result.stdout


def test_verify_fails_for_a_missing_one_that_is_named(run_cli: RunCli, shelf: Shelf) -> None:
    assert run_cli("weights", "verify", "large").exit_code == 1


# ---- path and remove ------------------------------------------------------------------------------------------------


def test_path_of_a_model(run_cli: RunCli, shelf: Shelf) -> None:
    assert run_cli("weights", "path", "small").stdout == f"{shelf.bundled / 'small.safetensors'}\n"


def test_path_of_a_model_that_is_not_here(run_cli: RunCli, shelf: Shelf) -> None:
    result = run_cli("weights", "path", "large")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "patchscaler weights download large" in result.stderr


def test_path_of_the_cache(run_cli: RunCli, shelf: Shelf) -> None:
    assert run_cli("weights", "path").stdout == f"{shelf.cache}\n"


def test_remove(run_cli: RunCli, shelf: Shelf) -> None:
    shelf.keep(LARGE)
    assert run_cli("weights", "remove", "large").stdout == f"large: removed {shelf.large}\n"
    assert not shelf.large.exists()


# ---- the bar --------------------------------------------------------------------------------------------------------


def test_bar_goes_on_after_a_break() -> None:
    bars = Bars(console=Console(file=io.StringIO()))
    bar = DownloadBar(bars)
    bar.begin("large.safetensors", 100, 0)
    bar.advance(60)
    bar.begin("large.safetensors", 100, 50)
    bar.advance(25)
    assert [(task.completed, task.total) for task in bars.tasks] == [(75, 100)]


def test_log_gets_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = DownloadLines()
    lines.begin("large.safetensors", 100, 0)
    for _ in range(100):
        lines.advance(1)
    assert len(capsys.readouterr().err.splitlines()) == 11
