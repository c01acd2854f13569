"""`compare` and `show` from the command line: exit codes, formats, and where text goes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from skilltrace_mlflow.comparison.records import RESULTS_ARTIFACT
from skilltrace_mlflow.report import to_jsonl
from skilltrace_mlflow.results import Evaluation
from tests.cli.calling import Call
from tests.report.evaluations import demo, outcome, recordings

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A real store: its URI and an experiment in it."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/mlflow.db"
    artifacts = str(folder / "artifacts")
    return uri, MlflowClient(uri).create_experiment("e", artifact_location=artifacts)


def worse() -> Evaluation:
    """The demo, with a pass that became unknown."""
    results = list(demo().results)
    outcomes = list(results[0].outcomes)
    outcomes[0] = outcome("banned_tools", "unknown", rationale="no arguments in this trace")
    results[0] = replace(results[0], outcomes=tuple(outcomes))
    return replace(demo(), results=tuple(results))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    a.write_text(to_jsonl(demo()), encoding="utf-8")
    b.write_text(to_jsonl(worse()), encoding="utf-8")
    return a, b


def test_a_regression_fails_only_when_asked(files: tuple[Path, Path], call: Call) -> None:
    a, b = files
    assert call("compare", a, b)[0] == 0
    assert call("compare", a, b, "--fail-on-regression")[0] == 1
    assert call("compare", b, a, "--fail-on-regression")[0] == 0
    assert call("compare", a, a, "--fail-on-regression")[0] == 0


def test_the_formats_of_a_comparison(files: tuple[Path, Path], call: Call) -> None:
    _, table, _ = call("compare", *files)
    assert re.search(r"worse +orders_create +banned_tools +pass +unknown", table)
    _, markdown, _ = call("compare", *files, "--format", "markdown")
    assert "| worse | orders\\_create | banned\\_tools | pass | unknown |" in markdown
    _, text, err = call("compare", *files, "--format", "json")
    document = json.loads(text)
    assert document["regressions"] == ["orders_create: banned_tools: pass → unknown"]
    assert err == ""


def test_the_comparison_is_written_to_a_file_too(
    files: tuple[Path, Path], tmp_path: Path, call: Call
) -> None:
    target = tmp_path / "out" / "comparison.json"
    code, out, _ = call("compare", *files, "--output", target)
    assert code == 0
    assert "banned_tools" in out
    assert json.loads(target.read_text(encoding="utf-8"))["summary"]["worse"] == 1
    code, out, err = call("compare", *files, "--output", tmp_path / "x.xml")
    assert (code, out) == (2, "")
    assert "use one of .json, .md, .txt" in err


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("missing.jsonl", 2, "missing.jsonl: no such file, and no id of an MLflow run"),
        ("a" * 32, 3, f"run {'a' * 32}: "),
    ],
)
def test_what_is_neither_a_file_nor_a_run_is_told(
    files: tuple[Path, Path],
    store: tuple[str, str],
    call: Call,
    name: str,
    code: int,
    message: str,
) -> None:
    got, out, err = call("compare", files[0], name, "--tracking-uri", store[0])
    assert (got, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_run_is_compared_by_the_results_that_it_logged(
    files: tuple[Path, Path], store: tuple[str, str], tmp_path: Path, call: Call
) -> None:
    uri, experiment = store
    client = MlflowClient(uri)
    with_results = client.create_run(experiment).info.run_id
    without = client.create_run(experiment).info.run_id
    folder, _, name = RESULTS_ARTIFACT.rpartition("/")
    local = tmp_path / name
    local.write_bytes(files[1].read_bytes())
    client.log_artifact(with_results, str(local), folder)
    code, out, _ = call(
        "compare", files[0], with_results, "--tracking-uri", uri, "--fail-on-regression"
    )
    assert code == 1
    assert re.search(r"worse +orders_create +banned_tools", out)
    code, _, err = call("compare", files[0], without, "--tracking-uri", uri)
    assert code == 3
    assert f"run {without}: has no artifact {RESULTS_ARTIFACT}" in err


def test_show_prints_the_timeline_of_a_transcript(call: Call) -> None:
    (file,) = (recordings() / "demo-failing").glob("*.jsonl")
    code, out, err = call("show", file)
    assert (code, err) == (0, "")
    out = " ".join(out.split())  # wherever a line of the table ends
    assert "succeeded Bash cd /home/dev/lakehouse/checkpoints &&" in out
    assert "failed mcp__databricks__execute_sql" in out


def test_show_writes_a_page_and_says_where(tmp_path: Path, call: Call) -> None:
    (file,) = (recordings() / "demo-failing").glob("*.jsonl")
    page = tmp_path / "page.html"
    code, out, err = call("show", file, "--output", page)
    assert code == 0
    assert "<!doctype" not in out != ""
    assert err == f"written to {page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_what_show_prints_as_json_can_be_shown_again(tmp_path: Path, call: Call) -> None:
    (file,) = (recordings() / "demo-subagent").glob("*.jsonl")
    _, text, _ = call("show", file, "--format", "json")
    dumped = tmp_path / f"{file.stem}.json"
    dumped.write_text(text, encoding="utf-8")
    again = call("show", dumped)[1].splitlines()[1:]
    assert again == call("show", file)[1].splitlines()[1:]


@pytest.mark.parametrize("arguments", [(), ("x.jsonl", "--trace-id", "tr-1")])
def test_show_wants_exactly_one_trace(call: Call, arguments: tuple[str, ...]) -> None:
    code, out, err = call("show", *arguments)
    assert (code, out) == (2, "")
    assert "Name one trace: FILE, --trace-id, --session-id, --latest or --local." in err


@pytest.mark.parametrize("command", ["show", "compare"])
def test_help_has_an_example(call: Call, command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"Example: skilltrace-mlflow {command} " in " ".join(out.split())


def test_a_baseline_makes_the_report_say_what_changed(tmp_path: Path, call: Call) -> None:
    good, wrong = (EXAMPLE / "traces" / f"demo-{name}.jsonl" for name in ("good", "failing"))
    before, page = tmp_path / "before.jsonl", tmp_path / "report.html"
    shared = ("trace-eval", EXAMPLE, "--test-id", "orders_create")
    assert call(*shared, "--trace", good, "--output", before)[0] == 0
    code, _, err = call(*shared, "--trace", wrong, "--report", page, "--baseline", before)
    assert code == 1
    assert re.search(r"compared with .*before\.jsonl: \d+ regressions: 6 worse", err)
    text = page.read_text(encoding="utf-8")
    assert "Compared with the baseline" in text
    code, out, err = call(*shared, "--trace", wrong, "--baseline", tmp_path / "missing.jsonl")
    assert (code, out) == (2, "")
    assert "missing.jsonl: no such file" in err


def test_show_call_gives_one_call_whole(call: Call) -> None:
    (file,) = (recordings() / "demo-failing").glob("*.jsonl")
    _, timeline, _ = call("show", file)
    found = re.search(r"^ *(\d+)  succeeded +Bash +cd /home", timeline, re.MULTILINE)
    assert found is not None
    code, out, err = call("show", file, "--call", found.group(1))
    assert (code, err) == (0, "")
    assert re.search(rf"call {found.group(1)}  line \d+, \d\d:\d\d:\d\d, main agent", out)
    assert "command: cd /home/dev/lakehouse/checkpoints && rm -r -f orders" in out
    assert "SELECT" not in out
    record = json.loads(call("show", file, "--call", found.group(1), "--format", "json")[1])
    assert record["number"] == int(found.group(1))
    lines = file.read_text(encoding="utf-8").split("\n")
    assert record["id"] in lines[record["line"] - 1]
    page = call("show", file, "--call", found.group(1), "--format", "html")[1]
    assert page.count('class="call"') == 1


def test_a_call_that_is_not_there_is_told_with_what_is(call: Call) -> None:
    (file,) = (recordings() / "demo-failing").glob("*.jsonl")
    code, out, err = call("show", file, "--call", "999")
    assert (code, out) == (2, "")
    assert re.search(r"the session has no call 999: its calls are numbered 1 to \d+", err)
