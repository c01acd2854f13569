"""The recorder without the CLI: scenarios load, the stand-in answers, nothing leaks."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.recorder import mcp_databricks
from tests.recorder.oracle import cli_totals, compare, transcript_totals
from tests.recorder.record import (
    EXAMPLE_TRACES,
    LOSSY_RECORDINGS,
    RECORDINGS,
    SCENARIOS,
    claim_home,
    folder_of,
    main,
)
from tests.recorder.record_traces import TRACES
from tests.recorder.sanitise import check_tree, leaks, rewrite
from tests.recorder.scenario import Scenario, ScenarioError, load_scenario
from tests.recorder.standin import StandIn

SCENARIO_FILES = sorted(SCENARIOS.glob("*.yaml"))
RECORDED = sorted(path for path in RECORDINGS.iterdir() if path.is_dir())
LOSSY = sorted(path for path in LOSSY_RECORDINGS.iterdir() if path.is_dir())
TOOLS = [{"name": "Bash"}]

SCRIPT = """
runs: [{prompt: Count.}]
agents:
  main:
    captures: {task: 'ID: (\\w+)'}
    steps:
      - content:
          - thinking: Two calls.
          - {tool: Bash, input: {command: "cd {cwd}"}}
          - {tool: Bash, input: {command: "kill {task}"}}
        usage: {input: 3, output: 40, cache_read: 5, cache_5m: 7, cache_1h: 11}
      - error: 529
      - content: [{text: Two.}]
  helper:
    match: You count b
    model: claude-haiku-4-5-20251001
    steps:
      - content: [{text: One.}]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT, encoding="utf-8")
    return load_scenario(path)


def request(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "tools": TOOLS, **more}


def post(standin: StandIn, path: str, body: dict[str, Any]) -> tuple[int, str, str]:
    call = urllib.request.Request(standin.url + path, data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(call, timeout=10) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read().decode()


def milliseconds(stamp: str) -> int:
    moment = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z")
    return round(moment.timestamp() * 1000)


def read_stream(text: str) -> list[dict[str, Any]]:
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


@pytest.mark.parametrize("path", SCENARIO_FILES, ids=lambda path: path.stem)
def test_every_scenario_loads_and_was_recorded(path: Path) -> None:
    provenance = (RECORDINGS / "PROVENANCE.md").read_text(encoding="utf-8")
    for scenario in load_scenario(path).editions():
        assert scenario.about
        assert folder_of(scenario).is_dir()
        assert f"## {scenario.name}\n" in provenance


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- error: 529", "- eror: 529", "agents.main.steps[1]: unknown key 'eror'"),
        ("{input: 3,", "{inputs: 3,", "agents.main.steps[0].usage: unknown key 'inputs'"),
        ("{text: Two.}", "{say: Two.}", "agents.main.steps[2].content[0]: one of text"),
        ("    match: You count b\n", "", "agents.helper: sub-agents alone need 'match'"),
        ("  main:", "  boss:", "agents: no 'main' agent"),
        ("{prompt: Count.}", "{}", "runs[0]: give either 'prompt' or 'prompts'"),
        ("- error: 529", "- {}", "agents.main.steps[1]: give either 'content' or 'error'"),
        ("runs: [", "runs: [[", "script.yaml: "),
    ],
)
def test_a_mistake_in_a_scenario_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT.replace(old, new), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert said in str(caught.value)


