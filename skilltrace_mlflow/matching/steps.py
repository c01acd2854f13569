"""Expected tool calls: one step of a trajectory, and whether an actual call is that step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from skilltrace_mlflow.errors import InputError, ParameterError
from skilltrace_mlflow.matching.selectors import Selector, selector_at
from skilltrace_mlflow.matching.values import ABSENT, check_value, difference, value_matches
from skilltrace_mlflow.session import CallOutcome, Session, ToolCall

__all__ = [
    "INPUT_MATCH",
    "STEP",
    "UNSET",
    "Alternative",
    "Step",
    "accepts",
    "differing_arguments",
    "output_meets",
    "parse_step",
]

UNSET: Any = object()
"""Value of what an expected call does not ask for."""

INPUT_MATCH: Mapping[str, Any] = {
    "anyOf": [
        {
            "enum": ["exact", "superset", "subset", "ignore"],
            "description": "All arguments as a whole.",
        },
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "string",
                "minLength": 1,
                "description": "An argument's name, or a path into it.",
            },
            "description": "These arguments alone.",
            "examples": [["file_path"]],
        },
    ],
    "description": "How arguments are compared; default exact.",
}
_TOOL: Mapping[str, Any] = {
    "type": "string",
    "minLength": 1,
    "description": "A tool, a glob or a permission rule.",
    "examples": ["Read"],
    "offer": "tools",
}
_OPTIONAL: Mapping[str, Any] = {
    "type": "boolean",
    "description": "Whether the call may be missing; default false.",
}
_CALL: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "tool": _TOOL,
        "input": {
            "type": "object",
            "description": "Its arguments: values or matchers.",
            "examples": [{"file_path": {"$glob": "*.sql"}}],
        },
        "output": {
            "description": "Its result: a value or a matcher.",
            "examples": [{"$contains": "ok"}],
        },
        "input_match": INPUT_MATCH,
        "outcome": {"enum": list(get_args(CallOutcome)), "description": "How it must end."},
        "max_duration_ms": {
            "type": "number",
            "minimum": 0,
            "description": "The most it may take, in milliseconds.",
            "examples": [5000],
        },
        "optional": _OPTIONAL,
    },
    "description": "A call, and what is asked of it.",
    "required": ["tool"],
    "additionalProperties": False,
}
STEP: Mapping[str, Any] = {
    "description": "A step.",
    "anyOf": [
        _TOOL,
        _CALL,
        {
            "type": "object",
            "properties": {
                "one_of": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"anyOf": [_TOOL, _CALL], "description": "A call that will do."},
                    "description": "Calls of which one is made.",
                },
                "optional": _OPTIONAL,
            },
            "description": "One call of several.",
            "examples": [{"one_of": ["Edit", "Write"]}],
            "required": ["one_of"],
            "additionalProperties": False,
        },
    ],
}


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One way in which a call can be the step; unset values ask nothing."""

    tool: Selector
    input: Any = UNSET
    input_match: str | tuple[str, ...] = "exact"
    output: Any = UNSET
    outcome: str | None = None
    max_duration_ms: float | None = None

    @cached_property
    def asked(self) -> Mapping[str, Any]:
        """The expected values of the fields that `input_match` names."""
        return {field: _lookup(self.input, field) for field in self.input_match}

    @cached_property
    def fields(self) -> tuple[tuple[str, Any], ...] | None:
        """Those fields with their values; None where no plain fields are named."""
        if not isinstance(self.input_match, tuple) or any(f[:1] == "$" for f in self.input_match):
            return None
        return tuple(self.asked.items())


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step: any of its alternatives will do; an optional one counts on neither side."""

    choices: tuple[Alternative, ...]
    optional: bool = False

    @property
    def by_name_only(self) -> bool:
        """Whether the name of a call's tool decides alone."""
        return all(
            choice.tool.specifier is None
            and choice.input is UNSET
            and choice.output is UNSET
            and choice.outcome is None
            and choice.max_duration_ms is None
            for choice in self.choices
        )

    @property
    def label(self) -> str:
        """For hits and misses."""
        return " | ".join(_label(choice) for choice in self.choices)


