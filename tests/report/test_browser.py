"""The report and the page of a trace in headless Chromium, asserted cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import records_of
from skilltrace_mlflow.report import to_html, to_html_page
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.checks.test_calls import judge, recorded
from tests.report.browser import open_browser, table_cells
from tests.report.evaluations import NASTY, demo, large, recordings, unfriendly

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chrome = open_browser(tmp_path_factory.mktemp("profile"))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


def show(browser: Chrome, folder: Path, name: str, text: str) -> None:
    """Open the page as a file; nothing it does may reach the console as a complaint."""
    file = folder / f"{name}.html"
    file.write_text(text, encoding="utf-8")
    browser.get(file.as_uri())
    assert browser.get_log("browser") == []


def matrix(browser: Chrome) -> dict[tuple[str, str], str]:
    head, *rows = table_cells(browser.find_element(By.ID, "verdicts"))
    names = [cell.split("\n")[0] for cell in head]
    return {
        (row[0], name): cell for row in rows for name, cell in zip(names[1:], row[1:], strict=True)
    }


def calls(element: WebElement) -> list[tuple[str, str, str]]:
    """(outcome, tool, summary) of each call in the timeline, in order, as visible text."""
    found = []
    for item in element.find_elements(By.CSS_SELECTOR, "li.call"):
        row = item.find_element(By.CSS_SELECTOR, ".row")
        found.append(
            tuple(row.find_element(By.CSS_SELECTOR, part).text for part in (".v", ".tool", "code"))
        )
    return found


def test_the_matrix_has_this_verdict_for_this_test_and_this_check(
    browser: Chrome, folder: Path
) -> None:
    show(browser, folder, "report", to_html(demo()))
    cells = matrix(browser)
    assert cells["orders_create_gone_wrong", "banned_tools"] == "fail"
    assert cells["orders_create_gone_wrong", "cost_budget"] == "error"
    assert cells["orders_create", "cost_budget"] == "unknown"
    assert cells["orders_create", "banned_tools"] == "pass"
    assert cells["payments", "tool_trajectory"] == ""
    assert cells["no_trace", "verdict"] == "error"


def test_what_did_not_pass_stands_first_and_links_to_its_test(
    browser: Chrome, folder: Path
) -> None:
    show(browser, folder, "report", to_html(demo()))
    table = browser.find_element(By.ID, "problem-table")
    assert table_cells(table)[1] == [
        "fail",
        "banned_tools",
        '"rm -rf": Bash ran "cd checkpoints && rm -r -f orders" (call 3)',
        "orders_create_gone_wrong",
    ]
    table.find_element(By.LINK_TEXT, "orders_create_gone_wrong").click()
    target = browser.find_element(By.CSS_SELECTOR, "details.test:target h3")
    assert target.text == "orders_create_gone_wrong"


def test_the_gates_are_shown_with_what_was_required_and_got(browser: Chrome, folder: Path) -> None:
    show(browser, folder, "report", to_html(demo()))
    assert table_cells(browser.find_element(By.ID, "gate-table"))[1:] == [
        ["fail", "banned_tools", "1", "0.667", "75%", "2 of 3 tests passed"],
        ["pass", "tool_count", "0.5", "0.667", "100%", ""],
    ]


def test_the_timeline_shows_each_call_with_its_outcome_and_opens_to_input_and_result(
    browser: Chrome, folder: Path
) -> None:
    show(browser, folder, "report", to_html(demo()))
    test = browser.find_element(By.ID, "t1")
    assert calls(test) == [
        ("succeeded", "Skill", "bronze-ingestion"),
        ("succeeded", "Bash", "ls -1"),
        ("succeeded", "Bash", "cd checkpoints && rm -r -f orders"),
        ("succeeded", "Write", "pipelines/bronze_orders.sql"),
        ("failed", "mcp__databricks__execute_sql", "SELECT 1 FROM ordrs"),
    ]
    last = test.find_elements(By.CSS_SELECTOR, "li.call details")[-1]
    assert not last.find_element(By.TAG_NAME, "pre").is_displayed()
    last.find_element(By.TAG_NAME, "summary").click()
    assert [pre.text for pre in last.find_elements(By.TAG_NAME, "pre")] == [
        "query: SELECT 1 FROM ordrs",
        "[TABLE_OR_VIEW_NOT_FOUND] ordrs",
    ]


def test_sub_agents_are_indented_below_the_call_that_started_them(
    browser: Chrome, folder: Path
) -> None:
    show(browser, folder, "report", to_html(demo()))
    payments = browser.find_element(By.ID, "t2")
    assert payments.get_attribute("open") is None  # it passed; one click opens it
    payments.find_element(By.CSS_SELECTOR, "summary").click()
    found = {text: call for call in payments.find_elements(By.CSS_SELECTOR, "li.call")
             for text in [call.find_element(By.CSS_SELECTOR, "code").text]}  # fmt: skip
    left = {text: call.location["x"] for text, call in found.items()}
    assert left["a.csv"] < left["ls missing"] < left["wc -l a.csv"]
    assert left["out.sql"] == left["a.csv"]


def test_the_alignment_marks_the_keys_that_differ(browser: Chrome, folder: Path) -> None:
    show(browser, folder, "report", to_html(demo()))
    table = browser.find_element(By.CSS_SELECTOR, "#t1 table.alignment")
    words = [row[0] for row in table_cells(table)[1:]]
    assert words == ["matched", "missing", "differs", "extra"]
    marked = [mark.text for mark in table.find_elements(By.TAG_NAME, "mark")]
    assert marked == ["query: EXPLAIN …", "query: SELECT 1 FROM ordrs"]


def test_the_filter_hides_tests_that_passed_without_any_script(
    browser: Chrome, folder: Path
) -> None:
    show(browser, folder, "report", to_html(demo()))
    passed = browser.find_element(By.ID, "t2")
    assert passed.is_displayed()
    browser.find_element(By.ID, "only").click()
    assert not passed.is_displayed()
    assert browser.find_element(By.ID, "t1").is_displayed()


def test_the_comparison_names_what_got_worse(browser: Chrome, folder: Path) -> None:
    before = [r for r in records_of(demo()) if r.test_id != "no_trace"]
    after = [r for r in records_of(demo()) if r.test_id != "orders_create"]
    comparison = compare_results(before, after, before_name="a", after_name="b")
    show(browser, folder, "compared", to_html(demo(), comparison=comparison))
    heading = browser.find_element(By.ID, "comparison")
    table = heading.find_element(By.XPATH, "following::table[1]")
    assert table_cells(table)[1:] == [
        ["vanished", "orders_create", "(whole test)", "unknown", "not there", ""],
        ["appeared", "no_trace", "(whole test)", "not there", "error", ""],
    ]


@pytest.mark.parametrize("name", ["script", "attribute", "template", "right to left"])
def test_a_strangers_text_runs_nothing(browser: Chrome, folder: Path, name: str) -> None:
    show(browser, folder, "unfriendly", to_html(unfriendly(NASTY[name])))
    assert browser.title != "owned"
    assert browser.execute_script("return document.scripts.length") == 1
    assert browser.execute_script("return document.images.length") == 0


def test_the_page_forbids_what_is_put_into_it_afterwards(browser: Chrome, folder: Path) -> None:
    text = to_html(demo()).replace("</body>", "<script>document.title='owned'</script></body>")
    file = folder / "tampered.html"
    file.write_text(text, encoding="utf-8")
    browser.get(file.as_uri())
    assert browser.title == "bronze-ingestion"
    assert any("Content Security Policy" in line["message"] for line in browser.get_log("browser"))


@pytest.mark.parametrize("width", [800, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_is_wider_than_the_window_and_all_text_can_be_read(
    browser: Chrome, folder: Path, width: int, dark: bool
) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    try:
        records = records_of(demo())
        text = to_html(demo(), comparison=compare_results(records, records[1:]))
        show(browser, folder, "wide", text)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        worst = browser.execute_script(_CONTRAST)
        assert worst["ratio"] >= 4.5, worst  # WCAG 2.1, level AA
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_what_is_folded_on_the_screen_is_there_on_paper(browser: Chrome, folder: Path) -> None:
    show(browser, folder, "report", to_html(demo()))
    table = browser.find_element(By.CSS_SELECTOR, "#t2 table.checks")
    assert not table.is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert browser.execute_script("return arguments[0].checkVisibility()", table)
        assert not browser.find_element(By.CLASS_NAME, "filter").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_page_of_a_recorded_trace_shows_what_the_agent_did(
    browser: Chrome, folder: Path
) -> None:
    (file,) = (recordings() / "demo-subagent").glob("*.jsonl")
    show(browser, folder, "trace", to_html_page(parse_transcript(file), name="demo"))
    assert browser.find_element(By.TAG_NAME, "h1").text == "demo"
    found = calls(browser.find_element(By.TAG_NAME, "body"))
    assert ("succeeded", "Agent", "Explore: Explore payment samples") in found
    assert ("succeeded", "Write", "pipelines/bronze_payments.sql") in found
    nested = browser.find_element(By.CSS_SELECTOR, "li.agent")
    assert ("succeeded", "Bash", "ls samples") in calls(nested)
    facts = browser.find_element(By.CSS_SELECTOR, "dl.facts").text
    assert "tool calls\n9: Agent, Bash ×2, Read ×3, Skill, Write" in facts


# The least contrast between text and what is behind it, over all elements with text of their own.
_CONTRAST = """
const rgb = c => c.match(/[\\d.]+/g).map(Number);
const lum = c => { const [r, g, b] = rgb(c).map(v => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor, p = rgb(c);
    if (p.length < 4 || p[3] > 0) return c; } return 'rgb(255, 255, 255)'; };
