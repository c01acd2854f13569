"""From a collector's drafts to a `Session`: order, outcomes, files, skills, sub-agents, gaps.

Order. Each agent's own order is kept; the agents are merged by time, where the time of an entry is
the latest seen so far in its agent (clocks step back, timestamps are missing). On ties the main
agent comes first, then sub-agents by id. A reader of another source has to do the same to arrive
at an equal session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    OUTSIDE,
    Compaction,
    Ending,
    ModelStep,
    Session,
    SkillUse,
)
from skilltrace_mlflow.sources._builder import SessionBuilder, side_request_gaps
from skilltrace_mlflow.sources.transcript._collect import Collector
from skilltrace_mlflow.sources.transcript._messages import Record
from skilltrace_mlflow.sources.transcript._stated import beyond_messages, covers

__all__ = ["assemble", "merge_order"]

_NO_RESULT = "the output of the run ends before its result line"
_BEFORE = datetime.min.replace(tzinfo=timezone.utc)


def merge_order(items: Mapping[str, list[Record]], unsorted: Iterable[str] = ()) -> list[Record]:
    """All agents' records in one order (see the module's text)."""
    filled = {agent: records for agent, records in items.items() if records}
    if len(filled) == 1:
        return next(iter(filled.values()))
    keyed = []
    for agent, records in filled.items():
        is_sub = agent != MAIN_AGENT
        latest = _BEFORE
        for item in sorted(records, key=_time) if agent in unsorted else records:
            if item.timestamp is not None and item.timestamp > latest:
                latest = item.timestamp
            keyed.append((latest, is_sub, agent, item))
    keyed.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in keyed]


def assemble(collector: Collector, *, source: str, session_id: str | None) -> Session:
    """The session that the collected records tell."""
    orphans = collector.results.finish()
    subagents, gaps = collector.agents.finish(
        collector.conversation.calls,
        collector.results.structured,
        collector.results.background.figures,
    )
    builder = SessionBuilder(
        facts=collector.results.facts(),
        skills=[SkillUse(name=name, status="loaded") for name in collector.slash_skills],
        incomplete=[*collector.notes.incomplete, *orphans, *gaps],
        usage_gaps=[*collector.notes.usage_gaps],
        diagnostics=[*collector.notes.diagnostics()],
    )
    builder.add(*merge_order(collector.conversation.items, collector.unsorted))
    steps = builder.steps
    stated = collector.stated
    # A line that cannot be read may be a response behind the statement.
    damaged = collector.notes.incomplete or collector.notes.usage_gaps
    current = stated is not None and collector.stated_last and covers(stated, steps)
    whole = current and not damaged
    for reason in _unstated(collector, current=current):
        builder.usage_gap(reason)
    if stated is not None:
        builder.add(*beyond_messages(stated, steps))
    last = next((step for step in reversed(steps) if step.agent == MAIN_AGENT), None)
    # A sub-agent's own file has no main agent.
    of_end = last or next((step for step in reversed(steps) if step.agent != OUTSIDE), None)
    if collector.streamed:
        if collector.printed.cut or not collector.printed.any:
            builder.gap(_NO_RESULT)
        if not any(message.role == "user" for message in builder.messages):
            builder.missing["messages"] = "the output of a run does not hold its prompt"
    return builder.session(
        usage_whole=whole,
        compactions=tuple(_placed(collector)),
        session_id=session_id,
        subagents=subagents,
        api_errors=tuple(collector.api_errors),
        start_time=collector.start,
        end_time=collector.end,
        stated_seconds=collector.printed.seconds(collector.start, collector.end),
        cwd=collector.cwd,
        git_branch=collector.git_branch,
        version=collector.version,
        permission_mode=collector.permission_mode,
        stop_reason=last.stop_reason if last is not None else None,
        ending=(
            Ending(text=_NO_RESULT)
            if _NO_RESULT in builder.incomplete
            else collector.end_of.ending(of_end.stop_reason if of_end is not None else None)
        ),
        cost_usd=(
            stated.cost
            if whole and stated is not None
            else _recorded_cost(collector, steps, whole=not builder.usage_notes)
        ),
        source=source,
    )


def _time(item: Record) -> datetime:
    return item.timestamp or _BEFORE


def _unstated(collector: Collector, *, current: bool) -> Iterator[str]:
    """Why usage may have left no line, where no figures of the CLI's cover all responses."""
    if current:
        return
    if collector.stated is not None:
        yield "the usage that Claude Code states does not cover all responses (a killed process)"
    agents = collector.conversation.items
    summaries = sum(1 for agent in agents if agent.startswith("acompact-"))
    if len(collector.compactions) > summaries:
        yield "the summary of a compaction leaves no usage in the transcript"
    yield from side_request_gaps(collector.conversation.calls.values())


def _placed(collector: Collector) -> Iterator[Compaction]:
    """The compactions, each with the position of the record that follows it."""
    own = collector.conversation.items[MAIN_AGENT]
    for found in collector.compactions:
        behind = own[found.position].position if found.position < len(own) else len(own)
        yield replace(found, position=behind)


def _recorded_cost(collector: Collector, steps: list[ModelStep], *, whole: bool) -> float | None:
    """The cost that the source states for the whole session: in one figure, or for every step of a
    record in which none is missing.
    """
    if collector.stated is not None:
        return None
    if collector.total_cost is not None:
        return collector.total_cost
    costs = [step.cost_usd for step in steps if step.cost_usd is not None]
    return sum(costs) if whole and costs and len(costs) == len(steps) else None
