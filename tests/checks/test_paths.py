"""Path patterns: names, components, absolute paths, Windows; expected_files and file_scope."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.patterns.paths import PathPattern, RulePath, clean_path, match_parts
from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge, verdict


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


class TestExpectedFiles:
    def test_created_or_edited(self) -> None:
        fields = {"cwd": "/repo", "created": ["/repo/a.sql"], "edited": ["/repo/b.py"]}
        assert verdict("file_existence", ["a.sql", "b.py"], **fields) == "pass"

    def test_alternatives_in_braces(self) -> None:
        assert verdict("file_existence", ["*.{sql,py}"], created=["/repo/a.py"]) == "pass"
        assert verdict("file_existence", ["*.{sql,py}"], created=["/repo/a.md"]) == "fail"

    def test_reading_is_not_writing(self) -> None:
        assert verdict("file_existence", ["a.sql"], read=["/repo/a.sql"]) == "fail"

    def test_a_failed_write_is_none(self) -> None:
        call = make_call("Write", {"file_path": "/repo/a.sql"}, outcome="failed")
        assert verdict("file_existence", ["a.sql"], call) == "fail"

    def test_a_write_of_unknown_outcome_is_unknown(self) -> None:
        call = make_call("Write", {"file_path": "/repo/a.sql"}, outcome="unknown")
        assert verdict("file_existence", ["a.sql"], call) == "unknown"
        assert verdict("file_existence", ["b.sql"], call) == "fail"

    def test_share_and_threshold(self) -> None:
        session = make_session([], created=["/repo/a.sql"])
        assert judge("file_existence", ["a.sql", "b.sql"], session).score == 0.5
        value = {"files": ["a.sql", "b.sql"], "threshold": 0.5}
        assert judge("file_existence", value, session).verdict == "pass"

    def test_lost_files_leave_what_was_found(self) -> None:
        fields = {"created": ["/repo/a.sql"], "missing": {"files": "some inputs are not logged"}}
        assert verdict("file_existence", ["a.sql"], **fields) == "pass"
        outcome = judge("file_existence", ["b.sql"], make_session([], **fields))
        assert outcome.verdict == "unknown"
        assert "some inputs are not logged" in outcome.rationale


class TestFileScope:
    @pytest.mark.parametrize(
        ("value", "written", "expected"),
        [
            ({"allowed": ["src/**"]}, "/repo/src/a.py", "pass"),
            ({"allowed": ["src/**"]}, "/repo/a.py", "fail"),
            ({"allowed": ["src/**"]}, "/repo/src/../a.py", "fail"),
            ({"allowed": ["src/**", "*.md"]}, "/repo/docs/a.md", "pass"),
            ({"forbidden": [".env"]}, "/repo/deep/.env", "fail"),
            ({"forbidden": [".env"]}, "/repo/.env.example", "pass"),
            ({"forbidden": [".git"]}, "/repo/.git/hooks/x", "fail"),
            ({"forbidden": ["infra/**"]}, "/repo/infra/main.tf", "fail"),
            ({"forbidden": ["infra/**"]}, "/repo/x/infra/main.tf", "pass"),
            ({"forbidden": ["/etc"]}, "/etc/passwd", "fail"),
            ({"forbidden": ["~/.ssh"]}, "/home/ann/.ssh/config", "fail"),
            ({"allowed": ["src/**"], "forbidden": ["src/gen"]}, "/repo/src/gen/a", "fail"),
            # outside of the working directory
            ({"forbidden": [".env"]}, "/other/.env", "fail"),
            ({"forbidden": ["../other/**"]}, "/other/a", "fail"),
            ({"forbidden": ["*.{pem,key}"]}, "/repo/a.key", "fail"),
            ({"allowed": ["src/{a,b}/**"]}, "/repo/src/b/c", "pass"),
        ],
    )
    def test_written_files(self, value: dict, written: str, expected: str) -> None:
        assert verdict("file_scope", value, cwd="/repo", created=[written]) == expected

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("echo A=1 > .env", "fail"),
            ("echo A=1 >> deep/.env", "fail"),
            ("cat x | tee .env", "fail"),
            ("cp a .env", "fail"),
            ("mv .env b", "fail"),
            ("rm -f .env", "fail"),
            ("sed -i 's/a/b/' .env", "fail"),
            ("cd sub && touch .env", "fail"),
            ("bash -c 'echo x > .env'", "fail"),
            ("cat .env", "pass"),
            ("grep x .env > out.txt", "pass"),
            ("echo '> .env'", "pass"),
            ("ls > /dev/null 2>&1", "pass"),
            ('echo x > "$FILE"', "unknown"),
        ],
    )
    def test_shell_commands(self, command: str, expected: str) -> None:
        assert (
            verdict("file_scope", {"forbidden": [".env"]}, bash(command), cwd="/repo") == expected
        )

    @pytest.mark.parametrize(
        ("value", "command", "expected"),
        [
            ({"forbidden": ["secrets/**"]}, "cp a secrets/", "fail"),
            ({"forbidden": ["secrets/**"]}, "cp -t secrets a b", "fail"),
            ({"forbidden": ["secrets/**"]}, "rm -rf secrets", "fail"),
            ({"forbidden": ["secrets/**"]}, "mv a secrets", "unknown"),
            ({"forbidden": ["secrets/**"]}, "mv secrets old", "unknown"),
            ({"forbidden": ["secrets/**"]}, "cp a b", "pass"),
            ({"forbidden": ["*.pem"]}, "cp a.pem b/", "fail"),
            ({"allowed": ["src/**"]}, "cp a src/", "pass"),
            ({"allowed": ["src/**"]}, "cp a b src", "pass"),
            ({"allowed": ["src/**"]}, "cp a src", "unknown"),
            ({"allowed": ["src/**"]}, "cp a dst", "fail"),
            ({"allowed": ["src/**"]}, "cp a .", "fail"),
            ({"allowed": ["src/**"]}, "mv a src/b", "fail"),
            ({"allowed": ["Makefile"]}, "cp Makefile.in Makefile", "pass"),
        ],
    )
    def test_folders_as_targets(self, value: dict, command: str, expected: str) -> None:
        assert verdict("file_scope", value, bash(command), cwd="/repo") == expected

    @pytest.mark.parametrize("name", ["PowerShell", "mcp__shell__exec"])
    def test_other_shells(self, name: str) -> None:
        value = {"forbidden": [".env"]}
        call = make_call(name, {"command": "echo A=1 > .env"})
        assert verdict("file_scope", value, call, cwd="/repo") == "fail"
        cut = make_call(name, {"command": "ls && "}, input_truncated=True)
        assert verdict("file_scope", value, cut, cwd="/repo") == "unknown"

    def test_calls_that_did_not_get_that_far(self) -> None:
        value = {"forbidden": [".env"]}
        assert (
            verdict("file_scope", value, bash("rm .env", outcome="denied"), cwd="/repo") == "pass"
        )
        assert (
            verdict("file_scope", value, bash("rm .env", outcome="failed"), cwd="/repo")
            == "unknown"
        )

    def test_a_shell_that_has_moved(self) -> None:
        calls = [bash("cd src"), bash("touch a.py")]
        assert verdict("file_scope", {"allowed": ["src/**"]}, *calls, cwd="/repo") == "unknown"

    def test_without_a_working_directory(self) -> None:
        assert verdict("file_scope", {"allowed": ["src/**"]}, created=["/repo/src/a"]) == "unknown"
        assert verdict("file_scope", {"allowed": ["src/**"]}, created=["/repo/lib/a"]) == "fail"

    def test_a_write_of_unknown_outcome(self) -> None:
        call = make_call("Write", {"file_path": "/repo/.env"}, outcome="unknown")
        assert verdict("file_scope", {"forbidden": [".env"]}, call, cwd="/repo") == "unknown"
        assert verdict("file_scope", {"forbidden": [".npmrc"]}, call, cwd="/repo") == "pass"


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
