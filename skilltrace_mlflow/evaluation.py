"""`trace_eval`: traces against a skill's expectations, without MLflow's evaluation.

The command line and Python go through here, so that a manifest gives the same verdicts, gates,
notes and exit code through both. MLflow is imported only for traces that lie in a store, and for
functions of the user's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import Manifest, load_ground_truth, load_manifest
from skilltrace_mlflow.expectations.names import MLFLOW_SCORERS, gate_names
from skilltrace_mlflow.gates import gates_concerning, judge_gates
from skilltrace_mlflow.options import EvaluationOptions
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.score import SESSION_PREFIX, Target, judge_traces
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import Evidence
from skilltrace_mlflow.streams import module_logger

__all__ = ["judge_with_gates", "trace_eval"]

_log = module_logger(__name__)


def trace_eval(
    skill: str | os.PathLike[str] | Manifest,
    traces: Sequence[str | os.PathLike[str] | Session] | str | os.PathLike[str] | Session = (),
    *,
    trace_dir: str | os.PathLike[str] | None = None,
    run_id: str | None = None,
    trace_id: str | None = None,
    session_id: str | None = None,
    latest: bool = False,
    local: bool = False,
    evidence: Iterable[Evidence] = (),
    test_id: str | None = None,
    fail_under: Mapping[str, float] | None = None,
    strict_prompts: bool = False,
    allow_custom: bool = False,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    skills_dir: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    keep_sessions: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score traces against a skill's expectations and judge the manifest's gates.

    `skill` is a name, a folder, a manifest file or a loaded manifest. `traces` are transcripts,
    dumped traces or sessions; `trace_dir` adds every session below a folder. `run_id`, `trace_id`
    and `session_id` name traces of an MLflow store (a session is looked for on this machine first,
    unless a store is named), `latest` is the experiment's newest trace where a store is named, else
    like `local`: this machine's newest session of this directory. `evidence` is what was fetched
    otherwise. `test_id` applies that test case's overrides; the traces are then its attempts.

    `strict_prompts` makes a test unknown on a session with another prompt. `fail_under` adds gates
    to the manifest's. `allow_custom` lets the manifest's own functions run.
    With `workers` above 1 files are read and judged in that many processes (call it under `if
    __name__ == "__main__"` then); without `keep_sessions` results keep figures in place of the
    session. `progress` is called with (done, total).

    Raises InputError for a bad file if it is the only one; a bad file among several becomes a
    result with `error` and `bad_input`. Raises ConfigurationError for a bad manifest or option, and
    for functions of the manifest's own that were not allowed; EvaluationError where a store does
    not answer or does not hold what was named.
    """
    options = EvaluationOptions(
        run_id=run_id,
        trace_id=trace_id,
        session_id=session_id,
        latest=latest,
        local=local,
        test_id=test_id,
        fail_under=fail_under or {},
        strict_prompts=strict_prompts,
        allow_custom=allow_custom,
        experiment=experiment,
        tracking_uri=tracking_uri,
        skills_dir=skills_dir,
        workers=workers,
    )
    manifest = skill if isinstance(skill, Manifest) else load_manifest(skill, skills_dir=skills_dir)
    own = _own_functions(manifest)
    if own and not allow_custom:
        raise ConfigurationError(
            f"{manifest.path or manifest.name}: {own[0]!r} is a function of your own; allow it to "
            "run with --allow-custom if you trust it, or take it out of the manifest"
        )
    target = replace(Target.of(manifest, test_id), strict_prompts=strict_prompts)
    single = isinstance(traces, str | os.PathLike | Session)
    results, notes = judge_traces(
        target,
        [traces] if single else list(traces),  # type: ignore[arg-type, list-item]
        trace_dir=trace_dir,
        evidence=(*evidence, *_fetch(options)),
        workers=workers or 1,
        keep_sessions=keep_sessions or bool(own),
        progress=progress,
    )
    notes = (*manifest.notices, *notes)
    evaluation = Evaluation(skill=manifest.name, results=results, notes=notes)
    if own:
        from skilltrace_mlflow.custom import judge_custom

        evaluation = judge_custom(evaluation, manifest, expectations=_expected(manifest, target))
        if not keep_sessions:
            kept = tuple(result.without_session() for result in evaluation.results)
            evaluation = replace(evaluation, results=kept)
    done = judge_with_gates(evaluation, manifest, options.fail_under)
    _log.info("%s: %d results, %d gates", done.skill, len(done.results), len(done.gates))
    return done


