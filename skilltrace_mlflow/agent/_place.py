"""A fresh place for each attempt, and what the agent changed in it."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from skilltrace_mlflow.agent._processes import end_attempt
from skilltrace_mlflow.agent.options import AgentOptions
from skilltrace_mlflow.agent.protocol import Place
from skilltrace_mlflow.agent.skill import Skill, skill_at
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError

__all__ = ["SetupError", "changes", "environment", "make_place", "run_commands", "snapshot"]

_SETUP_SECONDS = 300.0
# Of larger files only the size is compared; a patch of them helps nobody.
_LARGEST = 1_000_000
_MOST_FILES = 20_000


class SetupError(EvaluationError):
    """The workspace could not be prepared as the manifest asks."""


def make_place(options: AgentOptions, skills: Iterable[Skill]) -> Place:
    """Make the folders of an attempt: the fixture copied, the skills in place, the workspace
    marked as trusted. The caller deletes `Place.base`.

    Raises ConfigurationError if temporary folders lie inside a repository: Claude Code would take
    that for the project, with its CLAUDE.md and settings.
    """
    base = Path(tempfile.mkdtemp(prefix="skilltrace-agent-")).resolve()
    try:
        inside = next((p for p in base.parents if (p / ".git").exists()), None)
        if inside is not None:
            raise ConfigurationError(
                f"temporary folders lie in the repository {inside}; set TMPDIR to a folder outside"
            )
        place = Place(base=base)
        for folder in (place.config, place.home, place.temporary):
            folder.mkdir()
        if options.workspace is None:
            place.workspace.mkdir()
        else:
            shutil.copytree(options.workspace, place.workspace, symlinks=True)
        for skill in (*skills, *(skill_at(path) for path in options.skills)):
            skill.install(place.workspace)
        _configure(place, options)
    except BaseException:
        shutil.rmtree(base, ignore_errors=True)
        raise
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
    commands: Iterable[str], place: Place, env: Mapping[str, str], *, what: str
) -> None:
    """Run shell commands in the workspace, one after the other. Raises SetupError if one fails."""
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
            try:
                code: int | None = process.wait(timeout=_SETUP_SECONDS)
            except subprocess.TimeoutExpired:
                code = None
            if code != 0:
                end_attempt(process.pid, str(place.base), grace=0.5)
                process.wait()
                output.seek(0)
                said = output.read().decode("utf-8", "replace").strip()[-300:]
                how = f"took over {_SETUP_SECONDS:g} s" if code is None else f"ended with {code}"
                raise SetupError(f"agent.{what}: {command!r} {how}: {said or 'it said nothing'}")


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


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """What lies in a folder: content by relative path; of large files and links a description."""
    found: dict[str, bytes | str] = {}
    for directory, names, files in os.walk(folder):
        names[:] = sorted(n for n in names if n != ".git")
        for name in sorted(files):
            path = Path(directory) / name
            key = path.relative_to(folder).as_posix()
            try:
                if path.is_symlink():
                    found[key] = f"link to {path.readlink()}"
                    continue
                status = path.stat()
                if not path.is_file() or status.st_size > _LARGEST:
                    found[key] = f"{status.st_size} bytes, {status.st_mtime_ns}"
                else:
                    found[key] = path.read_bytes()
            except OSError as error:
                found[key] = f"unreadable: {error.strerror}"
            if len(found) >= _MOST_FILES:
                return found
    return found


def changes(before: Mapping[str, bytes | str], after: Mapping[str, bytes | str]) -> str:
    """The changed files as one patch, in the form that `git apply` reads for text."""
    parts = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
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
