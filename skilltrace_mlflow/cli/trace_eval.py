"""`trace-eval`: score traces against expectations, without MLflow where they are files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skilltrace_mlflow.cli._common import (
    EXIT_INTERRUPTED,
    ExpandedPath,
    emit,
    evaluation_options,
    format_option,
    load_baseline,
    note,
    output_option,
    progress_bar,
    store_options,
    verbosity_options,
)
from skilltrace_mlflow.errors import ConfigurationError

if TYPE_CHECKING:
    from skilltrace_mlflow.expectations import Manifest
    from skilltrace_mlflow.results import Evaluation
    from skilltrace_mlflow.sources.load import Evidence

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow trace-eval my-skill --trace session.jsonl",
)
@click.argument("skill", required=False)
@click.option(
    "--trace",
    "traces",
    multiple=True,
    type=ExpandedPath(),
    metavar="FILE",
    help="A transcript or a dumped trace (repeatable; - reads standard input).",
)
@click.option(
    "--trace-dir",
    type=ExpandedPath(),
    metavar="DIR",
    help="Every session below DIR.",
)
@click.option("--run-id", metavar="ID", help="Each trace linked to this MLflow run.")
@click.option("--trace-id", metavar="ID", help="One MLflow trace (a user turn).")
@click.option("--session-id", metavar="ID", help="All turns of a session, in MLflow or local.")
@click.option("--latest", is_flag=True, help="The newest trace of the experiment.")
@click.option("--local", is_flag=True, help="This machine's newest session of this directory.")
@click.option("--test-id", metavar="ID", help="Apply this test case's overrides.")
@click.option(
    "--manifest",
    type=ExpandedPath(dir_okay=False),
    metavar="FILE",
    help="A manifest file instead of SKILL.",
)
@click.option("--log", is_flag=True, help="Write the verdicts to MLflow as assessments.")
@click.option("--fail-under", multiple=True, metavar="NAME=VALUE", help="A gate, repeatable.")
@click.option(
    "--report",
    type=ExpandedPath(dir_okay=False),
    metavar="FILE.html",
    help="Write an HTML report as well.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes for many files [all cores].")
@store_options
@evaluation_options
@format_option()
@output_option
@verbosity_options
def command(
    skill: str | None,
    traces: tuple[Path, ...],
    trace_dir: Path | None,
    run_id: str | None,
    trace_id: str | None,
    session_id: str | None,
    latest: bool,
    local: bool,
    test_id: str | None,
    manifest: Path | None,
    log: bool,
    fail_under: tuple[str, ...],
    report: Path | None,
    workers: int | None,
    experiment: str | None,
    tracking_uri: str | None,
    skills_dir: Path | None,
    include_trace: bool,
    dump_traces: Path | None,
    allow_custom: bool,
    baseline: tuple[str, Any] | None,
    **output_options: Any,
) -> int:
    """Score traces against SKILL's expectations.

    SKILL is a skill's name, its folder, or (with --manifest) left out. Name the traces by one of
    --trace, --trace-dir, --run-id, --trace-id, --session-id, --latest, --local.
    """
    from skilltrace_mlflow.expectations import load_manifest
    from skilltrace_mlflow.gates import parse_gate
    from skilltrace_mlflow.score import trace_eval

    source = skill if manifest is None else manifest
    if source is None or (skill is not None and manifest is not None):
        raise click.UsageError("Give either SKILL or --manifest FILE.")
    chosen = _chosen(
        {
            "--trace": bool(traces),
            "--trace-dir": trace_dir is not None,
            "--run-id": run_id is not None,
            "--trace-id": trace_id is not None,
            "--session-id": session_id is not None,
            "--latest": latest,
            "--local": local and session_id is None,
        }
    )
    required = dict(parse_gate(text) for text in fail_under)
    loaded = load_manifest(source, skills_dir=skills_dir)
    own = [entry.name for entry in loaded.scorers if _is_custom(entry.name)]
    if own and not allow_custom:
        raise ConfigurationError(
            f"{loaded.path}: {own[0]!r} is a function of your own; allow it to run with "
            "--allow-custom, or take it out of the manifest"
        )
    baseline = load_baseline(baseline, tracking_uri)
    evidence: Iterator[Evidence] | tuple[()] = ()
    if chosen not in ("--trace", "--trace-dir"):
        evidence = _fetch(
            chosen,
            run_id=run_id,
            trace_id=trace_id,
            session_id=session_id,
            local=local,
            merge=test_id is not None,
            experiment=experiment,
            tracking_uri=tracking_uri,
        )
    with progress_bar("scoring", quiet=output_options["quiet"]) as progress:
        evaluation = trace_eval(
            loaded,
            [str(trace) for trace in traces],
            trace_dir=trace_dir,
            evidence=evidence,
            test_id=test_id,
            workers=workers or os.cpu_count() or 1,
            keep_sessions=bool(own or include_trace or dump_traces or report or log)
            or _is_page(output_options["output"]),
            progress=progress,
        )
    if own:
        from skilltrace_mlflow.custom import judge_custom

        evaluation = judge_custom(evaluation, loaded, expectations=_expectations(loaded, test_id))
    evaluation = _judge_gates(evaluation, loaded, required)
    if not output_options["quiet"] and output_options["output_format"] != "table":
        for text in evaluation.notes:  # the table has them already
            note(text)
    if log:
        from skilltrace_mlflow.evaluate import Interrupted, log_evaluation

        try:
            evaluation = log_evaluation(
                evaluation, experiment=experiment, tracking_uri=tracking_uri
            )
        except Interrupted as stop:
            kept = f"; run {stop.run_id} holds what was logged until then" if stop.run_id else ""
            note(f"interrupted{kept}")
            return EXIT_INTERRUPTED
        for text in evaluation.incomplete:
            note(f"incomplete: {text}")
    emit(
        evaluation,
        include_trace=include_trace,
        dump_traces=dump_traces,
        report=report,
        baseline=baseline,
        **output_options,
    )
    return evaluation.exit_code


def _expectations(manifest: Manifest, test_id: str | None) -> Mapping[str, Any]:
    from skilltrace_mlflow.expectations import load_ground_truth

    for case in load_ground_truth(manifest) if test_id is not None else ():
        if case.id == test_id:
            return {**case.trace_expectations, **case.response_expectations}
    return manifest.trace_expectations


def _is_custom(name: str) -> bool:
    """Whether it names a function; `Guidelines:tone` is one of MLflow's scorers with a name."""
    from skilltrace_mlflow.expectations.names import MLFLOW_SCORERS

    return ":" in name and name.partition(":")[0] not in MLFLOW_SCORERS


