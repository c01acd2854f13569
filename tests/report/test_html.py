"""The HTML report and the page of one trace, read without a browser."""

from __future__ import annotations

import base64
import hashlib

import pytest

from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import records_of
from skilltrace_mlflow.report import render, to_html, to_html_page
from skilltrace_mlflow.results import Evaluation, TestResult
from tests.builders import make_call, make_session
from tests.report.evaluations import NASTY, demo, large, nested_session, outcome, unfriendly
from tests.report.pages import Page

TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "footer", "h1", "h2", "h3", "h4",
    "p", "a", "b", "mark", "span", "code", "pre", "div", "dl", "dt", "dd", "ul", "ol", "li",
    "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "label", "input",
    "figure", "figcaption", "svg", "g", "rect", "line", "text", "circle", "polyline",
    "select", "option", "button", "output", "wbr", "script",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "scope", "open",
    "type", "viewbox", "xmlns", "role", "aria-label", "x", "y", "x1", "x2", "y1", "y2", "width",
    "height", "fill", "stroke", "font-size", "font-family", "text-anchor",
    "for", "value", "placeholder", "rel", "data-t", "data-v", "data-k", "data-c", "data-cost",
    "data-tokens", "data-seconds",
}  # fmt: skip


def compared() -> str:
    records = records_of(demo())
    return to_html(demo(), comparison=compare_results(records, records[1:]))


def pages() -> dict[str, str]:
    return {"report": compared(), "page": to_html_page(nested_session(), source="/w/s.jsonl")}


@pytest.mark.parametrize("name", ["report", "page"])
def test_the_policy_allows_our_style_sheet_and_script_and_nothing_else(name: str) -> None:
    page = Page(pages()[name])
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    policy = next(v for tag, key, v in page.attributes if (tag, key) == ("meta", "content"))
    script = ""
    if name == "report":
        code = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
        script = f" script-src 'sha256-{code}';"
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}';{script} base-uri 'none'; "
        "form-action 'none'"
    )
    assert "url(" not in page.style
    assert "@import" not in page.style


@pytest.mark.parametrize("name", ["report", "page"])
def test_nothing_is_loaded_and_nothing_but_our_script_runs(name: str) -> None:
    page = Page(pages()[name])
    assert bool(page.script) is (name == "report")
    for word in ("fetch", "XMLHttpRequest", "import", "eval", "innerHTML", "document.write"):
        assert word not in page.script
    assert page.tags <= TAGS
    assert {key for _, key, _ in page.attributes} <= ATTRIBUTES
    assert all(v and v.startswith("#") for _, key, v in page.attributes if key == "href")


@pytest.mark.parametrize("name", NASTY)
def test_a_strangers_text_adds_no_tag_and_no_attribute(name: str) -> None:
    evaluation = unfriendly(NASTY[name])
    session = evaluation.results[0].session
    assert session is not None
    records = records_of(evaluation)
    comparison = compare_results(records, (), before_name=NASTY[name], after_name=NASTY[name])
    for text in (
        to_html(evaluation, comparison=comparison),
        to_html_page(session, name=NASTY[name]),
    ):
        page = Page(text)
        assert page.tags <= TAGS
        assert {key for _, key, _ in page.attributes} <= ATTRIBUTES
        assert not any(ord(char) < 32 and char not in "\n\t" for char in text)
        assert not set(text) & set("\x7f\x9b\u202e\u2066\u200b\ufeff\u2028\ud83d\uffff")
        text.encode("utf-8")


def test_markup_and_templates_are_shown_as_they_were_written() -> None:
    for name in ("script", "attribute", "template", "markdown", "slashes and quotes"):
        assert NASTY[name] in Page(to_html(unfriendly(NASTY[name]))).text


def test_letters_of_every_script_stay_readable() -> None:
    assert NASTY["legitimate"] in Page(to_html(unfriendly(NASTY["legitimate"]))).text


def test_every_link_of_the_page_leads_somewhere() -> None:
    page = Page(compared())
    targets = {value for _, key, value in page.attributes if key == "id"}
    links = {value for _, key, value in page.attributes if key == "href"}
    assert links
    assert {str(link)[1:] for link in links} <= targets


def test_what_could_not_be_judged_is_listed_with_the_reason() -> None:
    text = Page(to_html(demo())).text
    part = text[text.index("What could not be judged, and why") : text.index("Tests and checks")]
    assert "no price known for claude-next" in part
    assert "trace tr-123 is not in experiment 7" in part
    assert "ZeroDivisionError" in part
    assert "rm -rf" not in part


def test_a_password_in_the_tracking_uri_is_not_shown() -> None:
    text = to_html(demo())
    assert "https://user:***@mlflow.example" in text
    assert "secret" not in text


def test_a_long_result_is_cut_and_says_by_how_much() -> None:
    session = make_session([make_call("Bash", {"command": "yes"}, result="y\n" * 500_000)])
    result = TestResult(test_id="a", skill="s", session=session, outcomes=(outcome("c"),))
    text = to_html(Evaluation(skill="s", results=(result,)))
    assert len(text) < 60_000
    assert "… (996,000 more characters)" in text
    assert len(to_html_page(session)) < 300_000


def test_a_large_report_stays_small_and_keeps_every_verdict() -> None:
    evaluation = large(tests=300, checks=20, calls=30)
    text = to_html(evaluation)
    assert len(text) < 6_000_000
    page = Page(text)
    cells = [value for tag, key, value in page.attributes if (tag, key) == ("td", "class")]
    assert cells.count("f") == 15 * 3  # two checks and the test's own verdict
    assert cells.count("p") == 300 * 21 - 45
    # Timelines of tests that failed come first where not all fit.
    failed = text[text.index('id="t0"') : text.index('id="t1"')]
    assert "python step_29.py --verbose" in failed
    last = text[text.index('id="t299"') :]
    assert "The timeline is left out" in last


def test_an_empty_evaluation_says_that_nothing_was_evaluated() -> None:
    text = Page(to_html(Evaluation(skill="s", results=()))).text
    assert "No test was evaluated." in text
    assert "NOT FULLY JUDGED" in text


def test_render_takes_html_with_a_baseline() -> None:
    comparison = compare_results(records_of(demo()), records_of(demo()))
    assert render(demo(), "html", comparison=comparison) == to_html(demo(), comparison=comparison)
