"""Lifting bans by name: bans only ever add up, so an exception has to name the one it lifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skilltrace_mlflow.checks._schema import TEXTS

__all__ = ["BAN_EXCEPTIONS", "lift"]

BAN_EXCEPTIONS: Mapping[str, Any] = TEXTS


def lift(bans: Sequence[str], exceptions: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The bans that stay and those that an exception names, blanks aside."""
    named = {" ".join(text.split()) for text in exceptions}
    kept = tuple(text for text in bans if " ".join(text.split()) not in named)
    return kept, tuple(text for text in bans if " ".join(text.split()) in named)
