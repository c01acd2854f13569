"""A SQLite store that is being created is waited for.

MLflow makes its tables on first use, one after the other, and two processes that do so at once
break each other: "table already exists". Here one process creates, the others wait until it is
done.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.sources.mlflow._place import sqlite_path
from skilltrace_mlflow.text import without_password

__all__ = ["await_store"]

_LONGEST = 120.0
_PAUSE = 0.1
# Without any change for so long, nobody is at work on it any more.
_STILL = 5.0
_ready: set[Path] = set()


def await_store(uri: str, *, longest: float = _LONGEST) -> None:
    """Return as soon as the store has its tables: made by this process, or by another meanwhile.

    Stores that are no SQLite files are left alone. Raises EvaluationError if the store cannot be
    made, or is not made in `longest` seconds.
    """
    path = sqlite_path(uri)
    if path is None:
        return
    path = path.absolute()
    if path in _ready and path.exists():
        return
    if not _is_whole(path):
        end = time.monotonic() + longest
        with _alone(path, end):
            _create(uri, path, end)
    _ready.add(path)


def _create(uri: str, path: Path, end: float) -> None:
    """Let MLflow make the tables, as often as another process is in the way."""
    import mlflow

    changed = _state(path)
    since = time.monotonic()
    while not _is_whole(path):
        try:
            mlflow.MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
            return
        except Exception as error:  # SQLAlchemy's, Alembic's or MLflow's: whatever was in the way
            reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        now = time.monotonic()
        if _state(path) != changed:
            changed, since = _state(path), now
        if now > end or now - since > _STILL or not _may_become_whole(path):
            raise EvaluationError(f"{without_password(uri)}: no store can be made there: {reason}")
        time.sleep(_PAUSE)


def _is_whole(path: Path) -> bool:
    """Whether all tables are there: the default experiment is the last thing that MLflow writes."""
    try:
        with contextlib.closing(_read_only(path)) as connection:
            connection.execute("SELECT version_num FROM alembic_version LIMIT 1").fetchone()
            return connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False


def _may_become_whole(path: Path) -> bool:
    """Whether it is a database at all, so that somebody may be making it."""
    try:
        with contextlib.closing(_read_only(path)) as connection:
            connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError:
        return path.exists()  # locked by who makes it
    except sqlite3.Error:
        return False
    return True


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1.0)


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def _alone(path: Path, end: float) -> Iterator[None]:
    """Among the processes of this package on this machine, one at a time is inside the block.

    Where the system has no such lock (Windows), `_create` still bears with another's work.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    # The folder itself is the lock: nothing has to be made for it, and nothing stays behind.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent, os.O_RDONLY)
    except OSError:  # not ours to read: `_create` bears with another's work
        yield
        return
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    break
                time.sleep(_PAUSE)
            except OSError:  # a file system without locks on folders
                break
        yield
    finally:
        os.close(handle)
