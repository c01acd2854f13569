"""What a room keeps to itself, no other room imports (import-linter sees only the order)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import skilltrace_mlflow

ROOT = Path(skilltrace_mlflow.__file__).parent


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_private_modules_are_imported_only_inside_their_room() -> None:
    private = {path.stem for path in ROOT.rglob("_*.py") if not path.stem.startswith("__")}
    strangers = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for module in _imports(path):
            package, *inner = module.split(".")
            if package == "skilltrace_mlflow" and len(inner) > 1 and inner[0] != room:
                strangers += [(path.name, module)] * (inner[1] in private)
    assert private
    assert strangers == []


def test_no_folder_is_a_heap_of_modules() -> None:
    folders = {path.parent for path in ROOT.rglob("*.py")}
    heaps = {
        str(folder.relative_to(ROOT)): count
        for folder in folders
        if (count := len(list(folder.glob("*.py")))) > 30
    }
    assert heaps == {}
