"""What a check answers: verdicts, outcomes, and how several findings conclude in one.

A check states its demands as `Finding`s, each met, missed or not known; `conclude` is the one place
where missing evidence and an incomplete record decide what that means for the verdict.
A `CallRef` is what is left of a call that a finding speaks of once its session is out of reach: its
number among all calls, its line, its time, its agent. `Outcome.calls` carries them, and everything
that shows an outcome takes the place from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from skilltrace_mlflow.session import MAIN_AGENT, Evidence, Session, ToolCall
from skilltrace_mlflow.text import cut

__all__ = [
    "NO_TRACE",
    "CallRef",
    "Finding",
    "Outcome",
    "Verdict",
    "conclude",
    "conclude_score",
    "missing",
    "places",
    "refer",
    "unknown",
    "where",
]

NO_TRACE = "No trace available"
_ROUNDING = 1e-9  # two thirds as a threshold is met by two thirds as a sum of thirds
_MOST = 50  # calls that one finding keeps
_SHOWN = 5  # of which so many are named


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
        parts.append(f"lines {_numbers([ref.line for ref in refs])}")
    if refs[0].time is not None:
        parts.append(f"from {refs[0].time:%H:%M:%S}")
    parts.append(", ".join(dict.fromkeys(_by(ref.agent) for ref in refs)))
    return f"calls {_numbers([ref.number for ref in refs])} ({', '.join(parts)})"


def _numbers(numbers: Sequence[int | None]) -> str:
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


class Verdict(str, Enum):
    """The verdicts. `unknown` and `error` are never a pass; `not_applicable` is never shown."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    UNKNOWN = "unknown"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check found.

    `score` is in [0, 1], or None where none can be given; `hits` and `misses` name what was met and
    what was not; `rationale` names expected and observed in a line or two; `details` is JSON-ready.
    `calls` says which calls of the session the misses, and what cannot be told, speak of.
    `check` is filled in by `run_check`.
    """

    verdict: Verdict
    check: str = ""
    score: float | None = None
    hits: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    rationale: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    calls: tuple[CallRef, ...] = field(default=(), compare=False)

    @property
    def explanation(self) -> str:
        """The rationale behind the calls that it speaks of, where it speaks of any."""
        place = where(self.calls)
        if not place or self.rationale.startswith(place):
            return self.rationale
        return f"{place}: {self.rationale}" if self.rationale else place

    @classmethod
    def of(
        cls,
        passed: bool,
        *,
        score: float | None = None,
        hits: tuple[str, ...] = (),
        misses: tuple[str, ...] = (),
        rationale: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """An outcome that could be judged; without a `score` a pass is 1 and a failure 0."""
        return cls(
            verdict=Verdict.PASS if passed else Verdict.FAIL,
            score=(1.0 if passed else 0.0) if score is None else score,
            hits=hits,
            misses=misses,
            rationale=rationale,
            details=details or {},
        )


def unknown(reason: str, *, details: Mapping[str, Any] | None = None) -> Outcome:
    """The outcome of a check whose evidence is missing; `reason` says which and why."""
    return Outcome(verdict=Verdict.UNKNOWN, rationale=reason, details=details or {})


def missing(session: Session, *kinds: Evidence) -> Outcome | None:
    """An `unknown` outcome if the session lacks any of these kinds of evidence, else None."""
    reason = session.lacks(*kinds)
    return None if reason is None else unknown(reason)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One demand of a check and what the session says about it.

    `met` is None where it cannot be told. `could_break` and `could_meet` say what records that the
    source lost could still change: a maximum that is kept could be broken by a call that is not in
    the record, a minimum that is not reached could be met by one. `calls` are those that the text
    speaks of: what broke the demand, or nearly met it.
    """

    text: str
    met: bool | None
    could_break: bool = False
    could_meet: bool = False
    calls: tuple[ToolCall, ...] = ()