let worst = {ratio: 99};
for (const e of document.body.querySelectorAll('*')) {
  if (e.closest('svg')) continue;
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility()) continue;
  const a = lum(getComputedStyle(e).color), b = lum(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < worst.ratio) worst = {ratio, tag: e.tagName, text: e.textContent.slice(0, 40)};
}
return worst;
"""


def choose(browser: Chrome, field: str, value: str) -> None:
    Select(browser.find_element(By.ID, f"f-{field}")).select_by_visible_text(value)


def rows(browser: Chrome) -> list[str]:
    """The names of the tests that the matrix shows, in order."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#verdicts tbody tr')]"
        ".filter(r => r.checkVisibility()).map(r => r.cells[0].textContent)"
    )


def test_verdict_check_category_and_text_narrow_the_matrix_and_the_tests(
    browser: Chrome, folder: Path
) -> None:
    results = [
        replace(r, category="money" if r.test_id == "payments" else None) for r in demo().results
    ]
    show(browser, folder, "filters", to_html(replace(demo(), results=tuple(results))))
    everything = rows(browser)
    choose(browser, "verdict", "error")
    assert rows(browser) == ["no_trace"]
    choose(browser, "check", "cost_budget")  # now the verdict of that check
    assert rows(browser) == ["orders_create_gone_wrong"]
    choose(browser, "verdict", "any")
    assert rows(browser) == ["orders_create", "orders_create_gone_wrong"]
    browser.find_element(By.ID, "f-reset").click()
    assert rows(browser) == everything
    choose(browser, "category", "money")
    assert rows(browser) == ["payments"]
    WebDriverWait(browser, 5).until(lambda b: not b.find_element(By.ID, "t0").is_displayed())
    assert browser.find_element(By.ID, "f-count").text == "1 of 4 tests"
    browser.find_element(By.ID, "f-reset").click()
    browser.find_element(By.ID, "f-text").send_keys("RM -R -F")
    WebDriverWait(browser, 5).until(lambda b: rows(b) == ["orders_create_gone_wrong"])
    # a link into what is hidden shows it
    browser.execute_script("location.hash = 't2'")
    WebDriverWait(browser, 5).until(lambda b: b.find_element(By.ID, "t2").is_displayed())
    assert browser.find_element(By.ID, "t2").get_attribute("open")


