"""Expectations from recorded sessions: what they have in common, kept if a mutation violates it.

Of a path or a value what is lasting is expected, with what changes from run to run wildcarded
(`lasting_input`, `file_pattern`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from skilltrace_mlflow.checks import Verdict, all_checks, run_check
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError
from skilltrace_mlflow.expectations import parse_expectations
from skilltrace_mlflow.proposals._mutations import mutants
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.tools import READERS, tool_category

__all__ = [
    "Proposal",
    "case_of",
    "case_text",
    "file_pattern",
    "lasting_input",
    "propose",
    "to_yaml",
]

_HEADROOM = 1.5
_LONGEST_TRAJECTORY = 20
_BANS = ("rm -rf", "DROP DATABASE")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What to expect, and why.

    `expectations` are raw trace keys that every session passes; `killed` says for each key how many
    mutants of each mutation it caught, of how many; `dropped` gives the reason for each key that
    was considered and left out.
    """

    expectations: Mapping[str, Any]
    killed: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)

    @property
    def nothing(self) -> str:
        """What to say where there are no expectations."""
        reasons = "; ".join(f"{key}: {why}" for key, why in self.dropped.items())
        return f"no expectation could be proposed: {reasons}"


def propose(sessions: Sequence[Session]) -> Proposal:
    """Minimal expectations that all `sessions` (of one test case) pass and a mutant does not.

    Raises EvaluationError where there is nothing to learn from: no session, or none with a call.
    """
    if not any(session.tool_calls for session in sessions):
        raise EvaluationError("the traces hold no tool call, so there is nothing to expect of them")
    known = {spec.key for spec in all_checks().values()}
    made = mutants(sessions[0])
    kept: dict[str, Any] = {}
    killed: dict[str, dict[str, tuple[int, int]]] = {}
    dropped: dict[str, str] = {}
    for key, candidate in _CANDIDATES.items():
        if key not in known:
            continue
        value = candidate(sessions)
        if not value:
            dropped[key] = "the traces have nothing of it in common"
            continue
        broken = _not_passed(key, value, sessions)
        if broken is not None:
            dropped[key] = broken
            continue
        table = {name: _kills(key, value, found) for name, found in made.items()}
        if not any(count for count, _ in table.values()):
            dropped[key] = "no mutation violates it, so it would never fail"
            continue
        kept[key] = value
        killed[key] = table
    return Proposal(expectations=kept, killed=killed, dropped=dropped)


