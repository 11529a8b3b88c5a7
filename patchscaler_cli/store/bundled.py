"""Weights that travel with the program: inside the wheel, or at the top of a development checkout."""

from __future__ import annotations

from pathlib import Path

from patchscaler_cli.errors import PatchScalerError, UsageError

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
        PatchScalerError: if there are none at all.
    """
    found = bundled_weights()
    if not found:
        raise PatchScalerError("No weights are installed; give a weights file with --weights.")
    if model not in found:
        raise UsageError(f"--model must be one of {', '.join(found)}, not {model!r}.")
    return found[model]
