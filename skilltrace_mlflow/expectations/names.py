"""Names of scorers and gates that a manifest may hold, and the nearest one to a name that is none.

Names of checks, their keys and schemas are not listed here: they follow from the registry.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.responses import all_responses

if TYPE_CHECKING:
    from skilltrace_mlflow.expectations.manifest import ScorerEntry

__all__ = [
    "CUSTOM_SCORER",
    "FIGURE_GATES",
    "GATE_GROUPS",
    "MLFLOW_SCORERS",
    "SYNONYMS",
    "did_you_mean",
    "gate_hint",
    "gate_names",
    "misspelt",
    "outcome_name",
    "scorer_problem",
    "snake_case",
]

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

SYNONYMS: Mapping[str, str] = {
    "allowed_tools": "permissions",
    "banned_files": "file_scope",
    "banned_commands": "banned_tools",
    "banned_patterns": "banned_tools",
    "call_order": "tool_sequence",
    "expected_commands": "required_commands",
    "expected_tools": "required_tools",
    "facts": "expected_facts",
    "disallowed_tools": "banned_tools",
    "files_created": "expected_files",
    "forbidden_commands": "banned_tools",
    "forbidden_files": "file_scope",
    "forbidden_patterns": "banned_tools",
    "forbidden_skills": "banned_skills",
    "forbidden_tools": "banned_tools",
    "max_tokens": "token_budget",
    "max_tool_calls": "tool_limits",
    "max_turns": "turn_limit",
    "patterns": "expected_patterns",
    "tool_counts": "tool_limits",
    "tool_order": "tool_sequence",
    "trajectory": "tool_trajectory",
}
"""What people write instead, seen in public manifests; spelling alone would not lead them there."""


def did_you_mean(name: str, known: Iterable[str], *, most: int = 12) -> str:
    """`did you mean 'x'?` for the nearest known name, else the known names, in their order."""
    names = list(dict.fromkeys(known))
    if SYNONYMS.get(name) in names:
        return f"did you mean {SYNONYMS[name]!r}?"
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


def gate_names(scorers: Iterable[ScorerEntry] = ()) -> set[str]:
    """Every name that `quality_gates` may use, given the scorers that are listed."""
    names = {*all_checks(), *all_responses(), *GATE_GROUPS, *FIGURE_GATES}
    names |= {f"session.{name}" for name in all_checks()}
    names |= {f"tier{n}_pass_rate" for n in (1, 2, 3)}
    names |= set(MLFLOW_SCORERS) | {snake_case(name) for name in MLFLOW_SCORERS}
    for entry in scorers:
        names |= {entry.name, entry.name.rpartition(":")[2]}
        if isinstance(entry.arguments.get("name"), str):
            names.add(entry.arguments["name"])
    return names


def gate_hint(name: str, known: Iterable[str]) -> str:
    """What may be meant by the name of a gate that is none of `known`."""
    return _by_key(name) or did_you_mean(name, sorted(known))


def scorer_problem(name: str) -> str | None:
    """Why nothing can be run by this name, None if something can."""
    known = [*all_checks(), *all_responses(), *sorted(MLFLOW_SCORERS)]
    if name in known or CUSTOM_SCORER.fullmatch(name):
        return None  # `Guidelines:name` has the shape of a custom scorer
    if name.isidentifier() and name[:1].isupper() and _is_mlflow_scorer(name):
        return None
    hint = _by_key(name) or did_you_mean(name, known)
    return f"no scorer is named {name!r}; {hint}"


def _by_key(name: str) -> str | None:
    """The check that is meant where the key of its expectation stands instead of its name."""
    names = {spec.key: spec.name for spec in all_checks().values()}
    return f"did you mean {names[name]!r}?" if name in names else None


def _is_mlflow_scorer(name: str) -> bool:
    """Whether the installed MLflow has a scorer class that this version does not list."""
    try:
        import mlflow.genai.scorers as module
    except ImportError:
        return False
    return isinstance(getattr(module, name, None), type)
