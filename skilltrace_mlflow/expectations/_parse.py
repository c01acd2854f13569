"""Raw trace keys → `Expectation` objects, with every problem named at once.

`astray` finds expectations that stand where nobody reads them: misspelt ones, and those below a key
of others. Both files leave room for other tools' keys. What would decide a verdict and is left out
silently passes for ever, so that a key which must be one of ours is refused wherever it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks import CheckSpec, ParameterError, all_checks
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations._merge import drop_disabled, flatten, split_scope
from skilltrace_mlflow.expectations._schema import trace_keys, trace_properties
from skilltrace_mlflow.expectations.documents import KeyPath, Problems
from skilltrace_mlflow.expectations.explain import describe, find_problems
from skilltrace_mlflow.expectations.names import (
    MLFLOW_SCORERS,
    SYNONYMS,
    did_you_mean,
    misspelt,
)
from skilltrace_mlflow.expectations.responses import response_keys
from skilltrace_mlflow.responses import all_responses
from skilltrace_mlflow.session import Scope

__all__ = ["Expectation", "astray", "build", "check_disabled", "parse_expectations"]

_CONTAINERS = ("session_expectations", "trace_expectations")
Report = Callable[[KeyPath, str, bool], None]
# Words for the same that other tools have for other things as well.
_COMMON = frozenset({"allowed_tools", "facts", "max_tokens", "max_turns", "patterns", "trajectory"})


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One check to run: its value as written (without `scope`), its parameters, and its scope.

    Checks that run on every session are expectations only where somebody wrote something.
    """

    spec: CheckSpec
    value: Any
    parameters: Any
    scope: Scope = "all"

    @property
    def asks(self) -> bool:
        """Whether something is expected by it, and no check turned off."""
        return self.spec.ignored is None or bool(self.value != self.spec.ignored)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader should know of the value: rules that are never applied."""
        texts = getattr(self.parameters, "remarks", ())
        return tuple(f"{self.spec.key}: {text}" for text in texts)


def parse_expectations(
    raw: Mapping[str, Any], *, where: str = "expectations"
) -> tuple[Expectation, ...]:
    """Trace keys, directly or under `trace_expectations`, as validated expectations.

    Keys that concern the response and `session_expectations` are left to others; `disabled` turns
    checks off by name. Sorted by check. Raises ConfigurationError with all problems; `where` stands
    in front of each.
    """
    problems = Problems(where=where)
    if not isinstance(raw, Mapping):
        raise ConfigurationError(f"{where}: got {describe(raw)}, expected a mapping")
    nested = raw.get("trace_expectations")
    if nested is not None and not isinstance(nested, Mapping):
        problems.add(("trace_expectations",), f"got {describe(nested)}, expected a mapping")
    known = trace_keys()
    for key in raw:
        if key not in known and key not in response_keys() and key not in _CONTAINERS:
            hint = did_you_mean(str(key), [*known, *response_keys(), *_CONTAINERS])
            problems.add((str(key),), f"unknown key {key!r}; {hint}")
    for key in nested if isinstance(nested, Mapping) else ():
        if key not in known:
            hint = did_you_mean(str(key), known)
            problems.add(("trace_expectations", str(key)), f"unknown key {key!r}; {hint}")
    flat = {key: value for key, value in flatten(raw).items() if key in known}

    def report(path: KeyPath, message: str, at_key: bool) -> None:
        problems.add(path, message, at_key=at_key)

    disabled = flat.pop("disabled", None) or ()
    if isinstance(disabled, (list, tuple)):
        check_disabled(disabled, report, ("disabled",))
    else:
        problems.add(("disabled",), f"got {describe(disabled)}, expected a list")
        disabled = ()
    expectations = build(drop_disabled(flat, manifest=disabled, test=()), report)
    problems.raise_if_any()
    return expectations


def build(
    flat: Mapping[str, Any], report: Report, *, shapes: bool = True, skip: Iterable[str] = ()
) -> tuple[Expectation, ...]:
    """Expectations of known, flat trace keys; problems go to `report`, their keys are left out.

    `shapes=False` for values that the schema has seen already; keys in `skip` are known to be bad.
    """
    schemas = trace_properties()
    bad = set(skip)
    if shapes:
        nothing = {s.key for s in all_checks().values() if _is_nothing(s, flat.get(s.key))}
        for key, value in flat.items():
            if key in nothing or key in bad or key not in schemas or _is_empty(value):
                continue
            for path, message, at_key in _shape_problems(value, schemas[key]):
                report((key, *path), message, at_key)
                bad.add(key)
    default: Scope = "all" if "scope" in bad else flat.get("scope") or "all"
    found = []
    for spec in all_checks().values():
        companions = {k: flat[k] for k in spec.companions if flat.get(k) and k not in bad}
        if spec.key in bad or bad & set(spec.companions):
            continue
        if _is_nothing(spec, flat.get(spec.key)):
            continue
        value, own = split_scope(spec, flat[spec.key])
        try:
            parameters = _parameters(spec, value, companions)
        except ParameterError as error:
            report(_place(spec, flat, error.path), str(error), False)
            continue
        found.append(
            Expectation(spec=spec, value=value, parameters=parameters, scope=own or default)
        )
    _check_companions(flat, bad, report)
    return tuple(found)


# What most tests of a file share, because it comes from their manifest, is looked at once.
_SEEN: dict[tuple[str, int, str], Any] = {}
_MOST_SEEN = 5000


def _once(kind: str, owner: Any, value: Any, make: Callable[[], Any]) -> Any:
    """`make()`, or what it gave for the same owner and an equal value before."""
    try:
        key = (kind, id(owner), json.dumps(value))
    except (TypeError, ValueError):
        return make()
    seen = _SEEN.get(key)  # one look: scorers of many threads come here
    if seen is None:
        if len(_SEEN) >= _MOST_SEEN:
            _SEEN.clear()
        # The owner is kept as well: its id is only its own as long as it lives.
        seen = _SEEN[key] = (owner, make())
    return seen[1]


def _shape_problems(value: Any, schema: Mapping[str, Any]) -> tuple[tuple[KeyPath, str, bool], ...]:
    found: tuple[tuple[KeyPath, str, bool], ...] = _once(
        "shape", schema, value, lambda: tuple(find_problems(value, schema))
    )
    return found


def _parameters(spec: CheckSpec, value: Any, companions: Mapping[str, Any]) -> Any:
    return _once("parameters", spec, [value, companions], lambda: spec.parse(value, **companions))


def _check_companions(flat: Mapping[str, Any], bad: set[str], report: Report) -> None:
    """A companion key without a check to accompany, and an exception from no ban, do nothing: they
    are mistakes."""
    specs = all_checks().values()
    for key in {key for spec in specs for key in spec.companions}:
        if _is_empty(flat.get(key)) or key in bad:
            continue
        partners = [spec.key for spec in specs if key in spec.companions]
        if bad & set(partners):
            continue
        if all(_is_nothing(s, flat.get(s.key)) for s in specs if s.key in partners):
            report((key,), f"has no effect without {' or '.join(partners)}", True)
        elif key == "ban_exceptions":
            bans = [ban for spec in specs for ban in _bans(spec, flat.get(spec.key))]
            known = {" ".join(ban.split()): ban for ban in bans}
            for index, name in enumerate(flat[key]):
                if " ".join(name.split()) not in known:
                    hint = did_you_mean(name, sorted(known.values()))
                    report((key, index), f"{name!r} is no ban; {hint}", False)


def _bans(spec: CheckSpec, value: Any) -> list[str]:
    """The entries of a check's value that only add up."""
    value, _ = split_scope(spec, value)
    if isinstance(value, Mapping) and spec.main is not None and "" in spec.additive:
        value = value.get(spec.main)
    parts = [value if part == "" else _get(value, part) for part in spec.additive]
    return [entry for part in parts if isinstance(part, list) for entry in part if entry]


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def check_disabled(
    names: Iterable[Any], report: Report, path: KeyPath, *, also: Iterable[str] = ()
) -> None:
    """Every name under `disabled` must be one of a check or a scorer (`also`: those listed)."""
    checks = all_checks()
    known = {
        *checks,
        *(spec.key for spec in checks.values()),
        *all_responses(),
        *MLFLOW_SCORERS,
        *also,
    }
    for index, name in enumerate(names):
        if isinstance(name, str) and name not in known:  # of others the schema has told
            hint = did_you_mean(name, [*checks, *all_responses()])
            report((*path, index), f"no check is named {name!r}; {hint}", False)