def test_a_streamed_answer_is_a_whole_message(scenario: Scenario) -> None:
    with StandIn(scenario, {"cwd": "/home/dev/shop"}) as standin:
        body = request("Count. The job has ID: b1", stream=True)
        status, kind, text = post(standin, "/v1/messages?beta=true", body)
    assert (status, kind) == (200, "text/event-stream; charset=utf-8")
    events = read_stream(text)
    assert [event["type"] for event in events] == [
        "message_start",
        *["content_block_start", "content_block_delta", "content_block_delta"],
        "content_block_stop",
        *["content_block_start", "content_block_delta", "content_block_stop"] * 2,
        "message_delta",
        "message_stop",
    ]
    inputs = [
        json.loads(event["delta"]["partial_json"])
        for event in events
        if event.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert inputs == [{"command": "cd /home/dev/shop"}, {"command": "kill b1"}]
    opening, closing = events[0]["message"], events[-2]
    assert opening["usage"]["output_tokens"] == 1
    assert opening["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 7,
        "ephemeral_1h_input_tokens": 11,
    }
    assert closing["usage"] == {
        "input_tokens": 3,
        "output_tokens": 40,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 18,
    }
    assert closing["delta"]["stop_reason"] == "tool_use"


def test_steps_play_in_order_and_errors_are_errors(scenario: Scenario) -> None:
    with StandIn(scenario) as standin:
        answers = [post(standin, "/v1/messages", request("Count.")) for _ in range(4)]
        assert standin.unplayed() == ["agent 'helper' played 0 of 1 steps"]
    assert [status for status, _, _ in answers] == [200, 529, 200, 400]
    assert json.loads(answers[1][2])["error"]["type"] == "overloaded_error"
    assert json.loads(answers[2][2])["content"] == [{"type": "text", "text": "Two."}]
    assert standin.problems == ["agent 'main' asked for step 4: none left"]


def test_agents_at_the_same_time_get_their_own_steps(scenario: Scenario) -> None:
    calls = [request("Count."), request("<reminder/> You count b.csv")]
    with StandIn(scenario) as standin, ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda body: post(standin, "/v1/messages", body)[2], calls))
    messages = [json.loads(text) for text in answers]
    assert messages[0]["content"][0]["type"] == "thinking"
    assert messages[1]["content"] == [{"type": "text", "text": "One."}]
    assert messages[1]["model"] == "claude-haiku-4-5-20251001"
    assert messages[0]["id"] != messages[1]["id"]


def test_a_side_request_costs_nothing_and_no_step(scenario: Scenario) -> None:
    with StandIn(scenario) as standin:
        _, _, text = post(standin, "/v1/messages", request("Count.", tools=[]))
        assert standin.played() == 0
    usage = json.loads(text)["usage"]
    assert [n for key, n in usage.items() if key.endswith("_tokens")] == [0, 0, 0, 0]


def test_the_rest_of_the_api_is_answered_harmlessly(scenario: Scenario) -> None:
    with StandIn(scenario) as standin:
        status, _, text = post(standin, "/v1/messages/count_tokens", request("Count."))
        assert status == 200
        assert json.loads(text)["input_tokens"] > 0
        assert post(standin, "/api/event_logging/batch", {})[0] == 200
        with urllib.request.urlopen(standin.url + "/v1/models", timeout=10) as answer:
            assert json.load(answer) == {"data": [], "has_more": False}
        assert standin.played() == 0


@pytest.mark.parametrize(
    "text",
    [
        "see /root/.cache/x",
        '"cwd":"/opt/tool/bin"',
        "at /home/alice/project",
        "/tmp/abc123",
        "mail jo@example.com",
        "by mynoreply@anthropic.com",
        "key sk-ant-api03-x",
        "on host builder7.",
    ],
)
def test_a_trace_of_the_machine_is_found(text: str) -> None:
    assert len(leaks(text, host="builder7")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "/home/dev/shop/a.py and /home/dev/tmp/claude-0",
        "/Volumes/main/sales/landing/orders",
        "src/opt/x and ./tmp/y and **/root/*.py",
        "https://127.0.0.1:4000/docs/work",
        "builder7x",
        "Co-Authored-By: Claude <noreply@anthropic.com>",
    ],
)
def test_neutral_text_is_no_leak(text: str) -> None:
    assert leaks(text, host="builder7") == []


def test_rewriting_takes_the_longest_path_first() -> None:
    text = rewrite("/tmp/x/home/a /tmp/x/b", {"/tmp/x": "/home/dev", "/tmp/x/home": "/home/dev"})
    assert text == "/home/dev/a /home/dev/b"
    assert leaks(text, host="") == []


