"""Texture memories of the user's own photographs, as the commands make them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from patchscaler_cli.cli.console import say_warning
from patchscaler_cli.cli.downloads import download_display
from patchscaler_cli.cli.progress import progress_display
from patchscaler_cli.errors import PatchScalerError, UsageError

if TYPE_CHECKING:
    from patchscaler_cli.models.memory_file import StoredMemory

MEMORY_ENDING = ".safetensors"
MODELS = Path("model")
"""What --texture takes for the textures that came with the weights."""


@dataclass(frozen=True)
class MemoryMaker:
    """Which model makes memories, on which device, and how much of it is told."""

    model: str | None
    weights: Path | None
    device: str
    offline: bool
    quiet: bool

    def make(
        self, photos: list[Path], output: Path, entries: int | None = None, seed: int = 0, keep_pictures: bool = False
    ) -> tuple[StoredMemory, str]:
        """Choose textures from photographs and write them to a file.

        Args:
            photos: picture files.
            output: the file.
            entries: most textures to keep; None for as many as the model has of its own.
            seed: of the draw.
            keep_pictures: keep what each texture looks like.

        Returns:
            The memory, and the model's name.

        Raises:
            PatchScalerError: if no photo holds a texture, or the model or the file cannot be had.
        """
        # Imported only now: --help should not wait for torch.
        from patchscaler_cli.models.memory_file import save_memory
        from patchscaler_cli.pipeline.upscaler import Upscaler
        from patchscaler_cli.textures.build import build_memory

        with download_display(self.quiet) as download:
            upscaler = Upscaler.from_pretrained(
                self.model, weights=self.weights, device=self.device, dtype="fp32", may_download=not self.offline,
                progress=download,
            )  # fmt: skip
        network = upscaler.network
        wanted = network.config.texture.entries if entries is None else entries
        with progress_display(self.quiet) as progress:
            memory = build_memory(
                network, photos, wanted, seed=seed, keep_pictures=keep_pictures, progress=progress,
                notice=(lambda sentence: None) if self.quiet else say_warning,
            )  # fmt: skip
        save_memory(output, memory, network)
        return memory, upscaler.model_name


def asked_for(texture: Path | None, no_texture: bool) -> bool | None:
    """The setting `texture` that --texture and --no-texture come to."""
    return False if no_texture else None if texture is None else True


def check_texture(texture: Path | None, no_texture: bool, engine: str = "local") -> None:
    """Refuse what --texture names if it is not there, holds no pictures or is not wanted; what is in a memory file is
    found out with the model."""
    if texture is None:
        return
    if no_texture:
        raise UsageError("Give only one of --texture and --no-texture: one uses textures, the other none.")
    if not texture.exists() and texture != MODELS:
        raise PatchScalerError(
            f"There is no texture memory {texture}, nor photographs of that name; give a sharp photograph, a folder of them, "
            "a memory that `patchscaler texture build` made, or `model` for the model's own textures."
        )
    if _photographs(texture) and engine == "ray":
        raise UsageError(
            f"--texture {texture}: other machines see no memory that is made here for one run; make it a file of its own by "
            "`patchscaler texture build`, and give that."
        )


@contextmanager
def memory_file(texture: Path | None, maker: MemoryMaker) -> Iterator[Path | None]:
    """The memory file of what --texture names: itself, or one made of photographs that is gone when the block ends.

    Raises:
        PatchScalerError: if none can be made.
    """
    photos = _photographs(texture)
    if not photos:
        yield None if texture == MODELS else texture
        return
    with tempfile.TemporaryDirectory(prefix="patchscaler-") as folder:
        path = Path(folder) / f"textures{MEMORY_ENDING}"
        maker.make(photos, path, keep_pictures=True)
        yield path


def _photographs(texture: Path | None) -> list[Path]:
    """The photographs that --texture names; none if it names a memory, or nothing."""
    if texture is None or texture == MODELS or (texture.is_file() and texture.suffix.lower() == MEMORY_ENDING):
        return []
    if texture.is_file():
        return [texture]

    from patchscaler_cli.textures.photographs import photographs

    return photographs(texture)
