"""Equality as JSON means it, and matchers that stand for values in expectations.

`true` is not `1`, `1` equals `1.0`, the order of keys does not matter, the order of lists does. A
mapping whose keys begin with `$` is a matcher: `{$regex: …}`, `{$glob: …}`, `{$contains: …}`,
`{$one_of: […]}`, `{$gt|$ge|$lt|$le: n}`, `{$any: true}`, `{$absent: true}`; several in one mapping
must all hold. `{$eq: …}` is the value itself, for one that has keys beginning with `$`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.patterns.regex import check_regex, glob_match, search
from skilltrace_mlflow.text import cut

__all__ = ["ABSENT", "check_value", "difference", "json_equal", "value_matches"]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
"""Stands for a key that the call does not have; nothing but `$absent` matches it."""

_NUMBERS = ("$gt", "$ge", "$lt", "$le")
_TEXTS = ("$regex", "$glob")
_KNOWN = ("$absent", "$any", "$contains", "$eq", "$glob", "$one_of", "$regex", *_NUMBERS)


def json_equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same value."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            json_equal(item, right[key]) for key, item in left.items()
        )
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(map(json_equal, left, right))
    if isinstance(left, (Mapping, list, tuple)) or isinstance(right, (Mapping, list, tuple)):
        return False
    return bool(left == right) or bool(left != left and right != right)  # NaN is NaN


def check_value(value: Any, path: tuple[str | int, ...] = ()) -> None:
    """Raise ParameterError for a matcher that is unknown, malformed or mixed with plain keys."""
    if _is_list(value):
        for index, item in enumerate(value):
            check_value(item, (*path, index))
        return
    if not isinstance(value, Mapping):
        return
    special = [key for key in value if isinstance(key, str) and key.startswith("$")]
    if special and len(special) != len(value):
        plain = next(key for key in value if key not in special)
        raise ParameterError(
            f"a matcher ({special[0]}) and a plain key ({plain}) cannot stand in one mapping",
            path=(*path, special[0]),
        )
    for key, item in value.items():
        if special:
            _check_matcher(key, item, (*path, key))
        else:
            check_value(item, (*path, key))


def _check_matcher(key: str, item: Any, path: tuple[str | int, ...]) -> None:
    if key not in _KNOWN:
        raise ParameterError(f"unknown matcher {key}; known are {', '.join(_KNOWN)}", path=path)
    if key in _NUMBERS and not _is_number(item):
        raise ParameterError(f"{key} takes a number, not {item!r}", path=path)
    if key in _TEXTS and not isinstance(item, str):
        raise ParameterError(f"{key} takes a text, not {item!r}", path=path)
    if key in ("$any", "$absent") and item is not True:
        raise ParameterError(f"{key} takes true, not {item!r}", path=path)
    if key == "$regex":
        check_regex(item, path)
    elif key == "$one_of":
        if not _is_list(item) or not item:
            raise ParameterError(f"$one_of takes a list of values, not {item!r}", path=path)
        check_value(item, path)
    elif key == "$contains":
        check_value(item, path)


def value_matches(expected: Any, actual: Any) -> bool:
    """Whether `actual` is what `expected` asks for; RegexTimeoutError for a runaway pattern."""
    if type(expected) is str:
        return isinstance(actual, str) and expected == actual
    if isinstance(expected, (dict, Mapping)):  # the concrete type first: it costs a tenth
        if _is_matcher(expected):
            for key, item in expected.items():  # noqa: SIM110 - `all` costs three times as much
                if not _holds(key, item, actual):
                    return False
            return True
        if not isinstance(actual, (dict, Mapping)):
            return False
        # A key that is expected to be absent is not a key that is missing.
        for key, item in expected.items():
            if not value_matches(item, actual.get(key, ABSENT)):
                return False
        return all(key in expected for key in actual)
    if _is_list(expected):
        return (
            _is_list(actual)
            and len(expected) == len(actual)
            and all(map(value_matches, expected, actual))
        )
    return actual is not ABSENT and json_equal(expected, actual)


def _holds(key: str, item: Any, actual: Any) -> bool:
    if key == "$absent":
        return actual is ABSENT
    if actual is ABSENT:
        return key == "$one_of" and any(value_matches(choice, actual) for choice in item)
    if key == "$any":
        return True
    if key == "$eq":
        return json_equal(item, actual)
    if key == "$one_of":
        return any(value_matches(choice, actual) for choice in item)
    if key == "$contains":
        return _contains(item, actual)
    if key in _TEXTS:
        if not isinstance(actual, str):
            return False
        return search(item, actual) if key == "$regex" else glob_match(item, actual)
    if not _is_number(actual):
        return False
    if key == "$gt":
        return bool(actual > item)
    if key == "$ge":
        return bool(actual >= item)
    if key == "$lt":
        return bool(actual < item)
    return bool(actual <= item)


def _contains(item: Any, actual: Any) -> bool:
    if isinstance(actual, str):
        return isinstance(item, str) and item in actual
    if _is_list(actual):
        return any(value_matches(item, element) for element in actual)
    return isinstance(actual, Mapping) and isinstance(item, str) and item in actual


def difference(expected: Any, actual: Any, path: str = "") -> str:
    """The first place where `actual` is not what is expected, for people; "" if there is none."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping) and not _is_matcher(expected):
        for key in sorted({*expected, *actual}, key=str):
            inner = f"{path}.{key}" if path else str(key)
            if key not in expected:
                return f"{inner}: not expected, is {_show(actual[key])}"
            found = difference(expected[key], actual.get(key, ABSENT), inner)
            if found:
                return found
        return ""
    if _is_list(expected) and _is_list(actual) and len(expected) == len(actual):
        for index, (want, got) in enumerate(zip(expected, actual, strict=True)):
            found = difference(want, got, f"{path}[{index}]")
            if found:
                return found
        return ""
    if value_matches(expected, actual):
        return ""
    return f"{path}: expected {_show(expected)}, is {_show(actual)}".removeprefix(": ")


def _show(value: Any) -> str:
    return cut(repr(value), 60)


def _is_matcher(value: Mapping[Any, Any]) -> bool:
    # one key speaks for all: plain and matcher keys in one mapping are refused when loaded
    for key in value:  # noqa: SIM110 - asked for every value, and `any` costs three times as much
        if isinstance(key, str) and key[:1] == "$":
            return True
    return False


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
