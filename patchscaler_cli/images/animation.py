"""Animations: every frame a `Picture`, with how long it is shown and how often all of them are played."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from patchscaler_cli.images.decoding import contents_of, decoding, open_picture
from patchscaler_cli.images.encoding import metadata_words, pillows_words, samples_for, what_is_lost
from patchscaler_cli.images.formats import Format, format_of
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.reading import ANIMATED, picture_of, split
from patchscaler_cli.images.writing import replacing

FOREVER = 0
_CLEAR_ENTRY = 255
"""The palette entry of a GIF that is transparent."""


@dataclass(frozen=True)
class Timing:
    """When the frames are shown.

    Attributes:
        durations: milliseconds that each frame is shown.
        plays: how often all of them are played; 0 is for ever.
    """

    durations: tuple[int, ...]
    plays: int = FOREVER


@dataclass(frozen=True)
class Animation:
    """An animated file, all of whose frames are known to decode.

    Attributes:
        path: the file.
        width: of every frame, in pixels.
        height: of every frame, in pixels.
        timing: when the frames are shown; its durations say how many there are.
        has_alpha: the frames have alpha: all, if any pixel of one is not opaque.
    """

    path: Path
    width: int
    height: int
    timing: Timing
    has_alpha: bool
    _contents: bytes = field(repr=False)

    def frames(self) -> Iterator[Picture]:
        """The frames, whole and upright, each decoded when it is asked for: RGB [H, W, 3] and alpha [H, W] or None."""
        with decoding(self.path):
            image = open_picture(self.path, self._contents)
            for number in _frame_numbers(image):
                image.seek(number)
                image.load()
                pixels, alpha = split(image.convert("RGBA" if self.has_alpha else "RGB"))
                yield picture_of(self.path, image, pixels, alpha, [])


def count_frames(path: Path) -> int:
    """How many frames an animation has; 1 for a single picture, pages of a TIFF and previews of a photograph.

    Raises:
        PatchScalerError: if the file cannot be read or is no picture.
    """
    with decoding(path):
        image = open_picture(path, contents_of(path))
        return len(_frame_numbers(image))


def read_animation(path: Path) -> Animation:
    """Read an animated file: GIF, WebP, APNG or AVIF.

    Raises:
        PatchScalerError: if the file cannot be read, is no picture, or any frame is damaged.
    """
    contents = contents_of(path)
    durations, has_alpha = [], False
    with decoding(path):
        image = open_picture(path, contents)
        for number in _frame_numbers(image):
            image.seek(number)
            image.load()
            durations.append(round(image.info.get("duration", 0)))
            has_alpha = has_alpha or _is_see_through(image)
        timing = Timing(tuple(durations), _plays(image))
        first = next(Animation(path, *image.size, timing, has_alpha, contents).frames())  # upright
    return Animation(path, first.width, first.height, timing, has_alpha, contents)


def _frame_numbers(image: ImageFile.ImageFile) -> range:
    """Which of Pillow's frames are the animation's, or the one of a single picture."""
    frames = getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
    still_first = bool(image.info.get("default_image"))  # an APNG's picture for those who know no APNG
    return range(1 if still_first and frames > 1 else 0, frames)


def _is_see_through(image: Image.Image) -> bool:
    """Whether any pixel is not opaque; an animated WebP, for one, always has alpha."""
    return image.has_transparency_data and bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)


def _plays(image: ImageFile.ImageFile) -> int:
    loop = image.info.get("loop")
    if image.format != "GIF":
        return loop or FOREVER
    if loop is None:
        return 1
    return loop + 1 if loop else FOREVER  # a GIF counts the repeats


def write_animation(
    path: Path, frames: Iterable[Picture], timing: Timing, options: WriteOptions | None = None
) -> list[str]:
    """Write frames as GIF, WebP or APNG, as the options or the path's ending name; `path` holds it whole or is as it was.

    Pillow's encoders need all frames at once: they are held in memory, 4 bytes a pixel (a GIF's: 1).

    Args:
        path: the file.
        frames: of one size, all with alpha or none, as `Picture.enlarged` gives them.
        timing: as many durations as frames.
        options: None for the defaults.

    Returns:
        Sentences about what the format has no place for.

    Raises:
        UsageError: if the format is unknown, holds no animations, or cannot do what the options ask.
        PatchScalerError: if the file cannot be written.
    """
    options = options or WriteOptions()
    form = format_of(path, options.format, animated=True)
    options.check(form)
    notes: list[str] = []
    words: dict[str, Any] = {}
    images: list[Image.Image] = []
    for frame in frames:
        picture = frame.as_in_file()
        if not images:
            notes = what_is_lost(path, form, picture, options)
            words = pillows_words(metadata_words(form, picture, options))
        images.append(_frame_image(form, picture, options))
    words |= form.options | options.compression(form) | _timing_words(form, timing)
    if form.name == "GIF":
        notes.append(f"GIF has at most 256 colours: the frames of {path} are dithered; write WebP or PNG to keep them.")
        if "transparency" in images[0].info:  # what was clear must not show the frame before
            words |= {"transparency": _CLEAR_ENTRY, "disposal": 2}
    with replacing(path) as file:
        images[0].save(file, form.name, save_all=True, append_images=images[1:], **words)
    return notes


def _frame_image(form: Format, picture: Picture, options: WriteOptions) -> Image.Image:
    pixels, alpha = samples_for(form, picture, options.background)
    image = Image.fromarray(pixels).convert("RGB")
    if form.name == "GIF":
        return _with_palette(image, alpha)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return image


def _with_palette(image: Image.Image, alpha: np.ndarray[Any, np.dtype[Any]] | None) -> Image.Image:
    """An RGB picture in the 256 colours that suit it; with alpha [H, W] in 255, and clear where less than half opaque."""
    if alpha is None:
        return image.quantize(256)
    reduced = image.quantize(_CLEAR_ENTRY)
    palette = reduced.getpalette() or []
    reduced.putpalette([*palette, *[0] * (3 * (_CLEAR_ENTRY + 1) - len(palette))])
    reduced.paste(_CLEAR_ENTRY, mask=Image.fromarray((alpha < 128).astype(np.uint8) * 255))
    reduced.info["transparency"] = _CLEAR_ENTRY
    return reduced


def _timing_words(form: Format, timing: Timing) -> dict[str, Any]:
    """When the frames are shown, as Pillow's `save` takes it."""
    if form.name != "GIF":
        return {"duration": list(timing.durations), "loop": timing.plays}
    words: dict[str, Any] = {"duration": _in_centiseconds(timing.durations)}
    if timing.plays != 1:
        words["loop"] = timing.plays - 1 if timing.plays else FOREVER
    return words


def _in_centiseconds(durations: Sequence[int]) -> list[int]:
    """Milliseconds rounded to tens, as a GIF keeps them, so that the roundings do not add up."""
    ends = [round(end, -1) for end in accumulate(durations, initial=0)]
    return [later - earlier for earlier, later in pairwise(ends)]
