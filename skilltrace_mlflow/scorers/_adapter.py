"""The one place where a check becomes an MLflow `@scorer`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

from mlflow.entities import Feedback, Trace
from mlflow.genai.scorers import Scorer, scorer

from skilltrace_mlflow._internals import function_of
from skilltrace_mlflow.checks import CheckSpec, all_checks, run_check
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import (
    Expectation,
    Manifest,
    drop_disabled,
    merge_expectations,
    parse_expectations,
)
from skilltrace_mlflow.expectations.documents import show
from skilltrace_mlflow.expectations.explain import find_problems
from skilltrace_mlflow.feedback import outcome_to_feedback, span_of
from skilltrace_mlflow.responses import ResponseSpec, all_responses, run_response
from skilltrace_mlflow.score import SESSION_PREFIX
from skilltrace_mlflow.scorers._evidence import as_response, as_session

__all__ = ["get_trace_scorers", "make_scorer", "scorer_map", "spec_of"]

ScorerScope = Literal["trace", "session"]

_NESTED = {"trace": "trace_expectations", "session": "session_expectations"}
_MARK = "skilltrace_spec"
# Names that MLflow's own scorers read from the same dictionary.
_MLFLOWS = frozenset(
    ("expected_facts", "expected_response", "expected_retrieved_context", "guidelines")
)
_scorers: dict[str, Scorer] = {}


def make_scorer(
    spec: CheckSpec | ResponseSpec,
    *,
    expectations: Mapping[str, Any] | None = None,
    scope: ScorerScope = "trace",
    timeout: float | None = None,
) -> Scorer:
    """The MLflow scorer of a check.

    Called with a row, it judges `trace` by the row's `expectations` (keys directly or under
    `trace_expectations`); `expectations` given here hold for every row, the row's are merged into
    them as a test case's are into its manifest's. With `scope="session"` it judges the turns of a
    session together, named `session.<check>`; MLflow gives such a scorer no row, so it needs
    `expectations` here, directly or under `session_expectations`.

    Raises ConfigurationError for expectations that are wrong, also when called.
    """
    if isinstance(spec, CheckSpec):
        return _trace_scorer(spec, expectations, scope, timeout)
    return _response_scorer(spec, expectations, timeout)


def scorer_map() -> dict[str, Scorer]:
    """One scorer for every registered trace check, by name; always the same objects."""
    specs = all_checks()
    for name, spec in specs.items():
        if name not in _scorers or spec_of(_scorers[name]) is not spec:
            _scorers[name] = make_scorer(spec)
    return {name: _scorers[name] for name in specs}


def get_trace_scorers(
    manifest_or_expectations: Manifest | Mapping[str, Any] | None = None,
    scope: ScorerScope = "trace",
) -> list[Scorer]:
    """All trace scorers, or those that a manifest or a mapping of expectations asks for.

    Those are bound to its expectations, so they need none in the rows; a manifest's `enabled` and
    `trace_scorers` are included even where only test cases hold an expectation for them.
    `scope="session"` gives scorers that judge all turns of a session. Raises ConfigurationError.
    """
    if scope not in _NESTED:
        raise ConfigurationError(f"scope is 'trace' or 'session', not {scope!r}")
    if manifest_or_expectations is None:
        if scope == "session":
            raise ConfigurationError(
                "get_trace_scorers(scope='session') needs a manifest or expectations: MLflow "
                "passes none to session-level scorers"
            )
        return list(scorer_map().values())
    raw: Mapping[str, Any]
    listed: set[str] = set()
    disabled: set[str] = set()
    if isinstance(manifest_or_expectations, Manifest):
        manifest = manifest_or_expectations
        raw = manifest.trace_expectations if scope == "trace" else manifest.session_expectations
        listed = {*manifest.enabled, *manifest.trace_scorers} if scope == "trace" else set()
        disabled = set(manifest.disabled)
        _parse(raw)
    else:
        raw = _own(manifest_or_expectations, scope)
    written = _parse(raw)
    wanted = {item.spec.name for item in written if item.asks} | listed
    if wanted:  # and what judges every trace, unless it is turned off
        off = {item.spec.name for item in written if not item.asks}
        wanted |= {s.name for s in all_checks().values() if s.implied is not None} - off
    return [
        make_scorer(spec, expectations=raw, scope=scope)
        for name, spec in all_checks().items()
        if name in wanted and not spec.named_in(disabled)
    ]


def spec_of(item: Scorer) -> CheckSpec | ResponseSpec | None:
    """The check behind a scorer made here, None for anybody else's."""
    spec: CheckSpec | ResponseSpec | None = getattr(function_of(item), _MARK, None)
    return spec


