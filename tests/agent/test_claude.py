"""The real Claude Code against the scripted model: every end, and figures equal to the CLI's."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from skilltrace_mlflow.agent import AgentOptions, ClaudeAgent, Run, Task
from skilltrace_mlflow.agent._place import changes, make_place, snapshot
from skilltrace_mlflow.agent._processes import _belonging, end_attempt
from skilltrace_mlflow.agent.records import Job, Record
from skilltrace_mlflow.agent.skill import skill_at
from tests.agent.conftest import SKILL
from tests.agent.model_server import Fault, ModelServer, Script, say, use

Serve = Callable[[Iterable[Script]], ModelServer]


@pytest.fixture
def attempt(tmp_path: Path, temporary: Path, claude: str) -> Callable[..., Run]:
    """Runs one task and checks that no process of it is left."""

    def run(prompt: str, *, stop_after: float | None = None, **values: object) -> Run:
        max_usd = values.pop("max_usd", None)
        binary = str(values.pop("binary", claude))
        options = AgentOptions(**{"timeout": 60.0, **values})  # type: ignore[arg-type]
        folder = tmp_path / "naming"
        folder.mkdir(exist_ok=True)
        (folder / "SKILL.md").write_text(SKILL, encoding="utf-8")
        place = make_place(options, skill_at(folder))
        record = tmp_path / "record"
        record.mkdir(exist_ok=True)
        stop = threading.Event()
        if stop_after is not None:
            threading.Timer(stop_after, stop.set).start()
        task = Task(
            prompt=prompt,
            session_id=str(uuid.uuid4()),
            place=place,
            record=record,
            options=options,
            max_usd=max_usd,  # type: ignore[arg-type]
            stop=stop,
        )
        before = snapshot(place.workspace)
        done = ClaudeAgent(binary).run(task)
        assert _belonging(str(place.base)) == []
        (record / "patch.diff").write_text(changes(before, snapshot(place.workspace, since=before)))
        return done

    return run


def test_a_finished_attempt_has_everything(
    attempt: Callable[..., Run], server: Serve, tmp_path: Path
) -> None:
    server(
        [
            Script(
                match="Name the table",
                steps=(
                    use("Skill", skill="naming"),
                    use("Write", file_path="name.txt", content="bronze_orders\n"),
                    use("Bash", command="false", description="fails"),
                    say("It is bronze_orders."),
                ),
            )
        ]
    )
    done = attempt("Name the table", allowed_tools=("Bash",))
    assert (done.end, done.exit_code, done.response) == ("finished", 0, "It is bronze_orders.")
    assert done.session is not None
    assert [c.name for c in done.session.tool_calls] == ["Skill", "Write", "Bash"]
    assert [c.outcome for c in done.session.tool_calls] == ["succeeded", "succeeded", "failed"]
    assert done.differing == ()
    assert done.session.usage.output_tokens == 80
    assert done.result is not None
    assert done.cost_usd == done.result["total_cost_usd"] > 0
    assert done.init is not None
    assert "naming" in done.init["skills"]
    patch = (tmp_path / "record" / "patch.diff").read_text()
    assert "+++ b/name.txt" in patch
    assert "+bronze_orders" in patch


def test_a_denial_is_told(attempt: Callable[..., Run], server: Serve) -> None:
    steps = (use("Bash", command="rm -rf /srv/x", description="d"), say("I may not."))
    server([Script(match="Delete it", steps=steps)])
    done = attempt("Delete it", permission_mode="dontAsk")
    assert (done.end, done.denials) == ("finished", ("Bash",))
    assert done.session is not None
    assert done.session.tool_calls[0].outcome == "denied"


def test_sub_agents_count(attempt: Callable[..., Run], server: Serve) -> None:
    server(
        [
            Script(match="Count the rows", steps=(say("One row."),)),
            Script(
                match="How many rows",
                steps=(
                    use(
                        "Agent",
                        description="count",
                        prompt="Count the rows of orders.csv",
                        subagent_type="general-purpose",
                        run_in_background=False,
                    ),
                    say("One."),
                ),
            ),
        ]
    )
    done = attempt("How many rows are there?")
    assert done.end == "finished"
    assert done.differing == ()
    assert done.session is not None
    assert len(done.session.subagents) == 1
    assert done.session.usage.output_tokens == 60


@pytest.mark.parametrize(
    ("step", "options", "end"),
    [
        (Fault(status=529), {}, "model_error"),
        (Fault(status=500), {}, "model_error"),
        (Fault(status=429), {}, "model_error"),
        (Fault(hang=60), {"timeout": 3.0}, "timed_out"),
        (use("Read", file_path="a.txt"), {"max_turns": 1}, "turn_limit"),
        (use("Read", file_path="a.txt"), {"max_usd": 0.000001}, "budget_limit"),
    ],
)
def test_ends_are_told_apart(
    attempt: Callable[..., Run],
    server: Serve,
    step: Fault,
    options: dict[str, object],
    end: str,
) -> None:
    server([Script(match="Go on", steps=(step, use("Read", file_path="b.txt"), say("Done.")))])
    done = attempt("Go on", **options)
    assert done.end == end, done
    assert done.reason


def test_a_refused_key_is_not_tried_for_minutes(
    attempt: Callable[..., Run], server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server([Script(match="Go on", steps=(Fault(status=401),))])
    monkeypatch.delenv("CLAUDE_CODE_MAX_RETRIES")
    done = attempt("Go on")
    assert done.end == "not_logged_in"


def test_without_a_key(
    attempt: Callable[..., Run], server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server([])
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    done = attempt("Go on")
    assert done.end == "not_logged_in"
    said, _, way_out = done.reason.partition("; ")
    assert said == "Not logged in · Please run /login"
    assert "no login" in way_out, "what the CLI advises does not help here"
    assert "ANTHROPIC_API_KEY" in way_out


def test_interrupted(attempt: Callable[..., Run], server: Serve) -> None:
    server([Script(match="Go on", steps=(Fault(hang=60),))])
    assert attempt("Go on", stop_after=1.5).end == "interrupted"


def test_without_its_server_an_attempt_says_nothing(
    attempt: Callable[..., Run], server: Serve
) -> None:
    server([Script(match="Go on", steps=(say("Done."),))])
    servers = {"sql": {"command": "/nonexistent/server", "args": []}}
    done = attempt("Go on", mcp_config={"mcpServers": servers})
    assert (done.end, done.reason) == (
        "setup_failed",
        "agent.mcp_config: the server 'sql' is not there: failed",
    )


def test_without_a_binary(attempt: Callable[..., Run]) -> None:
    done = attempt("Go on", binary="/nonexistent/claude")
    assert done.end == "missing_binary"


def test_a_binary_that_dies_in_the_middle(attempt: Callable[..., Run], tmp_path: Path) -> None:
    fake = tmp_path / "claude"
    init = json.dumps({"type": "system", "subtype": "init", "skills": []})
    fake.write_text(f"#!/bin/sh\necho '{init}'\nkill -9 $$\n")
    fake.chmod(0o755)
    done = attempt("Go on", binary=str(fake))
    assert (done.end, done.exit_code) == ("killed", -9)


RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "x"}
INIT = {"type": "system", "subtype": "init"}


@pytest.mark.parametrize(
    ("script", "end", "reason"),
    [
        ("echo 'usage: claude [options]' >&2; exit 1", "killed", "usage: claude"),
        ("exit 0", "killed", "without a result"),
        ("head -c 300000 /dev/urandom", "killed", "without a result"),
        ("printf '%0200000d' 0 | tr 0 '['; echo; seq 100000", "killed", "without a result"),
        ("head -c 200000 /dev/urandom >&2; exit 4", "killed", "exit code 4"),
        ("trap '' TERM INT; while :; do sleep 0.1; done", "timed_out", "took over 2 s"),
        ("exec cat /dev/zero", "killed", "printed over"),
        ("exec cat /dev/zero >&2", "killed", "printed over"),
    ],
)
def test_a_binary_that_is_none(
    attempt: Callable[..., Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    end: str,
    reason: str,
) -> None:
    monkeypatch.setattr("skilltrace_mlflow.agent.claude._MOST_PRINTED", 5_000_000)
    monkeypatch.setattr("skilltrace_mlflow.agent.claude._LONGEST_LINE", 1_000_000)
    fake = tmp_path / "claude"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    done = attempt("Go on", binary=str(fake), timeout=2.0 if end == "timed_out" else 60.0)
    assert done.end == end
    assert reason in done.reason
    assert len(done.reason) <= 300


@pytest.mark.parametrize(
    "line",
    [
        {**RESULT, "total_cost_usd": "much", "modelUsage": {"m": 5, "n": {"inputTokens": "1"}}},
        {**RESULT, "total_cost_usd": float("nan"), "permission_denials": 5},
        {**RESULT, "total_cost_usd": -1, "permission_denials": {"a": 1}, "modelUsage": []},
        {**RESULT, "is_error": True, "errors": 5, "result": None},
        {**INIT, "skills": 5, "tools": {"a": 1}, "model": [1], "claude_code_version": {}},
        {"type": {"a": 1}, "subtype": []},
    ],
)
def test_lines_of_another_shape_are_an_end_and_no_error(
    attempt: Callable[..., Run], tmp_path: Path, line: dict[str, object]
) -> None:
    fake = tmp_path / "claude"
    fake.write_text(f"#!/bin/sh\necho '{json.dumps(line)}'\n")
    fake.chmod(0o755)
    done = attempt("Go on", binary=str(fake))
    assert done.end in ("killed", "model_error")
    assert done.cost_usd is None
    job = Job(test_id="a", prompt="Go on", arm="with", attempt=1, index=0)
    hash(Record.of(job, "id", done, tmp_path))  # it is a key of what comes after


def test_a_last_word_holds_although_the_process_stays(
    attempt: Callable[..., Run], tmp_path: Path
) -> None:
    fake = tmp_path / "claude"
    stays = f"echo '{json.dumps(RESULT)}'; sleep 60"
    fake.write_text(f"#!/bin/sh\n{_transcript('Go')}{stays}\n")
    fake.chmod(0o755)
    assert attempt("Go on", binary=str(fake), timeout=2.0).end == "finished"


def test_who_goes_back_to_work_has_not_said_its_last_word(
    attempt: Callable[..., Run], tmp_path: Path
) -> None:
    fake = tmp_path / "claude"
    lines = "; ".join(f"echo '{json.dumps(line)}'" for line in (RESULT, {"type": "assistant"}))
    fake.write_text(f"#!/bin/sh\n{_transcript('Go')}{lines}; sleep 60\n")
    fake.chmod(0o755)
    assert attempt("Go on", binary=str(fake), timeout=2.0).end == "timed_out"


def _transcript(prompt: str) -> str:
    """Shell lines that write the transcript of a session with one prompt, where it belongs."""
    entry = {"type": "user", "message": {"role": "user", "content": prompt}}
    return (
        'id=; for a in "$@"; do [ "$p" = --session-id ] && id=$a; p=$a; done\n'
        'd="$CLAUDE_CONFIG_DIR/projects/x"; mkdir -p "$d"\n'
        f"echo '{json.dumps(entry)}' > \"$d/$id.jsonl\"\n"
    )


def test_an_older_binary_without_the_flags(attempt: Callable[..., Run], tmp_path: Path) -> None:
    fake = tmp_path / "claude"
    result = json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": "x"})
    fake.write_text(
        "#!/bin/sh\n"
        'for a in "$@"; do case "$a" in --max-*) '
        "echo \"error: unknown option '$a'\" >&2; exit 1;; esac; done\n"
        f"{_transcript('Go')}"
        f"echo '{result}'\n"
    )
    fake.chmod(0o755)
    done = attempt("Go on", binary=str(fake), max_turns=3, max_usd=1.0)
    assert done.end == "finished"
    assert done.notes == (
        "this version of Claude Code has no --max-budget-usd",
        "this version of Claude Code has no --max-turns",
    )


def test_what_is_left_running_is_ended(attempt: Callable[..., Run], server: Serve) -> None:
    command = "setsid sleep 300 >/dev/null 2>&1 & echo started"
    steps = (use("Bash", command=command, description="background"), say("Done."))
    server([Script(match="Start it", steps=steps)])
    done = attempt("Start it", allowed_tools=("Bash",))
    assert done.end == "finished"  # the fixture asserts that nothing of it runs any more


def test_only_what_is_allowed_passes_into_the_environment(
    attempt: Callable[..., Run], server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_SERVICE_TOKEN", "secret")
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    steps = (use("Bash", command="env | sort", description="d"), say("Done."))
    server([Script(match="Show it", steps=steps)])
    env = {"WANTED": None, "GIVEN": "value"}
    done = attempt("Show it", allowed_tools=("Bash",), env=env)
    assert done.session is not None
    shown = done.session.tool_calls[0].result or ""
    for line in ("WANTED=yes", "GIVEN=value", "https_proxy=http://127.0.0.1:9"):
        assert line in shown.splitlines()
    assert "OTHER_SERVICE_TOKEN" not in shown
    assert f"HOME={os.environ['HOME']}" not in shown.splitlines()


def test_a_command_that_ignores_termination_is_killed(tmp_path: Path) -> None:
    import subprocess

    process = subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM; while true; do sleep 0.1; done"],
        cwd=tmp_path,
        start_new_session=True,
    )
    time.sleep(0.3)
    end_attempt(process.pid, str(tmp_path), grace=0.3)
    assert process.wait(timeout=5) == -9