def _is_page(output: Path | None) -> bool:
    return output is not None and output.suffix.lower() == ".html"


def _judge_gates(
    evaluation: Evaluation, manifest: Manifest, required: dict[str, float]
) -> Evaluation:
    """The gates on what was judged here, and on trace checks that nothing expects anywhere (they
    fail). Those on responses, and on what only other test cases expect, are left to `mlflow-eval`.
    """
    from skilltrace_mlflow.checks import all_checks
    from skilltrace_mlflow.expectations import load_ground_truth
    from skilltrace_mlflow.expectations.manifest import gate_names
    from skilltrace_mlflow.gates import gates_concerning, judge_gates
    from skilltrace_mlflow.score import SESSION_PREFIX

    judged = {outcome.check for result in evaluation.results for outcome in result.outcomes}
    # A function that ran and said nothing is not one that was left to mlflow-eval.
    judged |= {e.name.rpartition(":")[2] for e in manifest.scorers if _is_custom(e.name)}
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
    gates.update(required)
    notes = list(evaluation.notes)
    if others:
        notes.append(
            f"gates not judged here: {', '.join(others)} (nothing in these traces is expected by "
            "them; mlflow-eval judges all test cases and responses)"
        )
    return replace(
        evaluation,
        gates=judge_gates(
            gates,
            evaluation.results,
            groups=manifest.tiers,
            known=gate_names(manifest.scorers),
        ),
        notes=tuple(notes),
    )


def _chosen(given: dict[str, bool]) -> str:
    names = [name for name, present in given.items() if present]
    if len(names) != 1:
        got = " and ".join(names) or "none"
        raise click.UsageError(f"Name the traces by exactly one of {', '.join(given)}; got {got}.")
    return names[0]


def _fetch(
    chosen: str,
    *,
    run_id: str | None,
    trace_id: str | None,
    session_id: str | None,
    local: bool,
    merge: bool,
    experiment: str | None,
    tracking_uri: str | None,
) -> Iterator[Evidence]:
    from skilltrace_mlflow.sources import load

    if run_id is not None:
        yield from load.sessions_of_run(run_id, tracking_uri=tracking_uri, merge=merge)
    elif trace_id is not None:
        yield load.session_of_trace(trace_id, tracking_uri=tracking_uri)
    elif session_id is not None:
        in_store = not local and (experiment is not None or tracking_uri is not None)
        yield load.session_of_id(
            session_id, in_store=in_store, experiment=experiment, tracking_uri=tracking_uri
        )
    elif chosen == "--latest":
        yield load.latest_of_experiment(experiment, tracking_uri=tracking_uri)
    else:
        yield load.latest_local()
