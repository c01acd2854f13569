"""Remarks on permission rules: which ones are never applied, and what a kept one does not say.

Claude Code 2.1.332 leaves out globs under `allow`, and drops other rules without a word. A rule
that says what is meant is enforced here all the same under `deny` and `ask`; either way a remark
names it (`remark_on`).

A kept rule on files does not say which lines Claude Code does not look into (`overlooked`), and
which links the session made or showed (`linked`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from skilltrace_mlflow.matching.files import sure_hits
from skilltrace_mlflow.matching.links import links_of
from skilltrace_mlflow.matching.permission_rules import SHELL_PARAMETERS
from skilltrace_mlflow.matching.selectors import Selector, parse_selector
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.text import cut
from skilltrace_mlflow.tools import EDITORS, READERS, SHELLS, starts_agent

__all__ = ["has_wildcard", "linked", "names_server", "overlooked", "remark_on"]

_PARAMETER = re.compile(r"[A-Za-z_]\w*:.*", re.DOTALL)
_LEFT_OUT = "Claude Code leaves it out"
_ENFORCED = "Claude Code drops it; it is enforced here"
_MOST = 3


def has_wildcard(name: str) -> bool:
    """Whether a tool's name in a rule is a glob."""
    return any(sign in name for sign in "*?[")


def names_server(name: str) -> bool:
    """Whether a glob is one for the tools of a server that it names: `mcp__db__get_*`."""
    server, line, tool = name.removeprefix("mcp__").partition("__")
    known = not has_wildcard(server) and not set(tool) & set("?[")
    return name.startswith("mcp__") and bool(line) and known


def remark_on(kind: str, text: str) -> str | None:
    """Why Claude Code never applies a rule under `allow`, `ask` or `deny`; None if it does."""
    rule = parse_selector(text)
    name, bracket, inner = rule.text.partition("(")
    inner = inner.removesuffix(")").strip()
    globbing = has_wildcard(name)
    if kind == "allow":
        if bracket and name.startswith("mcp__"):
            return f"rules on MCP tools take no brackets: {_LEFT_OUT}"
        return _of_allow(name, inner, globbing=globbing)
    if not bracket:
        if globbing and any(sign in name for sign in "?["):
            return f"only * is a wildcard there: {_ENFORCED}"
        return None
    if name.startswith("mcp__"):
        return f"rules on MCP tools take no brackets: {_ENFORCED}"
    if inner in ("", "*"):
        return None
    if name in (*EDITORS, *READERS) and name not in ("Read", "Edit") and not _parameter(inner):
        meant = "Edit" if name in EDITORS else "Read"
        return f"paths are for Read(…) and Edit(…), as {meant}({inner}): {_ENFORCED}"
    if kind == "ask" and (starts_agent(name) or name == "Skill") and not _parameter(inner):
        return f"nobody is asked about one agent or skill by its name: {_ENFORCED}"
    if starts_agent(name) and not _parameter(inner) and "*" in inner:
        return f"no wildcards in an agent's type: {_ENFORCED}"
    if name == "Skill" and "*" in inner.removesuffix(":*").removesuffix(" *"):
        return f"no wildcards in a skill's name but :* at its end: {_ENFORCED}"
    if name == "Cd":
        return "it is about a person's /cd; no call of a tool is meant"
    if name == "Monitor":
        return f"its command is for Bash(…): {_ENFORCED}"
    if name == "WebFetch" and not inner.startswith("domain:"):
        return f"WebFetch takes domain:HOST: {_ENFORCED}"
    return None


def _of_allow(name: str, inner: str, *, globbing: bool) -> str | None:
    if name == "Cd":
        return "it is about a person's /cd; no call of a tool is meant"
    if name == "Monitor" and inner not in ("", "*"):
        return f"its command is for Bash(…): {_LEFT_OUT}"
    if globbing and not names_server(name):
        return f"a wildcard in a tool's name allows nothing: {_LEFT_OUT}"
    if inner in ("", "*"):
        return None
    if name in EDITORS and name != "Edit" and not _parameter(inner):
        return f"it covers nothing; write Edit({inner})"
    if _parameter(inner) and not _takes_colon(name, inner):
        return f"Tool(parameter:value) is for deny and ask: {_LEFT_OUT}"
    return None


def _parameter(inner: str) -> bool:
    return _PARAMETER.fullmatch(inner) is not None


def _takes_colon(name: str, inner: str) -> bool:
    """Whether a colon in the brackets is no parameter's."""
    if name in SHELLS:
        return inner.partition(":")[0] not in SHELL_PARAMETERS or inner.endswith(":*")
    return name == "Skill" or (name == "WebFetch" and inner.startswith("domain:"))


def overlooked(
    session: Session, rules: Sequence[Selector], met: Collection[int]
) -> tuple[str, ...]:
    """Remarks on lines that touch what deny rules on files name and that the CLI lets run.

    `met` are the identities of the calls that the rules mean as the CLI looks.
    """
    found: list[str] = []
    for rule in rules:
        if rule.rule_name not in ("Read", "Edit"):
            continue
        lines = dict.fromkeys(
            item.line
            for item in sure_hits(session, rule)
            if id(item.call) not in met and item.call.outcome != "denied"
        )
        shown = [f"`{cut(line, 60)}`" for line in list(lines)[:_MOST]]
        if shown:
            more = f" and {len(lines) - _MOST} more" if len(lines) > _MOST else ""
            found.append(f"Claude Code does not look into {', '.join(shown)}{more} ({rule.text})")
    return tuple(found)


def linked(session: Session, rules: Sequence[Selector]) -> tuple[str, ...]:
    """A remark on the session's links, where a rule on files could mean what is behind one."""
    if not any(_of_files(rule) for rule in rules):
        return ()
    shown = list(dict.fromkeys(_shown(session)))
    if not shown:
        return ()
    more = f" and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
    return (f"symbolic links of the session: {', '.join(shown[:_MOST])}{more}",)


def _of_files(rule: Selector) -> bool:
    return rule.specifier is not None and rule.specifier.path is not None


def _shown(session: Session) -> Iterator[str]:
    for link in links_of(session):
        yield link.shown
