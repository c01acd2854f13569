"""Time: one deadline for a whole evaluation, and calls that cannot be trusted to end."""

from __future__ import annotations

import contextvars
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Container
from concurrent.futures import thread as _pool
from types import FrameType
from typing import Any

from skilltrace_mlflow.errors import EvaluationError

__all__ = ["Deadline", "HangingCall", "abandon", "call_bounded", "settle", "unfinished"]

# The main thread has to wake up to see a signal; a lock it waits on without end would hide it.
_WAKE = 0.2
# Threads of ours, and those of `mlflow.genai.evaluate` that write or wait for one that does. (Its
# thread that submits rows is left out: it waits on a lock for good, and does nothing else.)
_NAMES = (
    "skilltrace-evaluate",
    "skilltrace-find",
    "skilltrace-judge",
    "skilltrace-stop",
    "MlflowGenAIEvalPredict",
    "MlflowGenAIEvalScore",
    "MlflowGenAIEvalMultiTurn",
    "GenAIEvaluation",
)
# The code of a pool's worker and of a task in it, to be told from its stack.
_WORKER = _pool._worker.__code__
_TASK = _pool._WorkItem.run.__code__
_abandoned: list[threading.Thread] = []


class HangingCall(Exception):  # noqa: N818 - it is not an error yet
    """A call did not return in time; its thread goes on in the background."""


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


def call_bounded(function: Callable[[], Any], seconds: float, *, name: str = "call") -> Any:
    """`function()` in a thread of its own; HangingCall if it takes longer than `seconds`.

    What it raises is raised here. The thread is a daemon, so it does not hold up the exit.
    """
    result: dict[str, Any] = {}
    done = threading.Event()
    context = contextvars.copy_context()

    def target() -> None:
        try:
            result["value"] = context.run(function)
        except BaseException as error:  # raised again by whoever waits
            result["error"] = error
        finally:
            done.set()

    thread = threading.Thread(target=target, name=f"skilltrace-{name}", daemon=True)
    thread.start()
    end = time.monotonic() + seconds
    # Not `join`: interrupted by a signal, it takes the thread for ended (Python 3.11, bpo-45274).
    while not done.is_set() and (left := end - time.monotonic()) > 0:
        done.wait(min(left, _WAKE))
    if "error" in result:
        raise result["error"]
    if "value" not in result:
        raise HangingCall(f"{name} did not end within {seconds:.0f} s")
    return result["value"]


def abandon(since: Container[threading.Thread] = ()) -> None:
    """Make the threads of an evaluation that is over end at their next step.

    Left alone they would go on writing when their server answers again, into whichever store is
    the active one by then. A thread that waits for an answer ends when it comes or times out.
    `since` are the threads that were there before the evaluation, and are none of its own.
    """
    _abandoned.extend(
        thread
        for thread in threading.enumerate()
        if thread.name.startswith(_NAMES) and thread not in since and thread not in _abandoned
    )
    _end()


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
        _end()  # what a pool's worker does with an exception is to take up its next task
        time.sleep(_WAKE)
    _abandoned.clear()


def _end() -> None:
    for thread in _busy():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
        )


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
    codes = set()
    while frame is not None:
        codes.add(frame.f_code)
        frame = frame.f_back
    return _WORKER in codes and _TASK not in codes
