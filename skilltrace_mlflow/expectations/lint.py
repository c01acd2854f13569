"""Finds expectations that can never pass, can never fail, or are never judged.

Loading refuses what is wrong in itself; here two values contradict each other, or a value asks for
nothing. What `validate` prints beyond the errors of loading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import ParameterError, Selector, all_checks, parse_selector
from skilltrace_mlflow.expectations._merge import split_scope
from skilltrace_mlflow.expectations._parse import parse_expectations
from skilltrace_mlflow.expectations.ground_truth import TestCase
from skilltrace_mlflow.expectations.manifest import Manifest
from skilltrace_mlflow.expectations.names import GATE_GROUPS
from skilltrace_mlflow.responses import all_responses

__all__ = ["Findings", "lint"]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """`problems` can never come out right; `notices` are remarks."""

    problems: tuple[str, ...]
    notices: tuple[str, ...]


def lint(manifest: Manifest, cases: Sequence[TestCase]) -> Findings:
    """Contradictions in what is expected, of the manifest alone and of each test merged with it."""
    problems: list[str] = []
    own = f"{manifest.path or manifest.name}"
    base = list(_contradictions(manifest.trace_expectations))
    base += [
        f"session_expectations: {text}" for text in _contradictions(manifest.session_expectations)
    ]
    problems += [f"{own}: {text}" for text in base]
    notices = list(manifest.notices)
    layers = (manifest.trace_expectations, manifest.session_expectations)
    remarks = [text for raw in layers for item in parse_expectations(raw) for text in item.remarks]
    notices += [f"{own}: {text}" for text in remarks]
    for case in cases:
        place = f"{case.path}:{case.line}: test {case.id!r}"
        found = [
            *_contradictions(case.trace_expectations),
            *_response_contradictions(case.response_expectations),
        ]
        if case.trace_ref is not None and not Path(case.trace_ref).is_file():
            found.append(f"outputs.trace_ref: there is no file {case.trace_ref}")
        problems += [f"{place}: {text}" for text in found if text not in base]
        notices += case.notices
        asked = (*case.expectations, *case.session_expectations)
        found = [text for item in asked for text in item.remarks if text not in remarks]
        notices += [f"{place}: {text}" for text in found]
    notices += [f"{own}: {text}" for text in _never_judged(manifest, cases)]
    if not cases:
        notices.append(f"{own}: there are no test cases")
    return Findings(problems=tuple(dict.fromkeys(problems)), notices=tuple(dict.fromkeys(notices)))


def _contradictions(raw: Mapping[str, Any]) -> Iterator[str]:
    flat = {
        spec.key: _value(spec.key, raw[spec.key])
        for spec in all_checks().values()
        if raw.get(spec.key)
    }
    wanted = list(_wanted(flat))
    lifted = {" ".join(text.split()) for text in raw.get("ban_exceptions") or ()}
    bans = [b for b in _texts(flat.get("banned_tools")) if " ".join(b.split()) not in lifted]
    for ban in bans:
        for key, tool in wanted:
            if _covers(ban, tool):
                yield f"{key} wants {tool!r}, which banned_tools bans ({ban!r}): can never pass"
    limits = _limits(flat.get("tool_limits"))
    counts: dict[str, int] = {}
    for step in _steps(flat.get("tool_trajectory")):
        counts[step] = counts.get(step, 0) + 1
    for tool, (least, most) in limits.items():
        if least == 0 and most is None:
            yield f"tool_limits.{tool}: a minimum of 0 can never fail"
        for ban in bans:
            if least and _covers(ban, tool):
                yield f"tool_limits wants {tool!r}, which banned_tools bans: can never pass"
        if most is None:
            continue
        for key, want in wanted:
            if most == 0 and _covers(tool, want):
                yield f"{key} wants {want!r}, which tool_limits allows 0 times: can never pass"
        needed = sum(count for step, count in counts.items() if _covers(tool, step))
        if needed > most > 0:
            yield (
                f"tool_trajectory has {needed} calls of {tool!r}, tool_limits allows {most}: "
                "can never pass"
            )
    both = set(_texts(flat.get("required_skills"))) & set(_texts(flat.get("banned_skills")))
    for name in sorted(both):
        yield f"{name!r} is in required_skills and in banned_skills: can never pass"
    yield from _subagents(flat.get("subagents"))
    yield from _turns(flat)
    yield from _files(flat)


def _subagents(value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    required, banned = _list(value.get("required")), _list(value.get("banned"))
    for name in sorted(set(required) & set(banned)):
        yield f"subagents: {name!r} is required and banned: can never pass"
    most = value.get("max")
    if isinstance(most, int) and len(set(required)) > most:
        yield f"subagents: {len(set(required))} are required, max is {most}: can never pass"


def _turns(flat: Mapping[str, Any]) -> Iterator[str]:
    limit = flat.get("turn_limit")
    most = limit.get("max_turns") if isinstance(limit, Mapping) else None
    if not isinstance(most, int):
        return
    for key in ("tool_trajectory", "expected_messages", "tool_sequence"):
        steps = _steps(flat.get(key)) if key != "tool_sequence" else _texts(flat.get(key))
        if len(steps) > most:
            yield (
                f"{key} has {len(steps)} calls, turn_limit allows {most} turns: can never pass "
                "unless calls are made in parallel"
            )


def _files(flat: Mapping[str, Any]) -> Iterator[str]:
    scope = flat.get("file_scope")
    forbidden = _list(scope.get("forbidden")) if isinstance(scope, Mapping) else []
    for pattern in _texts(flat.get("expected_files")):
        if pattern in forbidden:
            yield f"expected_files and file_scope.forbidden both name {pattern!r}: can never pass"


def _response_contradictions(raw: Mapping[str, Any]) -> Iterator[str]:
    facts = [text.casefold() for text in raw.get("expected_facts") or ()]
    for text in raw.get("unexpected_facts") or ():
        if any(text.casefold() in fact for fact in facts):
            yield f"{text!r} is in unexpected_facts and in expected_facts: can never pass"
    for item in raw.get("expected_patterns") or ():
        if isinstance(item, Mapping) and item.get("min_count") == 0 and "max_count" not in item:
            yield f"expected_patterns: {item['pattern']!r} may match 0 times or more: never fails"
            continue
        text = item if isinstance(item, str) else item["pattern"]
        if (isinstance(item, str) or not {"min_count", "max_count"} & set(item)) and all(
            re.search(text, sample) for sample in ("", "\0", "\n\0\n")
        ):
            yield f"expected_patterns: {text!r} matches in any text, even in none: never fails"
    skills, several = raw.get("expected_skills"), raw.get("is_multi_skill")
    if several is not None and skills is None:
        yield "is_multi_skill has no effect without expected_skills"
    elif several is not None and skills is not None and several != (len(set(skills)) > 1):
        yield (
            f"is_multi_skill is {str(several).lower()}, expected_skills names {len(set(skills))}: "
            "can never pass"
        )


def _never_judged(manifest: Manifest, cases: Sequence[TestCase]) -> Iterator[str]:
    """Checks that are listed or gated, with nothing expected anywhere."""
    expected = set(manifest.trace_expectations)
    answered: set[str] = set()
    for case in cases:
        expected |= set(case.trace_expectations)
        answered |= set(case.response_expectations)
        if isinstance(case.outputs.get("execution_success"), bool):
            answered.add("execution_success")
    checks = all_checks()
    responses = all_responses()

    of_sessions = {item.spec.name for case in cases for item in case.session_expectations}
    of_sessions |= {c.name for c in checks.values() if c.key in manifest.session_expectations}

    def judged(name: str) -> bool:
        if name in manifest.disabled:
            return False
        if name.startswith("session."):
            return name.removeprefix("session.") in of_sessions
        if name in checks:
            return checks[name].key in expected and checks[name].key not in manifest.disabled
        keys = tuple(responses[name].keys) if name in responses else ()
        if name == "execution_success":
            keys = ("execution_success",)
        if name == "no_hallucinated_apis":
            return True
        return not keys or bool(answered & set(keys))

    for name in dict.fromkeys((*manifest.enabled, *manifest.trace_scorers)):
        if name in manifest.disabled:
            continue
        if (name in checks or name in responses) and not judged(name):
            key = checks[name].key if name in checks else " or ".join(responses[name].keys)
            lacking = f" (no {key})" if key else ""
            yield f"{name} is listed but nothing is expected of it{lacking}: not applicable"
    for name in manifest.quality_gates:
        members = GATE_GROUPS.get(name, (name,))
        known = [m for m in members if m.removeprefix("session.") in {*checks, *responses}]
        if known and not any(judged(member) for member in known):
            yield f"quality_gates.{name}: no test expects anything of it, so the gate will fail"


def _wanted(flat: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every tool that must be called, and by which key."""
    for key in ("required_tools", "tool_sequence"):
        for text in _texts(flat.get(key)):
            yield key, text
    for key in ("tool_trajectory", "expected_messages"):
        for text in _steps(flat.get(key)):
            yield key, text


