"""Time: one deadline for a whole evaluation, and calls that cannot be trusted to end."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

from skilltrace_mlflow.errors import EvaluationError

__all__ = ["Deadline", "HangingCall", "call_bounded"]

# The main thread has to wake up to see a signal; a lock it waits on without end would hide it.
_WAKE = 0.2


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
