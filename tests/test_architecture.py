"""The walls between the packages stand where the README draws them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchscaler_cli import _HOMES

PACKAGE = Path(__file__).parents[1] / "patchscaler_cli"
LONGEST_FILE = 300
HEAVY = {"torch", "numpy", "PIL", "cv2", "safetensors", "skimage", "scipy", "matplotlib"}

# Each package and those of ours that it may import; `errors` and the package root are open to all.
MAY_IMPORT: dict[str, set[str]] = {
    "engines": {"pipeline", "images"},
    "cli": {
        "engines",
        "pipeline",
        "images",
        "tiling",
        "sampling",
        "models",
        "store",
        "training",
        "evaluation",
        "textures",
    },
    "pipeline": {"sampling", "tiling", "models", "store"},
    "textures": {"engines", "pipeline", "images", "models"},
    "images": set(),
    "tiling": set(),
    "sampling": {"models"},
    "models": set(),
    "store": set(),
    "training": {"models", "sampling", "tiling", "evaluation", "pipeline"},
    "evaluation": {"pipeline", "images", "store", "models", "textures"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_modules(node: ast.AST) -> Iterator[str]:
    """The dotted names that one import statement may import; `from a import b` may import the module a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide where a name comes from; write the whole path"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(module: str) -> str | None:
    """Which of our packages a dotted name leads into; None for other people's, `errors` and the root's own names."""
    parts = module.split(".")
    if parts[0] != "patchscaler_cli" or len(parts) == 1:
        return None
    if parts[1] in _HOMES:  # Upscaler and others, which the root only passes on
        return "pipeline"
    return parts[1] if parts[1] in MAY_IMPORT else None


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_only_from_the_packages_below(path: Path) -> None:
    package = path.relative_to(PACKAGE).parts[0]
    if package not in MAY_IMPORT:
        pytest.skip("the package root may import everything")
    for node in ast.walk(ast.parse(path.read_text())):
        for module in imported_modules(node):
            other = package_of(module)
            assert other is None or other == package or other in MAY_IMPORT[package], f"{package}/ imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if path.is_relative_to(PACKAGE / "cli")], ids=name_of)
def test_command_line_imports_nothing_heavy_at_module_level(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        for module in imported_modules(node):
            assert module.split(".")[0] not in HEAVY


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_every_package_has_its_row() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set(MAY_IMPORT)
