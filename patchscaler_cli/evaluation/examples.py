"""Pictures whose truth is known: pairs of an HR picture and the LR picture that is to be enlarged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.metrics import Pixels

SCALE = 4
"""The factor that is evaluated: the network's own."""
SMALLEST_SIDE = 32
"""HR pixels; below, LPIPS's network and SSIM's window have no room."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"})

MakeLr = Callable[[str, Pixels], Pixels]
"""Makes the LR picture [H/4, W/4, 3] of an HR picture [H, W, 3] with the given name; both uint8 RGB."""


@dataclass(frozen=True)
class Example:
    """One picture: its file name, the truth [H, W, 3] and the LR picture [H/4, W/4, 3], both uint8 RGB."""

    name: str
    hr: Pixels
    lr: Pixels

    @property
    def stem(self) -> str:
        """The file name without its ending, by which files of other folders are found."""
        return Path(self.name).stem


@dataclass(frozen=True)
class ExampleFiles:
    """Where one picture lies; `lr` is None if the LR picture is still to be made."""

    hr: Path
    lr: Path | None


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without ending, in the order of names.

    Raises:
        PatchScalerError: if it is no folder, or two of its pictures differ in their ending only.
    """
    if not folder.is_dir():
        raise PatchScalerError(f"{folder} is no folder; give one that holds pictures.")
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in SUFFIXES:
            continue
        if file.stem in found:
            raise PatchScalerError(f"{folder} has both {found[file.stem].name} and {file.name}; take one of them away.")
        found[file.stem] = file
    return found


def example_files(hr_folder: Path, lr_folder: Path | None = None, every: int = 1) -> list[ExampleFiles]:
    """Every `every`-th picture of the HR folder, in the order of names; with an LR folder, of those that it has too.

    Raises:
        PatchScalerError: if nothing is left.
    """
    hr = pictures_by_stem(hr_folder)
    if lr_folder is None:
        if not hr:
            raise PatchScalerError(f"{hr_folder} holds no pictures; give a folder of HR pictures, such as PNG files.")
        return [ExampleFiles(file, None) for file in list(hr.values())[::every]]
    lr = pictures_by_stem(lr_folder)
    pairs = [ExampleFiles(file, lr[stem]) for stem, file in hr.items() if stem in lr]
    if not pairs:
        raise PatchScalerError(
            f"{hr_folder} and {lr_folder} have no picture's name in common; the LR pictures need the HR pictures' names."
        )
    return pairs[::every]


def read_example(files: ExampleFiles, make_lr: MakeLr | None = None) -> Example:
    """Read one pair, or read the truth and have its LR picture made.

    An HR picture that is larger than four times its LR picture by up to three pixels is cut to it at the right and at the
    bottom, as is usual for benchmarks.

    Raises:
        PatchScalerError: if a file cannot be read, the sizes do not fit, or the picture is smaller than 32x32 pixels.
    """
    hr = read_rgb(files.hr)
    height, width = (side - side % SCALE for side in hr.shape[:2])
    if min(height, width) < SMALLEST_SIDE:
        raise PatchScalerError(
            f"{files.hr} is smaller than {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels, too small to be measured; leave it out."
        )
    hr = hr[:height, :width]
    if files.lr is not None:
        lr = read_rgb(files.lr)
    else:
        assert make_lr is not None, "without an LR file somebody must make the LR picture"
        lr = make_lr(files.hr.stem, hr)
    if (lr.shape[0] * SCALE, lr.shape[1] * SCALE) != (height, width):
        raise PatchScalerError(
            f"{files.lr or files.hr}: the LR picture's sides are not a fourth of those of {files.hr}; "
            "give LR pictures that were reduced by 4."
        )
    return Example(files.hr.name, hr, lr)


def examples(hr_folder: Path, lr_folder: Path, every: int = 1) -> Iterator[Example]:
    """Pairs of pictures with the same name, in the order of names; every `every`-th of them.

    Raises:
        PatchScalerError: if there is no pair, a file cannot be read, or the sizes do not fit.
    """
    for files in example_files(hr_folder, lr_folder, every):
        yield read_example(files)


def clean_bicubic(name: str, hr: Pixels) -> Pixels:
    """The LR picture [H/4, W/4, 3] by Pillow's antialiased bicubic filter, as most of the field makes it."""
    size = (hr.shape[1] // SCALE, hr.shape[0] // SCALE)
    return np.asarray(Image.fromarray(hr).resize(size, Image.Resampling.BICUBIC))


def read_rgb(path: Path) -> Pixels:
    """An 8-bit picture's pixels [H, W, 3] as they are stored: transparency and colour profiles do not count.

    Raises:
        PatchScalerError: if it cannot be read, or has more than 8 bits in a mode that Pillow would cut.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise PatchScalerError(f"{path} has more than 8 bits a sample; give an 8-bit RGB picture to evaluate.")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PatchScalerError(
            f"{path} cannot be read as a picture ({error}); take it away or save it anew."
        ) from error
