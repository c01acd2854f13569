"""`capture`: a session as a candidate for a test case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from skilltrace_mlflow.cli._common import EXIT_INTERRUPTED, note, remark, verbosity_options
from skilltrace_mlflow.cli._options import ExpandedPath, agent_options, store_options

__all__ = ["command"]


@click.command(
    epilog='Example: skilltrace-mlflow capture my-skill --prompt "Name the orders table"',
)
@click.argument("skill")
@click.option("--prompt", metavar="TEXT", help="Run the agent on this prompt.")
@click.option("--trace", type=ExpandedPath(), metavar="FILE", help="A transcript or dumped trace.")
@click.option("--run-id", metavar="ID", help="The trace linked to this MLflow run.")
@click.option("--trace-id", metavar="ID", help="An MLflow trace.")
@click.option("--session-id", metavar="ID", help="All turns of a session, in MLflow or local.")
@click.option(
    "--latest",
    is_flag=True,
    help="The newest trace of the experiment; without a store, of this directory's sessions.",
)
@click.option("--id", "name", metavar="ID", help="The candidate's id [captured_001, …].")
@agent_options
@click.option(
    "--skills-dir",
    type=ExpandedPath(file_okay=False),
    metavar="DIR",
    help="Where skills are [SKILLTRACE_SKILLS_DIR, else the nearest skills/ upward].",
)
@store_options
@verbosity_options
def command(
    skill: str,
    prompt: str | None,
    trace: Path | None,
    run_id: str | None,
    trace_id: str | None,
    session_id: str | None,
    latest: bool,
    name: str | None,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """Add a session to SKILL's candidates.yaml, with proposed expectations.

    With --prompt the agent is run; the other options name a session that exists. `review` then
    approves or rejects it, `promote` makes it a test case.
    """
    from skilltrace_mlflow.agent.capture import capture
    from skilltrace_mlflow.agent.run_skill import AgentInterrupted, RunOptions

    try:
        captured = capture(
            skill,
            prompt=prompt,
            trace=trace,
            run_id=run_id,
            trace_id=trace_id,
            session_id=session_id,
            latest=latest,
            name=name,
            options=RunOptions(**given),
        )
    except AgentInterrupted:
        note("interrupted; nothing was captured")
        return EXIT_INTERRUPTED
    for text in captured.notes:
        remark(text)
    if not quiet:
        keys = ", ".join(captured.candidate.expectations) or "none"
        note(f"candidate {captured.candidate.id} in {captured.path}; proposed: {keys}")
    return 0
