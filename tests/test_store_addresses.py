"""Where weights are downloaded from: redirects, further addresses, mirrors."""

from __future__ import annotations

import pytest

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.store.download import CHUNK
from tests.weights_shelf import LARGE, Recorder, Shelf, cut, fetch, redirect, status


def test_redirect_is_followed(shelf: Shelf) -> None:
    shelf.server.plan = [redirect("/elsewhere/large.safetensors")]
    fetch()
    assert [path for path, _ in shelf.server.requests] == ["/v1/large.safetensors", "/elsewhere/large.safetensors"]


def test_next_address_is_tried(shelf: Shelf) -> None:
    shelf.write_manifest(urls=[f"{shelf.server.url}/first", f"{shelf.server.url}/second"])
    shelf.server.plan = [status(404)]
    fetch()
    assert [path for path, _ in shelf.server.requests] == ["/first", "/second"]


def test_change_of_address_is_told_with_its_reason(shelf: Shelf) -> None:
    shelf.write_manifest(urls=[f"{shelf.server.url}/first", f"{shelf.server.url}/second"])
    shelf.server.plan = [status(404)]
    progress = Recorder()
    fetch(progress)
    assert len(progress.notices) == 1
    assert "404" in progress.notices[0]
    assert progress.notices[0].endswith(f"trying {shelf.server.url}/second.")


def test_next_address_continues_the_download(shelf: Shelf) -> None:
    shelf.write_manifest(urls=[f"{shelf.server.url}/first", f"{shelf.server.url}/second"])
    shelf.server.plan = [cut(CHUNK), status(404)]
    fetch()
    assert shelf.server.requests[-1] == ("/second", f"bytes={CHUNK}-")


def test_mirror_is_tried_first(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHSCALER_WEIGHTS_URL", f"{shelf.server.url}/mirror/")
    shelf.server.plan = [status(404)]
    fetch()
    assert [path for path, _ in shelf.server.requests] == ["/mirror/large.safetensors", "/v1/large.safetensors"]


def test_mirror_serves_a_model_without_address(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.write_manifest(urls=[])
    monkeypatch.setenv("PATCHSCALER_WEIGHTS_URL", f"{shelf.server.url}/mirror")
    fetch()
    assert shelf.large.read_bytes() == LARGE


def test_password_of_a_mirror_is_not_shown(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.write_manifest(urls=[])
    monkeypatch.setenv("PATCHSCALER_WEIGHTS_URL", shelf.server.url.replace("//", "//me:secret@"))
    shelf.server.plan = [status(404)]
    with pytest.raises(PatchScalerError) as failure:
        fetch()
    assert "secret" not in str(failure.value)
