"""The JSON Schemas of both files, composed from the check registry, and what they find, in words.

The same schemas are printed for editors and used to validate, so that an editor never accepts what
loading refuses (loading refuses more: what depends on two values at once).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.checks import CheckSpec, all_checks
from skilltrace_mlflow.expectations._merge import SCOPES
from skilltrace_mlflow.expectations._names import RESPONSE_KEYS, did_you_mean
from skilltrace_mlflow.expectations._yaml import KeyPath

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = [
    "describe",
    "find_problems",
    "ground_truth_schema",
    "manifest_schema",
    "trace_keys",
    "trace_schema",
]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}
_SCOPE = {"enum": list(SCOPES), "description": "Whose calls and tokens count; default all."}
_DISABLED = {**_TEXTS, "uniqueItems": True, "description": "Names of checks that are not run."}
_SCORER = {
    "anyOf": [
        _TEXT,
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {"type": ["object", "null"]},
            "description": "A scorer's name and its arguments.",
        },
    ]
}
_SCORERS = {"type": "array", "items": _SCORER}
_GATES = {
    "type": ["object", "null"],
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
    "description": "Least pass rate (or mean score) by name of check.",
}


def trace_keys() -> dict[str, CheckSpec | None]:
    """Every key that may stand under `trace_expectations`; companions and `scope` have no check."""
    keys: dict[str, CheckSpec | None] = {"disabled": None, "scope": None}
    for spec in all_checks().values():
        keys[spec.key] = spec
        keys.update(dict.fromkeys(spec.companions))
    return dict(sorted(keys.items()))


def value_schema(spec: CheckSpec) -> dict[str, Any]:
    """A check's schema with `scope` in its long form."""
    schema: dict[str, Any] = copy.deepcopy(dict(spec.schema))
    branches = _object_branches(schema)
    wanted = [b for b in branches if spec.main is None or spec.main in b["properties"]]
    for branch in wanted:
        branch["properties"].setdefault("scope", _SCOPE)
    if not wanted and spec.main is not None:
        long = {
            "type": "object",
            "properties": {spec.main: copy.deepcopy(dict(spec.schema)), "scope": _SCOPE},
            "required": [spec.main],
            "additionalProperties": False,
        }
        schema = {"anyOf": [schema, long]}
    schema.setdefault("description", spec.summary.split("\n\n")[0].replace("\n", " "))
    return schema


@lru_cache(maxsize=4)
def _trace_properties(names: tuple[str, ...]) -> dict[str, Any]:
    properties: dict[str, Any] = {"disabled": _DISABLED, "scope": _SCOPE}
    for spec in all_checks().values():
        properties[spec.key] = value_schema(spec)
        for key, schema in spec.companions.items():
            properties[key] = dict(schema)
    return dict(sorted(properties.items()))


def trace_properties() -> dict[str, Any]:
    """Schema by key of everything under `trace_expectations`."""
    return _trace_properties(tuple(all_checks()))


def trace_schema(*, partial: bool = False) -> dict[str, Any]:
    """The schema of `trace_expectations`; `partial` for a test, which overrides parts of it."""
    properties = trace_properties()
    if partial:
        properties = {key: _partial(schema) for key, schema in properties.items()}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of `manifest.yaml`; other tools' keys are allowed at the top."""
    trace = {"$ref": "#/$defs/trace_expectations"}
    scorers = {
        "anyOf": [
            _SCORERS,
            {
                "type": "object",
                "properties": {
                    "default_guidelines": _TEXTS,
                    "disabled": _DISABLED,
                    "enabled": _nullable(_SCORERS),
                    "llm_scorers": _nullable(_SCORERS),
                    "session_expectations": trace,
                    "trace_expectations": trace,
                    "trace_scorers": _nullable(_SCORERS),
                },
                "additionalProperties": False,
            },
            {"type": "null"},
        ]
    }
    tiers = {
        "type": ["object", "null"],
        "patternProperties": {"^tier[1-9]$": _nullable(_SCORERS)},
        "additionalProperties": False,
    }
    dataset = {
        "anyOf": [
            _TEXT,
            {
                "type": "object",
                "properties": {"path": _TEXT, "type": {"const": "yaml"}},
                "required": ["path"],
            },
        ]
    }
    return {
        "$schema": _DIALECT,
        "title": "skilltrace-mlflow manifest.yaml",
        "type": "object",
        "properties": {
            "default_guidelines": _TEXTS,
            "description": {"type": ["string", "null"]},
            "disabled": _DISABLED,
            "evaluation": {
                "type": ["object", "null"],
                "properties": {
                    "datasets": {"type": "array", "items": dataset},
                    "scorers": tiers,
                    "quality_gates": _GATES,
                },
            },
            "quality_gates": _GATES,
            "scorers": scorers,
            "session_expectations": trace,
            "skill": {
                "type": "object",
                "properties": {
                    "name": _TEXT,
                    "source_path": {"type": ["string", "null"]},
                    "description": {"type": ["string", "null"]},
                },
            },
            "skill_name": _TEXT,
            "trace_expectations": trace,
        },
        "$defs": {"trace_expectations": trace_schema()},
    }


