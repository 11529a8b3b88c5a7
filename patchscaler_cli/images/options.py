"""What a user may say about how a picture is written."""

from __future__ import annotations

from dataclasses import dataclass

from patchscaler_cli.errors import UsageError
from patchscaler_cli.images.formats import Format

Colour = tuple[int, int, int]
"""Red, green and blue from 0 to 255, in sRGB."""

WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class WriteOptions:
    """How a picture is written.

    Attributes:
        format: a format's name, such as "webp"; None to go by the file name's ending.
        quality: 1 (small file) to 100 (best picture); None for the format's own, at which losses are hard to see.
        lossless: lose nothing; only where the format can.
        strip_metadata: leave EXIF, XMP and resolution out. The colour profile stays: without it colours are wrong.
        background: what shows through transparent parts where the format has no transparency.
        provenance: one line about how the picture was made (software, model, settings, seed); None for none.
    """

    format: str | None = None
    quality: int | None = None
    lossless: bool = False
    strip_metadata: bool = False
    background: Colour = WHITE
    provenance: str | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense in any format.

        Raises:
            UsageError: if the quality or the background is out of range, or quality and lossless are both given.
        """
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"The quality must be from 1 to 100, not {self.quality}.")
        if self.quality is not None and self.lossless:
            raise UsageError("Give only one of quality and lossless: what loses nothing has no quality to choose.")
        if len(self.background) != 3 or not all(0 <= level <= 255 for level in self.background):
            raise UsageError(f"The background must be red, green and blue from 0 to 255, not {self.background}.")

    def check(self, form: Format) -> None:
        """Refuse what this format cannot do.

        Raises:
            UsageError: if a quality is asked of a format that loses nothing, or lossless of one that always loses.
        """
        if self.quality is not None and form.quality is None:
            raise UsageError(
                f"{form.label} has no quality to choose; leave the quality out or write JPEG, WebP or AVIF."
            )
        if self.lossless and not form.lossless:
            raise UsageError(f"{form.label} is never lossless here; write PNG, WebP or TIFF instead.")

    def compression(self, form: Format) -> dict[str, object]:
        """What Pillow's `save` is told about quality."""
        if form.quality is None:
            return {}
        return {"lossless": True} if self.lossless else {"quality": self.quality or form.quality}


def parse_colour(text: str) -> Colour:
    """A colour from its CSS name ("white") or its digits ("#fff", "#ffffff", "rgb(255, 255, 255)").

    Raises:
        UsageError: if it is neither.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise UsageError(f'{text} is no colour; give a name such as "white" or digits such as "#ffffff".') from None
    return red, green, blue
