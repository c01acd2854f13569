"""Users' regular expressions, bounded in time, and globs.

Python's `re` can neither be interrupted from a worker thread nor given a deadline, so one pattern
such as `(.*)*=` against a long command would hang a whole evaluation. The `regex` package reads the
same syntax and takes a timeout. Where it is not installed (a scorer that travels alone), patterns
that cannot run away are matched with `re` and the others are refused: the check then says `error`,
which is never a pass.
"""

from __future__ import annotations

import importlib
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.errors import ParameterError

__all__ = ["RegexTimeoutError", "check_regex", "glob_match", "search"]

_SECONDS = 1.0
# Letters, digits and signs that mean themselves: no search is needed for what is a text.
_LITERAL = re.compile(r"[\w /:,;=<>\"'%@!-]*")
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
