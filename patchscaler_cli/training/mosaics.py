"""Mosaics of reduced photographs: training pictures for what people upscale most, small pictures of whole scenes and of people.

`python -m patchscaler_cli.training.mosaics PHOTOS PHOTOS/mosaics --faces weights/faces.csv` writes some to train on, and with
`--faces weights/faces-held-out.csv --half-count 0` those of seven faces that are kept to measure with.

The training crops are cut out of large photographs, so what they show is near: a face fills one or is in none. In a small picture
a face is 25 pixels wide, and a network that has seen none so small puts the marks of bark and rock on it.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.random import Generator
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.training.photos import CROP, crops_of, source_of

FACE_WIDTH = {2: (48, 128), 4: (40, 88)}
"""Narrowest and widest face in HR pixels in mosaics of so many windows along a side. No face is enlarged to that."""
CONTEXT = 0.25
"""A face is off its window's middle by up to this share of what the window is wider than it."""


@dataclass(frozen=True)
class Face:
    """Where a face is in a crop: its middle and its width, as shares of the crop's side.

    Attributes:
        crop: the crop's file name without its ending, as `00330_c031`.
        x: from the left.
        y: from the top.
        width: from ear to ear.
    """

    crop: str
    x: float
    y: float
    width: float


def read_faces(file: Path) -> list[Face]:
    """The faces of a CSV file with the columns crop, x, y, width.

    Raises:
        PatchScalerError: if it is no such file.
    """
    try:
        with file.open(newline="") as rows:
            return [Face(r["crop"], float(r["x"]), float(r["y"]), float(r["width"])) for r in csv.DictReader(rows)]
    except (OSError, KeyError, TypeError, ValueError) as problem:
        raise PatchScalerError(
            f"{file}: no list of faces ({problem}); give a CSV file with crop, x, y, width."
        ) from None


def face_mosaics(
    crops: dict[str, Image.Image], faces: Sequence[Face], count: int, random: Generator
) -> Iterator[Image.Image]:
    """`count` mosaics of 512x512 pixels, of 4x4 windows and of 2x2 in turn, each window with a face about its middle.

    A face of a crowd is shown less often than one that is alone in its crop, by the square root of how many there are. One too
    wide to be as small as FACE_WIDTH in a window is left out where there is another.
    """
    together = Counter(face.crop for face in faces)
    for number in range(count):
        cells = 2 if number % 2 else 4
        canvas, cell = Image.new("RGB", (CROP, CROP)), CROP // cells
        fit = [face for face in faces if np.ptp(_widths(face, cells)) > 0] or faces
        weights = np.array([1 / together[face.crop] ** 0.5 for face in fit])
        for place in range(cells**2):
            face = fit[random.choice(len(fit), p=weights / weights.sum())]
            canvas.paste(
                _face_window(crops[face.crop], face, cells, random), (place % cells * cell, place // cells * cell)
            )
        yield canvas


def _widths(face: Face, cells: int) -> tuple[float, float]:
    """How narrow and how wide a face may become: a window shows no more than its crop, and enlarges nothing."""
    width, (least, most) = face.width * CROP, FACE_WIDTH[cells]
    low = max(least, width / cells)
    return low, max(low, min(width, most))


def _face_window(crop: Image.Image, face: Face, cells: int, random: Generator) -> Image.Image:
    """A square part of a crop with its face of a width drawn at random, reduced to one of `cells` windows along a side."""
    cell, width, (low, high) = CROP // cells, face.width * CROP, _widths(face, cells)
    side = min(CROP, cell * width / float(np.exp(random.uniform(np.log(low), np.log(high)))))
    spare = max(0.0, (side - width) * CONTEXT)
    left, top = (
        min(max(middle * CROP + random.uniform(-spare, spare) - side / 2, 0), CROP - side)
        for middle in (face.x, face.y)
    )
    return crop.resize((cell, cell), Image.Resampling.LANCZOS, (left, top, left + side, top + side))


def half_mosaics(photos: Sequence[Sequence[Image.Image]], count: int, random: Generator) -> Iterator[Image.Image]:
    """`count` mosaics of four crops at half their size, each of another photograph while there are any left.

    Args:
        photos: the crops of every photograph, each 512x512 pixels.
        count: how many.
        random: decides which crops.
    """
    order = random.permutation(len(photos))[: 4 * count]
    chosen = [photos[photo][int(random.integers(len(photos[photo])))] for photo in order]
    for number in range(count):
        canvas, cell = Image.new("RGB", (CROP, CROP)), CROP // 2
        for place in range(4):
            crop = chosen[(4 * number + place) % len(chosen)]
            canvas.paste(crop.resize((cell, cell), Image.Resampling.LANCZOS), (place % 2 * cell, place // 2 * cell))
        yield canvas


def main(
    photos: Annotated[Path, typer.Argument(help="Folder of photographs or tar shards of them.")],
    out: Annotated[Path, typer.Argument(help="New folder for the mosaics, faceNN.png and halfNN.png.")],
    faces: Annotated[Path | None, typer.Option(help="CSV file of where the faces are: crop, x, y, width.")] = None,
    face_count: Annotated[int, typer.Option(help="Mosaics of faces, where they are known.", min=0)] = 60,
    half_count: Annotated[int, typer.Option(help="Mosaics of photographs at half their size.", min=0)] = 60,
    seed: Annotated[int, typer.Option(help="Of everything drawn at random.")] = 0,
) -> None:
    """Write mosaics as PNG files: a folder of photographs that holds them is trained on as if each were a photograph."""
    if out.exists():
        raise PatchScalerError(f"{out}: there already; remove it to make the mosaics again.")
    listed = read_faces(faces) if faces else []
    crops: dict[str, Image.Image] = {}
    by_photo: defaultdict[str, list[Image.Image]] = defaultdict(list)
    for stem, arrays in crops_of(photos):
        pictures = [Image.fromarray(pixels.transpose(1, 2, 0)) for pixels in arrays]
        if pictures:
            crops[stem] = pictures[0]
        by_photo[source_of(stem)] += pictures
    if not crops:
        raise PatchScalerError(
            f"{photos}: no image of at least {CROP}x{CROP} pixels found; give a folder of photographs."
        )
    missing = [face.crop for face in listed if face.crop not in crops]
    if missing:
        raise PatchScalerError(f"{faces}: {photos} has no picture {missing[0]}; give the folder that it was made for.")
    random = np.random.default_rng(seed)
    out.mkdir(parents=True)
    for number, mosaic in enumerate(face_mosaics(crops, listed, face_count if listed else 0, random)):
        mosaic.save(out / f"face{number:02}.png")
    halved = [by_photo[name] for name in sorted(by_photo) if by_photo[name]]
    for number, mosaic in enumerate(half_mosaics(halved, half_count, random)):
        mosaic.save(out / f"half{number:02}.png")


if __name__ == "__main__":
    typer.run(main)