def _place(spec: CheckSpec, flat: Mapping[str, Any], path: KeyPath) -> KeyPath:
    """Where a bad value stands: `parse` saw the short form, the file may hold the long one."""
    value = flat.get(spec.key)
    long = spec.main is not None and isinstance(value, Mapping) and "scope" in value
    if path and path[0] in spec.companions:
        return path
    if long and spec.main in (value or {}) and (not path or path[0] != spec.main):
        return (spec.key, spec.main or "", *path)
    return (spec.key, *path)


def _is_nothing(spec: CheckSpec, value: Any) -> bool:
    """Whether a check's value expects nothing, in the short form or the long one."""
    value, _ = split_scope(spec, value)
    if isinstance(value, Mapping) and set(value) == {spec.main}:
        value = value[spec.main or ""]
    return _is_empty(value)


def _is_empty(value: Any) -> bool:
    """Nothing expected: null, an empty list or mapping."""
    return value is None or (isinstance(value, (list, Mapping)) and not value)


def astray(key: str, value: Any, path: KeyPath, where: str) -> Iterator[tuple[KeyPath, str]]:
    """Path and message of each expectation in a key that is not read: the key itself, where it must
    be meant for one, or what stands below it. `where` says where expectations belong."""
    meant = _meant(key)
    if meant is not None:
        yield path, f"unknown key {key!r}; did you mean {meant!r}, which belongs {where}?"
        return
    for place, name in _below(value, path):
        yield place, f"{name!r} is not read below {key!r}; it belongs {where}"


def _meant(name: str) -> str | None:
    """The key of an expectation that `name` must be meant for, None if it may be anybody's."""
    folded = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    for form in (folded, f"{folded}s", folded.removesuffix("s")):
        if _is_ours(form):
            return form
    if folded not in _COMMON and folded in SYNONYMS:
        return SYNONYMS[folded]
    return misspelt(folded, filter(_is_ours, (*trace_keys(), *response_keys())))


def _below(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """The keys of expectations below a value, wherever they stand."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str) and _is_ours(key):
                yield (*path, key), key
            else:
                yield from _below(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _below(inner, (*path, index))


def _is_ours(key: str) -> bool:
    """Whether a key is an expectation's, and no word (`duration`) that others use too."""
    return "_" in key and (key in trace_keys() or key in response_keys())
