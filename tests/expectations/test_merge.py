"""What a test's expectations do to its manifest's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.expectations import (
    Manifest,
    TestCase,
    load_ground_truth,
    load_manifest,
    merge_expectations,
    parse_expectations,
)


def load(tmp_path: Path, manifest: str, expectations: str) -> TestCase:
    """The only test case of a skill with this manifest text and these expectations."""
    (tmp_path / "manifest.yaml").write_text(manifest, encoding="utf-8")
    body = "".join(f"      {line}\n" for line in expectations.splitlines())
    (tmp_path / "ground_truth.yaml").write_text(
        f"test_cases:\n  - id: a\n    expectations:\n{body}", encoding="utf-8"
    )
    (case,) = load_ground_truth(load_manifest(tmp_path))
    return case


def values(case: TestCase) -> dict[str, Any]:
    return {item.spec.name: item.value for item in case.expectations}


@pytest.mark.parametrize(
    ("base", "override", "merged"),
    [
        (
            {"tool_limits": {"Bash": 5, "Read": 2}},
            {"tool_limits": {"Bash": 1}},
            {"tool_limits": {"Bash": 1, "Read": 2}},
        ),
        ({"required_tools": ["Read"]}, {"required_tools": ["Edit"]}, {"required_tools": ["Edit"]}),
        ({"scope": "main"}, {"scope": "all"}, {"scope": "all"}),
        ({"tool_limits": {"Bash": 5}}, {"tool_limits": None}, {}),
        (
            {"tool_limits": {"Bash": 5, "Read": 2}},
            {"tool_limits": {"Bash": None}},
            {"tool_limits": {"Read": 2}},
        ),
        (
            {"tool_limits": {"Bash": {"min": 1, "max": 5}}},
            {"tool_limits": {"Bash": {"max": 9}}},
            {"tool_limits": {"Bash": {"min": 1, "max": 9}}},
        ),
        ({}, {"tool_limits": {"Bash": 5}}, {"tool_limits": {"Bash": 5}}),
        (
            {"trace_expectations": {"tool_limits": {"Bash": 5}}},
            {"trace_expectations": {"tool_limits": {"Read": 1}}},
            {"tool_limits": {"Bash": 5, "Read": 1}},
        ),
        (
            {"required_tools": {"tools": ["Read"], "scope": "main"}},
            {"required_tools": ["Edit"]},
            {"required_tools": {"tools": ["Edit"], "scope": "main"}},
        ),
        (
            {"tool_limits": {"Bash": 5}},
            {"tool_limits": {"limits": {"Read": 2}, "scope": "main"}},
            {"tool_limits": {"limits": {"Bash": 5, "Read": 2}, "scope": "main"}},
        ),
    ],
)
def test_mappings_merge_lists_and_scalars_replace_null_removes(
    base: Mapping[str, Any], override: Mapping[str, Any], merged: Mapping[str, Any]
) -> None:
    assert merge_expectations(base, override) == merged


@pytest.mark.parametrize(
    ("override", "banned"),
    [
        ({"banned_tools": ["wget"]}, ["curl", "wget"]),
        ({"banned_tools": []}, ["curl"]),
        ({"banned_tools": None}, ["curl"]),
        ({}, ["curl"]),
        ({"banned_tools": {"tools": ["wget"]}}, ["curl", "wget"]),
        ({"banned_tools": ["curl"]}, ["curl"]),
        ({"banned_tools": {}}, ["curl"]),
        ({"banned_tools": {"tools": None}}, ["curl"]),
        ({"banned_tools": {"tools": []}}, ["curl"]),
        ({"banned_tools": {"scope": "main"}}, ["curl"]),
        ({"banned_tools": {"tools": None, "scope": None}}, ["curl"]),
    ],
)
def test_bans_only_add_up(override: Mapping[str, Any], banned: list[str]) -> None:
    merged = merge_expectations({"banned_tools": ["curl"]}, override)
    (found,) = parse_expectations(merged)
    assert found.value == banned or found.value == {"tools": banned}


@pytest.mark.parametrize(
    ("base", "override", "scope"),
    [
        ({"banned_tools": ["curl"]}, {"scope": "main"}, "all"),
        ({"banned_tools": ["curl"]}, {"banned_tools": ["wget"], "scope": "main"}, "all"),
        (
            {"banned_tools": ["curl"]},
            {"banned_tools": {"tools": ["wget"], "scope": "main"}},
            "all",
        ),
        ({"banned_tools": ["curl"], "scope": "main"}, {"scope": "subagents"}, "main"),
        (
            {"banned_tools": {"tools": ["curl"], "scope": "main"}},
            {"banned_tools": {"tools": ["wget"], "scope": "subagents"}},
            "all",
        ),
        ({}, {"banned_tools": ["wget"], "scope": "main"}, "main"),
    ],
)
def test_a_tests_scope_never_narrows_a_ban(
    base: Mapping[str, Any], override: Mapping[str, Any], scope: str
) -> None:
    (found,) = parse_expectations(merge_expectations(base, override))
    assert found.scope == scope


def test_disabled_in_a_test_turns_off_a_check_but_no_ban(tmp_path: Path) -> None:
    case = load(
        tmp_path,
        "skill: {name: x}\ntrace_expectations: {tool_limits: {Bash: 1}, banned_tools: [curl]}\n",
        "disabled: [tool_count, banned_tools]",
    )
    assert values(case) == {"banned_tools": ["curl"]}
    assert any("ban_exceptions" in notice for notice in case.notices)


def test_null_in_a_test_that_would_lift_a_ban_is_remarked_upon(tmp_path: Path) -> None:
    case = load(
        tmp_path,
        "skill: {name: x}\ntrace_expectations: {banned_tools: [curl]}\n",
        "banned_tools: null",
    )
    assert values(case) == {"banned_tools": ["curl"]}
    assert any("null lifts no ban" in notice for notice in case.notices)


def test_expecting_something_of_a_disabled_check_is_remarked_upon(tmp_path: Path) -> None:
    case = load(tmp_path, "skill: {name: x}\ndisabled: [tool_count]\n", "tool_limits: {Bash: 1}")
    (notice,) = case.notices
    assert notice.endswith(
        "ground_truth.yaml:4:7: tool_limits: not judged, the manifest disables it"
    )


def test_disabled_in_the_manifest_turns_off_a_check_everywhere(tmp_path: Path) -> None:
    case = load(
        tmp_path,
        "skill: {name: x}\nscorers:\n  disabled: [banned_tools]\n"
        "  trace_expectations: {banned_tools: [curl], tool_limits: {Bash: 1}}\n",
        "banned_tools: [wget]",
    )
    assert values(case) == {"tool_count": {"Bash": 1}}


def test_ban_exceptions_name_the_ban_they_lift(tmp_path: Path) -> None:
    case = load(
        tmp_path,
        "skill: {name: x}\ntrace_expectations: {banned_tools: [curl, wget]}\n",
        "ban_exceptions: [curl]",
    )
    (found,) = case.expectations
    assert found.parameters.lifted == ("curl",)
    assert [ban.text for ban in found.parameters.tools] == ["wget"]


def test_trace_keys_stand_directly_or_nested_with_the_same_meaning(tmp_path: Path) -> None:
    manifest = "skill: {name: x}\n"
    direct = load(tmp_path, manifest, "tool_limits: {Bash: 1}")
    nested = load(tmp_path, manifest, "trace_expectations: {tool_limits: {Bash: 1}}")
    assert direct.expectations == nested.expectations
    assert values(direct) == {"tool_count": {"Bash": 1}}


def test_session_expectations_are_kept_apart(tmp_path: Path) -> None:
    case = load(
        tmp_path,
        "skill: {name: x}\nsession_expectations: {tool_limits: {Bash: 9}}\n",
        "tool_limits: {Bash: 1}\nsession_expectations: {required_tools: [Read]}",
    )
    assert values(case) == {"tool_count": {"Bash": 1}}
    assert {item.spec.name: item.value for item in case.session_expectations} == {
        "tool_count": {"Bash": 9},
        "required_tools": ["Read"],
    }


def test_empty_expectations_expect_nothing(tmp_path: Path) -> None:
    case = load(
        tmp_path,
        "skill: {name: x}\ntrace_expectations: {banned_tools: [], required_tools: []}\n",
        "expected_files: []\nexpected_facts: []",
    )
    assert case.expectations == ()


def test_the_default_scope_applies_where_a_check_has_none_of_its_own() -> None:
    found = parse_expectations(
        {
            "scope": "main",
            "required_tools": ["Read"],
            "tool_limits": {"limits": {"Bash": 1}, "scope": "subagents"},
        }
    )
    assert {item.spec.name: item.scope for item in found} == {
        "required_tools": "main",
        "tool_count": "subagents",
    }


_LAYER = st.fixed_dictionaries(
    {},
    optional={
        "banned_tools": st.one_of(
            st.none(),
            st.lists(st.sampled_from(["curl", "wget", "rm -rf", "Bash(git push:*)"]), unique=True),
        ),
        "tool_limits": st.one_of(
            st.none(), st.dictionaries(st.sampled_from(["Bash", "Read"]), st.integers(0, 9))
        ),
        "required_tools": st.one_of(st.none(), st.lists(st.just("Read"), max_size=1)),
        "scope": st.sampled_from(["all", "main", "subagents"]),
    },
)


@given(base=_LAYER, override=_LAYER)
def test_no_override_loses_a_ban(base: dict[str, Any], override: dict[str, Any]) -> None:
    banned = set(base.get("banned_tools") or ()) | set(override.get("banned_tools") or ())
    merged = merge_expectations(base, override)
    found = [item for item in parse_expectations(merged) if item.spec.name == "banned_tools"]
    texts = {ban.text for item in found for ban in item.parameters.tools}
    assert texts == banned
    if base.get("banned_tools"):
        assert found[0].scope in ("all", base.get("scope", "all"))


@given(layer=_LAYER)
def test_overriding_by_nothing_changes_nothing(layer: dict[str, Any]) -> None:
    present = {key: value for key, value in layer.items() if value is not None}
    assert merge_expectations(present, {}) == present
    assert parse_expectations(merge_expectations({}, present)) == parse_expectations(present)


def test_a_manifest_without_a_file_is_an_empty_base() -> None:
    assert Manifest(name="x").trace_expectations == {}


@pytest.mark.parametrize(
    ("key", "part"),
    [("subagents", "banned"), ("file_scope", "forbidden"), ("permissions", "deny")],
)
@pytest.mark.parametrize("empty", [None, [], {}])
def test_nothing_in_place_of_such_a_check_lifts_none(key: str, part: str, empty: Any) -> None:
    merged = merge_expectations({key: {part: ["A"]}}, {key: empty})
    (found,) = parse_expectations(merged)
    assert found.value == {part: ["A"]}


@pytest.mark.parametrize(
    ("key", "part"),
    [("subagents", "banned"), ("file_scope", "forbidden"), ("permissions", "deny")],
)
@pytest.mark.parametrize(
    "override",
    ["{{{key}: {{{part}: [B]}}}}", "{{{key}: {{{part}: []}}}}", "{{{key}: null}}", "{{}}"],
)
def test_a_test_adds_to_the_bans_inside_a_check_and_lifts_none(
    tmp_path: Path, key: str, part: str, override: str
) -> None:
    (tmp_path / "manifest.yaml").write_text(
        f"skill_name: x\ntrace_expectations: {{{key}: {{{part}: [A]}}}}\n", encoding="utf-8"
    )
    text = override.format(key=key, part=part)
    (tmp_path / "ground_truth.yaml").write_text(
        f"test_cases: [{{id: a, expectations: {text}}}]\n", encoding="utf-8"
    )
    (case,) = load_ground_truth(load_manifest(tmp_path))
    (found,) = case.expectations
    assert found.value == {part: ["A", "B"] if "B" in text else ["A"]}


@pytest.mark.parametrize(
    ("key", "part"),
    [("subagents", "banned"), ("file_scope", "forbidden"), ("permissions", "deny")],
)
def test_an_empty_list_of_bans_on_nothing_expects_nothing(
    tmp_path: Path, key: str, part: str
) -> None:
    case = load(tmp_path, "skill: {name: x}\n", f"{key}: {{{part}: []}}")
    assert values(case) == {}


def test_disabling_such_a_check_in_a_test_leaves_its_bans(tmp_path: Path) -> None:
    case = load(
        tmp_path,
        "skill: {name: x}\n"
        "trace_expectations: {file_scope: {allowed: ['src/**'], forbidden: [.env]}}\n",
        "disabled: [file_scope]",
    )
    assert values(case) == {"file_scope": {"forbidden": [".env"]}}


def test_every_check_with_bans_can_say_whose_calls_it_means() -> None:
    from skilltrace_mlflow.checks import all_checks

    for spec in all_checks().values():
        if "" in spec.additive:
            assert spec.main, f"{spec.name}: a list of bans needs a long form to keep its scope"
