"""Capture, review, promote: a session becomes a test case, once, and its file keeps its layout."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.agent.candidates import Candidates
from skilltrace_mlflow.cli._app import run as cli
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.proposals import yaml_files
from tests.agent.model_server import ModelServer, Script
from tests.agent.test_run import GOOD, lines

Serve = Callable[[Iterable[Script]], ModelServer]
EXAMPLE = Path(__file__).parents[2] / "examples" / "skills" / "bronze-ingestion"
RECORDING = EXAMPLE / "traces" / "demo-good.jsonl"
RESUMED = "adbf660a-fffd-5bb0-9056-283b3d27dd01.jsonl"
TWO_TURNS = Path(__file__).parents[1] / "data" / "recordings" / "resume" / RESUMED
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


def said_in_the_ui(trace_id: str, **said: Any) -> str:
    """Log an assessment as MLflow's UI posts it; returns its id."""
    from google.protobuf.json_format import ParseDict
    from mlflow.entities import Assessment
    from mlflow.protos.assessments_pb2 import Assessment as Message

    posted = {
        "assessment_name": "skilltrace_review",
        "trace_id": trace_id,
        "source": {"source_type": "HUMAN", "source_id": ""},
        **said,
    }
    mlflow.set_tracking_uri(store_uri())
    logged = mlflow.log_assessment(trace_id, Assessment.from_proto(ParseDict(posted, Message())))
    assert logged.assessment_id is not None
    return logged.assessment_id


def test_reviews_in_mlflow_are_taken_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(folder, "capture", f"--trace={RECORDING}", "--id=x") == 0
    assert call(folder, "capture", f"--trace={TWO_TURNS}", "--id=two") == 0
    trace_id = candidates(folder)[0]["trace"]["trace_id"]

    def taken() -> tuple[str, ...]:
        capsys.readouterr()
        assert call(folder, "review", "--from-mlflow") == 0
        x = candidates(folder)[0]
        return x["status"], x.get("reviewer"), x.get("note")

    said_in_the_ui(trace_id, feedback={"value": "perhaps"})
    assert taken() == ("pending", None, None)
    assert "'perhaps', neither a yes nor a no" in capsys.readouterr().err
    ben = {"source_type": "HUMAN", "source_id": "ben@example.com"}
    first = said_in_the_ui(trace_id, feedback={"value": True}, source=ben, rationale="fine")
    said_in_the_ui(trace_id, feedback={"value": False}, source={"source_type": "LLM_JUDGE"})
    assert taken() == ("approved", "ben@example.com", "fine")
    # An edit in the UI is a new assessment, which makes the old one invalid.
    said_in_the_ui(trace_id, feedback={"value": 0}, overrides=first)
    assert taken() == ("rejected", "unknown", "said in MLflow")
    # A later review here stands, even where MLflow does not have it.
    text = (folder / "candidates.yaml").read_text()
    (folder / "candidates.yaml").write_text(
        text.replace("status: rejected", "status: approved")
        .replace("reviewer: unknown", "reviewer: ana")
        .replace("reviewed_at: '20", "reviewed_at: '21")
    )
    assert taken()[:2] == ("approved", "ana")
    # Any turn of a session is a place for its review.
    session_id = candidates(folder)[1]["trace"]["session_id"]
    turns = [
        t
        for t in mlflow.search_traces(return_type="list", locations=[home()])
        if t.info.trace_metadata["mlflow.trace.session"] == session_id
    ]
    last = max(turns, key=lambda trace: trace.info.timestamp_ms)
    said_in_the_ui(last.info.trace_id, feedback={"value": "yes"})
    taken()
    assert candidates(folder)[1]["status"] == "approved"
    # A trace that is gone loses its own review only.
    mlflow.MlflowClient().delete_traces(home(), trace_ids=[trace_id])
    said_in_the_ui(turns[0].info.trace_id, feedback={"value": "no"}, rationale="second thoughts")
    assert call(folder, "review", "--from-mlflow") == 3
    assert f"x: trace {trace_id}: not found" in capsys.readouterr().err
    assert candidates(folder)[1]["status"] == "rejected"


def home() -> str:
    found = mlflow.MlflowClient(store_uri()).get_experiment_by_name("traces")
    assert found is not None
    return str(found.experiment_id)


EDITOR = """#!/bin/sh
count=$(($(cat "$0.n" 2>/dev/null || echo 0) + 1)); echo $count > "$0.n"
case $count in
1) exit 3 ;;
2) echo 'banned_tools: [x' >> "$1" ;;
3) grep -q 'banned_tools: .x' "$1" && printf 'banned_tool: [x]' > "$1" ;;
4) : ;;
5) printf 'banned_tools: [execute_sql, "*sql*"]\ncompletion: required\n' > "$1" ;;
esac
"""