def parse_step(value: Any, input_match: Any, path: tuple[str | int, ...]) -> Step:
    """A step as written: a tool's name, `{tool, …}` or `{one_of: […]}`."""
    if isinstance(value, Mapping) and "one_of" in value:
        choices = tuple(
            _alternative(item, input_match, (*path, "one_of", index))
            for index, item in enumerate(value["one_of"])
        )
        for index, item in enumerate(value["one_of"]):
            if isinstance(item, Mapping) and "optional" in item:
                raise ParameterError(
                    "optional belongs beside one_of, not into it",
                    path=(*path, "one_of", index, "optional"),
                )
    else:
        choices = (_alternative(value, input_match, path),)
    optional = isinstance(value, Mapping) and bool(value.get("optional", False))
    return Step(choices=choices, optional=optional)


def _alternative(value: Any, input_match: Any, path: tuple[str | int, ...]) -> Alternative:
    if isinstance(value, str):
        return Alternative(tool=selector_at(value, path))
    own = value.get("input_match", input_match)
    mode = own if isinstance(own, str) else tuple(own)
    given = value.get("input", UNSET)
    if given is not UNSET:
        check_value(given, (*path, "input"))
    if "output" in value:
        check_value(value["output"], (*path, "output"))
    if isinstance(mode, tuple):
        _check_fields(mode, given, named_here="input_match" in value, path=path)
    return Alternative(
        tool=selector_at(value["tool"], (*path, "tool")),
        input=given,
        input_match=mode,
        output=value.get("output", UNSET),
        outcome=value.get("outcome"),
        max_duration_ms=value.get("max_duration_ms"),
    )


def _check_fields(
    fields: tuple[str, ...], given: Any, *, named_here: bool, path: tuple[str | int, ...]
) -> None:
    if given is UNSET:
        if named_here:
            raise ParameterError(
                "input_match names fields, but there is no input to compare them with",
                path=(*path, "input_match"),
            )
        return
    for field in fields:
        if _lookup(given, field) is ABSENT:
            names = ", ".join(map(str, given)) or "none"
            raise ParameterError(
                f"input_match names the field {field!r}, which the expected input does not have "
                f"(it has: {names})",
                path=(*path, "input_match"),
            )


def accepts(
    session: Session, step: Step, call: ToolCall, *, explain: bool = True
) -> tuple[bool | None, str]:
    """Whether a call is the step (None: cannot tell), and (if asked) why not."""
    verdict: bool | None = False
    reason = ""
    for choice in step.choices:
        if not choice.tool.selects_name(call.name):
            continue
        met, why = _accepts(session, choice, call, explain=explain)
        if met:
            return True, ""
        if met is None or not reason:
            reason = why
        if met is None:
            verdict = None
    return verdict, reason


def _accepts(
    session: Session, choice: Alternative, call: ToolCall, *, explain: bool
) -> tuple[bool | None, str]:
    blind = call.input is None or call.input_truncated or "tool_inputs" in session.missing
    doubt = ""
    if choice.tool.specifier is not None:
        met = choice.tool.matches(call, session.cwd)
        if met is None or (not met and blind):
            doubt = "arguments not recorded"
        elif not met:
            return False, f"is not {choice.tool.text}"
    if choice.input is not UNSET and choice.input_match != "ignore":
        if blind:
            doubt = "arguments not recorded" if not call.input_truncated else "arguments cut short"
        else:
            given = call.input or {}
            if not _input_met(choice, given):
                why = difference(*_compared(choice, given)) if explain else "arguments differ"
                return False, why
    if call.maybe_refused and choice.outcome == "denied":
        doubt = "failed or was refused, which the record does not tell apart"
    elif choice.outcome is not None and call.outcome != choice.outcome:
        if call.outcome != "unknown" and session.lacks("tool_outcomes") is None:
            return False, f"outcome: expected {choice.outcome}, is {call.outcome}"
        doubt = "outcome not recorded"
    if choice.max_duration_ms is not None:
        if call.duration_ms is None:
            doubt = "duration not recorded"
        elif not call.duration_ms <= choice.max_duration_ms:  # NaN is not within any limit
            return False, f"took {call.duration_ms:g} ms > {choice.max_duration_ms:g} ms"
    if choice.output is not UNSET:
        verdict, why = output_meets(session, choice.output, call)
        if verdict is False:
            return False, why
        doubt = why if verdict is None else doubt
    return (None, doubt) if doubt else (True, "")


