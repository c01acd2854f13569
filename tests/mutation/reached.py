"""Which tests reach a line, from a run of coverage that wrote it down.

    python -m coverage run -m pytest -n 2 tests/checks tests/expectations    # or make coverage
    python -m tests.mutation.mutants --reached .coverage matching/files.py --sample 12

A mutant is then tried on the tests alone that run its statement: seconds in place of minutes.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


@functools.cache
def _contexts(data: Path, name: str) -> dict[int, set[str]]:
    """The tests of every line of the package's module `name`."""
    from coverage import CoverageData

    found: dict[int, set[str]] = {}
    for file in sorted(data.parent.glob(data.name + "*")):
        held = CoverageData(basename=str(file))
        held.read()
        for measured in held.measured_files():
            if measured.endswith(f"skilltrace_mlflow/{name}"):
                for line, contexts in held.contexts_by_lineno(measured).items():
                    found.setdefault(line, set()).update(filter(None, contexts))
    return found


def tests_reaching(data: Path, name: str, tree: ast.Module, line: int) -> list[str]:
    """Ids of the tests that run the statement of this line; none for what an import runs."""
    contexts = _contexts(data, name)
    first, last = _statement(tree, line)
    reaching = {test for at in range(first, last + 1) for test in contexts.get(at, ())}
    return sorted(filter(None, map(_test_id, reaching)))


def _statement(tree: ast.Module, line: int) -> tuple[int, int]:
    """First and last line of the innermost statement, without those that stand within it."""
    spans = list(_spans(tree))
    holding = [span for span in spans if span[0] <= line <= span[1]]
    return max(holding, default=(line, line))


def _spans(tree: ast.Module) -> Iterator[tuple[int, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            inner = [child.lineno for child in body] if isinstance(body, list) else []
            end = node.end_lineno or node.lineno
            yield node.lineno, max(node.lineno, min(inner) - 1) if inner else end


def _test_id(context: str) -> str | None:
    """`tests.checks.test_bans.test_x` as pytest names it; None for what is no test of a file.

    A method that hypothesis calls has lost the name of its class.
    """
    parts = context.partition("|")[0].split(".")
    for cut in range(len(parts) - 1, 0, -1):
        path = Path(*parts[:cut]).with_suffix(".py")
        if (ROOT / path).is_file():
            return _names(path).get(parts[-1])
    return None


@functools.cache
def _names(path: Path) -> dict[str, str]:
    """The ids of a file's tests by the name of their function."""
    found: dict[str, str] = {}
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        owner = [node.name] if isinstance(node, ast.ClassDef) else []
        for each in inner:
            if isinstance(each, ast.FunctionDef) and each.name.startswith("test"):
                found[each.name] = "::".join([path.as_posix(), *owner, each.name])
    return found
