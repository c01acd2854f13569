"""`register`: scorers that watch new traces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import note, verbosity_options
from skilltrace_mlflow.cli._options import ExpandedPath, store_options

if TYPE_CHECKING:
    from skilltrace_mlflow.databricks.monitoring import Registered

__all__ = ["command"]


@click.command(epilog="Example: skilltrace-mlflow register my-skill --sample-rate 0.5")
@click.argument("skill", required=False)
@click.option(
    "--skills-dir",
    type=ExpandedPath(file_okay=False),
    metavar="DIR",
    help="Where skills are [SKILLTRACE_SKILLS_DIR, else the nearest skills/ upward].",
)
@click.option(
    "--sample-rate",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Share of new traces that are scored.",
)
@click.option(
    "--filter",
    "filter_string",
    metavar="TEXT",
    help="Only traces that MLflow's search finds by it.",
)
@click.option(
    "--warehouse",
    metavar="ID",
    help="SQL warehouse that monitoring reads traces in Unity Catalog through.",
)
@click.option("--list", "listing", is_flag=True, help="Print what is registered.")
@click.option("--stop", "stopping", is_flag=True, help="Stop SKILL's scorer.")
@click.option("--backfill", "filling", is_flag=True, help="Score older traces too (Databricks).")
@store_options
@verbosity_options
def command(
    skill: str | None,
    skills_dir: str | None,
    sample_rate: float,
    filter_string: str | None,
    warehouse: str | None,
    listing: bool,
    stopping: bool,
    filling: bool,
    experiment: str | None,
    tracking_uri: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Register a scorer that judges each new trace of an experiment by SKILL's expectations.

    The scorer holds all that it needs, and gives one assessment per check. Where it runs there may
    be no parser of shell and SQL: calls that only a parser can tell are then `unknown`.
    """
    if listing + stopping + filling > 1:
        raise click.UsageError("--list, --stop and --backfill are different commands")
    if skill is None and not listing:
        raise click.UsageError("name a SKILL, or list what is registered with --list")
    from skilltrace_mlflow.databricks import monitoring
    from skilltrace_mlflow.expectations import load_manifest

    if listing:
        found = monitoring.list_registered(experiment=experiment, tracking_uri=tracking_uri)
        for item in found:
            click.echo(_line(item))
        if not found and not quiet:
            note("no scorer of this package is registered with the experiment")
        return 0
    manifest = load_manifest(str(skill), skills_dir=skills_dir)
    if stopping:
        done = monitoring.stop(manifest.name, experiment=experiment, tracking_uri=tracking_uri)
    elif filling:
        job = monitoring.backfill(manifest.name, experiment=experiment, tracking_uri=tracking_uri)
        note(f"{manifest.name}: older traces are scored by job {job}")
        return 0
    else:
        done = monitoring.register(
            manifest,
            experiment=experiment,
            tracking_uri=tracking_uri,
            sample_rate=sample_rate,
            # A job hands over empty texts.
            filter_string=filter_string or None,
            warehouse=(warehouse or "").strip() or None,
        )
    if not quiet:
        note(f"{done.name}: {'scores new traces' if done.running else 'stopped'}")
    return 0


def _line(item: Registered) -> str:
    return json.dumps(
        {
            "name": item.name,
            "running": item.running,
            "sample_rate": item.sample_rate,
            "filter": item.filter_string,
        },
        ensure_ascii=False,
    )
