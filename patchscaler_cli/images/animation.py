"""Animations: every frame a `Picture`, with how long it is shown and how often all of them are played."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFile

from patchscaler_cli.images.decoding import contents_of, decoding, open_picture
from patchscaler_cli.images.encoding import metadata_words, pillows_words, samples_for, what_is_lost
from patchscaler_cli.images.formats import Format, Mode, format_of
from patchscaler_cli.images.frame_files import CLEAR_ENTRY, write_gif, write_png, write_webp
from patchscaler_cli.images.header import frame_numbers, read_header, upright_size
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.reading import picture_of, read_picture, split
from patchscaler_cli.images.replacing import replacing

FOREVER = 0


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
        is_grey: no pixel of any frame has a colour.
        wraps: the frames are a texture that is laid like tiles.
    """

    path: Path
    width: int
    height: int
    timing: Timing
    has_alpha: bool
    is_grey: bool
    wraps: bool
    _contents: bytes = field(repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what reading had to leave behind."""
        return ()

    @property
    def mode(self) -> Mode:
        """What one pixel of a frame is made of."""
        if self.is_grey:
            return "LA" if self.has_alpha else "L"
        return "RGBA" if self.has_alpha else "RGB"

    def frames(self) -> Iterator[Picture]:
        """The frames, whole and upright, each decoded when it is asked for.

        Colour [H, W, 3] or, if all of them are, grey [H, W], with alpha [H, W] or None.
        """
        with decoding(self.path):
            image = open_picture(self.path, io.BytesIO(self._contents))
            for number in frame_numbers(image):
                image.seek(number)
                image.load()
                pixels, alpha = split(image.convert("RGBA" if self.has_alpha else "RGB").convert(self.mode))
                yield picture_of(self.path, image, pixels, alpha, [], wraps=self.wraps)


def read_picture_or_animation(path: Path, *, first_frame: bool = False, wraps: bool = False) -> Picture | Animation:
    """Read a file of one picture, or of frames; with `first_frame` of these the first.

    Raises:
        PatchScalerError: as `read_picture` and `read_animation` do.
    """
    if not first_frame and read_header(path).frames > 1:
        return read_animation(path, wraps=wraps)
    return read_picture(path, first_frame=first_frame, wraps=wraps)


def read_animation(path: Path, *, wraps: bool = False) -> Animation:
    """Read an animated file: GIF, WebP, APNG or AVIF.

    Raises:
        PatchScalerError: if the file cannot be read, is no picture, or any frame is damaged.
    """
    contents = contents_of(path)
    durations, has_alpha, is_grey = [], False, True
    with decoding(path):
        image = open_picture(path, io.BytesIO(contents))
        for number in frame_numbers(image):
            image.seek(number)
            image.load()
            durations.append(round(image.info.get("duration", 0)))
            has_alpha = has_alpha or _is_see_through(image)
            is_grey = is_grey and _is_grey(image)
        timing = Timing(tuple(durations), _plays(image))
    width, height = upright_size(image)
    return Animation(path, width, height, timing, has_alpha, is_grey, wraps, contents)


def _is_see_through(image: Image.Image) -> bool:
    """Whether any pixel is not opaque; an animated WebP, for one, always has alpha."""
    return image.has_transparency_data and bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)


def _is_grey(image: Image.Image) -> bool:
    """Whether no pixel that is seen has a colour."""
    pixels = np.asarray(image.convert("RGBA"))
    grey = (pixels[..., :2] == pixels[..., 1:3]).all(axis=2)
    return bool((grey | (pixels[..., 3] == 0)).all())


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

    Args:
        path: the file.
        frames: of one size, all with alpha or none, as `Picture.enlarged` gives them. Each is asked for when the one
            before it is encoded, so one or two are held at a time.
        timing: as many durations as frames.
        options: None for the defaults.

    Returns:
        Sentences about what the format has no place for.

    Raises:
        UsageError: if the format is unknown, holds no animations, or cannot do what the options ask.
        PatchScalerError: if the file cannot be written, or a frame cannot be had.
    """
    options = options or WriteOptions()
    form = format_of(path, options.format, animated=True)
    options.check(form)
    with replacing(path) as file:
        following = iter(frames)
        first = next(following)
        picture = first.as_in_file()
        notes = what_is_lost(path, form, picture, options)
        words = pillows_words(metadata_words(form, picture, options)) | form.options | options.compression(form)
        images = (_frame_image(form, frame.as_in_file(), options) for frame in chain([first], following))
        if form.name == "GIF":
            notes.append(f"GIF holds 256 colours in a frame: {path} has lost some; write WebP or PNG to keep them.")
            repeats = {} if timing.plays == 1 else {"loop": timing.plays - 1 if timing.plays else FOREVER}
            write_gif(file, zip(images, _in_centiseconds(timing.durations), strict=True), _with_palette, repeats)
        elif form.name == "PNG":
            shown = zip(images, timing.durations, strict=True)
            write_png(file, shown, len(timing.durations), words | {"loop": timing.plays})
        else:
            shown = zip(images, timing.durations, strict=True)
            words |= {"duration": list(timing.durations), "loop": timing.plays}
            write_webp(file, shown, len(timing.durations), words)
    return notes


def _frame_image(form: Format, picture: Picture, options: WriteOptions) -> Image.Image:
    """A frame as RGB or RGBA; in a GIF every pixel is clear or opaque."""
    pixels, alpha = samples_for(form, picture, options.background)
    image = Image.fromarray(pixels).convert("RGB")
    if alpha is not None:
        if form.name == "GIF":
            alpha = np.where(alpha < 128, 0, 255).astype(np.uint8)
        image.putalpha(Image.fromarray(alpha))
    return image


def _with_palette(image: Image.Image) -> Image.Image:
    """An RGB or RGBA picture in the 256 colours that suit it; what is clear has `CLEAR_ENTRY`."""
    if image.mode == "RGB":
        return image.quantize(256)
    reduced = image.convert("RGB").quantize(CLEAR_ENTRY)
    palette = reduced.getpalette() or []
    reduced.putpalette([*palette, *[0] * (3 * (CLEAR_ENTRY + 1) - len(palette))])
    reduced.paste(CLEAR_ENTRY, mask=ImageChops.invert(image.getchannel("A")))
    return reduced


def _in_centiseconds(durations: Sequence[int]) -> list[int]:
    """Milliseconds rounded to tens, as a GIF keeps them, so that the roundings do not add up."""
    ends = [round(end, -1) for end in accumulate(durations, initial=0)]
    return [later - earlier for earlier, later in pairwise(ends)]
