"""Which files of a folder are photographs to take textures from."""

from __future__ import annotations

from pathlib import Path

from patchscaler_cli.engines.inputs import PICTURE_ENDINGS, THUMBNAIL_FOLDERS
from patchscaler_cli.errors import PatchScalerError


def photographs(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The picture files of a folder, without hidden ones and thumbnails, in the order of their paths.

    Args:
        folder: where to look.
        recursive: look into its folders too.

    Raises:
        PatchScalerError: if there is no such folder or it holds no pictures.
    """
    if not folder.is_dir():
        raise PatchScalerError(f"There is no folder {folder}; give the path of a folder of photographs.")
    files = folder.rglob("*") if recursive else folder.iterdir()
    found = sorted(file for file in files if _is_photograph(file.relative_to(folder)) and file.is_file())
    if not found:
        deeper = "" if recursive else "; --recursive looks into its folders too"
        raise PatchScalerError(f"The folder {folder} holds no pictures{deeper}.")
    return found


def _is_photograph(path: Path) -> bool:
    """By the path within the folder."""
    hidden = any(part.startswith(".") or part in THUMBNAIL_FOLDERS for part in path.parts)
    return path.suffix.lower() in PICTURE_ENDINGS and not hidden
