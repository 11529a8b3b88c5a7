"""What textures of one's own are worth: `python -m patchscaler_cli.evaluation.own_textures HR LR --lpips FILE`.

The left half of every HR picture plays the photographs that a user has of the same material: a texture memory is built of
it. The whole LR picture is upscaled with several memories, and of the result the right half is measured, of which no
memory has seen anything.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.examples import SCALE, Example, examples
from patchscaler_cli.evaluation.metrics import Pixels, load_lpips, psnr_y
from patchscaler_cli.models.memory_file import save_memory
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.textures.build import build_memory

ENTRIES = 64
"""Textures of a memory, of the 105 patches that a half of 256x512 pixels has."""
METHODS = ("no texture", "the model's textures", "textures of the other half", "textures of another picture")


def right_half(picture: Pixels) -> Pixels:
    """The right half of a picture [H, W, 3]; in an HR picture it begins where an LR pixel does."""
    return picture[:, picture.shape[1] // (2 * SCALE) * SCALE :]


def build_of_left_half(upscaler: Upscaler, example: Example, folder: Path) -> Path | None:
    """The memory file of what `right_half` leaves of an HR picture; None where that is too flat to hold a texture."""
    half, memory = folder / f"{example.stem}.png", folder / f"{example.stem}.safetensors"
    Image.fromarray(example.hr[:, : -right_half(example.hr).shape[1]]).save(half)
    try:
        save_memory(memory, build_memory(upscaler.network, [half], ENTRIES), upscaler.network)
    except PatchScalerError:
        return None
    return memory


def main(
    hr: Annotated[Path, typer.Argument(help="Folder of HR pictures, 256 pixels wide and high or more.")],
    lr: Annotated[Path, typer.Argument(help="Folder of their LR pictures.")],
    lpips: Annotated[Path, typer.Option(help="Safetensors file with LPIPS's weights.")],
    weights: Annotated[Path | None, typer.Option(help="A weights file instead of the bundled one.")] = None,
    every: Annotated[int, typer.Option(help="Take every so many-th picture.")] = 1,
) -> None:
    """Print a table of LPIPS and PSNR-Y of right halves by the memory in use, over the pictures whose halves hold textures."""
    judge = load_lpips(lpips)
    own, rows = Upscaler.from_pretrained(weights=weights), []
    bundled = Upscaler.from_pretrained(weights=weights)
    with tempfile.TemporaryDirectory() as folder:
        found = [(one, build_of_left_half(bundled, one, Path(folder))) for one in examples(hr, lr, every)]
        textured = [(one, memory) for one, memory in found if memory is not None]
        for number, (one, memory) in enumerate(textured):
            results = [bundled.upscale(one.lr, UpscaleSettings(texture=wanted)).pixels for wanted in (False, True)]
            for textures in (memory, textured[number - 1][1]):
                own.use_textures(textures)
                results.append(own.upscale(one.lr).pixels)
            truth = right_half(one.hr)
            rows.append([(judge(truth, right_half(result)), psnr_y(truth, right_half(result))) for result in results])
            print(one.name, *(f"{distance:.4f}" for distance, _ in rows[-1]), flush=True)
    figures = np.array(rows)  # (pictures, methods, 2)
    print(f"\n{len(rows)} pictures, {len(found) - len(rows)} more whose left half is flat\n")
    print("| with | LPIPS | difference to no texture | standard error | PSNR-Y |\n| --- | --- | --- | --- | --- |")
    for place, method in enumerate(METHODS):
        difference = figures[:, place, 0] - figures[:, 0, 0]
        error = difference.std(ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else float("nan")
        distance, psnr = figures[:, place].mean(0)
        print(f"| {method} | {distance:.4f} | {difference.mean():+.4f} | {error:.4f} | {psnr:.2f} |")


if __name__ == "__main__":
    typer.run(main)
