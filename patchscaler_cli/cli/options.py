"""The options of `patchscaler upscale`, in the order and under the headings in which --help lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchscaler_cli.pipeline.settings import DEFAULT_PRESET, DEFAULT_SCALE, MAX_SCALE, PRESETS

# typer's own checks of paths are off (`readable=False`): images/ and store/ look at the files and say more.

_CALIBRATED = "as the model was calibrated"

# ---- the picture and where it goes ----------------------------------------------------------------------------------

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="IN...",
        readable=False,
        help="Pictures (PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC), animations (GIF, WebP, PNG), folders of them, or patterns such as 'scans/*.jpg'. "
        "They are never changed.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT", readable=False,
        help="Where to write: a file, whose ending chooses the format, or for several pictures a folder.",
        show_default="beside the input, such as photo_x4.png; for a folder, FOLDER_upscaled",
    ),
]  # fmt: skip
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace outputs that exist already. Without it one picture is refused, and several are passed over, so that "
        "the same command goes on where it stopped.",
    ),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Go into the folders' folders too, and keep their tree.")
]

Wrap = Annotated[
    bool,
    typer.Option(
        "--wrap",
        help="For textures that are laid like tiles: the left side continues the right one and the top the bottom, and "
        "the result fits to itself without a seam, too. Takes twice the work at 128x128 pixels, a tenth more at 512x512.",
    ),
]

# ---- the output file --------------------------------------------------------------------------------------------------

_file = "Output file"
Format = Annotated[
    str | None,
    typer.Option(
        help="png, jpeg, webp, tiff, bmp or avif; an animation can be gif, webp or png.",
        show_default="what OUT's ending says, else png; an animation's own",
        rich_help_panel=_file,
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(
        help="1 to 100, for JPEG, WebP and AVIF. The default is high: an upscaled picture's fine detail is easily lost.",
        show_default="95; AVIF 90",
        rich_help_panel=_file,
    ),
]
Lossless = Annotated[
    bool, typer.Option("--lossless", help="Lose nothing (WebP; PNG, TIFF and BMP never do).", rich_help_panel=_file)
]
Suffix = Annotated[
    str | None,
    typer.Option(
        help="What is put behind the name where PatchScaler chooses it, such as _large.",
        show_default="_x4 and the like beside the input, nothing in another folder",
        rich_help_panel=_file,
    ),
]
StripMetadata = Annotated[
    bool,
    typer.Option(
        "--strip-metadata",
        help="Leave EXIF (camera, place, time), XMP and resolution out. The colour profile stays.",
        rich_help_panel=_file,
    ),
]
Background = Annotated[
    str,
    typer.Option(
        metavar="COLOUR",
        help="What shows through transparent parts where the format has no transparency, such as black or #ff8800.",
        rich_help_panel=_file,
    ),
]
FirstFrame = Annotated[
    bool, typer.Option("--first-frame", help="Of an animation, upscale the first frame alone.", rich_help_panel=_file)
]

# ---- size -----------------------------------------------------------------------------------------------------------

_size = "Size (one of --scale, --width/--height, --long-edge)"
Scale = Annotated[
    float | None,
    typer.Option(
        "--scale", "-s",
        help=f"How many times as wide and high, 1 to {MAX_SCALE:g}; fractions too.",
        show_default=f"{DEFAULT_SCALE:g}",
        rich_help_panel=_size,
    ),
]  # fmt: skip
Width = Annotated[
    int | None,
    typer.Option(help="Output width in pixels; the height follows unless it is given too.", rich_help_panel=_size),
]
Height = Annotated[
    int | None,
    typer.Option(help="Output height in pixels; the width follows unless it is given too.", rich_help_panel=_size),
]
LongEdge = Annotated[
    int | None,
    typer.Option(help="Length in pixels of the longer output side; the other follows.", rich_help_panel=_size),
]

# ---- quality against time -------------------------------------------------------------------------------------------

_quality = "Quality against time"
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="|".join(PRESETS),
        help="How much work goes into the patches, as the model was calibrated; --steps, --groups and --fidelity go before it.",
        show_default=DEFAULT_PRESET,
        rich_help_panel=_quality,
    ),
]
Fidelity = Annotated[
    float | None,
    typer.Option(
        help="Raise it where invented texture disturbs, as on text and faces: 1 is the coarse image alone, 0 the whole refinement, "
        "and below (to -0.5) it is exaggerated.",
        show_default=_CALIBRATED,
        rich_help_panel=_quality,
    ),
]
CoarseOnly = Annotated[
    bool,
    typer.Option(
        "--coarse-only",
        help="Leave the diffusion out: several times faster and softer, and nothing is invented.",
        rich_help_panel=_quality,
    ),
]
Ensemble = Annotated[
    bool,
    typer.Option(
        "--ensemble",
        help="Restore the coarse image in all eight ways a picture can be turned and mirrored and take their mean, as the TTA mode "
        "(-x) of other upscalers: a little nearer to the truth, for a multiple of the time.",
        rich_help_panel=_quality,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Sampling steps of the hardest patches, 1 to 1000; easier ones take fewer in proportion. "
        "The time grows with them.",
        show_default=_CALIBRATED,
        rich_help_panel=_quality,
    ),
]
Groups = Annotated[
    int | None,
    typer.Option(
        help="How many groups of difficulty the patches are sorted into; 1 treats all as the hardest and is slowest.",
        show_default=_CALIBRATED,
        rich_help_panel=_quality,
    ),
]
NoTexture = Annotated[
    bool,
    typer.Option(
        "--no-texture",
        help="Leave the texture prompt out where the weights would use the model's own textures.",
        rich_help_panel=_quality,
    ),
]
Texture = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        readable=False,
        help="Textures of your own: a sharp photograph of the same material, a folder of them, or what `texture build` made; model: those of the weights.",
        rich_help_panel=_quality,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        help="Of the sampling noise: the same seed gives the same picture, another one other fine texture.",
        rich_help_panel=_quality,
    ),
]

# ---- model and machine ----------------------------------------------------------------------------------------------

_machine = "Model and machine"
Model = Annotated[
    str | None,
    typer.Option(help="Name of the model.", show_default="the best for the device", rich_help_panel=_machine),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="Your own weights file (.safetensors, as `patchscaler train` exports it) in place of a named model.",
        rich_help_panel=_machine,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Never download weights, as PATCHSCALER_OFFLINE=1 in the environment.",
        rich_help_panel=_machine,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda[:N]|mps",
        help="What computes; auto takes a GPU if there is one. `patchscaler upscale` spreads a batch over several, such as "
        "cuda:0,cuda:1 (a single picture: the first alone).",
        rich_help_panel=_machine,
    ),
]
Dtype = Annotated[
    Literal["auto", "fp32", "fp16", "bf16"],
    typer.Option(
        help="Arithmetic; auto takes the fastest that suits the device. Choose fp32 to compare results exactly.",
        rich_help_panel=_machine,
    ),
]
Tile = Annotated[
    int,
    typer.Option(
        help="Side of a tile in input pixels (up to an eighth more), at least 16. Lower it if memory runs out: the result stays the same.",
        rich_help_panel=_machine,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Patches computed together. Lower it if memory runs out: the result stays the same.",
        show_default="32; on a GPU as many as half of its free memory holds",
        rich_help_panel=_machine,
    ),
]

Engine = Annotated[
    Literal["local", "ray"],
    typer.Option(help="Where the pictures are done: here, or as tasks of a Ray cluster.", rich_help_panel=_machine),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="The Ray cluster's, such as auto or ray-head:6379; it must see the same files under the same paths.",
        show_default="RAY_ADDRESS in the environment, else a cluster of this machine's own",
        rich_help_panel=_machine,
    ),
]
