"""`patchscaler info`: what a bug report needs."""

from __future__ import annotations

import json
import platform
from typing import Any

import pytest
import torch

from patchscaler_cli import __version__
from tests.fake_upscaler import RunCli
from tests.weights_shelf import LARGE, Shelf


@pytest.fixture
def facts(run_cli: RunCli, shelf: Shelf) -> dict[str, Any]:
    result = run_cli("info", "--json")
    assert result.exit_code == 0
    return dict(json.loads(result.stdout))


def test_versions(facts: dict[str, Any]) -> None:
    assert facts["patchscaler"] == __version__
    assert facts["python"].startswith(platform.python_version())
    assert facts["torch"] == torch.__version__


def test_cpu_computes_fp32_and_not_fp16(facts: dict[str, Any]) -> None:
    cpu = facts["devices"][0]
    assert cpu["name"] == "cpu"
    assert "fp32" in cpu["dtypes"]
    assert "fp16" not in cpu["dtypes"]
    assert cpu["auto"] in cpu["dtypes"]


def test_one_device_is_the_default(facts: dict[str, Any]) -> None:
    assert sum(device["default"] for device in facts["devices"]) == 1


def test_weights(facts: dict[str, Any], shelf: Shelf) -> None:
    small, large = facts["weights"]
    assert small == {
        "name": "small",
        "path": str(shelf.bundled / "small.safetensors"),
        "bytes": 13,
        "state": "matches the manifest",
    }
    assert large == {"name": "large", "path": None, "bytes": None, "state": "not on this machine"}


def test_damaged_weights_are_told(run_cli: RunCli, shelf: Shelf) -> None:
    shelf.keep(LARGE[:-1])
    assert "state differs from the manifest" in run_cli("info").stdout


def test_bad_manifest_does_not_stop_the_report(run_cli: RunCli, shelf: Shelf) -> None:
    shelf.manifest.write_text("{}")
    result = run_cli("info")
    assert result.exit_code == 0
    assert "the list of models cannot be used" in result.stdout


def test_extras_are_told_with_their_packages(facts: dict[str, Any]) -> None:
    assert set(facts["extras"]["eval"]) == {"matplotlib", "scikit-image", "scipy"}


def test_cache_and_environment(facts: dict[str, Any], shelf: Shelf) -> None:
    assert facts["cache"] == str(shelf.cache)
    assert facts["environment"]["PATCHSCALER_CACHE"] == str(shelf.cache)


def test_password_of_a_mirror_is_not_told(run_cli: RunCli, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHSCALER_WEIGHTS_URL", "https://me:secret@example.org/weights")
    result = run_cli("info", "--json")
    assert "https://example.org/weights" in result.stdout
    assert "secret" not in result.stdout


def test_text_has_a_line_for_each_fact(run_cli: RunCli, shelf: Shelf) -> None:
    text = run_cli("info").stdout
    for name in (
        "patchscaler",
        "python",
        "platform",
        "torch",
        "devices",
        "cpu",
        "memory",
        "cache",
        "weights",
        "extras",
    ):
        assert f"\n{name}:" in f"\n{text}"
