"""What a JSON Schema finds in a value, in words: key, got, expected, and the nearest valid key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.expectations.documents import KeyPath
from skilltrace_mlflow.expectations.names import did_you_mean
from skilltrace_mlflow.text import cut

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["describe", "find_problems"]

_MISSING = "is missing"
_ANY_OF = "expected at least one of"


def find_problems(value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, bool]]:
    """What `schema` finds in `value`: path, message, and whether it concerns the key itself."""
    from jsonschema import Draft202012Validator

    found = [
        problem
        for error in Draft202012Validator(schema).iter_errors(value)
        for problem in _explain(error, ())
    ]
    # A misspelt key is also missing under its right name; one message says it better.
    misspelt = {path[:-1] for path, _, at_key in found if at_key}
    for path, message, at_key in found:
        if not (path in misspelt and (_MISSING in message or _ANY_OF in message)):
            yield path, message, at_key


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
            hint = did_you_mean(key, known)
            yield (*path, key), f"unknown key {key!r}; {hint}", True
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
            if "array" in kinds and isinstance(error.instance, str):
                text += f"; write [{error.instance}]"
            text += _quotes(error.instance, kinds)
            yield path, f"got {describe(error.instance)}, expected {text}", False
        else:
            forms = [
                _expected(str(s.validator), s.validator_value, error.instance)
                for subs in branches.values()
                for s in subs
                if not s.path
            ]
            told = " or ".join(dict.fromkeys(forms))
            yield path, f"got {describe(error.instance)}, expected {told}", False
        return

    def wrongness(subs: list[ValidationError]) -> tuple[int, int]:
        unknown = sum(1 for s in subs if s.validator == "additionalProperties" and not s.path)
        missing = sum(1 for s in subs if s.validator == "required" and not s.path)
        return unknown + missing, len(subs)

    best = min(fitting.values(), key=wrongness)
    for sub in best:
        yield from _explain(sub, path)


def _expected(rule: str, wanted: Any, value: Any) -> str:
    if rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else list(wanted)
        text = _either(kinds)
        if "array" in kinds and isinstance(value, (str, int, float)):
            text += f"; write [{value}]"
        return text + _quotes(value, kinds)
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
        "maxProperties": f"at most {wanted} keys",
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
