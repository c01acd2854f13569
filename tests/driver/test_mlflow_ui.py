"""MLflow's own pages of an evaluated run, in headless Chromium: verdicts are where people look."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from skilltrace_mlflow.comparison.records import REPORT_ARTIFACT, RESULTS_ARTIFACT
from skilltrace_mlflow.evaluate import evaluate_skill
from skilltrace_mlflow.results import Evaluation
from tests.driver.stores import Server
from tests.report.browser import open_browser, read

pytestmark = pytest.mark.browser

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
GONE_WRONG = "orders_create_gone_wrong"


@pytest.fixture(scope="module")
def evaluated(server: Server) -> Evaluation:
    return evaluate_skill(
        SKILL,
        include_traces=True,
        experiment="pages",
        tracking_uri=server.url,
        no_llm=True,
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chrome = open_browser(tmp_path_factory.mktemp("profile"), width=2400)
    yield chrome
    chrome.quit()


def test_the_run_shows_the_pass_rate_of_each_check(
    browser: Chrome, server: Server, evaluated: Evaluation
) -> None:
    url = f"{server.url}/#/experiments/{evaluated.experiment_id}/runs/{evaluated.run_id}"
    lines = read(browser, url, "banned_tools/pass_rate", "tool_count/pass_rate").splitlines()
    assert lines[lines.index("banned_tools/pass_rate") + 1] == "0.75"
    assert lines[lines.index("required_skills/pass_rate") + 1] == "1"


def test_the_trace_that_went_wrong_shows_its_verdicts_and_what_the_agent_did(
    browser: Chrome, server: Server, evaluated: Evaluation
) -> None:
    (wrong,) = (result for result in evaluated.results if result.test_id == GONE_WRONG)
    url = (
        f"{server.url}/#/experiments/{evaluated.experiment_id}/traces"
        f"?selectedEvaluationId={wrong.trace_id}"
    )
    lines = read(browser, url, "tool_Write", "tool_Bash").splitlines()
    assert lines.count("tool_Bash") == 6
    lines = _assessments(browser, url)
    found = dict(zip(lines[::2], lines[1::2], strict=True))
    # banned_tools is missing: it stands on the span of the one call that it speaks of.
    assert found == {
        "file_existence": "Yes",
        "required_skills": "Yes",
        "required_tools": "No",
        "token_budget": "Yes",
        "tool_count": "No",
        "tool_errors": "No",
        "tool_sequence": "No",
    }


def _assessments(browser: Chrome, url: str) -> list[str]:
    """Names and values in turn, as the trace's panel lists them once it was opened.

    A click on a page that is still being put together opens nothing; so the page is read again.
    """
    for _ in range(5):
        read(browser, url, "tool_Write", "tool_Bash", "Assess")
        with contextlib.suppress(WebDriverException):
            path = "//button[starts-with(normalize-space(.), 'Assess')]"
            button = browser.find_element(By.XPATH, path)
            browser.execute_script("arguments[0].click()", button)
            return WebDriverWait(browser, 40).until(_listed)
    shown = browser.find_element(By.TAG_NAME, "body").text
    raise AssertionError(f"no assessments on {url}:\n{shown}")


def _listed(browser: Chrome) -> list[str]:
    text = browser.find_element(By.TAG_NAME, "body").text
    panel = text.rpartition("Add feedback\n")[2]
    feedback, found, _ = panel.partition("\nExpectations (")
    return feedback.splitlines() if found and len(feedback) < 1_000 else []


def test_the_run_keeps_its_result_lines_and_its_report(
    browser: Chrome, server: Server, evaluated: Evaluation, tmp_path: Path
) -> None:
    client = MlflowClient(server.url)
    run_id = str(evaluated.run_id)
    lines = Path(client.download_artifacts(run_id, RESULTS_ARTIFACT, str(tmp_path))).read_text(
        "utf-8"
    )
    found = {line["test_id"]: line["verdict"] for line in map(json.loads, lines.splitlines())}
    assert found[GONE_WRONG] == "fail"
    assert set(found) == {result.test_id for result in evaluated.results}
    report = Path(client.download_artifacts(run_id, REPORT_ARTIFACT, str(tmp_path)))
    browser.get(report.as_uri())
    assert GONE_WRONG in browser.find_element(By.ID, "problem-table").text