def _input_met(choice: Alternative, actual: Mapping[str, Any]) -> bool:
    """Whether a call's input is what is expected: `value_matches` of what is `_compared`."""
    if choice.fields is None:
        return value_matches(*_compared(choice, actual))
    for field, expected in choice.fields:  # noqa: SIM110 - `all` costs three times as much
        if not value_matches(expected, _lookup(actual, field)):
            return False
    return True


def _compared(choice: Alternative, actual: Mapping[str, Any]) -> tuple[Any, Any]:
    """The parts of the expected and the actual input that have to be equal."""
    expected = choice.input
    mode = choice.input_match
    if isinstance(mode, tuple):
        found = {field: _lookup(actual, field) for field in mode}
        return (
            choice.asked,
            {field: value for field, value in found.items() if value is not ABSENT},
        )
    if mode == "superset":
        actual = {key: value for key, value in actual.items() if key in expected}
    elif mode == "subset":
        expected = {key: value for key, value in expected.items() if key in actual}
    return expected, actual


def differing_arguments(choice: Alternative, actual: Mapping[str, Any]) -> list[str]:
    """Names of all arguments in which a call's input is not what is expected."""
    if choice.input is UNSET or choice.input_match == "ignore":
        return []
    expected = choice.input
    if isinstance(choice.input_match, tuple):
        names = list(choice.input_match)
    elif choice.input_match == "superset":
        names = list(expected)
    elif choice.input_match == "subset":
        names = list(actual)
    else:
        names = list(dict.fromkeys([*expected, *actual]))
    return [
        name for name in names if difference(_lookup(expected, name), _lookup(actual, name), name)
    ]


def output_meets(session: Session, expected: Any, call: ToolCall) -> tuple[bool | None, str]:
    """Whether a call's result is what is expected (None: cannot tell), and why not."""
    if session.lacks("tool_results") is not None:
        return None, "results not recorded"
    try:
        text = call.result
    except InputError as error:
        return None, f"result not readable: {error}"
    if text is None:
        return None, "result not recorded"
    if value_matches(expected, text):
        return True, ""
    if not isinstance(expected, str):
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = ABSENT
        if parsed is not ABSENT and not isinstance(parsed, str) and value_matches(expected, parsed):
            return True, ""
    return False, "output: " + difference(expected, text).removeprefix(": ")


def _lookup(value: Any, dotted: str) -> Any:
    """What stands under a dotted name; a key that itself has dots is found too."""
    if isinstance(value, (dict, Mapping)):  # the concrete type first: it costs a tenth
        if dotted in value or not isinstance(dotted, str):
            return value.get(dotted, ABSENT)
        head, dot, rest = dotted.partition(".")
        while dot:
            if head in value:
                found = _lookup(value[head], rest)
                if found is not ABSENT:
                    return found
            more, dot, rest = rest.partition(".")
            head = f"{head}.{more}"
        return ABSENT
    if isinstance(value, Sequence) and not isinstance(value, str):
        head, dot, rest = dotted.partition(".")
        if head.isdigit() and int(head) < len(value):
            return _lookup(value[int(head)], rest) if dot else value[int(head)]
    return ABSENT


def _label(choice: Alternative) -> str:
    if choice.input is UNSET or not choice.input:
        return choice.tool.text
    shown = json.dumps(choice.input, default=str, ensure_ascii=False)
    return f"{choice.tool.text} {shown if len(shown) <= 60 else shown[:57] + '...'}"
