"""The timeline of one session for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from skilltrace_mlflow.report.terminal.lines import printed, terminal_width
from skilltrace_mlflow.report.timeline import (
    WHO,
    Limits,
    Node,
    build_timeline,
    call_node,
    totals,
)
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.text import counted, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["call_text", "timeline_text"]

_STYLES = {
    "succeeded": "green",
    "failed": "bold red",
    "denied": "bold magenta",
    "interrupted": "bold yellow",
    "unknown": "yellow",
}
_WHOLE = Limits(input=1_000_000, result=1_000_000, message=1_000_000)
_LIMITS = Limits(input=0, result=400, message=2_000)


def timeline_text(
    session: Session, *, name: str = "", width: int | None = None, color: bool = False
) -> str:
    """What the agent did, in order: prompts, model steps, calls with their outcomes, sub-agents
    indented; at the end the totals and what the record lacks.
    """
    columns = width or terminal_width()
    return printed(_parts(session, name), width=columns, color=color)


def call_text(
    session: Session, number: int, *, name: str = "", width: int | None = None, color: bool = False
) -> str:
    """One call with all that was asked and answered; ConfigurationError where there is none."""
    parts = _call_parts(session, number, name)
    return printed(parts, width=width or terminal_width(), color=color)


def _call_parts(session: Session, number: int, name: str) -> Iterable[RenderableType]:
    from rich.text import Text

    node = call_node(session, number, _WHOLE)
    yield Text(one_line(name or session.session_id or session.source or "session"), style="bold")
    line = Text(f"call {node.number}", style="bold")
    line.append(f"  {node.place}", style="dim")
    yield line
    line = Text(node.outcome, style=_STYLES[node.outcome])
    line.append(f"  {node.title}", style="bold not dim")
    line.append(f"  {node.text}  {node.duration}".rstrip(), style="none")
    yield line
    for text in (node.reason, *node.files):
        if text:
            yield Text(text, style="cyan" if text in node.files else _STYLES[node.outcome])
    for title, text_ in (("input", node.input), ("result", node.result)):
        yield Text()
        yield Text(title, style="bold cyan")
        yield Text("(not recorded)" if text_ is None else text_ or "(empty)")


def _parts(session: Session, name: str) -> Iterable[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    title = name or session.session_id or session.source or "session"
    yield Text(one_line(title), style="bold")
    nodes = build_timeline(session, _LIMITS)
    if nodes:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold", ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        for row in _rows(nodes, 0):
            grid.add_row(*row)
        yield grid
    else:
        yield Text("nothing happened in this session", style="yellow")
    yield Text()
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in totals(session):
        table.add_row(Text(key, style="dim"), Text(value))
    yield table
    for text in (
        *session.usage_notes,
        *session.incomplete,
        *(f"no {kind}: {why}" for kind, why in session.missing.items()),
    ):
        yield Text(f"note: {one_line(text, 400)}", style="dim")
    for found in session.diagnostics[:20]:
        where = f"line {found.line}: " if found.line is not None else ""
        yield Text(f"note: {where}{one_line(found.message, 400)}", style="dim")


def _rows(nodes: Iterable[Node], depth: int) -> Iterable[tuple[RenderableType, ...]]:
    from rich.padding import Padding
    from rich.text import Text

    indent = 2 * depth
    for node in nodes:
        right = Text(node.duration, style="dim")
        if node.kind == "step":
            line = Text(f"{node.title}  {node.tokens}", style="dim")
            yield Text(""), Padding(line, (0, 0, 0, indent)), right
        elif node.kind in ("prompt", "answer"):
            said = _said(node, "bold cyan" if node.kind == "prompt" else "")
            yield Text(WHO[node.kind], style="bold cyan"), Padding(said, (0, 0, 0, indent)), Text()
        elif node.kind == "agent":
            line = Text(node.title, style="bold")
            line.append(f"  {node.text}", style="none")
            line.append(f"  {node.tokens}", style="dim")
            yield Text(WHO[node.kind], style="bold cyan"), Padding(line, (0, 0, 0, indent)), right
        else:
            line = Text(node.title, style="bold")
            line.append(f"  {node.text}", style="none")
            for file in node.files:
                line.append(f"\n{file}", style="cyan")
            if node.outcome != "succeeded":
                why = node.reason or one_line(node.result or "", 200)
                line.append(f"\n{why}" if why else "", style=_STYLES[node.outcome])
            outcome = Text()
            outcome.append(f"{node.number:>4}  " if node.number else "", style="dim")
            outcome.append(node.outcome, style=_STYLES[node.outcome])
            yield outcome, Padding(line, (0, 0, 0, indent)), right
        yield from _rows(node.children, depth + 1)


def _said(node: Node, style: str) -> RenderableType:
    from rich.text import Text

    lines = node.text.split("\n")
    shown = "\n".join(lines[:12])
    if len(lines) > 12:
        shown += f"\n… ({counted(len(lines) - 12, 'more line')})"
    return Text(shown, style=style)
