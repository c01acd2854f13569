"""Compare the reader with figures that were counted independently of it.

    python benchmarks/agree_with_answers.py DIR

DIR holds transcripts and an `ANSWERS.json`: per file the tokens (over all assistant lines of the
file, side chains included; sub-agents in progress entries apart), calls by name, results with and
without `is_error`, files, prompts, API messages, unreadable lines, calls without a result. Ends
with 1 if any file differs.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.session import MAIN_AGENT, Session, TokenUsage, ToolCall
from skilltrace_mlflow.sources.transcript.reader import parse_transcript


def progress_agents(path: Path) -> set[str]:
    """Ids of the sub-agents whose messages stand in progress entries."""
    found = set()
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        data = entry.get("data") if isinstance(entry, dict) else None
        if isinstance(data, dict) and data.get("type") == "agent_progress":
            found.add(data.get("agentId"))
    return found


def tokens(session: Session, agents: set[str], *, inside: bool) -> TokenUsage:
    """Sum over the steps of these agents, or of all others."""
    steps = (step.usage for step in session.steps if (step.agent in agents) == inside)
    return sum(steps, TokenUsage())


def is_receipt(call: ToolCall) -> bool:
    """Whether the call's own result only said that its work went on in the background."""
    launched = call.details.get("status") in ("async_launched", "remote_launched")
    return launched or "background_task_id" in call.details


def observed(path: Path) -> dict[str, Any]:
    """The figures of one file in the shape of the answers."""
    session = parse_transcript(path)
    agents = progress_agents(path)
    usage = tokens(session, agents, inside=False)
    nested = tokens(session, agents, inside=True)
    calls = [call for call in session.tool_calls if call.agent not in agents]
    # The answers count results; a receipt for work in the background is one, whatever came of it.
    outcomes = Counter("succeeded" if is_receipt(call) else call.outcome for call in calls)
    no_result = sum(1 for call in calls if call.load_result is None)
    paths: dict[str, set[str]] = {"create": set(), "edit": set(), "read": set()}
    for operation in session.files:
        if operation.agent not in agents:
            paths[operation.type].add(operation.file_path)
    prompts = [m for m in session.messages if m.role == "user" and m.agent == MAIN_AGENT]
    # The answers count no slash commands; the reader counts one that a session began with.
    prompts = prompts[1:] if prompts and prompts[0].text.startswith("/") else prompts
    steps_apart = sum(1 for step in session.steps if step.agent in agents)
    bad = [d for d in session.diagnostics if "JSON" in d.message or "last line is cut" in d.message]
    progress: dict[str, Any] = {
        "messages": steps_apart,
        "tool_calls": sum(1 for call in session.tool_calls if call.agent in agents),
        "tokens": {},
    }
    if steps_apart:
        progress["tokens"] = {
            "input_tokens": nested.input_tokens,
            "output_tokens": nested.output_tokens,
            "cache_creation_input_tokens": nested.cache_creation_input_tokens,
            "cache_read_input_tokens": nested.cache_read_input_tokens,
        }
    return {
        "tokens": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_creation": usage.cache_creation_input_tokens,
            "cache_read": usage.cache_read_input_tokens,
            "cache_creation_1h": usage.cache_creation_1h_input_tokens,
        },
        "tool_calls": len(calls),
        "tool_calls_by_name": dict(Counter(call.name for call in calls)),
        "tool_ok": outcomes["succeeded"],
        "tool_errors": outcomes["failed"] + outcomes["denied"] + outcomes["interrupted"],
        "files_created": sorted(paths["create"]),
        "files_modified": sorted(paths["edit"]),
        "files_read": sorted(paths["read"]),
        "prompts": len(prompts),
        "api_messages": len(session.steps) - steps_apart,
        "progress_subagents": progress,
        "bad_lines": len(bad),
        "tool_calls_without_result": no_result,
    }


def expected(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer in the shape of `observed`."""
    names = (
        "tool_calls",
        "tool_calls_by_name",
        "tool_ok",
        "tool_errors",
        "files_created",
        "files_modified",
        "files_read",
        "api_messages",
        "progress_subagents",
        "bad_lines",
        "tool_calls_without_result",
    )
    shaped = {name: answer[name] for name in names}
    shaped["tokens"] = {k: v for k, v in answer["tokens"].items() if k != "cache_creation_5m"}
    shaped["prompts"] = answer["user_prompts"] + answer["queued_prompts_as_attachment"]
    return shaped


def main(arguments: list[str]) -> int:
    """Print the differences, file by file, and the sum."""
    folder = Path(arguments[0])
    answers = json.loads((folder / "ANSWERS.json").read_text(encoding="utf-8"))
    agreed = 0
    for name, answer in sorted(answers.items()):
        want = expected(answer)
        try:
            have = observed(folder / name)
        except SkillTraceError as error:
            print(f"{name}: {error}")
            continue
        differences = [key for key in want if want[key] != have[key]]
        agreed += not differences
        for key in differences:
            print(f"{name}: {key}: answer {want[key]}, reader {have[key]}")
    print(f"{agreed} of {len(answers)} files agree")
    return 0 if agreed == len(answers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
