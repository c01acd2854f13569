"""The one record of what an agent did.

Sources build a `Session`, checks read it; neither knows the other. All records are frozen and
compare by value, so that a session read from its transcript and the same session read back from
MLflow can be asserted equal. Fields with `compare=False` say where a record came from, not what
happened.

Standard library only: these classes travel to Spark executors and into self-contained scorers.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeVar

from skilltrace_mlflow.text import counted

__all__ = [
    "MAIN_AGENT",
    "OUTSIDE",
    "REFUSED",
    "WARM_UP",
    "CallOutcome",
    "Compaction",
    "Diagnostic",
    "Ending",
    "EndingKind",
    "Evidence",
    "FileOperation",
    "Message",
    "ModelStep",
    "Scope",
    "Session",
    "SkillUse",
    "SubAgent",
    "TokenUsage",
    "ToolCall",
    "TraceEvent",
    "agent_gap",
    "is_own_agent",
]

T = TypeVar("T")

MAIN_AGENT = "main"
"""Name of the main agent in every `agent` field; sub-agents carry their own id."""

OUTSIDE = "claude-code"
"""Name in the `agent` field of usage that Claude Code states and that belongs to no response."""

# Agents that Claude Code runs for itself are named for what they do.
_OWN_AGENT = re.compile(
    r"a(?:agent_summary|auto_dream|away_summary|compact|extract_memories|prompt_suggestion|rename"
    r"|side_question)-[0-9a-f]+"
)


def is_own_agent(agent: str) -> bool:
    """Whether an agent is Claude Code's own: its tokens count, it is no sub-agent."""
    return agent == OUTSIDE or _OWN_AGENT.fullmatch(agent) is not None


def agent_gap(agent: str) -> str:
    """Why a record is incomplete of which nothing but a sub-agent's own transcript is missing."""
    return f"the transcript of sub-agent {agent} is not at hand"


WARM_UP = "warm-up"
"""Status of a sub-agent that Claude Code 2.0 started by itself, before anything was asked."""

CallOutcome = Literal["succeeded", "failed", "denied", "interrupted", "unknown"]
"""How a tool call ended. `failed` and `denied` need evidence, never a word in a text."""

Scope = Literal["all", "main", "subagents"]

EndingKind = Literal[
    "finished",
    "cut_off",
    "turn_limit",
    "budget_limit",
    "interrupted",
    "stopped",
    "unknown",
]
"""How a session came to its end.

`finished`: the model ended its turn itself. `cut_off`: something that is not the agent ended it
(an API error, a usage limit, an overload, a process that was killed). `turn_limit` and
`budget_limit`: a limit that was set for the run. `interrupted`: a person stopped it. `stopped`: a
hook or a rule of Claude Code's own did. `unknown`: the record cannot say.
"""

Evidence = Literal[
    "agents",
    "cache_creation_tokens",
    "cache_read_tokens",
    "cost",
    "files",
    "input_tokens",
    "messages",
    "output_tokens",
    "permission_rules",
    "skills",
    "subagents",
    "times",
    "tool_categories",
    "tool_inputs",
    "tool_names",
    "tool_order",
    "tool_outcomes",
    "tool_results",
    "total_tokens",
    "turns",
    "usage",
]
"""The kinds of evidence that a source may lack as a whole, keys of `Session.missing`.

`usage` stands for all token figures; a kind such as `input_tokens` for that figure alone, whose
value is then a stand-in. `total_tokens` alone missing means that the sum is a lower bound.
"""


