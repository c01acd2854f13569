"""Claude Code transcripts (JSONL) to `Session`.

How the work is divided: `_lines` opens a source and numbers its lines, `_wire` decodes a line,
`_collect` gathers and deduplicates, `_person` and `_outcome` judge what a person said and how a
call ended, `_subagents` finds the sub-agents' files, `_assemble` orders it all into a session.

A wrong file is an error, a damaged one is not: a source without a single entry of Claude Code's is
refused, since an empty session would meet every ban. Lines that cannot be read become diagnostics
and leave the session marked `incomplete`. Only a cut last line is forgiven, since a session that
is being written ends so; what it was going to say is missing from the token counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources._assemble import assemble
from skilltrace_mlflow.sources._collect import Collector
from skilltrace_mlflow.sources._lines import Line, Source, open_source
from skilltrace_mlflow.sources._subagents import agent_id_of, find_agent_files, session_stem
from skilltrace_mlflow.sources._wire import Entry, decode_entry

__all__ = ["parse_transcript"]

_BLANK = b"\0 \t\r\n"


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
    if not collector.recognised:
        raise InputError(f"{main.name}: {first}")
    if not collector.messages:
        collector.incomplete.append("the transcript holds no message")
    session_id = _session_id(collector, main.path)
    if subagents and main.path is not None:
        _read_subagents(collector, main.path, session_id)
    return assemble(collector, source=main.name, session_id=session_id)


def _read(source: Source, collector: Collector, *, agent: str | None = None) -> str:
    """Feed all lines of a source; returns what its first line is, should none be an entry."""
    collector.begin(source, agent=agent)
    first: str | None = None
    held: tuple[Line, str] | None = None  # a bad line, until it is known whether it is the last
    for line in source.lines:
        try:
            entry = decode_entry(line.data)
        except ValueError as error:
            problem = _problem(line, error)
            if problem is None:
                continue
            if held is not None:
                collector.damage(*held)
            held = (line, problem)
            first = first or f"line {line.number} is {problem}: this is no Claude Code transcript"
            rescued = _without_nul(line)
            if rescued is not None:
                collector.feed(rescued, line)
            continue
        if held is not None:
            collector.damage(*held)
            held = None
        if first is None:
            first = f"line {line.number} has type {entry.type!r}: this is no Claude Code transcript"
        collector.feed(entry, line)
    if held is not None:
        _last_line(collector, *held)
    return first or "is empty: there is no session in it"


def _problem(line: Line, error: ValueError) -> str | None:
    """What is wrong with a line that is no entry, None for a blank one."""
    if line.data.strip(_BLANK):
        return "an entry among NUL bytes" if b"\0" in line.data else str(error)
    return "NUL bytes" if b"\0" in line.data else None


def _without_nul(line: Line) -> Entry | None:
    """The entry in a line that begins or ends with NUL bytes, as a crash leaves them."""
    stripped = line.data.strip(_BLANK)
    if b"\0" not in line.data or not stripped:
        return None
    try:
        return decode_entry(stripped)
    except ValueError:
        return None


def _last_line(collector: Collector, line: Line, problem: str) -> None:
    """Judge a bad last line.

    Cut before its newline, it is a live session's, unless it shows a call that is lost; NUL bytes
    there are a file system's padding.
    """
    cut = not line.data.endswith(b"\n") and line.data.lstrip(_BLANK).startswith(b"{")
    if (cut and b'"tool_use"' not in line.data) or not line.data.strip(_BLANK):
        message = f"the last line is {'cut' if cut else problem}"
        where = collector.note(line, message)
        collector.usage_gaps.append(f"{where}: {message}")
    else:
        collector.damage(line, problem)


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
        result.structured.agentId
        for result in collector.results.values()
        if result.structured is not None and result.structured.agentId
    }
    files = find_agent_files(path, session_id, collector.session_ids, named)
    for file in files:
        agent = collector.agent(file.agent_id)
        agent.type = agent.type or file.type
        agent.parent_call_id = agent.parent_call_id or file.parent_call_id
        try:
            _read(open_source(file.path), collector, agent=file.agent_id)
        except InputError as error:
            agent.recorded = False
            collector.note(None, str(error))
            collector.incomplete.append(str(error))
