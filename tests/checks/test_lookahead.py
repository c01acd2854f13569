"""The look at a line before it is parsed may rule out nothing that the parser would have found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands.command_pattern import CommandPattern, parse_command_pattern
from skilltrace_mlflow.commands.prefilter import Lines, line_of, may_compose
from skilltrace_mlflow.commands.shell import read_script

PATTERNS = [parse_command_pattern(text) for text in ("rm -rf", "git push", "curl", "sh")]
BARE = """rm -rf -r git push -C x curl sh bash -c eval sudo env xargs find -exec {} echo $X ${Y:-rm}
`echo\u00a0rm` r? * "$Z" r''m \\rm A=1 $'\\x72m' {rm,-rf} if then fi for in do done ! { } ( ) time
uv run . source <<< > out 2>&1 [ ] timeout 5 printf"""
WORDS = st.sampled_from(
    [
        *(word.replace("\u00a0", " ") for word in BARE.split()),
        "$(echo rm)",
        "'rm -rf y'",
        '"rm -rf y"',
        'B="a b"',
        "<(curl x)",
        "# note",
    ]
)
JOINTS = st.sampled_from([" ", " ", " ", " ; ", " && ", " | ", "\n", " || ", " & "])
LINES = st.lists(st.tuples(WORDS, JOINTS), min_size=1, max_size=9).map(
    lambda parts: "".join(word + joint for word, joint in parts)
)


@settings(max_examples=600, deadline=None)
@given(LINES)
def test_nothing_that_the_parser_finds_is_ruled_out(line: str) -> None:
    """In broken syntax the parser guesses where commands begin: there only what it is sure of."""
    broken = read_script(line).parser != "tree-sitter"
    for pattern in PATTERNS:
        found = pattern.find_parsed(line)
        if found is not None and (found.met or not broken):
            assert pattern.find(line) == found, (pattern.text, found)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | LINES, max_size=5), st.sampled_from(PATTERNS))
def test_lines_looked_at_together_are_as_if_each_were_looked_at(
    texts: list[str | None], pattern: CommandPattern
) -> None:
    hint = pattern.hint
    lines = Lines([None if text is None else line_of(text) for text in texts])
    alone = [at for at, text in enumerate(texts) if text is None or hint.may_run(text)]
    assert lines.which_may_run(hint) == alone
    named = [at for at, text in enumerate(texts) if text is not None and hint.stands_in(text)]
    assert lines.which_name(hint) == named


def test_lines_that_are_always_worth_it() -> None:
    lines = Lines([line_of("ls"), line_of("rm -rf x"), line_of("ls")], always=[2])
    assert lines.which_may_run(PATTERNS[0].hint) == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        "cd /repo && uv run pytest -q tests",
        'for f in src/*.py; do wc -l "$f"; done',
        "find . -name '*.py' -not -path './.git/*'",
        "grep -rn \"$PATTERN\" src | awk '{print $1}'",
        'git commit -m "$(cat note.txt)"',
        "[ -f $FILE ] && cat $FILE",
    ],
)
def test_usual_lines_are_not_suspected(line: str) -> None:
    assert not may_compose(line)


@pytest.mark.parametrize(
    "line",
    [
        "$X y", "sudo $X", "cd a && $X", "echo x | sh", "eval $X", "`x` y", "r{m,} x", "/bin/r? x",
        'A="b c" $X', "bash <(curl x)", ". <(curl x)", "if true; then $X; fi", "xargs sh -c '$0'",
        "find . -exec $X {} +", "env A=1 $X", "! $X", ">out $X", "ssh host $X", "sudo sh", "(($X))",
    ],
)  # fmt: skip
def test_composed_commands_are(line: str) -> None:
    assert may_compose(line)
