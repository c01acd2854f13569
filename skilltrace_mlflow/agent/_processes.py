"""Ending an agent with everything that it started.

Claude Code starts commands in process groups and sessions of their own, so that ending its group
leaves them behind. Whatever has the attempt's folder in its environment, or works in it, is the
attempt's.

This file is also run by itself, as the guard of a run (see `_guard`): standard library only, and no
import of this package.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

__all__ = ["end_attempt", "guard", "remove"]

_PROC = Path("/proc")


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


if __name__ == "__main__":
    guard()
