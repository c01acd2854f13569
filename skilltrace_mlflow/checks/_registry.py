"""What a check is, and the one registry that everything else is derived from.

A check is one module in this folder: a frozen parameter class, a JSON Schema fragment for its YAML
key, and one pure function decorated with `@check`. The YAML key, the JSON Schema, the MLflow
scorer, the report's column and the reference page follow from the registration. Checks of the
response text (`responses/`) stand in the same registry, so that no name or key is taken twice.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, get_args

from skilltrace_mlflow.checks._findings import NO_TRACE, Outcome, Verdict, unknown
from skilltrace_mlflow.checks._parameters import Declaration
from skilltrace_mlflow.session import Scope, Session

__all__ = [
    "CheckSpec",
    "Example",
    "Spec",
    "all_checks",
    "check",
    "get_check",
    "guarded",
    "judge_session",
    "register",
    "registered",
    "run_check",
]

_LONGEST_REASON = 200
_SCOPES: tuple[str, ...] = get_args(Scope)
_BADNESS = (Verdict.NOT_APPLICABLE, Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL, Verdict.ERROR)


P = TypeVar("P")
S = TypeVar("S", bound="Spec")


@dataclass(frozen=True, kw_only=True)
class Example:
    """An executable example for the reference page.

    `value` is what stands under the check's key, `calls` the calls of a small session: dictionaries
    of `ToolCall` fields (`name`, `input`, `outcome`, `result`...); `session` further `Session`
    fields as a builder takes them. For a check of the response, `value` is a mapping of its keys,
    `response` the text and `outputs` a test's.
    """

    value: Any
    verdict: Verdict
    why: str
    calls: tuple[Mapping[str, Any], ...] = ()
    session: Mapping[str, Any] = field(default_factory=dict)
    response: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every registered check has, whether it judges a trace or a response.

    `parse` turns what is written into parameters, `judge` takes the evidence and them. `graded`
    checks give MLflow their score, others yes/no. `summary` is the reference text.
    """

    name: str
    parse: Callable[..., Any]
    judge: Callable[[Any, Any], Outcome]
    summary: str = ""
    examples: tuple[Example, ...] = ()
    graded: bool = False

    @property
    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """The keys that it reads, with their JSON Schemas."""
        raise NotImplementedError

    @property
    def own_key(self) -> str | None:
        """The key that no other check may read."""
        return None


@dataclass(frozen=True, kw_only=True)
class CheckSpec(Spec):
    """A registered check of a trace.

    `schema` describes the value under `key`, short form and long form; `parse` turns a value that
    the schema allows into the parameters (raising ParameterError), `judge` is the check itself.
    `main` is the long form's name for the short form's value (`limits`, `tools`), None where the
    value is a mapping of fixed keys already. `additive` lists the sub-keys ("" for the value
    itself) that a test can only add to. `companions` are other keys of the expectations that the
    check reads (`ban_exceptions`); `parse` then gets them as `parse(value, **companions)`.
    A check that is not `scoped` speaks of the session as a whole and always sees all of it.
    `implied` are the parameters by which a check judges every session although nothing is written
    under its key, None for most; `ignored` is the value under its key that turns it off then.
    """

    key: str
    schema: Mapping[str, Any]
    main: str | None = None
    additive: tuple[str, ...] = ()
    companions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scoped: bool = True
    implied: Any = None
    ignored: Any = None

    def named_in(self, names: Container[str]) -> bool:
        """Whether one of the names (of a `disabled` list) is this check's, by name or by key."""
        return self.name in names or self.key in names

    @property
    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """The check's key and its companions."""
        return {self.key: self.schema, **self.companions}

    @property
    def own_key(self) -> str | None:
        """The check's key; companions may be shared."""
        return self.key


_REGISTRY: dict[str, Spec] = {}
_loaded: set[str] = set()


def register(spec: Spec) -> None:
    """Add a check; ValueError for a name or a key that is taken."""
    for other in _REGISTRY.values():
        shared = set(spec.schemas) & set(other.schemas)
        taken = shared & {spec.own_key, other.own_key}
        taken |= {key for key in shared if spec.schemas[key] != other.schemas[key]}
        if other.name == spec.name or taken:
            keys = f" (key {', '.join(sorted(taken))!r})" if taken else ""
            raise ValueError(f"check {spec.name!r}{keys} is already registered: {other.name}")
    _REGISTRY[spec.name] = spec


def registered(kind: type[S], package: str) -> Mapping[str, S]:
    """Every check of that kind by name, sorted, once all modules of the package that do not start
    with `_` are imported."""
    if package not in _loaded:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{package}.{module.name}")
        _loaded.add(package)
    return {name: s for name, s in sorted(_REGISTRY.items()) if isinstance(s, kind)}