def _trace_scorer(
    spec: CheckSpec, bound: Mapping[str, Any] | None, scope: ScorerScope, timeout: float | None
) -> Scorer:
    base = None if bound is None else _own(bound, scope)
    name = spec.name if scope == "trace" else SESSION_PREFIX + spec.name

    def judge(evidence: Any, wanted: Expectation | None) -> Feedback | None:
        if wanted is None and spec.implied is None:
            return None
        parameters = spec.implied if wanted is None else wanted.parameters
        of = "all" if wanted is None else wanted.scope
        outcome = run_check(spec, as_session(evidence), parameters, scope=of)
        placed = span_of(outcome, evidence.data.spans) if isinstance(evidence, Trace) else None
        return outcome_to_feedback(outcome, name=name, graded=spec.graded, span_id=placed)

    def judge_trace(trace: Any = None, expectations: Any = None) -> Feedback | None:
        row = _own(expectations or {}, "trace")
        return judge(trace, _find(spec, _on_top(base, row) if base else row))

    def judge_session(session: Any) -> Feedback | None:
        return judge(session, _find(spec, base or {}))

    if scope == "session" and spec.implied is None and _find(spec, base or {}) is None:
        raise ConfigurationError(
            f"scorer {name}: a session-level scorer needs expectations: write {spec.key}"
        )
    run = judge_trace if scope == "trace" else judge_session
    setattr(run, _MARK, spec)
    return scorer(
        run,
        name=name,
        description=spec.summary.split("\n\n")[0],
        pass_if=_threshold(spec, base) if spec.graded else None,
        timeout=timeout,
    )


def _response_scorer(
    spec: ResponseSpec, bound: Mapping[str, Any] | None, timeout: float | None
) -> Scorer:
    def run(
        inputs: Any = None, outputs: Any = None, expectations: Any = None, trace: Any = None
    ) -> Feedback | None:
        wanted = {**(bound or {}), **(expectations or {})}
        _check_shapes(spec, wanted)
        parameters = spec.parse(wanted)
        if parameters is None:
            return None
        response = as_response(inputs=inputs, outputs=outputs, trace=trace)
        outcome = run_response(spec, response, parameters)
        return outcome_to_feedback(outcome, name=spec.name, graded=spec.graded)

    setattr(run, _MARK, spec)
    pass_if = (lambda value: value >= 1.0) if spec.graded else None
    return scorer(run, name=spec.name, pass_if=pass_if, timeout=timeout)


def _check_shapes(spec: ResponseSpec, wanted: Mapping[str, Any]) -> None:
    """ConfigurationError for a value that a file could not hold: the text "abc" where a list of
    texts belongs would be looked for letter by letter."""
    for key in spec.keys:
        value = wanted.get(key)
        if value is None:
            continue
        value = list(value) if isinstance(value, tuple) else value
        for path, message, _ in find_problems(value, spec.keys[key]):
            raise ConfigurationError(f"expectations.{show((key, *path))}: {message}")


def _own(expectations: Mapping[str, Any], scope: ScorerScope) -> Mapping[str, Any]:
    """The part of a row's expectations that trace checks read.

    The dictionary is shared with other scorers, so a key that is not ours is theirs, unless it is
    so close to one of ours that it must be a typo: then it is an error, not a check that is
    silently skipped.
    """
    if not isinstance(expectations, Mapping):
        raise ConfigurationError(f"expectations: expected a mapping, got {expectations!r:.80}")
    nested = expectations.get(_NESTED[scope])
    if nested is not None and not isinstance(nested, Mapping):
        raise ConfigurationError(f"{_NESTED[scope]}: expected a mapping, got {nested!r:.80}")
    if scope == "session":
        return _own(expectations, "trace") if nested is None else nested
    ours = _trace_keys()
    flat = {key: value for key, value in expectations.items() if key in ours}
    others = _MLFLOWS | {key for spec in all_responses().values() for key in spec.keys}
    for key in expectations:
        if key in ours or key in others or key in _NESTED.values():
            continue
        near = difflib.get_close_matches(str(key), ours, n=1, cutoff=0.88)
        if near:
            raise ConfigurationError(
                f"expectations: unknown key {key!r}; did you mean {near[0]!r}?"
            )
    if nested and flat:
        return merge_expectations(nested, flat)
    return nested or flat


def _on_top(base: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row's expectations on the bound ones, as a test's on its manifest's: what a row disables
    is off, but for the bans."""
    names = row.get("disabled")
    if not names:
        return merge_expectations(base, row)
    parse_expectations({"disabled": names})
    rest = {key: value for key, value in row.items() if key != "disabled"}
    return drop_disabled(merge_expectations(base, rest), manifest=(), test=names)


def _trace_keys() -> frozenset[str]:
    return frozenset(
        key for spec in all_checks().values() for key in (spec.key, *spec.companions)
    ) | {"disabled", "scope"}


def _find(spec: CheckSpec, raw: Mapping[str, Any]) -> Expectation | None:
    return next((item for item in _parse(raw) if item.spec.name == spec.name), None)


def _parse(raw: Mapping[str, Any]) -> tuple[Expectation, ...]:
    """Parsed once per distinct text: seven scorers on a thousand rows mostly share one."""
    try:
        text = json.dumps(raw, sort_keys=True)
    except (TypeError, ValueError):
        return parse_expectations(raw)
    return _parse_text(text)


@lru_cache(maxsize=1024)
def _parse_text(text: str) -> tuple[Expectation, ...]:
    return parse_expectations(json.loads(text))


def _threshold(spec: CheckSpec, bound: Mapping[str, Any] | None) -> Callable[[Any], bool]:
    """MLflow's `pass_if` sees the value alone: a threshold that only a row holds is unknown to it,
    and then only 1 passes.
    """
    found = _find(spec, bound) if bound else None
    threshold = getattr(found.parameters, "threshold", None) if found else None
    least = 1.0 if threshold is None else float(threshold)
    return lambda value: bool(value >= least)
