"""The JSON Schemas of both files, composed from the check registry.

The same schemas are printed for editors and used to validate, so that an editor never accepts what
loading refuses (loading refuses more: what depends on two values at once).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.checks import CheckSpec, all_checks
from skilltrace_mlflow.expectations._agent import AGENT_SCHEMA
from skilltrace_mlflow.expectations._merge import SCOPES
from skilltrace_mlflow.expectations.responses import response_keys
from skilltrace_mlflow.expectations.trigger_prompts import TRIGGER_PROMPTS_SCHEMA

__all__ = [
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
        keys.update(dict.fromkeys(spec.companions))
        keys[spec.key] = spec
    return keys


def value_schema(spec: CheckSpec) -> dict[str, Any]:
    """A check's schema with `scope` in its long form."""
    schema: dict[str, Any] = copy.deepcopy(dict(spec.schema))
    for form in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        form.pop("minItems", None)  # an empty list or mapping expects nothing, which is allowed
        form.pop("minProperties", None)
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
        parts = {spec.key: spec.additive for spec in all_checks().values()}
        properties = {k: _partial(_adding(v, parts.get(k, ()))) for k, v in properties.items()}
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
            "agent": AGENT_SCHEMA,
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
            **{key: _nullable(schema) for key, schema in response_keys().items()},
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
        "properties": {
            "test_cases": {"type": "array", "items": case},
            "trigger_prompts": TRIGGER_PROMPTS_SCHEMA,
        },
        "anyOf": [{"required": ["test_cases"]}, {"required": ["trigger_prompts"]}],
        "$defs": {"trace_expectations": trace_schema(partial=True)},
    }


def _object_branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = [schema] if "properties" in schema else []
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(word, ()):
            found.extend(_object_branches(branch))
    return found


def _adding(schema: Mapping[str, Any], parts: Sequence[str]) -> dict[str, Any]:
    """A schema whose lists of bans may be empty: in a test they add none."""
    loose = copy.deepcopy(dict(schema))
    for branch in _object_branches(loose):
        for part in parts:
            branch["properties"].get(part, {}).pop("minItems", None)
    return loose


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
