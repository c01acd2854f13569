"""The JSON Schemas of both files, composed from the check registry.

The same schemas are printed for editors and used to validate, so that an editor never accepts what
loading refuses (loading refuses more: what depends on two values at once).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.checks import SCOPE, CheckSpec, all_checks
from skilltrace_mlflow.expectations._agent import AGENT_SCHEMA
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


def _told(schema: Mapping[str, Any], about: str, *examples: Any) -> dict[str, Any]:
    """A schema with what it is about, and examples where `editor_schema` can find none."""
    return {**schema, "description": about, **({"examples": list(examples)} if examples else {})}


def _text(about: str, *examples: str) -> dict[str, Any]:
    return _told(_TEXT, about, *examples)


_ANY_TEXT = {"type": ["string", "null"]}
_DISABLED = {
    "type": "array",
    "items": {**_text("A check's or scorer's name.", "python_syntax"), "offer": "checks"},
    "uniqueItems": True,
    "description": "Names of checks that are not run.",
}
_NAMED = _text("A scorer's name, or `package.module:function`.", "python_syntax")
_SCORER = {
    "anyOf": [
        {**_NAMED, "offer": "scorers"},
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": _told(
                {"type": ["object", "null"]}, "Its arguments.", {"guidelines": ["Be polite"]}
            ),
            "description": "A scorer's name and its arguments.",
            "examples": [{"Guidelines:tone": {"guidelines": ["Be polite"]}}],
            "offer": "models",
        },
    ],
    "description": "A scorer, alone or with its arguments.",
}


def _scorers(about: str, *examples: str) -> dict[str, Any]:
    return _told({"type": "array", "items": {"$ref": "#/$defs/scorer"}}, about, list(examples))


_SHARE = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "description": "The least share of tests that pass (or the least mean score).",
    "examples": [0.9],
}
_GATES = {
    "type": ["object", "null"],
    "additionalProperties": _SHARE,
    "description": "Least pass rate (or mean score) by name of check.",
    "examples": [{"banned_tools": 1.0, "pass_rate": 0.9}],
    "offer": "gates",
}
_GUIDELINES = {
    "type": "array",
    "items": _text("A rule.", "Answers in English"),
    "description": "Rules that model-based scorers judge by, unless they or the test have any.",
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
        branch["properties"].setdefault("scope", SCOPE)
    if not wanted and spec.main is not None:
        long = {
            "type": "object",
            "properties": {spec.main: copy.deepcopy(dict(spec.schema)), "scope": SCOPE},
            "description": f"The same under `{spec.main}`, with scope.",
            "required": [spec.main],
            "additionalProperties": False,
        }
        schema = {"anyOf": [schema, long]}
    schema.setdefault("description", spec.summary.split("\n\n")[0].replace("\n", " "))
    return schema


@lru_cache(maxsize=4)
def _trace_properties(names: tuple[str, ...]) -> dict[str, Any]:
    properties: dict[str, Any] = {"disabled": _DISABLED, "scope": SCOPE}
    for spec in all_checks().values():
        properties[spec.key] = value_schema(spec)
        for key, schema in spec.companions.items():
            properties[key] = dict(schema)
    return dict(sorted(properties.items()))


def trace_properties() -> dict[str, Any]:
    """Schema by key of everything under `trace_expectations`."""
    return _trace_properties(tuple(all_checks()))


@lru_cache(maxsize=4)
def _partial_properties(names: tuple[str, ...]) -> dict[str, Any]:
    parts = {spec.key: spec.additive for spec in all_checks().values()}
    return {k: _partial(_adding(v, parts.get(k, ()))) for k, v in _trace_properties(names).items()}


def trace_schema(*, partial: bool = False) -> dict[str, Any]:
    """The schema of `trace_expectations`; `partial` for a test, which overrides parts of it."""
    properties = _partial_properties(tuple(all_checks())) if partial else trace_properties()
    return {
        "type": ["object", "null"],
        "properties": properties,
        "description": "What the trace of a session must show.",
        "additionalProperties": False,
    }


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of `manifest.yaml`; other tools' keys are allowed at the top."""
    trace = {"$ref": "#/$defs/trace_expectations"}
    session = _told(trace, "What the sessions of several prompts show, as a whole.")
    scorers = {
        "anyOf": [
            _scorers("Scorers that run.", "python_syntax"),
            {
                "type": "object",
                "properties": {
                    "default_guidelines": _GUIDELINES,
                    "disabled": _DISABLED,
                    "enabled": _nullable(_scorers("Scorers that run.", "python_syntax")),
                    "llm_scorers": _nullable(_scorers("Scorers that ask a model.", "Safety")),
                    "session_expectations": session,
                    "trace_expectations": trace,
                    "trace_scorers": _nullable(_scorers("Scorers of the trace.", "required_tools")),
                },
                "description": "Scorers, and what is expected of every trace.",
                "additionalProperties": False,
            },
            {"type": "null"},
        ],
        "description": "Which scorers run, and what they expect of every test.",
    }
    tiers = {
        "type": ["object", "null"],
        "patternProperties": {
            "^tier[1-9]$": _nullable(_scorers("Scorers of the tier.", "python_syntax"))
        },
        "description": "Scorers in tiers: the older form of `scorers`.",
        "examples": [{"tier1": ["python_syntax"], "tier3": ["Safety"]}],
        "additionalProperties": False,
    }
    file = _text("A YAML file, from the manifest's folder.", "ground_truth.yaml")
    dataset = {
        "anyOf": [
            file,
            {
                "type": "object",
                "properties": {
                    "path": file,
                    "type": {"const": "yaml", "description": "The file's format."},
                },
                "description": "A file and its format.",
                "examples": [{"path": "ground_truth.yaml", "type": "yaml"}],
                "required": ["path"],
            },
        ],
        "description": "A file with test cases.",
    }
    return {
        "$schema": _DIALECT,
        "title": "skilltrace-mlflow manifest.yaml",
        "type": "object",
        "properties": {
            "agent": AGENT_SCHEMA,
            "default_guidelines": _GUIDELINES,
            "description": _told(_ANY_TEXT, "What the skill is for.", "Loads files into bronze"),
            "disabled": _DISABLED,
            "evaluation": {
                "type": ["object", "null"],
                "properties": {
                    "datasets": {
                        "type": "array",
                        "items": dataset,
                        "description": "Where the test cases are; default ground_truth.yaml.",
                    },
                    "scorers": tiers,
                    "quality_gates": {"$ref": "#/$defs/quality_gates"},
                },
                "description": "Test cases, and the older form of scorers and gates.",
            },
            "quality_gates": {"$ref": "#/$defs/quality_gates"},
            "scorers": scorers,
            "session_expectations": session,
            "skill": {
                "type": "object",
                "properties": {
                    "name": _text("The skill's name; default the folder's.", "bronze-ingestion"),
                    "source_path": _told(
                        _ANY_TEXT, "Where the skill itself is.", "../.claude/skills/bronze"
                    ),
                    "description": _told(
                        _ANY_TEXT, "What the skill is for.", "Loads files into bronze"
                    ),
                },
                "description": "The skill that is tested.",
            },
            "skill_name": _text("The skill's name, instead of `skill`.", "bronze-ingestion"),
            "trace_expectations": trace,
        },
        "description": "What is expected of an agent that was given a skill, in every test.",
        "examples": [
            {
                "skill": {"name": "bronze-ingestion"},
                "scorers": {
                    "enabled": ["python_syntax"],
                    "trace_expectations": {"tool_limits": {"Bash": 10}, "banned_tools": ["rm -rf"]},
                },
                "quality_gates": {"banned_tools": 1.0},
            }
        ],
        "$defs": {
            "quality_gates": _GATES,
            "scorer": _SCORER,
            "trace_expectations": trace_schema(),
        },
    }


