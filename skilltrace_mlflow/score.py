"""Evidence meets expectations, without MLflow: what `trace_eval`, scorers and the driver call."""

from __future__ import annotations

import difflib
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import Outcome, Verdict, judge_session
from skilltrace_mlflow.checks.completion import ending_notes
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.expectations import (
    Expectation,
    Manifest,
    TestCase,
    drop_disabled,
    load_ground_truth,
    parse_expectations,
)
from skilltrace_mlflow.metrics import TraceMetrics, compute_metrics
from skilltrace_mlflow.results import TestResult
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import (
    Evidence,
    load_file,
    session_of_reference,
    short_name,
)
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.text import one_line

__all__ = [
    "SESSION_PREFIX",
    "Target",
    "get_trace_from_mlflow",
    "judge_traces",
    "other_prompt",
    "parse_and_compute_metrics",
    "prompt_outcome",
    "score_session",
    "score_whole",
]

_MOST_REMARKS = 3
_LONGEST_PROMPT = 120
SESSION_PREFIX = "session."
"""Outcomes of `session_expectations` carry the check's name behind this prefix."""

# Below these sizes more processes cost more than they save: a forked one starts in milliseconds, a
# fresh interpreter has to import everything first. One core judges about 100 MB a second.
_FORK_FROM_BYTES = 8_000_000
_SPAWN_FROM_BYTES = 200_000_000


def parse_and_compute_metrics(path: str | os.PathLike[str]) -> TraceMetrics:
    """Metrics of a transcript (or of a dumped trace); raises InputError for what is neither."""
    return compute_metrics(load_file(path).session)