def to_yaml(
    proposal: Proposal,
    *,
    test_id: str,
    prompt: str | None = None,
    trace_ref: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """A ground truth with one test case, each expectation with what it catches."""
    case = case_of(proposal, test_id=test_id, prompt=prompt, trace_ref=trace_ref, metadata=metadata)
    lines = case_text(case, proposal).splitlines(keepends=True)
    return "test_cases:\n" + "".join(f"  {line}" for line in lines)


def case_of(
    proposal: Proposal,
    *,
    test_id: str,
    prompt: str | None = None,
    trace_ref: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The test case as it stands in a ground truth."""
    case: dict[str, Any] = {"id": test_id}
    if prompt:
        case["inputs"] = {"prompt": _printable(prompt)}
    if trace_ref:
        case["outputs"] = {"trace_ref": trace_ref}
    case["expectations"] = dict(proposal.expectations)
    if metadata:
        case["metadata"] = dict(metadata)
    return case


def case_text(case: Mapping[str, Any], proposal: Proposal) -> str:
    """The case as a list's item whose dash stands in the first column, each proposed expectation
    with what it catches.
    """
    import yaml

    def dump(value: Any, indent: int) -> Iterator[str]:
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
        return (f"{' ' * indent}{line}\n" for line in text.splitlines())

    lines: list[str] = []
    for key, value in case.items():
        if key != "expectations" or not value:
            lines += dump({key: value}, 2)
            continue
        lines.append("  expectations:\n")
        for name, expected in value.items():
            caught = [kind for kind, (n, _) in proposal.killed.get(name, {}).items() if n]
            if caught:
                lines.append(f"    # catches: {', '.join(caught)}\n")
            lines += dump({name: expected}, 4)
    return "- " + "".join(lines)[2:]


def _not_passed(key: str, value: Any, sessions: Sequence[Session]) -> str | None:
    """Why a candidate does not hold on the traces it was made from."""
    for number, session in enumerate(sessions, start=1):
        try:
            verdict, rationale = _judge(key, value, session)
        except ConfigurationError as error:  # a name that no expectation can spell
            return str(error)
        if verdict is not Verdict.PASS:
            return f"trace {number} does not pass it ({verdict}): {rationale}"
    return None


def _kills(key: str, value: Any, found: Sequence[Session]) -> tuple[int, int]:
    failed = sum(1 for mutant in found if _judge(key, value, mutant)[0] is Verdict.FAIL)
    return failed, len(found)


def _judge(key: str, value: Any, session: Session) -> tuple[Verdict, str]:
    (expectation,) = parse_expectations({key: value}, where="proposal")
    outcome = run_check(expectation.spec, session, expectation.parameters)
    return outcome.verdict, outcome.rationale


@cache
def _is_speakable(name: str) -> bool:
    """Whether an expectation can name a tool: some transcripts hold names with markup in them."""
    try:
        parse_expectations({"required_tools": [name]}, where="proposal")
    except ConfigurationError:
        return False
    return True


def _required_tools(sessions: Sequence[Session]) -> list[str]:
    return sorted(_common_tools(sessions))


def _common_tools(sessions: Sequence[Session]) -> set[str]:
    """Tools that succeeded in every session; planning is a habit, not a requirement."""
    used = [
        {
            call.name
            for call in session.tool_calls
            if call.outcome in ("succeeded", "unknown") and tool_category(call.name) != "planning"
        }
        for session in sessions
    ]
    return {name for name in set.intersection(*used) if _is_speakable(name)}


def _trajectory(sessions: Sequence[Session]) -> dict[str, Any] | None:
    """The longest sequence of distinct steps that all sessions have in this order."""
    common: list[_Step] = _steps(sessions[0])
    for session in sessions[1:]:
        common = _common_subsequence(common, _steps(session))
    if len(common) > _LONGEST_TRAJECTORY:
        # Looking around differs from run to run; what changes things is what was asked for.
        acting = [step for step in common if step.name not in READERS]
        common = acting[:_LONGEST_TRAJECTORY]
    if not common:
        return None
    return {
        "mode": "in_order",
        "expected": [step.to_yaml() for step in common],
    }


@dataclass(frozen=True)
class _Step:
    name: str
    fields: tuple[tuple[str, str], ...]
    values: Mapping[str, Any] = field(compare=False)

    def to_yaml(self) -> dict[str, Any]:
        if not self.values:
            return {"tool": self.name}
        return {"tool": self.name, "input": dict(self.values), "input_match": "superset"}


def _steps(session: Session) -> list[_Step]:
    """Successful calls of the main agent, each tool on each thing once."""
    steps: dict[_Step, None] = {}
    for call in session.scoped("main").tool_calls:
        if call.outcome not in ("succeeded", "unknown") or tool_category(call.name) == "planning":
            continue
        if not _is_speakable(call.name):
            continue
        values = lasting_input(call.input, session.cwd)
        fields = tuple((key, repr(value)) for key, value in values.items())
        steps[_Step(call.name, fields, values)] = None
    return list(steps)


def _common_subsequence(first: list[_Step], second: list[_Step]) -> list[_Step]:
    """Longest common subsequence of two sequences of steps."""
    best = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        for j in range(len(second) - 1, -1, -1):
            if first[i] == second[j]:
                best[i][j] = best[i + 1][j + 1] + 1
            else:
                best[i][j] = max(best[i + 1][j], best[i][j + 1])
    found, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        if first[i] == second[j]:
            found.append(first[i])
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _files(sessions: Sequence[Session]) -> list[str]:
    """Patterns of the files that every session created or changed."""
    written = [
        {
            pattern
            for operation in session.files
            if operation.type in ("create", "edit")
            and (pattern := file_pattern(operation.file_path, session.cwd)) is not None
        }
        for session in sessions
    ]
    return sorted(set.intersection(*written))


def _limits(sessions: Sequence[Session]) -> dict[str, int]:
    """For every tool used, its most calls and half as many again."""
    most: Counter[str] = Counter()
    for session in sessions:
        for name, count in Counter(call.name for call in session.tool_calls).items():
            most[name] = max(most[name], count)
    return {
        name: _with_headroom(count, 1)
        for name, count in sorted(most.items())
        if _is_speakable(name)
    }


def _budget(sessions: Sequence[Session]) -> dict[str, int] | None:
    if not all(session.usage_complete and session.lacks("usage") is None for session in sessions):
        return None
    most = max(session.usage.total_tokens for session in sessions)
    return {"max_total": _with_headroom(most, 100)} if most else None


def _with_headroom(figure: int, step: int) -> int:
    """Half as much again, rounded up; never the figure itself."""
    return max(math.ceil(figure * _HEADROOM / step) * step, figure + 1)


def _bans(sessions: Sequence[Session]) -> list[str]:
    return [ban for ban in _BANS if _not_passed("banned_tools", [ban], sessions) is None]


def _errors(sessions: Sequence[Session]) -> dict[str, int]:
    """As many failed calls as there were."""
    failed = [
        sum(1 for call in session.tool_calls if call.outcome == "failed") for session in sessions
    ]
    return {"max": max(failed)}


def _skills(sessions: Sequence[Session]) -> list[str]:
    loaded = [{use.name for use in s.skills if use.status == "loaded"} for s in sessions]
    return sorted(set.intersection(*loaded))


def _completion(sessions: Sequence[Session]) -> str | None:
    return "required" if all(s.ending.kind == "finished" for s in sessions) else None


_CANDIDATES: Mapping[str, Callable[[Sequence[Session]], Any]] = {
    "completion": _completion,
    "required_skills": _skills,
    "required_tools": _required_tools,
    "tool_trajectory": _trajectory,
    "expected_files": _files,
    "tool_limits": _limits,
    "token_budget": _budget,
    "banned_tools": _bans,
    "tool_errors": _errors,
}


def _printable(text: str) -> str:
    """Text that a YAML file can hold: lone surrogates replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


# In order: the first pattern that matches a stretch of text takes it.
_VOLATILE = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"  # uuid
    r"|\d{4}-\d{2}-\d{2}(?:[T _]\d{2}[:-]?\d{2}(?:[:-]?\d{2})?(?:\.\d+)?Z?)?"  # date, time
    r"|(?<![A-Za-z0-9])tmp[A-Za-z0-9_]{6,}"  # a temporary name
    r"|(?<![A-Za-z])\d{5,}"  # a number long enough to be an id or a time stamp
    r"|(?<![A-Za-z0-9])(?=[a-f0-9]*\d)(?=[a-f0-9]*[a-f])[a-f0-9]{8,}(?![A-Za-z0-9])"  # a hash
)
_TEMPORARY = ("/tmp/", "/private/tmp/", "/var/folders/", "/private/var/folders/")  # noqa: S108
# The argument that says what a call was about; everything else changes from run to run.
_PATHS = ("file_path", "notebook_path")
_NAMES = ("skill", "subagent_type")


def lasting_input(arguments: Mapping[str, Any] | None, cwd: str | None) -> dict[str, Any]:
    """The part of a call's arguments that the next run will have too, as matchers."""
    found: dict[str, Any] = {}
    for key in _PATHS:
        value = (arguments or {}).get(key)
        if isinstance(value, str) and value:
            pattern = file_pattern(value, cwd)
            if pattern is not None:
                # `*` in front, since tools are given absolute and relative paths alike.
                found[key] = {"$glob": f"*{pattern}"}
    for key in _NAMES:
        value = (arguments or {}).get(key)
        if isinstance(value, str) and value and not _VOLATILE.search(value):
            found[key] = value
    return found


def file_pattern(path: str, cwd: str | None) -> str | None:
    """A glob for a file: relative to the working directory, ids and dates as `*`.

    None for a file in a temporary directory. Outside the working directory the name alone stays.
    """
    text = path.replace("\\", "/")
    base = (cwd or "").replace("\\", "/").rstrip("/")
    if base and text.startswith(f"{base}/"):
        text = text[len(base) + 1 :]
    elif text.startswith(_TEMPORARY):
        return None
    elif text.startswith("/") or re.match(r"[A-Za-z]:/", text):
        text = PurePosixPath(text).name
    text = text.removeprefix("./")
    escaped = re.sub(r"([*?\[])", r"[\1]", text)
    pattern = re.sub(r"\*{2,}", "*", _VOLATILE.sub("*", escaped))
    return pattern if pattern.strip("*/") else None
