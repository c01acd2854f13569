"""What a JSON Schema finds in a value, in words: key, got, expected, and the nearest valid key."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.expectations.documents import KeyPath
from skilltrace_mlflow.expectations.names import did_you_mean
from skilltrace_mlflow.text import cut

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["describe", "find_problems", "surely_fits"]

_MISSING = "is missing"
_ANY_OF = "expected at least one of"
_CONTAINERS = ("expectations", "session_expectations", "trace_expectations")
_AT_MOST = "expected at most one key"


_PLAIN = re.compile(r"[A-Za-z_][\w./()-]*")
"""Texts that need no quotes in a list."""


def find_problems(value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, bool]]:
    """What `schema` finds in `value`: path, message, and whether it concerns the key itself."""
    if surely_fits(value, schema, schema):
        return
    from jsonschema import Draft202012Validator

    found = [
        problem
        for error in Draft202012Validator(schema).iter_errors(value)
        for problem in _explain(error, ())
    ]
    # A misspelt key is also missing under its right name; one message says it better.
    misspelt = {path[:-1] for path, _, at_key in found if at_key}
    crowded = {path for path, message, _ in found if _AT_MOST in message}
    lacking: dict[KeyPath, list[str]] = {}
    for path, message, _ in found:
        if message.endswith(_MISSING) and path not in misspelt:
            lacking.setdefault(path, []).append(message.split("'")[1])
    for path, message, at_key in found:
        if path in misspelt and (_MISSING in message or _ANY_OF in message):
            continue
        if any(path[:n] in crowded for n in range(len(path))):
            continue
        keys = lacking.pop(path, None) if message.endswith(_MISSING) else []
        if keys is None:
            continue  # said with the first
        if len(keys) > 1:
            message = f"the keys {' and '.join(map(repr, keys))} are missing"
        yield path, message, at_key


_TYPES = {
    bool: ("boolean",),
    dict: ("object",),
    float: ("number",),  # 1.0 is an integer, too, which is left to the validator
    int: ("integer", "number"),
    list: ("array",),
    str: ("string",),
    type(None): ("null",),
}
_ENTRIES = {"additionalProperties", "patternProperties", "properties"}
_ANNOTATIONS = {"$defs", "$schema", "description", "each", "examples", "offer", "title"}
_BOUNDS: dict[str, tuple[tuple[type, ...], Callable[[Any, Any], bool]]] = {
    "exclusiveMinimum": ((int, float), lambda value, bound: value > bound),
    "maximum": ((int, float), lambda value, bound: value <= bound),
    "maxItems": ((list,), lambda value, bound: len(value) <= bound),
    "maxProperties": ((dict,), lambda value, bound: len(value) <= bound),
    "minimum": ((int, float), lambda value, bound: value >= bound),
    "minItems": ((list,), lambda value, bound: len(value) >= bound),
    "minLength": ((str,), lambda value, bound: len(value) >= bound),
    "minProperties": ((dict,), lambda value, bound: len(value) >= bound),
    "pattern": ((str,), lambda value, pattern: re.search(pattern, value) is not None),
    "required": ((dict,), lambda value, names: all(name in value for name in names)),
}


def surely_fits(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether a value fits a schema, by the words that our schemas use; `False` says nothing.

    Files without a mistake need no more than this, and loading jsonschema took a tenth of the
    start. Only jsonschema finds a mistake: whatever is not known here is left to it.
    """
    if isinstance(schema, bool):
        return schema
    kinds = _TYPES.get(type(value))
    if kinds is None or (type(value) is dict and not _entries_fit(value, schema, root)):
        return False
    return all(
        _fits_word(value, kinds, word, rule, root)
        for word, rule in schema.items()
        if word not in _ANNOTATIONS and word not in _ENTRIES
    )


