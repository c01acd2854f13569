"""What went wrong is told once, however many tests it hit."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.report import to_html
from skilltrace_mlflow.report._summary import run_url, sentence
from skilltrace_mlflow.report._words import failures, top_reasons, unjudged
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from tests.report.evaluations import outcome
from tests.report.pages import Page


def evaluated(*outcomes: Outcome, **fields: Any) -> Evaluation:
    results = tuple(
        TestResult(test_id=f"t{n}", skill="s", outcomes=(one,)) for n, one in enumerate(outcomes)
    )
    return Evaluation(skill="s", results=results, **fields)


def missed(*texts: str, check: str = "required_tools") -> Outcome:
    return outcome(check, "fail", misses=texts, rationale="; ".join(texts))


def unknown(text: str) -> Outcome:
    return outcome("token_budget", "unknown", rationale=text)


def test_one_miss_of_many_tests_is_one_line() -> None:
    evaluation = evaluated(*[missed("Read: not called")] * 41, missed("Edit: not called"))
    first, second = failures(evaluation)
    assert (first.check, first.text, len(first.tests)) == ("required_tools", "Read: not called", 41)
    assert len(second.tests) == 1
    assert top_reasons(evaluation, 1) == ["required_tools: Read: not called · 41 tests"]


def test_a_test_that_missed_more_stands_in_each_line_once() -> None:
    evaluation = evaluated(
        missed("Read: not called", "Edit: not called"),
        missed("Read: not called"),
        missed("Read: not called", "Write: not called"),
    )
    shared, *own = failures(evaluation)
    assert [r.test_id for r in shared.tests] == ["t0", "t1", "t2"]
    assert [(r.test_id, p.text) for p in own for r in p.tests] == [
        ("t0", "Read: not called; Edit: not called"),
        ("t2", "Read: not called; Write: not called"),
    ]


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["3 of 7 responses are lost", "1 of 9 responses are lost"], "… of … responses are lost"),
        (["3 of 7 steps are lost", "3 of 9 steps are lost"], "3 of 7 to 9 steps are lost"),
        (["Bash: 9 > 5", "Bash: 12 > 5", "Bash: 1,000 > 5"], "Bash: 9 to 1,000 > 5"),
        (["rm: `rm -rf a`", "rm: `rm -r b`"], "rm: `…`"),
        (["trace tr-0a1b is gone", "trace tr-ffff is gone"], "trace … is gone"),
        (["python3 is not python2"] * 2, "python3 is not python2"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_grouped_by_kind_and_not_by_number(
    texts: list[str], shown: str
) -> None:
    (problem,) = unjudged(evaluated(*map(unknown, texts)))
    assert problem.text == shown
    assert len(problem.tests) == len(texts)


def test_reasons_of_two_kinds_stay_apart() -> None:
    found = unjudged(evaluated(unknown("python2 is old"), unknown("python3 is old")))
    assert [problem.text for problem in found] == ["python2 is old", "python3 is old"]


@given(st.lists(st.text(alphabet="ab1`'\". ,-", max_size=12), min_size=1, max_size=8))
def test_no_test_is_lost_whatever_the_reasons(texts: list[str]) -> None:
    evaluation = evaluated(*map(unknown, texts), *(missed(text) for text in texts))
    for found, verdict in (
        (unjudged(evaluation), Verdict.UNKNOWN),
        (failures(evaluation), Verdict.FAIL),
    ):
        named = {result.test_id for problem in found for result in problem.tests}
        assert named == {r.test_id for r in evaluation.results if r.verdict is verdict}


def test_the_sentence_counts_and_names_gates_and_the_first_reason() -> None:
    gates = (GateResult(name="pass_rate", required=0.9, got=0.5, coverage=1.0, passed=False),)
    evaluation = evaluated(missed("Read: not called"), outcome("required_tools"), gates=gates)
    assert sentence(evaluation) == (
        "Of 2 tests, 1 failed and 1 passed. Gate not met: pass_rate (0.5 of 0.9). "
        "First: required_tools: Read: not called · 1 test."
    )
    assert sentence(evaluated(outcome("c"))) == "The test passed."
    assert sentence(Evaluation(skill="s", results=())) == "No test was evaluated."


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/#/experiments/7/runs/abc"),
        ("https://me:secret@host/ml", "https://host/ml/#/experiments/7/runs/abc"),
        ("sqlite:///mlflow.db", None),
        ("javascript://alert(1)", None),
        (None, None),
    ],
)
def test_the_run_is_linked_where_a_server_shows_it(uri: str | None, url: str | None) -> None:
    evaluation = evaluated(
        outcome("c"), tracking_uri=uri, run_id="abc", run_name="calm-owl-1", experiment_id="7"
    )
    assert run_url(evaluation) == url
    text = to_html(evaluation, now=datetime(2026, 3, 5, 9, 7, tzinfo=timezone.utc))
    links = {
        v for _, key, v in Page(text).attributes if key == "href" and not str(v).startswith("#")
    }
    assert links == ({url} if url else set())
    assert "5 March 2026, 09:07 UTC" in text
    assert "calm-owl-1" in text
    assert "secret" not in text


def test_gates_come_before_what_failed_and_names_break_at_underscores() -> None:
    gates = (GateResult(name="pass_rate", required=0.9, got=0.5, coverage=1.0, passed=False),)
    text = to_html(evaluated(missed("Read: not called"), gates=gates))
    assert text.index('id="gates"') < text.index('id="problems"') < text.index('id="matrix"')
    assert "required_<wbr>tools" in text
