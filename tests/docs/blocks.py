"""The fenced blocks of the documents, and the one way in which each kind is tried.

A comment on the line before a block says what else there is to know of it:

    <!-- not run: REASON -->      it cannot run here
    <!-- file: PATH -->           it is written to PATH, in the folder that the page's blocks share
    <!-- exit: N -->              the command's exit code, where it is not 0
    <!-- output -->               what the block before printed holds these lines, in order;
                                  … stands for anything

Blocks of a page share a folder, which begins as a copy of `examples/` with a home of its own, and
run in their order. `bash` is run by bash, `python` by Python; `yaml` is read as what its keys say
it is; `json` and `sql` are parsed; `text` shows what the block before printed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlglot
import yaml

from skilltrace_mlflow.expectations import load_ground_truth, load_manifest

__all__ = ["Block", "Stage", "blocks_in", "blocks_of", "fences"]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n\n?)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
# What Markdown takes for the begin or end of a block, however it is indented or quoted.
_ANY_FENCE = re.compile(r"^[ \t>*-]*(?:```|~~~)", re.MULTILINE)
_MARK = re.compile(r"output|(?:(?:file|exit): [^;]+(?:; |$))*(?:not run: .+)?")
# A piece of a manifest or a ground truth has one of these at its top.
_MANIFEST = {"skill", "scorers", "trace_expectations", "quality_gates", "evaluation", "agent"} | {
    "session_expectations",
    "test_cases",
    "trigger_prompts",
}
_SECONDS = 240


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: where it stands, what its fence and the comment before it say."""

    page: str
    line: int
    language: str
    mark: str
    text: str

    def said(self, word: str) -> str | None:
        """What the comment says after `word:`, None where it does not say that."""
        found = re.search(rf"(?:^|; ){word}: ([^;]+)", self.mark)
        return found[1].strip() if found else None


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    return blocks_in(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())


def blocks_in(text: str, page: str) -> Iterator[Block]:
    """The fenced blocks of a text, in order."""
    for match in _FENCE.finditer(text):
        yield Block(
            page=page,
            line=text.count("\n", 0, match.start("text")),
            language=match["language"],
            mark=match["mark"] or "",
            text=match["text"],
        )


def fences(text: str) -> int:
    """How many lines of a text begin or end a block, those included that `blocks_in` cannot see."""
    return len(_ANY_FENCE.findall(text))


class Stage:
    """The folder that the blocks of one page run in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        shutil.copytree(EXAMPLES, self.folder)
        traces = EXAMPLES / "skills" / "bronze-ingestion" / "traces"
        home = folder / "home"
        shutil.copytree(traces, home / ".claude" / "projects" / "my-project")
        shutil.copy(traces / "demo-good.jsonl", self.folder / "session.jsonl")
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "SKILLTRACE"))},
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
            "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        }
        self.printed = ""

    def play(self, block: Block) -> None:
        """Try one block; AssertionError with its page and line where it is not true."""
        where = f"{block.page}:{block.line}"
        assert _MARK.fullmatch(block.mark), f"{where}: nobody reads the comment {block.mark!r}"
        path = block.said("file")
        if path is not None:
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        if block.said("not run"):
            self.printed = ""  # nothing, so that no output can be shown of it
            return
        if block.mark == "output":
            _holds(self.printed, block.text, where)
        elif block.language == "bash":
            self._run(["bash", "-euo", "pipefail", "-c", block.text], block, where)
        elif block.language == "python":
            if path is None:
                self._run([sys.executable, "-c", block.text], block, where)
            else:
                compile(block.text, where, "exec")
        elif block.language == "yaml":
            self._yaml(block, where)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "sql":
            assert sqlglot.parse(block.text, read="databricks"), where
        else:
            raise AssertionError(f"{where}: nothing says how a block {block.language!r} is tried")

    def _run(self, command: list[str], block: Block, where: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        wanted = int(block.said("exit") or 0)
        assert done.returncode == wanted, f"{where}: {done.returncode}\n{done.stdout}{done.stderr}"
        self.printed = done.stdout + done.stderr

    def _yaml(self, block: Block, where: str) -> None:
        """Manifest, test cases or workflow, by its keys; a piece of one is put where it goes."""
        value: Any = yaml.safe_load(block.text)
        assert isinstance(value, dict), where
        if {"jobs", "repos", "runs"} & set(value):
            return
        if not _MANIFEST & set(value):  # expectations alone: those of a test case
            value = {"test_cases": [{"id": "a", "inputs": {"prompt": "p"}, "expectations": value}]}
            block = replace(block, text=yaml.safe_dump(value, allow_unicode=True))
        folder = self.folder / "skills" / "of-the-page"
        folder.mkdir(exist_ok=True)
        (folder / "ground_truth.yaml").write_text("test_cases: [{id: a}]\n")
        name = "ground_truth" if {"test_cases", "trigger_prompts"} & set(value) else "manifest"
        if name == "manifest" and "skill" not in value:
            block_text = f"skill: {{name: of-the-page}}\n{block.text}"
        else:
            block_text = block.text
        if name == "ground_truth":
            (folder / "manifest.yaml").write_text("skill: {name: of-the-page}\n")
        (folder / f"{name}.yaml").write_text(block_text, encoding="utf-8")
        load_ground_truth(load_manifest(folder))


def _holds(printed: str, text: str, where: str) -> None:
    at = 0
    for line in filter(None, (line.strip() for line in text.splitlines())):
        pattern = ".*?".join(
            r"\s+".join(map(re.escape, piece.split())) for piece in line.split("…")
        )
        found = re.compile(pattern).search(printed, at)
        assert found, f"{where}: {line!r} is not in\n{printed}"
        at = found.end()
