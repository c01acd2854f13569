"""Claude Code transcripts (JSONL) to `Session`.

How the work is divided: `_lines` opens a source and numbers its lines, `_wire` decodes a line,
`_collect` gathers and deduplicates with the help of `_messages`, `_results`, `_outcome` and
`_agents`, `subagents` finds the sub-agents' files, `assemble` orders it all into a session.

A wrong file is an error, a damaged one is not: a source without a single entry of Claude Code's is
refused, since an empty session would meet every ban. Lines that cannot be read become diagnostics
and leave the session marked `incomplete`. Only a cut last line is forgiven that shows that it is no
response, since a session that is being written ends so.

Order. Each agent's own order is kept; the agents are merged by time, where the time of an entry is
the latest seen so far in its agent (clocks step back, timestamps are missing). On ties the main
agent comes first, then sub-agents by id. A reader of another source has to do the same to arrive at
an equal session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from skilltrace_mlflow.errors import InputError
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
from skilltrace_mlflow.sources.transcript._lines import Source, open_source
from skilltrace_mlflow.sources.transcript._messages import Record
from skilltrace_mlflow.sources.transcript._stated import beyond_messages, covers
from skilltrace_mlflow.sources.transcript._wire import (
    REFUSALS,
    Entry,
    decode_entry,
    decode_several,
    decode_tolerantly,
)
from skilltrace_mlflow.sources.transcript.subagents import (
    agent_id_of,
    find_agent_files,
    session_stem,
)

__all__ = ["assemble", "merge_order", "parse_transcript"]

_FIRST_TYPE = re.compile(rb'"type"\s*:\s*"([^"]*)"')
_NO_RESPONSES = (
    *(b"user", b"tool_result", b"system", b"attachment", b"summary", b"queue-operation"),
    *(b"file-history-snapshot", b"last-prompt", b"permission-mode", b"cost-state", b"result"),
)
_BLANK = b"\0 \t\r\n"
_NO_RESULT = "the output of the run ends before its result line"
_BEFORE = datetime.min.replace(tzinfo=timezone.utc)


def parse_transcript(
    source: str | os.PathLike[str] | Iterable[str | bytes], *, subagents: bool = True
) -> Session:
    """The session in a transcript.

    `source` is a path (`.jsonl`, or gzipped), `-` for standard input, or an iterable of lines.
    With `subagents` the transcripts of sub-agents that lie beside a file are read too; without,
    and when they are not there, the session says in `incomplete` that their calls are missing.

    Raises InputError, with file and line, for what cannot be opened or read and for a source that
    is no transcript.
    """
    main = open_source(source)
    collector = Collector()
    own_agent = agent_id_of(main.path) if main.path is not None else None
    first = _read(main, collector, agent=own_agent)
    if not collector.messages and not collector.known:
        raise InputError(f"{main.name}: {first}")
    if not collector.messages:
        collector.notes.incomplete.append("the transcript holds no message")
    session_id = _session_id(collector, main.path)
    if subagents and main.path is not None:
        _read_subagents(collector, main.path, session_id)
    return assemble(collector, source=main.name, session_id=session_id)


def _read(source: Source, collector: Collector, *, agent: str | None = None) -> str:
    """Feed all lines of a source; returns what its first line is, should none be an entry."""
    collector.begin(source, agent=agent)
    first: str | None = None
    held: tuple[str, int, bytes] | None = None  # a bad line, until it is known to be the last
    feed = collector.feed
    for data in source:
        try:
            entry = decode_entry(data)
        except REFUSALS:
            try:
                entry = decode_tolerantly(data)
            except ValueError as error:
                several = decode_several(data)
                if several:
                    if held is not None:
                        collector.notes.damage(*held[:2])
                        held = None
                    first = first or f"line {source.number} has type {several[0].type!r}"
                    for each in several:
                        feed(each)
                    continue
                problem = _problem(data, error)
                if problem is None:
                    continue
                if held is not None:
                    collector.notes.damage(*held[:2])
                held = (problem, source.number, data)
                first = first or f"line {source.number} is {problem}"
                rescued = _without_nul(data)
                if rescued is not None:
                    feed(rescued)
                continue
        if held is not None:
            collector.notes.damage(*held[:2])
            held = None
        if first is None:
            first = f"line {source.number} has type {entry.type!r}"
        feed(entry)
    collector.done()
    if held is not None:
        _last_line(collector, *held)
    return f"{first}: this is no Claude Code transcript" if first else "is empty: no session in it"


def _problem(data: bytes, error: ValueError) -> str | None:
    """What is wrong with a line that is no entry, None for a blank one."""
    if data.strip(_BLANK):
        return "an entry among NUL bytes" if b"\0" in data else str(error)
    return "NUL bytes" if b"\0" in data else None


def _without_nul(data: bytes) -> Entry | None:
    """The entry in a line that begins or ends with NUL bytes, as a crash leaves them."""
    stripped = data.strip(_BLANK)
    if b"\0" not in data or not stripped:
        return None
    try:
        return decode_tolerantly(stripped)
    except ValueError:
        return None


def _last_line(collector: Collector, problem: str, number: int, data: bytes) -> None:
    """Judge a bad last line.

    Cut before its newline, it is a live session's. It leaves no gap if what is there shows that it
    is no response, which may hold a call and is a turn. NUL bytes are a file system's padding.
    """
    cut = not data.endswith(b"\n") and data.lstrip(_BLANK).startswith(b"{")
    if (cut and _is_no_response(data)) or not data.strip(_BLANK):
        message = f"the last line is {'cut' if cut else problem}"
        collector.notes.note(message, number)
        collector.notes.usage_gaps.append(f"{collector.notes.where(number)}: {message}")
        damaged = cut
    else:
        collector.notes.damage("the last line is cut" if cut else problem, number)
        damaged = True
    if damaged:
        collector.lost_end()


def _is_no_response(data: bytes) -> bool:
    """Whether the beginning of a line tells that it is none; in one, the first type is another."""
    kind = _FIRST_TYPE.search(data)
    return kind is not None and kind.group(1) in _NO_RESPONSES


def _session_id(collector: Collector, path: Path | None) -> str | None:
    """The session's id: the file's name where entries carry it, else the one most of them carry.

    A resumed or forked session may hold entries under its predecessor's id.
    """
    ids = collector.session_ids
    if path is not None and session_stem(path) in ids:
        return session_stem(path)
    most = max(ids.values(), default=0)
    return next((name for name in reversed(list(ids)) if ids[name] == most), None)


def _read_subagents(collector: Collector, path: Path, session_id: str | None) -> None:
    named = {
        structured.agentId
        for structured in collector.results.structured.values()
        if structured.agentId
    }
    runs = {
        structured.runId: call_id
        for call_id, structured in collector.results.structured.items()
        if structured.runId
    }
    files = find_agent_files(path, session_id, collector.session_ids, named)
    for file in files:
        agent = collector.agents.get(file.agent_id)
        agent.type = agent.type or file.type
        agent.parent_call_id = agent.parent_call_id or file.parent_call_id
        if agent.parent_call_id is None and file.run_id is not None:
            agent.parent_call_id = runs.get(file.run_id)
        try:
            _read(open_source(file.path), collector, agent=file.agent_id)
        except InputError as error:
            agent.recorded = False
            collector.notes.note(str(error))
            collector.notes.incomplete.append(str(error))


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
