"""Which pictures, and where each goes: files, folders and globs to a list of work, checked before any of it starts."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from patchscaler_cli.errors import PatchScalerError, UsageError

PICTURE_ENDINGS = frozenset(
    (
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif",
        ".gif",
    )
)  # fmt: skip
"""What is taken for a picture in a folder; a file that is named itself is always tried."""

THUMBNAIL_FOLDERS = frozenset(("@eaDir", "__MACOSX", "thumbnails"))
"""Folders that systems fill with small copies of pictures, besides hidden ones."""


@dataclass(frozen=True)
class Work:
    """One picture to upscale: the file it is in and the file to write."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Gathered:
    """Everything to do.

    Attributes:
        work: in the order of the inputs; within a folder by name.
        batch: whether it was asked for as a batch: several inputs, a folder or a glob.
        passed_over: files in folders that are hidden, thumbnails or no pictures.
    """

    work: tuple[Work, ...]
    batch: bool
    passed_over: int


def gather(
    inputs: list[Path],
    output: Path | None,
    recursive: bool,
    name_beside: Callable[[Path], str],
    name_in_folder: Callable[[Path], str],
) -> Gathered:
    """Find the pictures and name their outputs.

    Args:
        inputs: files, folders, and glob patterns (where no file has that very name).
        output: for one file: the file to write, or an existing folder to write into; for a batch: a folder, made if
            it is missing. None: files go beside their inputs, folders into a new folder beside them, `FOLDER_upscaled`.
        recursive: go into the folders' folders, and keep the tree.
        name_beside: a picture's output name, such as "photo_x4.png", in the same folder.
        name_in_folder: the same, such as "photo.png", in another folder.

    Raises:
        UsageError: if two pictures would write one file, an output is another's input, or a batch's output is a file.
        PatchScalerError: if an input is not there or a folder holds no picture.
    """
    batch = len(inputs) > 1 or any(path.is_dir() or (not path.exists() and _is_pattern(path)) for path in inputs)
    if batch and output is not None and output.exists() and not output.is_dir():
        raise UsageError(f"The output {output} is a file; for several pictures give a folder.")
    work: list[Work] = []
    passed_over = 0
    for path in inputs:
        if path.is_dir():
            target = output if output is not None else _real(path).with_name(f"{_real(path).name}_upscaled")
            found = list(_pictures(path, recursive, exclude=target))
            pictures = [file for file, wanted in found if wanted]
            passed_over += len(found) - len(pictures)
            if not pictures:
                deeper = "" if recursive else "; --recursive looks into its folders too"
                raise PatchScalerError(f"The folder {path} holds no pictures{deeper}.")
            work += [Work(file, target / file.relative_to(path).with_name(name_in_folder(file))) for file in pictures]
            continue
        for file in _matches(path):
            if output is None:
                work.append(Work(file, file.with_name(name_beside(file))))
            elif batch or output.is_dir():
                same = _real(output) == _real(file.parent)
                work.append(Work(file, output / (name_beside(file) if same else name_in_folder(file))))
            else:
                work.append(Work(file, output))
    _refuse_collisions(work)
    return Gathered(tuple(work), batch, passed_over)


def _is_pattern(path: Path) -> bool:
    return glob.escape(str(path)) != str(path)


def _matches(path: Path) -> list[Path]:
    """The file itself, or the files that match where it is a pattern and no file has that name."""
    if path.exists() or not _is_pattern(path):
        return [path]
    files = sorted(Path(match) for match in glob.glob(str(path), recursive=True) if Path(match).is_file())
    if not files:
        raise PatchScalerError(f"No file matches {path}.")
    return files


def _pictures(folder: Path, recursive: bool, exclude: Path) -> Iterator[tuple[Path, bool]]:
    """The files of a folder by name, each with whether it is a picture to take. Folders behind links are not entered."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PatchScalerError(f"The folder {folder} cannot be read ({error.strerror}).") from error
    for path in entries:
        if path.is_dir():
            hidden = path.name.startswith(".") or path.name in THUMBNAIL_FOLDERS
            if recursive and not hidden and not path.is_symlink() and _real(path) != _real(exclude):
                yield from _pictures(path, recursive, exclude)
        else:
            file = path.is_file() or path.is_symlink()  # a link that leads nowhere is told of, a pipe would never end
            yield path, file and not path.name.startswith(".") and path.suffix.lower() in PICTURE_ENDINGS


def _real(path: Path) -> Path:
    """Where a path leads through links (`Path.resolve` raises where they lead in a circle)."""
    return Path(os.path.realpath(path))


def _refuse_collisions(work: list[Work]) -> None:
    sources = {_real(one.source) for one in work}
    targets: dict[Path, Path] = {}
    for one in work:
        target = _real(one.target)
        if target in targets:
            raise UsageError(
                f"{targets[target]} and {one.source} would both be written to {one.target}; "
                "rename one of them, or upscale them into different folders."
            )
        if target in sources and target != _real(one.source):
            raise UsageError(
                f"{one.source} would be written over the input {one.target}; choose another output folder."
            )
        targets[target] = one.source
