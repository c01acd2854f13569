"""Names that may stand in a manifest, and the nearest one to a name that is none.

The response keys and response checks are listed here, not in `responses/`, because files are
validated without importing anything that judges; a test holds the two together.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "CUSTOM_SCORER",
    "FIGURE_GATES",
    "GATE_GROUPS",
    "MLFLOW_SCORERS",
    "RESPONSE_CHECKS",
    "RESPONSE_KEYS",
    "did_you_mean",
    "misspelt",
    "outcome_name",
    "snake_case",
]

# A blank text is contained in every response.
_TEXTS = {"type": "array", "items": {"type": "string", "pattern": r"\S"}}
_COUNT = {"type": "integer", "minimum": 0}

RESPONSE_KEYS: Mapping[str, Mapping[str, Any]] = {
    "assertions": {**_TEXTS, "description": "Statements a model judges the response by."},
    "custom": {"type": "object", "description": "Free values for custom scorers."},
    "databricks_outcomes": {
        "type": "array",
        "items": {"type": "object"},
        "description": "State of a workspace after the run. Never judged here: always unknown.",
    },
    "expected_facts": {**_TEXTS, "description": "Texts that the response contains."},
    "expected_patterns": {
        "type": "array",
        "description": "Regular expressions that the response matches.",
        "items": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {
                        "pattern": {"type": "string", "minLength": 1},
                        "min_count": _COUNT,
                        "max_count": _COUNT,
                        "description": {"type": "string"},
                    },
                    "required": ["pattern"],
                    "additionalProperties": False,
                },
            ]
        },
    },
    "expected_response": {
        "type": "string",
        "description": "The answer that a model-based scorer compares with.",
    },
    "expected_skills": {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "uniqueItems": True,
        "description": "Skills that the trace must show loaded; [] for none.",
    },
    "guidelines": {**_TEXTS, "description": "Rules a model judges the response by."},
    "hallucinated_apis": {
        "type": "array",
        "description": "Further rules of no_hallucinated_apis.",
        "items": {
            "type": "object",
            "properties": {
                "pattern": {"type": "string", "minLength": 1},
                "instead": {"type": "string"},
                "languages": {"type": "array", "items": {"type": "string"}},
                "unless": {"type": "string"},
            },
            "required": ["pattern"],
            "additionalProperties": False,
        },
    },
    "is_multi_skill": {
        "type": "boolean",
        "description": "Whether more than one skill must be loaded.",
    },
    "unexpected_facts": {**_TEXTS, "description": "Texts that the response must not contain."},
}
"""Keys of a test's `expectations` that concern the response, with their JSON Schema."""

RESPONSE_CHECKS: Mapping[str, tuple[str, ...]] = {
    "databricks_outcomes": ("databricks_outcomes",),
    "execution_success": (),
    "expected_facts_present": ("expected_facts", "unexpected_facts"),
    "no_hallucinated_apis": ("hallucinated_apis",),
    "pattern_adherence": ("expected_patterns",),
    "python_syntax": (),
    "routing_precision": ("expected_skills",),
    "routing_recall": ("expected_skills",),
    "skill_routing_accuracy": ("expected_skills", "is_multi_skill"),
    "sql_syntax": (),
    "yaml_syntax": (),
}
"""The deterministic response checks and the keys that make each of them run."""

MLFLOW_SCORERS = frozenset(
    {
        "Completeness",
        "ConversationCompleteness",
        "ConversationalGuidelines",
        "ConversationalRoleAdherence",
        "ConversationalSafety",
        "ConversationalToolCallEfficiency",
        "Correctness",
        "Equivalence",
        "ExpectationsGuidelines",
        "Fluency",
        "Guidelines",
        "KnowledgeRetention",
        "PIIDetection",
        "RegexMatch",
        "RelevanceToQuery",
        "ResponseLength",
        "RetrievalGroundedness",
        "RetrievalRelevance",
        "RetrievalSufficiency",
        "Safety",
        "Summarization",
        "ToolCallCorrectness",
        "ToolCallEfficiency",
        "UserFrustration",
        "guidelines_from_expectations",
    }
)
"""MLflow's built-in scorers by class name (3.17), and our own `guidelines_from_expectations`."""

FIGURE_GATES = ("pass_rate", "trigger_precision", "trigger_recall")
"""Gates on a figure over all tests instead of on a check."""

GATE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "routing_accuracy": ("skill_routing_accuracy",),
    "syntax_valid": ("python_syntax", "sql_syntax", "yaml_syntax"),
}
"""Gate names that stand for several checks."""

CUSTOM_SCORER = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""`package.module:function`; `Guidelines:name` looks alike and is told apart by its class."""

# What people write instead, seen in public manifests; spelling alone would not lead them there.
_SYNONYMS = {
    "allowed_tools": "permissions",
    "banned_commands": "banned_tools",
    "banned_patterns": "banned_tools",
    "call_order": "tool_sequence",
    "expected_tools": "required_tools",
    "facts": "expected_facts",
    "files_created": "expected_files",
    "forbidden_patterns": "banned_tools",
    "forbidden_tools": "banned_tools",
    "max_tokens": "token_budget",
    "max_tool_calls": "tool_limits",
    "max_turns": "turn_limit",
    "patterns": "expected_patterns",
    "tool_counts": "tool_limits",
    "tool_order": "tool_sequence",
    "trajectory": "tool_trajectory",
}


def did_you_mean(name: str, known: Iterable[str], *, most: int = 12) -> str:
    """`did you mean 'x'?` for the nearest known name, else the known names, in their order."""
    names = list(dict.fromkeys(known))
    if _SYNONYMS.get(name) in names:
        return f"did you mean {_SYNONYMS[name]!r}?"
    by_fold = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.lower(), list(by_fold), n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_fold[near[0]]!r}?"
    if not names:
        return "no key is known here"
    listed = ", ".join(names[:most])
    return f"known: {listed}" + (", …" if len(names) > most else "")


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` must be a slip of: another case, or a letter lost, added, changed.

    For mappings that other tools may write into; a plural, or a word more (`prompt_id`), is theirs.
    """
    names = {n.lower().replace("_", ""): n for n in known}
    folded = name.lower().replace("_", "").replace("-", "")
    if folded.endswith("s") and folded[:-1] in names:
        return None
    alike = [other for other in names if abs(len(other) - len(folded)) <= 1]
    near = difflib.get_close_matches(folded, alike, n=1, cutoff=0.85)
    return names[near[0]] if near else None


def outcome_name(scorer: str) -> str:
    """The name under which a listed scorer's verdicts appear.

    `Safety` → `safety`, `Guidelines:tone` → `tone`, `package.module:function` → `function`.
    """
    if scorer in MLFLOW_SCORERS:
        return snake_case(scorer)
    return scorer.rpartition(":")[2]


def snake_case(name: str) -> str:
    """`ToolCallCorrectness` → `tool_call_correctness`, as MLflow names its scorers."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
