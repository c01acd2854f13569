"""Users' regular expressions on a response, bounded in time.

`patterns/regex.py` says why a pattern needs a deadline; here matches are counted, and case never
matters, since prose begins sentences with capitals.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

__all__ = ["count_matches"]

_SECONDS = 2.0


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> tuple[Any, bool]:
    plain = re.compile(pattern, re.IGNORECASE)
    try:
        import regex
    except ImportError:
        return plain, False
    return regex.compile(pattern, regex.IGNORECASE), True


def count_matches(pattern: str, text: str) -> int:
    """How often the pattern matches, without overlaps; TimeoutError after two seconds."""
    compiled, bounded = _compiled(pattern)
    if not bounded:
        return sum(1 for _ in compiled.finditer(text))
    try:
        return sum(1 for _ in compiled.finditer(text, timeout=_SECONDS))
    except TimeoutError:
        raise TimeoutError(
            f"the pattern {pattern!r} was still searching after {_SECONDS:g} s; write it without "
            "nested repetitions"
        ) from None
