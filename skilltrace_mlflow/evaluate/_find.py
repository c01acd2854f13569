"""The traces of test cases, in the order that the interface promises.

A test names its trace by `outputs.trace_ref` (or an inline `trace`), `metadata.trace_id`,
`trace_run_id`, `session_id`; else it is the one tagged `skilltrace.test_id`, else the newest with
an equal prompt. Several sessions behind one test are its attempts, turns of one session are one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import NO_TRACE
from skilltrace_mlflow.errors import (
    ConfigurationError,
    InputError,
    SkillTraceError,
    TraceNotFoundError,
)
from skilltrace_mlflow.evaluate._rows import Attempt, Given
from skilltrace_mlflow.expectations import TestCase
from skilltrace_mlflow.scorers import as_session
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.sources.mlflow.names import TEST_TAG, copied_from, said_skill, said_test
from skilltrace_mlflow.sources.mlflow.stored import StoredTraces, has_root, may_be_claude_code
from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace
from skilltrace_mlflow.sources.session_json import is_whole
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

__all__ = ["Finder", "by_time", "experiment_of"]

_AT_ONCE = 8
# What JSON does not escape; and how much of it a preview is compared by, at least and at most.
_PLAIN = re.compile(r"[ !#-\[\]-~]{0,60}")
_TELLING = 3

Importer = Callable[[Session, "Path | None"], Sequence[str]]
"""Logs a session's transcript as MLflow traces, once, and returns their ids in order of turns."""


