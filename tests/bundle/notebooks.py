"""Databricks notebooks run elsewhere: with a stand-in for `dbutils`, or as Jupyter notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["NOTEBOOKS", "ROOT", "Notebook", "as_jupyter"]

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
_CELL = "# COMMAND ----------"
_MAGIC = "# MAGIC "
# What a workspace offers to every notebook, for a kernel that knows nothing of Databricks.
_PRELUDE = """\
import json
from IPython.display import HTML, display
def displayHTML(text): display(HTML(text))
class _Widgets:
    given, declared = json.loads({given!r}), {{}}
    def text(self, name, default, label=""): self.declared[name] = self.given.get(name, default)
    def get(self, name): return self.declared[name]
class dbutils: widgets = _Widgets()
"""


class Widgets:
    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.declared: dict[str, str] = {}

    def text(self, name: str, default: str, label: str = "") -> None:
        self.declared[name] = self.given.get(name, default)

    def get(self, name: str) -> str:
        return self.declared[name]


class Notebook:
    """Runs a notebook's Python cells; `%` and markdown cells stand behind `# MAGIC`."""

    def __init__(self, path: Path, widgets: dict[str, str], **given: Any) -> None:
        self.given = given
        self.source = path.read_text(encoding="utf-8")
        self.path = path
        self.widgets = Widgets(widgets)
        self.shown: list[Any] = []

    def run(self) -> None:
        scope = {
            "dbutils": self,
            "display": self.shown.append,
            "displayHTML": self.shown.append,
            "__name__": "__main__",
            **self.given,
        }
        code = compile(self.source, str(self.path), "exec")
        exec(code, scope)  # noqa: S102 - a notebook is code to run


def as_jupyter(path: Path, widgets: dict[str, str]) -> Any:
    """The notebook in Jupyter's format; what installs packages is left out."""
    import nbformat.v4 as v4

    cells = [v4.new_code_cell(_PRELUDE.format(given=json.dumps(widgets)))]
    first, *rest = path.read_text(encoding="utf-8").split("# Databricks notebook source\n", 1)
    assert not first
    for text in rest[0].split(_CELL):
        lines = text.strip().splitlines()
        told = [line.removeprefix("# MAGIC").removeprefix(" ") for line in lines]
        if lines and lines[0].startswith(_MAGIC + "%md"):
            cells.append(v4.new_markdown_cell("\n".join(told[1:])))
        elif lines and not lines[0].startswith(_MAGIC + "%pip"):
            cells.append(v4.new_code_cell("\n".join(lines)))
    return v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
