"""What a comparison says of itself: nothing paired, signs, percentages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import CheckRecord, ResultRecord
from skilltrace_mlflow.report.comparison import check_rows, figure_rows, verdict


def records(names: list[str], *, tokens: float = 100, failing: int = 0) -> list[ResultRecord]:
    return [
        ResultRecord(
            test_id=name,
            verdict="fail" if n < failing else "pass",
            checks={"c": CheckRecord(verdict="fail" if n < failing else "pass")},
            figures={"total_tokens": tokens},
        )
        for n, name in enumerate(names)
    ]


def test_nothing_paired_is_no_regression_and_no_all_clear() -> None:
    compared = compare_results(records(["a", "b"]), records(["x"]))
    assert compared.unpaired
    assert not compared.regressions
    assert verdict(compared).startswith("Nothing could be paired: none of A's tests (2)")
    assert "No regression" not in verdict(compared)


def test_one_shared_test_is_enough_for_a_vanished_one_to_count() -> None:
    compared = compare_results(records(["a", "b"]), records(["a"]))
    assert not compared.unpaired
    assert len(compared.regressions) == 1
    assert verdict(compared).endswith("; 1 test in both")


@pytest.mark.parametrize(("after", "shown"), [(112_345, "+12,345 (+12.3%)"), (90_000, "-10,000")])
def test_changes_are_written_as_the_figures_are(after: float, shown: str) -> None:
    names = ["a", "b"]
    compared = compare_results(records(names, tokens=100_000), records(names, tokens=after))
    assert figure_rows(compared.figures)[0][3].startswith(shown)
    assert "e+" not in "".join(figure_rows(compared.figures)[0])


def test_no_share_is_rounded_to_all_or_none() -> None:
    names = [str(n) for n in range(300)]
    row = check_rows(
        compare_results(records(names, failing=1), records(names, failing=299)).checks
    )[0]
    assert row[1:3] == ("299 of 300 (99%)", "1 of 300 (1%)")


def test_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        line = {"test_id": name, "verdict": "pass", "checks": [{"name": "c", "verdict": "pass"}]}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert run(["compare", "a.jsonl", "b.jsonl"]) == 0
    assert run(["compare", "a.jsonl", "b.jsonl", "--fail-on-regression"]) == 3
    assert run(["compare", "a.jsonl", "a.jsonl", "--fail-on-regression"]) == 0
