"""Path patterns: names, components, absolute paths, Windows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.patterns.paths import PathPattern, RulePath, clean_path, match_parts
from tests.builders import make_session
from tests.checks.judging import bash, judge


@pytest.mark.parametrize(
    ("pattern", "path", "cwd", "expected"),
    [
        ("a.py", "/repo/data.py", "/repo", False),
        ("a.py", "/repo/deep/a.py", "/repo", True),
        ("*.sql", "/elsewhere/x.sql", "/repo", True),
        ("src/**/x.sql", "/repo/src/a/b/x.sql", "/repo", True),
        ("src/**/x.sql", "/repo/src/x.sql", "/repo", True),
        ("src/**/x.sql", "/repo/lib/src/x.sql", "/repo", False),
        ("src/*.sql", "/repo/src/a/x.sql", "/repo", False),
        ("src/**/bronze_*.py", "/repo/src/p/bronze_a.py", "/repo", True),
        ("src", "/repo/src/a.py", "/repo", False),
        ("src/", "/repo/src/a/b.py", "/repo", True),
        ("src/**", "/repo/src", "/repo", False),
        ("**/x.sql", "/repo/x.sql", "/repo", True),
        ("./a.py", "/repo/a.py", "/repo", True),
        ("./a.py", "/repo/b/a.py", "/repo", False),
        ("/repo/a.py", "/repo/a.py", None, True),
        ("/repo/*.py", "a.py", "/repo", True),
        ("src/a.py", "src/a.py", None, True),
        ("src/a.py", "/repo/src/a.py", None, None),
        ("src/a.py", "/repo/src/b.py", None, False),
        ("src/a.py", "/repo/x/../src/a.py", "/repo/", True),
        ("src/a.py", "C:\\Repo\\src\\a.py", "C:\\repo", True),
        ("SRC/*.SQL", "c:/repo/src/X.sql", "C:\\Repo", True),
        ("a.py", "C:\\Repo\\src\\A.py", None, True),
        ("C:\\Repo\\src\\*.py", "C:\\repo\\src\\a.py", None, True),
        ("[id].tsx", "/repo/[id].tsx", "/repo", True),
        ("file_?.py", "/repo/file_1.py", "/repo", True),
        ("../a.py", "/a.py", "/repo", True),
        ("../a.py", "/repo/a.py", "/repo", False),
        ("**/a.py", "/other/a.py", "/repo", True),
    ],
)
def test_patterns(pattern: str, path: str, cwd: str | None, expected: bool | None) -> None:
    assert PathPattern(pattern).matches(path, cwd) is expected


_PARTS = st.lists(st.sampled_from(["", ".", "**", "*", "a", "*.py", "[", ".env"]), max_size=4)
_STARTS = st.sampled_from(["", "/", "//", "./", "../", "~/", "~", "/repo/", "/home/ann/"])
_PATHS = st.builds(lambda start, parts: start + "/".join(parts), _STARTS, _PARTS).filter(bool)


@settings(deadline=None)
@given(_PATHS, _PATHS, st.sampled_from([None, "/repo", "/home/ann/shop"]), st.booleans())
def test_what_a_pattern_matches_it_may_meet(
    pattern: str, path: str, cwd: str | None, allowing: bool
) -> None:
    for rule in (RulePath(pattern, allowing=allowing), PathPattern(pattern)):
        met = rule.matches(path, cwd)
        if rule.may_meet(path, cwd, below=True) is False:
            assert not met


@pytest.mark.parametrize("line", ["rm ../sha*/a", "rm -rf ../*", "rm -rf .."])
def test_a_wide_target_beside_the_working_directory(line: str) -> None:
    session = make_session([bash(line)], cwd="/home/ann/shop")
    assert judge("file_scope", {"forbidden": ["../shared/**"]}, session).verdict == "unknown"


@pytest.mark.parametrize("rule", ["~/**", "~", "~/"])
def test_the_whole_home_folder(rule: str) -> None:
    session = make_session([bash("grep -r x ~/notes"), bash("rg x .")], cwd="/home/ann/shop")
    for text in (f"Read({rule})", f"Edit({rule})"):
        assert judge("permissions", {"deny": [text]}, session).verdict != "error"
        assert judge("banned_tools", [text], session).verdict != "error"
    assert judge("permissions", {"deny": [f"Read({rule})"]}, session).verdict == "fail"


def test_many_stars_do_not_take_long() -> None:
    assert not match_parts(("**",) * 50 + ("x",), ("a",) * 300)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a//b/./c/../d", "/a/b/d"),
        ("C:\\A\\b", "/c/a/b"),
        ("//a/b", "/a/b"),
        ("a\\b", "a/b"),
        ("", ""),
    ],
)
def test_clean_path(path: str, expected: str) -> None:
    assert clean_path(path) == expected


_PIECES = st.sampled_from(
    [
        "secrets",
        "Secrets",
        "src",
        "s",
        "*",
        "**",
        "*.env",
        ".env",
        "..",
        ".",
        "K",
        "caf\u00e9",
        "a-b",
    ]
)
_COMPONENTS = st.sampled_from(
    ["secrets", "SECRETS", "src", "s", ".env", "x.env", "..", ".", "\u212a", "cafe\u0301", "a-b"]
)


class TestQuickLook:
    """What is looked at before a path is compared piece by piece never changes the answer."""

    @settings(max_examples=400)
    @given(
        front=st.sampled_from(["", "./", "/", "//", "~/"]),
        pieces=st.lists(_PIECES, min_size=1, max_size=4),
        end=st.sampled_from(["", "/", "/**"]),
        base=st.sampled_from(["", "/repo/", "/repo/secrets/", "/home/dev/", "~/", "C:\\repo\\"]),
        parts=st.lists(_COMPONENTS, max_size=4),
        cwd=st.sampled_from([None, "/repo", "/repo/secrets", "/home/dev/src", "C:\\repo"]),
        allowing=st.booleans(),
    )
    def test_rules_answer_as_without_it(
        self,
        front: str,
        pieces: list[str],
        end: str,
        base: str,
        parts: list[str],
        cwd: str | None,
        allowing: bool,
    ) -> None:
        rule = RulePath(front + "/".join(pieces) + end, allowing=allowing)
        path = base + ("\\" if base.startswith("C:") else "/").join(parts)
        assert rule.matches(path, cwd) == super(RulePath, rule).matches(path, cwd)

    def test_it_looks_for_a_name_that_has_to_be_there(self) -> None:
        assert RulePath("./secrets/**").name == "secrets"
        assert RulePath("Src/deeper/*.py").name == "deeper"
        assert RulePath("../*").name == ""
        assert RulePath("/etc/**").name == "etc"
        assert RulePath("//etc/**").name == ""
