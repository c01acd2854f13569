"""Where Claude Code keeps its sessions on this machine, and which files of a folder are sessions.

Claude Code writes `~/.claude/projects/<slug>/<session>.jsonl`, where the slug is the working
directory with everything but letters and digits turned into `-`, cut with a hash where it is long;
`CLAUDE_CONFIG_DIR` moves `~/.claude`. Different directories can have the same slug.

`sessions_on_this_machine` names them by the ids under which a store may hold their traces.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from skilltrace_mlflow.errors import InputError, TraceNotFoundError

__all__ = [
    "LocalSession",
    "claude_projects_dir",
    "find_local_session",
    "find_sessions",
    "is_prefix",
    "last_activity",
    "local_ids_like",
    "local_sessions",
    "newest_first",
    "project_slug",
    "sessions_on_this_machine",
]

_SUFFIXES = (".jsonl", ".jsonl.gz")
_SUBAGENTS = "subagents"
_LONGEST_SLUG = 200
_LINES_BEFORE_CWD = 200
_TAIL = 1 << 18
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def claude_projects_dir() -> Path:
    """The folder of all projects; it need not exist."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    base = Path(configured).expanduser() if configured else Path.home() / ".claude"
    return base / "projects"


def project_slug(cwd: str | os.PathLike[str]) -> str:
    """The name of a working directory's folder among the projects.

    Claude Code counts in UTF-16 units, as JavaScript does: a character beyond the first 65,536 is
    two. A name of more than 200 units is cut there, and a hash of the whole path follows.
    """
    path = os.fspath(cwd)
    slug = re.sub(r"[^A-Za-z0-9]", lambda m: "--" if m[0] > "\uffff" else "-", path)
    if len(slug) <= _LONGEST_SLUG:
        return slug
    return f"{slug[:_LONGEST_SLUG]}-{_hash(path)}"


def _hash(text: str) -> str:
    """The classic 31-fold string hash over UTF-16 units, as signed 32 bits, in base 36."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    value = 0
    for index in range(0, len(encoded), 2):
        value = (value * 31 + int.from_bytes(encoded[index : index + 2], "little")) & 0xFFFFFFFF
    value = abs(value - (1 << 32) if value >= 1 << 31 else value)
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"


def find_sessions(directory: str | os.PathLike[str], *, recursive: bool = True) -> list[Path]:
    """The sessions' main files in a directory, sorted by path.

    Left out: sub-agents' transcripts (they are read with their session), workflow journals, hidden
    files, and files of no bytes, which Claude Code leaves behind where nothing was said. Symbolic
    links to directories are followed, each directory once. Raises InputError if the directory
    cannot be listed. A folder below it that cannot be listed stands in the list itself: whoever
    reads it reports the error, and its sessions are not silently missing.
    """
    root = Path(directory).expanduser()
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise InputError(f"{root}: is a file, not a directory")
    except FileNotFoundError as error:
        raise InputError(f"{root}: no such directory") from error
    except OSError as error:
        raise InputError(f"{root}: cannot be read: {error.strerror}") from error
    return sorted(_walk(root, recursive=recursive))


def local_sessions(cwd: str | os.PathLike[str] | None = None) -> list[Path]:
    """Sessions that were started in `cwd` (default: the current directory), the newest first: the
    one that was last active.

    Claude Code names the folder by the directory it was started in, which may be given through a
    symbolic link: both spellings are looked at. Other directories can share the folder, so that
    each session's own record decides.
    """
    given = Path(cwd).expanduser() if cwd is not None else Path.cwd()
    spellings = dict.fromkeys((project_slug(given.absolute()), project_slug(given.resolve())))
    found: dict[Path, tuple[float, float]] = {}
    for slug in spellings:
        folder = claude_projects_dir() / slug
        if folder.is_dir():
            for path in find_sessions(folder, recursive=False):
                started = _started_in(path)
                if started is not None and os.path.realpath(started) == os.path.realpath(given):
                    found[path] = last_activity(path)
    return newest_first(found)


def newest_first(active: Mapping[Path, tuple[float, float]]) -> list[Path]:
    """Sessions in order of their last activity."""
    return sorted(active, key=lambda path: (*(-moment for moment in active[path]), str(path)))


def last_activity(path: Path) -> tuple[float, float]:
    """When a session was last active, in seconds: the time of its last entry, and then the file's,
    which stands for the former too where no entry near the end has a time.

    A copy of a session is as old as the session, whatever time the file system gives it.
    """
    changed = path.stat().st_mtime
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as packed:
                tail = packed.read()[-_TAIL:]
        else:
            with path.open("rb") as file:
                file.seek(max(path.stat().st_size - _TAIL, 0))
                tail = file.read()
    except (OSError, EOFError, zlib.error):
        return changed, changed
    for line in reversed(tail.split(b"\n")):
        moment = _moment(line)
        if moment is not None:
            return moment, changed
    return changed, changed


def _moment(line: bytes) -> float | None:
    """The time of an entry; None where it has none, or is not whole."""
    if b'"timestamp"' not in line:
        return None
    try:
        entry = json.loads(line)
        stamp = datetime.fromisoformat(str(entry["timestamp"]).replace("Z", "+00:00"))
        return stamp.timestamp()
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _started_in(path: Path) -> str | None:
    """The first working directory that a transcript names, None if it names none near its start."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as lines:
            for line in itertools.islice(lines, _LINES_BEFORE_CWD):
                if b'"cwd"' not in line:
                    continue
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict) and isinstance(entry.get("cwd"), str):
                    return str(entry["cwd"])
    except (OSError, EOFError):
        return None
    return None


