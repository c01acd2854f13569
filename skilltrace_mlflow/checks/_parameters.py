"""Shapes of parameters that several checks share: JSON Schema fragments, limits, lifted bans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks._findings import Finding
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.session import ToolCall

__all__ = [
    "BAN_EXCEPTIONS",
    "COUNT",
    "LIMIT",
    "SCOPE",
    "TEXTS",
    "THRESHOLD",
    "Limit",
    "file_pattern",
    "fixed",
    "lift",
    "list_or_long",
    "mapping_or_long",
    "parse_limit",
    "to_float",
    "unfold",
]

SCOPE: Mapping[str, Any] = {"enum": ["all", "main", "subagents"]}
THRESHOLD: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
TEXTS: Mapping[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1},
}


def to_float(value: float, key: str) -> float:
    """A limit as a float; ParameterError for an integer that is beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        raise ParameterError(f"{key} is too large a number", path=(key,)) from None


def fixed(
    properties: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    scope: bool = True,
) -> dict[str, Any]:
    """A mapping of fixed keys: at least one of `properties`, beside them `options` and `scope`."""
    return {
        "type": "object",
        "properties": {**properties, **(options or {}), **({"scope": SCOPE} if scope else {})},
        "additionalProperties": False,
        "anyOf": [{"required": [key]} for key in properties],
    }


def list_or_long(
    main: str, *, items: Mapping[str, Any] = TEXTS, threshold: bool = True
) -> dict[str, Any]:
    """A list (of texts, unless `items` says otherwise), or `{main: list, scope, threshold}`."""
    properties: dict[str, Any] = {main: items, "scope": SCOPE}
    if threshold:
        properties["threshold"] = THRESHOLD
    return {
        "anyOf": [
            items,
            {
                "type": "object",
                "properties": properties,
                "required": [main],
                "additionalProperties": False,
            },
        ]
    }


def mapping_or_long(main: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of names to `item`, or `{main: mapping, scope, threshold}`."""
    names = {"type": "object", "minProperties": 1, "additionalProperties": item}
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {"scope": SCOPE},
                "minProperties": 1,
                "additionalProperties": item,
            },
            {
                "type": "object",
                "properties": {main: names, "scope": SCOPE, "threshold": THRESHOLD},
                "required": [main],
                "additionalProperties": False,
            },
        ]
    }


LIMIT: Mapping[str, Any] = {
    "anyOf": [
        COUNT,
        {
            "type": "object",
            "properties": {"min": COUNT, "max": COUNT},
            "minProperties": 1,
            "additionalProperties": False,
        },
    ]
}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Bounds that a count must keep, both inclusive; None for no bound."""

    minimum: int | None = None
    maximum: int | None = None

    def judge(
        self, label: str, at_least: int, at_most: int, calls: Sequence[ToolCall] = ()
    ) -> Finding:
        """The finding for a count known to lie between two numbers (usually one and the same).

        `calls` are those that were counted: it speaks of those beyond the maximum.
        """
        shown = str(at_least) if at_least == at_most else f"{at_least} to {at_most}"
        if self.maximum is not None and at_least > self.maximum:
            beyond = sorted(calls, key=lambda call: call.position)[self.maximum :]
            return Finding(
                text=f"{label}: {shown} > {self.maximum}", met=False, calls=tuple(beyond)
            )
        if self.minimum is not None and at_most < self.minimum:
            return Finding(text=f"{label}: {shown} < {self.minimum}", met=False, could_meet=True)
        over = self.maximum is not None and at_most > self.maximum
        under = self.minimum is not None and at_least < self.minimum
        bounds = " and ".join(
            f"{sign} {bound}"
            for sign, bound in (("≥", self.minimum), ("≤", self.maximum))
            if bound is not None
        )
        return Finding(
            text=f"{label}: {shown} {bounds}"
            if not (over or under)
            else f"{label}: {shown}, must be {bounds}",
            met=None if over or under else True,
            could_break=self.maximum is not None,
        )


def parse_limit(value: Any, path: tuple[str | int, ...]) -> Limit:
    """A number is a maximum; ParameterError if the minimum is above the maximum."""
    if isinstance(value, Mapping):
        limit = Limit(minimum=value.get("min"), maximum=value.get("max"))
    else:
        limit = Limit(maximum=value)
    if limit.minimum is not None and limit.maximum is not None and limit.minimum > limit.maximum:
        raise ParameterError(f"min {limit.minimum} is more than max {limit.maximum}", path=path)
    return limit


BAN_EXCEPTIONS: Mapping[str, Any] = TEXTS


def lift(bans: Sequence[str], exceptions: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The bans that stay and those that an exception names, blanks aside."""
    named = {" ".join(text.split()) for text in exceptions}
    kept = tuple(text for text in bans if " ".join(text.split()) not in named)
    return kept, tuple(text for text in bans if " ".join(text.split()) in named)


def unfold(value: Any, main: str) -> tuple[Any, float, tuple[str, ...]]:
    """A short or long form as (the value under `main`, its threshold, the path to it).

    The long form is a mapping with the key `main`; everything else is the short form.
    """
    if isinstance(value, Mapping) and set(value) <= {main, "threshold"}:
        inner = value.get(main)
        if isinstance(inner, (Mapping, list, tuple)):  # {limits: 5} limits a tool of that name
            return inner, float(value.get("threshold", 1.0)), (main,)
    return value, 1.0, ()


def file_pattern(text: str) -> str:
    """The text of a file pattern; ParameterError for one with `!` in front, which excludes nothing
    here, or with a blank at either end, which no file's name has."""
    if text != text.strip():
        raise ParameterError(f"{text!r} begins or ends with a blank")
    if text.startswith("!"):
        raise ParameterError(f"{text!r}: a pattern cannot be negated; name what is meant")
    return text
