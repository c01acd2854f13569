"""What earlier scheduled runs had got to, skill by skill: where the next one has to begin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

__all__ = ["PastRuns"]


@dataclass(frozen=True, kw_only=True)
class PastRuns:
    """The watermark of each skill of an experiment, and the skills that the newest run knew.

    Each skill has its own: one that is added, deleted or renamed must not make the others begin
    anew, which would leave out what lies between.
    """

    marks: Mapping[str, datetime]
    newest: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], experiment: str) -> PastRuns:
        """From the rows of the table of runs. Of a skill's runs the newest counts, not the highest
        mark: one may have been set back.
        """
        marks: dict[str, datetime] = {}
        newest: tuple[str, ...] = ()
        for row in sorted(rows, key=lambda row: _utc(row["finished_at"])):
            of, names = json.loads(row["scope"])
            if of == experiment:
                newest = tuple(names)
                marks |= dict.fromkeys(names, _utc(row["watermark"]))
        return cls(marks=marks, newest=newest)

    def watermark(self, skills: Iterable[str]) -> datetime | None:
        """Up to where all of these skills have been judged that were judged at all."""
        return min((self.marks[name] for name in skills if name in self.marks), default=None)

    def start(self, skills: Sequence[str], *, first: datetime, overlap: timedelta) -> datetime:
        """Where a run of these skills begins: less the overlap before the mark of each, and at
        `first` for one that no run has judged.
        """
        return min(self.marks[name] - overlap if name in self.marks else first for name in skills)

    def gone(self, skills: Iterable[str]) -> tuple[str, ...]:
        """The skills that the newest run knew and that are none of these."""
        left = set(skills)
        return tuple(name for name in self.newest if name not in left)


def _utc(moment: datetime) -> datetime:
    """Spark hands out times without a zone, those of this machine."""
    return moment.astimezone(timezone.utc)
