"""The alignment that the report shows: which expected call met which actual one, what differs."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.checks import get_check, run_check
from skilltrace_mlflow.session import Session
from tests.builders import make_call, make_session

Row = tuple[Any, Any, bool, tuple[str, ...]]


def rows(session: Session, value: Any, check: str = "tool_trajectory") -> list[Row]:
    """(expected tool, position of the actual call, matched, differing keys) of each row."""
    spec = get_check(check)
    outcome = run_check(spec, session, spec.parse(value))
    return [
        (
            row["expected"] and row["expected"]["tool"],
            row["actual"] and row["actual"]["position"],
            row["matched"],
            tuple(row["differs"]),
        )
        for row in outcome.details.get("alignment", ())
    ]


def trajectory(*expected: Any, mode: str = "in_order", **more: Any) -> dict[str, Any]:
    return {"mode": mode, "expected": list(expected), **more}


SESSION = make_session(
    [
        make_call("Read", {"file_path": "/a"}),
        make_call("Bash", {"command": "ls"}),
        make_call("Edit", {"file_path": "/a", "old_string": "x", "new_string": "y"}),
        make_call("Bash", {"command": "make"}, outcome="failed"),
    ]
)


def test_a_step_that_differs_stands_beside_the_call_that_comes_nearest() -> None:
    value = trajectory(
        {"tool": "Read"},
        {"tool": "Edit", "input": {"file_path": "/b", "old_string": "x", "new_string": "z"}},
        {"tool": "Bash", "input": {"command": "make"}, "outcome": "succeeded"},
    )
    assert rows(SESSION, value) == [
        ("Read", 1, True, ()),
        (None, 2, False, ()),
        ("Edit", 3, False, ("input.file_path", "input.new_string")),
        ("Bash", 4, False, ("outcome",)),
    ]


def test_a_call_that_was_never_made_stands_alone_behind_the_step_before() -> None:
    value = trajectory({"tool": "Read"}, {"tool": "Skill"}, {"tool": "Edit"})
    assert rows(SESSION, value) == [
        ("Read", 1, True, ()),
        ("Skill", None, False, ()),
        (None, 2, False, ()),
        ("Edit", 3, True, ()),
        (None, 4, False, ()),
    ]


@pytest.mark.parametrize(
    ("mode", "expected", "differs"),
    [
        ("exact", {"file_path": "/a"}, ("input.old_string", "input.new_string")),
        ("superset", {"file_path": "/b", "old_string": "x"}, ("input.file_path",)),
        ("subset", {"file_path": "/b", "old_string": "x", "new_string": "y"}, ("input.file_path",)),
        (["old_string"], {"file_path": "/b", "old_string": "q"}, ("input.old_string",)),
        ("exact", {"file_path": {"$glob": "/b*"}, "old_string": "x", "new_string": "y"},
         ("input.file_path",)),
    ],
)  # fmt: skip
def test_the_differing_keys_are_those_that_the_comparison_asks_for(
    mode: Any, expected: Any, differs: tuple[str, ...]
) -> None:
    value = trajectory({"tool": "Edit", "input": expected}, input_match=mode)
    assert ("Edit", 3, False, differs) in rows(SESSION, value)


def test_an_output_that_differs_is_named() -> None:
    session = make_session([make_call("Bash", result="2 rows")])
    value = trajectory({"tool": "Bash", "output": {"$contains": "3 rows"}})
    assert rows(session, value) == [("Bash", 1, False, ("output",))]


def test_calls_in_the_wrong_order_differ_in_no_key() -> None:
    session = make_session(["Edit", "Read"])
    value = trajectory({"tool": "Read"}, {"tool": "Edit"})
    found = {row[0]: row[1:] for row in rows(session, value)}
    assert {name: (row[0], row[2]) for name, row in found.items()} == {
        "Edit": (1, ()),
        "Read": (2, ()),
    }
    assert sorted(row[1] for row in found.values()) == [False, True]


def test_calls_that_were_not_to_be_made_are_marked_in_exact_mode_only() -> None:
    def extras(mode: str) -> list[bool]:
        spec = get_check("tool_trajectory")
        value = trajectory({"tool": "Read"}, {"tool": "Skill"}, mode=mode)
        outcome = run_check(spec, SESSION, spec.parse(value))
        return [r["extra"] for r in outcome.details["alignment"] if r["expected"] is None]

    assert extras("exact") == [True, True, True]
    assert extras("in_order") == [False, False, False]


def test_alternatives_and_optional_steps_are_shown_as_what_they_are() -> None:
    value = trajectory(
        {"one_of": [{"tool": "Write"}, {"tool": "MultiEdit"}]},
        {"tool": "Grep", "optional": True},
        mode="superset",
    )
    found = rows(SESSION, value)
    assert ("Write | MultiEdit", None, False, ()) in found
    assert not any(row[0] == "Grep" for row in found)


def test_expected_messages_are_aligned_as_well_and_a_pass_carries_nothing() -> None:
    value = [{"role": "assistant", "tool_calls": [{"tool": "Read", "input": {"file_path": "/z"}}]}]
    assert rows(SESSION, value, "expected_messages")[0] == ("Read", 1, False, ("input.file_path",))
    assert rows(SESSION, trajectory({"tool": "Read"})) == []


def test_long_arguments_are_cut_and_many_calls_limited() -> None:
    calls = [make_call("Bash", {"command": "x" * 10_000}) for _ in range(500)]
    spec = get_check("tool_trajectory")
    outcome = run_check(spec, make_session(calls), spec.parse(trajectory({"tool": "Read"})))
    found = outcome.details["alignment"]
    assert len(found) == 101
    assert len(found[1]["actual"]["input"]["command"]) == 501
