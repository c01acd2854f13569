"""Where the sub-agents of a session left their own transcripts.

Since 2.1 in `<session>/subagents/` beside the session's file (with a `.meta.json` each, and deeper
for workflows); from 2.0.28 on as `agent-*.jsonl` in the same folder, where only the `sessionId`
inside tells whose they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript._lines import open_source
from skilltrace_mlflow.sources.transcript._wire import decode_json, decode_tolerantly

__all__ = ["AgentFile", "agent_id_of", "files_of_agents", "find_agent_files", "session_stem"]

_PREFIX = "agent-"
_WORKFLOWS = "workflows"
_SUFFIXES = (".jsonl", ".jsonl.gz")
_LOOK = 20  # lines of an agent's file that are searched for its session id


class AgentFile(NamedTuple):
    """A sub-agent's transcript, what its `.meta.json` says, and the workflow run it belongs to."""

    path: Path
    agent_id: str
    type: str | None
    parent_call_id: str | None
    run_id: str | None = None


class _Meta(msgspec.Struct):
    agentType: str | None = None  # noqa: N815 - Claude Code's spelling
    toolUseId: str | None = None  # noqa: N815


def session_stem(path: Path) -> str:
    """The file's name without `.jsonl` or `.jsonl.gz`; Claude Code names files by session id."""
    name = path.name
    for suffix in reversed(_SUFFIXES):
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


def agent_id_of(path: Path) -> str | None:
    """The agent's id in the name of a sub-agent's file, None for any other file."""
    stem = session_stem(path)
    if path.name.endswith(_SUFFIXES) and stem.startswith(_PREFIX):
        return stem[len(_PREFIX) :]
    return None


def find_agent_files(
    path: Path, session_id: str | None, others: Collection[str], named: Collection[str]
) -> list[AgentFile]:
    """The sub-agents' files of the session in `path`, sorted by path.

    Siblings count when they carry `session_id`, or the id of another session whose entries the
    file repeats (`others`) and the file names them (`named`): a fork shares the agents of what it
    copied.
    """
    if agent_id_of(path) is not None:
        return []
    found = dict(_in_own_folder(path))
    for sibling, agent_id, owner in _beside(path):
        if owner is None:
            continue
        if owner == session_id or (owner in others and agent_id in named):
            found[Path(sibling)] = agent_id
    return [_described(file, agent_id) for file, agent_id in sorted(found.items())]


def files_of_agents(path: Path, session: Session) -> list[Path]:
    """The files, descriptions included, in which the sub-agents of the session that was read from
    `path` are recorded: what has to travel with it.
    """
    ids = {agent.id for agent in session.subagents}
    own = [file for file, _ in _in_own_folder(path)]
    siblings = [
        Path(file)
        for file, agent_id, owner in _beside(path)
        if owner is not None and (owner == session.session_id or agent_id in ids)
    ]
    metas = [file.with_name(session_stem(file) + ".meta.json") for file in own]
    return sorted([*own, *siblings, *(file for file in metas if file.is_file())])


def _in_own_folder(path: Path) -> Iterator[tuple[Path, str]]:
    """Each agent's file below the session's own folder, with the agent's id."""
    own = path.parent / session_stem(path) / "subagents"
    for file in own.rglob(_PREFIX + "*") if own.is_dir() else ():
        agent_id = agent_id_of(file)
        if agent_id is not None and file.is_file():
            yield file, agent_id


def _beside(path: Path) -> tuple[tuple[str, str, str | None], ...]:
    """`_siblings` of a session's file."""
    try:
        stamp = path.parent.stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _siblings(str(path.parent), stamp)


@lru_cache(maxsize=32)
def _siblings(folder: str, _stamp: int) -> tuple[tuple[str, str, str | None], ...]:
    """Path, agent id and session id of each agent's file in a folder.

    Remembered by the folder's time of change: a folder of thousands is read once, not per session.
    """
    found = []
    for file in sorted(Path(folder).glob(_PREFIX + "*")):
        agent_id = agent_id_of(file)
        if agent_id is not None and file.is_file():
            found.append((str(file), agent_id, _owner(file)))
    return tuple(found)


def _owner(path: Path) -> str | None:
    try:
        source = open_source(path)
        for data in source:
            if source.number > _LOOK:
                break
            try:
                session_id = decode_tolerantly(data).sessionId
            except ValueError:
                continue
            if session_id:
                return session_id
    except InputError:
        return None
    return None


def _described(path: Path, agent_id: str) -> AgentFile:
    run_id = path.parent.name if path.parent.parent.name == _WORKFLOWS else None
    stem = path.with_name(session_stem(path) + ".meta.json")
    try:
        meta = msgspec.convert(decode_json(stem.read_bytes()), _Meta)
    except (OSError, ValueError, msgspec.ValidationError):
        return AgentFile(path, agent_id, None, None, run_id)
    return AgentFile(path, agent_id, meta.agentType, meta.toolUseId, run_id)
