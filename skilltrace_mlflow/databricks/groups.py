"""Rows that belong together to verdicts: what a Spark executor does, without Spark and MLflow.

A group holds everything of one session (or of one trace, where that is all that is known): rows of
traces, spans with their annotations, or the files of a transcript. What cannot be read is a result
with `error`, never the end of the job.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from skilltrace_mlflow.databricks.outcomes import outcome_rows
from skilltrace_mlflow.errors import InputError, SkillTraceError
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.score import Target
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import Evidence, load_file, short_name
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.mlflow.trace import (
    background_calls,
    is_of_another_program,
    parent_call,
    session_from_trace,
    with_started,
)
from skilltrace_mlflow.sources.table_row import once_each, trace_of_row, traces_of_span_rows

__all__ = ["FILE", "GroupJudge", "Item", "Kind"]

Kind = Literal["trace", "span", "annotation", "file"]
_LONGEST_ERROR = 500
FILE = re.compile(r"^(?P<session>.*?)(?:/(?:subagents|tool-results)/.*|\.jsonl(?:\.gz)?)$")
"""The path of a transcript or of what lies beside it; `session` is the same for all of them."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One row of a group: which kind of table it comes from, and its columns as JSON."""

    kind: Kind
    payload: str


@dataclass(frozen=True, kw_only=True)
class GroupJudge:
    """Judges groups of rows and gives the rows of the outcome table.

    `digests` as `expectation_digests` gives them. A group of more than `most_bytes` is not read: it
    is an `error` that says so, and the groups after it are not held up.
    """

    target: Target
    digests: Mapping[tuple[str | None, str], str]
    scored_at: datetime
    most_bytes: int

    def too_large(self, key: str, size: int) -> list[dict[str, Any]]:
        """The rows for a group that was not read."""
        reason = (
            f"more than {self.most_bytes:,} bytes ({size:,} so far): not read; raise most_bytes, "
            "or score it alone"
        )
        return self._rows([self._error(key, reason)])

    def rows(self, key: str, items: Sequence[Item]) -> list[dict[str, Any]]:
        """The outcome rows of a group; [] where nothing in it is Claude Code's."""
        try:
            of = self._of_files if items[0].kind == "file" else self._of_traces
            # One by one: a transcript's results are read from its files, which are gone afterwards.
            return [row for result in of(key, items) for row in self._rows([result])]
        except SkillTraceError as error:
            return self._rows([self._error(key, str(error))])
        except Exception as error:  # one group's damage, whatever it is, must not end the job
            reason = f"{type(error).__name__}: {error}"
            return self._rows([self._error(key, reason)])

    def _rows(self, results: Iterable[TestResult]) -> list[dict[str, Any]]:
        return outcome_rows(
            Evaluation(skill=self.target.skill, results=tuple(results)),
            digests=self.digests,
            scored_at=self.scored_at,
        )

    def _of_traces(self, key: str, items: Sequence[Item]) -> Iterator[TestResult]:
        traces: list[dict[str, Any]] = []
        sessions: dict[int, Session] = {}
        for trace in self._traces(items):
            if isinstance(trace, TestResult):
                yield trace
                continue
            name = str(trace["info"]["trace_id"])
            try:
                session = session_from_trace(trace)
            except InputError as error:
                if not is_of_another_program(trace):
                    yield self._error(name if name != "?" else key, str(error))
                continue
            sessions[id(trace)] = session
            traces.append(trace)
        yield from self._turns(traces, sessions)

    def _turns(
        self, traces: Sequence[dict[str, Any]], sessions: Mapping[int, Session]
    ) -> Iterator[TestResult]:
        def parent_of(trace: dict[str, Any]) -> str | None:
            return parent_call(trace["info"].get("tags") or {})

        def calls_of(trace: dict[str, Any]) -> set[str]:
            # An agent's own trace names the call that started it, which it did not make.
            return {c for c in background_calls(sessions[id(trace)]) if c != parent_of(trace)}

        started = {call for trace in traces for call in calls_of(trace)}
        for trace in traces:
            name = str(trace["info"]["trace_id"])
            parent = parent_of(trace)
            if parent is not None:
                if parent not in started:
                    yield self._error(
                        name,
                        "trace of a background agent, and the turn that started it is not among "
                        "the rows",
                    )
                continue
            turn = with_started([trace], traces, calls_of=calls_of, parent_of=parent_of)
            evidence = Evidence(
                name=name,
                source=name,
                session=sessions[id(trace)] if len(turn) == 1 else session_from_trace(turn),
                trace_id=name,
                whole_session=False,
                fetch_whole=lambda: session_from_trace(list(traces)),
            )
            yield self.target.judge(evidence)

    def _traces(self, items: Sequence[Item]) -> Iterator[dict[str, Any] | TestResult]:
        traces: list[dict[str, Any]] = []
        spans = [json.loads(item.payload) for item in items if item.kind == "span"]
        notes = [json.loads(item.payload) for item in items if item.kind == "annotation"]
        if spans:
            yield from traces_of_span_rows(spans, annotations=notes)
        for item in items:
            if item.kind == "trace":
                row = json.loads(item.payload)
                try:
                    traces.append(trace_of_row(row))
                except InputError as error:
                    yield self._error(str(row.get("trace_id") or "?"), str(error))
        yield from once_each(traces)

    def _of_files(self, key: str, items: Sequence[Item]) -> Iterator[TestResult]:
        with tempfile.TemporaryDirectory(prefix="skilltrace-") as folder:
            places = {}
            for item in items:
                row = json.loads(item.payload)
                path = str(row.get("path") or "")
                place = Path(folder) / _relative(path, key)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(_content(row))
                places[place] = path or key
            mains = find_sessions(folder)
            if not mains:
                yield self._error(key, "the session's own transcript is not among the files")
            for main in mains:
                source = places[main]
                try:
                    evidence = load_file(main)
                except SkillTraceError as error:
                    yield self._error(source, str(error).replace(str(main), source))
                    continue
                yield self.target.judge(replace(evidence, name=short_name(source), source=source))

    def _error(self, name: str, reason: str) -> TestResult:
        case = self.target.case
        return TestResult(
            test_id=name if case is None else case.id,
            skill=self.target.skill,
            trace_id=name,
            source=name,
            error=reason[:_LONGEST_ERROR],
            bad_input=True,
        )


def _relative(path: str, key: str) -> Path:
    """Where a file of a session is put below a folder of its own, never outside of it."""
    name = PurePosixPath(path.partition("://")[2] or path)
    session = PurePosixPath(key.partition("://")[2] or key).name or "session"
    parts = [part for part in name.parts if part not in ("..", "/")]
    for beside in ("subagents", "tool-results"):
        if beside in parts:
            return Path(session, *parts[parts.index(beside) :])
    return Path(parts[-1] if parts else f"{session}.jsonl")


def _content(row: Mapping[str, Any]) -> bytes:
    """A file's bytes: from `content` (base64 in JSON) or from the text in `value`.

    Raises InputError where there is neither, or where the text is but a line of a file.
    """
    if isinstance(row.get("content"), str):
        try:
            return base64.b64decode(row["content"], validate=True)
        except binascii.Error as error:
            raise InputError(f"content is no file's bytes: {error}") from error
    text = row.get("value")
    if not isinstance(text, str):
        raise InputError("neither content nor value: not a file")
    if len(text.strip().splitlines()) < 2 and not row.get("path", "").endswith(".json"):
        # A ban on each line alone would be met by a session that broke it.
        raise InputError("one line of a file, not a file: read the text with wholetext=True")
    return text.encode("utf-8", "surrogatepass")
