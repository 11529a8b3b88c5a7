"""The HTML report: one file that needs nothing beside it and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files

from patchscaler_cli import __version__
from patchscaler_cli.evaluation.comparison import Compared, Comparison
from patchscaler_cli.evaluation.report.viewer import figures, section


class Report:
    """Grows by a section with every picture; holds the sections' HTML, not the pictures."""

    def __init__(self, comparison: Comparison) -> None:
        """For the figures of `comparison`, which may still grow."""
        self._comparison = comparison
        self._sections: list[str] = []

    def add(self, compared: Compared) -> None:
        """Show one more picture."""
        self._sections.append(section(compared, self._comparison, len(self._sections)))

    def html(self, facts: dict[str, str]) -> str:
        """The whole page.

        Args:
            facts: what was evaluated and how, by headings.
        """
        shown = f"{len(self._sections)} of {len(self._comparison.pictures)} pictures are shown."
        described = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
        title = f"PatchScaler: comparison of {len(self._comparison.pictures)} pictures"
        body = f"""<h1>PatchScaler: comparison</h1>
<dl>{described}</dl>
<h2>Means over {len(self._comparison.pictures)} pictures</h2>
{figures(self._comparison)}
<p>Arrows point to the better end; the best of a column is bold. {shown}</p>
<p><label><input type="checkbox" id="alike" checked> Choose layers, overlay and zoom for all pictures together</label></p>
<noscript><p>The comparison of pictures needs JavaScript; the figures do not.</p></noscript>
{"".join(self._sections)}"""
        return document(title, body)


def document(title: str, body: str) -> str:
    """A whole page that needs nothing beside it.

    Args:
        title: plain text.
        body: HTML; its viewers work by the page's script.
    """
    style, script = _own("report.css"), _own("report.js")
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="PatchScaler {__version__}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<script>{script}</script>
</body>
</html>
"""


def _own(name: str) -> str:
    """A file that lies beside this one."""
    return (files("patchscaler_cli.evaluation.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The source that lets a browser run or apply exactly this text and no other (Content Security Policy)."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"sha256-{digest}"