def conclude(
    session: Session,
    findings: Sequence[Finding],
    *,
    threshold: float = 1.0,
    all_or_nothing: bool = False,
    lost: str | None = None,
    note: str = "",
    details: Mapping[str, Any] | None = None,
) -> Outcome:
    """The outcome of a check that consists of several demands, each as heavy as the others.

    The score is the share that is met; with `all_or_nothing` (bans) a failure scores 0. A session
    whose record is incomplete turns a finding that unseen records could change into an unknown one,
    here and nowhere else; `lost` (from `Session.lacks`) does the same where a kind of evidence is
    missing but what there is of it still counts. `note` is appended to the rationale. Without a
    finding nothing was expected.
    """
    if not findings:
        return Outcome(verdict=Verdict.NOT_APPLICABLE, rationale=note, details=details or {})
    reasons = (*session.incomplete, *([lost] if lost is not None else []))
    settled = [(finding, _settle(finding, partial=bool(reasons))) for finding in findings]
    met = tuple(sorted(f.text for f, verdict in settled if verdict is True))
    missed = tuple(sorted(f.text for f, verdict in settled if verdict is False))
    open_ = tuple(sorted(f.text for f, verdict in settled if verdict is None))
    lower = len(met) / len(findings)
    upper = (len(met) + len(open_)) / len(findings)
    if all_or_nothing and missed:
        lower = upper = 0.0
    outcome = conclude_score(session, lower, upper, threshold=threshold)
    facts: dict[str, Any] = dict(details or {})
    if open_:
        facts["unknown"] = list(open_)
    doubts = tuple(sorted(f.text for f in findings if f.met is None))
    if outcome.verdict is Verdict.PASS:
        shown = (*met, *missed, *(f"{text} (not known)" for text in doubts))
    elif outcome.verdict is Verdict.FAIL:
        shown = (*missed, *(f"{text} (not known)" for text in doubts))
    else:
        shown = (*(f"cannot tell: {text}" for text in doubts), *missed)
        hollow = [text for text in open_ if text not in doubts]
        if hollow:
            why = f"not certain, as the record is incomplete ({_list(reasons, 2)})"
            shown = (*shown, f"{why}: {_list(hollow, 2)}")
    rationale = _list(shown)
    if note:
        rationale += f" ({note})" if rationale else note
    calls: tuple[CallRef, ...] = ()
    if outcome.verdict is not Verdict.PASS:
        named = [f for f, verdict in settled if verdict is False]
        if outcome.verdict is Verdict.UNKNOWN:
            named += [f for f in findings if f.met is None]
        calls = tuple(ref for f in named for ref in refer(session, f.text, f.calls))
    return replace(
        outcome, hits=met, misses=missed, rationale=rationale, details=facts, calls=calls
    )


def conclude_score(
    session: Session,
    lower: float,
    upper: float,
    *,
    threshold: float = 1.0,
    could_break: bool = False,
    could_meet: bool = False,
) -> Outcome:
    """Verdict and score of a check whose true score lies between `lower` and `upper`.

    Pass if even the lower bound reaches the threshold, fail if not even the upper one does, unknown
    between. `could_break` and `could_meet` as in `Finding`.
    """
    least = 0.0 if session.incomplete and could_break else lower
    most = 1.0 if session.incomplete and could_meet else upper
    if least >= threshold - _ROUNDING:
        return Outcome(verdict=Verdict.PASS, score=lower)
    if most < threshold - _ROUNDING:
        return Outcome(verdict=Verdict.FAIL, score=lower)
    return Outcome(verdict=Verdict.UNKNOWN)


def _settle(finding: Finding, *, partial: bool) -> bool | None:
    if partial:
        if finding.met is True and finding.could_break:
            return None
        if finding.met is False and finding.could_meet:
            return None
    return finding.met


def _list(texts: Sequence[str], limit: int = 6) -> str:
    shown = [cut(text, 240) for text in texts[:limit]]
    more = len(texts) - limit
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