def get_trace_from_mlflow(
    reference: str,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> TraceMetrics:
    """Metrics of what MLflow recorded under a run id, a trace id or a session id.

    A run's transcript artifact (`trace.jsonl`, `session.jsonl`, `transcript.jsonl`) counts before
    its linked traces; `latest` is the newest trace of the experiment. Raises TraceNotFoundError if
    there is nothing, EvaluationError if the store does not answer.
    """
    evidence = session_of_reference(reference, experiment=experiment, tracking_uri=tracking_uri)
    return compute_metrics(evidence.session)


def score_session(
    session: Session | None,
    expectations: Iterable[Expectation],
    *,
    session_expectations: Iterable[Expectation] = (),
) -> tuple[Outcome, ...]:
    """Judge a session by expectations; without a session every check is `unknown`.

    Checks that run without being asked are among the outcomes where they have something to say.
    `session_expectations` are judged on the same session and named `session.<check>`: use them
    where `session` is the whole session, not one turn of it.
    """
    outcomes = [*_judged(session, tuple(expectations)), *score_whole(session, session_expectations)]
    return tuple(sorted(outcomes, key=lambda outcome: outcome.check))


def score_whole(session: Session | None, expectations: Iterable[Expectation]) -> list[Outcome]:
    """Judge all turns of a session by session expectations; nothing where nobody wrote any."""
    wanted = tuple(expectations)
    if not any(item.asks for item in wanted):
        return []
    return [
        replace(outcome, check=SESSION_PREFIX + outcome.check)
        for outcome in _judged(session, wanted)
    ]


def _judged(session: Session | None, expectations: tuple[Expectation, ...]) -> Iterator[Outcome]:
    return judge_session(session, ((e.spec, e.parameters, e.scope) for e in expectations))


def other_prompt(case: TestCase | None, session: Session | None) -> str | None:
    """What to say where a session was not given the prompt of the test that it is judged for; None
    where it was, white space aside, in any of its turns, and where either has no prompt to compare.
    """
    if case is None or session is None or not case.prompt or not session.prompts:
        return None
    wanted = " ".join(case.prompt.split())
    if any(" ".join(prompt.split()) == wanted for prompt in session.prompts):
        return None
    given = one_line(session.prompts[0], _LONGEST_PROMPT)
    return f"the session was given another prompt than the test: {given!r}"


def prompt_outcome(problem: str) -> Outcome:
    """What `other_prompt` says, as the verdict of `--strict-prompts`: no evidence of this test."""
    return Outcome(check="prompt", verdict=Verdict.UNKNOWN, rationale=problem)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What traces are judged against: the expectations that hold, and what to call the results.

    `strict_prompts` makes the result of a test unknown on a session with another prompt.
    """

    skill: str
    expectations: tuple[Expectation, ...]
    session_expectations: tuple[Expectation, ...] = ()
    case: TestCase | None = None
    strict_prompts: bool = False

    @classmethod
    def of(cls, manifest: Manifest, test_id: str | None = None) -> Target:
        """The manifest's expectations, with those of one test case merged in if it is named.

        Raises ConfigurationError if there is no such test case or nothing is expected at all: a
        run that checks nothing must not look like a pass.
        """
        if test_id is None:
            target = cls(
                skill=manifest.name,
                expectations=_enabled(manifest, manifest.trace_expectations),
                session_expectations=_enabled(manifest, manifest.session_expectations),
            )
        else:
            case = _find_case(manifest, test_id)
            target = cls(
                skill=manifest.name,
                expectations=case.expectations,
                session_expectations=case.session_expectations,
                case=case,
            )
        if not any(e.asks for e in (*target.expectations, *target.session_expectations)):
            raise ConfigurationError(
                f"{manifest.path or manifest.name}: nothing is expected of a trace; write "
                "trace_expectations (skilltrace-mlflow expect proposes some)"
            )
        return target

    def judge(self, evidence: Evidence, *, attempt: int = 1) -> TestResult:
        """The verdicts on one trace, and by the session expectations on the session it is of."""
        case = self.case
        other = other_prompt(case, evidence.session)
        outcomes = (
            *score_session(evidence.session, self.expectations),
            *self._session_outcomes(evidence),
            *([prompt_outcome(other)] if other is not None and self.strict_prompts else ()),
        )
        return TestResult(
            test_id=evidence.name if case is None else case.id,
            skill=self.skill,
            attempt=attempt,
            outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.check)),
            session=evidence.session,
            whole_session=evidence.whole_session,
            trace_id=evidence.trace_id,
            run_id=evidence.run_id,
            source=evidence.source,
            category=None if case is None else case.category,
            prompt=next(iter(evidence.session.prompts), None),
            notes=(
                *([other] if other is not None else ()),
                *ending_notes(evidence.session),
                *_remarks(evidence.session),
            ),
        )

    def _session_outcomes(self, evidence: Evidence) -> tuple[Outcome, ...]:
        if not self.session_expectations:
            return ()
        session = evidence.session
        if not evidence.whole_session:
            if evidence.fetch_whole is None:
                return tuple(
                    Outcome(
                        check=SESSION_PREFIX + item.spec.name,
                        verdict=Verdict.UNKNOWN,
                        rationale=f"{evidence.source} is one turn of a session, not all of it",
                    )
                    for item in self.session_expectations
                )
            session = evidence.fetch_whole()
        return tuple(score_whole(session, self.session_expectations))


def judge_traces(
    target: Target,
    traces: Sequence[str | os.PathLike[str] | Session],
    *,
    trace_dir: str | os.PathLike[str] | None = None,
    evidence: Iterable[Evidence] = (),
    workers: int = 1,
    keep_sessions: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[TestResult, ...], tuple[str, ...]]:
    """The results of all these traces, and remarks on what was looked for in vain.

    `traces` are files and sessions, `trace_dir` adds every session below a folder, `evidence` what
    was fetched from elsewhere. Where the target is a test case they are its attempts. Raises
    InputError for a bad file if it is the only one; among several it is a result with `error`.
    """
    files = [item for item in traces if not isinstance(item, Session)]
    lone = len(traces) == 1 and trace_dir is None
    if trace_dir is not None:
        files += find_sessions(trace_dir)
    collected = [*evidence]
    for index, item in enumerate(traces):
        if isinstance(item, Session):
            name = item.session_id or f"session-{index + 1}"
            collected.append(Evidence(name=name, source=item.source or name, session=item))
    results = [target.judge(item) for item in collected]
    if lone and files:
        results.append(target.judge(load_file(files[0])))
    else:
        results += _judge_files(
            target, [os.fspath(file) for file in files], workers, keep_sessions, progress
        )
    if target.case is not None:
        results = [replace(item, attempt=n) for n, item in enumerate(results, start=1)]
    asked = (*target.expectations, *target.session_expectations)
    notes = tuple(dict.fromkeys(text for item in asked for text in item.remarks))
    if trace_dir is not None and not files:
        notes += (f"{os.fspath(trace_dir)}: no Claude Code session (a .jsonl file) in it or below",)
    return _unique_names(results), notes


def _judge_files(
    target: Target,
    files: Sequence[str],
    workers: int,
    keep_sessions: bool,
    progress: Callable[[int, int], None] | None,
) -> list[TestResult]:
    results: list[TestResult] = []
    done = _spread(target, files, workers, keep_sessions)
    for count, result in enumerate(done, start=1):
        results.append(result)
        if progress is not None:
            progress(count, len(files))
    return results


def _spread(
    target: Target, files: Sequence[str], workers: int, keep_sessions: bool
) -> Iterator[TestResult]:
    # Sessions that are to be kept would have to travel back whole, which costs more than reading.
    method = None if workers <= 1 or len(files) < 2 or keep_sessions else _start_method(files)
    if method is None:
        yield from map(_Judge(target, keep_sessions), files)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context(method)
    chunk = max(1, min(16, len(files) // (workers * 8)))
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(target, keep_sessions)
    )
    try:
        yield from pool.map(_work, files, chunksize=chunk)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_method(files: Sequence[str]) -> str | None:
    """How to start processes for these files, None where one process is faster.

    A fork copies other threads' locks in whatever state they are, so it is for a process with a
    single thread (the command line); a notebook gets fresh interpreters.
    """
    size = sum(path.stat().st_size for path in map(Path, files) if path.is_file())
    if sys.platform.startswith("linux") and threading.active_count() == 1:
        return "fork" if size >= _FORK_FROM_BYTES else None
    return "spawn" if size >= _SPAWN_FROM_BYTES else None


class _Judge:
    """Judges one file after the other; one bad file among many is a result, not the end."""

    def __init__(self, target: Target, keep_sessions: bool) -> None:
        self.target = target
        self.keep_sessions = keep_sessions

    def __call__(self, file: str) -> TestResult:
        target = self.target
        try:
            result = target.judge(load_file(file))
        except SkillTraceError as error:
            return TestResult(
                test_id=short_name(file) if target.case is None else target.case.id,
                skill=target.skill,
                source=file,
                error=str(error),
                bad_input=True,
            )
        if self.keep_sessions:
            return result
        return result.without_session()


_worker: _Judge | None = None


def _start_worker(target: Target, keep_sessions: bool) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the pool
    _worker = _Judge(target, keep_sessions)


def _work(file: str) -> TestResult:
    if _worker is None:
        raise RuntimeError("a worker was used before it was started")
    return _worker(file)


def _remarks(session: Session) -> tuple[str, ...]:
    """What was odd about the lines of the record and may have cost evidence, a few of them."""
    doubts = (*session.incomplete, *session.usage_notes)
    found = (
        f"{f'line {item.line}: ' if item.line is not None else ''}{item.message}"
        for item in session.diagnostics
        if any(item.message in doubt for doubt in doubts)
    )
    return tuple(dict.fromkeys(found))[:_MOST_REMARKS]


def _enabled(manifest: Manifest, raw: Mapping[str, Any]) -> tuple[Expectation, ...]:
    on = drop_disabled(raw, manifest=manifest.disabled, test=())
    return parse_expectations(on, where=str(manifest.path or manifest.name))


def _find_case(manifest: Manifest, test_id: str) -> TestCase:
    cases = {case.id: case for case in load_ground_truth(manifest)}
    if test_id in cases:
        return cases[test_id]
    near = difflib.get_close_matches(test_id, cases, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigurationError(f"{manifest.name}: no test case {test_id!r} in its ground truth{hint}")


def _unique_names(results: Sequence[TestResult]) -> tuple[TestResult, ...]:
    """Files of the same name in different folders are told apart by their path."""
    counts = Counter((result.test_id, result.attempt) for result in results)
    return tuple(
        replace(result, test_id=result.source)
        if counts[result.test_id, result.attempt] > 1 and result.source
        else result
        for result in results
    )