@pytest.mark.parametrize(
    "folder", [RECORDINGS, LOSSY_RECORDINGS, TRACES, EXAMPLE_TRACES], ids=lambda f: f.name
)
def test_nothing_of_the_machine_is_left_in_what_is_committed(folder: Path) -> None:
    assert list(folder.rglob("*.json*"))
    # Any word may be the name of the machine that runs the tests, hence no host.
    assert check_tree(folder, host="") == []


@pytest.mark.parametrize("folder", RECORDED, ids=lambda path: path.name)
def test_each_recording_agrees_with_the_cli(folder: Path) -> None:
    assert compare(folder) == []
    assert sum(cli_totals(folder).values()) > 0


@pytest.mark.parametrize("folder", LOSSY, ids=lambda path: path.name)
def test_a_lossy_recording_lacks_output_tokens_only(folder: Path) -> None:
    (difference,) = compare(folder)
    assert difference.startswith("output_tokens: transcript ")
    assert transcript_totals(folder)["output_tokens"] < cli_totals(folder)["output_tokens"]


def test_the_comparison_sees_a_lost_message(tmp_path: Path) -> None:
    source = RECORDINGS / "subagent"
    (transcript,) = source.glob("*.jsonl")
    for path in (transcript, source / "result.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert transcript_totals(tmp_path) != transcript_totals(source)
    assert compare(tmp_path)[0].startswith("input_tokens: transcript ")


@pytest.mark.parametrize("trace", sorted(EXAMPLE_TRACES.glob("*.jsonl")), ids=lambda p: p.stem)
def test_example_traces_are_the_recorded_demos(trace: Path) -> None:
    (recorded,) = (RECORDINGS / trace.stem).glob("*.jsonl")
    assert trace.read_bytes() == recorded.read_bytes()
    beside = {p.name: p.read_bytes() for p in trace.with_suffix("").rglob("agent-*")}
    assert beside == {p.name: p.read_bytes() for p in recorded.with_suffix("").rglob("agent-*")}


def test_every_recording_has_the_trace_that_mlflow_made_of_it() -> None:
    assert {path.stem for path in TRACES.glob("*.json")} == {path.name for path in RECORDED}


@pytest.mark.parametrize("folder", RECORDED, ids=lambda path: path.name)
def test_each_trace_was_made_of_the_recording_as_committed(folder: Path) -> None:
    info = json.loads((TRACES / f"{folder.name}.json").read_text(encoding="utf-8"))["info"]
    session = info["trace_metadata"]["mlflow.trace.session"]
    transcript = (folder / f"{session}.jsonl").read_text(encoding="utf-8")
    noted = {milliseconds(stamp) for stamp in re.findall(r'"timestamp":"([^"]+)"', transcript)}
    # MLflow takes the time through a float, which can cost a millisecond.
    began = milliseconds(info["request_time"])
    assert noted & {began - 1, began, began + 1}


def test_a_home_that_is_not_the_recorders_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    monkeypatch.setenv("CLAUDE_BIN", "/bin/false")
    before = (RECORDINGS / "PROVENANCE.md").read_bytes()
    assert main(["plain", "--home", str(tmp_path)]) == 1
    assert "was not made by the recorder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
    assert (RECORDINGS / "PROVENANCE.md").read_bytes() == before


def test_a_home_of_the_recorders_is_emptied(tmp_path: Path) -> None:
    home = tmp_path / "dev"
    claim_home(home)
    (home / "left.txt").touch()
    claim_home(home)
    assert not (home / "left.txt").exists()


def test_the_mcp_server_speaks_enough_of_the_protocol() -> None:
    answer = mcp_databricks.answer
    assert answer({"method": "notifications/initialized"}) is None
    listed = answer({"id": 1, "method": "tools/list"})
    assert listed is not None
    assert [tool["name"] for tool in listed["tools"]] == ["execute_sql", "create_pipeline"]
    params = {"name": "create_pipeline", "arguments": {"catalog": "prod"}}
    refused = answer({"id": 2, "method": "tools/call", "params": params})
    assert refused is not None
    assert refused["isError"] is True
