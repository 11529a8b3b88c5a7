"""Which methods `patchscaler evaluate` is asked to compare: the words of --methods, --variant and --compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from patchscaler_cli.errors import UsageError
from patchscaler_cli.pipeline.settings import UpscaleSettings

METHODS = ("bicubic", "lanczos", "coarse", "patchscaler")
"""The methods that have a name of their own, in the order in which they are shown."""
RESERVED = {*METHODS, "LR", "truth"}
"""Names that the tables or the report use already."""


def _switch(word: str) -> bool:
    return {"on": True, "off": False}[word]


KINDS: dict[str, Callable[[str], Any]] = {
    "preset": str, "steps": int, "groups": int, "fidelity": float, "texture": _switch, "seed": int,
}  # fmt: skip
"""The settings that a variant may change, and how their words become values."""


@dataclass(frozen=True)
class Wishes:
    """What is to be compared.

    Attributes:
        interpolations: bicubic and lanczos, as far as they are wanted.
        upscalings: the settings of each use of PatchScaler's networks, by the method's name.
        others: folders of other programs' pictures, by the method's name.
    """

    interpolations: list[str]
    upscalings: dict[str, UpscaleSettings]
    others: dict[str, Path]

    @property
    def patchscaler(self) -> list[str]:
        """The uses that are more than the coarse image."""
        return [name for name in self.upscalings if name != "coarse"]

    @classmethod
    def of(
        cls, methods: str, variants: list[str] | None, others: list[str] | None, settings: UpscaleSettings
    ) -> Wishes:
        """Read the options' words.

        Args:
            methods: names with commas between, or "none".
            variants: NAME=SETTINGS each.
            others: NAME=FOLDER each.
            settings: the command line's, which variants change.

        Raises:
            UsageError: if a word is unknown, a name is taken, or nothing is left to compare.
        """
        names = _chosen(methods)
        upscalings = {}
        if "coarse" in names:
            upscalings["coarse"] = replace(settings, coarse_only=True)
        if "patchscaler" in names:
            upscalings["patchscaler"] = settings
        for name, words in _named("--variant", variants, set()).items():
            upscalings[name] = _varied(name, words, settings)
        folders = {name: Path(folder) for name, folder in _named("--compare", others, set(upscalings)).items()}
        interpolations = [name for name in names if name in ("bicubic", "lanczos")]
        if not (interpolations or upscalings or folders):
            raise UsageError("There is nothing to compare; name a method by --methods, --variant or --compare.")
        return cls(interpolations, upscalings, folders)


def _chosen(words: str) -> list[str]:
    """The methods of --methods in their usual order."""
    names = {word.strip() for word in words.split(",")}
    if names == {"none"}:
        return []
    unknown = sorted(names - set(METHODS))
    if unknown:
        raise UsageError(f"--methods knows {', '.join(METHODS)} and none, not {unknown[0] or 'an empty word'}.")
    return [name for name in METHODS if name in names]


def _named(option: str, values: list[str] | None, taken: set[str]) -> dict[str, str]:
    """What stands behind NAME= in each value of an option, by the name."""
    found: dict[str, str] = {}
    for value in values or []:
        name, equals, rest = (part.strip() for part in value.partition("="))
        if not (name and equals and rest):
            raise UsageError(f"{option} takes a name, = and what it stands for, not {value}.")
        if name in taken | RESERVED | set(found):
            raise UsageError(f"{option}: the name {name} is taken already; give another one.")
        if set(name) & set('/\\:*?"<>|') or name.startswith("."):
            raise UsageError(f"{option}: {name} cannot be the name of a folder, which pictures may go into.")
        found[name] = rest
    return found


def _varied(name: str, words: str, base: UpscaleSettings) -> UpscaleSettings:
    """The settings with those changed that SETTINGS names."""
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