class Finder:
    """Finds the evidence of test cases in one store.

    `experiment` gives the experiment that sessions, tags and prompts are looked up in; it is asked
    only when that is needed. `importer` makes a file into traces that assessments can stand on.
    `attempts` is how many each case shall have, None for as many as it names. `pinned` holds the
    trace ids of an earlier, interrupted run, by case and attempt. `given` are attempts that were
    made for this evaluation: then nothing is looked for.
    """

    def __init__(
        self,
        *,
        skill: str,
        experiment: Callable[[], str],
        importer: Importer,
        attempts: int | None = None,
        roots: Sequence[Path] = (),
        pinned: Mapping[str, Sequence[Sequence[str]]] | None = None,
        given: Mapping[str, Sequence[Given]] | None = None,
    ) -> None:
        self.skill = skill
        self.experiment = experiment
        self.importer = importer
        self.attempts = attempts
        self.roots = [root.resolve() for root in roots]
        self.pinned = pinned or {}
        self.given = given
        self._listed: list[Any] | None = None
        self._ready: dict[str, Any] = {}

    def find_all(self, cases: Sequence[TestCase]) -> list[Attempt]:
        """The attempts of all cases, in order of the cases; requests go out a few at once."""
        if self.given is not None:
            return [self._of_given(c, item) for c in cases for item in self.given.get(c.id, ())]
        named = [case for case in cases if _names_a_trace(case)]
        others = [case for case in cases if not _names_a_trace(case)]
        self._prefetch([str(case.trace_id) for case in named])
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="skilltrace-find") as pool:
            found = dict(zip([c.id for c in named], pool.map(self.find, named), strict=True))
        # Files, tags and prompts share one listing and one importer.
        found.update((case.id, self.find(case)) for case in others)
        return [attempt for case in cases for attempt in found[case.id]]

    def find(self, case: TestCase) -> list[Attempt]:
        """The attempts at one case: at least one, without a session where nothing was found."""
        try:
            attempts = self._find(case)
        except TraceNotFoundError as error:
            attempts = [Attempt(case=case, notes=(f"{NO_TRACE}: {error}",))]
        except InputError as error:
            attempts = [Attempt(case=case, error=str(error), bad_input=True)]
        except ConfigurationError:
            raise  # an experiment that does not exist concerns every case
        except SkillTraceError as error:
            attempts = [Attempt(case=case, error=str(error))]
        if self.attempts is not None:
            attempts = attempts[-self.attempts :]
            lacking = self.attempts - len(attempts)
            missing = attempts[-1]  # where nothing was found, all attempts lack the same
            if missing.session is not None:
                note = f"{NO_TRACE}: {len(attempts)} of {self.attempts} attempts were found"
                missing = Attempt(case=case, notes=(note,))
            attempts += [missing] * lacking
        return [replace(found, attempt=n) for n, found in enumerate(attempts, start=1)]

    def _find(self, case: TestCase) -> list[Attempt]:
        if case.trace_ref is not None:
            return [self._of_file(case, Path(case.trace_ref).expanduser())]
        if case.inline_trace is not None:
            return [self._of_inline(case)]
        if case.trace_id is not None:
            return [self._of_trace(case, self._fetch(case.trace_id), "trace_id")]
        if case.run_id is not None:
            return self._of_run(case, case.run_id)
        if case.session_id is not None:
            turns = mlflow_store.fetch_session_traces(case.session_id, self.experiment())
            if not turns.traces:
                reason = "".join(f"; {gap}" for gap in turns.gaps)
                raise TraceNotFoundError(
                    f"session {case.session_id} has no trace in experiment {self.experiment()}"
                    f"{reason}"
                )
            return [self._found(case, turns, "session_id")]
        if case.id in self.pinned:
            return [
                self._found(
                    case,
                    StoredTraces(traces=tuple(map(mlflow_store.fetch_trace, turns))),
                    "resumed",
                )
                for turns in self.pinned[case.id]
            ]
        return self._tagged(case) or self._same_prompt(case)

    def _of_given(self, case: TestCase, given: Given) -> Attempt:
        case = replace(case, response=given.response, outputs={}, trace_ref=None, inline_trace=None)
        found = Attempt(case=case, attempt=given.attempt, notes=given.notes, error=given.error)
        if given.error is not None or given.file is None:
            return found
        try:
            session = load_file(given.file).session
        except InputError as error:
            return replace(found, error=str(error), bad_input=True)
        trace = self._first_of(given.trace_ids)
        return replace(
            found,
            session=session,
            whole=session,
            trace=trace,
            first_trace=trace,
            turns=given.trace_ids,
            method="given",
            source=str(given.file),
        )

    def _of_file(self, case: TestCase, path: Path) -> Attempt:
        resolved = path.resolve()
        if self.roots and not any(resolved.is_relative_to(root) for root in self.roots):
            raise InputError(
                f"{case.path}:{case.line}: {case.id}: trace_ref {case.trace_ref} lies outside the "
                "skill's folder; allow it with --allow-outside"
            )
        evidence = load_file(path)
        ids = [evidence.trace_id] if evidence.trace_id is not None else []
        trace = self._first_of(ids) if ids and mlflow_store.store_exists() else None
        if trace is None:
            ids = list(self.importer(evidence.session, path))
            trace = self._first_of(ids)
        return Attempt(
            case=case,
            session=evidence.session,
            whole=evidence.session if evidence.whole_session else None,
            trace=trace,
            first_trace=trace,
            whole_session=evidence.whole_session,
            method="trace_ref",
            source=str(path),
        )

    def _of_inline(self, case: TestCase) -> Attempt:
        inline = case.inline_trace
        place = f"{case.path}:{case.line}: {case.id}: trace"
        session: Session | None
        try:
            if isinstance(inline, list):
                lines = [item if isinstance(item, str) else json.dumps(item) for item in inline]
                session = parse_transcript(lines)
            else:
                session = as_session(inline)
        except SkillTraceError as error:
            raise InputError(f"{place}: {error}") from None
        if session is None:
            raise InputError(f"{place} is no Claude Code trace")
        # One trace of MLflow's is one turn; a dumped session says so if it is not all of one.
        one_turn = isinstance(inline, Mapping) and ("info" in inline or not is_whole(inline))
        return Attempt(
            case=case,
            session=session,
            whole=None if one_turn else session,
            whole_session=not one_turn,
            method="trace",
            source="inline",
        )

    def _of_run(self, case: TestCase, run_id: str) -> list[Attempt]:
        found = mlflow_store.resolve_run(run_id, by_session=True)
        if not isinstance(found, Path):
            return [self._found(case, turns, "trace_run_id") for turns in found]
        session = parse_transcript(found)
        trace = self._first_of(self.importer(session, found))
        return [
            Attempt(
                case=case,
                session=session,
                whole=session,
                trace=trace,
                first_trace=trace,
                method="trace_run_id",
                source=f"run {run_id}: {found.name}",
            )
        ]

    def _tagged(self, case: TestCase) -> list[Attempt]:
        infos = [
            info
            for info in self._all()
            if said_test(info.tags) == case.id and said_skill(info.tags) in (None, self.skill)
        ]
        groups = self._fetched(infos).by_session()
        if not groups:
            return []
        chosen = groups[-(self.attempts or 1) :]
        method = f"tag {TEST_TAG}"
        note = f"{method}: the newest {len(chosen)} of {len(groups)}"
        notes = (note,) if len(groups) > len(chosen) else ()
        return [replace(self._found(case, group, method), notes=notes) for group in chosen]

    def _same_prompt(self, case: TestCase) -> list[Attempt]:
        if not case.prompt:
            raise TraceNotFoundError("the test case names none and has no prompt to look for")
        wanted = _normal(case.prompt)
        likely = [info for info in self._all() if _may_hold(info, case.prompt)]
        fetched = self._fetched(likely)
        equal = [t for t in fetched.traces if wanted in map(_normal, _prompts(t))]
        if not equal:
            reason = "".join(f"; {gap}" for gap in fetched.gaps)
            raise TraceNotFoundError(
                f"no trace in experiment {self.experiment()} is tagged {TEST_TAG} or has an equal "
                f"prompt{reason}"
            )
        chosen = equal[-(self.attempts or 1) :]
        newest = "the newest" if len(chosen) == 1 else f"the newest {len(chosen)}"
        notes = (
            f"found by an equal prompt, {newest} of {len(equal)}",
            *(
                f"not looked into for this prompt: {gap}"
                for gap in replace(fetched, traces=()).gaps
            ),
        )
        return [replace(self._of_trace(case, trace, "prompt"), notes=notes) for trace in chosen]

    def _of_trace(self, case: TestCase, trace: Any, method: str) -> Attempt:
        """One turn together with its background agents."""
        if not is_claude_code_trace(trace):
            original = copied_from(trace.info.tags)
            what = "a Claude Code trace" if original is None else f"but MLflow's copy of {original}"
            raise TraceNotFoundError(f"trace {trace.info.trace_id} is not {what}")
        return self._found(case, StoredTraces(traces=(trace,)), method)

    def _found(self, case: TestCase, turns: StoredTraces, method: str) -> Attempt:
        """One attempt: these turns of a session, together with their background agents."""
        turns = mlflow_store.with_agents(turns)
        first = next(iter(by_time(turns.traces)), None)
        count = len(turns.infos)
        found = Attempt(
            case=case,
            session=turns.session(),
            trace=first,
            first_trace=first,
            turns=tuple(str(info.trace_id) for info in turns.infos),
            whole_session=method == "session_id",
            method=method,
            source=turns.first_id if count == 1 else f"{count} traces from {turns.first_id}",
        )
        if not case.session_expectations:
            return found
        held = self.experiment() if first is None else experiment_of(first) or self.experiment()
        whole = mlflow_store.whole_session(turns, experiment_id=held)
        first = next(iter(by_time(whole.traces)), first)
        return replace(found, whole=whole.session(), first_trace=first)

    def _prefetch(self, trace_ids: Sequence[str]) -> None:
        """Many traces in few requests; what a batch does not bring is fetched on its own, which
        also tells a trace that is not there from a store that does not answer.
        """
        wanted = [i for i in trace_ids if i.startswith(("tr-", "trace:/"))]
        self._ready.update((t.info.trace_id, t) for t in mlflow_store.fetch_traces(wanted))

    def _fetch(self, trace_id: str) -> Any:
        ready = self._ready.get(trace_id)
        return mlflow_store.fetch_trace(trace_id) if ready is None else ready

    def _first_of(self, trace_ids: Iterable[str]) -> Any:
        first = next(iter(trace_ids), None)
        if first is None:
            return None
        try:
            return mlflow_store.fetch_trace(first)
        except TraceNotFoundError:
            return None

    def _all(self) -> list[Any]:
        """What the experiment holds, without the spans, which are most of it; oldest first."""
        if self._listed is None:
            traces = mlflow_store.search_experiment_traces(self.experiment(), include_spans=False)
            self._listed = [trace.info for trace in by_time(traces)]
        return self._listed

    def _fetched(self, infos: Iterable[Any]) -> StoredTraces:
        """Claude Code's traces with their spans. What the listing holds and a request does not get
        is unfinished (or was deleted meanwhile, which cannot be told apart).
        """
        found: list[Any] = []
        unfinished: list[Any] = []
        for info in infos:
            trace = self._first_of([info.trace_id])
            if trace is not None and is_claude_code_trace(trace):
                found.append(trace)
            elif (trace is None or not has_root(trace)) and may_be_claude_code(info):
                unfinished.append(info)
        return StoredTraces(traces=tuple(by_time(found)), unfinished=tuple(unfinished))


def experiment_of(trace: Any) -> str | None:
    """Id of the experiment that holds a trace, None where it is stored elsewhere."""
    location = getattr(trace.info.trace_location, "mlflow_experiment", None)
    return None if location is None else str(location.experiment_id)


def _names_a_trace(case: TestCase) -> bool:
    if case.trace_ref is not None or case.inline_trace is not None:
        return False
    return case.trace_id is not None


def by_time(traces: Iterable[Any]) -> list[Any]:
    """Traces in order of their start."""
    return sorted(traces, key=lambda trace: (trace.info.request_time, trace.info.trace_id))


def _prompts(trace: Any) -> tuple[str, ...]:
    session = as_session(trace)
    return () if session is None else session.prompts


def _may_hold(info: Any, prompt: str) -> bool:
    """Whether a trace's preview does not rule out the prompt: it is cut short, and may be JSON."""
    preview = info.request_preview
    start = _PLAIN.match(prompt.strip())
    if not preview or start is None or len(start[0].strip()) < _TELLING:
        return True
    return _normal(start[0]) in _normal(preview)


def _normal(text: str) -> str:
    return " ".join(text.split())
