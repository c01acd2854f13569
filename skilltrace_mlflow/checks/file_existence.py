"""`expected_files`: files that must have been created or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import About, Items, declare, each, file_pattern
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.files import (
    Touched,
    directories,
    meets,
    touched_files,
    unlisted_writes,
    unsettled_writes,
    written_files,
)
from skilltrace_mlflow.patterns.paths import PathPattern, any_matches, expand_braces
from skilltrace_mlflow.session import Session

__all__ = ["ExpectedFiles", "file_existence"]


def _read_pattern(text: str, _: object) -> tuple[str, tuple[PathPattern, ...]]:
    return text, tuple(map(PathPattern, expand_braces(file_pattern(text))))


@dataclass(frozen=True, kw_only=True)
class ExpectedFiles:
    """The patterns of which each must match a written file, `*.{sql,py}` apart."""

    files: Annotated[
        tuple[tuple[str, tuple[PathPattern, ...]], ...],
        Items(read=each(_read_pattern)),
        About("Files that must be written.", each="A path or a glob, from the working directory."),
    ]
    threshold: float = 1.0


_DECLARED = declare(ExpectedFiles)


@check(
    name="file_existence",
    key="expected_files",
    declared=_DECLARED,
    examples=(
        Example(
            value=["*.sql", "src/**/bronze_*.py"],
            session={
                "cwd": "/repo",
                "created": ["/repo/orders.sql", "/repo/src/pipelines/bronze_orders.py"],
            },
            verdict=Verdict.PASS,
            why="a name pattern matches in any folder, a path pattern from the working directory",
        ),
        Example(
            value=["a.py"],
            session={"cwd": "/repo", "created": ["/repo/data.py"]},
            verdict=Verdict.FAIL,
            why="whole names are compared, not endings",
        ),
    ),
)
def file_existence(session: Session, parameters: ExpectedFiles) -> Outcome:
    """For every pattern some file was created or modified, by a tool or by a shell command.

    A pattern without `/` matches the file's name; one with `/` matches whole path components
    relative to the working directory, or the absolute path. `*.{sql,py}` is either of the two.

    Seen: what a tool created or edited in a call that succeeded, what a shell command that
    succeeded names as its target (`file_scope` says which), file tools of MCP servers, and what
    Claude Code itself says that a command changed. A file that is deleted later was created all the
    same.

    Unknown: a call whose end is not recorded, a name composed at run time, a command that
    writes into a folder (`tar -x`, `cp -r`), one that may not have run (`a || touch b`, behind an
    `exit`) or ran elsewhere (`ssh`, a container), program text that names the file (`python -c`),
    the same path in another directory that the session worked in.

    Out of sight: what programs and scripts write by themselves (`python build.py`, `make`).
    """
    written = written_files(session)
    unsettled = unsettled_writes(session)
    shell = [item for item in touched_files(session) if item.use.kind == "write"]
    findings = []
    for name, patterns in parameters.files:
        verdicts = {path: any_matches(patterns, path, session.cwd) for path in written}
        found = sorted(path for path, verdict in verdicts.items() if verdict)
        met = [(item, meets(patterns, item)) for item in shell]
        found = found or sorted(
            item.use.path
            for item, verdict in met
            if verdict and _one(item) and not item.use.perhaps
        )
        if found:
            findings.append(Finding(text=f"{name}: {found[0]}", met=True))
            continue
        elsewhere = [
            path
            for cwd in directories(session)
            for path in written
            if any_matches(patterns, path, cwd)
        ]
        unplaced = [path for path, verdict in verdicts.items() if verdict is None] + elsewhere
        doubtful = [
            "a file" if p is None else p
            for p in unsettled
            if p is None or any_matches(patterns, p, session.cwd) is not False
        ]
        doubtful += [item.shown for item, verdict in met if verdict is not False]
        if unplaced:
            text = f"{name}: {unplaced[0]}, but the working directory is not certain"
        elif doubtful:
            text = f"{name}: whether {doubtful[0]} was written is not recorded"
        else:
            text = f"{name}: not written"
        verdict = None if unplaced or doubtful else False
        findings.append(Finding(text=text, met=verdict, could_meet=True))
    details = {"written": written}
    return conclude(
        session,
        findings,
        threshold=parameters.threshold,
        lost=session.lacks("files") or unlisted_writes(session),
        details=details,
    )


def _one(item: Touched) -> bool:
    """Whether one file is meant, not a glob's many or a folder's."""
    return not item.use.below and not any(char in item.use.path for char in "*?[")
