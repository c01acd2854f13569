"""`summarize` over several sessions: totals count a message once, and lower bounds say so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from skilltrace_mlflow.cli import summarize
from skilltrace_mlflow.report.totals import Totals, rows_of
from skilltrace_mlflow.session import OUTSIDE, ModelStep, Session, TokenUsage
from tests.sources.lines import assistant, result, text, tool, usage, user, write_lines

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
FORK = RECORDINGS / "newest-fork-2.1.332"


def run(*arguments: Any) -> str:
    done = CliRunner().invoke(summarize.command, [str(item) for item in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def totals(*arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--by", "model", "--format", "json"))
    return found["totals"]


def test_a_fork_does_not_count_twice_what_it_copied() -> None:
    whole = totals(FORK)
    assert (whole["sessions"], whole["messages"]) == (2, 4)
    last = json.loads((FORK / "result-2.json").read_text(encoding="utf-8"))
    assert whole["cost_usd"] == pytest.approx(last["total_cost_usd"])
    (usage_of_model,) = last["modelUsage"].values()
    assert whole["tokens"]["output"] == usage_of_model["outputTokens"]
    assert sum(m["messages"] for m in whole["by_model"].values()) == 4


def test_a_file_given_twice_counts_once(tmp_path: Path) -> None:
    (one,) = (RECORDINGS / "plain").glob("*.jsonl")
    shutil.copy(one, tmp_path / "copy.jsonl")
    assert totals(one, tmp_path)["tokens"] == totals(one, one)["tokens"]
    assert totals(one, tmp_path)["messages"] == 1


def test_totals_in_json_only_where_they_are_asked_for() -> None:
    assert isinstance(json.loads(run(FORK, "--format", "json")), list)
    lines = run(FORK, "--by", "day", "--format", "jsonl").splitlines()
    assert "by_day" in json.loads(lines[-1])["totals"]


def test_lower_bounds_say_so_and_missing_agents_are_missing(tmp_path: Path) -> None:
    extra = {"status": "completed", "agentId": "a1", "totalToolUseCount": 7, "totalTokens": 900}
    path = write_lines(
        tmp_path / "s.jsonl",
        user("Go."),
        assistant("m1", tool("Agent", "toolu_1", prompt="Look.", subagent_type="Explore")),
        result("toolu_1", "Looked.", extra=extra),
        assistant("m2", text("Done."), usage=usage(2, 5), stop_reason="end_turn"),
    )
    shown = " ".join(run(tmp_path).split())
    assert "Explore (missing, tool uses: 7" in shown
    assert "at least $" in shown
    assert "lower bounds of 1 session" in shown
    assert "1 sessions" not in shown
    whole = " ".join(run(path.parent, RECORDINGS / "plain").split())
    assert "sessions 2" in whole


def outside(output: int) -> ModelStep:
    return ModelStep(
        id="stated:m", model="m", agent=OUTSIDE, usage=TokenUsage(output_tokens=output), cost_usd=0
    )


def test_what_is_stated_beyond_messages_is_cumulative_over_a_fork() -> None:
    message = ModelStep(id="msg", model="m", usage=TokenUsage(output_tokens=5), cost_usd=0)
    sums = Totals()
    sums.add(rows_of(Session(steps=(message, outside(100)))), complete=True)
    sums.add(rows_of(Session(steps=(message, outside(130)))), complete=True)
    sums.add(rows_of(Session(steps=(outside(7),))), complete=True)
    assert sums.to_dict()["tokens"]["output"] == 5 + 130 + 7


def test_many_bytes_are_read_by_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = run(FORK, RECORDINGS / "plain", "--format", "json", "--by", "day")
    monkeypatch.setattr(summarize, "_MANY_BYTES", 0)
    monkeypatch.setattr(summarize, "_processors", lambda: 2)
    assert run(FORK, RECORDINGS / "plain", "--format", "json", "--by", "day") == alone
