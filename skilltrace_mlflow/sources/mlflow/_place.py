"""Where a tracking store is, whether it is there, and how it may be named; asking it at all.

A SQLite store that is being created is waited for. MLflow makes its tables on first use, one after
the other, and two processes that do so at once break each other: "table already exists". Here one
process creates, the others wait until it is done.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from skilltrace_mlflow._internals import databricks_host, set_uri
from skilltrace_mlflow.errors import EvaluationError, SkillTraceError, TraceNotFoundError
from skilltrace_mlflow.streams import module_logger
from skilltrace_mlflow.text import without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "BOUNDS",
    "MISSING",
    "await_store",
    "connect",
    "name_of_store",
    "probe",
    "require_local",
    "sqlite_path",
    "store_errors",
    "store_exists",
    "tracking_uri_of",
]

_log = module_logger(__name__)

# A request may be tried again, but a command may not hang: MLflow's own defaults (120 s, 7 retries
# with up to 128 s between them) add up to minutes. These bridge a restart of some ten seconds.
# And it draws its progress bars on whatever standard error is. A user's own setting is kept.
BOUNDS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "RESOURCE_NOT_FOUND"})
_URI = "MLFLOW_TRACKING_URI"
_PROBES = 3
_LONGEST = 120.0
_PAUSE = 0.1
# Without any change for so long, nobody is at work on it any more.
_STILL = 5.0
_ready: set[Path] = set()


def tracking_uri_of(tracking_uri: str | None = None) -> str:
    """The store that a command works on: the one named, else MLflow's own choice."""
    if tracking_uri:
        return tracking_uri
    import mlflow

    return str(mlflow.get_tracking_uri())


def store_exists(tracking_uri: str | None = None) -> bool:
    """Whether a local database is there already; what a server holds is not asked here."""
    path = sqlite_path(tracking_uri_of(tracking_uri))
    return path is None or path.exists()


def probe(tracking_uri: str | None = None, *, timeout: float = 5.0) -> None:
    """Make sure that the tracking server answers at all; local stores need no server.

    Raises EvaluationError when it does not within `timeout` seconds, tried a few times so that one
    dropped connection is not taken for a dead server.
    """
    uri = tracking_uri_of(tracking_uri)
    url = _health_url(uri)
    if url is None:
        return
    reason = ""
    for attempt in range(_PROBES):
        if attempt:
            time.sleep(0.3 * attempt)
        request = urllib.request.Request(url, headers={"User-Agent": "skilltrace-mlflow"})  # noqa: S310 - http(s) only, see _health_url
        try:
            with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:  # it answers: what it thinks of the request is another matter
                return
            reason = f"HTTP {error.code}"
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise EvaluationError(
        f"the MLflow server at {without_password(uri)} does not answer ({reason}); "
        "start it, or name another with --tracking-uri or MLFLOW_TRACKING_URI"
    )


@contextlib.contextmanager
def connect(tracking_uri: str | None = None, *, create: bool = False) -> Iterator[MlflowClient]:
    """A client for the store, with bounded requests; what was set before is restored afterwards.

    The URI is set globally meanwhile, since artifacts (where plugins keep spans) are resolved
    against the global one. A local database that does not exist is an EvaluationError unless
    `create`: asking for something must not leave an empty store behind.
    """
    import mlflow

    uri = tracking_uri_of(tracking_uri)
    if not create:
        require_local(uri)
    with _without_chatter():
        await_store(uri)
    _log.debug("asking %s", without_password(uri))
    before, named = set_uri(), os.environ.get(_URI)
    change = uri != mlflow.get_tracking_uri()
    bounded = [name for name in BOUNDS if name not in os.environ]
    os.environ.update({name: BOUNDS[name] for name in bounded})
    if change:
        mlflow.set_tracking_uri(uri)
    try:
        yield mlflow.MlflowClient(tracking_uri=uri)
    finally:
        # What somebody else set meanwhile is theirs: a call that was given up on ends late.
        if change and set_uri() == uri:
            mlflow.set_tracking_uri(before)  # type: ignore[arg-type] # None unsets it
            if named is None:
                os.environ.pop(_URI, None)
            else:
                os.environ[_URI] = named
        for name in bounded:
            if os.environ.get(name) == BOUNDS[name]:
                os.environ.pop(name, None)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """MLflow tells on standard error that it makes the tables of a new database."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def store_errors(what: str, tracking_uri: str | None) -> Iterator[None]:
    """The store's exceptions as ours: not there, or not to be asked; `what` names what was wanted.

    An exception of our own making (a NameError, a TypeError of code in this package) passes
    unchanged: it says nothing about the store.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except SkillTraceError:
        raise
    except MlflowException as error:
        text = str(error).strip().split("\n", 1)[0]
        if error.error_code in MISSING:
            raise TraceNotFoundError(
                f"{what}: not found in {name_of_store(tracking_uri)}"
            ) from None
        raise EvaluationError(f"{what}: {name_of_store(tracking_uri)} answered: {text}") from None
    except Exception as error:
        if not _is_the_stores(error):
            raise
        text = (str(error).strip() or type(error).__name__).split("\n", 1)[0]
        raise EvaluationError(
            f"{what}: {name_of_store(tracking_uri)} cannot be read: {text}"
        ) from error


def _is_the_stores(error: Exception) -> bool:
    """Whether the store raised it. Requests, SQLAlchemy and cloud clients each have classes of
    their own; one of Python's own classes is the store's if other people's code raised it.
    """
    if isinstance(error, OSError) or type(error).__module__ != "builtins":
        return True
    raised_in = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in sys.stdlib_module_names:
            raised_in = package
    return raised_in != __name__.partition(".")[0]


def name_of_store(tracking_uri: str | None) -> str:
    """The store as people may be told it: without a password."""
    return without_password(tracking_uri_of(tracking_uri))


def require_local(uri: str) -> None:
    """Raises EvaluationError if `uri` names a local database that is not there."""
    if not store_exists(uri):
        raise EvaluationError(
            f"there is no MLflow store at {sqlite_path(uri)}; name one with --tracking-uri or "
            "MLFLOW_TRACKING_URI, or fill one with skilltrace-mlflow import"
        )


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite store, None for every other store."""
    if not uri.startswith("sqlite:///"):
        return None
    name = uri[len("sqlite:///") :].split("?", 1)[0]
    return None if name in ("", ":memory:") or name.startswith("file:") else Path(name)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """MLflow warns on standard error of what is then told as an error."""
    logger = logging.getLogger("mlflow.utils.databricks_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _health_url(uri: str) -> str | None:
    if uri.startswith(("http://", "https://")):
        return uri.rstrip("/") + "/health"
    if uri == "databricks" or uri.startswith("databricks://"):
        try:
            with _without_warnings():
                host = databricks_host(uri)
        except Exception as error:
            # MLflow goes on about every way to sign in, and the one that does is named here.
            text = (str(error) or type(error).__name__).split("\n", 1)[0].split(". ", 1)[0]
            raise EvaluationError(
                f"{without_password(uri)}: no Databricks workspace is configured ({text}); run "
                "databricks auth login --host https://<workspace>, or name a profile with "
                "DATABRICKS_CONFIG_PROFILE"
            ) from None
        return host.rstrip("/") + "/api/2.0/mlflow/experiments/get"
    return None


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
