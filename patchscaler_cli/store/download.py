"""One weights file over HTTP: resumed where it broke off, tried again, checked, and in its place all at once or not at all.

Four small libraries share the work: requests (redirects, certificates, the environment's proxies), tenacity (trying
again with growing pauses), filelock (one download at a time among processes) and platformdirs (the folder, places.py).
pooch would be one in place of four, but it downloads through requests too, begins a broken download anew, takes no lock
and knows no mirrors: all that is left of it is the hash, one line of the standard library. filelock comes with torch
anyway. What is our own here is what no library does: continue after byte n, and judge whether trying again can help.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import requests
from filelock import FileLock, Timeout
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.store.manifest import Model
from patchscaler_cli.store.places import without_password
from patchscaler_cli.store.progress import DownloadProgress

ATTEMPTS = 5
"""At each address. What has arrived is kept between them, and for the next command."""
CHUNK = 1 << 16
SECONDS_TO_CONNECT, SECONDS_BETWEEN_BYTES = 10.0, 30.0
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses after which the same request may well succeed."""


class _Refused(Exception):
    """This address will not give the file, however often it is asked."""


class _Broken(Exception):
    """The download broke off; trying again may help."""


def download(
    model: Model,
    urls: Sequence[str],
    target: Path,
    progress: DownloadProgress,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Download a model's weights file, unless another process has done so meanwhile.

    Args:
        urls: where to try, one after the other.
        target: where the file shall lie. Until it is whole and checked, nothing of that name appears there.
        wait: how seconds are spent before trying again.

    Raises:
        PatchScalerError: if no address gave the right file, or it cannot be written.
    """
    part = partial_file(model, target)
    failures: list[str] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target, progress), requests.Session() as session:
            if model.matches(target):
                return
            for url in urls:
                if failures:
                    progress.notice(f"{failures[-1]}; trying {without_password(url)}.")
                try:
                    _persist(partial(_fetch, session, url, model, part, progress), progress, wait)
                    os.replace(part, target)
                    return
                except (_Refused, _Broken) as failure:
                    failures.append(f"{without_password(url)}: {failure}")
    except OSError as error:
        raise PatchScalerError(
            f"{target}: cannot write the weights file ({error}); make room or choose another folder with PATCHSCALER_CACHE."
        ) from error
    raise PatchScalerError(
        f"The weights of {model.name!r} could not be downloaded ({'; '.join(failures)}); try again later, "
        f"or {by_hand(model, urls, target)}."
    )


def partial_file(model: Model, target: Path) -> Path:
    """Where the bytes gather until the file is whole; with the digest, lest they are continued with another version's."""
    return target.with_name(f"{target.name}.{model.sha256[:12]}.partial")


def by_hand(model: Model, urls: Sequence[str], target: Path) -> str:
    """The half-sentence that tells how to do without a download."""
    source = f"fetch {without_password(urls[-1])}" if urls else f"get a copy of {model.file}"
    return f"{source} ({model.size:,} bytes) by hand and put it at {target}"


@contextmanager
def _locked(target: Path, progress: DownloadProgress) -> Iterator[None]:
    """Keep other processes from downloading the same file. The empty lock file stays: deleting it would be a race."""
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress.notice(f"Another process is downloading {target.name}; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _persist(attempt: Callable[[], None], progress: DownloadProgress, wait: Callable[[float], None]) -> None:
    """Repeat an attempt that breaks, with pauses that grow from 1 to 30 seconds.

    Raises:
        _Refused: as soon as an attempt does.
        _Broken: if the last attempt does.
    """

    def tell(state: RetryCallState) -> None:
        reason = state.outcome and state.outcome.exception()
        progress.notice(f"The download broke off ({reason}); trying again in {state.upcoming_sleep:.0f} s.")

    Retrying(
        retry=retry_if_exception_type(_Broken),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(initial=1, max=30),
        sleep=wait,
        before_sleep=tell,
        reraise=True,
    )(attempt)


def _fetch(session: requests.Session, url: str, model: Model, part: Path, progress: DownloadProgress) -> None:
    """Download what `part` lacks, and check the whole.

    Raises:
        _Refused, _Broken: see there.
        OSError: if `part` cannot be written.
    """
    done = part.stat().st_size if part.exists() else 0
    if done < model.size:
        _receive(session, url, model, part, done, progress)
    if model.matches(part):
        return
    part.unlink()
    if done:
        # Perhaps only the older part is bad.
        raise _Broken("the bytes do not have the sha256 that the manifest names")
    raise _Refused("the bytes do not have the sha256 that the manifest names")


def _receive(
    session: requests.Session, url: str, model: Model, part: Path, done: int, progress: DownloadProgress
) -> None:
    """Append the bytes from `done` on to `part`; the whole file anew where the server knows no ranges."""
    # identity: the size and the ranges are those of the file itself, not of a compressed form of it.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with session.get(
            url, headers=headers, stream=True, timeout=(SECONDS_TO_CONNECT, SECONDS_BETWEEN_BYTES)
        ) as response:
            done = _check(response, model, done)
            progress.begin(model.file, model.size, done)
            with part.open("ab" if done else "wb") as file:
                for chunk in response.iter_content(CHUNK):
                    done += len(chunk)
                    if done > model.size:
                        raise _Refused(f"the server sends more than the {model.size:,} bytes that the manifest names")
                    file.write(chunk)
                    progress.advance(len(chunk))
    except requests.exceptions.SSLError as error:  # a ConnectionError too, but no certificate gets better by waiting
        raise _Refused(_root_of(error)) from error
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _Broken(_root_of(error)) from error
    except requests.RequestException as error:
        raise _Refused(_root_of(error)) from error
    if done < model.size:
        raise _Broken(f"it ended after {done:,} of {model.size:,} bytes")


def _check(response: requests.Response, model: Model, done: int) -> int:
    """How many of the bytes that are there stay: `done`, or 0 where the answer begins at the beginning.

    Raises:
        _Refused, _Broken: if the answer is not the file or its rest.
    """
    status = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in TRANSIENT:
        raise _Broken(status)
    if response.status_code == 206:
        # A server that sends another part than was asked for would spoil the file.
        if not re.fullmatch(rf"bytes {done}-\d+/({model.size}|\*)", response.headers.get("Content-Range", "")):
            raise _Refused(f"{status} with the range {response.headers.get('Content-Range')!r}, another than asked for")
    elif response.status_code == 200:
        done = 0
    else:
        raise _Refused(status)
    promised = response.headers.get("Content-Length", "")
    if promised.isdecimal() and int(promised) != model.size - done:
        # Another version, or the page of a hotel's network that wants a login.
        raise _Refused(f"the server has {int(promised):,} bytes where {model.size - done:,} belong")
    return done


def _root_of(error: BaseException) -> str:
    """The innermost cause, in words: requests wraps urllib3's exceptions, which wrap the system's."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
