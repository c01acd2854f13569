"""What a notebook shows of an evaluation, and the figures over several runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import nbformat
import pytest
from nbclient import NotebookClient

from skilltrace_mlflow.comparison.records import records_of
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.report.charts import (
    bars,
    figure_over_runs,
    histogram,
    number,
    pass_rate_over_runs,
)
from skilltrace_mlflow.results import Evaluation
from tests.report.evaluations import NASTY, demo, large, nested_session, unfriendly
from tests.report.pages import Page

SVG = "{http://www.w3.org/2000/svg}"


def test_the_matrix_of_a_notebook_has_words_for_verdicts() -> None:
    text = Page(demo()._repr_html_()).text
    assert "orders_create_gone_wrong✗ fail✗ fail! error✗ fail✗ fail" in text
    assert "no_trace! error" in text


@pytest.mark.parametrize("name", NASTY)
def test_the_matrix_of_a_notebook_shows_a_strangers_text_as_text(name: str) -> None:
    text = unfriendly(NASTY[name])._repr_html_()
    page = Page(text)
    assert page.tags == {"p", "b", "div", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert {key for _, key, _ in page.attributes} <= {"title", "style"}
    assert not set(text) & set("\x1b\x7f\u202e\u2066\u200b\u2028\ud83d")


def test_the_matrix_of_a_large_evaluation_is_cut() -> None:
    text = large(tests=300, checks=2, calls=1)._repr_html_()
    assert "… and 100 more tests" in text
    assert len(unfriendly("x" * 1_000_000)._repr_html_()) < 20_000


def test_a_notebook_begins_with_the_headline_gates_and_reasons() -> None:
    text = Page(demo()._repr_html_()).text
    places = [
        text.index(part) for part in ("FAILED", "Gates", "What did not pass", "✗ fail! error")
    ]
    assert places == sorted(places)
    assert "no price known for claude-next" in text


def test_a_session_and_its_figures_show_themselves() -> None:
    session = nested_session()
    text = Page(session._repr_html_()).text
    assert "tool calls6: Agent ×2" in text
    assert "failedBash ls missing" in text
    assert repr(session) == "Session('session-1', 6 tool calls, 1 turn)"
    metrics = compute_metrics(session)
    assert "tool calls6: Agent ×2" in Page(metrics._repr_html_()).text
    assert len(repr(metrics)) < 120
    assert len(repr(demo())) < 160
    hostile = unfriendly(NASTY["script"]).results[0].session
    assert hostile is not None
    assert "<script>" not in hostile._repr_html_()


def test_the_report_of_a_notebook_is_shown_and_saved(tmp_path: Path) -> None:
    shown = demo().report()
    assert shown.path is None
    saved = demo().report(tmp_path / "report.html")
    assert saved.path == tmp_path / "report.html"
    assert saved.path.read_text(encoding="utf-8") == saved.html
    frame = saved._repr_html_()
    assert "saved to " in frame
    assert frame.count("<script") == 0  # inside the frame's own document, quoted
    assert 'sandbox="allow-scripts"' in frame


def test_the_data_frame_has_one_row_per_verdict() -> None:
    frame = demo().to_pandas()
    assert len(frame) == 10
    row = frame[(frame.test_id == "orders_create_gone_wrong") & (frame.check == "tool_count")]
    assert row[["verdict", "score", "rationale"]].to_numpy().tolist() == [
        ["fail", 0.5, "Bash: 5 > 3"]
    ]
    assert set(frame.run_id) == {demo().run_id}


def test_the_pass_rate_over_runs_is_drawn_from_the_numbers() -> None:
    runs = {"monday": demo(), "tuesday": records_of(demo())}
    assert pass_rate_over_runs(runs).points == (("monday", 0.25), ("tuesday", 0.25))
    assert pass_rate_over_runs(runs, check="tool_count").points[0] == ("monday", 2 / 3)
    assert pass_rate_over_runs(runs, check="nowhere").points[0] == ("monday", None)
    tree = ET.fromstring(pass_rate_over_runs(runs)._repr_svg_())  # noqa: S314 - our own
    assert [c.find(f"{SVG}title").text for c in tree.iter(f"{SVG}circle")] == [
        "monday: 0.25",
        "tuesday: 0.25",
    ]


def test_tokens_over_runs_leave_a_gap_where_nothing_is_known() -> None:
    runs = {"a": demo(), "b": Evaluation(skill="s", results=()), "c": demo()}
    figure = figure_over_runs(runs)
    assert [value for _, value in figure.points] == [pytest.approx(12260 / 3), None,
                                                     pytest.approx(12260 / 3)]  # fmt: skip
    tree = ET.fromstring(figure.svg)  # noqa: S314 - our own
    assert len(list(tree.iter(f"{SVG}circle"))) == 2
    assert not list(tree.iter(f"{SVG}polyline"))
    with pytest.raises(ValueError, match="'price' is not one of total_tokens"):
        figure_over_runs(runs, "price")


@pytest.mark.parametrize("name", NASTY)
def test_any_name_gives_a_valid_picture(name: str) -> None:
    ET.fromstring(bars([(NASTY[name], 1.0)], title=NASTY[name]))  # noqa: S314 - our own
    ET.fromstring(pass_rate_over_runs({NASTY[name]: demo()}).svg)  # noqa: S314 - our own


def test_every_value_falls_into_one_bar() -> None:
    values = [float(n % 37) for n in range(1_000)]
    tree = ET.fromstring(histogram(values, title="t", unit="tokens"))  # noqa: S314 - our own
    tips = [bar.find(f"{SVG}title").text for bar in tree.iter(f"{SVG}rect")]
    assert sum(int(tip.split(": ")[1].split()[0]) for tip in tips) == 1_000
    for same in ([5.0, 5.0], [0.0], [1e300, -1e300], [sys.float_info.max, 0.0]):
        ET.fromstring(histogram(same, title="t", unit="tokens"))  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (5, "5"), (0.01234, "0.0123"), (1234, "1,234"), (12345, "12.3k"), (4.56e6, "4.56M")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("name one with --tracking-uri or X", "name one with `tracking_uri` or X"),
        ("--timeout 5: the time was up", "`timeout` 5: the time was up"),
        (
            "name one with --trace, or list them with skilltrace-mlflow list-traces --local",
            "name one with `trace`, or list them with skilltrace-mlflow list-traces --local",
        ),
        ("(trace-eval --log made it); --no-llm leaves it", None),
        ("a file of mlflow--x and git -q --long", "a file of mlflow--x and git -q `long`"),
    ],
)
def test_an_error_speaks_of_parameters_in_a_notebook(said: str, shown: str | None) -> None:
    wanted = "(trace-eval --log made it); `no_llm` leaves it" if shown is None else shown
    assert InputError(said)._render_traceback_() == [f"error: {wanted}"]
    assert str(InputError(said)) == said


def test_a_kernel_shows_results_and_errors_as_a_person_reads_them(tmp_path: Path) -> None:
    skill = Path(__file__).parents[2] / "examples" / "skills" / "bronze-ingestion"
    cells = [
        "from pathlib import Path\n"
        "from skilltrace_mlflow import trace_eval\n"
        f"skill = Path({str(skill)!r})\n"
        "found = trace_eval(skill, skill / 'traces' / 'demo-failing.jsonl')\nfound",
        "found.results[0].session",
        "from skilltrace_mlflow.metrics import compute_metrics as figures\n"
        "figures(found.results[0].session)",
        "found.report('report.html')",
        "trace_eval('no-such-skill', 'x.jsonl')",
        "trace_eval(skill, 'no-such-file.jsonl')",
    ]
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    made = [{**code, "id": f"c{number}", "source": cell} for number, cell in enumerate(cells)]
    written = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    book = nbformat.reads(json.dumps(written), as_version=4)
    client = NotebookClient(
        book,
        timeout=120,
        allow_errors=True,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    pages = [
        Page(output["data"]["text/html"]).text
        for cell in book.cells
        for output in cell.outputs
        if output["output_type"] == "execute_result"
    ]

    assert "FAILED" in pages[0]
    assert "Bash" in pages[1]
    assert "tool calls" in pages[2]
    assert (tmp_path / "report.html").is_file()
    errors = [o for cell in book.cells for o in cell.outputs if o["output_type"] == "error"]
    assert len(errors) == 2
    for error in errors:
        assert len(error["traceback"]) == 1
        assert error["traceback"][0].startswith("error: ")
        assert "Traceback" not in error["traceback"][0]
        assert " --" not in error["traceback"][0]
