"""Text of strangers in the formats for terminals and Markdown, and a million characters in all."""

from __future__ import annotations

import html
import json
import re

import pytest
from markdown_it import MarkdownIt

from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import ResultRecord, records_of
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.report import render, render_comparison, timeline_text
from skilltrace_mlflow.report.markdown import escape
from skilltrace_mlflow.results import Evaluation
from tests.report.evaluations import NASTY, demo, unfriendly

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def outputs(text: str) -> dict[str, str]:
    evaluation = unfriendly(text)
    session = evaluation.results[0].session
    assert session is not None
    vanished = compare_results(records_of(evaluation), (), before_name=text, after_name=text)
    return {
        "table": render(evaluation, "table", width=100),
        "narrow": render(evaluation, "table", width=40),
        "markdown": render(evaluation, "markdown"),
        "junit": render(evaluation, "junit"),
        "timeline": timeline_text(session, name=text, width=100),
        "comparison": render_comparison(vanished, "table", width=100),
        "comparison-markdown": render_comparison(vanished, "markdown"),
        "comparison-json": render_comparison(vanished, "json"),
        "html": render(evaluation, "html", comparison=vanished),
    }


@pytest.mark.parametrize("name", NASTY)
def test_nothing_that_a_terminal_obeys_comes_through(name: str) -> None:
    for format_name, text in outputs(NASTY[name]).items():
        assert not HIDDEN.search(text), format_name
        text.encode("utf-8")


@pytest.mark.parametrize("name", ["terminal escape", "right to left", "invisible"])
def test_hidden_characters_are_shown_as_escapes(name: str) -> None:
    expected = {"terminal escape": "\\x1b[31mred", "right to left": "user\\u202egpj.exe",
                "invisible": "a\\u200bb"}[name]  # fmt: skip
    assert expected in render(unfriendly(NASTY[name]), "table", width=300)


def test_markup_of_the_terminal_library_is_shown_as_text() -> None:
    text = render(unfriendly(NASTY["rich markup"]), "table", width=300, color=True)
    assert "[bold red]x[/] [link=http://evil.example]y[/link] :smile:" in text


@pytest.mark.parametrize("name", NASTY)
def test_markdown_shows_the_text_and_makes_no_element_of_it(name: str) -> None:
    shown = escape(NASTY[name])
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    page = parser.render(f"| a |\n| --- |\n| {shown} |\n")
    cell = re.search("<td>(.*?)</td>", page, re.DOTALL)
    assert cell is not None
    assert "<" not in cell[1]
    assert html.unescape(cell[1]) == " ".join(html.unescape(cell[1]).split())
    visible = "".join(c for c in NASTY[name] if c.isprintable() and c != " ")[:5]
    if name not in ("right to left", "invisible", "controls", "terminal escape", "surrogate"):
        assert visible in html.unescape(cell[1]).replace(" ", "")
    assert page.count("<td>") == 1


def test_markdown_escapes_links_that_github_makes_by_itself() -> None:
    assert escape("http://x.example") == "http\\://x.example"
    assert escape("www.x.example") == "www\\.x.example"
    assert escape("a: b") == "a: b"


def test_the_markdown_of_an_evaluation_has_the_failing_row() -> None:
    parser = MarkdownIt("commonmark").enable("table")
    page = parser.render(render(demo(), "markdown"))
    rows = re.findall("<tr>\n(.*?)</tr>", page, re.DOTALL)
    cells = [html.unescape(re.sub("<[^>]*>", "", row)).strip().split("\n") for row in rows]
    assert cells[0] == ["verdict", "check", "expected and observed", "test"]
    assert cells[1] == [
        "fail",
        "banned_tools",
        '"rm -rf": Bash ran "cd checkpoints && rm -r -f orders" (call 3)',
        "orders_create_gone_wrong",
    ]
    assert ["banned_tools", "1", "0.667", "75%", "fail", "2 of 3 tests passed"] in cells
    assert ["orders_create_gone_wrong", "fail", "0 of 4", "5", "6,338", "5.0 s"] in cells


@pytest.mark.parametrize("char", ["x", "\x1b", "<", "*", "\u202e", "\n", "😀"])
def test_a_million_characters_are_cut_in_every_view_and_whole_in_json(char: str) -> None:
    text = char * 1_000_000
    found = outputs(text)
    del found["comparison-json"]
    for format_name, shown in found.items():
        assert len(shown) < 600_000, format_name
        assert "more characters" in " ".join(shown.split()), format_name
    assert json.loads(render(unfriendly(text), "jsonl"))["test_id"] == text


def test_an_unknown_format_is_a_configuration_error_that_lists_them() -> None:
    evaluation = Evaluation(skill="s", results=())
    with pytest.raises(
        ConfigurationError, match="'pdf' is not one of github, html, json, jsonl, junit"
    ):
        render(evaluation, "pdf")
    empty = compare_results([ResultRecord(test_id="a")], [])
    with pytest.raises(ConfigurationError, match="'html' is not one of json, markdown, table"):
        render_comparison(empty, "html")
