"""How outputs are called where the user names none: photo_x4.png beside photo.jpg, photo.png in another folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.formats import FORMATS, named_format
from patchscaler_cli.pipeline.settings import DEFAULT_SCALE, UpscaleSettings

_MAYBE_ANIMATED = frozenset((".gif", ".webp", ".png", ".apng", ".avif"))


@dataclass(frozen=True)
class Naming:
    """Names of outputs.

    Attributes:
        settings: their sizes mark a name.
        format: the format that is asked for; None: PNG, but an animation keeps its own where that can be written.
        suffix: what the user wants behind the name, in place of the mark.
        first_frame: an animation becomes a single picture.
    """

    settings: UpscaleSettings
    format: str | None = None
    suffix: str | None = None
    first_frame: bool = False

    def beside(self, source: Path) -> str:
        """The name of an output in its input's folder."""
        mark = f"_{self._mark(source)}" if self.suffix is None else self.suffix
        return source.stem + mark + self._ending(source)

    def in_folder(self, source: Path) -> str:
        """The name of an output in another folder."""
        return source.stem + (self.suffix or "") + self._ending(source)

    def _ending(self, source: Path) -> str:
        if self.format is not None:
            return named_format(self.format).suffixes[0]
        if not self.first_frame and source.suffix.lower() in _MAYBE_ANIMATED:
            from patchscaler_cli.images.header import read_header

            try:
                header = read_header(source)
            except PatchScalerError:
                return ".png"  # what is wrong is told when the file's turn comes
            for form in FORMATS:
                if header.frames > 1 and form.name == header.format and form.animated:
                    return form.suffixes[0]
        return ".png"

    def _mark(self, source: Path) -> str:
        """What distinguishes an output's name from its input's: the factor, or the size that is asked for."""
        settings = self.settings
        if settings.long_edge is settings.width is settings.height is None:
            return f"x{settings.scale or DEFAULT_SCALE:g}"
        from patchscaler_cli.images.header import read_header

        try:
            header = read_header(source)
            return "{}x{}".format(*settings.output_size(header.width, header.height))
        except PatchScalerError:
            return "large"  # nothing will be written there: it is told when the file's turn comes
