"""tool_trajectory: optimal pairing, scores, and what loading refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.checks import ParameterError
from skilltrace_mlflow.patterns.regex import check_regex
from skilltrace_mlflow.patterns.regex import search as regex_search
from skilltrace_mlflow.session import ToolCall
from tests.builders import make_call, make_session
from tests.checks.judging import judge, parse, verdict


def search(**given: Any) -> ToolCall:
    return make_call("search", given)


def score(value: dict, *calls: ToolCall | str, **fields: Any) -> float | None:
    return judge("tool_trajectory", value, make_session(calls, **fields)).score


def steps(*inputs: dict, tool: str = "search") -> list[dict]:
    return [{"tool": tool, "input": given} for given in inputs]


ONE_SEARCH = {"mode": "in_order", "expected": steps({"q": 1})}


class TestBestPairing:
    """A greedy pairing takes the first call that fits and has none left for the next step."""

    expected = steps({"q": 1}, {"q": 1, "k": 2})
    made = (search(q=1, k=2), search(q=1))

    def test_superset_is_optimal(self) -> None:
        value = {"mode": "superset", "expected": self.expected, "input_match": "superset"}
        assert score(value, *self.made) == 1.0

    def test_order_of_expectations_does_not_count(self) -> None:
        value = {"mode": "superset", "expected": self.expected[::-1], "input_match": "superset"}
        assert score(value, *self.made) == 1.0

    def test_identical_calls_are_told_apart(self) -> None:
        value = {"mode": "any_order", "expected": steps({"q": 1}, {"q": 1})}
        assert score(value, search(q=1), search(q=1)) == 1.0

    def test_each_call_serves_one_step(self) -> None:
        value = {"mode": "any_order", "expected": steps({"q": 1}, {"q": 1}, {"q": 2})}
        assert score(value, search(q=1), search(q=2), search(q=2)) == pytest.approx(2 / 3)

    def test_in_order_finds_the_best_alignment_not_the_first(self) -> None:
        value = {"mode": "in_order", "expected": steps({"q": "b"})}
        assert score(value, search(q="a"), search(q="b")) == 1.0

    def test_in_order_does_not_stop_at_a_missing_step(self) -> None:
        value = {"mode": "in_order", "expected": ["A", "B", "C"]}
        assert score(value, "B", "C") == pytest.approx(2 / 3)

    def test_in_order_takes_the_longer_way(self) -> None:
        # the first A is far to the right: matching it would cost B and C
        value = {"mode": "in_order", "expected": ["A", "B", "C"]}
        assert score(value, "B", "C", "A") == pytest.approx(2 / 3)

    def test_optional_steps_give_way_to_required_ones(self) -> None:
        expected = [{"tool": "*", "optional": True}, {"tool": "Read"}]
        assert score({"mode": "any_order", "expected": expected}, "Read") == 1.0
        assert score({"mode": "in_order", "expected": expected}, "Read") == 1.0


class TestExact:
    def test_an_extra_call_fails(self) -> None:
        outcome = judge(
            "tool_trajectory", {"mode": "exact", "expected": ["A"]}, make_session(["A", "rm"])
        )
        assert (outcome.verdict, outcome.score) == ("fail", 0.5)
        assert "rm: not expected" in outcome.misses

    def test_no_calls_can_be_expected(self) -> None:
        value = {"mode": "exact", "expected": []}
        assert verdict("tool_trajectory", value) == "pass"
        assert verdict("tool_trajectory", value, "A") == "fail"

    def test_the_order_counts(self) -> None:
        assert score({"mode": "exact", "expected": ["A", "B"]}, "B", "A") == 0.5

    def test_one_missing_call_does_not_shift_the_rest(self) -> None:
        value = {"mode": "exact", "expected": ["A", "B", "C", "D"]}
        assert score(value, "B", "C", "D") == 0.75

    def test_optional_steps_count_on_neither_side(self) -> None:
        value = {"mode": "exact", "expected": ["A", {"tool": "B", "optional": True}, "C"]}
        assert score(value, "A", "C") == 1.0
        assert score(value, "A", "B", "C") == 1.0
        assert score(value, "A", "B", "B", "C") == pytest.approx(2 / 3)

    def test_named_extras_may_come_between(self) -> None:
        value = {"mode": "exact", "expected": ["Edit"], "extras": ["Read", "Grep"]}
        assert score(value, "Read", "Edit", "Read", "Grep") == 1.0
        assert score(value, "Read", "Edit", "Bash") == 0.5


class TestOtherModes:
    def test_subset(self) -> None:
        value = {"mode": "subset", "expected": ["A", "B", "C"]}
        assert score(value, "C", "A") == 1.0
        assert score(value) == 1.0
        assert score(value, "A", "X") == 0.5
        assert score({"mode": "subset", "expected": ["A"]}, "A", "A") == 0.5
        assert score({"mode": "subset", "expected": []}, "A") == 0.0

    def test_minimums(self) -> None:
        value = {"mode": "any_order", "minimums": {"search": 2, "Read": 1}}
        assert score(value, "search", "Read", "search") == 1.0
        outcome = judge("tool_trajectory", value, make_session(["search", "Read"]))
        assert (outcome.score, outcome.verdict) == (0.5, "fail")
        assert outcome.misses == ("search: 1 < 2",)

    @pytest.mark.parametrize(
        ("calls", "lost", "expected", "points"),
        [
            (["Read", "search", "search"], (), "pass", 1.0),
            (["Read", "search"], (), "fail", 0.5),
            (["search", "search"], (), "fail", 0.5),
            (["Bash"], (), "fail", 0.0),
            (["search", "Read", "search"], ("line 3 is not JSON",), "pass", 1.0),
            (["Read", "search"], ("line 3 is not JSON",), "unknown", None),
            (["search", "search"], ("line 3 is not JSON",), "unknown", None),
        ],
    )
    def test_steps_and_minimums_together(
        self, calls: list[str], lost: tuple[str, ...], expected: str, points: float | None
    ) -> None:
        value = {"mode": "any_order", "expected": ["Read"], "minimums": {"search": 2}}
        outcome = judge("tool_trajectory", value, make_session(calls, incomplete=lost))
        assert (outcome.verdict, outcome.score) == (expected, points)

    def test_forbidden_extras_in_any_order(self) -> None:
        value = {"mode": "any_order", "expected": ["A"], "extras": "forbid"}
        assert score(value, "A") == 1.0
        assert score(value, "A", "B") == 0.5

    def test_extras_that_are_allowed_are_left_over_rather_than_others(self) -> None:
        # both fit the step; only Read may be left over
        value = {
            "mode": "any_order",
            "expected": [{"one_of": ["Read", "Edit"]}],
            "extras": ["Read"],
        }
        assert score(value, "Read", "Edit") == 1.0
        assert score({**value, "mode": "in_order"}, "Read", "Edit") == 1.0

    def test_one_of(self) -> None:
        value = {"mode": "in_order", "expected": [{"one_of": ["Grep", "Glob"]}, "Read"]}
        assert score(value, "Glob", "Read") == 1.0
        assert score(value, "Read") == 0.5

    def test_threshold_lowers_the_bar(self) -> None:
        value = {"mode": "in_order", "expected": ["A", "B", "C"], "threshold": 2 / 3}
        assert verdict("tool_trajectory", value, "A", "B") == "pass"
        assert verdict("tool_trajectory", value, "A") == "fail"

    def test_details_hold_precision_and_recall(self) -> None:
        session = make_session(["A", "X", "Y", "Y"])
        details = judge(
            "tool_trajectory", {"mode": "any_order", "expected": ["A", "B"]}, session
        ).details
        assert (details["precision"], details["recall"]) == (0.25, 0.5)
        assert details["f1"] == pytest.approx(1 / 3)
        assert [call["tool"] for call in details["extra"]] == ["X", "Y", "Y"]
        assert [step["expected"] for step in details["missing"]] == ["B"]


class TestInputs:
    @pytest.mark.parametrize(
        ("mode", "given", "made", "expected"),
        [
            ("exact", {"q": True}, {"q": 1}, 0.0),
            ("exact", {"q": 1}, {"q": 1.0}, 1.0),
            ("exact", {"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
            ("exact", {"q": [1, 2]}, {"q": [2, 1]}, 0.0),
            ("exact", {"q": 1}, {"q": 1, "k": 2}, 0.0),
            ("exact", {}, {"q": 1}, 0.0),
            ("superset", {"q": 1}, {"q": 1, "k": 2}, 1.0),
            ("superset", {"q": 1, "k": 2}, {"q": 1}, 0.0),
            ("subset", {"q": 1, "k": 2}, {"q": 1}, 1.0),
            ("subset", {"q": 1}, {"q": 1, "k": 2}, 0.0),
            ("ignore", {"q": 1}, {"q": 2}, 1.0),
            (["q"], {"q": 1, "k": 5}, {"q": 1, "k": 6}, 1.0),
            (["q.x"], {"q": {"x": 1, "y": 2}}, {"q": {"x": 1}}, 1.0),
            (["q.x"], {"q": {"x": 1}}, {"q": {"x": 2}}, 0.0),
            (["a.b"], {"a.b": 1}, {"a.b": 1}, 1.0),
            ("exact", {"q": {"$regex": "^a+$"}}, {"q": "aaa"}, 1.0),
            ("exact", {"q": {"$regex": "^a+$"}}, {"q": "aab"}, 0.0),
            ("exact", {"q": {"$glob": "*.sql"}}, {"q": "/x/a.sql"}, 1.0),
            ("exact", {"q": {"$contains": "b"}}, {"q": "abc"}, 1.0),
            ("exact", {"q": {"$contains": {"$gt": 2}}}, {"q": [1, 3]}, 1.0),
            ("exact", {"q": [{"$one_of": [1, "x"]}, {"$any": True}]}, {"q": ["x", None]}, 1.0),
            ("exact", {"q": {"$gt": 1, "$le": 3}}, {"q": 3}, 1.0),
            ("exact", {"q": {"$gt": 1}}, {"q": True}, 0.0),
            ("exact", {"q": 1, "k": {"$absent": True}}, {"q": 1}, 1.0),
            ("exact", {"q": 1, "k": {"$absent": True}}, {"q": 1, "k": None}, 0.0),
            ("exact", {"q": {"$any": True}}, {}, 0.0),
            ("exact", {"q": {"$eq": {"$ref": 1}}}, {"q": {"$ref": 1}}, 1.0),
        ],
    )
    def test_matching(self, mode: Any, given: dict, made: dict, expected: float) -> None:
        value = {"mode": "any_order", "expected": steps(given), "input_match": mode}
        assert score(value, make_call("search", made)) == expected

    def test_a_miss_shows_the_key_that_differs(self) -> None:
        value = {"mode": "in_order", "expected": steps({"q": 1, "deep": {"k": [1, 2]}})}
        session = make_session([search(q=1, deep={"k": [1, 3]})])
        (miss,) = judge("tool_trajectory", value, session).misses
        assert "deep.k[1]: expected 2, is 3" in miss

    @pytest.mark.parametrize(
        ("outcome", "expected"),
        [("failed", "pass"), ("denied", "unknown"), ("succeeded", "fail")],
    )
    def test_a_failure_that_may_be_a_refusal(self, outcome: str, expected: str) -> None:
        value = {"mode": "in_order", "expected": [{"tool": "Write", "outcome": outcome}]}
        perhaps = make_call("Write", outcome="failed", details={"maybe_refused": True})
        assert verdict("tool_trajectory", value, perhaps) == expected

    def test_output_and_outcome(self) -> None:
        made = make_call("search", {}, result='{"rows": 3}', outcome="succeeded")
        item = {"tool": "search", "output": {"rows": {"$gt": 2}}, "outcome": "succeeded"}
        assert score({"mode": "exact", "expected": [item]}, made) == 1.0
        assert score({"mode": "exact", "expected": [{**item, "outcome": "failed"}]}, made) == 0.0
        text = {"tool": "search", "output": {"$contains": "rows"}}
        assert score({"mode": "exact", "expected": [text]}, made) == 1.0

    def test_duration(self) -> None:
        item = {"tool": "search", "max_duration_ms": 100}
        value = {"mode": "exact", "expected": [item]}
        assert verdict("tool_trajectory", value, make_call("search", duration_ms=100)) == "pass"
        assert verdict("tool_trajectory", value, make_call("search", duration_ms=101)) == "fail"
        assert verdict("tool_trajectory", value, "search") == "unknown"


class TestLoading:
    @pytest.mark.parametrize(
        ("value", "message", "path"),
        [
            (
                {
                    "mode": "in_order",
                    "expected": [{"tool": "s", "input": {"query": 1}, "input_match": ["qurey"]}],
                },
                "qurey",
                ("expected", 0, "input_match"),
            ),
            (
                {"mode": "in_order", "expected": steps({"q": {"$regx": "a"}})},
                "unknown matcher \\$regx",
                ("expected", 0, "input", "q", "$regx"),
            ),
            (
                {"mode": "in_order", "expected": steps({"q": {"$regex": "("}})},
                "bad regular expression",
                ("expected", 0, "input", "q", "$regex"),
            ),
            ({"mode": "in_order", "expected": []}, "no calls", ("expected",)),
            ({"mode": "any_order", "expected": []}, "no calls", ("expected",)),
            ({"mode": "superset", "expected": []}, "no calls", ("expected",)),
            ({"mode": "in_order", "minimums": {"A": 1}}, "any_order", ("minimums",)),
            ({"mode": "in_order"}, "missing", ()),
            (
                {"mode": "exact", "expected": ["A"], "extras": "allow"},
                "no other calls",
                ("extras",),
            ),
            ({"mode": "in_order", "expected": ["rm -rf"]}, "no tool name", ("expected", 0)),
            (
                {"mode": "in_order", "expected": [{"tool": "A", "optional": True}]},
                "nothing is expected",
                ("expected",),
            ),
            (
                {"mode": "in_order", "expected": [{"one_of": [{"tool": "A", "optional": True}]}]},
                "beside one_of",
                ("expected", 0, "one_of", 0, "optional"),
            ),
            (
                {"mode": "in_order", "expected": [{"tool": "A", "input_match": ["q"]}]},
                "no input",
                ("expected", 0, "input_match"),
            ),
            (
                {"mode": "in_order", "expected": steps({"q": {"$gt": 1, "k": 2}})},
                "cannot stand in one mapping",
                ("expected", 0, "input", "q", "$gt"),
            ),
        ],
    )
    def test_is_refused(self, value: dict, message: str, path: tuple) -> None:
        with pytest.raises(ParameterError, match=message) as caught:
            parse("tool_trajectory", value)
        assert caught.value.path == path

    @pytest.mark.parametrize(
        "value",
        [
            {"expected": ["A"]},
            {"mode": "inorder", "expected": ["A"]},
            {"mode": "exact", "expected": [{"input": {}}]},
            {"mode": "exact", "expected": [{"tool": "A", "inputs": {}}]},
            {"mode": "exact", "expected": ["A"], "extra": "allow"},
            {"mode": "any_order", "minimums": {"A": 0}},
        ],
    )
    def test_schema_refuses(self, value: dict) -> None:
        with pytest.raises(jsonschema.ValidationError):
            parse("tool_trajectory", value)


class TestEvidence:
    def test_unrecorded_arguments_are_unknown(self) -> None:
        hidden = replace(search(), input=None)
        assert verdict("tool_trajectory", ONE_SEARCH, hidden) == "unknown"
        assert verdict("tool_trajectory", ONE_SEARCH, hidden, search(q=1)) == "pass"
        assert verdict("tool_trajectory", ONE_SEARCH, "other") == "fail"

    def test_truncated_arguments_are_unknown(self) -> None:
        cut = search(q=1, input_truncated=True)
        assert replace(cut, input_truncated=True).input_truncated
        assert (
            verdict("tool_trajectory", ONE_SEARCH, replace(search(q=2), input_truncated=True))
            == "unknown"
        )

    def test_order_is_needed_only_where_it_counts(self) -> None:
        fields = {"missing": {"tool_order": "only counts"}}
        assert (
            verdict("tool_trajectory", {"mode": "in_order", "expected": ["A"]}, "A", **fields)
            == "unknown"
        )
        assert (
            verdict("tool_trajectory", {"mode": "any_order", "expected": ["A"]}, "A", **fields)
            == "pass"
        )

    def test_an_outcome_that_nobody_recorded(self) -> None:
        value = {"mode": "exact", "expected": [{"tool": "A", "outcome": "succeeded"}]}
        assert verdict("tool_trajectory", value, make_call("A", outcome="unknown")) == "unknown"
        assert verdict("tool_trajectory", value, make_call("A", outcome="failed")) == "fail"

    @pytest.mark.parametrize(
        ("value", "calls", "expected"),
        [
            ({"mode": "exact", "expected": ["A"]}, ["A"], "unknown"),
            ({"mode": "exact", "expected": ["A"]}, ["A", "B"], "fail"),
            ({"mode": "exact", "expected": ["A", "B"]}, ["A"], "unknown"),
            ({"mode": "subset", "expected": ["A"]}, ["A"], "unknown"),
            ({"mode": "subset", "expected": ["A"]}, ["B"], "fail"),
            ({"mode": "in_order", "expected": ["A"]}, ["A"], "pass"),
            ({"mode": "in_order", "expected": ["A", "B"]}, ["A"], "unknown"),
            ({"mode": "any_order", "minimums": {"A": 2}}, ["A"], "unknown"),
            ({"mode": "any_order", "minimums": {"A": 1}}, ["A"], "pass"),
        ],
    )
    def test_incomplete_record(self, value: dict, calls: list, expected: str) -> None:
        assert verdict("tool_trajectory", value, *calls, incomplete=("line 3 is cut",)) == expected

    def test_a_runaway_pattern_is_an_error_not_a_hang(self) -> None:
        value = {
            "mode": "exact",
            "expected": steps({"q": {"$regex": "^(a|a|aa)+$(?<=b)|(.*.*.*.*.*.*=)$"}}),
        }
        outcome = judge("tool_trajectory", value, make_session([search(q="a" * 5000)]))
        assert outcome.verdict == "error"
        assert "still searching" in outcome.rationale


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=4,
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]), st.dictionaries(st.sampled_from("qk"), JSON, max_size=2)
    ),
    max_size=6,
)
FEW = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.fixed_dictionaries({"q": st.integers(0, 1)})),
    max_size=6,
)
ANY_MODE = st.sampled_from(["any_order", "in_order", "exact", "superset", "subset"])


def as_calls(items: list) -> list[ToolCall]:
    return [make_call(name, given) for name, given in items]


def as_steps(items: list) -> list[dict]:
    return [{"tool": name, "input": given} for name, given in items]


class TestProperties:
    @given(CALLS, ANY_MODE)
    def test_every_trajectory_matches_itself(self, items: list, mode: str) -> None:
        if not items and mode not in ("exact", "subset"):
            return
        assert score({"mode": mode, "expected": as_steps(items)}, *as_calls(items)) == 1.0

    @given(
        FEW.filter(bool), FEW, st.sampled_from(["any_order", "superset", "subset"]), st.randoms()
    )
    def test_order_of_expectations_never_counts(
        self, wanted: list, made: list, mode: str, rng: Any
    ) -> None:
        shuffled = wanted[:]
        rng.shuffle(shuffled)
        for match in ("exact", "superset"):
            one = score(
                {"mode": mode, "expected": as_steps(wanted), "input_match": match}, *as_calls(made)
            )
            other = score(
                {"mode": mode, "expected": as_steps(shuffled), "input_match": match},
                *as_calls(made),
            )
            assert one == other

    @given(
        st.lists(
            st.dictionaries(st.sampled_from("qk"), st.integers(0, 1), max_size=2),
            min_size=1,
            max_size=5,
        ),
        st.lists(st.dictionaries(st.sampled_from("qk"), st.integers(0, 1), max_size=2), max_size=5),
    )
    def test_optimal_is_never_worse_than_greedy(self, wanted: list[dict], made: list[dict]) -> None:
        def fits(want: dict, got: dict) -> bool:
            return all(got.get(key) == item for key, item in want.items())

        left = list(range(len(made)))
        greedy = 0
        for want in wanted:
            hit = next((i for i in left if fits(want, made[i])), None)
            if hit is not None:
                left.remove(hit)
                greedy += 1
        at = in_order = 0
        for want in wanted:
            hit = next((i for i in range(at, len(made)) if fits(want, made[i])), None)
            if hit is not None:
                at, in_order = hit + 1, in_order + 1
        calls = [make_call("search", item) for item in made]
        base = {"expected": steps(*wanted), "input_match": "superset"}
        any_order = score({"mode": "any_order", **base}, *calls)
        ordered = score({"mode": "in_order", **base}, *calls)
        assert any_order is not None
        assert ordered is not None
        assert any_order >= greedy / len(wanted) - 1e-9
        assert ordered >= in_order / len(wanted) - 1e-9
        assert any_order >= ordered - 1e-9

    @given(FEW.filter(bool), FEW, ANY_MODE, st.sampled_from([None, "forbid", ["A"]]))
    def test_scores_stay_in_bounds(self, wanted: list, made: list, mode: str, extras: Any) -> None:
        value = {"mode": mode, "expected": as_steps(wanted)}
        if extras is not None and mode != "superset":
            value["extras"] = extras
        result = score(value, *as_calls(made))
        assert result is not None
        assert 0.0 <= result <= 1.0

    @given(FEW, FEW, st.integers(0, 6))
    def test_an_unexpected_call_never_raises_an_exact_score(
        self, wanted: list, made: list, at: int
    ) -> None:
        value = {"mode": "exact", "expected": as_steps(wanted)}
        calls = as_calls(made)
        before = score(value, *calls)
        after = score(value, *calls[:at], make_call("unexpected"), *calls[at:])
        assert before is not None
        assert after is not None
        assert after <= before

    @settings(max_examples=60)
    @given(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=6))
    def test_matching_is_maximum(self, rows: list[list[int]]) -> None:
        """Against a search of every possibility."""
        from skilltrace_mlflow.matching.assignment import align, match

        def most(index: int, used: frozenset[int]) -> int:
            if index == len(rows):
                return 0
            best = most(index + 1, used)
            for call in rows[index]:
                if call not in used:
                    best = max(best, 1 + most(index + 1, used | {call}))
            return best

        def longest(index: int, last: int) -> int:
            if index == len(rows):
                return 0
            return max(
                [
                    longest(index + 1, last),
                    *(1 + longest(index + 1, c) for c in rows[index] if c > last),
                ]
            )

        pairs = match(rows)
        assert len(pairs) == most(0, frozenset()) == len(set(pairs.values()))
        assert all(call in rows[step] for step, call in pairs.items())
        rows = [sorted(row) for row in rows]
        aligned = align(rows)
        assert len(aligned) == longest(0, -1)
        assert len(align(rows, prefer=frozenset({1}))) == len(aligned)
        assert all(a < c and b < d for (a, b), (c, d) in pairwise(aligned))


_VALUES = st.sampled_from(
    [1, "a", None, [1], {"b": 1}, {"$regex": "a"}, {"$any": True}, {"$absent": True}, {"$gt": 0}]
)


class TestNamedFields:
    @settings(max_examples=200)
    @given(
        expected=st.dictionaries(st.sampled_from(["a", "a.b", "c"]), _VALUES, min_size=1),
        actual=st.dictionaries(
            st.sampled_from(["a", "a.b", "c", "d"]), st.sampled_from([1, "a", None, [1], {"b": 1}])
        ),
        data=st.data(),
    )
    def test_they_alone_are_compared(
        self, expected: dict[str, Any], actual: dict[str, Any], data: st.DataObject
    ) -> None:
        fields = data.draw(st.lists(st.sampled_from(sorted(expected)), min_size=1, unique=True))
        step = {"tool": "search", "input": expected, "input_match": fields}
        value = {"mode": "superset", "expected": [step]}
        alone = {field: expected[field] for field in fields}
        made = {field: actual[field] for field in fields if field in actual}
        if "a.b" in fields and "a.b" not in actual and isinstance(actual.get("a"), dict):
            made["a.b"] = actual["a"]["b"]
        whole = {"mode": "superset", "expected": steps(alone)}
        assert score(value, search(**actual)) == score(whole, search(**made))


class TestTextsAsPatterns:
    @settings(max_examples=300)
    @given(
        pattern=st.text(alphabet="ab .-_/:é\n\\*+?(){}^$|#&~", max_size=4),
        text=st.text(alphabet="ab .-_/:é\n\\*+", max_size=8),
    )
    def test_a_pattern_that_is_a_text_is_looked_for_as_one(self, pattern: str, text: str) -> None:
        try:
            expected = re.search(pattern, text) is not None
        except re.error:
            with pytest.raises(ParameterError):
                check_regex(pattern, ())
            return
        assert regex_search(pattern, text) == expected
