"""`subagents`: how many sub-agents may run, and of which types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import LIFTED, About, Count, Items, Limit, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.patterns.regex import glob_match
from skilltrace_mlflow.session import WARM_UP, Session, SubAgent, ToolCall
from skilltrace_mlflow.tools import starts_agent

__all__ = ["SubAgents", "subagents"]

_DEFAULT_TYPE = "general-purpose"  # what Claude Code takes where the call names none


@dataclass(frozen=True, kw_only=True)
class SubAgents:
    """The most sub-agents, and the types (names or globs) that must, or must not, be used."""

    max: Annotated[Count | None, About("The most sub-agents.")] = None
    required: Annotated[
        tuple[str, ...],
        Items(),
        About("Types of which each must be used.", each="A sub-agent's type, or a glob."),
    ] = ()
    banned: Annotated[
        tuple[str, ...],
        Items(ban=True),
        About("Types that must not be used.", each="A sub-agent's type, or a glob."),
    ] = ()
    lifted: Annotated[tuple[str, ...], LIFTED] = ()


_DECLARED = declare(SubAgents, scope=False)


_EXPLORER = {"subagents": (SubAgent(id="a1", type="Explore"),)}


@check(
    name="subagents",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max": 2, "required": ["Explore"]},
            session=_EXPLORER,
            verdict=Verdict.PASS,
            why="one sub-agent, of the required type",
        ),
        Example(
            value={"banned": ["Explore"]},
            session=_EXPLORER,
            verdict=Verdict.FAIL,
            why="a banned type ran",
        ),
    ),
)
def subagents(session: Session, parameters: SubAgents) -> Outcome:
    """The number of sub-agents stays within the limit, required types ran, banned ones did not.

    A type may be written with or without its plugin's name in front (`ops:deployer`), in any letter
    case. For a ban the attempt counts, even if it was denied. Agents that Claude Code 2.0 warmed up
    by itself, before anything was asked, do not count.

    Seen: sub-agents with transcripts or spans of their own, and calls that asked for one.

    Unknown: a number or a type that lost records could change, and a call whose end is not
    recorded, for `required`.

    Out of sight: agents of other programs (`claude -p` in a shell command), and workers inside
    one tool.
    """
    linked = {agent.parent_call_id for agent in session.subagents}
    launches = [c for c in session.tool_calls if starts_agent(c.name)]
    # A launch whose sub-agent left no record of its own still was one, unless it resumed another.
    unlinked = [c for c in launches if c.id not in linked and "resume" not in (c.input or {})]
    surely = [c for c in unlinked if c.outcome == "succeeded"]
    perhaps = [c for c in unlinked if c.outcome in ("unknown", "interrupted")]
    started = [agent for agent in session.subagents if agent.status != WARM_UP]
    ran = [agent.type for agent in started] + [_type_of(c) for c in surely]
    tried = ran + [_type_of(c) for c in launches]
    started_by = {agent.parent_call_id for agent in started}
    launched = [c for c in launches if c.id in started_by or c in surely]
    findings = []
    if parameters.max is not None:
        findings.append(
            Limit(maximum=parameters.max).judge(
                "sub-agents", len(ran), len(ran) + len(perhaps), launched
            )
        )
    for name in parameters.required:
        met = _used(name, ran)
        if met is False and _used(name, [_type_of(c) for c in perhaps]) is not False:
            met = None
        findings.append(Finding(text=f"{name}: {_SAID[met]}", met=met, could_meet=True))
    for name in parameters.banned:
        used = _used(name, tried)
        met = None if used is None else not used
        calls = () if met else _calls_of(session, name, launches)
        text = f"{name}: {_SAID[used]}"
        findings.append(Finding(text=text, met=met, could_break=True, calls=calls))
    banned_hit = any(_used(name, tried) for name in parameters.banned)
    types = sorted({kind or "?" for kind in ran})
    return conclude(
        session,
        findings,
        all_or_nothing=banned_hit,
        lost=session.lacks("subagents"),
        note="; ".join(f"lifted by name: {text}" for text in parameters.lifted),
        details={"types": types, "count": len(ran)},
    )


_SAID = {True: "ran", False: "did not run", None: "may have run, types are not recorded"}


def _type_of(call: ToolCall) -> str | None:
    if call.input is None or call.input_truncated:
        return None
    kind = call.input.get("subagent_type", _DEFAULT_TYPE)
    return kind if isinstance(kind, str) else None


def _calls_of(session: Session, name: str, launches: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls that asked for an agent of that type, or started one."""
    meant = {a.parent_call_id for a in session.subagents if a.type and _is_meant(name, a.type)}
    return tuple(c for c in launches if c.id in meant or _used(name, [_type_of(c)]) is not False)


def _used(name: str, types: Sequence[str | None]) -> bool | None:
    if any(kind is not None and _is_meant(name, kind) for kind in types):
        return True
    return None if None in types else False


def _is_meant(name: str, kind: str) -> bool:
    """A plugin's agent is `<plugin>:<name>`, and its own name alone means it too. Claude Code takes
    a type in any letter case.
    """
    name, kind = name.casefold(), kind.casefold()
    return glob_match(name, kind) or glob_match(name, kind.rsplit(":", 1)[-1])
