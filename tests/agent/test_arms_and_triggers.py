"""With and without the skill, and whether it is picked up: known beforehand, with the real CLI."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from skilltrace_mlflow.cli._app import run as cli
from skilltrace_mlflow.triggers import count_triggers
from tests.agent.model_server import ModelServer, Script, say, use
from tests.agent.test_run import GOOD, arguments, lines, runs_of, traces

Serve = Callable[[Iterable[Script]], ModelServer]
CASE: dict[str, object] = {
    "id": "orders",
    "inputs": {"prompt": "Name the orders table"},
    "expectations": {"required_skills": ["naming"], "expected_files": ["orders.txt"]},
}
PER_ATTEMPT = (
    "session_id",
    "uuid",
    "cwd",
    "original_cwd",
    "memory_paths",
    "messaging_socket_path",
    "skills",
    "slash_commands",
)


def inits(place: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    (run,) = runs_of(place)
    for folder in (run / "attempts").iterdir():
        _, arm, attempt = folder.name.split("__")
        first = (folder / "stream.ndjson").read_text().splitlines()[0]
        found[arm, attempt] = json.loads(first)
    return found


def test_the_arms_differ_in_nothing_but_the_skill(
    claude: str,
    server: Serve,
    skills: Callable[..., Path],
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server(
        [
            Script(match="Name the orders table", offered="naming", steps=GOOD),
            Script(match="Name the orders table", steps=(say("orders"),)),
        ]
    )
    options = ("--attempts=3", "--baseline", "--jobs=2", f"--report={place / 'r.html'}")
    assert cli(arguments(skills([CASE]), place, *options)) == 0
    shown = capsys.readouterr().out
    assert "The skill: helps" in shown
    assert "without: pass rate 0.000" in shown
    assert "With and without the skill" in (place / "r.html").read_text()
    found = [(r["arm"], r["attempt"], r["verdict"]) for r in lines(place)]
    assert found == [("with", n, "pass") for n in (1, 2, 3)] + [
        ("without", n, "fail") for n in (1, 2, 3)
    ]
    events = inits(place)
    assert len(events) == 6
    alike = set()
    for (arm, _), event in events.items():
        assert ("naming" in event["skills"]) == (arm == "with")
        lists = {
            name: [item for item in event[name] if item != "naming"]
            for name in ("skills", "slash_commands")
        }
        rest = {key: value for key, value in event.items() if key not in PER_ATTEMPT}
        alike.add(json.dumps({**rest, **lists}, sort_keys=True))
    assert len(alike) == 1
    # The same attempt in both arms is the same request: MLflow pairs them.
    pairs: dict[str, set[str]] = {}
    for trace in traces(place):
        tags = trace.info.tags
        pairs.setdefault(tags["mlflow.eval.requestId"], set()).add(tags["skilltrace.arm"])
    assert list(pairs.values()) == [{"with", "without"}] * 3


def test_a_confusion_matrix_known_beforehand(
    claude: str,
    server: Serve,
    skills: Callable[..., Path],
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = ".claude/skills/naming/SKILL.md"
    ways = {
        "tool": (use("Skill", skill="naming"), say("Done.")),
        "read": (use("Read", file_path=path), say("Done.")),
        "nothing": (say("Done."),),
    }
    scripts = [
        Script(match=f"{word} by {way}", steps=steps)
        for word in ("Name", "Count")
        for way, steps in ways.items()
    ]
    server([*scripts, Script(match="Tables are snake_case", steps=(say("Done."),))])
    folder = skills([], quality_gates={"trigger_recall": 0.7, "trigger_precision": 0.7})
    (folder / "naming" / "ground_truth.yaml").write_text(
        "trigger_prompts:\n"
        "  should: [Name by tool, /naming it, Name by read, Name by nothing]\n"
        "  should_not: [Count by tool, Count by read, Count by nothing]\n"
    )
    other = tmp_path / "other"
    other.mkdir()
    (other / "SKILL.md").write_text(
        "---\nname: counting\ndescription: How to count.\n---\nCount.\n"
    )
    manifest = (folder / "naming" / "manifest.yaml").read_text()
    (folder / "naming" / "manifest.yaml").write_text(f"{manifest}agent: {{skills: [{other}]}}\n")
    assert cli(arguments(folder, place, "--jobs=2")) == 1
    shown = " ".join(capsys.readouterr().out.split())  # wherever a line of the table ends
    assert "trigger recall 0.750 (3 of 4" in shown
    assert "trigger precision 0.600 (3 of 5" in shown
    verdicts = {r["test_id"]: r["verdict"] for r in lines(place)}
    assert [verdicts[f"should_00{n}"] for n in (1, 2, 3, 4)] == ["pass"] * 3 + ["fail"]
    assert [verdicts[f"should_not_00{n}"] for n in (1, 2, 3)] == ["fail", "fail", "pass"]
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    run = client.get_run(lines(place)[0]["run_id"])
    assert run.data.metrics["trigger_recall"] == 0.75
    # The sessions themselves, read without any expectation, say the same.
    (results,) = runs_of(place)
    assert count_triggers([results]).sessions == 7
    (found,) = (s for s in count_triggers([results]).skills if s.skill == "naming")
    assert (found.offered, found.loaded) == (7, 5)
    assert found.by == {"tool": 2, "slash": 1, "nested": 0, "read": 2, "forked": 0}
    assert "counting" in {s.skill for s in count_triggers([results]).skills}


def test_a_predict_fn_leaves_the_whole_trace(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path
) -> None:
    from mlflow.genai import evaluate

    from skilltrace_mlflow import claude_agent, session_from_trace
    from skilltrace_mlflow.scorers import required_tools

    model = server([Script(match="Name the orders table", steps=GOOD)])
    skill = skills([CASE]) / "naming"
    mlflow.set_tracking_uri(f"sqlite:///{place / 'mlflow.db'}")
    mlflow.set_experiment("traces")
    data = [
        {
            "inputs": {"prompt": "Name the orders table"},
            "expectations": {"required_tools": ["Skill", "Write"]},
        }
    ]
    result = evaluate(data=data, predict_fn=claude_agent(skill), scorers=[required_tools])
    assert result.metrics["required_tools/mean"] == 1.0
    assert len(model.requests) == 3, "MLflow's trial call runs no agent"
    (trace,) = traces(place)
    names = [span.name for span in trace.data.spans]
    assert names[0] == "claude_code_conversation"
    assert {"llm", "tool_Skill", "tool_Write"} <= set(names)
    session = session_from_trace(trace)
    assert session.response == "bronze_orders"
    assert session.usage.output_tokens == 60
