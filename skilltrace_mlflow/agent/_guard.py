"""The guard of a run: a small process that outlives it and cleans up, should it be killed.

Against `kill -9` and a crash nothing inside the process helps: the agents would go on spending, and
their folders with keys and transcripts would stay. The guard holds the reading end of a pipe; when
the runner is gone, however, it ends the agents and deletes their folders.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

__all__ = ["Guard"]

_SCRIPT = Path(__file__).with_name("_processes.py")


class Guard:
    """A context manager; `watch` and `release` name an attempt's process group and folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Guard:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.wait()

    def watch(self, base: Path, group: int | None = None) -> None:
        """From now on the attempt in `base` is cleaned up if we are not there to do it."""
        self._say("+", base, group)

    def release(self, base: Path) -> None:
        """The attempt in `base` is over and cleaned up (or its folder is to be kept)."""
        self._say("-", base, None)

    def _say(self, word: str, base: Path, group: int | None) -> None:
        with self._lock:
            stream = None if self._process is None else self._process.stdin
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.write(f"{word} {group or 0} {base}\n")
                    stream.flush()