def check(
    *,
    name: str,
    key: str | None = None,
    declared: Declaration[P] | None = None,
    schema: Mapping[str, Any] | None = None,
    parse: Callable[..., P] | None = None,
    examples: tuple[Example, ...] = (),
    graded: bool = False,
    main: str | None = None,
    additive: tuple[str, ...] = (),
    companions: Mapping[str, Mapping[str, Any]] | None = None,
    scoped: bool = True,
    implied: Any = None,
    ignored: Any = None,
) -> Callable[[Callable[[Session, P], Outcome]], Callable[[Session, P], Outcome]]:
    """Register a check under its `name` and its YAML `key` (the name unless given).

    Its parameters are `declared` by a dataclass (`_typed.declare`); where no dataclass says what
    may be written, `schema` and `parse` do, with `main` and the others of `CheckSpec`. The
    decorated function's docstring becomes the reference text. Raises ValueError for a name or a key
    that is taken.
    """

    if declared is None:
        if schema is None or parse is None:
            raise TypeError(f"check {name!r} declares no parameters")
        declared = Declaration(
            schema=schema,
            parse=parse,
            main=main,
            additive=additive,
            companions=companions or {},
            scoped=scoped,
        )
    shape = declared

    def add(judge: Callable[[Session, P], Outcome]) -> Callable[[Session, P], Outcome]:
        spec = CheckSpec(
            name=name,
            key=key or name,
            schema=shape.schema,
            parse=shape.parse,
            judge=judge,
            summary=(judge.__doc__ or "").strip(),
            examples=examples,
            graded=graded,
            main=shape.main,
            additive=shape.additive,
            companions=shape.companions,
            scoped=shape.scoped,
            implied=implied,
            ignored=ignored,
        )
        register(spec)
        return judge

    return add


def all_checks() -> Mapping[str, CheckSpec]:
    """Every check of a trace by name, sorted."""
    return registered(CheckSpec, "skilltrace_mlflow.checks")


def get_check(name: str) -> CheckSpec:
    """The check of that name; KeyError if there is none."""
    return all_checks()[name]


def _judge(spec: CheckSpec, session: Session, parameters: Any, scope: Scope) -> Outcome:
    """The outcome; where a hook changed arguments, the worse one of what was asked and what ran."""
    outcome = spec.judge(session.scoped(scope), parameters)
    requested = session.as_requested
    if requested is None:
        return outcome
    asked = spec.judge(requested.scoped(scope), parameters)
    if _BADNESS.index(asked.verdict) <= _BADNESS.index(outcome.verdict):
        return outcome
    said = "as the model asked, before a hook changed the arguments: "
    return replace(asked, rationale=said + asked.rationale)


def run_check(
    spec: CheckSpec, session: Session | None, parameters: Any, *, scope: Scope = "all"
) -> Outcome:
    """Judge one session; never raises for what a check or a session does.

    No session gives `unknown` with score 0 (nothing, for a check that nobody asked for), a session
    in which no model ever responded `unknown` with what its record says instead. A check that
    raises gives `error`; a score that is not a finite number in [0, 1] is an error too, since one
    NaN makes MLflow drop a whole result frame.
    """
    if scope not in _SCOPES:
        raise ValueError(f"scope is one of {', '.join(_SCOPES)}, not {scope!r}")
    if session is None and spec.implied is not None and parameters == spec.implied:
        return Outcome(check=spec.name, verdict=Verdict.NOT_APPLICABLE, rationale=NO_TRACE)
    if session is None:
        return Outcome(
            check=spec.name,
            verdict=Verdict.UNKNOWN,
            score=0.0,
            misses=(NO_TRACE,),
            rationale=NO_TRACE,
        )
    unanswered = session.unanswered
    if unanswered is not None:  # nobody worked: that nothing forbidden happened proves nothing
        said = " ".join(unanswered.split())
        said = said if len(said) <= _LONGEST_REASON else said[: _LONGEST_REASON - 3] + "..."
        silence = f"no response of a model, the record holds: {said}"
        return replace(unknown(silence), check=spec.name)
    if not spec.scoped:
        scope = "all"
    if scope != "all":
        reason = session.lacks("agents")
        if reason is not None:
            return replace(
                unknown(f"scope {scope}: which agent made a call is not known: {reason}"),
                check=spec.name,
            )
    return guarded(spec.name, lambda: _judge(spec, session, parameters, scope))


def guarded(name: str, judge: Callable[[], Outcome]) -> Outcome:
    """The outcome of a check; what it raises, or an impossible score, is an `error` of its own."""
    try:
        outcome = judge()
    except RecursionError:
        message = "a command line or a value is nested more deeply than can be read"
        return Outcome(check=name, verdict=Verdict.ERROR, rationale=message)
    except Exception as error:  # a check's crash is a verdict on that check, not on the run
        message = f"{type(error).__name__}: {error}"
        return Outcome(check=name, verdict=Verdict.ERROR, rationale=message)
    score = outcome.score
    if score is not None and not (math.isfinite(score) and 0.0 <= score <= 1.0):
        return Outcome(
            check=name,
            verdict=Verdict.ERROR,
            rationale=f"the check returned the score {score!r}, which is not in [0, 1]",
        )
    return replace(outcome, check=name)


def judge_session(
    session: Session | None, wanted: Iterable[tuple[CheckSpec, Any, Scope]]
) -> Iterator[Outcome]:
    """The outcomes of all that is wanted, as (check, parameters, scope), and of the checks that run
    without being asked, where they have something to say.
    """
    written = set()
    for spec, parameters, scope in wanted:
        written.add(spec.name)
        yield run_check(spec, session, parameters, scope=scope)
    for spec in all_checks().values():
        if spec.implied is not None and spec.name not in written:
            outcome = run_check(spec, session, spec.implied)
            if outcome.verdict is not Verdict.NOT_APPLICABLE:
                yield outcome
