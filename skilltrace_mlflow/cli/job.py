"""`skilltrace-job`: the entry point of scheduled jobs.

A job's tasks hand over every parameter, a value that was left empty too: an empty text is as if the
option were not there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow import __version__
from skilltrace_mlflow.cli._common import colourful, note, write_result
from skilltrace_mlflow.cli._options import store_options
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.sources.mlflow.store import WAREHOUSE

if TYPE_CHECKING:
    from skilltrace_mlflow.databricks.job import JobReport

__all__ = ["command"]


@click.command(
    "skilltrace-job",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: skilltrace-job --skills-dir skills --experiment /Shared/agents "
    "--table main.skills.outcomes",
)
@click.version_option(__version__, prog_name="skilltrace-job")
@click.option(
    "--skills-dir",
    metavar="DIR",
    help="Where skills are. Default: SKILLTRACE_SKILLS_DIR, else the nearest skills/ upward.",
)
@click.option(
    "--skill",
    "skills",
    multiple=True,
    metavar="NAME",
    help="A skill to evaluate (repeatable, or several with commas). Default: all with a manifest.",
)
@store_options
@click.option(
    "--table",
    required=True,
    metavar="TABLE",
    help="Where outcomes are kept: catalog.schema.name through Spark, or a folder.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Look at traces from here on (2026-11-25, 7d) and not from the last run's watermark.",
)
@click.option(
    "--overlap",
    default="1d",
    show_default=True,
    metavar="SPAN",
    help="How far to look back behind the watermark for what arrived late: 90m, 36h, 7d.",
)
@click.option(
    "--fail-on-gate/--no-fail-on-gate",
    default=True,
    show_default=True,
    help="Whether a failed gate or expectation fails the run; what was not judged always does.",
)
@click.option(
    "--llm/--no-llm", "llm", default=True, help="Whether scorers that ask a model are used."
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=SCOPE/KEY",
    help="Set the environment variable NAME from a Databricks secret, for models as judges.",
)
@click.option(
    "--warehouse",
    metavar="ID",
    help="The SQL warehouse that reads traces in Unity Catalog (a job has no environment "
    "variables). Default: MLFLOW_TRACING_SQL_WAREHOUSE_ID.",
)
@click.option("--allow-custom", is_flag=True, help="Let a manifest's own functions run.")
@click.option("--dry-run", is_flag=True, help="Judge and print, and write nothing anywhere.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def command(
    skills_dir: str | None,
    skills: Sequence[str],
    experiment: str | None,
    tracking_uri: str | None,
    table: str,
    since: str | None,
    overlap: str,
    fail_on_gate: bool,
    llm: bool,
    secrets: Sequence[str],
    warehouse: str | None,
    allow_custom: bool,
    dry_run: bool,
    debug: bool,
) -> int:
    """Score what is new in an experiment, keep the outcomes, fail when a gate fails.

    Run again, it finds what it wrote and writes nothing twice. Exit codes: 0 all expectations met,
    1 an expectation or gate failed, 2 bad usage or configuration, 3 could not be evaluated.
    """
    from skilltrace_mlflow.databricks.job import JobOptions, parse_since, parse_span, run_job
    from skilltrace_mlflow.databricks.workspace import export_secrets

    if not table.strip():
        raise ConfigurationError("--table: name catalog.schema.table, or a folder")
    if warehouse and warehouse.strip():
        os.environ[WAREHOUSE] = warehouse.strip()
    export_secrets([secret for secret in secrets if secret.strip()])
    report = run_job(
        JobOptions(
            skills_dir=_skills_dir(skills_dir),
            skills=tuple(
                name.strip() for text in skills for name in text.split(",") if name.strip()
            ),
            experiment=experiment or _experiment(),
            table=table.strip(),
            since=parse_since(since) if since and since.strip() else None,
            overlap=parse_span(overlap) if overlap.strip() else timedelta(days=1),
            fail_on_gate=fail_on_gate,
            dry_run=dry_run,
            tracking_uri=tracking_uri or None,
            allow_custom=allow_custom,
            no_llm=not llm,
        )
    )
    _print(report, dry_run=dry_run)
    return report.exit_code


def _skills_dir(given: str | None) -> str:
    from skilltrace_mlflow.expectations import skills_root

    if given and given.strip():
        return str(Path(given.strip()).expanduser())
    found = skills_root()
    if found is None:
        raise ConfigurationError("no folder of skills here or above; name one with --skills-dir")
    return str(found)


def _experiment() -> str:
    from skilltrace_mlflow.sources.mlflow.store import experiment_of

    return experiment_of()


def _print(report: JobReport, *, dry_run: bool) -> None:
    from skilltrace_mlflow.report import render

    for evaluation in report.evaluations.values():
        write_result(render(evaluation, "table", color=colourful()))
    for text in report.notes:
        note(text)
    write_result(report.line + (" (dry run: nothing was written)" if dry_run else ""))
