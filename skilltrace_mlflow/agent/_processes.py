"""Ending an agent with everything that it started, also when the run itself is killed.

Claude Code starts commands in process groups and sessions of their own, so that ending its group
leaves them behind. Whatever has the attempt's folder in its environment, or works in it, is the
attempt's.

Against `kill -9` and a crash nothing inside the process helps: the agents would go on spending, and
their folders with keys and transcripts would stay. So a run has a guard, a small process that
outlives it. It holds the reading end of a pipe; when the runner is gone, however, it ends the
agents and deletes their folders. This file, run by itself, is that process: standard library only,
and no import of this package.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

__all__ = ["Guard", "end_attempt", "guard", "remove"]

_PROC = Path("/proc")
_SCRIPT = Path(__file__)


def end_attempt(group: int | None, base: str, grace: float = 3.0) -> None:
    """End the process group and all processes of the attempt in folder `base`: politely, and after
    `grace` seconds for good. Returns when they are gone.
    """
    first = True
    end = time.monotonic() + grace
    for _ in range(200):
        with_group = group is not None and _group_alive(group)
        others = _belonging(base)
        if not with_group and not others:
            return
        late = time.monotonic() > end
        if first or late:
            kind = signal.SIGKILL if late else signal.SIGTERM
            if group is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, kind)
            for process in others:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, kind)
            first = False
        time.sleep(0.05)


def remove(base: str) -> None:
    """Delete an attempt's folder; what a dying process still writes is tried again."""
    for _ in range(20):
        shutil.rmtree(base, ignore_errors=True)
        if not os.path.lexists(base):
            return
        # Package managers, for one, leave folders that nothing may be deleted from.
        _open(Path(base))
        for folder, names, _files in os.walk(base):
            for name in names:  # before the walk looks into it
                _open(Path(folder, name))
        time.sleep(0.1)


def _open(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if not folder.is_symlink():  # else somebody else's mode would change
            folder.chmod(0o700)


def _group_alive(group: int) -> bool:
    """Whether a process of the group still runs (one that has ended but was not waited for does
    not).
    """
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    fields = _status(group)
    ended = bool(fields) and fields[0] == b"Z"
    return not ended or any(
        other[2] == str(group).encode() and other[0] != b"Z"
        for process in _processes()
        if process != group and len(other := _status(process)) > 2
    )


def _belonging(base: str) -> list[int]:
    """Processes with the folder in their environment or as working directory, but ourselves.

    Where there is no /proc, the process group is all that can be known.
    """
    found = []
    mark = os.fsencode(base) + b"/"
    for process in _processes():
        if process == os.getpid():
            continue
        here = ""
        with contextlib.suppress(OSError):
            here = str((_PROC / str(process) / "cwd").readlink())
        if mark in _read(process, "environ") or (here + "/").startswith(base + "/"):
            fields = _status(process)
            if fields and fields[0] != b"Z":
                found.append(process)
    return found


def _processes() -> list[int]:
    if not _PROC.is_dir():
        return []
    return [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()]


def _status(process: int) -> list[bytes]:
    """State, parent, group, … of a process; empty if it is gone."""
    return _read(process, "stat").rpartition(b")")[2].split()


def _read(process: int, name: str) -> bytes:
    try:
        return (_PROC / str(process) / name).read_bytes()
    except OSError:
        return b""


def guard() -> None:
    """Read `+ GROUP BASE` and `- GROUP BASE` lines; when the input ends, end and delete what is
    left.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    attempts: dict[str, int | None] = {}
    for line in sys.stdin:
        word, number, base = line.rstrip("\n").split(" ", 2)
        if word == "+":
            attempts[base] = int(number) or None
        else:
            attempts.pop(base, None)
    for base, group in attempts.items():
        end_attempt(group, base, grace=0.0)
        remove(base)


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


if __name__ == "__main__":
    guard()