def _fetch(options: EvaluationOptions) -> Iterator[Evidence]:
    """The evidence that the options name by an id, or as the newest of its place."""
    from skilltrace_mlflow.sources import load
    from skilltrace_mlflow.sources.prefixes import whole_session_id, whole_trace_id

    place = {"experiment": options.experiment, "tracking_uri": options.tracking_uri}
    uri = options.tracking_uri
    if options.run_id is not None:
        merge = options.test_id is not None  # an attempt is a session, not a turn of one
        yield from load.sessions_of_run(options.run_id, tracking_uri=uri, merge=merge)
    if options.trace_id is not None:
        trace_id = whole_trace_id(options.trace_id, **place)
        yield load.session_of_trace(trace_id, tracking_uri=uri)
    if options.session_id is not None:
        in_store = not options.local and any(place.values())
        session_id = whole_session_id(options.session_id, in_store=in_store, **place)
        yield load.session_of_id(session_id, in_store=in_store, **place)
    if options.latest:
        yield load.latest(options.experiment, tracking_uri=uri)
    if options.local and options.session_id is None:
        yield load.latest_local()


def _own_functions(manifest: Manifest) -> list[str]:
    """The entries that name a function; `Guidelines:tone` is one of MLflow's with a name."""
    return [
        entry.name
        for entry in manifest.scorers
        if ":" in entry.name and entry.name.partition(":")[0] not in MLFLOW_SCORERS
    ]


def _expected(manifest: Manifest, target: Target) -> Mapping[str, Any]:
    """The expectations that a function of the user's own is called with."""
    case = target.case
    if case is None:
        return manifest.trace_expectations
    return {**case.trace_expectations, **case.response_expectations}


def judge_with_gates(
    evaluation: Evaluation, manifest: Manifest, asked: Mapping[str, float] | None = None
) -> Evaluation:
    """The gates on what was judged here, and on trace checks that nothing expects anywhere (they
    fail). Those on responses, and on what only other test cases expect, are left to `mlflow-eval`;
    a note names them. Gates that were asked for by hand are all judged.
    """
    judged = {outcome.check for result in evaluation.results for outcome in result.outcomes}
    # A function that ran and said nothing is not one that was left to mlflow-eval.
    judged |= {name.rpartition(":")[2] for name in _own_functions(manifest)}
    gates, others = gates_concerning(manifest.quality_gates, judged, groups=manifest.tiers)
    of_traces = {*all_checks(), *(SESSION_PREFIX + name for name in all_checks())}
    vain, _ = gates_concerning({name: manifest.quality_gates[name] for name in others}, of_traces)
    if vain:
        elsewhere = set()
        for case in load_ground_truth(manifest):
            elsewhere |= {item.spec.name for item in case.expectations}
            elsewhere |= {SESSION_PREFIX + item.spec.name for item in case.session_expectations}
        spared, _ = gates_concerning(vain, elsewhere, groups=manifest.tiers)
        gates.update({name: value for name, value in vain.items() if name not in spared})
        others = tuple(name for name in others if name not in gates)
    gates.update(asked or {})
    notes = list(evaluation.notes)
    left = [name for name in others if name not in gates]
    if left:
        notes.append(
            f"gates not judged here: {', '.join(left)} (nothing in these traces is expected by "
            "them; mlflow-eval judges all test cases and responses)"
        )
    return replace(
        evaluation,
        gates=judge_gates(
            gates, evaluation.results, groups=manifest.tiers, known=gate_names(manifest.scorers)
        ),
        notes=tuple(notes),
    )
