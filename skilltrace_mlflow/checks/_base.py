"""What a check is, what it answers, and the registry that everything else is derived from.

A check is one module in this folder: a frozen parameter class, a JSON Schema fragment for its YAML
key, and one pure function decorated with `@check`. The YAML key, the JSON Schema, the MLflow
scorer, the report's column and the reference page follow from the registration.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeVar, get_args

from skilltrace_mlflow.session import Evidence, Scope, Session

__all__ = [
    "NO_TRACE",
    "CheckSpec",
    "Example",
    "Finding",
    "Outcome",
    "ParameterError",
    "Verdict",
    "all_checks",
    "check",
    "conclude",
    "conclude_score",
    "get_check",
    "missing",
    "run_check",
    "unfold",
    "unknown",
]

NO_TRACE = "No trace available"
_SCOPES: tuple[str, ...] = get_args(Scope)
_ROUNDING = 1e-9  # two thirds as a threshold is met by two thirds as a sum of thirds


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
    `check` is filled in by `run_check`.
    """

    verdict: Verdict
    check: str = ""
    score: float | None = None
    hits: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    rationale: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

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


class ParameterError(ValueError):
    """A value that a check's `parse` refuses although the schema allows its shape.

    `path` leads from the check's key to the bad value: ("expected", 0, "input_match").
    """

    def __init__(self, message: str, *, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class Example:
    """An executable example for the reference page.

    `value` is what stands under the check's key, `calls` the calls of a small session: dictionaries
    of `ToolCall` fields (`name`, `input`, `outcome`, `result`...); `session` further `Session`
    fields as a builder takes them.
    """

    value: Any
    verdict: Verdict
    why: str
    calls: tuple[Mapping[str, Any], ...] = ()
    session: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CheckSpec:
    """A registered check.

    `schema` describes the value under `key`, short form and long form; `parse` turns a value that
    the schema allows into the parameters (raising ParameterError), `judge` is the check itself.
    `main` is the long form's name for the short form's value (`limits`, `tools`), None where the
    value is a mapping of fixed keys already. `additive` lists the sub-keys ("" for the value
    itself) that a test can only add to. `companions` are other keys of the expectations that the
    check reads (`ban_exceptions`); `parse` then gets them as `parse(value, **companions)`.
    A check that is not `scoped` speaks of the session as a whole and always sees all of it.
    `graded` checks give MLflow their score, others yes/no.
    """

    name: str
    key: str
    schema: Mapping[str, Any]
    parse: Callable[..., Any]
    judge: Callable[[Session, Any], Outcome]
    summary: str
    examples: tuple[Example, ...] = ()
    graded: bool = False
    main: str | None = None
    additive: tuple[str, ...] = ()
    companions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scoped: bool = True


_REGISTRY: dict[str, CheckSpec] = {}
_loaded = False


def check(
    *,
    name: str,
    key: str | None = None,
    schema: Mapping[str, Any],
    parse: Callable[..., P],
    examples: tuple[Example, ...] = (),
    graded: bool = False,
    main: str | None = None,
    additive: tuple[str, ...] = (),
    companions: Mapping[str, Mapping[str, Any]] | None = None,
    scoped: bool = True,
) -> Callable[[Callable[[Session, P], Outcome]], Callable[[Session, P], Outcome]]:
    """Register a check under its `name` and its YAML `key` (the name unless given).

    The decorated function's docstring becomes the reference text. Raises ValueError for a name or a
    key that is taken.
    """

    def register(judge: Callable[[Session, P], Outcome]) -> Callable[[Session, P], Outcome]:
        spec = CheckSpec(
            name=name,
            key=key or name,
            schema=schema,
            parse=parse,
            judge=judge,
            summary=(judge.__doc__ or "").strip(),
            examples=examples,
            graded=graded,
            main=main,
            additive=additive,
            companions=companions or {},
            scoped=scoped,
        )
        for other in _REGISTRY.values():
            if other.name == spec.name or other.key == spec.key:
                raise ValueError(f"check {spec.name!r} (key {spec.key!r}) is already registered")
        _REGISTRY[spec.name] = spec
        return judge

    return register


def all_checks() -> Mapping[str, CheckSpec]:
    """Every check by name, sorted: all modules of this folder that do not start with `_`."""
    global _loaded
    if not _loaded:
        package = importlib.import_module(__package__ or "skilltrace_mlflow.checks")
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{package.__name__}.{module.name}")
        _loaded = True
    return dict(sorted(_REGISTRY.items()))


def get_check(name: str) -> CheckSpec:
    """The check of that name; KeyError if there is none."""
    return all_checks()[name]


def run_check(
    spec: CheckSpec, session: Session | None, parameters: Any, *, scope: Scope = "all"
) -> Outcome:
    """Judge one session; never raises for what a check or a session does.

    No session gives `unknown` with score 0; a check that raises gives `error`; a score that is not
    a finite number in [0, 1] is an error too, since one NaN makes MLflow drop a whole result frame.
    """
    if scope not in _SCOPES:
        raise ValueError(f"scope is one of {', '.join(_SCOPES)}, not {scope!r}")
    if session is None:
        return Outcome(
            check=spec.name,
            verdict=Verdict.UNKNOWN,
            score=0.0,
            misses=(NO_TRACE,),
            rationale=NO_TRACE,
        )
    if not spec.scoped:
        scope = "all"
    if scope != "all":
        reason = session.lacks("agents")
        if reason is not None:
            return replace(
                unknown(f"scope {scope}: which agent made a call is not known: {reason}"),
                check=spec.name,
            )
    try:
        outcome = spec.judge(session.scoped(scope), parameters)
    except Exception as error:  # a check's crash is a verdict on that check, not on the run
        message = f"{type(error).__name__}: {error}"
        return Outcome(check=spec.name, verdict=Verdict.ERROR, rationale=message)
    score = outcome.score
    if score is not None and not (math.isfinite(score) and 0.0 <= score <= 1.0):
        return Outcome(
            check=spec.name,
            verdict=Verdict.ERROR,
            rationale=f"the check returned the score {score!r}, which is not in [0, 1]",
        )
    return replace(outcome, check=spec.name)


def missing(session: Session, *kinds: Evidence) -> Outcome | None:
    """An `unknown` outcome if the session lacks any of these kinds of evidence, else None."""
    reason = session.lacks(*kinds)
    return None if reason is None else unknown(reason)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One demand of a check and what the session says about it.

    `met` is None where it cannot be told. `could_break` and `could_meet` say what records that the
    source lost could still change: a maximum that is kept could be broken by a call that is not in
    the record, a minimum that is not reached could be met by one.
    """

    text: str
    met: bool | None
    could_break: bool = False
    could_meet: bool = False


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
    return replace(outcome, hits=met, misses=missed, rationale=rationale, details=facts)


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
    shown = [text if len(text) <= 240 else text[:237] + "..." for text in texts[:limit]]
    more = len(texts) - limit
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def unfold(value: Any, main: str) -> tuple[Any, float, tuple[str, ...]]:
    """A short or long form as (the value under `main`, its threshold, the path to it).

    The long form is a mapping with the key `main`; everything else is the short form.
    """
    if isinstance(value, Mapping) and set(value) <= {main, "threshold"}:
        inner = value.get(main)
        if isinstance(inner, (Mapping, list, tuple)):  # {limits: 5} limits a tool of that name
            return inner, float(value.get("threshold", 1.0)), (main,)
    return value, 1.0, ()
