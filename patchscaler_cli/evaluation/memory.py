"""How much memory an upscale takes, by the size and the kind of the picture: `python -m patchscaler_cli.evaluation.memory`.

Every picture is made here, of smooth colours and grain, and upscaled by a process of its own, which is watched: Linux
says for every process how much of its memory is its own and how much are pages of files, which the system takes back
when it needs room. What lies in temporary files is of the second kind.
"""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image, ImageCms

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.metadata import Metadata
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.writing import write_picture

Kind = Literal["RGB", "L", "RGBA", "RGB16", "RGBA16", "P3"]
"""Of a picture: a mode, or 8-bit colour in Display P3, which is converted on the way in and out."""

_SECONDS_BETWEEN_LOOKS = 0.01
_P3_PRIMARIES = ((0.515102, 0.241182, -0.001050), (0.291965, 0.692236, 0.041882), (0.157153, 0.067157, 0.784378))


@dataclass(frozen=True)
class Peak:
    """The most memory that a process had at any time, in bytes.

    Attributes:
        own: memory that is nobody else's and in no file: what must fit into the machine.
        mapped: pages of files that it has mapped: libraries, and pictures in temporary files.
        seconds: wall-clock seconds that the process took.
    """

    own: int
    mapped: int
    seconds: float


def watch(command: list[str]) -> Peak:
    """Run a command and watch its memory; on Linux only.

    Raises:
        PatchScalerError: if the command fails, or the system does not tell.
    """
    begin, own, mapped = time.perf_counter(), 0, 0
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            try:
                lines = status.read_text().splitlines()
            except OSError as error:
                raise PatchScalerError(f"This system does not tell of a process's memory ({error}).") from error
            pairs = (line.partition(":") for line in lines if line.endswith("kB"))
            kib = {name: int(rest.split()[0]) for name, _, rest in pairs}
            own = max(own, kib.get("RssAnon", 0) + kib.get("RssShmem", 0))
            mapped = max(mapped, kib.get("RssFile", 0))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if process.returncode:
            said.seek(0)
            raise PatchScalerError(f"{' '.join(command)} failed: {said.read().decode(errors='replace').strip()}")
    return Peak(own * 1024, mapped * 1024, time.perf_counter() - begin)


def picture_of_size(width: int, height: int, kind: Kind) -> Picture:
    """Smooth colours with grain, and for RGBA a soft round cut-out."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (max(2, height // 50), max(2, width // 50), 3), np.uint8))
    colours = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.integers(-8, 9, (min(height, 512), width, 1), np.int8)
    pixels: npt.NDArray[np.unsignedinteger] = np.empty_like(colours)
    for top in range(0, height, len(grain)):
        rows = colours[top : top + len(grain)].astype(np.int16)
        pixels[top : top + len(grain)] = (rows + grain[: len(rows)]).clip(0, 255)
    alpha: npt.NDArray[np.unsignedinteger] | None = None
    if "A" in kind:
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        alpha = ((1.2 - np.hypot(x, y)) * 400).clip(0, 255).astype(np.uint8)
    if kind.endswith("16"):
        pixels = pixels.astype(np.uint16) * np.uint16(257)
        alpha = None if alpha is None else alpha.astype(np.uint16) * np.uint16(257)
    if kind == "L":
        pixels = np.ascontiguousarray(pixels[..., 0])
    return Picture(pixels, alpha, Metadata(icc_profile=_display_p3() if kind == "P3" else None))


def _display_p3() -> bytes:
    """Pillow's sRGB profile with the primaries of Display P3, whose tone curve is the same."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    for i in range(count):
        name, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if name in (b"rXYZ", b"gXYZ", b"bXYZ"):
            primary = _P3_PRIMARIES[b"rgb".index(name[:1])]
            struct.pack_into(">3i", profile, offset + 8, *(round(value * 65536) for value in primary))
    return bytes(profile)


def measure(width: int, height: int, kind: Kind, folder: Path, ending: str, words: list[str]) -> Peak:
    """The memory of one `patchscaler upscale`.

    Args:
        width: of the input, in pixels.
        height: of the input, in pixels.
        kind: of the input.
        folder: where input and output are written; they are removed again.
        ending: of the output's name.
        words: further options of `patchscaler upscale`.

    Raises:
        PatchScalerError: if the upscale fails.
    """
    source, target = folder / "in.tiff", folder / f"out{ending}"
    write_picture(source, picture_of_size(width, height, kind))
    try:
        return watch([sys.executable, "-m", "patchscaler_cli", "upscale", str(source), "-o", str(target), "-q", *words])
    finally:
        source.unlink()
        target.unlink(missing_ok=True)


def main(
    words: Annotated[list[str] | None, typer.Argument(metavar="[-- UPSCALE_OPTIONS]...")] = None,
    megapixels: Annotated[str, typer.Option(help="Sizes of the inputs, at 3 to 2.")] = "1,6,24",
    size: Annotated[str | None, typer.Option(help="One size in pixels instead, such as 6000x64.")] = None,
    kinds: Annotated[str, typer.Option(help=f"Of the inputs: some of {', '.join(get_args(Kind))}.")] = "RGB",
    ending: Annotated[str, typer.Option(help="Of the outputs' names, such as .jpg.")] = ".png",
) -> None:
    """Print a table of the most memory that `patchscaler upscale` takes for pictures of some sizes and kinds."""
    if size is not None:
        across, _, down = size.partition("x")
        sizes = [(int(across), int(down))]
    else:
        widths = [round(math.sqrt(float(number) * 1.5e6)) for number in megapixels.split(",")]
        sizes = [(width, round(width / 1.5)) for width in widths]
    print("| input | kind | own memory, MiB | pages of files, MiB | seconds |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds.split(","):
            if kind not in get_args(Kind):
                raise typer.BadParameter(f"{kind} is none of {', '.join(get_args(Kind))}.")
            for width, height in sizes:
                peak = measure(width, height, cast("Kind", kind), Path(folder), ending, words or [])
                own, mapped = round(peak.own / 2**20), round(peak.mapped / 2**20)
                print(f"| {width}x{height} | {kind} | {own} | {mapped} | {peak.seconds:.0f} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