@dataclass(frozen=True, kw_only=True)
class TokenUsage:
    """Token counts of one API response, or a sum of them.

    `input_tokens` excludes the cache, as the Anthropic API and Claude Code count.
    `cache_creation_1h_input_tokens` is the part of `cache_creation_input_tokens` that was written
    with a lifetime of one hour; it costs more and matters to nothing else.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input plus output; the cache is counted apart, as Claude Code and MLflow do."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage.total((self, other))

    @classmethod
    def total(cls, usages: Collection[TokenUsage]) -> TokenUsage:
        """The sum of any number of usages."""
        return cls(
            input_tokens=sum([u.input_tokens for u in usages]),
            output_tokens=sum([u.output_tokens for u in usages]),
            cache_creation_input_tokens=sum([u.cache_creation_input_tokens for u in usages]),
            cache_read_input_tokens=sum([u.cache_read_input_tokens for u in usages]),
            cache_creation_1h_input_tokens=sum([u.cache_creation_1h_input_tokens for u in usages]),
        )


@dataclass(frozen=True, kw_only=True)
class ModelStep:
    """One API response (one message id), however many lines or spans carried it.

    `usage_complete` is false where the source is known to hold only a lower bound of the usage;
    `usage_most` is then the upper bound, where there is one (figures with two readings).
    `position` orders steps, tool calls and messages among each other.
    """

    id: str
    model: str | None = None
    timestamp: datetime | None = None
    agent: str = MAIN_AGENT
    usage: TokenUsage = field(default_factory=TokenUsage)
    usage_complete: bool = True
    usage_most: TokenUsage | None = None
    stop_reason: str | None = None
    speed: str | None = None
    web_search_requests: int = 0
    cost_usd: float | None = field(default=None, compare=False)
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """One tool call and how it ended.

    `input` is None where the source did not record it (redacted, or only counts are known);
    `input_truncated` marks arguments that the source cut short. `name` is as recorded (`Task` and
    `Agent` are one tool to a selector, not here). `outcome_reason` is a short phrase for people
    ("Exit code 1", "permission rule"). `duration_ms` is None where the source's is synthetic.
    `line` is the line of the transcript (a sub-agent's in its own file) on which the call stands.
    `cwd` is the directory the agent was in, where the source says that it was another than the
    session's. `requested_input` is what the model asked for where a hook put other arguments in
    their place: `input` is what ran then. `load_result` holds the result's text or a picklable
    callable that fetches it on demand, so that large results cost no memory until somebody asks; it
    may raise InputError when the file changed.
    """

    id: str
    name: str
    input: Mapping[str, Any] | None = field(default_factory=dict)
    timestamp: datetime | None = None
    end_timestamp: datetime | None = None
    outcome: CallOutcome = "unknown"
    outcome_reason: str = field(default="", compare=False)
    agent: str = MAIN_AGENT
    message_id: str | None = field(default=None, compare=False)
    input_truncated: bool = False
    duration_ms: float | None = field(default=None, compare=False)
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)
    load_result: Callable[[], str | None] | str | None = field(
        default=None, compare=False, repr=False
    )
    requested_input: Mapping[str, Any] | None = field(default=None, compare=False)
    cwd: str | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)
    position: int = field(default=0, compare=False)

    @property
    def result(self) -> str | None:
        """Text of the tool's result, None where there is none or the source lost it."""
        return self.load_result() if callable(self.load_result) else self.load_result

    @property
    def success(self) -> bool:
        """Whether the call is known to have succeeded."""
        return self.outcome == "succeeded"

    @property
    def maybe_refused(self) -> bool:
        """Whether the call failed with words that may have been a refusal's."""
        return self.outcome == "failed" and self.details.get("maybe_refused") is True

    @property
    def maybe_ran(self) -> bool:
        """Whether the call counts as refused by words that older versions also wrote for a call
        that was stopped while it ran.
        """
        return self.outcome == "denied" and self.details.get("maybe_ran") is True


@dataclass(frozen=True, kw_only=True)
class FileOperation:
    """A file that a successful tool call created, edited or read.

    `file_path` is as the tool wrote it (usually absolute). A Write over an existing file and every
    Edit are `edit`.
    """

    type: Literal["create", "edit", "read"]
    file_path: str
    content: str | None = field(default=None, compare=False, repr=False)
    agent: str = MAIN_AGENT
    call_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A prompt that a person (or the calling program) gave, or text that an agent answered."""

    role: Literal["user", "assistant"]
    text: str
    timestamp: datetime | None = None
    agent: str = MAIN_AGENT
    id: str | None = field(default=None, compare=False)
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True)
class SubAgent:
    """A sub-agent: its id (the `agent` field of its steps and calls), type, prompt and origin."""

    id: str
    type: str | None = None
    prompt: str | None = field(default=None, compare=False)
    parent_call_id: str | None = None
    background: bool = field(default=False, compare=False)
    status: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Compaction:
    """The conversation was summarised to make room: by command (`manual`) or by itself (`auto`).

    `position` is that of the record it came before, among the session's steps, calls and messages.
    """

    trigger: str | None = None
    timestamp: datetime | None = None
    pre_tokens: int | None = None
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class SkillUse:
    """An attempt to load a skill. Its states are never collapsed.

    `attempted`: asked for, and nothing shows whether it was loaded. `read`: not loaded as a skill,
    but its `SKILL.md` was read as a file.
    """

    name: str
    status: Literal["attempted", "loaded", "failed", "read"]
    call_id: str | None = None
    agent: str = MAIN_AGENT


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a session ended, and in a short phrase what shows it ("API Error: 529 Overloaded")."""

    kind: EndingKind = "unknown"
    text: str = ""


REFUSED = "the model refused"
"""The text of the ending of a session whose last response is a refusal (`stop_reason`)."""


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """Something in the source that was odd but not fatal; `line` counts from 1."""

    message: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class TraceEvent:
    """One event of a session, in the flat form that evaluation tools exchange.

    `metadata` of a tool_result holds `outcome`; of a model_step `model` and token counts.
    """

    type: Literal["model_step", "tool_call", "tool_result", "message", "error"]
    timestamp: datetime | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    output: Any = None
    text: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


R = TypeVar("R", ModelStep, ToolCall, Message, FileOperation, SkillUse)


def _of_agents(records: tuple[R, ...], agents: Container[str]) -> tuple[R, ...]:
    """The records of some agents; the same tuple where it holds no others' records."""
    found = tuple([record for record in records if record.agent in agents])
    return records if len(found) == len(records) else found


@dataclass(frozen=True, kw_only=True)
class Session:
    """What happened in one Claude Code session (or one turn of it): the evidence.

    `tool_calls`, `steps` and `messages` include sub-agents' and are in time order.
    `missing` maps a kind of evidence that this source does not carry to the reason in words; a
    check that needs it says `unknown`. `usage_complete` is false where token figures are a lower
    bound, and `usage_notes` say why. `incomplete` says why calls, steps or messages may be missing
    from the record ("line 12 is not JSON"): what is there still counts, but a ban or a maximum that
    would pass only because nothing was found is `unknown` then. `cost_usd` is what the source
    recorded for the whole session, None otherwise (see `pricing` for the computed one).
    `stated_seconds` is how long it took by the source's own word, where its first and last entry do
    not show it (see `duration_seconds`). `ending`
    is how the main agent's last turn ended. `cache` holds what checks derived from the calls
    (parsed commands), once per session.
    """

    session_id: str | None = None
    steps: tuple[ModelStep, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    messages: tuple[Message, ...] = ()
    files: tuple[FileOperation, ...] = ()
    subagents: tuple[SubAgent, ...] = ()
    skills: tuple[SkillUse, ...] = ()
    compactions: tuple[Compaction, ...] = field(default=(), compare=False)
    api_errors: tuple[str, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None
    stated_seconds: float | None = None
    cwd: str | None = None
    git_branch: str | None = None
    version: str | None = None
    permission_mode: str | None = None
    stop_reason: str | None = None
    ending: Ending = field(default_factory=Ending)
    usage_complete: bool = True
    usage_notes: tuple[str, ...] = field(default=(), compare=False)
    cost_usd: float | None = field(default=None, compare=False)
    missing: Mapping[Evidence, str] = field(default_factory=dict)
    incomplete: tuple[str, ...] = field(default=(), compare=False)
    source: str = field(default="", compare=False)
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def __repr__(self) -> str:
        name = self.session_id or self.source or "without id"
        return (
            f"Session({name!r}, {counted(len(self.tool_calls), 'tool call')}, "
            f"{counted(self.turns, 'turn')})"
        )

    def _repr_html_(self) -> str:
        """Totals and timeline, for notebooks."""
        # Looked up when a notebook asks: this module travels without the reports.
        shown = importlib.import_module("skilltrace_mlflow.report.notebook")
        text: str = shown.session_html(self)
        return text

    @property
    def model(self) -> str | None:
        """The model of most of the main agent's API responses; of equals, the one used last."""
        models = [s.model for s in self.steps if s.agent == MAIN_AGENT and s.model]
        if not models:
            return None
        counts = Counter(models)
        most = max(counts.values())
        return next(m for m in reversed(models) if counts[m] == most)

    @cached_property
    def usage(self) -> TokenUsage:
        """Sum over all API responses, sub-agents included; a lower bound if not complete."""
        return TokenUsage.total([step.usage for step in self.steps])

    @property
    def usage_most(self) -> TokenUsage | None:
        """The most that all API responses can have used; None where there is no such bound."""
        if self.usage_complete:
            return self.usage
        if self.lost_apart or self.incomplete:
            return None
        total = TokenUsage()
        for step in self.steps:
            most = step.usage if step.usage_complete else step.usage_most
            if most is None:
                return None
            total += most
        return total

    @property
    def turns(self) -> int:
        """API responses (distinct message ids) of the main agent."""
        return sum(1 for s in self.steps if s.agent == MAIN_AGENT)

    @property
    def prompts(self) -> tuple[str, ...]:
        """What a person (or the calling program) asked, in order."""
        return tuple(m.text for m in self.messages if m.role == "user" and m.agent == MAIN_AGENT)

    @property
    def duration_seconds(self) -> float | None:
        """How long it took on the clock, None where nothing says it; a lower bound where the record
        is incomplete.
        """
        if self.stated_seconds is not None:
            return self.stated_seconds
        if self.start_time is None or self.end_time is None:
            return None
        return (self.end_time - self.start_time).total_seconds()

    @property
    def unanswered(self) -> str | None:
        """What the record says in place of a response where no model ever gave one, else None.

        A call, a file or a sub-agent is a model's work, whoever recorded it; and a source that does
        not carry responses at all proves nothing by having none.
        """
        idle = {agent.id for agent in self.subagents if agent.status == WARM_UP}
        if (
            "turns" in self.missing
            or self.files
            or any(agent.id not in idle for agent in self.subagents)
            or any(step.agent not in idle and not is_own_agent(step.agent) for step in self.steps)
            or any(call.agent not in idle for call in self.tool_calls)
        ):
            return None
        if self.api_errors:
            return self.api_errors[-1]
        if self.ending.kind != "unknown" and self.ending.text:
            return self.ending.text
        if self.incomplete:
            return self.incomplete[0]
        return "a prompt and nothing else" if self.prompts else "no prompt and no answer"

    @property
    def response(self) -> str | None:
        """The main agent's last text, None if it never answered in words."""
        for message in reversed(self.messages):
            if message.role == "assistant" and message.agent == MAIN_AGENT:
                return message.text
        return None

    def lacks(self, *kinds: Evidence) -> str | None:
        """The reason why any of these kinds of evidence is missing, None if all are there."""
        for kind in kinds:
            if kind in self.missing:
                return self.missing[kind]
        return None

    @property
    def lost_apart(self) -> bool:
        """Whether usage is lost that no step marks (a file missing, a line cut): any part of the
        session may have lost it. One note is about all the marked steps together.
        """
        if self.usage_complete:
            return False
        marked = any(not step.usage_complete for step in self.steps)
        return not marked or len(self.usage_notes) > 1 or bool(self.incomplete)

    @property
    def _incomplete_main(self) -> tuple[str, ...]:
        """Why the main agent's own record may have gaps: a sub-agent's is none of them."""
        others = {agent_gap(agent.id) for agent in self.subagents}
        return tuple(reason for reason in self.incomplete if reason not in others)

    @property
    def _lost_of_others(self) -> bool:
        """Whether all usage that is lost is that of sub-agents whose transcripts are missing."""
        gaps = {agent_gap(agent.id) for agent in self.subagents}
        return bool(self.usage_notes) and gaps.issuperset(self.usage_notes)

    def from_calls(self, name: Any, derive: Callable[[Session], T]) -> T:
        """What `derive` makes of the session's calls; made once and kept under the name."""
        calls = self.tool_calls
        # The scopes of a session share its cache, so the entry holds on to the tuple it is for.
        key = (name, id(calls))
        entry = self.cache.get(key)
        if entry is None or entry[0] is not calls:
            entry = self.cache[key] = (calls, derive(self))
        made: T = entry[1]
        return made

    def number_of(self, call: ToolCall) -> int | None:
        """The number of a call among all of the session, from 1; also where this is but one scope's
        view of it. None for a call of another session.
        """
        return self._numbers.get((call.id, call.agent, call.position))

    @property
    def _numbers(self) -> Mapping[tuple[str, str, int], int]:
        # Kept in the cache, which all scopes of a session share.
        if "numbers" not in self.cache:
            numbers: dict[tuple[str, str, int], int] = {}
            for number, call in enumerate(self.cache.get("all_calls", self.tool_calls), start=1):
                numbers.setdefault((call.id, call.agent, call.position), number)
            self.cache["numbers"] = numbers
        found: Mapping[tuple[str, str, int], int] = self.cache["numbers"]
        return found

    def scoped(self, scope: Scope) -> Session:
        """This session as seen by `main` or `subagents` only; `all` is the session itself.

        Usage of the parts stays marked incomplete only if a part's own steps are.
        """
        if scope == "all":
            return self
        key = ("scoped", scope)
        if key not in self.cache:
            self.cache.setdefault("all_calls", self.tool_calls)  # which `number_of` counts
            want_main = scope == "main"
            every = (self.steps, self.tool_calls, self.messages, self.files, self.skills)
            agents = {MAIN_AGENT}
            if not want_main:
                agents = {record.agent for records in every for record in records}
                agents = {a for a in agents if a != MAIN_AGENT and not is_own_agent(a)}
            steps = _of_agents(self.steps, agents)
            self.cache[key] = replace(
                self,
                steps=steps,
                tool_calls=_of_agents(self.tool_calls, agents),
                messages=_of_agents(self.messages, agents),
                files=_of_agents(self.files, agents),
                skills=_of_agents(self.skills, agents),
                subagents=() if want_main else self.subagents,
                incomplete=self._incomplete_main if want_main else self.incomplete,
                usage_complete=(
                    not self.lost_apart
                    or (want_main and self._lost_of_others and not self._incomplete_main)
                )
                and all(s.usage_complete for s in steps)
                and not any(s.agent == OUTSIDE for s in self.steps),
                cost_usd=None,
            )
        scoped: Session = self.cache[key]
        return scoped

    @property
    def as_requested(self) -> Session | None:
        """This session with the arguments that the model asked for, where a hook changed some of
        them before the calls ran; None where none was changed.
        """
        if "as_requested" not in self.cache:
            changed = any(call.requested_input is not None for call in self.tool_calls)
            calls = (
                call
                if call.requested_input is None
                else replace(call, input=call.requested_input, requested_input=None)
                for call in self.tool_calls
            )
            self.cache["as_requested"] = (
                replace(self, tool_calls=tuple(calls), cache={}) if changed else None
            )
        requested: Session | None = self.cache["as_requested"]
        return requested

    @cached_property
    def events(self) -> tuple[TraceEvent, ...]:
        """The session as a flat list of events in order; results are not loaded into it."""
        entries: list[tuple[int, int, TraceEvent]] = []
        for message in self.messages:
            event = TraceEvent(
                type="message",
                timestamp=message.timestamp,
                id=message.id,
                name=message.role,
                text=message.text,
                metadata={"agent": message.agent},
            )
            entries.append((message.position, 1, event))
        for step in self.steps:
            event = TraceEvent(
                type="model_step",
                timestamp=step.timestamp,
                id=step.id,
                name=step.model,
                metadata={
                    "agent": step.agent,
                    "input_tokens": step.usage.input_tokens,
                    "output_tokens": step.usage.output_tokens,
                },
            )
            entries.append((step.position, 0, event))
        for call in self.tool_calls:
            made = TraceEvent(
                type="tool_call",
                timestamp=call.timestamp,
                id=call.id,
                name=call.name,
                input=call.input,
                metadata={"agent": call.agent},
            )
            ended = TraceEvent(
                type="tool_result",
                timestamp=call.end_timestamp,
                id=call.id,
                name=call.name,
                metadata={"agent": call.agent, "outcome": call.outcome},
            )
            entries.append((call.position, 2, made))
            if call.end_timestamp is not None or call.outcome not in ("unknown", "interrupted"):
                entries.append((call.position, 3, ended))
        entries.sort(key=lambda entry: entry[:2])
        errors = (TraceEvent(type="error", text=text) for text in self.api_errors)
        return (*(event for _, _, event in entries), *errors)
