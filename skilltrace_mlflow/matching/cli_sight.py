"""What a kept permission rule on files does not say: lines that Claude Code does not look into, and
links that the session made or showed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from skilltrace_mlflow.matching.files import sure_hits
from skilltrace_mlflow.matching.links import links_of
from skilltrace_mlflow.matching.selectors import Selector
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.text import cut

__all__ = ["linked", "overlooked"]

_MOST = 3


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
