"""The options of `patchscaler upscale` that say what is reported, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_report = "Report"
SaveConfidence = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="Also write where the coarse model is sure (white) and where not (black): a grey picture of the input's size. For several pictures a folder.",
        rich_help_panel=_report,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Say what would be done and how much memory it takes; write nothing.", rich_help_panel=_report
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the report as one JSON object on stdout, for scripts.", rich_help_panel=_report),
]
JsonLines = Annotated[
    bool,
    typer.Option(
        "--json-lines", help="Print a JSON object for every picture as soon as it is done.", rich_help_panel=_report
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=_report)]
