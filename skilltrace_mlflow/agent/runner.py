"""Many attempts, a few at once: within the budget, interruptible, each in a place of its own.

`Budget` is the bound on what a whole run may cost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from skilltrace_mlflow.agent._copying import StoppedError
from skilltrace_mlflow.agent._place import (
    SetupError,
    changes,
    environment,
    initialise_git,
    make_place,
    new_base,
    run_commands,
    snapshot,
)
from skilltrace_mlflow.agent._processes import Guard, end_attempt, remove
from skilltrace_mlflow.agent.options import AgentOptions
from skilltrace_mlflow.agent.protocol import Agent, Run, Task
from skilltrace_mlflow.agent.records import Job, Record, RunFolder
from skilltrace_mlflow.agent.skill import Skill
from skilltrace_mlflow.errors import EvaluationError, SkillTraceError
from skilltrace_mlflow.streams import module_logger

__all__ = ["Budget", "Progress", "Runner", "terminated"]

_log = module_logger(__name__)


class Budget:
    """Money spent, money set aside for attempts under way, and what the next one may take.

    `spent` holds the cost of every attempt that is over. Safe for use from several threads.
    """

    def __init__(self, limit: float | None, spent: Iterable[float] = (), *, extra: float = 0.0):
        self.limit = limit
        self._costs = list(spent)
        self._extra = extra
        self._reserved: dict[object, float] = {}
        self._lock = threading.Lock()

    @property
    def spent(self) -> float:
        """What is known to have been spent, by this run as a whole."""
        return sum(self._costs) + self._extra

    @property
    def mean(self) -> float | None:
        """What an attempt has cost so far, None before one is over."""
        return sum(self._costs) / len(self._costs) if self._costs else None

    def reserve(self, key: object, free: int) -> tuple[bool, float | None]:
        """Whether an attempt may start now, with `free` places for attempts at the same time, and
        its own bound. Without a bound on the whole there is none on a part.
        """
        if self.limit is None:
            return True, None
        with self._lock:
            expected = self.mean
            if expected is None and self._reserved:
                return False, None  # the first one tells what the others will cost
            left = self.limit - self.spent - sum(self._reserved.values())
            share = left
            for places in range(max(free, 1), 0, -1):
                share = left / places
                if expected is not None and share >= 2 * expected:
                    break
            if left <= 0 or (expected is not None and share < expected):
                return False, None
            self._reserved[key] = share
            return True, share

    def settle(self, key: object, cost: float | None) -> None:
        """An attempt is over; one of unknown cost is taken to have cost what it was allowed."""
        with self._lock:
            reserved = self._reserved.pop(key, 0.0)
            self._costs.append(reserved if cost is None else cost)

    def release(self, key: object) -> None:
        """An attempt was given up before it cost anything."""
        with self._lock:
            self._reserved.pop(key, None)


Progress = Callable[[int, int, float], None]
"""Called with attempts done, attempts in all, and US dollars spent."""


@dataclass(kw_only=True)
class Runner:
    """Makes the attempts of one run. `skill` is offered in the arm `with` only."""

    agent: Agent
    skill: Skill
    options: AgentOptions
    folder: RunFolder
    guard: Guard
    budget: Budget
    jobs: int = 1
    keep: bool = False
    progress: Progress | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, jobs: Sequence[Job], done: Mapping[Job, Record]) -> dict[Job, Record]:
        """All attempts of `jobs` that are not `done`, in their order; those that the budget did
        not allow are `not_started`. Raises KeyboardInterrupt when told to stop, and EvaluationError
        where attempts cannot be kept, both after all agents have ended.
        """
        records = dict(done)
        waiting = [job for job in jobs if job not in done]
        running: dict[Future[Record], Job] = {}
        with (
            signals_set(self.stop),
            ThreadPoolExecutor(max(1, self.jobs), thread_name_prefix="skilltrace-agent") as pool,
        ):
            try:
                self._tell(records, jobs)
                while (waiting or running) and not self.stop.is_set():
                    while waiting and len(running) < self.jobs:
                        job = waiting[0]
                        allowed, most = self.budget.reserve(job, self.jobs - len(running))
                        if not allowed:
                            break
                        running[pool.submit(self._attempt, job, most)] = waiting.pop(0)
                    if not running:
                        break  # the budget allows nothing more
                    # In slices: that `stop` was set is noticed in between.
                    ended, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                    for future in ended:
                        job = running.pop(future)
                        records[job] = future.result()
                        self.budget.settle(job, records[job].cost_usd)
                        self._tell(records, jobs)
                if self.stop.is_set():
                    raise KeyboardInterrupt
            except BaseException:
                self.stop.set()
                wait(running)
                raise
        for job in waiting:
            records[job] = Record(
                test_id=job.test_id,
                arm=job.arm,
                attempt=job.attempt,
                session_id="",
                end="not_started",
                reason=f"not started: it could have passed --max-usd {self.budget.limit:g} "
                f"(${self.budget.spent:.4f} spent)",
            )
        return records

    def _tell(self, records: Mapping[Job, Record], jobs: Sequence[Job]) -> None:
        if self.progress is not None:
            self.progress(len(records), len(jobs), self.budget.spent)

    def _attempt(self, job: Job, most: float | None) -> Record:
        session_id = str(uuid.uuid4())
        try:
            record = self.folder.fresh_folder(job)
            base = new_base()
        except OSError as error:
            raise self._unkept(error) from error
        self.guard.watch(base)
        try:
            kept = Record.of(
                job, session_id, self._run(job, session_id, base, record, most), record
            )
        finally:
            end_attempt(None, str(base), grace=1.0)
            if not self.keep:
                remove(str(base))
            self.guard.release(base)
        _log.info("%s #%d (%s the skill): %s", job.test_id, job.attempt, job.arm, kept.end)
        try:
            if self.keep:
                (record / "workspace.txt").write_text(f"{base}\n", encoding="utf-8")
            if kept.end != "interrupted":
                self.folder.keep(kept)
        except (OSError, SkillTraceError) as error:  # nobody would pay for what is lost at once
            raise self._unkept(error) from error
        return kept

    def _unkept(self, error: Exception) -> EvaluationError:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(error)
        return EvaluationError(
            f"run {self.folder.run_id}: an attempt could not be kept: {reason}; what was done is "
            f"in {self.folder.path}, go on with --resume {self.folder.run_id}"
        )

    def _run(self, job: Job, session_id: str, base: Path, record: Path, most: float | None) -> Run:
        """The attempt itself: whatever the system refuses on the way is its end."""
        try:
            place = make_place(
                self.options, self.skill, offered=job.arm == "with", base=base, stop=self.stop
            )
        except StoppedError:
            return Run(end="interrupted")
        except OSError as error:
            return Run(end="setup_failed", reason=f"the workspace could not be made: {error}")
        task = Task(
            prompt=job.prompt,
            session_id=session_id,
            place=place,
            record=record,
            options=self.options,
            test_id=job.test_id,
            attempt=job.attempt,
            arm=job.arm,
            max_usd=most,
            stop=self.stop,
        )
        try:
            return self._work(task)
        except StoppedError:
            return Run(end="interrupted")
        except OSError as error:
            return Run(end="killed", reason=f"what it did could not be kept: {error}")

    def _work(self, task: Task) -> Run:
        place, options = task.place, task.options
        env = environment(place, options, os.environ)
        try:
            run_commands(options.setup, place, env, what="setup", stop=task.stop)
            if options.git:
                initialise_git(place, env)
        except SetupError as error:
            return Run(end="setup_failed", reason=str(error))
        before = snapshot(place.workspace)
        run = self.agent.run(task)
        patch = changes(before, snapshot(place.workspace, since=before))
        (task.record / "patch.diff").write_text(patch, encoding="utf-8", errors="replace")
        try:
            run_commands(options.teardown, place, env, what="teardown")
        except SetupError as error:  # the agent has done its part
            run = replace(run, notes=(*run.notes, str(error)))
        notes = [f"agent.env: {name} is not set here" for name in options.lacking(os.environ)]
        return replace(run, notes=(*run.notes, *notes))


@contextlib.contextmanager
def signals_set(event: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM set the event inside the block; a second one interrupts as always.

    An exception that a signal raises in the middle of waiting for threads may leave one of their
    locks held for ever.
    """

    def note(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, note) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """SIGTERM as Ctrl-C inside the block, so that a run that is told to end cleans up."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
