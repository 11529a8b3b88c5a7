"""Which methods `patchscaler evaluate` is asked to compare: the words of --methods, --variant and --compare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from patchscaler_cli.cli.variants import named, varied
from patchscaler_cli.errors import UsageError
from patchscaler_cli.pipeline.settings import UpscaleSettings

METHODS = ("bicubic", "lanczos", "coarse", "patchscaler")
"""The methods that have a name of their own, in the order in which they are shown."""
RESERVED = {*METHODS, "LR", "truth"}
"""Names that the tables or the report use already."""


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
        for name, words in named("--variant", variants, RESERVED).items():
            upscalings[name] = varied(name, words, settings)
        folders = {
            name: Path(folder) for name, folder in named("--compare", others, RESERVED | set(upscalings)).items()
        }
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
