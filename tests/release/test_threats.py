"""Every row of the threat table names a test, and the test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and " held by " not in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_the_test_that_a_row_names_is_there(row: str) -> None:
    found = re.search(r"`(tests/[\w/]+\.py)::((?:Test\w+::)?test_\w+)` \|$", row)
    assert found is not None, "a row names the test that holds it, as pytest takes it"
    tree = ast.parse((ROOT / found[1]).read_text(encoding="utf-8"))
    assert found[2] in known_in(tree)


def known_in(tree: ast.Module) -> set[str]:
    """Names of a file's tests as pytest takes them; a function within one is none."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for group in tree.body:
        if isinstance(group, ast.ClassDef):
            names |= {
                f"{group.name}::{n.name}" for n in group.body if isinstance(n, ast.FunctionDef)
            }
    return names


def test_the_four_kinds_of_strangers_are_there() -> None:
    for heading in ("transcript", "manifest", "trace server", "reader of reports"):
        assert re.search(rf"^## A .*{heading}", TEXT, re.MULTILINE), heading
    assert len(ROWS) > 20
