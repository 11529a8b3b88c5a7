"""The options of `patchscaler evaluate` that `upscale` has not, in the order in which --help lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchscaler_cli.cli.evaluate_wishes import METHODS

ALL_METHODS = ",".join(METHODS)

# ---- pictures -------------------------------------------------------------------------------------------------------

Hr = Annotated[
    Path, typer.Argument(metavar="HR", readable=False, help="Folder of the true pictures: PNG, JPEG, WebP, TIFF, BMP, AVIF.")
]  # fmt: skip
Lr = Annotated[
    Path | None,
    typer.Argument(
        metavar="LR",
        readable=False,
        help="Folder of the same pictures at a fourth of the size, under the same names; made by --degradation if not given.",
        show_default=False,
    ),
]
Degradation = Annotated[
    Literal["clean", "noisy", "training"] | None,
    typer.Option(
        help="How LR pictures are made: clean is antialiased bicubic; noisy has Gaussian noise of 20 levels on it; training is blur, resizing, noise and JPEG as in "
        "training, its settings drawn for each picture by --degradation-seed and the picture's name.",
        show_default="clean",
    ),
]
DegradationSeed = Annotated[int | None, typer.Option(help="Of --degradation noisy and training.", show_default="0")]
SaveLr = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", readable=False, help="Write the LR pictures that are made, for other programs to enlarge."),
]  # fmt: skip
Every = Annotated[int, typer.Option(min=1, help="Measure every n-th picture only.")]

# ---- methods --------------------------------------------------------------------------------------------------------

_methods = "Methods"
Methods = Annotated[
    str,
    typer.Option(
        metavar="LIST",
        help=f"Which of {', '.join(METHODS)}, with commas between; none for only what --variant and --compare add.",
        rich_help_panel=_methods,
    ),
]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="NAME=SETTINGS",
        help="PatchScaler once more with other settings, such as 'uniform=groups:1,steps:4'; settings are preset, steps, "
        "groups, fidelity, texture (on or off), seed, tile and batch_size. May be repeated.",
        rich_help_panel=_methods,
    ),
]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        metavar="NAME=FOLDER",
        help="Pictures that another program made of the same LR pictures: 00.png or 00_out.png for 00.png. "
        "May be repeated.",
        rich_help_panel=_methods,
    ),
]

# ---- metrics --------------------------------------------------------------------------------------------------------

_metrics = "Metrics beside PSNR-Y and SSIM-Y"
Lpips = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="Safetensors file with LPIPS's AlexNet and heads; without it, no LPIPS.",
        rich_help_panel=_metrics,
    ),
]
Niqe = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="NIQE's published pristine model, niqe_pris_params.npz; without it, no NIQE.",
        rich_help_panel=_metrics,
    ),
]
WithPyiqa = Annotated[
    bool,
    typer.Option(
        "--pyiqa",
        help="Also CLIP-IQA and MUSIQ, if pyiqa is installed; it downloads their weights by itself.",
        rich_help_panel=_metrics,
    ),
]

# ---- results --------------------------------------------------------------------------------------------------------

_results = "Results"
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FOLDER", readable=False,
        help="Write PatchScaler's pictures into this folder, and those of a variant into a folder of its name in it.",
        rich_help_panel=_results,
    ),
]  # fmt: skip
Sheet = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", readable=False, rich_help_panel=_results,
        help="Write a contact sheet: the middle of every picture as LR, by every method, and the truth.",
    ),
]  # fmt: skip
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.html", readable=False, rich_help_panel=_results,
        help="Write a page with before/after sliders, zoom and overlays of Qmap and groups; all in one file.",
    ),
]  # fmt: skip
ReportPictures = Annotated[
    int,
    typer.Option(
        min=1, rich_help_panel=_results,
        help="How many pictures the report shows, spread evenly; each takes one to three MB. The figures are of all.",
    ),
]  # fmt: skip
CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE.csv", readable=False, rich_help_panel=_results,
        help="Write every picture's figures by every method.",
    ),
]  # fmt: skip
Json = Annotated[
    bool, typer.Option("--json", help="Print everything as one JSON object on stdout.", rich_help_panel=_results)
]