def test_the_terminal_shows_and_asks(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    for name in ("x", "y", "z"):
        assert call(folder, "capture", f"--trace={RECORDING}", f"--id={name}") == 0
    path = folder / "candidates.yaml"
    text = path.read_text()
    path.write_text(text.replace("created_at: ", 'created_at: "\\e[2Jgone" # ', 1))
    editor = folder / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    capsys.readouterr()
    edits = "e\n" * 5
    # A rejection without a reason, approval of the edited one; a rejection; the end of the input.
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{edits}r\n\nA\nyes\nr\nnot ours\n"))
    assert call(folder, "review", "--reviewer=ana") == 130
    shown = capsys.readouterr()
    for part in (
        "prompt: Create a bronze",
        "execute_sql",
        "expected_files",
        r"x (\x1b[2Jgone)",
    ):
        assert part in shown.out
    assert "\x1b" not in shown.out
    told = iter(shown.err.splitlines())
    for part in (
        "Editing failed",  # an editor that fails ends nothing
        "e goes on with your text",  # and no typing is lost
        "unknown key 'banned_tool'",
        "left as they are",
        "changed: 1 of 2 checks pass",
        "banned_tools: fail",
        "a rejection says why",
        "x: approved by ana",
        "y: rejected by ana",
        "1 candidate still to review",
        "interrupted",
    ):
        assert any(part in line for line in told), (part, shown.err)
    x, y, z = candidates(folder)
    assert (x["status"], x["note"]) == ("approved", "yes")
    assert x["expectations"]["banned_tools"] == ["execute_sql", "*sql*"]
    assert {c["name"]: c["verdict"] for c in x["checks"]} == {
        "banned_tools": "fail",
        "completion": "pass",
    }
    assert (y["status"], y["note"], z["status"]) == ("rejected", "not ours", "pending")


def test_what_was_removed_is_approved_and_promoted_again(folder: Path) -> None:
    assert call(folder, "capture", f"--trace={RECORDING}", "--id=x") == 0
    assert call(folder, "review", "--approve=x", "--reviewer=ana") == 0
    assert call(folder, "promote") == 0
    assert call(folder, "review", "--approve=x", "--reviewer=ana") == 2, "it is a test case"
    (folder / "ground_truth.yaml").write_text(GROUND_TRUTH)
    assert call(folder, "promote", "x") == 2
    assert call(folder, "review", "--approve=x", "--reviewer=ana") == 0
    assert call(folder, "promote", "x") == 0
    cases = yaml.safe_load((folder / "ground_truth.yaml").read_text())["test_cases"]
    assert [case["id"] for case in cases] == ["first", "x"]


def test_a_promotion_that_does_not_hold_together_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x", "y"):
        assert call(folder, "capture", f"--trace={RECORDING}", f"--id={name}") == 0
    approve = ("--approve=x", "--approve=y", "--reviewer=ana")
    assert call(folder, "review", *approve) == 0
    path = folder / "candidates.yaml"
    before = path.read_text().replace("    banned_tools:", "    banned_tool:")
    path.write_text(before.replace("      banned_tools:", "      banned_tool:"))
    before = path.read_text()
    assert call(folder, "promote") == 2
    assert "banned_tool" in capsys.readouterr().err
    assert (folder / "ground_truth.yaml").read_text() == GROUND_TRUTH
    assert path.read_text() == before


def test_comments_in_candidates_stay(folder: Path) -> None:
    assert call(folder, "capture", f"--trace={RECORDING}", "--id=x") == 0
    path = folder / "candidates.yaml"
    path.write_text("# looked at on Mondays\n" + path.read_text())
    assert call(folder, "review", "--approve=x", "--reviewer=ana") == 0
    assert path.read_text().startswith("# looked at on Mondays\ncandidates:\n  - id: x\n")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("prompt: null", "prompt"),
        ("prompt: [a]", "prompt"),
        ("note: x", "prompt"),
        ("{prompt: p, trace: tr-1}", "trace"),
        ("{prompt: p, trace: {trace_id: 5}}", "trace.trace_id"),
        ("{prompt: p, expectations: [x]}", "expectations"),
        ("{prompt: p, figures: x}", "figures"),
        ("{prompt: p, checks: [5]}", "checks[0]"),
        ("{prompt: p, note: {a: 1}}", "note"),
        ("{prompt: p, status: maybe}", "status 'maybe'"),
    ],
)
def test_slips_in_candidates_are_named(tmp_path: Path, written: str, place: str) -> None:
    path = tmp_path / "candidates.yaml"
    values = {"id": "x", "status": "approved", **yaml.safe_load(written)}
    path.write_text(yaml.safe_dump({"candidates": [values]}))
    with pytest.raises(ConfigurationError, match=f"candidate 'x': .*{re.escape(place)}") as told:
        Candidates(path)
    assert "\n" not in str(told.value)


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


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_keep_their_ends(tmp_path: Path, text: str, end: str) -> None:
    path = tmp_path / "list.yaml"
    item = {"id": "n", "prompt": "a: b\n\n# no comment\nlast"}
    before = yaml.safe_load(text) or {}
    path.write_bytes(text.replace("\n", end).encode())
    yaml_files.append_item(path, "items", item)
    written = [path.read_bytes()]
    if before.get("items"):
        yaml_files.replace_item(path, "items", 0, item)
        written.append(path.read_bytes())
    for data in written:
        ends = data.count(b"\r\n"), data.count(b"\n")
        assert ends[0] == (ends[1] if "\n" in text and end == "\r\n" else 0)
        assert yaml.safe_load(data)["items"][-1] == item or data is written[-1]


def test_appending_to_a_file_of_windows_changes_no_other_byte(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    there = b"# head\r\nitems:\r\n  - a: 1  # one\r\n\r\n  - a: |\r\n      x\r\nnext: 2\r\n"
    path.write_bytes(there)
    yaml_files.append_item(path, "items", {"a": 3})
    head, tail = there.removesuffix(b"next: 2\r\n"), b"next: 2\r\n"
    assert path.read_bytes() == head + b"\r\n  - a: 3\r\n" + tail
    yaml_files.replace_item(path, "items", 2, {"a": 4})
    assert path.read_bytes() == head + b"\r\n  - a: 4\r\n" + tail


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
