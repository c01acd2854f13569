"""How often skills were offered and loaded in recorded sessions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.attempts import wilson_interval
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.matching.skills import WAYS, Way, is_skill, loads_of
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.offered import offered_skills
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

__all__ = ["SkillTriggers", "Triggers", "count_triggers"]


@dataclass(frozen=True, kw_only=True)
class SkillTriggers:
    """One skill over all sessions; everything counts sessions.

    `loaded` and `by` are of the sessions that are known to have offered it, so that `loaded` of
    `offered` is a rate; a session may load a skill in several ways. `loaded_otherwise` were loaded
    where the listing is not known or does not name the skill; `not_known` are sessions of which
    nobody can say what they offered.
    """

    skill: str
    offered: int = 0
    loaded: int = 0
    by: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    loaded_otherwise: int = 0
    not_known: int = 0

    @property
    def rate(self) -> float | None:
        """Share of the sessions that offered it in which it was loaded; None without any."""
        return self.loaded / self.offered if self.offered else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the rate at 95 %."""
        return wilson_interval(self.loaded, self.offered)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        low, high = self.interval
        return {
            "skill": self.skill,
            "offered": self.offered,
            "loaded": self.loaded,
            "by": dict(self.by),
            "rate": self.rate,
            "low": low,
            "high": high,
            "loaded_otherwise": self.loaded_otherwise,
            "not_known": self.not_known,
        }


@dataclass(frozen=True, kw_only=True)
class Triggers:
    """All skills, the most often loaded first, and the files that could not be read."""

    skills: tuple[SkillTriggers, ...]
    sessions: int
    not_known: int
    failed: dict[str, str] = field(default_factory=dict)


def count_triggers(
    paths: Iterable[str | os.PathLike[str]], *, only: Iterable[str] = ()
) -> Triggers:
    """Count over transcripts, and over all sessions below folders; `only` these skills.

    Raises InputError for a path that does not exist, and where no file can be read.
    """
    wanted = tuple(only)
    counts: dict[str, SkillTriggers] = {}
    sessions = not_known = 0
    failed: dict[str, str] = {}
    for path in _files(paths):
        try:
            session, offered = parse_transcript(path), offered_skills(path)
        except InputError as error:
            failed[str(path)] = str(error)
            continue
        sessions += 1
        not_known += offered is None
        loads: dict[str, set[Way]] = {}
        for name, way in loads_of(session):
            loads.setdefault(_listed(name, offered), set()).add(way)
        for name in {*(offered or ()), *loads}:
            old = counts.get(name) or SkillTriggers(skill=name)
            counts[name] = _added(old, loads.get(name), offered is not None and name in offered)
    if failed and not sessions:
        raise InputError(next(iter(failed.values())))
    shown = [
        _with_not_known(item, not_known)
        for item in counts.values()
        if not wanted or any(is_skill(name, item.skill) for name in wanted)
    ]
    missing = [n for n in wanted if not any(is_skill(n, item.skill) for item in shown)]
    shown += [SkillTriggers(skill=name, not_known=not_known) for name in missing]
    shown.sort(key=lambda item: (-item.loaded, -item.loaded_otherwise, -item.offered, item.skill))
    return Triggers(skills=tuple(shown), sessions=sessions, not_known=not_known, failed=failed)


def _added(old: SkillTriggers, ways: set[Way] | None, offered: bool) -> SkillTriggers:
    by = dict(old.by)
    for way in ways or () if offered else ():
        by[way] += 1
    return SkillTriggers(
        skill=old.skill,
        offered=old.offered + offered,
        loaded=old.loaded + (offered and ways is not None),
        by=by,
        loaded_otherwise=old.loaded_otherwise + (not offered and ways is not None),
    )


def _with_not_known(item: SkillTriggers, count: int) -> SkillTriggers:
    return replace(item, not_known=count)


def _listed(name: str, offered: frozenset[str] | None) -> str:
    """The name in the listing that a loaded skill goes by: a plugin's stands there with its plugin
    in front, or the other way round.
    """
    if offered is None or name in offered:
        return name
    plain = name.rsplit(":", 1)[-1]
    like = [other for other in offered if other.rsplit(":", 1)[-1] == plain]
    return like[0] if len(like) == 1 else name


def _files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for item in paths:
        path = Path(item).expanduser()
        if path.is_dir():
            found += find_sessions(path)
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    if not found:
        raise InputError("there is no Claude Code session below this folder (*.jsonl)")
    return list(dict.fromkeys(found))