def test_tests_are_sorted_by_what_they_took(browser: Chrome, folder: Path) -> None:
    show(browser, folder, "sorted", to_html(demo()))
    choose(browser, "sort", "tokens, most first")
    assert rows(browser) == ["orders_create_gone_wrong", "orders_create", "payments", "no_trace"]
    order = "return [...document.querySelectorAll('details.test')].map(t => t.id)"
    WebDriverWait(browser, 5).until(lambda b: b.execute_script(order) == ["t1", "t0", "t2", "t3"])
    choose(browser, "sort", "order of tests")
    assert rows(browser)[0] == "orders_create"


def test_a_link_from_a_miss_leads_to_the_marked_call(browser: Chrome, folder: Path) -> None:
    outcomes = (judge("banned_tools", ["rm -rf"]), judge("tool_count", {"Bash": 4}))
    result = TestResult(test_id="t", skill="s", outcomes=outcomes, session=recorded())
    show(browser, folder, "calls", to_html(Evaluation(skill="s", results=(result,))))
    browser.find_element(By.PARTIAL_LINK_TEXT, "call 3 (line 30").click()
    target = browser.find_element(By.CSS_SELECTOR, "li.call:target")
    assert target.find_element(By.TAG_NAME, "code").text == "rm -rf build"
    marked = browser.find_elements(By.CSS_SELECTOR, "li.call.marked")
    assert [item.get_attribute("id") for item in marked] == ["t0n3", "t0n9"]
    assert browser.find_elements(By.CSS_SELECTOR, "li.call:target details[open]")


def test_a_thousand_tests_open_and_filter_without_waiting(browser: Chrome, folder: Path) -> None:
    """The processor's time, since a machine that runs other tests takes any other."""
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        found = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return next(item["value"] for item in found if item["name"] == "TaskDuration")

    before = spent()
    show(browser, folder, "large", to_html(large()))
    assert spent() - before < 4.0  # 1.0 where nothing else runs
    filtering = """
        const field = document.getElementById('f-verdict'), start = performance.now();
        field.value = arguments[0];
        field.dispatchEvent(new Event('change'));
        document.body.offsetHeight;
        return performance.now() - start;"""
    times = [browser.execute_script(filtering, value) for value in ("fail", "", "fail", "")]
    assert browser.find_element(By.ID, "f-count").text == "1,000 tests"
    assert min(times[::2]) < 200  # a hundred, with slack
    assert min(times[1::2]) < 400
