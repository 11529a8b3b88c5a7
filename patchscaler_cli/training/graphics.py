"""Drawn training pictures: text, line art, patterns and shapes, which photographs have too little of.

`python -m patchscaler_cli.training.graphics FOLDER --seed 99` writes some that training has not seen, to measure with.

A network that has only seen photographs puts beads on thin lines and dots into the squares of a checkerboard. These pictures
are drawn, so they are nobody's, and every number draws others.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from patchscaler_cli.training.photos import CROP

FINE = 3
"""Drawn so many times as large and reduced by area: edges are smooth."""
LEAST_PANEL = 110
"""A panel is divided until both sides are shorter than twice this, in HR pixels."""

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]


def drawn_pictures(count: int, seed: int) -> Pixels:
    """Pictures [count, 3, 512, 512], RGB, every one of a few panels; the same ones for the same numbers."""
    return np.stack([drawn_picture(np.random.default_rng((seed, number))) for number in range(count)])


def drawn_picture(random: Generator) -> Pixels:
    """One picture [3, 512, 512]."""
    side = CROP * FINE
    canvas = Image.new("RGB", (side, side))
    _fill(canvas, (0, 0, side, side), random)
    return np.asarray(canvas.reduce(FINE)).transpose(2, 0, 1).copy()


def _fill(canvas: Image.Image, box: tuple[int, int, int, int], random: Generator) -> None:
    """Draw a panel into a box (left, top, right, bottom), or divide it and fill its parts."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if max(width, height) >= 2 * LEAST_PANEL * FINE:
        share = random.uniform(0.35, 0.65)
        if width >= height:
            middle = left + round(width * share)
            parts = (left, top, middle, bottom), (middle, top, right, bottom)
        else:
            middle = top + round(height * share)
            parts = (left, top, right, middle), (left, middle, right, bottom)
        for part in parts:
            _fill(canvas, part, random)
        return
    ink, ground = _colours(random)
    panel = Image.new("RGB", (width, height), ground)
    KINDS[random.integers(len(KINDS))](panel, ink, random)
    canvas.paste(panel, (left, top))


def _colours(random: Generator) -> tuple[Colour, Colour]:
    """Ink and ground, at least 60 levels apart on the mean; often black and white, or nearly."""
    if random.random() < 0.35:
        dark, light = int(random.integers(0, 40)), int(random.integers(215, 256))
        pair = ((dark,) * 3, (light,) * 3)
        return pair if random.random() < 0.7 else pair[::-1]
    while True:
        ink, ground = random.integers(0, 256, (2, 3))
        if abs(float(ink.mean() - ground.mean())) > 60:
            return _colour(ink), _colour(ground)


def _colour(values: npt.NDArray[np.int64]) -> Colour:
    red, green, blue = (int(value) for value in values)
    return red, green, blue


def _between(random: Generator, low: float, high: float) -> float:
    """A length between two, in pixels of the fine canvas, where short ones are as likely as long ones; bounds in HR pixels."""
    return float(np.exp(random.uniform(np.log(low), np.log(high)))) * FINE


def _words(random: Generator, length: int) -> str:
    """Words of random letters, some figures among them."""
    words: list[str] = []
    while sum(map(len, words)) < length:
        letters = string.ascii_lowercase if random.random() < 0.8 else string.digits + ".,:/%"
        word = "".join(random.choice(list(letters), random.integers(1, 10)))
        words.append(word.capitalize() if random.random() < 0.2 else word.upper() if random.random() < 0.1 else word)
    return " ".join(words)


def _text(panel: Image.Image, ink: Colour, random: Generator) -> None:
    """Lines of text in Pillow's own typeface: light or bold, narrow or wide, upright or slanted."""
    size = _between(random, 8, 48)
    font, stroke = ImageFont.load_default(size), round(size * random.choice([0, 0, 0.03, 0.06]))
    width, slant = random.uniform(0.7, 1.4), random.choice([0, 0, 0.25])
    mask = Image.new("L", (round(panel.width / width), panel.height))
    draw, left, step = ImageDraw.Draw(mask), random.uniform(-1, 1) * size, size * random.uniform(1.1, 1.6)
    for line in range(int(panel.height / step) + 1):
        words = _words(random, int(3 * mask.width / size))
        draw.text((left, (line + 0.2) * step), words, 255, font, stroke_width=stroke)
    shape = (1 / width, slant, -slant * panel.height / 2, 0, 1, 0)
    panel.paste(ink, mask=mask.transform(panel.size, Image.Transform.AFFINE, shape, Image.Resampling.BILINEAR))


