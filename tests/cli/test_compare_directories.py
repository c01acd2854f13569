"""`compare DIR DIR`: sessions paired by test, prompt or name, or plainly not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.comparison.compare import FigureComparison
from skilltrace_mlflow.report.comparison import figure_rows
from tests.cli.calling import Call

TRACES = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion" / "traces"


def session(path: Path, prompt: str | None, calls: int = 1) -> None:
    """A transcript with a prompt (or none that anybody said) and so many calls of Read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []

    def add(kind: str, message: dict[str, Any]) -> None:
        number = len(lines)
        lines.append(
            {
                "type": kind,
                "uuid": f"u{number}",
                "parentUuid": f"u{number - 1}" if number else None,
                "sessionId": path.stem,
                "timestamp": f"2026-01-01T00:00:{number:02d}.000Z",
                "message": message,
            }
        )

    if prompt is not None:
        add("user", {"role": "user", "content": prompt})
    for number in range(calls):
        use = {"type": "tool_use", "id": f"t{number}", "name": "Read", "input": {"file_path": "a"}}
        usage = {"input_tokens": 10, "output_tokens": 5}
        message = {"id": f"m{number}", "role": "assistant", "model": "claude-sonnet-4-5"}
        add("assistant", {**message, "content": [use], "usage": usage})
        result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "x"}
        add("user", {"role": "user", "content": [result]})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def compared(call: Call, a: Path, b: Path, *options: str) -> dict[str, Any]:
    code, out, _ = call("compare", a, b, "--format", "json", *options)
    assert code == 0
    result: dict[str, Any] = json.loads(out)
    return result


def test_ids_for_names_are_paired_by_the_prompt(tmp_path: Path, call: Call) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    session(a / "1111.jsonl", "Load it", calls=2)
    session(a / "2222.jsonl", "Drop it")
    session(b / "3333.jsonl", "Load   it", calls=4)
    session(b / "4444.jsonl", "Something else")
    found = compared(call, a, b)
    assert (found["tests_in_both"], found["paired_by"]) == (1, {"prompt": 1})
    calls = next(f for f in found["figures"] if f["name"] == "tool_calls")
    assert (calls["before"], calls["after"]) == (2, 4)
    kinds = {change["test_id"]: change["kind"] for change in found["changes"]}
    assert kinds == {"2222": "vanished", "4444": "appeared"}
    assert not any(change["regression"] for change in found["changes"])


def test_several_of_one_prompt_are_attempts_unless_their_names_agree(
    tmp_path: Path, call: Call
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for number in range(3):
        session(a / f"x{number}.jsonl", "Load it", calls=1)
        session(b / f"y{number}.jsonl", "Load it", calls=3)
    assert compared(call, a, b)["tests_in_both"] == 1
    session(a / "same.jsonl", "Load it", calls=1)
    session(b / "same.jsonl", "Load it", calls=1)
    assert compared(call, a, b)["tests_in_both"] == 2


def test_a_changed_prompt_is_paired_by_the_name(tmp_path: Path, call: Call) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    session(a / "bronze" / "load.jsonl", "Load it")
    session(b / "bronze" / "load.jsonl", "Load it, please")
    assert compared(call, a, b)["paired_by"] == {"name": 1}


def test_dumped_traces_are_paired_by_the_test(tmp_path: Path, call: Call) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, source in ((a, "demo-good"), (b, "demo-failing")):
        code, out, _ = call("show", TRACES / f"{source}.jsonl", "--format", "json")
        assert code == 0
        folder.mkdir()
        (folder / "bronze_001__1.json").write_text(out)
    assert compared(call, a, b)["paired_by"] == {"test": 1}


def test_where_nothing_pairs_that_is_said_and_no_regression(tmp_path: Path, call: Call) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    session(a / "one.jsonl", "Load it")
    session(b / "two.jsonl", "Drop it")
    code, out, _ = call("compare", a, b)
    said = " ".join(out.split())
    assert code == 0
    assert "Nothing could be paired: none of A's 1 session has the test, the prompt or" in said
    assert "egression" not in out
    assert call("compare", a, b, "--fail-on-regression")[0] == 3


def test_more_calls_are_a_regression_of_the_figures(tmp_path: Path, call: Call) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    session(a / "1.jsonl", "Load it", calls=1)
    session(b / "2.jsonl", "Load it", calls=9)
    assert call("compare", a, b, "--fail-on-regression")[0] == 1
    assert call("compare", b, a, "--fail-on-regression")[0] == 0


def test_a_directory_beside_results_is_refused(tmp_path: Path, call: Call) -> None:
    session(tmp_path / "a" / "1.jsonl", "Load it")
    (tmp_path / "r.jsonl").write_text("{}\n")
    code, _, err = call("compare", tmp_path / "a", tmp_path / "r.jsonl")
    assert code == 2
    assert "give two directories, or two evaluations" in err


def test_a_file_that_cannot_be_read_is_told_and_the_others_compared(
    tmp_path: Path, call: Call
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    session(a / "1.jsonl", "Load it")
    session(b / "2.jsonl", "Load it")
    (b / "bad.jsonl").write_text("no JSON\n")
    code, out, err = call("compare", a, b)
    assert code == 2
    assert "1 session paired (1 by prompt)" in " ".join(out.split())
    assert "bad.jsonl" in err
    shutil.rmtree(a)
    a.mkdir()
    assert call("compare", a, b)[0] == 2


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (100.0, 150.0, "+50 (+50.0%)"),
        (100.0, 50.0, "-50 (-50.0%)"),
        (100.0, 100.0, "±0 (±0.0%)"),
        (100_000.0, 100_001.0, "+1 (+0.0%)"),
        (0.0, 3.0, "+3"),
    ],
)
def test_signs_and_percentages_agree(before: float, after: float, shown: str) -> None:
    figure = FigureComparison(
        name="total_tokens",
        pairs=1,
        before=before,
        after=after,
        effect=after - before,
        interval=None,
        relative=(after - before) / before if before else None,
        verdict="same",
    )
    assert figure_rows([figure])[0][3] == shown
