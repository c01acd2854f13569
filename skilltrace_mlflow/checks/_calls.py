"""Where in a session a finding stands: the calls that a demand speaks of, as a reader finds them.

A `CallRef` is what is left of a call once its session is out of reach: its number among all calls,
its line in the transcript, its time, its agent. `Outcome.calls` carries them, and everything that
shows an outcome takes the place from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from skilltrace_mlflow.session import MAIN_AGENT, Session, ToolCall

__all__ = ["CallRef", "places", "refer", "where"]

_MOST = 50
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class CallRef:
    """One call that a finding speaks of.

    `number` counts the calls of the whole session from 1, `line` is that of the transcript (of a
    sub-agent's own, where another agent than the main one made the call), `miss` the finding's
    text, which stands in `Outcome.misses` or, where it cannot be told, in `details["unknown"]`.
    """

    number: int
    call_id: str
    tool: str
    agent: str = MAIN_AGENT
    line: int | None = field(default=None, compare=False)
    time: datetime | None = None
    miss: str = ""

    @property
    def where(self) -> str:
        """`call 17 (line 84, 10:03:04, main agent)`, as far as it is recorded."""
        return f"call {self.number} ({self.place})"

    @property
    def place(self) -> str:
        """Its line, time (UTC) and agent, as far as they are recorded."""
        parts = []
        if self.line is not None:
            parts.append(f"line {self.line}")
        if self.time is not None:
            parts.append(f"{self.time:%H:%M:%S}")
        parts.append(_by(self.agent))
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; what is not recorded is left out."""
        values: dict[str, Any] = {
            "number": self.number,
            "line": self.line,
            "time": None if self.time is None else self.time.isoformat(),
            "agent": self.agent,
            "tool": self.tool,
            "id": self.call_id,
            "miss": self.miss,
        }
        return {key: value for key, value in values.items() if value not in (None, "")}


def refer(session: Session, text: str, calls: Iterable[ToolCall]) -> tuple[CallRef, ...]:
    """The places of `calls`, about which the finding `text` speaks, in order and each once."""
    found: dict[int, CallRef] = {}
    for call in calls:
        number = session.number_of(call)
        if number is not None:
            found[number] = CallRef(
                number=number,
                call_id=call.id,
                tool=call.name,
                agent=call.agent,
                line=call.line,
                time=call.timestamp,
                miss=text,
            )
    return tuple(found[number] for number in sorted(found)[:_MOST])


def where(calls: Sequence[CallRef]) -> str:
    """The places of some calls, each once, for people; empty without any."""
    refs = list({ref.number: ref for ref in sorted(calls, key=lambda ref: ref.number)}.values())
    if len(refs) < 2:
        return "".join(ref.where for ref in refs)
    parts = []
    if all(ref.line is not None for ref in refs):
        parts.append(f"lines {_list([ref.line for ref in refs])}")
    if refs[0].time is not None:
        parts.append(f"from {refs[0].time:%H:%M:%S}")
    parts.append(", ".join(dict.fromkeys(_by(ref.agent) for ref in refs)))
    return f"calls {_list([ref.number for ref in refs])} ({', '.join(parts)})"


def _list(numbers: Sequence[int | None]) -> str:
    shown = [str(number) for number in numbers[:_SHOWN]]
    more = len(numbers) - len(shown)
    return ", ".join(shown) + f" and {more} more" if more else _and(shown)


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _by(agent: str) -> str:
    return "main agent" if agent == MAIN_AGENT else f"sub-agent {agent}"


def places(calls: Sequence[CallRef]) -> Mapping[str, str]:
    """For each finding's text the places of its calls."""
    groups: dict[str, list[CallRef]] = {}
    for ref in calls:
        groups.setdefault(ref.miss, []).append(ref)
    return {text: where(refs) for text, refs in groups.items()}