def ground_truth_schema() -> dict[str, Any]:
    """JSON Schema of `ground_truth.yaml`."""
    trace = {"$ref": "#/$defs/trace_expectations"}
    session = _told(trace, "What the sessions of several prompts show, as a whole.")
    expectations = {
        "type": ["object", "null"],
        "properties": {
            **trace_schema(partial=True)["properties"],
            **{key: _nullable(schema) for key, schema in response_keys().items()},
            "session_expectations": session,
            "trace_expectations": trace,
        },
        "description": "What is expected of the session and its response.",
        "additionalProperties": False,
    }
    category = _told(_ANY_TEXT, "A group, for reports and --category.", "happy_path")
    recorded = _told(
        {"type": ["object", "array", "null"]}, "A trace, written out here.", {"tool_calls": []}
    )
    case = {
        "type": "object",
        "properties": {
            "id": _told(
                {"type": ["string", "integer"], "minLength": 1},
                "The test's name, once in the file.",
                "bronze_001",
            ),
            "inputs": {
                "type": ["object", "null"],
                "properties": {"prompt": _text("The prompt.", "Load the CSV files into bronze")},
                "description": "What the agent is given.",
            },
            "outputs": {
                "type": ["object", "null"],
                "properties": {
                    "execution_success": _told(
                        {"type": ["boolean", "null"]}, "Whether the recorded code ran."
                    ),
                    "response": _told(_ANY_TEXT, "The recorded answer.", "It is loaded."),
                    "trace": recorded,
                    "trace_ref": _told(
                        {"type": ["string", "null"], "minLength": 1},
                        "The session's file, from this file's folder.",
                        "traces/session.jsonl",
                    ),
                },
                "description": "What is recorded of the agent.",
            },
            "expectations": expectations,
            "metadata": {
                "type": ["object", "null"],
                "properties": {
                    "category": category,
                    "session_id": _told(
                        _ANY_TEXT, "The session to judge.", "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
                    ),
                    "trace_id": _told(_ANY_TEXT, "The MLflow trace to judge.", "tr-1f2e3d4c"),
                    "trace_run_id": _told(
                        _ANY_TEXT, "The MLflow run that the trace is in.", "8c1d2e3f"
                    ),
                },
                "description": "What a test is called by, and which trace is judged.",
            },
            "category": category,
            "session_expectations": session,
            "tags": {
                "type": ["array", "null"],
                "items": _text("A tag.", "slow"),
                "description": "Tags, for --tag.",
            },
            "trace": recorded,
            "trace_expectations": trace,
        },
        "description": "A test case.",
        "examples": [
            {
                "id": "bronze_001",
                "inputs": {"prompt": "Load the CSV files into bronze"},
                "outputs": {"trace_ref": "traces/session.jsonl"},
                "expectations": {"expected_files": ["*.py"]},
            }
        ],
        "required": ["id"],
    }
    return {
        "$schema": _DIALECT,
        "title": "skilltrace-mlflow ground_truth.yaml",
        "type": "object",
        "description": "Test cases of a skill: prompts, and what is expected of the sessions.",
        "properties": {
            "test_cases": {"type": "array", "items": case, "description": "The test cases."},
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
        forms = [_partial(form) for form in loose.pop(word, ()) if set(form) != {"required"}]
        if forms:
            loose[word] = forms
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
        if set(schema) <= {word, "description", "examples"} and word in schema:
            return {**schema, word: [*schema[word], {"type": "null"}]}
    return {"anyOf": [dict(schema), {"type": "null"}]}
