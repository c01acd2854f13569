"""A session cut into user turns, so that each can become a trace and all together the session.

A turn begins with what a person said. Sub-agents belong, with everything they did, to the turn that
started them, however long they ran. Pure: no MLflow, no files except through a call's result.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from skilltrace_mlflow.session import MAIN_AGENT, Ending, Session, SubAgent, ToolCall
from skilltrace_mlflow.sources.mlflow.names import RECORDS
from skilltrace_mlflow.sources.session_json import session_to_json

__all__ = ["Turn", "split_turns"]

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One user turn: its part of the session, and where its records stand in the whole.

    `results` holds the text of each call's result, loaded once. `digest` changes when anything in
    the turn does; `session_digest` covers what concerns the session as a whole and stands on its
    last turn only.
    """

    session_id: str
    number: int
    count: int
    session: Session
    places: Mapping[str, tuple[int, ...]]
    whole: Session | None
    results: Mapping[str, str | None] = field(repr=False)
    digest: str = ""
    session_digest: str = ""

    def document(self) -> dict[str, Any]:
        """What spans have no place for, as the value of the root span's attribute."""
        calls = self.session.tool_calls
        document: dict[str, Any] = {
            "format": FORMAT,
            "turn": self.number,
            "turns": self.count,
            "record": _bare(self.session),
            "places": {name: list(places) for name, places in self.places.items() if places},
        }
        silent = [call.id for call in calls if self.results[call.id] is None]
        hidden = [call.id for call in calls if call.input is None]
        if silent:
            document["no_result"] = silent
        if hidden:
            document["no_input"] = hidden
        if self.whole is not None:
            document["session"] = session_to_json(self.whole)
        return document


def split_turns(session: Session, *, name: str) -> tuple[Turn, ...]:
    """The turns of a session, at least one; `name` identifies a session without an id."""
    owner = _Owner(session)
    count = owner.count
    members: dict[str, list[list[int]]] = {kind: [[] for _ in range(count)] for kind in RECORDS}
    for kind in RECORDS:
        for place, record in enumerate(getattr(session, kind)):
            members[kind][owner.turn_of(record)].append(place)
    whole = _whole(session)
    session_digest = _digest(session_to_json(_anywhere(whole)))
    turns = []
    for number in range(count):
        places = {kind: tuple(members[kind][number]) for kind in RECORDS}
        part = _part(session, places, number, count)
        results = {call.id: call.result for call in part.tool_calls}
        last = number == count - 1
        turns.append(
            Turn(
                session_id=session.session_id or name,
                number=number,
                count=count,
                session=part,
                places=places,
                whole=whole if last else None,
                results=results,
                digest=_turn_digest(part, places, results),
                session_digest=session_digest if last else "",
            )
        )
    return tuple(turns)


class _Owner:
    """Which turn a record belongs to."""

    def __init__(self, session: Session) -> None:
        prompts = [m for m in session.messages if m.role == "user" and m.agent == MAIN_AGENT]
        self._starts = sorted(message.position for message in prompts)
        self.count = max(len(self._starts), 1)
        self._calls: dict[str, ToolCall] = {call.id: call for call in session.tool_calls}
        self._agents: dict[str, SubAgent] = {agent.id: agent for agent in session.subagents}
        self._known: dict[str, int | None] = {}

    def turn_of(self, record: Any) -> int:
        if isinstance(record, SubAgent):
            return self._of_agent(record.id) or 0
        agent = record.agent
        if agent != MAIN_AGENT:
            turn = self._of_agent(agent)
            if turn is not None:
                return turn
        position = getattr(record, "position", None)
        if position is None:  # a file or a skill: where its call is
            call = self._calls.get(record.call_id or "")
            return self.turn_of(call) if call is not None else 0
        return max(bisect_right(self._starts, position) - 1, 0)

    def _of_agent(self, agent_id: str) -> int | None:
        if agent_id not in self._known:
            self._known[agent_id] = None  # ends a circle of agents that name each other
            agent = self._agents.get(agent_id)
            call = self._calls.get(agent.parent_call_id or "") if agent else None
            self._known[agent_id] = self.turn_of(call) if call is not None else None
        return self._known[agent_id]


def _part(
    session: Session, places: Mapping[str, tuple[int, ...]], number: int, count: int
) -> Session:
    parts: dict[str, Any] = {
        kind: tuple(getattr(session, kind)[place] for place in places[kind]) for kind in RECORDS
    }
    steps = parts["steps"]
    # A gap that hangs on no step (a file missing, a line lost) concerns every turn.
    anywhere = session.lost_apart
    moments = list(_moments(parts))
    # Entries that are no record (a queued prompt, a hook's summary) begin and end the session.
    if number == 0 and session.start_time is not None:
        moments.append(session.start_time)
    main = [step.stop_reason for step in steps if step.agent == MAIN_AGENT]
    last = number == count - 1
    if last and session.end_time is not None:
        moments.append(session.end_time)
    costs = [step.cost_usd for step in steps]
    return replace(
        session,
        **parts,
        start_time=min(moments, default=session.start_time),
        end_time=max(moments, default=session.end_time),
        stated_seconds=session.stated_seconds if count == 1 else None,
        api_errors=session.api_errors if last else (),
        stop_reason=main[-1] if main else None,
        ending=session.ending if last else Ending(),
        usage_complete=not anywhere and all(step.usage_complete for step in steps),
        usage_notes=session.usage_notes if anywhere or not session.usage_complete else (),
        cost_usd=None if None in costs or not costs else sum(c for c in costs if c is not None),
        cache={},
    )


def _moments(parts: Mapping[str, Iterable[Any]]) -> Iterable[datetime]:
    for kind in ("steps", "tool_calls", "messages"):
        for record in parts[kind]:
            for name in ("timestamp", "end_timestamp"):
                moment = getattr(record, name, None)
                if moment is not None:
                    yield moment


def _whole(session: Session) -> Session:
    """What concerns the session as a whole."""
    empty: dict[str, Any] = dict.fromkeys(RECORDS, ())
    return replace(session, **empty, cache={})


def _anywhere(session: Session) -> Session:
    """The session without the place of its file: a copy of it is the same session."""
    notes = tuple(replace(note, file=None) for note in session.diagnostics)
    return replace(session, source="", diagnostics=notes)


def _bare(session: Session) -> dict[str, Any]:
    """The record without what its spans hold: arguments, results, written contents."""
    calls = tuple(replace(call, input={}, load_result=None) for call in session.tool_calls)
    inputs = {call.id: call.input or {} for call in session.tool_calls if call.name == "Write"}
    files = tuple(
        replace(item, content=None)
        if inputs.get(item.call_id or "", {}).get("content") == item.content
        else item
        for item in session.files
    )
    return session_to_json(replace(session, tool_calls=calls, files=files, cache={}))


def _turn_digest(
    part: Session, places: Mapping[str, tuple[int, ...]], results: Mapping[str, str | None]
) -> str:
    # Properties of the session (version, mode, cwd) may change with a later turn: not part of it.
    records = _bare(Session(**{kind: getattr(part, kind) for kind in RECORDS}))
    inputs = [call.input for call in part.tool_calls]
    return _digest([records, {kind: list(p) for kind, p in places.items()}, inputs, dict(results)])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