def _fits_word(
    value: Any, kinds: tuple[str, ...], word: str, rule: Any, root: Mapping[str, Any]
) -> bool:
    if word == "type":
        return rule in kinds if isinstance(rule, str) else any(kind in rule for kind in kinds)
    if word in _BOUNDS:
        concerned, holds = _BOUNDS[word]
        return type(value) not in concerned or holds(value, rule)
    if word in ("const", "enum"):
        allowed = [rule] if word == "const" else rule  # True is not 1 here
        return not isinstance(value, (dict, list)) and any(
            type(value) is type(other) and value == other for other in allowed
        )
    if word == "anyOf":
        return any(surely_fits(value, form, root) for form in rule)
    if word == "items":
        return type(value) is not list or all(surely_fits(v, rule, root) for v in value)
    if word == "uniqueItems":
        if type(value) is not list:
            return True
        return all(type(v) is str for v in value) and len(set(value)) == len(value)
    if word == "$ref":
        schema = root.get("$defs", {}).get(rule.removeprefix("#/$defs/"), False)
        return surely_fits(value, schema, root)
    return False


def _entries_fit(value: dict[Any, Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether every value of a mapping fits what its key's name asks of it."""
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = schema.get("additionalProperties", True)
    for key, inner in value.items():
        if type(key) is not str:
            return False
        rules = [named[key]] if key in named else []
        rules += [rule for pattern, rule in patterns.items() if re.search(pattern, key)]
        if not all(surely_fits(inner, rule, root) for rule in rules or [others]):
            return False
    return True


def describe(value: Any) -> str:
    """A value in a few characters, with its kind: `the text 'Read'`, `a list of 3`."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {(value if value.isspace() else cut(value, 40))!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return f"a mapping ({', '.join(list(value)[:3])})" if value else "an empty mapping"


_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


def _explain(error: ValidationError, prefix: KeyPath) -> Iterator[tuple[KeyPath, str, bool]]:
    path = (*prefix, *error.path)
    rule, value = str(error.validator), error.instance
    wanted: Any = error.validator_value
    if rule in ("anyOf", "oneOf") and error.context:
        yield from _explain_branches(error, path)
    elif rule == "additionalProperties" and wanted is False:
        schema: Any = error.schema
        known = [*schema.get("properties", ()), *_pattern_names(schema)]
        for key in _extras(value, schema):
            if key in _CONTAINERS and isinstance(value, dict) and isinstance(value[key], dict):
                told = f"{key!r} stands in one of its kind already; write its keys here"
            else:
                told = f"unknown key {key!r}; {did_you_mean(key, known)}"
            yield (*path, key), told, True
    elif rule == "required":
        name = error.message.split("'")[1]  # one error for each missing key
        yield path, f"the key {name!r} {_MISSING}", False
    else:
        yield path, f"got {describe(value)}, expected {_expected(rule, wanted, value)}", False


def _explain_branches(error: ValidationError, path: KeyPath) -> Iterator[tuple[KeyPath, str, bool]]:
    """Of several allowed forms, the complaints about the one that was most likely meant."""
    branches: dict[Any, list[ValidationError]] = {}
    for sub in error.context or ():
        branches.setdefault(sub.schema_path[0], []).append(sub)
    fitting = {
        index: subs
        for index, subs in branches.items()
        if not any(s.validator in ("type", "const", "enum") and not s.path for s in subs)
    }
    if all(s.validator == "required" for subs in branches.values() for s in subs):
        keys = [s.message.split("'")[1] for subs in branches.values() for s in subs]
        told = f"{_ANY_OF} {', '.join(dict.fromkeys(keys))}"
        yield path, f"got {describe(error.instance)}, {told}", False
        return
    if not fitting:
        if all(s.validator == "type" for subs in branches.values() for s in subs if not s.path):
            kinds = [k for subs in branches.values() for s in subs if not s.path for k in _types(s)]
            text = _either(kinds)
            text += _way_out(error.instance, kinds)
            yield path, f"got {describe(error.instance)}, expected {text}", False
        else:
            wanted = [
                _expected(str(s.validator), s.validator_value, error.instance)
                for subs in branches.values()
                for s in subs
                if not s.path
            ]
            told = " or ".join(dict.fromkeys(wanted))
            yield path, f"got {describe(error.instance)}, expected {told}", False
        return

    forms: Any = error.validator_value

    def wrongness(index: Any) -> tuple[bool, int, int]:
        subs = fitting[index]
        unknown = sum(1 for s in subs if s.validator == "additionalProperties" and not s.path)
        missing = sum(1 for s in subs if s.validator == "required" and not s.path)
        # Who writes the key that only the long form has means the long form.
        needed = forms[index].get("required", ())
        meant = bool(needed) and isinstance(error.instance, dict) and not missing
        return not meant, unknown + missing, len(subs)

    for sub in fitting[min(fitting, key=wrongness)]:
        yield from _explain(sub, path)


def _expected(rule: str, wanted: Any, value: Any) -> str:
    if rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else list(wanted)
        return _either(kinds) + _way_out(value, kinds)
    if rule == "const":
        return repr(wanted)
    if rule == "enum":
        hint = ""
        if isinstance(value, str):
            near = did_you_mean(value, [w for w in wanted if isinstance(w, str)])
            hint = f"; {near}" if near.startswith("did") else ""
        return "one of " + ", ".join(map(str, wanted)) + hint
    words = {
        "exclusiveMaximum": f"less than {wanted}",
        "exclusiveMinimum": f"more than {wanted}",
        "maximum": f"at most {wanted}",
        "maxItems": f"at most {wanted} items",
        "maxProperties": "at most one key" if wanted == 1 else f"at most {wanted} keys",
        "minimum": f"at least {wanted}",
        "minItems": f"at least {wanted} item(s)",
        "minLength": "text that is not empty",
        "minProperties": f"at least {wanted} key(s)",
        "pattern": "text that is not empty" if wanted == r"\S" else f"text that matches {wanted}",
        "uniqueItems": "each item once",
        "not": "something else here",
        "additionalProperties": "other keys",
        "propertyNames": "other key names",
        "dependentRequired": "the keys that belong together",
    }
    return words.get(rule, f"what the rule {rule!r} allows")


def _way_out(value: Any, kinds: list[str]) -> str:
    """What to write instead of a value of another kind, where that can be told."""
    return (_as_list(value, kinds) + _dashes(value, kinds) + _number(value, kinds)) or _quotes(
        value, kinds
    )


def _as_list(value: Any, kinds: list[str]) -> str:
    """A hint where one of a list, or all of it, stands without brackets."""
    if "array" not in kinds or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    text = str(value)
    if not text.strip():
        return ""
    if isinstance(value, str) and not all(map(_PLAIN.fullmatch, text.split(", "))):
        text = f'"{text}"' if "'" in text else f"'{text}'"
    return f"; write [{text}]"


def _dashes(value: Any, kinds: list[str]) -> str:
    """A hint where entries have dashes that should have none, or the other way round."""
    if isinstance(value, list) and "object" in kinds and "array" not in kinds:
        return "; leave out the dashes" if all(isinstance(v, dict) for v in value) and value else ""
    if isinstance(value, dict) and kinds and set(kinds) <= {"array", "null"}:
        return "; begin each entry with a dash"
    return ""


def _number(value: Any, kinds: list[str]) -> str:
    """A hint where a number is written as a text."""
    if not isinstance(value, str) or not {"integer", "number"} & set(kinds):
        return ""
    try:
        number = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        return ""
    if not math.isfinite(number) or ("number" not in kinds and not number.is_integer()):
        return ""
    return f"; write {int(number) if number.is_integer() else number}"


def _quotes(value: Any, kinds: Iterable[str]) -> str:
    """A hint where text was meant and YAML read a number, or a mapping because of a colon."""
    if "string" not in kinds:
        return ""
    if isinstance(value, (int, float)):
        return "; put it in quotes"
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if not isinstance(inner, (dict, list)):
            text = f"{key}: {'' if inner is None else inner}".strip()
            quoted = f'"{text}"' if "'" in text else f"'{text}'"
            return f"; a colon and a blank make a mapping: put it in quotes, {cut(quoted, 80)}"
    return ""


def _types(error: ValidationError) -> list[str]:
    value: Any = error.validator_value
    return [value] if isinstance(value, str) else list(value)


def _either(kinds: Iterable[str]) -> str:
    """`a list or a mapping`; null is allowed silently where it only means "not set"."""
    names = [_KINDS.get(kind, kind) for kind in dict.fromkeys(kinds) if kind != "null"]
    if len(names) < 2:
        return names[0] if names else "nothing"
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _extras(value: Any, schema: Mapping[str, Any]) -> list[str]:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [k for k in value if k not in known and not any(re.search(p, k) for p in patterns)]


def _pattern_names(schema: Mapping[str, Any]) -> list[str]:
    tiers = "^tier[1-9]$" in schema.get("patternProperties", {})
    return ["tier1", "tier2", "tier3"] if tiers else []