def ground_truth_schema() -> dict[str, Any]:
    """JSON Schema of `ground_truth.yaml`."""
    trace = {"$ref": "#/$defs/trace_expectations"}
    expectations = {
        "type": ["object", "null"],
        "properties": {
            **trace_schema(partial=True)["properties"],
            **{key: _nullable(schema) for key, schema in RESPONSE_KEYS.items()},
            "session_expectations": trace,
            "trace_expectations": trace,
        },
        "additionalProperties": False,
    }
    text_or_null = {"type": ["string", "null"]}
    case = {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "integer"], "minLength": 1},
            "inputs": {
                "type": ["object", "null"],
                "properties": {"prompt": {"type": "string", "minLength": 1}},
            },
            "outputs": {
                "type": ["object", "null"],
                "properties": {
                    "execution_success": {"type": ["boolean", "null"]},
                    "response": text_or_null,
                    "trace": {"type": ["object", "array", "null"]},
                    "trace_ref": {"type": ["string", "null"], "minLength": 1},
                },
            },
            "expectations": expectations,
            "metadata": {
                "type": ["object", "null"],
                "properties": {
                    "category": text_or_null,
                    "session_id": text_or_null,
                    "trace_id": text_or_null,
                    "trace_run_id": text_or_null,
                },
            },
            "category": text_or_null,
            "session_expectations": trace,
            "tags": {"type": ["array", "null"], "items": _TEXT},
            "trace": {"type": ["object", "array", "null"]},
            "trace_expectations": trace,
        },
        "required": ["id"],
    }
    return {
        "$schema": _DIALECT,
        "title": "skilltrace-mlflow ground_truth.yaml",
        "type": "object",
        "properties": {"test_cases": {"type": "array", "items": case}},
        "required": ["test_cases"],
        "$defs": {"trace_expectations": trace_schema(partial=True)},
    }


def find_problems(value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, bool]]:
    """What `schema` finds in `value`: path, message, and whether it concerns the key itself."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema).iter_errors(value):
        yield from _explain(error, ())


def describe(value: Any) -> str:
    """A value in a few characters, with its kind: `the text 'Read'`, `a list of 3`."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= 40 else value[:37] + "..."
        return f"the text {short!r}"
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
        yield path, f"the key {name!r} is missing", False
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
        told = f"expected at least one of {', '.join(dict.fromkeys(keys))}"
        yield path, f"got {describe(error.instance)}, {told}", False
        return
    if not fitting:
        if all(s.validator == "type" for subs in branches.values() for s in subs if not s.path):
            kinds = [k for subs in branches.values() for s in subs if not s.path for k in _types(s)]
            text = _either(kinds)
            if "array" in kinds and isinstance(error.instance, str):
                text += f"; write [{error.instance}]"
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
        if "string" in kinds and isinstance(value, (int, float)):
            text += "; put it in quotes"
        return text
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
        "pattern": f"text that matches {wanted}",
        "uniqueItems": "each item once",
        "not": "something else here",
        "additionalProperties": "other keys",
        "propertyNames": "other key names",
        "dependentRequired": "the keys that belong together",
    }
    return words.get(rule, f"what the rule {rule!r} allows")


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


def _object_branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = [schema] if "properties" in schema else []
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(word, ()):
            found.extend(_object_branches(branch))
    return found


def _partial(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What may override a value of `schema`: no key is required, and null removes one."""
    loose = dict(schema)
    for word in ("anyOf", "oneOf"):
        if word in loose:
            loose[word] = [_partial(branch) for branch in loose[word]]
    if "properties" in loose:
        loose["properties"] = {k: _partial(v) for k, v in loose["properties"].items()}
    loose.pop("required", None)
    loose.pop("minProperties", None)
    if isinstance(loose.get("additionalProperties"), Mapping):
        loose["additionalProperties"] = _partial(loose["additionalProperties"])
    return _nullable(loose)


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if "enum" not in schema and "const" not in schema:
        if isinstance(kind, str):
            return {**schema, "type": [kind, "null"]}
        if isinstance(kind, list):
            return {**schema, "type": sorted({*kind, "null"})}
    for word in ("anyOf", "oneOf"):
        if set(schema) <= {word, "description"} and word in schema:
            return {**schema, word: [*schema[word], {"type": "null"}]}
    return {"anyOf": [dict(schema), {"type": "null"}]}
