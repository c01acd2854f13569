"""A fresh place for each attempt, and what the agent changed in it."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from skilltrace_mlflow.agent._copying import StoppedError, copy_tree
from skilltrace_mlflow.agent._processes import end_attempt
from skilltrace_mlflow.agent.options import AgentOptions
from skilltrace_mlflow.agent.protocol import Place
from skilltrace_mlflow.agent.skill import Skill, skill_at
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError

__all__ = [
    "SetupError",
    "Snapshot",
    "changes",
    "environment",
    "make_place",
    "new_base",
    "run_commands",
    "snapshot",
]

_PREFIX = "skilltrace-agent-"
_SETUP_SECONDS = 300.0
# Of larger files, and where there are many, only size and time are compared: a patch of them helps
# nobody, and both states are held in memory.
_LARGEST = 1_000_000
_MOST_BYTES = 64_000_000
_MOST_FILES = 20_000


class SetupError(EvaluationError):
    """The workspace could not be prepared as the manifest asks."""


def new_base() -> Path:
    """The folder of a new attempt, empty; the caller deletes it.

    Raises ConfigurationError if temporary folders lie inside a repository: Claude Code would take
    that for the project, with its CLAUDE.md and settings.
    """
    base = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    inside = next((p for p in base.parents if (p / ".git").exists()), None)
    if inside is not None:
        base.rmdir()
        raise ConfigurationError(
            f"temporary folders lie in the repository {inside}; set TMPDIR to a folder outside"
        )
    return base


def make_place(
    options: AgentOptions,
    skill: Skill,
    *,
    offered: bool = True,
    base: Path | None = None,
    stop: threading.Event | None = None,
) -> Place:
    """Make the folders of an attempt: the fixture copied without what tests know, the skills in
    place, the workspace marked as trusted. The caller deletes `Place.base`.

    The skill under test is `offered` or not; where the fixture holds it, that copy stays out in
    either case. Raises ConfigurationError for what cannot be copied, StoppedError, OSError.
    """
    place = Place(base=base or new_base())
    for folder in (place.config, place.home, place.temporary, place.workspace):
        folder.mkdir()
    if options.workspace is not None:
        root = options.workspace.resolve()

        def left_out(path: Path) -> bool:
            return skill.hides(path) or path == root / skill.place or path.name.startswith(_PREFIX)

        copy_tree(root, place.workspace, left_out, stop)
    for each in ([skill] if offered else []) + [skill_at(path) for path in options.skills]:
        each.install(place.workspace)
    _configure(place, options)
    return place


def _configure(place: Place, options: AgentOptions) -> None:
    # Without the mark of trust `permissions.allow` of a project's settings is ignored in `-p`.
    project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    state = {"hasCompletedOnboarding": True, "projects": {str(place.workspace): project}}
    _write(place.config / ".claude.json", state)
    if options.settings is not None:
        _write(place.base / "settings.json", options.settings)
    if options.mcp_config is not None:
        _write(place.base / "mcp.json", options.mcp_config)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def environment(place: Place, options: AgentOptions, outside: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the agent and of `setup` and `teardown`."""
    quiet = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    }
    if not options.bundled_skills:
        quiet["CLAUDE_CODE_DISABLE_BUNDLED_SKILLS"] = "1"
    # What it would write beside the workspace goes where it is deleted with it.
    places = {
        "HOME": str(place.home),
        "TMPDIR": str(place.temporary),
        "CLAUDE_CODE_TMPDIR": str(place.temporary),
        "CLAUDE_CONFIG_DIR": str(place.config),
    }
    return {"LANG": "C.UTF-8", **options.environment(outside), **quiet, **places}


