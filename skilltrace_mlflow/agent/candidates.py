"""`candidates.yaml`: sessions that may become test cases, and what people said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import Manifest, merge_expectations, parse_expectations
from skilltrace_mlflow.expectations.documents import show
from skilltrace_mlflow.expectations.explain import find_problems
from skilltrace_mlflow.expectations.names import did_you_mean
from skilltrace_mlflow.proposals import yaml_files
from skilltrace_mlflow.score import score_session
from skilltrace_mlflow.session import Session

__all__ = ["FILE", "Candidate", "Candidates", "Status", "checks_of", "now", "opened"]

FILE = "candidates.yaml"
Status = Literal["pending", "approved", "rejected", "promoted"]
_STATUSES = ("pending", "approved", "rejected", "promoted")
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_MAPPING = {"type": ["object", "null"]}
# People edit the file; keys that are not ours stay as they are.
_SHAPE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "integer"]},
        "prompt": {"type": "string", "minLength": 1},
        "response": _MAYBE_TEXT,
        "created_at": _MAYBE_TEXT,
        "trace": {**_MAYBE_MAPPING, "additionalProperties": {"type": "string"}},
        "expectations": _MAYBE_MAPPING,
        "figures": _MAYBE_MAPPING,
        "checks": {"type": ["array", "null"], "items": {"type": "object"}},
        "reviewer": _MAYBE_TEXT,
        "reviewed_at": _MAYBE_TEXT,
        "note": _MAYBE_TEXT,
    },
    "required": ["prompt"],
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One session that may become a test case.

    `trace` links it: `trace_id` of a session with one turn, `session_id` of a longer one, and
    whatever it was captured from. `expectations` are proposed, until a reviewer has approved them.
    """

    id: str
    prompt: str
    response: str | None = None
    status: Status = "pending"
    created_at: str = ""
    trace: Mapping[str, str] = field(default_factory=dict)
    expectations: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[Mapping[str, Any]] = ()
    reviewer: str | None = None
    reviewed_at: str | None = None
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        values = {
            "id": self.id,
            "prompt": self.prompt,
            "response": self.response,
            "status": self.status,
            "created_at": self.created_at,
            "trace": dict(self.trace),
            "expectations": dict(self.expectations),
            "figures": dict(self.figures),
            "checks": [dict(check) for check in self.checks],
            "reviewer": self.reviewer,
            "reviewed_at": self.reviewed_at,
            "note": self.note,
        }
        return {key: value for key, value in values.items() if value not in (None, {}, [])}

    def reviewed(
        self,
        status: Status,
        *,
        reviewer: str,
        note: str | None = None,
        expectations: Mapping[str, Any] | None = None,
        checks: Sequence[Mapping[str, Any]] = (),
    ) -> Candidate:
        """This candidate with a person's verdict; with other `expectations`, whose `checks` say
        what these make of its session (nothing where it cannot be read).
        """
        reviewed = replace(
            self, status=status, reviewer=reviewer, reviewed_at=now(), note=note or None
        )
        if expectations is None or dict(expectations) == dict(self.expectations):
            return reviewed
        return replace(reviewed, expectations=expectations, checks=checks)


class Candidates:
    """The candidates of one skill, as its file has them; changes are written at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read()

    def _read(self) -> None:
        path = self.path
        self._data = yaml_files.load(path) or {}
        items = self._data.get("candidates") if isinstance(self._data, Mapping) else None
        if self._data and not isinstance(items, list):
            raise ConfigurationError(f"{path}: expected a list under 'candidates'")
        self.all: dict[str, Candidate] = {}
        for item in items or ():
            candidate = _candidate(path, item)
            if candidate.id in self.all:
                raise ConfigurationError(f"{path}: the id {candidate.id!r} is there twice")
            self.all[candidate.id] = candidate

    def __getitem__(self, name: str) -> Candidate:
        if name not in self.all:
            hint = did_you_mean(name, self.all) if self.all else "there is none"
            raise ConfigurationError(f"{self.path}: no candidate {name!r}; {hint}")
        return self.all[name]

    def with_status(self, status: Status) -> list[Candidate]:
        """The candidates in a state, in the file's order."""
        return [c for c in self.all.values() if c.status == status]

    def add(self, candidate: Candidate) -> None:
        """Add a new one. Raises ConfigurationError if its id is taken."""
        if candidate.id in self.all:
            raise ConfigurationError(
                f"{self.path}: there is a candidate {candidate.id!r} already; give another --id"
            )
        yaml_files.append_item(self.path, "candidates", candidate.to_dict())
        self._read()

    def update(self, candidate: Candidate) -> None:
        """Write what has changed of one; the rest of the file stays as it is."""
        old, new = self[candidate.id].to_dict(), candidate.to_dict()
        item = next(i for i in self._data["candidates"] if str(i.get("id")) == candidate.id)
        for key in dict.fromkeys((*old, *new)):
            if key not in new:
                item.pop(key, None)
            elif old.get(key) != new[key]:
                item[key] = yaml_files.quoted(new[key])
        yaml_files.save(self.path, self._data)
        self.all[candidate.id] = candidate


@contextmanager
def opened(manifest: Manifest) -> Iterator[Candidates]:
    """The skill's candidates; other processes wait until this one is done with them."""
    folder = manifest.folder or Path()
    with yaml_files.locked_folder(folder):
        yield Candidates(folder / FILE)


def checks_of(
    session: Session, manifest: Manifest, expectations: Mapping[str, Any]
) -> list[dict[str, str]]:
    """What the manifest's expectations with these say of a session, as a candidate keeps it."""
    expected = parse_expectations(merge_expectations(manifest.trace_expectations, expectations))
    return [
        {"name": o.check, "verdict": str(o.verdict), "rationale": o.rationale}
        for o in score_session(session, expected)
        if o.verdict is not Verdict.NOT_APPLICABLE
    ]


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _candidate(path: Path, item: Any) -> Candidate:
    if not isinstance(item, Mapping) or not item.get("id"):
        raise ConfigurationError(f"{path}: each candidate is a mapping with an id")
    values = _plain(item)
    status = values.get("status", "pending")
    if status not in _STATUSES:
        raise ConfigurationError(
            f"{path}: candidate {values['id']!r}: status {status!r}; "
            f"{did_you_mean(str(status), _STATUSES)}"
        )
    found = next(iter(find_problems(values, _SHAPE)), None)
    if found is not None:
        where, message, _ = found
        raise ConfigurationError(
            f"{path}: candidate {values['id']!r}: {f'{show(where)}: ' if where else ''}{message}"
        )
    known = set(Candidate.__dataclass_fields__)
    kept = {key: value for key, value in values.items() if key in known and value is not None}
    return Candidate(**{**kept, "id": str(values["id"])})


def _plain(value: Any) -> Any:
    """A round-trip value as ordinary Python."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)  # a time stamp
