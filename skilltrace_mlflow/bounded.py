"""Calls that cannot be trusted to end: of users' functions, and of stores that may be gone."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["HangingCall", "call_bounded"]

# The main thread has to wake up to see a signal; a lock it waits on without end would hide it.
_WAKE = 0.2


class HangingCall(Exception):  # noqa: N818 - it is not an error yet
    """A call did not return in time; its thread goes on in the background."""


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
