"""Settings under a name of their own, as the options --variant of `evaluate` and `benchmark` take them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from patchscaler_cli.errors import UsageError
from patchscaler_cli.pipeline.settings import UpscaleSettings


def _switch(word: str) -> bool:
    return {"on": True, "off": False}[word]


KINDS: dict[str, Callable[[str], Any]] = {
    "preset": str, "steps": int, "groups": int, "fidelity": float, "ensemble": _switch, "texture": _switch, "seed": int, "tile": int,
    "batch_size": int,
}  # fmt: skip
"""The settings that a variant may change, and how their words become values."""


def named(option: str, values: list[str] | None, taken: Collection[str]) -> dict[str, str]:
    """What stands behind NAME= in each value of an option, by the name.

    Raises:
        UsageError: if a value is no NAME=SOMETHING, or a name is taken or could not be a folder's.
    """
    found: dict[str, str] = {}
    for value in values or []:
        name, equals, rest = (part.strip() for part in value.partition("="))
        if not (name and equals and rest):
            raise UsageError(f"{option} takes a name, = and what it stands for, not {value}.")
        if name in taken or name in found:
            raise UsageError(f"{option}: the name {name} is taken already; give another one.")
        if set(name) & set('/\\:*?"<>|') or name.startswith("."):
            raise UsageError(f"{option}: {name} cannot be the name of a folder, which pictures may go into.")
        found[name] = rest
    return found


def varied(name: str, words: str, base: UpscaleSettings) -> UpscaleSettings:
    """The settings with those changed that words such as "groups:1,steps:4" name.

    Raises:
        UsageError: if a word is unknown or its value makes no sense.
    """
    changes = {}
    for word in words.split(","):
        key, _, value = word.strip().partition(":")
        if key not in KINDS:
            raise UsageError(f"--variant {name} knows {', '.join(KINDS)}, each with a colon and its value, not {word}.")
        try:
            changes[key] = KINDS[key](value)
        except (ValueError, KeyError):
            raise UsageError(f"--variant {name}: {value or 'nothing'} is no value for {key}.") from None
    return replace(base, **changes)
