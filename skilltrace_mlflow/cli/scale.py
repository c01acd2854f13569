"""`skilltrace-scale`: the entry point of the job that scores with Spark.

As with `skilltrace-job`, an empty text is as if the option were not there.
"""

from __future__ import annotations

import click

from skilltrace_mlflow import __version__
from skilltrace_mlflow.cli._common import write_result

__all__ = ["command"]


@click.command(
    "skilltrace-scale",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: skilltrace-scale main.traces.agents_trace_unified --skill my-skill "
    "--table main.skilltrace.outcomes",
)
@click.version_option(__version__, prog_name="skilltrace-scale")
@click.argument("source")
@click.option("--skill", required=True, metavar="NAME", help="The skill whose expectations hold.")
@click.option("--skills-dir", default="", metavar="DIR", help="Where skills are.")
@click.option("--test-id", default="", metavar="ID", help="Judge by this test case instead.")
@click.option("--where", default="", metavar="SQL", help="Condition that rows have to meet.")
@click.option(
    "--annotations", default="", metavar="TABLE", help="What belongs to a table of spans."
)
@click.option(
    "--table", default="", metavar="TABLE", help="Outcome table; nothing is written without one."
)
@click.option(
    "--pass-rate",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Share of verdicts that have to pass.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def command(
    source: str,
    skill: str,
    skills_dir: str,
    test_id: str,
    where: str,
    annotations: str,
    table: str,
    pass_rate: float,
    debug: bool,
) -> int:
    """Score every trace of a table, or transcript of a Volume's folder, with Spark.

    Exit codes: 0 enough passed, 1 too much failed, 2 bad usage or configuration, 3 too much could
    not be judged, or nothing was.
    """
    from skilltrace_mlflow.databricks.scale import score_at_scale

    report = score_at_scale(
        source,
        skill,
        skills_dir=skills_dir.strip() or None,
        test_id=test_id,
        where=where,
        annotations=annotations,
        table=table,
        pass_rate=pass_rate,
    )
    write_result(report.line)
    return report.exit_code
