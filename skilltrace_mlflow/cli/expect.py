"""`expect`: propose expectations from recorded traces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
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
    skills_option,
    store_options,
    told_apart,
)
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError
from skilltrace_mlflow.text import below_here, counted

if TYPE_CHECKING:
    from skilltrace_mlflow.proposals import Appended, Proposal
    from skilltrace_mlflow.sources.load import Evidence

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow expect my-skill --append --latest --redact",
)
@click.argument("named", nargs=-1, metavar="[SKILL]")
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
@click.option(
    "--append",
    is_flag=True,
    help="Add the test case to SKILL's ground truth and the session to its traces/.",
)
@click.option(
    "--redact", is_flag=True, help="With --append: replace secrets (detect-secrets' rules) first."
)
@click.option(
    "--replace",
    "replacing",
    is_flag=True,
    help="With --append: write the test case of the same session, or of --test-id, anew.",
)
@click.option(
    "--test-id",
    metavar="ID",
    help="The test case's id.  [default: recorded_001; with --append the next that is free]",
)
@skills_option
@output_option("yaml")
@store_options
@verbosity_options
def command(
    named: tuple[str, ...],
    traces: tuple[Path, ...],
    trace_ids: tuple[str, ...],
    run_id: str | None,
    session_id: str | None,
    latest: bool,
    local: bool,
    append: bool,
    redact: bool,
    replacing: bool,
    test_id: str | None,
    skills_dir: Path | None,
    outputs: tuple[Path, ...],
    experiment: str | None,
    tracking_uri: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Propose expectations from one or several recorded traces of a test case.

    Prints a ground truth with one test case, in which every expectation passes on the traces given
    and fails on at least one mutation of them; the table on standard error says which. With
    --append the test case is added to SKILL's ground truth, whose comments and layout stay, and
    the session is copied into the skill's traces/.
    """
    from skilltrace_mlflow.sources.prefixes import whole_trace_id

    skill, more = told_apart(named, behind_trace=bool(traces))
    traces = (*traces, *more)
    _require_append(skill, append, redact=redact, replacing=replacing, outputs=outputs)
    given = bool(traces or trace_ids or run_id or session_id)
    if given + latest + local != 1:
        raise click.UsageError(
            "Name a trace by --trace, --trace-id, --run-id, --session-id, or else by --latest or "
            "--local."
        )
    for output in outputs:
        if output.exists():  # somebody may have gone on writing there
            raise ConfigurationError(f"--output {output}: the file exists already; name another")
    manifest = None
    if append:
        from skilltrace_mlflow.expectations import load_manifest

        manifest = load_manifest(str(skill), skills_dir=skills_dir)
    trace_ids = tuple(
        whole_trace_id(text, experiment=experiment, tracking_uri=tracking_uri) for text in trace_ids
    )
    if given:
        evidence = list(_gather(traces, trace_ids, run_id, session_id, experiment, tracking_uri))
    else:
        evidence = [newest_session(latest, experiment, tracking_uri)]
        if (found := evidence[0]).trace_id is not None:
            trace_ids = (found.trace_id,)
        else:
            traces = (Path(found.source),)
    if manifest is not None:
        from skilltrace_mlflow.proposals import append_case

        done = append_case(manifest, evidence, test_id=test_id, redact=redact, replacing=replacing)
        if not quiet:
            _tell(done, str(skill), len(evidence), redact=redact)
        write_result("test_cases:\n" + indent(done.text, "  "), "yaml")
        return 0
    _propose(evidence, traces, trace_ids, test_id or "recorded_001", outputs, quiet=quiet)
    return 0


def _require_append(
    skill: str | None, append: bool, *, redact: bool, replacing: bool, outputs: tuple[Path, ...]
) -> None:
    """Refuse what only makes sense with `--append`, or not with it."""
    alone = {"--redact": redact, "--replace": replacing, f"SKILL {skill!r}": skill is not None}
    for name, present in alone.items():
        if present and not append:
            raise click.UsageError(f"{name} is for --append, which adds to a skill's ground truth.")
    if append and skill is None:
        raise click.UsageError("--append: to which skill? Name it: expect SKILL --append …")
    if append and outputs:
        raise click.UsageError("--append writes to the skill's ground truth; leave out --output.")


def _propose(
    evidence: list[Evidence],
    traces: tuple[Path, ...],
    trace_ids: tuple[str, ...],
    test_id: str,
    outputs: tuple[Path, ...],
    *,
    quiet: bool,
) -> None:
    """Print and write a ground truth of its own."""
    from skilltrace_mlflow.proposals import propose, to_yaml

    proposal = propose([item.session for item in evidence])
    if not proposal.expectations:
        raise EvaluationError(proposal.nothing)
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
    write_result(text_in(Path()), "yaml")


def _tell(done: Appended, skill: str, given: int, *, redact: bool) -> None:
    """What was written, what does not hold, and how to judge it, on standard error."""
    _show(done.proposal)
    what = "a test case"
    if done.replaced is not None:
        what = "written anew" if done.replaced == done.id else f"in the place of {done.replaced}"
    note(f"{done.id}: {what} in {below_here(done.path)}")
    which = ", the first given" if given > 1 else ""
    note(f"{done.id}: its session is {below_here(done.trace)}{which}")
    if redact:
        count = sum(done.redacted.values())
        kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(done.redacted.items()))
        note(f"{done.id}: {counted(count, 'secret')} replaced" + (f": {kinds}" if kinds else ""))
    for text in done.failing:
        note(f"{done.id}: with what the manifest expects, {text}")
    note(f"next: skilltrace-mlflow mlflow-eval {skill} --include-traces --test-id {done.id}")


def _gather(
    traces: tuple[Path, ...],
    trace_ids: tuple[str, ...],
    run_id: str | None,
    session_id: str | None,
    experiment: str | None,
    tracking_uri: str | None,
) -> Iterator[Evidence]:
    from skilltrace_mlflow.sources import load
    from skilltrace_mlflow.sources.prefixes import whole_session_id

    for path in traces:
        yield load.load_file(path)
    for trace_id in trace_ids:
        yield load.session_of_trace(trace_id, tracking_uri=tracking_uri)
    if run_id is not None:
        yield from load.sessions_of_run(run_id, tracking_uri=tracking_uri)
    if session_id is not None:
        in_store = experiment is not None or tracking_uri is not None
        place = {"experiment": experiment, "tracking_uri": tracking_uri}
        whole = whole_session_id(session_id, in_store=in_store, **place)
        yield load.session_of_id(whole, in_store=in_store, **place)


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