def find_local_session(session_id: str) -> Path:
    """The file of a session on this machine, by its id; the newest if several projects hold it.

    Raises TraceNotFoundError if there is none.
    """
    projects = claude_projects_dir()
    # An id is a file's name, never a path or a pattern.
    plain = bool(session_id) and Path(session_id).name == session_id
    found = [
        path
        for folder in (sorted(projects.iterdir()) if plain and projects.is_dir() else ())
        for path in (folder / f"{session_id}.jsonl", folder / f"{session_id}.jsonl.gz")
        if path.is_file()
    ]
    if not found:
        raise TraceNotFoundError(
            f"session {session_id!r}: no transcript in {projects}; `skilltrace-mlflow list-traces"
            " --local` lists the sessions on this machine (CLAUDE_CONFIG_DIR moves the folder)"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


_PREFIX = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{3,}")


def is_prefix(text: str) -> bool:
    """Whether a text can be the beginning of a session's or a trace's id: four characters or more,
    none of which means anything to a path, a pattern or a query.
    """
    return _PREFIX.fullmatch(text) is not None


def local_ids_like(prefix: str) -> list[str]:
    """The ids of this machine's sessions that begin so, sorted; empty for no beginning of an id."""
    projects = claude_projects_dir()
    if not is_prefix(prefix) or not projects.is_dir():
        return []
    found = {
        entry.name.removesuffix(".gz").removesuffix(".jsonl")
        for folder in os.scandir(projects)
        if folder.is_dir()
        for entry in os.scandir(folder)
        if entry.name.startswith(prefix) and _is_session(entry)
    }
    return sorted(found)


def _walk(root: Path, *, recursive: bool) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    pending: list[Path] = [root]
    links: list[Path] = []
    while pending or links:
        # Links last: a directory that is reached both ways keeps its real name.
        folder = pending.pop() if pending else links.pop()
        try:
            identity = folder.stat()
            key = (identity.st_dev, identity.st_ino)
            if key in seen:
                continue
            seen.add(key)
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            if folder == root:
                raise InputError(f"{folder}: cannot be listed: {error.strerror}") from error
            yield folder
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if recursive and entry.name != _SUBAGENTS:
                    (links if entry.is_symlink() else pending).append(Path(entry.path))
            elif _is_session(entry):
                yield Path(entry.path)


def _is_session(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if not name.endswith(_SUFFIXES) or name.startswith("agent-") or name == "journal.jsonl":
        return False
    try:
        return entry.is_file() and entry.stat().st_size > 0
    except FileNotFoundError:  # a dangling link, or gone meanwhile
        return False


@dataclass(frozen=True, kw_only=True)
class LocalSession:
    """A session's file, its name's id and the one that is written in it."""

    path: Path
    ids: frozenset[str]


def sessions_on_this_machine(
    directory: str | os.PathLike[str] | None = None,
) -> list[LocalSession]:
    """Sessions in which a model answered, of all directories or of one.

    A session without an answer has no trace, however it was recorded.
    """
    if directory is not None:
        paths = local_sessions(directory)
    else:
        folder = claude_projects_dir()
        paths = find_sessions(folder) if folder.is_dir() else []
    return [session for path in paths if (session := _session(path)) is not None]


def _session(path: Path) -> LocalSession | None:
    ids = {path.name.removesuffix(".gz").removesuffix(".jsonl")}
    opener = gzip.open if path.suffix == ".gz" else open
    known = False
    try:
        with opener(path, "rb") as lines:
            for line in lines:
                if known and b'"assistant"' not in line:
                    continue
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(entry, dict):
                    continue
                if isinstance(entry.get("sessionId"), str):
                    ids.add(entry["sessionId"])
                    known = True
                if entry.get("type") == "assistant":
                    return LocalSession(path=path, ids=frozenset(i for i in ids if "'" not in i))
    except (OSError, EOFError):
        return None
    return None
