"""From a model's name to its weights file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.store.finding import FileState, check, find_weights, remove_weights
from patchscaler_cli.store.manifest import find_model
from patchscaler_cli.store.places import cache_folder
from tests.weights_shelf import LARGE, Shelf


def test_bundled_weights_need_no_network(shelf: Shelf) -> None:
    assert find_weights("small") == shelf.bundled / "small.safetensors"
    assert shelf.server.requests == []


def test_bundled_weights_do_not_wait_for_the_downloader(shelf: Shelf) -> None:
    script = f"""
import sys
from pathlib import Path
from patchscaler_cli.store import finding, manifest, places
manifest.MANIFEST, places.BUNDLED_FOLDERS = Path({str(shelf.manifest)!r}), (Path({str(shelf.bundled)!r}),)
finding.find_weights("small")
print({{"requests", "tenacity", "filelock"}} & set(sys.modules))
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout == "set()\n"


def test_bundled_comes_before_cached(shelf: Shelf) -> None:
    shelf.cache.mkdir()
    (shelf.cache / "small.safetensors").write_bytes(b"older")
    assert find_weights("small").parent == shelf.bundled


def test_first_use_downloads(shelf: Shelf) -> None:
    assert find_weights("large") == shelf.large
    assert shelf.large.read_bytes() == LARGE


def test_second_use_does_not(shelf: Shelf) -> None:
    find_weights("large")
    find_weights("large")
    assert len(shelf.server.requests) == 1


def test_bundled_model_whose_file_is_missing_can_come_from_a_mirror(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.write_manifest(bundled=True, urls=[])
    monkeypatch.setenv("PATCHSCALER_WEIGHTS_URL", shelf.server.url)
    assert find_weights("large") == shelf.large


def test_damaged_file_in_the_cache_is_replaced(shelf: Shelf) -> None:
    shelf.keep(LARGE[:-1] + b"x")
    find_weights("large")
    assert shelf.large.read_bytes() == LARGE


def test_unknown_model(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="There is no model 'huge'; choose one of small, large"):
        find_weights("huge")


def test_model_without_address(shelf: Shelf) -> None:
    shelf.write_manifest(urls=[])
    with pytest.raises(PatchScalerError, match="no address") as failure:
        find_weights("large")
    assert f"get a copy of large.safetensors (300,000 bytes) by hand and put it at {shelf.large}" in str(failure.value)


def test_bundled_model_whose_file_is_missing(shelf: Shelf) -> None:
    (shelf.bundled / "small.safetensors").unlink()
    with pytest.raises(PatchScalerError, match=r"small\.safetensors is missing; reinstall"):
        find_weights("small")


def test_mirror_that_is_no_web_address(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHSCALER_WEIGHTS_URL", "/srv/weights")
    with pytest.raises(UsageError, match=r"PATCHSCALER_WEIGHTS_URL must begin with http:// or https://, not '/srv/we"):
        find_weights("large")


# ---- offline --------------------------------------------------------------------------------------------------------


def test_offline_says_what_to_fetch_by_hand_and_where_to_put_it(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHSCALER_OFFLINE", "1")
    with pytest.raises(PatchScalerError) as failure:
        find_weights("large")
    assert str(failure.value) == (
        "The weights of 'large' are not on this machine, and downloads are switched off (--offline or "
        f"PATCHSCALER_OFFLINE); fetch {shelf.server.url}/v1/large.safetensors (300,000 bytes) by hand and put it at "
        f"{shelf.large}."
    )


def test_offline_uses_no_network(shelf: Shelf) -> None:
    with pytest.raises(PatchScalerError):
        find_weights("large", may_download=False)
    assert shelf.server.requests == []


def test_offline_takes_what_was_put_there_by_hand(shelf: Shelf) -> None:
    shelf.keep(LARGE)
    assert find_weights("large", may_download=False) == shelf.large


def test_offline_refuses_a_damaged_file(shelf: Shelf) -> None:
    shelf.keep(b"cut")
    with pytest.raises(PatchScalerError, match="damaged or of another version"):
        find_weights("large", may_download=False)


@pytest.mark.parametrize("value", ["", "0", "false", "No"])
def test_offline_can_be_switched_off(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PATCHSCALER_OFFLINE", value)
    assert find_weights("large") == shelf.large


# ---- checking and removing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "state"), [(LARGE, FileState.MATCHES), (b"cut", FileState.DIFFERS), (None, FileState.MISSING)]
)
def test_check(shelf: Shelf, content: bytes | None, state: FileState) -> None:
    if content is not None:
        shelf.keep(content)
    assert check(find_model("large")) == state


def test_remove_takes_unfinished_downloads_too(shelf: Shelf) -> None:
    shelf.begin_download(LARGE[:10])
    shelf.large.write_bytes(LARGE)
    assert remove_weights("large") == [shelf.large, shelf.part]
    assert list(shelf.cache.iterdir()) == []


def test_bundled_weights_cannot_be_removed(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="travel with the program"):
        remove_weights("small")


def test_what_is_not_there_cannot_be_removed(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="there are none in"):
        remove_weights("large")


# ---- the cache folder -----------------------------------------------------------------------------------------------


def test_cache_folder_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHSCALER_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


def test_cache_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATCHSCALER_CACHE", raising=False)
    assert "patchscaler" in str(cache_folder()).lower()