def run_commands(
    commands: Iterable[str],
    place: Place,
    env: Mapping[str, str],
    *,
    what: str,
    stop: threading.Event | None = None,
) -> None:
    """Run shell commands in the workspace, one after the other. Raises SetupError if one fails,
    StoppedError when told to stop.
    """
    for command in commands:
        with (place.base / "commands.txt").open("w+b") as output:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=place.workspace,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            code = _wait(process, stop)
            if code != 0:
                end_attempt(process.pid, str(place.base), grace=0.5)
                process.wait()
                if code is None and stop is not None and stop.is_set():
                    raise StoppedError
                output.seek(0)
                said = output.read().decode("utf-8", "replace").strip()[-300:]
                how = f"took over {_SETUP_SECONDS:g} s" if code is None else f"ended with {code}"
                raise SetupError(f"agent.{what}: {command!r} {how}: {said or 'it said nothing'}")


def _wait(process: subprocess.Popen[bytes], stop: threading.Event | None) -> int | None:
    """The exit code of a process, None if it took too long or we were told to stop."""
    end = time.monotonic() + _SETUP_SECONDS
    while time.monotonic() < end and not (stop is not None and stop.is_set()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.1)
    return None


def initialise_git(place: Place, env: Mapping[str, str]) -> None:
    """Make the workspace a repository with one commit. Raises SetupError without git."""
    git = "git -c user.name=skilltrace -c user.email=skilltrace@localhost"
    run_commands(
        [
            "git init -q -b main && git add -A && "
            f"{git} commit -q --allow-empty --no-verify -m 'Start'"
        ],
        place,
        env,
        what="git",
    )


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What lies in a folder: content by relative path, of large files and links a description.

    Without `whole` there were too many files, and only the first ones are in it.
    """

    files: Mapping[str, bytes | str]
    whole: bool = True


def snapshot(folder: Path, since: Snapshot | None = None) -> Snapshot:
    """The state of a folder; to be compared with an earlier one, `since`."""
    found: dict[str, bytes | str] = {}
    before = {} if since is None else since.files
    left = _MOST_BYTES
    whole = True
    for directory, names, files in os.walk(folder):
        names[:] = sorted(n for n in names if n != ".git")
        links = [n for n in names if (Path(directory) / n).is_symlink()]
        for name in sorted((*files, *links)):
            path = Path(directory) / name
            key = path.relative_to(folder).as_posix()
            if key not in before and (len(found) >= _MOST_FILES or (since and not since.whole)):
                whole = False
                continue
            # In the form in which the earlier state has it, so that equal files are equal.
            readable = isinstance(before.get(key, b""), bytes) and (key in before or left > 0)
            found[key] = content = _content(path, readable)
            left -= len(content) if isinstance(content, bytes) else 0
        if not whole and since is None:
            break
    return Snapshot(files=found, whole=whole and (since is None or since.whole))


def _content(path: Path, readable: bool) -> bytes | str:
    try:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        status = path.stat()
        if not readable or not path.is_file() or status.st_size > _LARGEST:
            return f"{status.st_size} bytes, {status.st_mtime_ns}"
        return path.read_bytes()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def changes(before: Snapshot, after: Snapshot) -> str:
    """The changed files as one patch, in the form that `git apply` reads for text."""
    parts = []
    if not (before.whole and after.whole):
        parts.append(f"Over {_MOST_FILES} files: only the first ones were compared.\n")
    for path in sorted({*before.files, *after.files}):
        old, new = before.files.get(path), after.files.get(path)
        if old == new:
            continue
        a = "/dev/null" if old is None else f"a/{path}"
        b = "/dev/null" if new is None else f"b/{path}"
        lines = [_lines(content) for content in (old, new)]
        if None in lines:
            parts.append(f"Binary files {a} and {b} differ\n")
            continue
        header = f"diff --git a/{path} b/{path}\n"
        if old is None:
            header += "new file mode 100644\n"
        elif new is None:
            header += "deleted file mode 100644\n"
        body = (
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(lines[0] or [], lines[1] or [], a, b)
        )
        parts.append(header + "".join(body))
    return "".join(parts)


def _lines(content: bytes | str | None) -> list[str] | None:
    if content is None:
        return []
    if isinstance(content, str) or b"\0" in content:
        return None
    try:
        return content.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return None
