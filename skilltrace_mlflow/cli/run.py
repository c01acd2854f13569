"""`run`: let Claude Code work on a skill's prompts, then evaluate what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skilltrace_mlflow.cli._common import (
    EXIT_INTERRUPTED,
    emit,
    format_option,
    note,
    output_option,
    progress_bar,
    verbosity_options,
    write_result,
)
from skilltrace_mlflow.cli._options import ExpandedPath, agent_options, store_options
from skilltrace_mlflow.text import counted

if TYPE_CHECKING:
    from skilltrace_mlflow.agent.run_skill import Prepared, SkillRun

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow run my-skill --attempts 3 --baseline --max-usd 5",
)
@click.argument("skill")
@click.option("--test-id", "test_ids", multiple=True, metavar="ID", help="Only this test case.")
@click.option("--filter-category", multiple=True, metavar="NAME", help="Only cases of it.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only cases with this tag.")
@click.option(
    "--attempts", type=click.IntRange(min=1), metavar="N", help="Attempts at each case [1]."
)
@click.option("--baseline", is_flag=True, help="The same without the skill, to compare with.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Attempts at the same time.",
)
@agent_options
@click.option("--dry-run", is_flag=True, help="Say what would run and what it may cost, only.")
@click.option("--resume", metavar="RUN_ID", help="Finish a run that was interrupted.")
@click.option("--run-name", metavar="NAME", help="Name of the MLflow run.")
@click.option("--fail-under", multiple=True, metavar="NAME=VALUE", help="A gate, repeatable.")
@click.option("--no-llm", is_flag=True, help="Leave model-based scorers out.")
@click.option(
    "--allow-custom",
    is_flag=True,
    help="Let a manifest name package.module:function (it runs code).",
)
@click.option(
    "--dump-traces",
    is_flag=False,
    flag_value=".skilltrace/traces",
    default=None,
    type=ExpandedPath(file_okay=False),
    metavar="[DIR]",
    help="Write each trace to DIR/<test_id>__<attempt>.json [.skilltrace/traces].",
)
@click.option("--include-trace", is_flag=True, help="Put the whole trace into each result line.")
@click.option(
    "--report",
    type=ExpandedPath(dir_okay=False),
    metavar="FILE.html",
    help="Write an HTML report as well.",
)
@click.option(
    "--skills-dir",
    type=ExpandedPath(file_okay=False),
    metavar="DIR",
    help="Where skills are [SKILLTRACE_SKILLS_DIR, else the nearest skills/ upward].",
)
@store_options
@format_option()
@output_option()
@verbosity_options
def command(
    skill: str,
    dry_run: bool,
    run_name: str | None,
    fail_under: tuple[str, ...],
    no_llm: bool,
    allow_custom: bool,
    dump_traces: Path | None,
    include_trace: bool,
    report: Path | None,
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """Run Claude Code on SKILL's test cases, then evaluate as mlflow-eval --include-traces does.

    Each attempt works in a fresh copy of the manifest's workspace, with a configuration of its own.
    Its session becomes MLflow traces, linked to the evaluation's run. An attempt that the
    infrastructure ended (a bound on time or money, an error of the service) is no failed test: it
    could not be evaluated, and the exit code is 3.
    """
    from skilltrace_mlflow.agent.run_skill import AgentInterrupted, RunOptions, prepare, run_skill
    from skilltrace_mlflow.gates import parse_gate

    evaluation: dict[str, Any] = {
        "fail_under": dict(parse_gate(text) for text in fail_under),
        "no_llm": no_llm,
        "allow_custom": allow_custom,
    }
    if run_name is not None:
        evaluation["run_name"] = run_name
    options = RunOptions(**given, evaluation=evaluation)
    if dry_run:
        write_result(_shown(prepare(skill, options)))
        return 0
    try:
        with (
            _attempts_bar(quiet=quiet) as progress,
            progress_bar("judging", quiet=quiet) as judging,
        ):
            done = run_skill(skill, options, progress=progress, judging=judging)
    except AgentInterrupted as stop:
        note(f"interrupted; take it up again with --resume {stop.run_id}")
        return EXIT_INTERRUPTED
    _say(done, quiet=quiet, verbose=verbose)
    if not quiet and output_format != "table":
        for text in done.evaluation.notes:  # the table has them already
            note(text)
    for text in done.evaluation.incomplete:
        note(f"incomplete: {text}")
    emit(
        done.evaluation,
        output_format=output_format,
        outputs=outputs,
        report=report,
        dump_traces=dump_traces,
        include_trace=include_trace,
        quiet=quiet,
        verbose=verbose,
    )
    return done.exit_code


def _say(done: SkillRun, *, quiet: bool, verbose: bool) -> None:
    """What became of the attempts, on standard error."""
    from skilltrace_mlflow.agent.protocol import SETTLED

    lost = [record for record in done.records if not record.judged]
    for record in lost:
        arm = "" if record.arm == "with" else f" ({record.arm})"
        note(f"{record.test_id} #{record.attempt}{arm}: {record.end}: {record.reason}")
    if verbose:
        for record in done.records:
            for text in (*record.notes, *record.differing):
                note(f"{record.test_id} #{record.attempt} ({record.arm}): {text}")
    if not quiet:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(done.ends.items()))
        note(f"run {done.run_id}: {ends}; ${done.spent_usd:.4f}; kept in {done.folder}")
        if lost:
            count = counted(len(lost), "attempt says", "attempts say")
            again = any(record.end not in SETTLED for record in lost)
            way_out = f"--resume {done.run_id}" if again else "give more time or money in a new run"
            note(f"{count} nothing about the agent; {way_out}")


def _shown(ready: Prepared) -> str:
    lines = [f"skill {ready.skill.name} from {ready.skill.folder}"]
    for job in ready.jobs:
        state = "done" if job in ready.done else "to run"
        lines.append(f"  {job.test_id} #{job.attempt} {job.arm} the skill: {state}")
    cost = "unknown (no earlier run to tell)"
    if ready.estimate is not None:
        cost = f"about ${ready.estimate:.4f}, from the mean of earlier attempts"
    bound = ready.options.max_usd
    open_ = len(ready.jobs) - len(ready.done)
    lines += [f"{counted(open_, 'attempt')} to make", f"cost {cost}"]
    lines.append("no bound on the whole (--max-usd)" if bound is None else f"at most ${bound:g}")
    return "\n".join(lines)


@contextmanager
def _attempts_bar(*, quiet: bool) -> Iterator[Callable[[int, int, float], None]]:
    """A bar over the attempts with the cost so far."""
    with progress_bar("attempts", quiet=quiet) as bar:

        def show(done: int, total: int, spent: float) -> None:
            bar(done, total)
            if not quiet and done:
                note(f"{done} of {total} attempts, ${spent:.4f} so far")

        yield show