def _steps(value: Any) -> list[str]:
    """Tools of the steps that must happen, in a trajectory or in expected messages."""
    steps: list[Any] = []
    if isinstance(value, Mapping) and value.get("mode") != "subset":
        steps = _list(value.get("expected"))
    elif isinstance(value, list):
        for message in value:
            if isinstance(message, Mapping):
                steps += _list(message.get("tool_calls"))
    return [
        step["tool"]
        for step in steps
        if isinstance(step, Mapping) and isinstance(step.get("tool"), str)
        if not step.get("optional")
    ]


def _covers(ban: str, tool: str) -> bool:
    """Whether every call that `tool` means is one that `ban` means."""
    if " ".join(ban.split()) == " ".join(tool.split()):
        return True
    first, second = _selector(ban), _selector(tool)
    if first is None or second is None or first.specifier is not None or second.kind == "glob":
        return False
    return all(first.selects_name(name) for name in second.names)


def _selector(text: str) -> Selector | None:
    try:
        return parse_selector(text)
    except ParameterError:
        return None


def _limits(value: Any) -> dict[str, tuple[int, int | None]]:
    found: dict[str, tuple[int, int | None]] = {}
    for name, limit in value.items() if isinstance(value, Mapping) else ():
        if isinstance(limit, Mapping):
            found[name] = (limit.get("min", 0), limit.get("max"))
        elif isinstance(limit, int):
            found[name] = (0, limit)
    return found


def _value(key: str, value: Any) -> Any:
    """A check's value in its short form."""
    spec = next(spec for spec in all_checks().values() if spec.key == key)
    value, _ = split_scope(spec, value)
    if spec.main is not None and isinstance(value, Mapping):
        inner = value.get(spec.main)
        return inner if isinstance(inner, (list, Mapping)) else value
    return value


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
