"""Bring the manifest's entries of bundled weights up to date: `python -m patchscaler_cli.store.refresh`.

Size and sha256 come from the file, licence and figures from the metadata that `patchscaler train export` wrote into it.
Entries whose file is not there stay as they are, and so does what a person wrote: purpose, urls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.store import manifest
from patchscaler_cli.store.places import bundled_file

FIGURES = ("psnr_y", "ssim_y", "lpips")


def refresh() -> list[Path]:
    """Rewrite the manifest.

    Returns:
        The weights files whose entries were compared with them.

    Raises:
        PatchScalerError: if the manifest or a weights file cannot be used.
    """
    document = json.loads(manifest.MANIFEST.read_text(encoding="utf-8"))
    done = []
    for name, model in manifest.load_manifest().items():
        path = bundled_file(model)
        if path is not None:
            document["models"][name] |= {
                "size": path.stat().st_size,
                "sha256": manifest.sha256_of(path),
                **_facts(path),
            }
            done.append(path)
    manifest.MANIFEST.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return done


def _facts(path: Path) -> dict[str, Any]:
    """Licence and figures from a weights file's metadata, as far as they are there."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise PatchScalerError(f"{path}: this is not a whole safetensors file ({error}); export it again.") from error
    facts: dict[str, Any] = {}
    if "licence" in metadata:
        facts["licence"] = json.loads(metadata["licence"])
    if "validation" in metadata:
        facts["figures"] = {
            pictures: {metric: summary["patchscaler"][metric] for metric in FIGURES if metric in summary["patchscaler"]}
            for pictures, summary in json.loads(metadata["validation"]).items()
        }
    return facts


if __name__ == "__main__":
    for path in refresh():
        print(f"{manifest.MANIFEST}: up to date with {path}")
