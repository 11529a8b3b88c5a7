"""Downloads of weights from a server that misbehaves."""

from __future__ import annotations

import socket

import pytest

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.store.download import ATTEMPTS, CHUNK
from tests.weights_shelf import (
    LARGE,
    Behaviour,
    Recorder,
    Shelf,
    cut,
    cut_unannounced,
    fetch,
    hang_up,
    redirect,
    serve_another_range,
    serve_corrupt,
    serve_login_page,
    serve_too_much,
    serve_without_ranges,
    status,
)


def test_file_comes_whole_under_its_name_alone(shelf: Shelf) -> None:
    fetch()
    assert shelf.large.read_bytes() == LARGE
    assert {path.name for path in shelf.cache.iterdir()} <= {"large.safetensors", "large.safetensors.lock"}


def test_progress_counts_to_the_end(shelf: Shelf) -> None:
    progress = Recorder()
    fetch(progress)
    assert (progress.done, progress.total, progress.notices) == (len(LARGE), len(LARGE), [])


# ---- resuming -------------------------------------------------------------------------------------------------------


def test_cut_download_goes_on_where_it_ended(shelf: Shelf) -> None:
    shelf.server.plan = [cut(2 * CHUNK)]
    fetch()
    assert shelf.large.read_bytes() == LARGE
    assert [span for _, span in shelf.server.requests] == [None, f"bytes={2 * CHUNK}-"]


def test_next_command_goes_on_with_what_an_earlier_one_got(shelf: Shelf) -> None:
    shelf.begin_download(LARGE[:1000])
    progress = Recorder()
    fetch(progress)
    assert shelf.server.requests == [("/v1/large.safetensors", "bytes=1000-")]
    assert progress.done == len(LARGE)


def test_whole_partial_file_is_not_fetched_again(shelf: Shelf) -> None:
    shelf.begin_download(LARGE)
    fetch()
    assert shelf.server.requests == []


def test_server_without_ranges_makes_it_begin_anew(shelf: Shelf) -> None:
    shelf.begin_download(b"x" * 1000)
    shelf.server.plan = [serve_without_ranges]
    fetch()
    assert shelf.large.read_bytes() == LARGE


def test_bad_partial_file_is_fetched_anew(shelf: Shelf) -> None:
    shelf.begin_download(b"x" * 1000)
    fetch()
    assert [span for _, span in shelf.server.requests] == ["bytes=1000-", None]


def test_partial_file_of_another_version_is_left_alone(shelf: Shelf) -> None:
    shelf.begin_download(LARGE[:1000])
    other = shelf.part.rename(shelf.cache / "large.safetensors.0123456789ab.partial")
    fetch()
    assert shelf.server.requests == [("/v1/large.safetensors", None)]
    assert other.exists()


def test_interrupted_download_goes_on_next_time(shelf: Shelf) -> None:
    class Interrupting(Recorder):
        def advance(self, count: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Interrupting())
    fetch()
    assert [span for _, span in shelf.server.requests] == [None, f"bytes={CHUNK}-"]
    assert shelf.large.read_bytes() == LARGE


# ---- trying again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour", [cut(0), cut(100_000), cut_unannounced, hang_up, status(500), status(503), status(429)]
)
def test_what_may_pass_is_tried_again(shelf: Shelf, behaviour: Behaviour) -> None:
    shelf.server.plan = [behaviour, behaviour]
    fetch()
    assert shelf.large.read_bytes() == LARGE


def test_pauses_grow(shelf: Shelf) -> None:
    shelf.server.plan = [status(500)] * (ATTEMPTS - 1)
    waits: list[float] = []
    fetch(waits=waits)
    assert len(waits) == ATTEMPTS - 1
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def test_pause_is_told_with_its_reason(shelf: Shelf) -> None:
    shelf.server.plan = [status(503)]
    progress = Recorder()
    fetch(progress)
    assert len(progress.notices) == 1
    assert "503" in progress.notices[0]


def test_gives_up_in_the_end(shelf: Shelf) -> None:
    shelf.server.plan = [status(500)] * 99
    with pytest.raises(PatchScalerError, match="500"):
        fetch()
    assert len(shelf.server.requests) == ATTEMPTS


def test_what_arrived_before_giving_up_is_kept(shelf: Shelf) -> None:
    shelf.server.plan = [cut(CHUNK), *[hang_up] * 99]
    with pytest.raises(PatchScalerError):
        fetch()
    assert shelf.part.read_bytes() == LARGE[:CHUNK]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (status(404), "404"),
        (status(403), "403"),
        (serve_corrupt, "sha256"),
        (serve_too_much, "more than the 300,000 bytes"),
        (serve_login_page, "33 bytes where 300,000 belong"),
        (redirect("/again"), "Exceeded 30 redirects"),
        (redirect("file:///etc/passwd"), "No connection adapters"),
    ],
    ids=["missing", "forbidden", "corrupt", "too much", "login page", "redirects for ever", "redirect to a file"],
)
def test_what_cannot_get_better_is_not_tried_again(shelf: Shelf, behaviour: Behaviour, reason: str) -> None:
    shelf.server.plan = [behaviour] * 99
    waits: list[float] = []
    with pytest.raises(PatchScalerError, match=reason):
        fetch(waits=waits)
    assert waits == []
    assert not shelf.large.exists()


def test_another_range_than_asked_for_is_refused(shelf: Shelf) -> None:
    shelf.begin_download(LARGE[:1000])
    shelf.server.plan = [serve_another_range]
    with pytest.raises(PatchScalerError, match="another than asked for"):
        fetch()
    assert shelf.part.read_bytes() == LARGE[:1000]


def test_corrupt_bytes_are_not_kept(shelf: Shelf) -> None:
    shelf.server.plan = [serve_corrupt]
    with pytest.raises(PatchScalerError):
        fetch()
    assert not shelf.part.exists()


def test_failure_says_what_to_fetch_by_hand_and_where_to_put_it(shelf: Shelf) -> None:
    shelf.server.plan = [status(404)]
    with pytest.raises(PatchScalerError) as failure:
        fetch()
    assert f"fetch {shelf.server.url}/v1/large.safetensors (300,000 bytes) by hand" in str(failure.value)
    assert str(shelf.large) in str(failure.value)


def test_nobody_listening(shelf: Shelf) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shelf.write_manifest(urls=[f"http://127.0.0.1:{free.getsockname()[1]}/large.safetensors"])
        with pytest.raises(PatchScalerError, match="refused"):
            fetch()


def test_cache_that_cannot_be_written(shelf: Shelf) -> None:
    shelf.cache.write_text("a file where the folder should be")
    with pytest.raises(PatchScalerError, match="PATCHSCALER_CACHE"):
        fetch()
