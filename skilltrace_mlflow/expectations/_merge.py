"""How a test's expectations override its manifest's.

Mappings merge key by key, lists and scalars replace, null removes. Bans only ever add up: the
lists that a check registers as `additive` are united, and neither null nor `disabled` in a test
lifts one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from skilltrace_mlflow.checks import CheckSpec, all_checks
from skilltrace_mlflow.session import Scope

__all__ = ["drop_disabled", "flatten", "merge_expectations", "split_scope", "widest_scope"]

SCOPES: tuple[Scope, ...] = ("all", "main", "subagents")
_NESTED = "trace_expectations"


def flatten(raw: Mapping[str, Any]) -> dict[str, Any]:
    """`raw` with what stands under `trace_expectations` beside the other keys.

    A key in both places keeps its direct value; files are refused before that can happen.
    """
    nested = raw.get(_NESTED)
    direct = {key: value for key, value in raw.items() if key != _NESTED}
    return {**nested, **direct} if isinstance(nested, Mapping) else direct


def split_scope(spec: CheckSpec, value: Any) -> tuple[Any, Scope | None]:
    """A check's value without its own `scope`, and that scope."""
    if not isinstance(value, Mapping) or value.get("scope") not in SCOPES:
        return value, None
    rest = {key: item for key, item in value.items() if key != "scope"}
    inner = rest.get(spec.main) if spec.main is not None and len(rest) == 1 else None
    if isinstance(inner, (list, Mapping)):  # {limits: 5} limits a tool of that name
        return inner, value["scope"]
    return rest, value["scope"]


def widest_scope(first: Scope, second: Scope) -> Scope:
    """The scope that covers both; a ban may be widened by uniting, never narrowed."""
    return first if first == second else "all"


def merge_expectations(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`override` (a test's trace keys) on top of `base` (its manifest's).

    Both may hold keys directly or under `trace_expectations`; the result has them directly.
    `disabled` in the result is `base`'s united with those of `override` (a test's cannot lift a
    ban, see `drop_disabled`).
    """
    below, above = flatten(base), flatten(override)
    by_key = {spec.key: spec for spec in all_checks().values()}
    merged: dict[str, Any] = {}
    base_scope = _scope_of(below)
    merged_scope: Scope = _scope_of(above, base_scope)
    for key in {**below, **above}:
        spec = by_key.get(key)
        if spec is not None and spec.additive:
            value = _merge_ban(spec, below, above, base_scope, merged_scope)
        elif key == "disabled":
            value = sorted({*_names(below.get(key)), *_names(above.get(key))})
        elif key in above:
            value = _merge_check(spec, below.get(key), above[key])
        else:
            value = below[key]
        if value is not None:
            merged[key] = value
    return merged


def drop_disabled(
    merged: Mapping[str, Any], *, manifest: Iterable[str], test: Iterable[str]
) -> dict[str, Any]:
    """`merged` without what is disabled by name; a test's `disabled` leaves the bans standing."""
    result = dict(merged)
    off, off_by_test = set(manifest), set(test)
    for spec in all_checks().values():
        if spec.ignored is not None and spec.named_in(off | off_by_test):
            result[spec.key] = spec.ignored  # to write nothing would not turn it off
        elif spec.key not in result:
            continue
        elif spec.named_in(off):
            del result[spec.key]
        elif spec.named_in(off_by_test):
            left = _only_bans(spec, result[spec.key])
            if left is None:
                del result[spec.key]
            else:
                result[spec.key] = left
    return result


def _merge_check(spec: CheckSpec | None, below: Any, above: Any) -> Any:
    """Two values of one check, where either may be in the long form."""
    if spec is None or spec.main is None:
        return _merge(below, above)
    below_value, below_scope = _short(spec, below)
    above_value, above_scope = _short(spec, above)
    value = _merge(below_value, above_value)
    scope = above_scope or below_scope
    if value is None or scope is None:
        return value
    long = isinstance(value, Mapping) and spec.main in value
    return {**value, "scope": scope} if long else {spec.main: value, "scope": scope}


def _merge(below: Any, above: Any) -> Any:
    if not isinstance(above, Mapping):
        return above
    merged = dict(below) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _merge_ban(
    spec: CheckSpec,
    below: Mapping[str, Any],
    above: Mapping[str, Any],
    base_scope: Scope,
    merged_scope: Scope,
) -> Any:
    """A value with additive parts: the lists united, under the wider of the two scopes."""
    below_value, own = _short(spec, below.get(spec.key))
    scope_below: Scope = own or base_scope
    above_value, own = _short(spec, above.get(spec.key))
    scope_above: Scope = own or merged_scope
    if spec.key not in above:
        value: Any = below_value
    elif "" in spec.additive:
        value = _united_lists(spec, below_value, above_value)
    else:
        value = _merge(below_value, None if above_value == [] else above_value)
        if isinstance(below_value, Mapping) and (value is None or isinstance(value, Mapping)):
            bans = {
                part: _united(below_value[part], _list(above_value, part))
                for part in spec.additive
                if isinstance(below_value.get(part), list)
            }
            value = {**(value or {}), **bans} or None
        if isinstance(value, Mapping):  # a part that names no ban adds none
            value = {k: v for k, v in value.items() if k not in spec.additive or v != []} or None
    if value is None:
        return None
    scope = scope_below
    if spec.key in above and above_value is not None:
        scope = scope_above if below_value is None else widest_scope(scope_below, scope_above)
    if scope == merged_scope:
        return value
    if spec.main is None and isinstance(value, Mapping):
        return {**value, "scope": scope}
    return {spec.main or "value": value, "scope": scope}


def _united_lists(spec: CheckSpec, below: Any, above: Any) -> Any:
    """Two lists of bans as one, keeping what else either long form says."""
    if above is None or below is None:
        return below if above is None else above
    lists: list[list[Any]] = []
    rest: dict[str, Any] = {}
    for value in (below, above):
        if isinstance(value, Mapping):
            rest = _merge(rest, {key: item for key, item in value.items() if key != spec.main})
            value = value.get(spec.main or "")
            value = [] if value is None else value  # `{}`, `{scope: main}`: no ban of its own
        if not isinstance(value, list):
            return above  # refused by the schema, with the test's position
        lists.append(value)
    united = _united(*lists)
    return {spec.main: united, **rest} if rest else united


def _only_bans(spec: CheckSpec, value: Any) -> Any:
    if "" in spec.additive:
        return value
    if not spec.additive or not isinstance(value, Mapping):
        return None
    kept = {part: value[part] for part in spec.additive if value.get(part)}
    if kept and "scope" in value:
        kept["scope"] = value["scope"]
    return kept or None


def _short(spec: CheckSpec, value: Any) -> tuple[Any, Scope | None]:
    """A value in its short form (where the long one holds nothing else) and its own scope."""
    rest, scope = split_scope(spec, value)
    if spec.main is not None and isinstance(rest, Mapping) and set(rest) == {spec.main}:
        # A tool could be called like the long form's key, but not hold a list or a mapping.
        inner = rest[spec.main]
        rest = inner if isinstance(inner, (list, Mapping)) else rest
    return rest, scope


def _united(first: list[Any], second: list[Any]) -> list[Any]:
    return [*first, *(item for item in second if item not in first)]


def _list(value: Any, part: str) -> list[Any]:
    found = value.get(part) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def _names(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _scope_of(layer: Mapping[str, Any], default: Scope = "all") -> Scope:
    scope = layer.get("scope")
    return scope if scope in SCOPES else default
