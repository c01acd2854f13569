"""The skills of a scheduled run: those that can be read, why not the others, where each begins.

`PastRuns` is what earlier scheduled runs had got to, skill by skill.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.expectations import Manifest, TestCase, load_ground_truth, load_manifest
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import Evidence
from skilltrace_mlflow.sources.mlflow.names import said_skill

__all__ = ["JobSkill", "JobSkills", "PastRuns", "load_skills"]


@dataclass(frozen=True, kw_only=True)
class JobSkill:
    """A skill and its test cases by id."""

    manifest: Manifest
    cases: Mapping[str, TestCase] = field(default_factory=dict)

    def concerns(self, item: Evidence) -> bool:
        """Whether the agent worked with the skill: somebody said so by a tag, or it was loaded."""
        if item.tags.get("skilltrace.arm") == "without":
            return False  # the baseline that `run --baseline` made on purpose
        said = said_skill(item.tags)
        return said == self.manifest.name if said else _tried(item.session, self.manifest.name)

    def expects(self, test_id: str | None) -> bool:
        """Whether anything is expected of a trace, as that of a test or as one of nobody's."""
        if test_id is None:
            return bool(self.manifest.trace_expectations or self.manifest.session_expectations)
        case = self.cases[test_id]
        return any(item.asks for item in (*case.expectations, *case.session_expectations))


@dataclass(frozen=True, kw_only=True)
class JobSkills:
    """Skills by name, and the reason by folder for those that cannot be read."""

    readable: Mapping[str, JobSkill]
    broken: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Those of all, by which one scheduled run is told from another."""
        return sorted([*self.readable, *self.broken])


def load_skills(skills_dir: str, names: Sequence[str]) -> JobSkills:
    """The skills below a folder, all that have a manifest if none is named.

    Raises ConfigurationError where there is no such folder, nothing in it, or nothing that can be
    read: one that cannot must not keep the others from being judged.
    """
    folder = Path(skills_dir).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder of skills")
    wanted = names or sorted(path.parent.name for path in folder.glob("*/manifest.yaml"))
    if not wanted:
        raise ConfigurationError(f"{folder}: no skill with a manifest.yaml in it")
    readable: dict[str, JobSkill] = {}
    broken: dict[str, str] = {}
    for name in dict.fromkeys(wanted):
        skill = _load(name, folder)
        if isinstance(skill, str):
            broken[name] = skill
        else:
            readable[skill.manifest.name] = skill
    if not readable:
        raise ConfigurationError(*broken.values())
    return JobSkills(readable=readable, broken=broken)


def _load(name: str, folder: Path) -> JobSkill | str:
    try:
        manifest = load_manifest(name, skills_dir=folder)
        cases = {case.id: case for case in load_ground_truth(manifest)}
    except SkillTraceError as error:
        return str(error)
    return JobSkill(manifest=manifest, cases=cases)


def _tried(session: Session, skill: str) -> bool:
    return any(use.name.lstrip("/").rsplit(":", 1)[-1] == skill for use in session.skills)


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
