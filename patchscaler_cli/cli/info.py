"""`patchscaler info`: what a bug report should say about the machine and the installation."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchscaler_cli import __version__
from patchscaler_cli.errors import PatchScalerError

if TYPE_CHECKING:
    import torch

LIBRARIES = ("numpy", "pillow", "safetensors", "rich", "typer")


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as one JSON object.")] = False,
) -> None:
    """Versions, devices, memory, weights and extras: what to paste into a bug report. Nothing is sent anywhere."""
    facts = gather()
    typer.echo(json.dumps(facts) if as_json else as_text(facts))


def gather() -> dict[str, Any]:
    """All facts, in the order in which they are shown."""
    import torch

    from patchscaler_cli.store.places import cache_folder, without_password

    return {
        "patchscaler": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": f"{platform.platform()}, {platform.machine()}",
        "torch": str(torch.__version__),
        "libraries": {name: _version_of(name) for name in LIBRARIES},
        "devices": _devices(),
        "cpu": {
            "cores": os.cpu_count(),
            "usable_cores": _usable_cores(),
            "torch_threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
        },
        "memory_bytes": _memory_bytes(),
        "cache": str(cache_folder()),
        "environment": {
            name: without_password(value)
            for name, value in sorted(os.environ.items())
            if name.startswith("PATCHSCALER_")
        },
        "weights": _weights(),
        "extras": _extras(),
    }


def as_text(facts: dict[str, Any]) -> str:
    """One fact a line; what has parts stands indented below its name."""
    lines = []
    for name, fact in facts.items():
        if name == "memory_bytes":
            name, fact = "memory", "unknown" if fact is None else f"{fact / 2**30:.1f} GiB"
        if isinstance(fact, dict):
            lines.append(f"{name}:" if fact else f"{name}: none")
            lines += [f"  {part}: {_inline(value)}" for part, value in fact.items()]
        elif isinstance(fact, list):
            lines.append(f"{name}:" if fact else f"{name}: none")
            lines += [f"  {_inline(entry)}" for entry in fact]
        else:
            lines.append(f"{name}: {fact}")
    return "\n".join(lines)


def _inline(value: object) -> str:
    """A value on one line: "name x, size 3"."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inline(part)}" for key, part in value.items()) or "nothing more needed"
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    return "absent" if value is None else str(value)


# ---- the machine ----------------------------------------------------------------------------------------------------


def _devices() -> list[dict[str, Any]]:
    """Every device with the arithmetic it computes; "auto" names what is taken for it where --dtype says nothing."""
    import torch

    from patchscaler_cli.pipeline.device import choose_device

    names = ["cpu"]
    if torch.backends.mps.is_available():
        names.append("mps")
    if torch.cuda.is_available():
        names += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [_device(choose_device(name)) for name in names]


def _device(device: torch.device) -> dict[str, Any]:
    import torch

    from patchscaler_cli.pipeline.device import DTYPES, choose_device, choose_dtype

    facts: dict[str, Any] = {
        "name": str(device),
        "dtypes": [name for name in DTYPES if choose_dtype(name, device) == (name, None)],
        "auto": choose_dtype("auto", device)[0],
        "default": device == choose_device("auto"),
    }
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        facts |= {
            "model": found.name,
            "memory": f"{found.total_memory / 2**30:.1f} GiB",
            "capability": f"{found.major}.{found.minor}",
            "cuda": torch.version.cuda or f"ROCm {torch.version.hip}",
        }
    return facts


def _usable_cores() -> int | None:
    """Fewer than the machine has where a container or `taskset` says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_bytes() -> int | None:
    """All of the host's memory; None where the system does not tell by POSIX's way (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


# ---- the installation -----------------------------------------------------------------------------------------------


def _weights() -> list[dict[str, Any]]:
    """Every model of the manifest. A report on a broken installation is worth most, so a problem is a fact here."""
    from patchscaler_cli.store.finding import check, locate
    from patchscaler_cli.store.manifest import load_manifest

    try:
        return [
            {
                "name": model.name,
                "path": str(found.path) if (found := locate(model)) else None,
                "bytes": found.path.stat().st_size if found else None,
                "state": check(model),
            }
            for model in load_manifest().values()
        ]
    except PatchScalerError as error:
        return [{"problem": str(error)}]


def _extras() -> dict[str, dict[str, str | None]]:
    """Each optional extra with the versions of the packages it asks for; None for one that is not installed."""
    from importlib import metadata  # slow enough for --help not to wait for it

    try:
        about = metadata.metadata("patchscaler")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return {}
    extras: dict[str, dict[str, str | None]] = {name: {} for name in about.get_all("Provides-Extra") or []}
    for requirement in metadata.requires("patchscaler") or []:
        package, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if package and extra:
            extras[extra[1]][package[0]] = _version_of(package[0])
    return extras


def _version_of(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
