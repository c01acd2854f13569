"""A run's folder: what it set out to do, and each attempt as soon as it is over.

`plan.json` is written first, `attempts/NAME/attempt.json` as the last of an attempt's files: an
attempt that has it is done, whatever happens to the runner afterwards.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent.protocol import JUDGED, SETTLED, End, Run
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.report import write_atomic
from skilltrace_mlflow.report.dump import safe_name
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

__all__ = ["ARMS", "Job", "Record", "RunFolder", "new_run_id"]

ARMS = ("with", "without")
_RUN_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt to make."""

    test_id: str
    prompt: str
    arm: str
    attempt: int
    index: int

    @property
    def name(self) -> str:
        """The name of its folder; the index keeps apart ids that look alike as file names."""
        return f"{self.index:03d}-{safe_name(self.test_id)[:60]}__{self.arm}__{self.attempt}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """An attempt that is over, without its session, which lies beside it as `session.jsonl`."""

    test_id: str
    arm: str
    attempt: int
    session_id: str
    end: End
    reason: str = ""
    response: str | None = None
    cost_usd: float | None = None
    duration_seconds: float | None = None
    exit_code: int | None = None
    denials: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    model: str | None = None
    version: str | None = None
    folder: Path = field(default_factory=Path)

    @property
    def transcript(self) -> Path | None:
        """The session's transcript, None if there is none."""
        path = self.folder / "session.jsonl"
        return path if path.is_file() else None

    @property
    def judged(self) -> bool:
        """Whether its session says what the agent does."""
        return self.end in JUDGED and self.transcript is not None

    @classmethod
    def of(cls, job: Job, session_id: str, run: Run, folder: Path) -> Record:
        """The record of a job's run."""
        init = run.init or {}
        return cls(
            test_id=job.test_id,
            arm=job.arm,
            attempt=job.attempt,
            session_id=session_id,
            end=run.end,
            reason=run.reason,
            response=run.response,
            cost_usd=run.cost_usd,
            duration_seconds=run.duration_seconds,
            exit_code=run.exit_code,
            denials=run.denials,
            differing=run.differing,
            notes=run.notes,
            skills=_names(init.get("skills")),
            tools=_names(init.get("tools")),
            plugins=_names(init.get("plugins")),
            model=_text(init.get("model")),
            version=_text(init.get("claude_code_version")),
            folder=folder,
        )

    def to_json(self) -> str:
        """What is kept of it."""
        values = {k: v for k, v in asdict(self).items() if k != "folder"}
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _names(items: Any) -> tuple[str, ...]:
    found = items if isinstance(items, list) else ()
    return tuple(str(item.get("name") if isinstance(item, Mapping) else item) for item in found)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def new_run_id() -> str:
    """An id for a run: short enough to type."""
    return uuid.uuid4().hex[:12]


class RunFolder:
    """`RESULTS/RUN_ID` on disk."""

    def __init__(self, results: Path, run_id: str) -> None:
        if not _RUN_ID.fullmatch(run_id):
            raise ConfigurationError(f"--resume {run_id!r}: that is no id of a run")
        self.run_id = run_id
        self.path = results.expanduser().resolve() / run_id

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else works on this run meanwhile. Raises ConfigurationError if somebody does."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("w")
        except OSError as error:
            raise SkillTraceError(f"{self.path}: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigurationError(
                    f"run {self.run_id}: another process is working on it"
                ) from None
            yield

    def save_plan(self, plan: Mapping[str, Any]) -> None:
        """Keep what the run set out to do."""
        write_atomic(self.path / "plan.json", json.dumps(plan, indent=2) + "\n")

    def load_plan(self) -> dict[str, Any]:
        """What it set out to do. Raises ConfigurationError if there is no such run."""
        try:
            text = (self.path / "plan.json").read_text(encoding="utf-8")
        except OSError:
            raise ConfigurationError(
                f"--resume {self.run_id}: there is no such run in {self.path.parent}"
            ) from None
        try:
            plan: dict[str, Any] = json.loads(text)
            plan["options"], plan["digest"], plan["skill"]
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(
                f"--resume {self.run_id}: {self.path / 'plan.json'} is no plan of a run"
            ) from None
        return plan

    def folder_of(self, job: Job) -> Path:
        """The folder of an attempt."""
        return self.path / "attempts" / job.name

    def fresh_folder(self, job: Job) -> Path:
        """An empty folder for an attempt; what an unfinished one left is set aside."""
        folder = self.folder_of(job)
        if folder.exists():
            earlier = self.path / "given-up"
            earlier.mkdir(exist_ok=True)
            number = sum(1 for _ in earlier.iterdir()) + 1
            folder.rename(earlier / f"{job.name}__{number}")
        folder.mkdir(parents=True)
        return folder

    def keep(self, record: Record) -> None:
        """An attempt is over."""
        write_atomic(record.folder / "attempt.json", record.to_json())

    def done(self, jobs: Iterable[Job]) -> dict[Job, Record]:
        """The attempts that need not be made again."""
        found = {}
        for job in jobs:
            record = _load(self.folder_of(job))
            if record is not None and record.end in SETTLED:
                found[job] = record
        return found

    @staticmethod
    def earlier(results: Path, skill: str) -> list[Record]:
        """The attempts that earlier runs of a skill finished, for estimates."""
        found = []
        for path in sorted(results.glob("*/plan.json")):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                if json.loads(path.read_text(encoding="utf-8")).get("skill") == skill:
                    folders = sorted((path.parent / "attempts").glob("*"))
                    found += [r for r in map(_load, folders) if r is not None and r.judged]
        return found

    def spent_in_vain(self, jobs: Iterable[Job]) -> float:
        """What attempts have cost that were given up or have to be made again."""
        folders = [self.folder_of(job) for job in jobs]
        earlier = self.path / "given-up"
        folders += sorted(earlier.iterdir()) if earlier.is_dir() else []
        return sum(_cost(folder) for folder in folders if folder.is_dir())


def _load(folder: Path) -> Record | None:
    try:
        values = json.loads((folder / "attempt.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict):
        return None
    known = {item.name for item in fields(Record)} - {"folder"}
    kept: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known
    }
    try:
        return Record(**kept, folder=folder)
    except TypeError:  # half a record is none
        return None


def _cost(folder: Path) -> float:
    """Of an attempt without a record: what the CLI's own lines say, else what they would cost."""
    record = _load(folder)
    if record is not None:
        return record.cost_usd or 0.0
    stream = folder / "stream.ndjson"
    if not stream.is_file():
        return 0.0
    for line in reversed(stream.read_text(encoding="utf-8", errors="replace").split("\n")):
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict) and value.get("type") == "result":
                return float(value.get("total_cost_usd") or 0.0)
    from skilltrace_mlflow.metrics import compute_metrics

    try:
        return compute_metrics(parse_transcript(stream)).cost_usd or 0.0
    except SkillTraceError:
        return 0.0  # it ended before the model had said anything
