"""What follows from a parameter class: schema, parsed value, errors with their paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.checks import ParameterError
from skilltrace_mlflow.checks._parameters import LIFTED, Bound, Count, Entries, Items, declare, each


@dataclass(frozen=True, kw_only=True)
class Fixed:
    max_calls: Count | None = None
    max_share: Annotated[float, Bound(above=0, maximum=1)] | None = None
    loose: bool = False
    kind: Literal["same", "tool"] = "same"


def _entry(name: str, value: Any, path: tuple[str | int, ...]) -> tuple[str, int]:
    if value > 9:
        raise ParameterError("too many", path=path)
    return name, value


@dataclass(frozen=True, kw_only=True)
class Names:
    limits: Annotated[tuple[tuple[str, int], ...], Entries(schema={"type": "integer"}, read=_entry)]
    threshold: float = 1.0


FIXED, NAMES = declare(Fixed), declare(Names)


def valid(value: Any, schema: Any) -> bool:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ({"max_calls": 0}, True),
        ({"max_calls": -1}, False),
        ({"max_calls": 1.5}, False),
        ({"max_calls": True}, False),
        ({"max_share": 0}, False),
        ({"max_share": 1}, True),
        ({"max_share": 1.1}, False),
        ({"loose": True}, False),  # an option alone asks nothing
        ({"max_calls": 1, "loose": "yes"}, False),
        ({"max_calls": 1, "kind": "tool", "scope": "main"}, True),
        ({"max_calls": 1, "kind": "any"}, False),
        ({"max_calls": 1, "scope": "any"}, False),
        ({"max_calls": 1, "other": 1}, False),
        ({}, False),
    ],
)
def test_types_and_bounds_are_the_schema(value: Any, good: bool) -> None:
    assert valid(value, FIXED.schema) is good


@given(calls=st.none() | st.integers(0, 99), loose=st.booleans())
def test_what_is_written_is_what_is_parsed(calls: int | None, loose: bool) -> None:
    written = {"loose": loose} | ({} if calls is None else {"max_calls": calls})
    assert FIXED.parse(written) == Fixed(max_calls=calls, loose=loose)


def test_a_whole_number_is_a_float_and_one_beyond_all_floats_is_refused() -> None:
    share = FIXED.parse({"max_share": 1}).max_share
    assert isinstance(share, float)
    with pytest.raises(ParameterError) as caught:
        FIXED.parse({"max_share": 10**400})
    assert caught.value.path == ("max_share",)


def test_without_scope_there_is_none() -> None:
    schema = declare(Fixed, scope=False).schema
    assert not valid({"max_calls": 1, "scope": "all"}, schema)


def test_short_and_long_form_are_one() -> None:
    short, long = {"Read": 1}, {"limits": {"Read": 1}}
    assert valid(short, NAMES.schema)
    assert valid({**long, "threshold": 0.5, "scope": "main"}, NAMES.schema)
    assert NAMES.parse(short) == NAMES.parse(long) == Names(limits=(("Read", 1),))
    assert NAMES.parse({**long, "threshold": 0.5}).threshold == 0.5


@pytest.mark.parametrize(
    ("value", "path"), [({"Read": 10}, ("Read",)), ({"limits": {"Read": 10}}, ("limits", "Read"))]
)
def test_errors_say_where(value: Any, path: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError) as caught:
        NAMES.parse(value)
    assert caught.value.path == path


def test_a_field_that_no_schema_describes_is_refused_at_once() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        when: complex = 0j

    with pytest.raises(TypeError, match="when: no schema describes"):
        declare(Odd)


def _number(text: str, _: object) -> int:
    if not text.isdigit():
        raise ParameterError(f"{text!r} is no number")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Bans:
    numbers: Annotated[tuple[int, ...], Items(read=each(_number), ban=True)]
    lifted: Annotated[tuple[str, ...], LIFTED] = ()


@dataclass(frozen=True, kw_only=True)
class Sides:
    allowed: Annotated[tuple[int, ...], Items(read=each(_number))] | None = None
    forbidden: Annotated[tuple[int, ...], Items(read=each(_number), ban=True)] = ()
    lifted: Annotated[tuple[str, ...], LIFTED] = ()


BANS, SIDES = declare(Bans), declare(Sides)


def test_a_list_stands_alone_or_under_its_name() -> None:
    assert BANS.parse(["1", "2", "1"]) == BANS.parse({"numbers": ["1", "2"]})
    assert valid(["1"], BANS.schema)
    assert valid({"numbers": ["1"], "scope": "main"}, BANS.schema)
    assert not valid({"numbers": ["1"], "threshold": 0.5}, BANS.schema)  # it has none
    assert not valid([], BANS.schema)
    assert (BANS.main, BANS.additive, set(BANS.companions)) == (
        "numbers",
        ("",),
        {"ban_exceptions"},
    )


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"numbers": v}])
def test_exceptions_take_bans_out_and_leave_the_places_of_the_others(wrap: Any) -> None:
    assert BANS.parse(wrap(["1", "2"]), ban_exceptions=["1"]) == Bans(numbers=(2,), lifted=("1",))
    with pytest.raises(ParameterError) as caught:
        BANS.parse(wrap(["1", "2", "x"]), ban_exceptions=["1"])
    assert caught.value.path[-1] == 2


def test_several_lists_have_no_short_form() -> None:
    value = {"allowed": ["1"], "forbidden": ["2", "3"]}
    assert SIDES.parse(value, ban_exceptions=["3", "1"]) == Sides(
        allowed=(1,), forbidden=(2,), lifted=("3",)
    )
    assert SIDES.parse({"forbidden": ["2"]}).allowed is None
    assert (SIDES.main, SIDES.additive) == (None, ("forbidden",))
    assert not valid(["1"], SIDES.schema)
    with pytest.raises(ParameterError) as caught:
        SIDES.parse({"allowed": ["1", "x"]})
    assert caught.value.path == ("allowed", 1)


def test_bans_without_a_place_for_the_lifted_ones_are_refused_at_once() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        numbers: Annotated[tuple[int, ...], Items(ban=True)]

    with pytest.raises(TypeError, match="lifted"):
        declare(Odd)