def _lines(panel: Image.Image, ink: Colour, random: Generator) -> None:
    """Polylines and arcs."""
    draw, size = ImageDraw.Draw(panel), (panel.width, panel.height)
    for _ in range(random.integers(3, 14)):
        width = max(1, round(_between(random, 0.7, 6)))
        points = random.uniform(-0.1, 1.1, (random.integers(2, 6), 2)) * size
        if random.random() < 0.5:
            draw.line([tuple(point) for point in points.tolist()], ink, width, joint="curve")
        else:
            corners = np.sort(points[:2], 0).ravel().tolist()
            start, end = random.uniform(0, 360, 2).tolist()
            draw.arc(corners, start, end, ink, width)


def _rings(panel: Image.Image, ink: Colour, random: Generator) -> None:
    """Rings around one point."""
    draw, middle = ImageDraw.Draw(panel), random.uniform(0, 1, 2) * (panel.width, panel.height)
    period = _between(random, 4, 30)
    width = max(1, round(period * random.uniform(0.15, 0.6)))
    for radius in np.arange(period, max(panel.size) * 1.5, period).tolist():
        draw.ellipse((*(middle - radius), *(middle + radius)), None, ink, width)


def _stripes(panel: Image.Image, ink: Colour, random: Generator, crossed: bool) -> None:
    """Stripes at any angle, upright ones most; crossed, a mesh."""
    rows, columns = np.mgrid[: panel.height, : panel.width]
    angle = random.uniform(0, np.pi) if random.random() < 0.6 else 0.0
    period, share = _between(random, 4, 30), random.uniform(0.2, 0.7)
    inked = (columns * np.cos(angle) + rows * np.sin(angle)) / period % 1 < share
    if crossed:
        inked |= (rows * np.cos(angle) - columns * np.sin(angle)) / period % 1 < share
    panel.paste(ink, mask=Image.fromarray(inked))


def _squares(panel: Image.Image, ink: Colour, random: Generator) -> None:
    """A checkerboard."""
    rows, columns = np.mgrid[: panel.height, : panel.width]
    period = _between(random, 4, 40)
    panel.paste(ink, mask=Image.fromarray((rows // period + columns // period) % 2 == 0))


def _dots(panel: Image.Image, ink: Colour, random: Generator) -> None:
    """A lattice of dots."""
    draw, period = ImageDraw.Draw(panel), _between(random, 8, 40)
    radius = period * random.uniform(0.1, 0.45)
    for y in np.arange(0, panel.height + period, period).tolist():
        for x in np.arange(0, panel.width + period, period).tolist():
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), ink)


def _shapes(panel: Image.Image, ink: Colour, random: Generator) -> None:
    """Filled boxes, ellipses and polygons, with and without an outline."""
    draw, size = ImageDraw.Draw(panel), (panel.width, panel.height)
    for _ in range(random.integers(2, 9)):
        points, fill = random.uniform(-0.1, 1.1, (random.integers(2, 7), 2)) * size, _colour(random.integers(0, 256, 3))
        width = round(_between(random, 0.7, 5)) if random.random() < 0.5 else 0
        box = np.sort(points[:2], 0).ravel().tolist()
        kind = random.integers(4)
        if kind == 0:
            draw.rounded_rectangle(box, _between(random, 1, 20), fill, ink, width)
        elif kind == 1:
            draw.ellipse(box, fill, ink, width)
        elif kind == 2 and len(points) > 2:
            draw.polygon([tuple(point) for point in points.tolist()], fill, ink, width)
        else:
            draw.rectangle(box, fill, ink, width)


def _gradient(panel: Image.Image, ink: Colour, random: Generator) -> None:
    """From the ground to the ink, straight or round."""
    rows, columns = np.mgrid[: panel.height, : panel.width]
    way = np.cos(angle := random.uniform(0, 2 * np.pi)) * columns + np.sin(angle) * rows
    if random.random() < 0.4:
        way = np.hypot(rows - panel.height * random.random(), columns - panel.width * random.random())
    share = (way - way.min()) / max(float(np.ptp(way)), 1.0)
    panel.paste(ink, mask=Image.fromarray((share * 255).round().astype(np.uint8)))


KINDS: tuple[Callable[[Image.Image, Colour, Generator], None], ...] = (
    _text, _text, _text, _lines, _lines, _rings, partial(_stripes, crossed=False), partial(_stripes, crossed=True),
    _squares, _dots, _shapes, _shapes, _gradient,
)  # fmt: skip
"""What a panel may hold; a kind comes as often as it stands here."""


def main(
    folder: Annotated[Path, typer.Argument(help="Where to write them, as 00.png and so on.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Those of training have 0.")] = 99,
) -> None:
    """Draw pictures of 512x512 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(drawn_pictures(count, seed)):
        Image.fromarray(picture.transpose(1, 2, 0)).save(folder / f"{number:02}.png")


if __name__ == "__main__":
    typer.run(main)
