"""The sessions of two directories as records of the same tests, so that they can be compared.

Sessions have no verdicts: what is compared is their figures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skilltrace_mlflow.comparison.records import ResultRecord
from skilltrace_mlflow.errors import InputError, SkillTraceError
from skilltrace_mlflow.figures import Figures, figures
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.text import one_line

__all__ = ["PairedSessions", "pair_directories"]

_DUMPED = re.compile(r"(?P<test>.+)__\d+")
_LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class PairedSessions:
    """Both sides' sessions: those that are the same test share a `test_id`.

    `paired_by` counts these tests by what they share: test, prompt or name. `failed` are the files
    that could not be read, each with its reason.
    """

    before: tuple[ResultRecord, ...]
    after: tuple[ResultRecord, ...]
    paired_by: Mapping[str, int]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Session:
    """A session's file below its directory, without its ending, and what it may be paired by."""

    name: str
    test: str | None
    prompt: str | None
    figures: Figures

    @property
    def prompt_and_name(self) -> tuple[str, str] | None:
        """The same prompt under the same name: of several sessions of a prompt, the same one."""
        return None if self.prompt is None else (self.prompt, self.name)


_KEYS: Sequence[tuple[str, Callable[[_Session], object]]] = (
    ("test", lambda session: session.test),
    ("prompt", lambda session: session.prompt_and_name),
    ("prompt", lambda session: session.prompt),
    ("name", lambda session: session.name),
)
"""What two sessions are paired by, the surest first."""


def pair_directories(before: Path, after: Path) -> PairedSessions:
    """The sessions below two directories, paired by the test that a dumped trace's file is named
    after, else by their first prompt, else by the file's name; several of one prompt are attempts.

    Raises InputError for a directory without a session.
    """
    failed: list[str] = []
    sides = (_sessions(before, failed), _sessions(after, failed))
    labels: tuple[dict[int, str], dict[int, str]] = ({}, {})
    paired_by: Counter[str] = Counter()
    taken: set[str] = set()
    for kind, key in _KEYS:
        groups = [_grouped(side, known, key) for side, known in zip(sides, labels, strict=True)]
        for shared in groups[0]:
            if shared not in groups[1]:
                continue
            first = sides[0][groups[0][shared][0]]
            label = _free(_label(kind, first), taken)
            paired_by[kind] += 1
            for known, group in zip(labels, groups, strict=True):
                known.update(dict.fromkeys(group[shared], label))
    for side, known in zip(sides, labels, strict=True):
        for index, session in enumerate(side):
            if index not in known:
                known[index] = _free(session.test or session.name, taken)
    records = [_records(side, known) for side, known in zip(sides, labels, strict=True)]
    return PairedSessions(
        before=records[0], after=records[1], paired_by=dict(paired_by), failed=tuple(failed)
    )


def _sessions(directory: Path, failed: list[str]) -> list[_Session]:
    root = directory.expanduser()
    dumped = [path for path in root.rglob("*.json") if _DUMPED.fullmatch(path.stem)]
    found = []
    for path in sorted([*find_sessions(root), *dumped]):
        try:
            session = load_file(path).session
        except SkillTraceError as error:
            failed.append(str(error))
            continue
        name = path.relative_to(root).as_posix().removesuffix(".gz").rpartition(".")[0]
        test = _DUMPED.fullmatch(path.stem) if path.suffix == ".json" else None
        prompt = " ".join(next(iter(session.prompts), "").split())
        found.append(
            _Session(
                name=name,
                test=test["test"] if test else None,
                prompt=prompt or None,
                figures=figures(session),
            )
        )
    if not found:
        why = f": {failed[-1]}" if failed else ""
        raise InputError(f"{directory}: no session in this directory can be read{why}")
    return found


def _grouped(
    side: Sequence[_Session], known: Mapping[int, str], key: Callable[[_Session], object]
) -> dict[object, list[int]]:
    groups: dict[object, list[int]] = {}
    for index, session in enumerate(side):
        value = key(session)
        if index not in known and value is not None:
            groups.setdefault(value, []).append(index)
    return groups


def _label(kind: str, session: _Session) -> str:
    if kind == "test" and session.test is not None:
        return session.test
    if kind == "prompt" and session.prompt is not None:
        return one_line(session.prompt, _LONGEST_NAME)
    return session.name


def _free(label: str, taken: set[str]) -> str:
    """A label that no other test has."""
    name, number = label, 1
    while name in taken:
        number += 1
        name = f"{label} ({number})"
    taken.add(name)
    return name


def _records(side: Sequence[_Session], labels: Mapping[int, str]) -> tuple[ResultRecord, ...]:
    attempts: Counter[str] = Counter()
    made = []
    for index, session in enumerate(side):
        attempts[labels[index]] += 1
        known = {name: value for name, value in session.figures.items() if value is not None}
        made.append(
            ResultRecord(
                test_id=labels[index],
                attempt=attempts[labels[index]],
                figures=known,
                at_least=session.figures.at_least,
            )
        )
    return tuple(made)
