"""Weights that travel with the program: inside the wheel, or at the top of a development checkout."""

from __future__ import annotations

from pathlib import Path

from patchscaler_cli.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = (_PACKAGE / "weights", _PACKAGE.parent / "weights")


def bundled_weights() -> dict[str, Path]:
    """Model names and their weights files."""
    found: dict[str, Path] = {}
    for folder in _FOLDERS:
        for file in sorted(folder.glob("*.safetensors")):
            found.setdefault(file.stem, file)
    return found


def find_weights(model: str) -> Path:
    """The weights file of a model.

    Raises:
        UsageError: if there is none of that name, with the names that there are.
    """
    found = bundled_weights()
    if model not in found:
        raise UsageError(
            f"--model must be one of {', '.join(found) or 'none (no weights are installed)'}, not {model!r}."
        )
    return found[model]
