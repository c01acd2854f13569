"""The session that a source's records make: order, files, skills, gaps. Every source feeds it.

A reader adds steps, calls and messages in the order in which they happened, says of single calls
what it knows beyond the record (`CallFacts`), and names what is missing. What follows from that is
decided here, once: which files a call touched, which skill it loaded, whether usage is whole, and
which calls are damaged.

Damaged are calls that cannot have been as they are recorded; what they were, nobody can tell any
more. A name that no tool can have, a command or a path that is no text, and either of them with the
sign that stands for lost characters are damage of the record. A ban or a limit that such a call
seems to keep is not known to be kept.

Records are made and filled in while a transcript is being read (`record`, `fill`). The generated
`__init__` of a frozen dataclass sets every field through `object.__setattr__`; for the records of a
session that alone took a third of the reading time. Here a record is given its fields in one go,
and is still open until the session is handed out.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar

from skilltrace_mlflow.session import (
    Diagnostic,
    Evidence,
    FileOperation,
    Message,
    ModelStep,
    Session,
    SkillUse,
    SubAgent,
    ToolCall,
)
from skilltrace_mlflow.tools import NEEDED, TOOLS

__all__ = [
    "CallFacts",
    "SessionBuilder",
    "damages",
    "files_of",
    "fill",
    "record",
    "side_request_gaps",
    "skills_of",
    "with_damages",
]

_CREATED = re.compile(r"\s*File created successfully at: ")
_UPDATED = re.compile(
    r"\s*(?:The file .{0,4000}? has been updated|Applied \d+ edits? to )", re.DOTALL
)
_LOADED = "Launching skill: "
_SKILL_KEYS = ("skill", "skill_name", "command")  # today's, the SDK's, that of before 2.0.3x
_SKILL_FILE = re.compile(r"(?:^|[/\\])([^/\\]+)[/\\]SKILL\.md", re.IGNORECASE)
_SKILL_TOOLS = frozenset(tool.name for tool in TOOLS.values() if tool.skill)
# Tools that name one file: the argument that does, and whether they only read it.
_ONE_FILE = {
    tool.name: (tool.path, tool.reads)
    for tool in TOOLS.values()
    if tool.path in ("file_path", "notebook_path") and (tool.reads or tool.writes)
}
_TOOL_NAME = re.compile(r"[\w.:@/-]*[^\W\d_][\w.:@/-]*")  # the API takes nothing else
_LOST = "\ufffd"
_NO_NAME = frozenset({"unknown"})  # what readers write where there is none
T = TypeVar("T")


def record(cls: type[T], fields: dict[str, Any]) -> T:
    """An instance of the dataclass `cls`; `fields` has to name every field and becomes its own."""
    made = object.__new__(cls)
    object.__setattr__(made, "__dict__", fields)
    return made


def fill(made: object, **fields: Any) -> None:
    """Set fields of a record that nobody else has seen yet."""
    made.__dict__.update(fields)


class CallFacts(NamedTuple):
    """What a source knows of a call beside the record; None and empty where it knows nothing.

    `path` is the file as the result names it, `created` whether a Write made it new, `changed` the
    files that a command changed, each with whether it was new, `text` the beginning of the result,
    `skill` the name in the result, `refused` that the skill was not loaded though the call worked.
    """

    path: str | None = None
    created: bool | None = None
    changed: tuple[tuple[str, bool], ...] = ()
    text: str | None = None
    skill: str | None = None
    refused: bool = False


_NOTHING = CallFacts()


@dataclass(kw_only=True)
class SessionBuilder:
    """The growing record; `add` in order, then `session`."""

    steps: list[ModelStep] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    facts: dict[str, CallFacts] = field(default_factory=dict)
    skills: list[SkillUse] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    usage_gaps: list[str] = field(default_factory=list)
    step_gaps: list[str] = field(default_factory=list)  # why single steps hold a lower bound
    missing: dict[Evidence, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _place: int = 0

    def add(self, *records: ModelStep | ToolCall | Message) -> None:
        """The next records; each is given its place, and must not have been handed out before."""
        for place, record in enumerate(records, start=self._place):
            record.__dict__["position"] = place
            if isinstance(record, ToolCall):
                self.calls.append(record)
            elif isinstance(record, ModelStep):
                self.steps.append(record)
            else:
                self.messages.append(record)
        self._place += len(records)

    def gap(self, reason: str) -> None:
        """Calls, steps or messages that may be missing, and with them their tokens."""
        if reason not in self.incomplete:
            self.incomplete.append(reason)

    def usage_gap(self, reason: str) -> None:
        """Tokens that may be missing."""
        if reason not in self.usage_gaps:
            self.usage_gaps.append(reason)

    @property
    def usage_notes(self) -> tuple[str, ...]:
        """Why token figures are a lower bound; empty where they are whole."""
        bounds = sum(1 for step in self.steps if not step.usage_complete)
        of_steps = (
            f"{bounds} of {len(self.steps)} API responses record only a lower bound of their tokens"
        )
        if self.step_gaps:
            of_steps += f" ({'; '.join(self.step_gaps)})"
        return (*self.incomplete, *self.usage_gaps, *((of_steps,) if bounds else ()))

    def session(self, *, usage_whole: bool = False, **outer: Any) -> Session:
        """The finished record; `outer` are the fields of the session that are no records.

        With `usage_whole` the source itself states figures that hold whatever is missing.
        """
        notes = () if usage_whole else self.usage_notes
        found = Session(
            steps=tuple(self.steps),
            tool_calls=tuple(self.calls),
            messages=tuple(self.messages),
            files=tuple(files_of(self.calls, self.facts)),
            skills=(*skills_of(self.calls, self.facts), *self.skills),
            usage_complete=not notes,
            usage_notes=notes,
            missing=self.missing,
            incomplete=tuple(self.incomplete),
            diagnostics=tuple(self.diagnostics),
            **outer,
        )
        return with_damages(found)  # what a damaged call used is known all the same


def side_request_gaps(calls: Iterable[ToolCall]) -> Iterator[str]:
    """Usage that no record holds: WebFetch and WebSearch ask a model of their own."""
    asking = {c.name for c in calls if c.outcome not in ("failed", "denied")}
    for name in sorted(asking & {"WebFetch", "WebSearch"}):
        yield f"what {name} asks a model leaves no usage in the record"


def files_of(calls: Iterable[ToolCall], facts: Mapping[str, CallFacts]) -> Iterator[FileOperation]:
    """The files that calls created, edited or read.

    Those of tools that name one file, where the call succeeded; and what commands are known to have
    changed, however they ended.
    """
    known: set[str] = set()
    for call in calls:
        fact = facts.get(call.id, _NOTHING)
        for changed, new in fact.changed:
            known.add(changed)
            yield _operation(call, "create" if new else "edit", changed)
        if call.name not in _ONE_FILE or call.outcome != "succeeded":
            continue
        argument, only_reads = _ONE_FILE[call.name]
        path: Any = fact.path or (call.input or {}).get(argument)
        if not isinstance(path, str) or not path:
            continue
        kind: Literal["create", "edit", "read"] = "edit"
        content: Any = None
        if only_reads:
            kind = "read"
        elif call.name == "Write":
            content = (call.input or {}).get("content")
            kind = "create" if _is_new(call, fact, path in known) else "edit"
        known.add(path)
        yield _operation(call, kind, path, content if isinstance(content, str) else None)


def _operation(
    call: ToolCall,
    kind: Literal["create", "edit", "read"],
    path: str,
    content: str | None = None,
) -> FileOperation:
    made = object.__new__(FileOperation)
    # In one go: the generated `__init__` of a frozen dataclass is slow, and these are many.
    object.__setattr__(
        made,
        "__dict__",
        {
            "type": kind,
            "file_path": path,
            "content": content,
            "agent": call.agent,
            "call_id": call.id,
        },
    )
    return made


def _is_new(call: ToolCall, fact: CallFacts, known: bool) -> bool:
    """Whether a Write made a file that was not there."""
    if fact.created is not None:
        return fact.created
    text = fact.text if fact.text is not None else (call.result or "")
    if _CREATED.match(text):
        return True
    return not _UPDATED.match(text) and not known


def skills_of(calls: Iterable[ToolCall], facts: Mapping[str, CallFacts]) -> Iterator[SkillUse]:
    """The skills that calls asked for, and what became of them.

    A `SKILL.md` that was read with Read is in the agent's context as well: status `read`.
    """
    for call in calls:
        name = call.name
        if name in _SKILL_TOOLS:
            yield _skill(call, facts.get(call.id, _NOTHING))
        elif name == "Read" and call.outcome == "succeeded":
            path = facts.get(call.id, _NOTHING).path or (call.input or {}).get("file_path")
            if not isinstance(path, str) or not path.endswith(("SKILL.md", "skill.md")):
                continue
            found = _SKILL_FILE.search(path)
            if found and found.end() == len(posixpath.normpath(str(path))):
                yield SkillUse(
                    name=found.group(1), status="read", call_id=call.id, agent=call.agent
                )


def _skill(call: ToolCall, fact: CallFacts) -> SkillUse:
    arguments = call.input or {}
    named = next((arguments[key] for key in _SKILL_KEYS if arguments.get(key)), None)
    name = named if isinstance(named, str) else (fact.skill or "")
    status: Literal["attempted", "loaded", "failed"] = "attempted"
    if call.outcome == "succeeded":
        status = "failed" if fact.refused else "loaded"
    elif call.outcome in ("failed", "denied"):
        status = "failed"
    elif (fact.text or "").startswith(_LOADED):
        status = "loaded"
    return SkillUse(name=name.strip().lstrip("/"), status=status, call_id=call.id, agent=call.agent)


def damages(
    calls: Iterable[ToolCall], skills: Iterable[SkillUse] = (), agents: Iterable[SubAgent] = ()
) -> Iterator[str]:
    """Why single records are no evidence of what was called; nothing where all are."""
    sound: set[str] = set()
    for call in calls:
        name = call.name
        if name not in sound:
            if name in _NO_NAME or _TOOL_NAME.fullmatch(name) is None:
                yield f"which tool call {call.id} was of is damaged ({name[:40]!r})"
                continue
            sound.add(name)
        if _is_argument_damaged(call):
            yield f"the arguments of {name} call {call.id} are damaged"
        if _LOST in call.agent:
            yield f"whose call {call.id} was is damaged ({call.agent!r})"
    named = [("skill", skill.name) for skill in skills]
    named += [("sub-agent", agent.type or "") for agent in agents]
    yield from (
        f"the name of a {kind} is damaged ({name!r})" for kind, name in named if _LOST in name
    )


def with_damages(session: Session) -> Session:
    """The session, incomplete where the record of a call, a skill or a sub-agent is damaged."""
    found = damages(session.tool_calls, session.skills, session.subagents)
    new = [text for text in dict.fromkeys(found) if text not in session.incomplete]
    return replace(session, incomplete=(*session.incomplete, *new)) if new else session


def _is_argument_damaged(call: ToolCall) -> bool:
    needed = NEEDED.get(call.name)
    if needed is None or not call.input or needed not in call.input:
        return False  # a tool may have had other arguments once; who compares them asks for more
    value = call.input[needed]
    if not isinstance(value, str):
        return call.outcome not in ("failed", "denied")
    return _LOST in value
