"""Time: one deadline for a whole evaluation, and what becomes of it when the time is up."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import thread as _pool
from types import CodeType, FrameType

from skilltrace_mlflow._internals import EVALUATION_THREADS
from skilltrace_mlflow.errors import EvaluationError

__all__ = ["Deadline", "abandon", "settle", "unfinished"]

_WAKE = 0.05
# How long those are waited for that cannot be ended at once.
_SHORT = 1.0
_NAMES = (
    "skilltrace-evaluate",
    "skilltrace-find",
    "skilltrace-judge",
    "skilltrace-stop",
    *EVALUATION_THREADS,
)
# The code of a pool's worker and of a task in it, to be told from its stack.
_WORKER = _pool._worker.__code__
_TASK = _pool._WorkItem.run.__code__
# Of a thread that has begun: before and after that, its stack is that of `threading` alone.
_RUN = threading.Thread.run.__code__
_START = threading.Thread.start.__code__
# Of one that waits for another, which takes its lock again whatever comes up meanwhile.
_WAIT = threading.Condition.wait.__code__
# In the names of SQLAlchemy's modules and of those of MLflow's stores that use it; of the import
# system.
_LOCKING = ("sqlalchemy", "importlib")
_abandoned: list[threading.Thread] = []


class Deadline:
    """When an evaluation has to be over; without `seconds` it may take as long as it takes."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self, most: float = float("inf")) -> float:
        """Seconds left, at most `most`, at least 0."""
        if self._end is None:
            return most
        return max(0.0, min(most, self._end - time.monotonic()))

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.left() <= 0

    def require(self, doing: str) -> None:
        """Raises EvaluationError if the time is up before `doing`."""
        if self.passed:
            raise EvaluationError(
                f"--timeout {self.seconds:g}: the time was up before {doing}; give it more, or "
                "finish the run with --resume"
            )


def abandon(since: Container[threading.Thread] = ()) -> None:
    """Make the threads of an evaluation that is over end at their next step.

    Left alone they would go on writing when their server answers again, into whichever store is
    the active one by then. A thread that waits for an answer ends when it comes or times out, one
    in a transaction or an import behind that; where that takes longer than a second, `settle` ends
    it.
    `since` are the threads that were there before the evaluation, and are none of its own.
    """
    _abandoned.extend(
        thread
        for thread in threading.enumerate()
        if thread.name.startswith(_NAMES) and thread not in since and thread not in _abandoned
    )
    left = _busy()
    end = time.monotonic() + _SHORT
    while (left := _end(left)) and time.monotonic() < end:
        time.sleep(_WAKE)
        left = [thread for thread in left if thread in _busy()]


def unfinished() -> bool:
    """Whether an abandoned thread still waits for an answer; Python would wait for it at exit."""
    return bool(_busy())


def settle(deadline: Deadline, *, most: float = 120.0) -> None:
    """Wait for abandoned threads, before the tracking URI, which is theirs too, is changed.

    `mlflow.genai.evaluate` bears no second one beside it, either.
    Raises EvaluationError if they do not end in time.
    """
    limit = time.monotonic() + deadline.left(most)
    while unfinished():
        if time.monotonic() > limit:
            raise EvaluationError(
                "an earlier evaluation of this process, which was given up, has not ended yet (its "
                "server does not answer); try again later or in another process"
            )
        _end(_busy())  # what a pool's worker does with an exception is to take up its next task
        time.sleep(_WAKE)
    _abandoned.clear()


def _end(threads: Iterable[threading.Thread]) -> list[threading.Thread]:
    """End these threads where they are; those that cannot be ended there are left, and returned."""
    left = []
    usual = sys.getswitchinterval()
    # So that nobody goes on between the look at a thread's place and the exception, which comes up
    # at that place: threads take turns, and the one whose turn it is has it for this long.
    sys.setswitchinterval(10.0)
    try:
        for thread in threads:
            if _holds_a_lock(sys._current_frames().get(thread.ident or 0)):
                left.append(thread)
            # Asked as late as can be: the id of a thread that has ended is soon another one's.
            elif thread.is_alive():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
                )
    finally:
        sys.setswitchinterval(usual)
    return left


def _busy() -> list[threading.Thread]:
    """Abandoned threads that still do something.

    A pool's worker that waits for a task is none of them: its pool hands out no more, and ended
    there it would not pass on the word to the others, who would wait for good.
    """
    frames = sys._current_frames()
    return [
        thread
        for thread in _abandoned
        if thread.is_alive() and not _idle(frames.get(thread.ident or 0))
    ]


def _idle(frame: FrameType | None) -> bool:
    """Whether a thread's stack is that of a pool's worker with nothing to do."""
    codes = {held.f_code for held in _stack(frame)}
    return _WORKER in codes and _TASK not in codes


def _holds_a_lock(frame: FrameType | None) -> bool:
    """Whether a thread is starting or ending, starts another one, takes or gives back a lock, is in
    an import, or in a request to a database (not to a server).

    All of it ends by itself. Ended from outside, the first would leave whoever started the thread
    waiting for it (and so would the second: until a new thread runs, CPython keeps it under its
    starter's id, and ends it instead), the third the lock taken (that of all loggers: `getLogger`
    takes it in front of its `try`), the fourth the module locked and the fifth the database, for
    everybody in this process. Whatever opens and closes a session is on the stack as long as that
    is open.
    """
    stack = list(_stack(frame))
    codes = {held.f_code for held in stack}
    if _RUN not in codes or _START in codes:
        return True
    if stack[0].f_code is not _WAIT and _takes_a_lock(stack[0].f_code):
        return True
    names = [str(held.f_globals.get("__name__", "")) for held in stack]
    return any(part in name for name in names for part in _LOCKING)


def _takes_a_lock(code: CodeType) -> bool:
    """Whether a function takes or gives back a lock by name, or is what `with` calls to do so."""
    return code.co_name in ("__enter__", "__exit__") or any(
        part in name for name in (code.co_name, *code.co_names) for part in ("acquire", "release")
    )


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
