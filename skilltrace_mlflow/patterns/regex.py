"""Texts against patterns: users' regular expressions, bounded in time, globs and wildcards.

Python's `re` can neither be interrupted from a worker thread nor given a deadline, so one pattern
such as `(.*)*=` against a long command would hang a whole evaluation. The `regex` package reads the
same syntax and takes a timeout. Where it is not installed (a scorer that travels alone), patterns
that cannot run away are matched with `re` and the others are refused: the check then says `error`,
which is never a pass.

In responses matches are counted, and case never matters, since prose begins sentences with
capitals.
"""

from __future__ import annotations

import importlib
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.errors import ParameterError

__all__ = ["RegexTimeoutError", "check_regex", "count_matches", "glob_match", "search", "wildcard"]

_SECONDS = 1.0
# Letters, digits and signs that mean themselves: no search is needed for what is a text.
_LITERAL = re.compile(r"[\w /:,;=<>\"'%@!-]*")
_COUNTING_SECONDS = 2.0
_RISKY = re.compile(r"[*+?}]\??\)?[*+{]|[*+}].*[*+{]|\\[1-9]|\(\?")


class RegexTimeoutError(RuntimeError):
    """A pattern that was still searching when its time was over."""


def check_regex(pattern: str, path: tuple[str | int, ...]) -> None:
    """Raise ParameterError if `pattern` is not a regular expression."""
    try:
        _compile(pattern)
    except re.error as error:
        raise ParameterError(f"bad regular expression {pattern!r}: {error}", path=path) from None
    except Exception as error:
        # regex.error is no subclass of re.error; whatever refuses to compile is the user's to fix
        raise ParameterError(f"bad regular expression {pattern!r}: {error}", path=path) from error


def search(pattern: str, text: str) -> bool:
    """Whether `pattern` occurs in `text`; raises RegexTimeoutError after a second."""
    compiled, bounded = _compile(pattern)
    if compiled is None:
        return pattern in text
    if not bounded:
        if _RISKY.search(pattern) and len(text) > 200:
            raise RegexTimeoutError(
                f"the pattern {pattern!r} could run for hours; install the package regex, which "
                "can be stopped"
            )
        return compiled.search(text) is not None
    try:
        return compiled.search(text, timeout=_SECONDS) is not None
    except TimeoutError:
        raise RegexTimeoutError(
            f"the pattern {pattern!r} was still searching after {_SECONDS:g} s in a text of "
            f"{len(text)} characters; write it without nested repetitions"
        ) from None


@lru_cache(maxsize=512)
def _compile(pattern: str) -> tuple[Any, bool]:
    if _LITERAL.fullmatch(pattern):
        return None, True
    re.compile(pattern)  # what people know; the syntax that `regex` adds is not ours to promise
    try:
        bounded = importlib.import_module("regex")
    except ImportError:
        return re.compile(pattern), False
    return bounded.compile(pattern), True


def glob_match(pattern: str, text: str) -> bool:
    """Whether all of `text` is matched by the shell pattern, case included."""
    return fnmatchcase(text, pattern)


@lru_cache(maxsize=512)
def _caseless(pattern: str) -> tuple[Any, bool]:
    plain = re.compile(pattern, re.IGNORECASE)
    try:
        import regex
    except ImportError:
        return plain, False
    return regex.compile(pattern, regex.IGNORECASE), True


def count_matches(pattern: str, text: str) -> int:
    """How often the pattern matches, without overlaps; TimeoutError after two seconds."""
    compiled, bounded = _caseless(pattern)
    if not bounded:
        return sum(1 for _ in compiled.finditer(text))
    try:
        return sum(1 for _ in compiled.finditer(text, timeout=_COUNTING_SECONDS))
    except TimeoutError:
        raise TimeoutError(
            f"the pattern {pattern!r} was still searching after {_COUNTING_SECONDS:g} s; write it "
            "without nested repetitions"
        ) from None


def wildcard(pattern: str, text: str) -> bool:
    """Whether all of `text` is matched, `*` for any text and `\\*` for a star; linear in effect."""
    pieces = [piece.replace("\0", "*") for piece in pattern.replace("\\*", "\0").split("*")]
    if len(pieces) == 1:
        return text == pieces[0]
    if not text.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(pieces[-1]) and text.endswith(pieces[-1])
