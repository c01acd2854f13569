"""A test case of another tool, and its document held to what is read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.expectations.documents import show
from skilltrace_mlflow.expectations.explain import find_problems

__all__ = ["Attempt", "ImportedCase", "require", "unique_ids"]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A run that the other tool made: its trace, or why there is none, and what the tool said."""

    attempt: int
    arm: str = "with"
    trace: Path | None = None
    error: str | None = None
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class ImportedCase:
    """A test case of another tool. `expectations` are keys of a test case; `left_out` says which
    of its graders no check means, and what else it says that a test case cannot.
    """

    id: str
    prompt: str | None
    expectations: Mapping[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    left_out: tuple[str, ...] = ()
    origin: str = ""

    def to_case(self) -> dict[str, Any]:
        """As it stands in a ground truth."""
        case: dict[str, Any] = {"id": self.id}
        if self.prompt:
            case["inputs"] = {"prompt": self.prompt}
        case["expectations"] = dict(self.expectations)
        case["metadata"] = {"imported_from": self.origin}
        return case


def require(document: Any, schema: Mapping[str, Any], where: Path) -> None:
    """Raise InputError, one line, unless the document has the shape that is read."""
    problem = next(iter(find_problems(document, schema)), None)
    if problem is not None:
        path, message, _ = problem
        place = f"{show(path)}: " if path else ""
        raise InputError(f"{where}: {place}{message}")


def unique_ids(ids: Sequence[str], where: Path) -> None:
    """Raise InputError where two cases have one id: one of them would be lost."""
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise InputError(f"{where}: two cases are called {name!r}")
        seen.add(name)
