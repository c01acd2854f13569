"""From a collector's drafts to a `Session`: order, outcomes, files, skills, sub-agents, gaps.

Order. Each agent's own order is kept; the agents are merged by time, where the time of an entry is
the latest seen so far in its agent (clocks step back, timestamps are missing). On ties the main
agent comes first, then sub-agents by id. A reader of another source has to do the same to arrive
at an equal session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from skilltrace_mlflow.session import MAIN_AGENT, ModelStep, Session, SkillUse
from skilltrace_mlflow.sources._builder import SessionBuilder
from skilltrace_mlflow.sources.transcript._collect import Collector
from skilltrace_mlflow.sources.transcript._messages import Record

__all__ = ["assemble", "merge_order"]

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
    subagents, gaps = collector.agents.finish(collector.talk.calls, collector.results.structured)
    builder = SessionBuilder(
        facts={
            call.id: known
            for call in collector.talk.calls.values()
            if (known := collector.results.facts(call)) is not None
        },
        skills=[SkillUse(name=name, status="loaded") for name in collector.slash_skills],
        incomplete=[*collector.notes.incomplete, *orphans, *gaps],
        usage_gaps=collector.notes.usage_gaps,
        diagnostics=[*collector.notes.diagnostics()],
    )
    for item in merge_order(collector.talk.items, collector.unsorted):
        builder.add(item)
    steps = builder.steps
    last = next((step for step in reversed(steps) if step.agent == MAIN_AGENT), None)
    of_end = last or (steps[-1] if steps else None)  # a sub-agent's own file has no main agent
    return builder.session(
        session_id=session_id,
        subagents=subagents,
        api_errors=tuple(collector.api_errors),
        start_time=collector.start,
        end_time=collector.end,
        cwd=collector.cwd,
        git_branch=collector.git_branch,
        version=collector.version,
        permission_mode=collector.permission_mode,
        stop_reason=last.stop_reason if last is not None else None,
        ending=collector.end_of.ending(of_end.stop_reason if of_end is not None else None),
        cost_usd=_recorded_cost(collector, steps, whole=not builder.usage_notes),
        source=source,
    )


def _time(item: Record) -> datetime:
    return item.timestamp or _BEFORE


def _recorded_cost(collector: Collector, steps: list[ModelStep], *, whole: bool) -> float | None:
    """The cost that the source states for the whole session: in one figure, or for every step of a
    record in which none is missing.
    """
    if collector.total_cost is not None:
        return collector.total_cost
    costs = [step.cost_usd for step in steps if step.cost_usd is not None]
    return sum(costs) if whole and costs and len(costs) == len(steps) else None
