"""The metrics of sessions as lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from skilltrace_mlflow.figures import shown_figure
from skilltrace_mlflow.report.terminal.lines import cells, hanging, printed, terminal_width
from skilltrace_mlflow.text import counted, one_line, plain

__all__ = ["metrics_table", "totals_table"]

_LONGEST = 20_000  # thousands of files are in the JSON


def _tokens(tokens: Mapping[str, int], *, complete: bool) -> str:
    """Token figures in words, "at least" in front where they are a lower bound."""
    said = (
        f"{tokens['input']:,} in, {tokens['output']:,} out, "
        f"{tokens['cache_creation']:,} cache written, {tokens['cache_read']:,} cache read"
    )
    return said if complete else f"at least {said}"


def _cost(cost: float | None, *, complete: bool) -> str:
    if cost is None:
        return "unknown"
    return shown_figure("cost_usd", cost, not complete)


def totals_table(sums: Mapping[str, Any], by: Sequence[str], *, color: bool) -> str:
    """What several sessions come to, divided by the kinds in `by`."""
    rows = [
        ("sessions", f"{sums['sessions']:,}"),
        ("API messages", f"{sums['messages']:,}, each counted once"),
        ("tokens", _tokens(sums["tokens"], complete=sums["usage_complete"])),
        ("cost", _cost(sums["cost_usd"], complete=sums["cost_complete"])),
    ]
    if sums["incomplete_sessions"]:
        rows.append(("lower bounds", f"of {counted(sums['incomplete_sessions'], 'session')}"))
    for kind in by:
        for key, group in sums[f"by_{kind}"].items():
            cost = _cost(group["cost_usd"], complete=group["cost_complete"])
            tokens = _tokens(group["tokens"], complete=group["usage_complete"])
            rows.append((key, f"{cost}: {tokens}"))
    return _printed("totals", rows, color=color)


def metrics_table(name: str, data: Mapping[str, Any], *, color: bool) -> str:
    """The metrics of one session, a line for each, as `TraceMetrics.to_dict` has them."""
    tools, files = data["tools"], data["files"]
    seconds = data["duration_seconds"]
    cost = data["cost_usd"]
    bad = ", ".join(
        f"{tools[kind]:,} {kind}"
        for kind in ("failed", "denied", "interrupted", "unknown")
        if tools[kind]
    )
    calls = ", ".join(f"{tool} {count:,}" for tool, count in tools["by_name"].items())
    rows = [
        ("session", str(data["session_id"])),
        ("model", str(data["model"] or "unknown")),
        ("duration", _duration(seconds, complete=not data["incomplete"])),
        (
            "tokens",
            _tokens(data["tokens"], complete=data["usage_complete"]),
        ),
        ("cost", _cost(cost, complete=data["usage_complete"])),
        (
            "conversation",
            f"{counted(data['conversation']['turns'], 'turn')}, "
            f"{counted(data['conversation']['user_messages'], 'prompt')}",
        ),
        ("tool calls", f"{tools['total_calls']:,}" + (f" ({bad})" if bad else "")),
        ("by tool", calls or "none"),
        ("files created", ", ".join(files["created"]) or "none"),
        ("files modified", ", ".join(files["modified"]) or "none"),
        ("files read", ", ".join(files["read"]) or "none"),
    ]
    if data["subagents"]:
        agents = Counter(map(_agent, data["subagents"]))
        said = (f"{count} × {text}" if count > 1 else text for text, count in agents.items())
        rows.append(("sub-agents", ", ".join(said)))
    if data["skills"]:
        rows.append(("skills", ", ".join(f"{s['name']} ({s['status']})" for s in data["skills"])))
    if data["compactions"]:
        rows.append(("compactions", str(data["compactions"])))
    return _printed(name, rows, color=color)


def _duration(seconds: float | None, *, complete: bool) -> str:
    if seconds is None:
        return "unknown"
    return shown_figure("duration_seconds", seconds, not complete)


def _agent(agent: Mapping[str, Any]) -> str:
    """A sub-agent in words; one whose transcript is not at hand is missing, not idle."""
    kind = agent["type"] or "agent"
    if not agent["recorded"]:
        stated = agent.get("stated") or {}
        figures = "".join(f", {what}: {count:,}" for what, count in stated.items())
        return f"{kind} (missing{figures})"
    return f"{kind} ({counted(agent['tool_calls'], 'call')})"


def _printed(name: str, rows: Sequence[tuple[str, str]], *, color: bool) -> str:
    width = terminal_width()
    size = max(cells(key) for key, _ in rows)
    parts = [hanging([(plain(name), "italic")], "", width)]
    for key, value in rows:
        head = [("  " + key.ljust(size) + "  ", "bold")]
        parts.append(hanging(head, one_line(value, _LONGEST), width, indent=4, column=True))
    return printed(parts, width=width, color=color)
