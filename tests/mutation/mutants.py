"""Whether the tests notice small changes of the code: `python -m tests.mutation.mutants [FILE...]`.

One change at a time (a comparison turned round, `and` for `or`, a `not` dropped, true for false,
a number one off, `return None`) is written to a copy of the package, and the tests of that file
run on it. What these let pass is tried on all tests of checks, doors and expectations; a mutant
that they let pass as well is alive. Files: `checks/`, `matching/` and `gates.py` unless named;
`--sample N` mutants of each (a fixed draw), `--seconds` bounds the whole run.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.mutation.reached import tests_reaching

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "skilltrace_mlflow"
_FLIPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_TESTS = {
    "gates.py": ["tests/test_gates.py", "tests/test_triggers.py"],
}
_SLOW = (
    *("tests/checks/test_damage.py", "tests/checks/test_evidence_damage.py"),
    *("tests/checks/test_lookahead.py", "tests/checks/test_sql_properties.py"),
)
_ALL = [
    *("-n", "2", "tests/checks", "tests/expectations", "tests/doors", "tests/test_scorers.py"),
    *("tests/test_gates.py", "tests/test_attempts.py", "tests/test_figures.py"),
]


def changes(tree: ast.Module) -> Iterator[tuple[str, ast.Module, int]]:
    """Every mutant of a module: its kind, its tree, its line."""
    for index, node in enumerate(ast.walk(tree)):
        for kind in _kinds(node):
            mutant = copy.deepcopy(tree)
            _change(list(ast.walk(mutant))[index], kind)
            yield kind, mutant, getattr(node, "lineno", 0)


def _kinds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPS:
        yield "comparison"
    elif isinstance(node, ast.BoolOp):
        yield "and/or"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "true/false"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "number"
    elif isinstance(node, ast.Return) and not _gives_nothing(node):
        yield "return None"


def _gives_nothing(node: ast.Return) -> bool:
    value = node.value
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _change(node: ast.AST, kind: str) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = _FLIPS[type(node.ops[0])]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp):
        node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        node.value += 1
    elif isinstance(node, ast.Return):
        node.value = ast.Constant(value=None)
    else:
        raise ValueError(f"{kind}: no such change of {type(node).__name__}")


def _tests_of(name: str) -> list[str]:
    """Those of the table, else the tests of checks that mention the module or the check."""
    if name in _TESTS:
        return _TESTS[name]
    stem = Path(name).stem.lstrip("_")
    found = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests" / "checks").glob("test_*.py"))
        if re.search(rf"\b_?{stem}\b", path.read_text(encoding="utf-8"))
    ]
    return [path for path in {*found, "tests/checks/test_registry.py"} if path not in _SLOW]


def _killed(copy_root: Path, tests: list[str], seconds: float) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    # CI: hypothesis draws the same values each time and sets no deadline, so that no slow machine
    # counts as a test that noticed something.
    env = {**os.environ, "PYTHONPATH": str(copy_root), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy_root, env=env, capture_output=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return True  # a mutant that never ends is noticed
    return done.returncode != 0


def main() -> int:
    """Print each mutant's fate and the score; exit code 2 where the unchanged tests fail."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", nargs="*", help="relative to the package, such as checks/x.py")
    options.add_argument("--sample", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3600)
    options.add_argument("--reached", type=Path, help="coverage with contexts: see reached.py")
    chosen = options.parse_args()
    names = chosen.files or [
        str(path.relative_to(PACKAGE))
        for path in (
            *sorted((PACKAGE / "checks").glob("*.py")),
            *sorted((PACKAGE / "matching").glob("*.py")),
            PACKAGE / "gates.py",
        )
    ]
    end = time.monotonic() + chosen.seconds
    killed, alive, failing = 0, Counter[str](), False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in ("skilltrace_mlflow", "tests", "docs", "examples"):
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / part, root / part)
        if not chosen.reached and _killed(root, _ALL, 1800):
            sys.stderr.write(
                "the tests of checks, doors and expectations fail without any change\n"
            )
            return 2
        for name in names:
            target = root / "skilltrace_mlflow" / name
            source = target.read_text(encoding="utf-8")
            tree = ast.parse(source)
            found = list(changes(tree))
            draw = random.Random(name).sample(found, min(chosen.sample, len(found)))
            start = time.monotonic()
            tests = {line: _tests_of(name) for _, _, line in draw}
            if chosen.reached:
                for line in tests:
                    reaching = tests_reaching(chosen.reached, name, tree, line)
                    quick = [test for test in reaching if not test.startswith(_SLOW)]
                    tests[line] = quick or reaching or tests[line]
            if draw and _killed(root, sorted({*chain(*tests.values())}), 900):
                sys.stderr.write(f"{name}: its tests fail without any change\n")
                failing = True
                continue
            bound = 5 * (time.monotonic() - start) + 10
            for kind, mutant, line in draw:
                if time.monotonic() > end:
                    break
                target.write_text(ast.unparse(mutant), encoding="utf-8")
                dead = _killed(root, tests[line], bound)
                if not dead and not chosen.reached:
                    dead = _killed(root, _ALL, 1800)
                killed += dead
                alive.update([] if dead else [kind])
                sys.stdout.write(f"{'killed' if dead else 'ALIVE '} {name}:{line} {kind}\n")
                sys.stdout.flush()
            target.write_text(source, encoding="utf-8")
    total = killed + alive.total()
    sys.stdout.write(f"{killed} of {total} killed; alive: {dict(alive)}\n")
    return 2 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
