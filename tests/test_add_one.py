"""The table "to add X, touch Y" of docs/architecture.md, walked: each thing is added as the table
says, in a process of its own, and works everywhere without anything else being touched.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import get_type_hints

import pytest

from skilltrace_mlflow.cli._common import FORMATS, resolve_format
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.report import render
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.mlflow import _generation
from skilltrace_mlflow.sources.session_json import session_from_json, session_to_json
from tests.report.evaluations import demo

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples/skills/bronze-ingestion/traces/demo-good.jsonl"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")

CHECK = '''
"""`write_limit`: how many files a session may write."""

from skilltrace_mlflow.checks._findings import Finding, conclude
from skilltrace_mlflow.checks._registry import Example, check


@check(
    name="write_limit",
    schema={"type": "integer", "minimum": 0},
    parse=lambda value: value,
    examples=(Example(value=0, verdict="pass", why="nothing was written"),),
)
def write_limit(session, parameters):
    """A session writes at most so many files."""
    count = sum(call.name == "Write" for call in session.tool_calls)
    finding = Finding(text=f"{count} files written", met=count <= parameters, could_break=True)
    return conclude(session, [finding])
'''

RESPONSE = '''
"""`is_brief`: the response is short."""

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.responses._base import response_check


@response_check(
    name="is_brief",
    keys={"max_characters": {"type": "integer", "description": "How long it may be."}},
    parse=lambda expectations: expectations.get("max_characters"),
)
def is_brief(response, parameters):
    """The response has at most so many characters."""
    met = len(response.text) <= parameters
    return Outcome(
        check="is_brief", verdict=Verdict.PASS if met else Verdict.FAIL, rationale="counted"
    )
'''


def rows() -> dict[str, tuple[str, str]]:
    """What stands in the table: the thing, what to touch, what holds it."""
    (table,) = re.findall(r"^\| to add .*\n\|[-| ]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
    return {name: (touch, held) for name, touch, held in cells}


def python(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_has_a_row_for_each_thing() -> None:
    assert set(rows()) == {
        "a check",
        "a response check",
        "a trace writer",
        "a transcript field",
        "an output format",
        "an option",
    }


@pytest.mark.parametrize("thing", rows())
def test_every_path_of_the_table_exists(thing: str) -> None:
    paths = [p for cell in rows()[thing] for p in re.findall(r"`([\w./]+(?:\.py|\.md|/))`", cell)]
    assert len(paths) >= 2
    for path in paths:
        assert any((base / path).exists() for base in (ROOT, ROOT / "skilltrace_mlflow")), path


def test_a_check_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "write_limit.py").write_text(CHECK, encoding="utf-8")
    (tmp_path / "manifest.yaml").write_text(
        "skill: {name: x}\n"
        "scorers: {enabled: [write_limit], trace_expectations: {write_limit: 0}}\n"
        "quality_gates: {write_limit: 1.0}\n",
        encoding="utf-8",
    )
    said = python(
        tmp_path,
        f"""
        import skilltrace_mlflow.checks as room
        room.__path__.append({str(tmp_path)!r})
        from skilltrace_mlflow import TRACE_SCORER_MAP, trace_eval
        from skilltrace_mlflow.cli._app import run
        from skilltrace_mlflow.expectations import manifest_schema
        assert "write_limit" in str(manifest_schema())
        assert TRACE_SCORER_MAP["write_limit"].name == "write_limit"
        assert run(["validate", "manifest.yaml"]) == 0
        done = trace_eval("manifest.yaml", {str(RECORDING)!r})
        (outcome,) = [o for o in done.results[0].outcomes if o.check == "write_limit"]
        print(outcome.verdict, done.gates[0].passed, outcome.rationale)
        """,
    )
    assert re.search(r"fail False .*\d files written", said)


def test_a_response_check_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "is_brief.py").write_text(RESPONSE, encoding="utf-8")
    said = python(
        tmp_path,
        f"""
        import skilltrace_mlflow.responses as room
        room.__path__.append({str(tmp_path)!r})
        from skilltrace_mlflow import build_scorers
        from skilltrace_mlflow.expectations import ground_truth_schema
        assert "max_characters" in str(ground_truth_schema())
        (scorer,) = [s for s in build_scorers({{}}) if s.name == "is_brief"]
        found = scorer(outputs={{"response": "four"}}, expectations={{"max_characters": 3}})
        print(found.value)
        """,
    )
    assert said.split() == ["no"]


def test_a_trace_writer_is_one_declaration() -> None:
    """Nothing asks a writer for its name: what it keeps are fields."""
    writers = [w for w in vars(_generation).values() if isinstance(w, _generation.Generation)]
    assert len({writer.name for writer in writers}) == len(writers) > 5
    folder = Path(_generation.__file__).parent
    asking = re.compile(
        r"generation\.name\s*(\.|==|in\b)|generation\.name\b.*\b(startswith|endswith)"
    )
    for path in folder.glob("*.py"):
        assert not asking.search(path.read_text(encoding="utf-8")), path.name


def test_a_transcript_field_travels_by_itself() -> None:
    """Every text that the session holds comes back from a dumped session, named nowhere else."""
    hints = get_type_hints(Session)
    changed = {
        field.name: f"the {field.name}"
        for field in dataclasses.fields(Session)
        if hints[field.name] == (str | None)
    }
    assert len(changed) > 5
    back = session_from_json(session_to_json(Session(**changed)))  # type: ignore[arg-type]
    assert {name: getattr(back, name) for name in changed} == changed


def test_an_output_format_is_known_to_the_command_line_and_the_library_alike() -> None:
    with pytest.raises(ConfigurationError) as refused:
        render(demo(), "nothing")
    known = set(str(refused.value).partition("is not one of ")[2].split(", "))
    assert known == {*FORMATS, "html"}
    endings = (".txt", ".json", ".jsonl", ".xml", ".md", ".html")
    # Annotations are for a log, not for a file.
    assert {resolve_format(Path(f"x{ending}")) for ending in endings} == known - {"github"}
    for name in sorted(known):
        assert render(demo(), name).strip()
