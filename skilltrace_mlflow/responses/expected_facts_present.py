"""The response must contain some texts and must not contain others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks import Example, Outcome, Verdict
from skilltrace_mlflow.responses._base import Response, response_check, texts

__all__ = ["expected_facts_present"]

# Marks of Markdown around a text: **bold**, *slanted*, `code`; bounded, since a text of lone stars
# would be searched to its end for each.
_MARKS = re.compile(
    r"(?<![\w*])(\*{1,3})(?=\S)(.{1,200}?)(?<=\S)\1(?![\w*])|(`+)(.{1,200}?)\3", re.DOTALL
)
_BOLD = re.compile(r"(?<![\\*])\*{2,3}(?=[^\W\d])|(?<=[^\W\d])\*{2,3}(?!\*)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")

Facts = tuple[tuple[str, ...], tuple[str, ...]]


def _parse(expectations: Mapping[str, Any]) -> Facts | None:
    wanted = tuple(expectations.get("expected_facts") or ())
    unwanted = tuple(expectations.get("unexpected_facts") or ())
    return (wanted, unwanted) if wanted or unwanted else None


@response_check(
    name="expected_facts_present",
    parse=_parse,
    keys={
        "expected_facts": texts("Texts that the response contains."),
        "unexpected_facts": texts("Texts that the response must not contain."),
    },
    examples=(
        Example(
            value={"expected_facts": ["MERGE INTO"], "unexpected_facts": ["overwrite"]},
            response="Use **merge into** on the key.",
            verdict=Verdict.PASS,
            why="the text is there, in whatever case and markup; the other is not",
        ),
        Example(
            value={"expected_facts": ["MERGE INTO"]},
            response="Write with mode append.",
            verdict=Verdict.FAIL,
            why="the text is missing",
        ),
    ),
)
def expected_facts_present(response: Response, parameters: Facts) -> Outcome:
    """Every text of `expected_facts` occurs in the response, none of `unexpected_facts` does.

    Case, the kind of white space, invisible characters and Markdown's marks for bold, slanted and
    code do not matter; the words must be there as written.
    """
    text = response.text or ""
    bare = _MARKS.sub(r"\2\4", _MARKS.sub(r"\2\4", text))  # twice: **`x`**
    forms = (_fold(text), _fold(bare))
    # What readers see where a word is bold in part (**over**write) or a sign is escaped (a\\_b).
    shown = (*forms, _fold(_ESCAPED.sub(r"\1", _BOLD.sub("", text))))

    def occurs(fact: str) -> bool:
        return any(_fold(fact) in form for form in forms)

    def is_shown(fact: str) -> bool:
        return any(_fold(fact) in form for form in shown)

    wanted, unwanted = parameters
    hits = [fact for fact in wanted if occurs(fact)]
    misses = [f"missing: {fact}" for fact in wanted if not occurs(fact)]
    misses += [f"must not occur: {fact}" for fact in unwanted if is_shown(fact)]
    hits += [f"absent: {fact}" for fact in unwanted if not is_shown(fact)]
    return Outcome.of(
        not misses,
        hits=tuple(hits),
        misses=tuple(misses),
        rationale="; ".join(misses) or f"{len(hits)} fact(s) as expected",
    )


def _fold(text: str) -> str:
    """One spelling of all that look alike: composed, without invisible characters, in one case."""
    seen = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return " ".join(unicodedata.normalize("NFC", seen.casefold()).split())
