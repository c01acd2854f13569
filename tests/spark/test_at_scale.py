"""A whole table or folder scored at once, and the notebook that does it."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.databricks.outcomes import outcome_rows
from skilltrace_mlflow.databricks.scale import score_at_scale
from skilltrace_mlflow.errors import ConfigurationError, EvaluationFailedError
from skilltrace_mlflow.evaluation import trace_eval
from tests.bundle.notebooks import ROOT, Notebook

SKILLS = ROOT / "examples" / "skills"
TRACES = SKILLS / "bronze-ingestion" / "traces"


def here() -> dict[str, int]:
    rows = outcome_rows(trace_eval(SKILLS / "bronze-ingestion", trace_dir=TRACES))
    verdicts = [row["verdict"] for row in rows]
    return {name: verdicts.count(name) for name in ("pass", "fail", "unknown", "error")}


@pytest.mark.parametrize(("fail_job", "pass_rate"), [("true", "1"), ("false", "1"), ("true", "0")])
def test_notebook_scores_a_folder_of_transcripts(
    spark: Any, capsys: pytest.CaptureFixture[str], fail_job: str, pass_rate: str
) -> None:
    notebook = Notebook(
        ROOT / "notebooks" / "05_scale_with_spark.py",
        {
            "source": str(TRACES),
            "skills_dir": str(SKILLS),
            "fail_job": fail_job,
            "pass_rate": pass_rate,
        },
        spark=spark,
    )
    if (fail_job, pass_rate) == ("true", "1"):
        with pytest.raises(EvaluationFailedError, match="exit code 1"):
            notebook.run()
    else:
        notebook.run()
    picture, counts = notebook.shown
    assert "<svg" in picture
    assert {name: int(counts[name].sum()) for name in here()} == here()
    assert "nothing was written" in capsys.readouterr().out


def test_rows_that_a_condition_leaves_out_are_not_judged(spark: Any) -> None:
    report = score_at_scale(
        str(TRACES),
        "bronze-ingestion",
        skills_dir=SKILLS,
        where="path LIKE '%nothing-of-this-name%'",
        spark=spark,
    )
    assert (sum(report.total.values()), report.exit_code) == (0, 3)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"source": ""}, "no source"),
        ({"source": "nowhere.at_all"}, "no such table"),
        ({"pass_rate": 1.5}, "0 to 1"),
        ({"table": "./folder"}, "catalog.schema.table"),
        ({"table": "outcomes"}, "catalog.schema.table"),
        ({"annotations": "nowhere.at_all"}, "no such table"),
        ({"annotations": "no table name"}, "no table name"),
    ],
)
def test_what_cannot_be_is_refused(spark: Any, change: dict[str, Any], word: str) -> None:
    options = {"source": str(TRACES), "skill": "bronze-ingestion", "spark": spark, **change}
    source, skill = options.pop("source"), options.pop("skill")
    with pytest.raises(ConfigurationError, match=word):
        score_at_scale(source, skill, skills_dir=SKILLS, **options)
