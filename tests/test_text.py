"""Text made safe to show and short enough to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.text import clipped, cut, plain


@given(st.text(), st.integers(1, 80))
def test_a_cut_text_is_one_line_and_fits(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short) <= limit
    assert len(short.splitlines()) <= 1
    whole = " ".join(text.split())
    assert short == whole or (short.endswith("…") and whole.startswith(short[:-1]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("left\u202eright", "left\\u202eright"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("half \ud83d pair", "half \\ud83d pair"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_what_is_clipped_says_how_much_is_gone() -> None:
    assert clipped("x" * 1_500, 1_000) == "x" * 1_000 + "… (500 more characters)"
