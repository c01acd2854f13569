"""The skills of a scheduled run: those that can be read, and why the others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.expectations import Manifest, TestCase, load_ground_truth, load_manifest
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import Evidence
from skilltrace_mlflow.sources.mlflow.tags import said_skill

__all__ = ["JobSkill", "JobSkills", "load_skills"]


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
