"""Graders of `claude plugin eval` as expectations.

What they mean was read off Claude Code 2.1.332: a regular expression is JavaScript's and minds the
case unless flagged, `tool_used` counts calls of exactly one tool (at least one, unless `min` says
otherwise), `target` and `focus` are the last message where nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import parse_expectations
from skilltrace_mlflow.expectations.responses import response_problems
from skilltrace_mlflow.text import cut

__all__ = ["GRADER", "translated"]

_COUNT = {"type": ["integer", "null"], "minimum": 0}
_OWN = {
    "type": {"type": "string"},
    "tool": {"type": "string"},
    "min": _COUNT,
    "max": _COUNT,
    "pattern": {"type": "string"},
    "flags": {"type": ["string", "null"]},
    "path": {"type": "string"},
}
GRADER: Mapping[str, Any] = {
    "type": "object",
    "properties": {**_OWN, "config": {"type": ["object", "null"], "properties": _OWN}},
}
"""What is read of a grader, whose settings stand in it or, in results, under `config`."""

_LAST = (None, "last_message")
_INLINE = "ims"


class _NoCheckError(Exception):
    """No check means what a grader says."""


def translated(graders: Sequence[Any], skill: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Keys of a test case for a case's graders, and in words those that no check means.

    The skill has to be loaded, although plugin eval leaves graders of its call out of the score;
    where a grader forbids it, it must not be.
    """
    found: dict[str, Any] = {}
    left_out = []
    skill_is_banned = False
    for item in graders:
        config = {**item, **(item.get("config") or {})}
        name, kind = str(item.get("name") or "?"), config.get("type")
        try:
            if _bans_the_skill(config, skill):
                skill_is_banned = True
                continue
            for key, value in _expectations(config, skill):
                _require_sense(key, value)
                _add(found, key, value)
        except _NoCheckError as error:
            left_out.append(f"grader {name!r} ({kind}) {error}")
    about: dict[str, Any] = {"required_skills": [skill]}
    if skill_is_banned:
        about = {"should_trigger": {"skill": skill, "expected": False}}
    return {**about, **found}, tuple(left_out)


def _bans_the_skill(config: Mapping[str, Any], skill: str) -> bool:
    match = config.get("input_match")
    return (
        config.get("type") == "tool_used"
        and config.get("tool") == "Skill"
        and config.get("max") == 0
        and (match is None or skill in str(match))
    )


def _expectations(config: Mapping[str, Any], skill: str) -> Iterator[tuple[str, Any]]:
    kind = config.get("type")
    if kind == "tool_used":
        yield from _tool_used(config, skill)
    elif kind == "regex":
        yield "expected_patterns", [_pattern(config)]
    elif kind == "file_exists" and config.get("exists") in (None, True):
        path = str(config.get("path") or "")
        # A bare name means any folder here, the working directory there.
        yield "expected_files", [path if "/" in path else f"./{path}"]
    elif kind == "llm" and config.get("focus") in _LAST:
        texts = (config.get(key) for key in ("criteria", "rubric", "graderMarkdown", "text"))
        text = next((t.strip() for t in texts if isinstance(t, str) and t.strip()), None)
        if text is None:
            raise _NoCheckError("has no criteria")
        yield "assertions", [text]
    else:
        raise _NoCheckError("has no check that means the same")


def _tool_used(config: Mapping[str, Any], skill: str) -> Iterator[tuple[str, Any]]:
    tool, match = config.get("tool"), config.get("input_match")
    most = config.get("max")
    least = config.get("min")
    if not isinstance(tool, str) or not tool:
        raise _NoCheckError("names no tool")
    if match is not None and not (tool == "Skill" and skill in str(match)):
        raise _NoCheckError("has no check that means the same: input_match is matched with JSON")
    least = (0 if most == 0 else 1) if least is None else least
    if tool == "Skill" and most is None and least <= 1:
        return  # required_skills says which one it has to be
    if least == 1 and most is None:
        yield "required_tools", [tool]
    elif least or most is not None:
        if most == 0 and not least:
            yield "tool_limits", {tool: 0}
        else:
            limits = {"min": least or None, "max": most}
            yield "tool_limits", {tool: {k: v for k, v in limits.items() if v is not None}}


def _pattern(config: Mapping[str, Any]) -> dict[str, Any]:
    pattern, flags = config.get("pattern"), str(config.get("flags") or "")
    if not isinstance(pattern, str) or not pattern:
        pattern = config.get("text")  # a grader of its own file has it there
    if not isinstance(pattern, str) or not pattern:
        raise _NoCheckError("has no pattern")
    if config.get("target") not in _LAST:
        raise _NoCheckError("has no check that means the same: it does not look at the response")
    if "y" in flags:
        raise _NoCheckError("has no check that means the same: the flag y")
    inline = "".join(flag for flag in _INLINE if flag in flags)
    # Patterns here do not mind the case by themselves.
    text = f"(?{inline}){pattern}" if "i" in flags else f"(?{inline}-i:{pattern})"
    how = config.get("match") or "contains"
    if how == "contains":
        return {"pattern": text}
    if how == "not_contains":
        return {"pattern": text, "max_count": 0}
    count = str(how).removeprefix("count:")
    if how == f"count:{count}" and count.isdecimal():
        return {"pattern": text, "min_count": int(count), "max_count": int(count)}
    raise _NoCheckError(f"has no check that means the same: match {how!r}")


def _require_sense(key: str, value: Any) -> None:
    """Raise _NoCheckError for what this package would refuse: another dialect, a slip."""
    try:
        parse_expectations({key: value})
        problem = next(response_problems({key: value}), None)
    except ConfigurationError as error:
        raise _NoCheckError(f"cannot be read here: {cut(str(error), 200)}") from None
    if problem is not None:
        raise _NoCheckError(f"cannot be read here: {cut(problem[1], 200)}")


def _add(found: dict[str, Any], key: str, value: Any) -> None:
    if key not in found:
        found[key] = value
    elif isinstance(value, list):
        found[key] += [item for item in value if item not in found[key]]
    else:
        for tool, limit in value.items():
            if found[key].setdefault(tool, limit) != limit:
                raise _NoCheckError(f"says something else of {tool} than another one")
