"""Damage to evidence of any other form than a transcript turns no `fail` or `unknown` into a pass.

Traces as each writer makes them, imported sessions, dumps, figures and table rows: a span lost, an
attribute lost, cut or replaced by noise, any value of a document replaced by noise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.scorers._evidence import as_session
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.checks.test_damage import NOISE, demands, verdicts
from tests.sources.forms import FIGURES, FORMS, as_traces

DATA = Path(__file__).parents[1] / "data"
TRACES = [
    *sorted((DATA / "traces").glob("agent_sdk/*.json")),
    *sorted((DATA / "traces").glob("claude_code_otel/*.json")),
    *sorted((DATA / "traces").glob("process_transcript/*.json"))[::6],
]
SESSIONS = ["subagent", "failing-bash", "skills", "interrupted", "newest-background-2.1.332"]
_MOST = 60  # damages that are tried of each kind and document


def _recorded(name: str) -> Session:
    (path,) = (DATA / "recordings" / name).glob("*.jsonl")
    return parse_transcript(path)


def lost_spans(trace: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The trace without one of its spans."""
    spans = trace["data"]["spans"]
    for at, span in enumerate(spans):
        rest = {**trace, "data": {"spans": [*spans[:at], *spans[at + 1 :]]}}
        if _says_how_many(trace) or span.get("parent_span_id") is None:
            yield f"span {at} {span['name']} lost", rest


def _says_how_many(trace: dict[str, Any]) -> bool:
    """MLflow counts the spans of each trace that it stores; imported ones list their calls."""
    metadata = trace["info"]["trace_metadata"]
    root = next(s for s in trace["data"]["spans"] if s.get("parent_span_id") is None)
    return "mlflow.trace.sizeStats" in metadata or "skilltrace.turn" in root["attributes"]


def noisy_spans(trace: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The trace with a part or an attribute of a span lost, cut or replaced."""
    spans = trace["data"]["spans"]
    for at, span in enumerate(spans):

        def put(changed: dict[str, Any], at: int = at) -> Any:
            return {**trace, "data": {"spans": [*spans[:at], changed, *spans[at + 1 :]]}}

        given = span.get("attributes") or {}
        for key in span:
            for noise in NOISE:
                yield f"span {at} {span['name']}: {key} = {noise!r}", put({**span, key: noise})
        for key, value in given.items():
            rest = {k: v for k, v in given.items() if k != key}
            changed = [rest, *({**given, key: noise} for noise in NOISE)]
            if isinstance(value, str):
                changed.append({**given, key: value[: len(value) // 2]})
            for number, attributes in enumerate(changed):
                what = f"span {at} {span['name']}: {key} ({number})"
                yield what, put({**span, "attributes": attributes})


def noisy_info(trace: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The trace with something that it says of itself replaced."""
    for key, value in trace["info"].items():
        for noise in NOISE:
            yield f"info.{key} = {noise!r}", {**trace, "info": {**trace["info"], key: noise}}
        for inner in value if isinstance(value, dict) else ():
            for noise in NOISE[:2]:
                changed = {**trace["info"], key: {**value, inner: noise}}
                yield f"info.{key}.{inner} = {noise!r}", {**trace, "info": changed}


def noisy_values(document: Any) -> Iterator[tuple[str, Any]]:
    """The document with a value at any depth replaced; made when it is wanted."""
    for path in _paths(document):
        for noise in NOISE:
            yield f"{'.'.join(map(str, path))} = {noise!r}", partial(_put, document, path, noise)


def _put(document: Any, path: tuple[Any, ...], noise: Any) -> Any:
    damaged = json.loads(json.dumps(document))
    place = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = noise
    return damaged


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, index))


def assert_nothing_passes(evidence: Any, damaged: Iterator[tuple[str, Any]], most: int) -> None:
    """Judge each damaged form by what the whole one fails, or leaves open."""
    whole = as_session(evidence)
    assert whole is not None
    asked = demands(whole)
    before = verdicts(whole, asked)
    asked = [ask for ask, verdict in zip(asked, before, strict=True) if verdict != "pass"]
    before = [verdict for verdict in before if verdict != "pass"]
    found = list(damaged)
    assert found
    assert asked
    step = len(found) // most + 1
    wrong = []
    for what, form in islice(found, 0, None, step):
        try:
            session = as_session(form() if callable(form) else form)
        except SkillTraceError:
            continue  # refused, with a reason
        if session is None:
            continue  # no trace of Claude Code any more: no verdict at all
        wrong += [
            f"{what}: {ask} was {old}, is pass"
            for ask, old, new in zip(asked, before, verdicts(session, asked), strict=True)
            if new == "pass"
        ]
    assert not wrong, f"{len(wrong)} of them: " + "\n".join(wrong[:8])


DAMAGES: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, Any]]]] = {
    "lost spans": lost_spans,
    "noisy spans": noisy_spans,
    "noisy info": noisy_info,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_damaged_trace_passes_nothing(path: Path, damage: str) -> None:
    trace = json.loads(path.read_text(encoding="utf-8"))
    assert_nothing_passes(trace, DAMAGES[damage](trace), _MOST)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", SESSIONS)
def test_a_damaged_import_passes_nothing(name: str, damage: str) -> None:
    traces = as_traces(_recorded(name))
    damaged = (
        (what, [*traces[:at], form, *traces[at + 1 :]])
        for at, trace in enumerate(traces)
        for what, form in DAMAGES[damage](trace)
    )
    assert_nothing_passes(traces, damaged, _MOST)


@pytest.mark.parametrize("form", ["dump", "figures with inputs", "figures"])
@pytest.mark.parametrize("name", SESSIONS)
def test_a_damaged_document_passes_nothing(name: str, form: str) -> None:
    document = {**FORMS, **FIGURES}[form](_recorded(name))
    assert_nothing_passes(document, noisy_values(document), 4 * _MOST)


@pytest.mark.parametrize("name", SESSIONS[:2])
def test_a_damaged_table_row_passes_nothing(name: str) -> None:
    rows = FORMS["table rows"](_recorded(name))
    assert_nothing_passes(rows, noisy_values(json.loads(json.dumps(rows, default=str))), _MOST)
