"""`expect`: propose expectations from recorded traces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import (
    note,
    output_option,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.cli._options import (
    ExpandedPath,
    newest_options,
    newest_session,
    store_options,
)
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError

if TYPE_CHECKING:
    from skilltrace_mlflow.proposals import Proposal
    from skilltrace_mlflow.sources.load import Evidence

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow expect --trace session.jsonl --test-id orders_001 "
    "--output ground_truth.yaml",
)
@click.option(
    "--trace",
    "traces",
    multiple=True,
    type=ExpandedPath(),
    metavar="FILE",
    help="A transcript or a dumped trace; several of the same case give what they share.",
)
@click.option("--trace-id", "trace_ids", multiple=True, metavar="ID", help="An MLflow trace.")
@click.option("--run-id", metavar="ID", help="Each trace linked to this MLflow run.")
@click.option("--session-id", metavar="ID", help="All turns of a session, in MLflow or local.")
@newest_options
@click.option("--test-id", default="recorded_001", show_default=True, help="The test case's id.")
@output_option("yaml")
@store_options
@verbosity_options
def command(
    traces: tuple[Path, ...],
    trace_ids: tuple[str, ...],
    run_id: str | None,
    session_id: str | None,
    latest: bool,
    local: bool,
    test_id: str,
    outputs: tuple[Path, ...],
    experiment: str | None,
    tracking_uri: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Propose expectations from one or several recorded traces of a test case.

    Prints a ground truth with one test case, in which every expectation passes on the traces given
    and fails on at least one mutation of them; the table on standard error says which.
    """
    from skilltrace_mlflow.proposals import propose, to_yaml

    named = bool(traces or trace_ids or run_id or session_id)
    if named + latest + local != 1:
        raise click.UsageError(
            "Name a trace by --trace, --trace-id, --run-id, --session-id, or else by --latest or "
            "--local."
        )
    for output in outputs:
        if output.exists():  # somebody may have gone on writing there
            raise ConfigurationError(f"--output {output}: the file exists already; name another")
    if named:
        evidence = list(_gather(traces, trace_ids, run_id, session_id, experiment, tracking_uri))
    else:
        evidence = [newest_session(latest, experiment, tracking_uri)]
        if (found := evidence[0]).trace_id is not None:
            trace_ids = (found.trace_id,)
        else:
            traces = (Path(found.source),)
    proposal = propose([item.session for item in evidence])
    if not proposal.expectations:
        reasons = "; ".join(f"{key}: {why}" for key, why in proposal.dropped.items())
        raise EvaluationError(f"no expectation could be proposed: {reasons}")
    prompts = evidence[0].session.prompts
    metadata = {"trace_id": trace_ids[0]} if trace_ids else {}

    def text_in(folder: Path) -> str:
        return to_yaml(
            proposal,
            test_id=test_id,
            prompt=prompts[0] if prompts else None,
            trace_ref=_reference(traces[0], folder) if traces else None,
            metadata=metadata,
        )

    if not quiet:
        _show(proposal)
    for output in outputs:
        text = text_in(output.parent)
        write_files([output], {"yaml": text}.__getitem__, quiet=quiet)
    write_result(text_in(Path()))
    return 0


def _gather(
    traces: tuple[Path, ...],
    trace_ids: tuple[str, ...],
    run_id: str | None,
    session_id: str | None,
    experiment: str | None,
    tracking_uri: str | None,
) -> Iterator[Evidence]:
    from skilltrace_mlflow.sources import load

    for path in traces:
        yield load.load_file(path)
    for trace_id in trace_ids:
        yield load.session_of_trace(trace_id, tracking_uri=tracking_uri)
    if run_id is not None:
        yield from load.sessions_of_run(run_id, tracking_uri=tracking_uri)
    if session_id is not None:
        in_store = experiment is not None or tracking_uri is not None
        yield load.session_of_id(
            session_id, in_store=in_store, experiment=experiment, tracking_uri=tracking_uri
        )


def _reference(trace: Path, folder: Path) -> str | None:
    """The trace's path as seen from a YAML file in `folder`, in the style of a path that
    travels.
    """
    if str(trace) == "-":
        return None
    return Path(os.path.relpath(trace.resolve(), folder.resolve())).as_posix()


def _show(proposal: Proposal) -> None:
    """The table of mutations killed, and what was left out, on standard error."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="what each expectation catches, in mutants of the trace")
    table.add_column("expectation", no_wrap=True)
    table.add_column("mutations caught")
    for key, row in proposal.killed.items():
        caught = (f"{name} {count}/{of}" for name, (count, of) in row.items() if count)
        table.add_row(key, ", ".join(caught))
    Console(stderr=True).print(table)
    for key, reason in proposal.dropped.items():
        note(f"left out: {key}: {reason}")
