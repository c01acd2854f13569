"""Expectations that stand where nobody reads them: misspelt ones, and those below a key of others.

Both files leave room for other tools' keys. What would decide a verdict and is left out silently
passes for ever, so that a key which must be one of ours is refused wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from skilltrace_mlflow.expectations._schema import trace_keys
from skilltrace_mlflow.expectations.documents import KeyPath
from skilltrace_mlflow.expectations.names import SYNONYMS, misspelt
from skilltrace_mlflow.expectations.responses import response_keys

__all__ = ["astray"]

# Words for the same that other tools have for other things as well.
_COMMON = frozenset({"allowed_tools", "facts", "max_tokens", "max_turns", "patterns", "trajectory"})


def astray(key: str, value: Any, path: KeyPath, where: str) -> Iterator[tuple[KeyPath, str]]:
    """Path and message of each expectation in a key that is not read: the key itself, where it must
    be meant for one, or what stands below it. `where` says where expectations belong."""
    meant = _meant(key)
    if meant is not None:
        yield path, f"unknown key {key!r}; did you mean {meant!r}, which belongs {where}?"
        return
    for place, name in _below(value, path):
        yield place, f"{name!r} is not read below {key!r}; it belongs {where}"


def _meant(name: str) -> str | None:
    """The key of an expectation that `name` must be meant for, None if it may be anybody's."""
    folded = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    for form in (folded, f"{folded}s", folded.removesuffix("s")):
        if _is_ours(form):
            return form
    if folded not in _COMMON and folded in SYNONYMS:
        return SYNONYMS[folded]
    return misspelt(folded, filter(_is_ours, (*trace_keys(), *response_keys())))


def _below(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """The keys of expectations below a value, wherever they stand."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str) and _is_ours(key):
                yield (*path, key), key
            else:
                yield from _below(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _below(inner, (*path, index))


def _is_ours(key: str) -> bool:
    """Whether a key is an expectation's, and no word (`duration`) that others use too."""
    return "_" in key and (key in trace_keys() or key in response_keys())
