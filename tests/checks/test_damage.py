"""Damaged evidence never turns a `fail` or an `unknown` into a `pass`.

Over the recordings: a line cut in its middle, a tool's result, its error flag or a figure of usage
replaced by noise. What each session is judged by is derived from what it did, so that it fails.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from skilltrace_mlflow.tools import tool_category
from tests.checks.judging import judge

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
FILES = sorted(path for path in RECORDINGS.glob("*/*.jsonl"))
NOISE: tuple[Any, ...] = ("\ufffd#7", None, -3, [[]], {"a": "b"})
_READ_BY_SHAPE = ("is_error", "output_tokens", "usage", "toolUseResult")


def demands(session: Session) -> list[tuple[str, Any]]:
    """Expectations that the session breaks, or of which it leaves open whether it does."""
    names = Counter(call.name for call in session.tool_calls)
    found: list[tuple[str, Any]] = [
        *(("banned_tools", [name]) for name in names),
        *(("tool_count", {name: number - 1}) for name, number in names.items()),
        *(("category_limits", {tool_category(name): 0}) for name in names),
        *(("banned_skills", [skill.name]) for skill in session.skills),
        *(("token_budget", {key: 0}) for key in ("max_input", "max_output", "max_total")),
        ("tool_errors", {"max": 0}),
        ("permission_denials", {"max": 0}),
        ("repeated_calls", {"max_identical": 1}),
        ("subagents", {"max": 0}),
        ("turn_limit", {"max_turns": 1}),
        ("duration", {"max_seconds": 0.001}),
        ("cost_budget", {"max_usd": 0}),
        ("file_scope", {"allowed": ["nowhere/**"]}),
        ("file_existence", ["*.none"]),
        ("required_tools", ["NeverCalled"]),
    ]
    lines = [str((call.input or {}).get("command", "")) for call in session.tool_calls]
    programs = {line.split()[0] for line in lines if line.split() and line.split()[0].isalpha()}
    found.extend(("banned_tools", [program]) for program in sorted(programs))
    return found


def verdicts(session: Session, asked: list[tuple[str, Any]]) -> list[str]:
    """The verdicts of expectations, in order."""
    return [str(judge(name, value, session).verdict) for name, value in asked]


def cut(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each line in turn cut in its middle, with all that follows it left as it is."""
    for at, line in enumerate(lines):
        yield f"line {at + 1} cut", [*lines[:at], line[: len(line) // 2], *lines[at + 1 :]]


def noisy(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Twenty lines or so, each with a result, a flag or a figure replaced by noise."""
    for at, line in list(enumerate(lines))[:: len(lines) // 20 + 1]:
        for key in ("content", "is_error", "input_tokens", "output_tokens", "stop_reason", "usage",
                    "timestamp", "input", "name", "toolUseResult"):  # fmt: skip
            for noise in NOISE if key in _READ_BY_SHAPE else NOISE[:2]:
                entry = json.loads(line)
                if replaced(entry, key, noise):
                    yield (
                        f"line {at + 1}: {key} = {noise!r}",
                        [*lines[:at], json.dumps(entry), *lines[at + 1 :]],
                    )


def replaced(value: Any, key: str, noise: Any) -> bool:
    """Replace what stands under a key, wherever it does; whether anything was replaced."""
    done = False
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and (key != "content" or value.get("type") == "tool_result"):
                value[name] = noise
                done = True
            else:
                done = replaced(item, key, noise) or done
    elif isinstance(value, list):
        for item in value:
            done = replaced(item, key, noise) or done
    return done


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("damage", [cut, noisy])
def test_damage_turns_nothing_into_a_pass(path: Path, damage: Any) -> None:
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    whole = parse_transcript(lines)
    asked = demands(whole)
    before = verdicts(whole, asked)
    asked = [ask for ask, verdict in zip(asked, before, strict=True) if verdict != "pass"]
    before = [verdict for verdict in before if verdict != "pass"]
    wrong = []
    for what, damaged in damage(lines):
        try:
            session = parse_transcript(damaged)
        except SkillTraceError:
            continue  # refused, with a reason
        after = verdicts(session, asked)
        wrong += [
            f"{what}: {ask} was {old}, is pass"
            for ask, old, new in zip(asked, before, after, strict=True)
            if new == "pass"
        ]
    assert not wrong, f"{len(wrong)} of them: " + "\n".join(wrong[:8])


@pytest.mark.parametrize("name", ["failing-bash", "interrupted", "skills", "subagent"])
def test_a_damaged_last_line_is_said(name: str) -> None:
    """Behind it stands nothing by whose links to it the gap could be found."""
    (path,) = (RECORDINGS / name).glob("*.jsonl")
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    at = max(n for n, line in enumerate(lines) if '"type":"assistant"' in line)
    entry = json.loads(lines[at])
    block = {"type": "tool_use", "id": "toolu_last", "input": {"command": "rm -rf x"}}
    entry["message"]["content"] = [{**block, "name": "Bash"}]
    whole = json.dumps(entry)
    nameless = json.dumps({**entry, "message": {**entry["message"], "content": [block]}})
    del block["type"]
    typeless = json.dumps({**entry, "message": {**entry["message"], "content": [block]}})
    ban = [("banned_tools", ["rm -rf", "Bash"])]
    assert verdicts(parse_transcript([*lines[:at], whole]), ban) == ["fail"]
    for last in (whole[: len(whole) // 2], nameless, typeless):
        session = parse_transcript([*lines[:at], last])
        assert session.incomplete
        assert verdicts(session, [("banned_tools", ["rm -rf"])]) != ["pass"]
