"""From a `Picture` to a file: refused before the work where it can be, whole or not at all where it is written."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.images.encoding import encode, what_is_lost
from patchscaler_cli.images.formats import Format, Mode, format_of
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.replacing import replacing


def check_output(
    path: Path,
    *,
    source: Path,
    width: int,
    height: int,
    overwrite: bool,
    options: WriteOptions | None = None,
    mode: Mode = "RGB",
    animated: bool = False,
) -> None:
    """Refuse, before any work, an output that could not or must not be written.

    Args:
        path: the file to be written.
        source: the input, which is never touched.
        width: of the picture to be written, in pixels.
        height: of the picture to be written, in pixels.
        overwrite: an existing file may be replaced.
        options: how it will be written; None for the defaults.
        mode: `Picture.mode` of what will be written.
        animated: an animation will be written.

    Raises:
        UsageError: if the format is unknown or cannot do what the options ask, the path is a folder, or it leads to
            `source`.
        PatchScalerError: if the file exists and must not be replaced, its name is too long, its folder is missing or
            may not be written to, the format cannot hold a picture of this size, or the disk has no room for it.
    """
    options = options or WriteOptions()
    form = format_of(path, options.format, animated=animated)
    options.check(form)
    if os.path.isdir(path):
        raise UsageError(f"The output {path} is a folder; give the path of a file in it.")
    if os.path.exists(path) and os.path.samefile(path, source):
        raise UsageError(
            f"The output {path} is the input itself; give it another name, the original is never replaced."
        )
    if os.path.lexists(path) and not overwrite:
        raise PatchScalerError(f"The output {path} exists already; give --overwrite to replace it, or another name.")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise PatchScalerError(f"The output's folder {folder} does not exist; create it first.")
    if _name_is_too_long(path):
        raise PatchScalerError(f"The output's name {path.name} is too long for this disk; give it a shorter one.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PatchScalerError(
            f"The output's folder {folder} may not be written to; choose another or change its permissions."
        )
    _check_size(path, form, width, height, mode)
    _check_room(path, form, width, height, mode)


def _name_is_too_long(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _check_size(path: Path, form: Format, width: int, height: int, mode: Mode) -> None:
    """Refuse a picture that the format cannot hold; raises PatchScalerError."""
    if form.max_side is not None and max(width, height) > form.max_side:
        raise PatchScalerError(
            f"{path} would have {width}x{height} pixels, but {form.label} holds at most {form.max_side} on a side; "
            "write PNG or TIFF instead."
        )
    size = _bytes_of(form, width, height, mode)
    if form.max_bytes is not None and size > form.max_bytes:
        raise PatchScalerError(
            f"{path} would have {width}x{height} pixels in {size:,} bytes, but {form.label} holds at most "
            f"{form.max_bytes:,}; write PNG instead."
        )


def _check_room(path: Path, form: Format, width: int, height: int, mode: Mode) -> None:
    """Refuse a picture for whose file the disk has no room; raises PatchScalerError."""
    needed = int(_bytes_of(form, width, height, mode) * form.least_share)
    folder = Path(os.path.realpath(path)).parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        least = "" if form.least_share == 1 else "at the very least "
        raise PatchScalerError(
            f"{path} would have {width}x{height} pixels and take {least}{needed:,} bytes, but the disk of {folder} has "
            f"{free:,} free; make room or choose another folder."
        )


def _bytes_of(form: Format, width: int, height: int, mode: Mode) -> int:
    """What the pixels take as `form` stores them, before they are compressed."""
    stored = form.stored_mode(mode)
    return width * height * len(stored.removesuffix("16")) * (2 if stored.endswith("16") else 1)


def write_picture(path: Path, picture: Picture, options: WriteOptions | None = None) -> list[str]:
    """Write a picture in the format that the options or the path's ending name; `path` holds it whole or is as it was.

    Args:
        path: the file.
        picture: as `Picture.enlarged` gives it, or as it was read.
        options: None for the defaults.

    Returns:
        Sentences about what the format has no place for.

    Raises:
        UsageError: if the format is unknown or cannot do what the options ask.
        PatchScalerError: if the file cannot be written.
    """
    options = options or WriteOptions()
    form = format_of(path, options.format)
    options.check(form)
    picture = picture.as_in_file()
    notes = what_is_lost(path, form, picture, options)
    with replacing(path) as file:
        encode(file, form, picture, options)
    return notes
