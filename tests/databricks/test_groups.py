"""What a Spark executor does with the rows of one session, without Spark."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from skilltrace_mlflow.databricks.groups import GroupJudge, Item
from skilltrace_mlflow.databricks.outcomes import COLUMNS, outcome_rows
from skilltrace_mlflow.expectations.manifest import manifest_from_mapping
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.score import Target
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from skilltrace_mlflow.spark import _Work
from tests.sources.forms import as_traces
from tests.sources.shapes import START, Turn
from tests.sources.table_rows import unified_row

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"
EXPECTED = {"tool_limits": {"Bash": 1}, "banned_tools": ["rm -rf"], "turn_limit": {"max_turns": 50}}


def judge(expectations: Mapping[str, Any] = EXPECTED, most_bytes: int = 10**9) -> GroupJudge:
    manifest = manifest_from_mapping(
        {"skill": {"name": "s"}, "trace_expectations": dict(expectations)}
    )
    return GroupJudge(
        target=Target.of(manifest),
        digests={},
        scored_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        most_bytes=most_bytes,
    )


def files_of(folder: Path) -> list[Item]:
    return [
        Item(
            kind="file",
            payload=json.dumps(
                {
                    "path": f"dbfs:/Volumes/a/b{path}",
                    "content": base64.b64encode(path.read_bytes()).decode(),
                }
            ),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name.endswith((".jsonl", ".json")) and path.suffix != ".md"
    ]


def verdicts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("check", "verdict", "score", "rationale", "session_id", "total_tokens", "tool_calls")
    return sorted(tuple(row[name] for name in names) for row in rows)


@pytest.mark.parametrize("name", ["demo-good", "subagent", "nested-agents", "failing-bash"])
def test_a_sessions_files_give_what_the_file_gives(name: str) -> None:
    folder = RECORDINGS / name
    (path,) = find_sessions(folder)
    rows = judge().rows(f"dbfs:/Volumes/a/b{path}".removesuffix(".jsonl"), files_of(folder))
    alone = judge().target.judge(load_file(path))
    assert verdicts(rows) == verdicts(outcome_rows(Evaluation(skill="s", results=(alone,))))
    assert {frozenset(row) for row in rows} == {frozenset(c.name for c in COLUMNS)}


def test_a_background_agent_is_judged_with_the_turn_that_started_it(store: str) -> None:
    turn = Turn()
    turn.tool("t1", "Agent", {"prompt": "x"}, background=True, agent_id="a1")
    first = turn.end()
    tags = {"mlflow.claude_code.agent_id": "a1", "mlflow.claude_code.parent_tool_use_id": "t1"}
    agent = Turn(start=START + 10**10, tags=tags)
    agent.tool("t9", "Bash", {"command": "rm -rf build"})
    items = [
        Item(kind="trace", payload=json.dumps(_row(trace.to_dict())))
        for trace in (agent.end(), first)
    ]
    assert banned(items) == [(first.info.trace_id, "banned_tools", "fail")]
    agents_trace = json.loads(items[0].payload)["trace_id"]
    assert banned(items[:1]) == [(agents_trace, "(whole test)", "error")]
    assert banned(items[1:]) == [(first.info.trace_id, "banned_tools", "unknown")]


def banned(items: Sequence[Item]) -> list[tuple[str, str, str]]:
    rows = judge({"banned_tools": ["rm -rf"]}).rows("session", items)
    asked = ("banned_tools", "(whole test)")
    return [(r["trace_id"], r["check"], r["verdict"]) for r in rows if r["check"] in asked]


def _row(trace: Mapping[str, Any]) -> dict[str, Any]:
    return {**trace["info"], "spans": trace["data"]["spans"]}


@pytest.mark.parametrize(
    "row",
    [
        {"trace_id": "t"},
        {"trace_id": "t", "spans": "no list"},
        {"trace_id": "t", "spans": []},
        {"trace_id": "t", "spans": [3]},
        {"trace_id": "t", "spans": [{"span_id": "1", "name": "claude_code_conversation"}] * 2},
        {"trace_id": "t", "spans": [{"span_id": "1", "parent_span_id": "0", "name": "tool_Bash"}]},
    ],
)
def test_a_malformed_row_is_an_error_and_the_others_are_judged(row: dict[str, Any]) -> None:
    (path,) = find_sessions(RECORDINGS / "demo-good")
    good = [unified_row(trace) for trace in as_traces(parse_transcript(path))]
    items = [Item(kind="trace", payload=json.dumps(r, default=str)) for r in (row, *good)]
    rows = judge().rows("session", items)
    assert not [r for r in rows if r["trace_id"] == "t" and r["verdict"] == "pass"]
    assert [r["trace_id"] for r in rows].count("t") >= 1
    assert {r["verdict"] for r in rows if r["trace_id"] != "t"} <= {"pass", "fail"}
    assert len(rows) > 1


def test_other_programs_traces_are_left_out() -> None:
    row = {"trace_id": "t", "spans": [{"span_id": "1", "name": "root_span"}]}
    assert judge().rows("t", [Item(kind="trace", payload=json.dumps(row, default=str))]) == []


def test_text_read_line_by_line_is_no_transcript() -> None:
    (path,) = find_sessions(RECORDINGS / "demo-good")
    for line in path.read_text().splitlines():
        item = Item(kind="file", payload=json.dumps({"value": line}))
        (row,) = judge().rows("k", [item])
        assert row["verdict"] == "error"
        assert "wholetext" in row["rationale"]


def test_a_name_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    payload = {"path": "/a/../../../etc/x.jsonl", "content": base64.b64encode(b"{}\n{}").decode()}
    rows = judge().rows("/a/../../../etc/x", [Item(kind="file", payload=json.dumps(payload))])
    assert [row["verdict"] for row in rows] == ["error"]


def frames(triples: Sequence[tuple[str, str, str]], size: int) -> Any:
    for start in range(0, len(triples), size):
        yield pd.DataFrame(triples[start : start + size], columns=["key", "kind", "payload"])


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_groups_go_across_frames(size: int) -> None:
    triples = [
        (key, "trace", json.dumps(unified_row(trace), default=str))
        for key in ("resume", "demo-good", "parallel-agents")
        for trace in as_traces(parse_transcript(find_sessions(RECORDINGS / key)[0]))
    ]
    whole = [
        row for frame in _Work(judge())(frames(triples, 100)) for row in frame.to_dict("records")
    ]
    found = [
        row for frame in _Work(judge())(frames(triples, size)) for row in frame.to_dict("records")
    ]
    assert found == whole
    assert len(found) >= 3 * len(triples)


def test_a_huge_group_is_an_error_row_and_the_next_is_judged() -> None:
    (path,) = find_sessions(RECORDINGS / "demo-good")
    (trace,) = as_traces(parse_transcript(path))
    good = json.dumps(unified_row(trace), default=str)
    triples = [("huge", "trace", good)] * 5 + [("next", "trace", good)]
    work = _Work(judge(most_bytes=len(good) * 2))
    rows = [row for frame in work(frames(triples, 2)) for row in frame.to_dict("records")]
    first, *rest = rows
    assert (first["trace_id"], first["verdict"]) == ("huge", "error")
    assert "most_bytes" in first["rationale"]
    assert rest
    assert "error" not in {row["verdict"] for row in rest}
