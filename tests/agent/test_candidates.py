"""Capture, review, promote: a session becomes a test case, once, and its file keeps its layout."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.entities import AssessmentSource, Feedback

from skilltrace_mlflow.cli._app import run as cli
from skilltrace_mlflow.proposals import yaml_files
from tests.agent.model_server import ModelServer, Script
from tests.agent.test_run import GOOD, lines

Serve = Callable[[Iterable[Script]], ModelServer]
EXAMPLE = Path(__file__).parents[2] / "examples" / "skills" / "bronze-ingestion"
RECORDING = EXAMPLE / "traces" / "demo-good.jsonl"
GROUND_TRUTH = """# Tests of the naming skill.
test_cases:

  - id: first   # the oldest
    inputs: {prompt: "Name it"}
    expectations:
      banned_tools: ["rm -rf",
                     'DROP TABLE']
    # still of the first

other: kept  # by another tool
"""


@pytest.fixture
def folder(skills: Callable[..., Path], place: Path) -> Path:
    root = skills([])
    (root / "naming" / "ground_truth.yaml").write_text(GROUND_TRUTH)
    return root / "naming"


def store_uri() -> str:
    # Absolute: MLflow keeps a store for each URI, wherever a relative one may lead next time.
    return f"sqlite:///{Path.cwd() / 'mlflow.db'}"


def call(folder: Path, command: str, *more: str) -> int:
    store = [] if command == "promote" else [f"--tracking-uri={store_uri()}"]
    store += ["--experiment=traces"] if command in ("capture", "review", "mlflow-eval") else []
    return cli([command, "naming", f"--skills-dir={folder.parent}", *store, *more])


def candidates(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "candidates.yaml").read_text()
    found: list[dict[str, Any]] = yaml.safe_load(text)["candidates"]
    return found


def human(trace_id: str) -> list[tuple[str, Any, str]]:
    mlflow.set_tracking_uri(store_uri())
    trace = mlflow.get_trace(trace_id)
    assert trace is not None
    return [
        (a.source.source_id, a.feedback.value, a.rationale)
        for a in trace.info.assessments
        if a.source.source_type == "HUMAN" and a.feedback
    ]


def test_a_prompt_becomes_a_test_case(claude: str, server: Serve, folder: Path) -> None:
    server([Script(match="Name the orders table", steps=GOOD)])
    assert call(folder, "capture", "--prompt=Name the orders table", "--id=orders") == 0
    (candidate,) = candidates(folder)
    assert candidate["status"] == "pending"
    assert candidate["response"] == "bronze_orders"
    assert candidate["expectations"]
    assert candidate["figures"]["tool_calls"] == 2
    assert call(folder, "promote", "orders") == 2, "nobody has approved it"
    assert call(folder, "review", "--approve=orders", "--reviewer=ana", "--note=right") == 0
    assert human(candidate["trace"]["trace_id"]) == [("ana", True, "right")]
    assert call(folder, "promote") == 0
    text = (folder / "ground_truth.yaml").read_text()
    kept = iter(text.splitlines())
    assert all(line in kept for line in GROUND_TRUTH.splitlines()), text
    (_, case) = yaml.safe_load(text)["test_cases"]
    assert case["id"] == "orders"
    assert case["metadata"]["trace_id"] == candidate["trace"]["trace_id"]
    assert case["metadata"]["reviewer"] == "ana"
    assert call(folder, "promote", "orders") == 0
    assert (folder / "ground_truth.yaml").read_text() == text, "never twice"
    evaluate = ("--include-traces", "--test-id=orders", "--output=results.jsonl")
    assert call(folder, "mlflow-eval", *evaluate) == 0
    (result,) = lines(Path.cwd())
    assert result["verdict"] == "pass"
    assert result["trace_id"] == candidate["trace"]["trace_id"]


def test_sessions_that_exist(folder: Path) -> None:
    assert call(folder, "capture", f"--trace={RECORDING}", "--id=from_file") == 0
    (first,) = candidates(folder)
    trace_id = first["trace"]["trace_id"]
    assert call(folder, "capture", f"--trace-id={trace_id}", "--id=from_trace") == 0
    assert call(folder, "capture", "--latest") == 0
    assert call(folder, "capture", "--latest", "--id=from_file") == 2, "its id is taken"
    assert call(folder, "capture", "--latest", f"--trace={RECORDING}") == 2
    found = candidates(folder)
    assert [c["id"] for c in found] == ["from_file", "from_trace", "captured_003"]
    assert len({str(c["expectations"]) for c in found}) == 1
    assert {c["trace"]["trace_id"] for c in found} == {trace_id}


def test_a_rejected_one_says_why_and_stays(folder: Path) -> None:
    assert call(folder, "capture", f"--trace={RECORDING}", "--id=x") == 0
    assert call(folder, "review", "--reject=x", "--reviewer=ana") == 2
    assert call(folder, "review", "--reject=x", "--reviewer=ana", "--note=wrong table") == 0
    (candidate,) = candidates(folder)
    assert (candidate["status"], candidate["note"]) == ("rejected", "wrong table")
    assert human(candidate["trace"]["trace_id"]) == [("ana", False, "wrong table")]
    assert call(folder, "promote", "x") == 2
    assert call(folder, "promote") == 0
    assert (folder / "ground_truth.yaml").read_text() == GROUND_TRUTH


def test_a_review_in_mlflow_is_taken_over(folder: Path) -> None:
    assert call(folder, "capture", f"--trace={RECORDING}", "--id=x") == 0
    (candidate,) = candidates(folder)
    mlflow.set_tracking_uri(store_uri())
    source = AssessmentSource(source_type="HUMAN", source_id="ben@example.com")
    feedback = Feedback(name="skilltrace_review", value="yes", source=source, rationale="fine")
    mlflow.log_assessment(candidate["trace"]["trace_id"], feedback)
    assert call(folder, "review", "--from-mlflow") == 0
    (candidate,) = candidates(folder)
    assert candidate["status"] == "approved"
    assert (candidate["reviewer"], candidate["note"]) == ("ben@example.com", "fine")


def test_the_terminal_shows_and_asks(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    assert call(folder, "capture", f"--trace={RECORDING}", "--id=x") == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("r\n\nr\nnot ours\n"))
    assert call(folder, "review", "--reviewer=ana") == 0
    shown = capsys.readouterr().out
    for text in ("prompt: Create a bronze", "execute_sql", "expected_files"):
        assert text in shown
    (candidate,) = candidates(folder)
    assert (candidate["status"], candidate["note"]) == ("rejected", "not ours")


def test_comments_in_candidates_stay(folder: Path) -> None:
    assert call(folder, "capture", f"--trace={RECORDING}", "--id=x") == 0
    path = folder / "candidates.yaml"
    path.write_text("# looked at on Mondays\n" + path.read_text())
    assert call(folder, "review", "--approve=x", "--reviewer=ana") == 0
    assert path.read_text().startswith("# looked at on Mondays\ncandidates:\n  - id: x\n")


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"

    def add(number: int) -> None:
        with yaml_files.locked_folder(tmp_path):
            yaml_files.append_item(path, "items", {"id": number})

    threads = [threading.Thread(target=add, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = yaml.safe_load(path.read_text())["items"]
    assert sorted(item["id"] for item in found) == list(range(12))


FORMS = [
    "items:\n- a: 1\n- a: 2  # two\n",
    "# head\n\nitems:\n  - a: |\n      text\n      more\n\n# about the next\nnext: 1\n",
    "items:\n    - a: 'x: y'\n      b: [1,\n          2]\n    # - a: out\n",
    "items: []\nnext: 1  # kept\n",
    "items:\nnext: 1  # kept\n",
    "next: 1  # kept\n",
    "{items: [{a: 1}], next: 2}\n",
    "items:\n  - &x {a: 1}\n  - *x\n",
    "items:\n  - a: >-\n      folded\n      text\n  - a: last",
    "# only a comment\n",
    "",
]


@pytest.mark.parametrize("text", FORMS)
def test_appending_keeps_values_and_comments(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(text)
    before = yaml.safe_load(text) or {}
    item = {"id": "n", "prompt": "a: b\n\n# no comment\nlast", "list": [1, {"x": None}]}
    yaml_files.append_item(path, "items", item)
    after = yaml.safe_load(path.read_text())
    assert after == {**before, "items": [*(before.get("items") or []), item]}
    comments = [f"#{part}" for line in text.splitlines() for part in line.split("#")[1:]]
    assert all(comment.rstrip() in path.read_text() for comment in comments)


@pytest.mark.parametrize("text", [form for form in FORMS if "a:" in form])
@pytest.mark.parametrize("commented", [False, True])
def test_replacing_changes_one_item_only(tmp_path: Path, text: str, commented: bool) -> None:
    item = {"id": "n", "prompt": "a: b\n\n# no comment\nlast", "list": [1, {"x": None}]}
    own = yaml_files.block_text(item, 0).replace("  list:", "  # ours\n  list:")
    before = yaml.safe_load(text)["items"]
    for index in range(len(before)):
        path = tmp_path / "list.yaml"
        path.write_text(text)
        yaml_files.replace_item(path, "items", index, item, text=own if commented else None)
        after = yaml.safe_load(path.read_text())
        assert after["items"] == [item if n == index else old for n, old in enumerate(before)]
        assert after.get("next") == yaml.safe_load(text).get("next")
        assert ("# ours" in path.read_text()) == commented
        assert path.read_text().startswith(text.partition("items")[0])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(items=st.lists(st.dictionaries(st.text(min_size=1), values, min_size=1), max_size=4))
def test_any_values_survive(tmp_path_factory: pytest.TempPathFactory, items: list[Any]) -> None:
    path = tmp_path_factory.mktemp("any") / "list.yaml"
    for item in items:
        yaml_files.append_item(path, "items", item)
    assert items == ((yaml.safe_load(path.read_text())["items"]) if items else [])
