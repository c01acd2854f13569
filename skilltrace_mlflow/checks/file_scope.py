"""`file_scope`: where files may, and may not, be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import BAN_EXCEPTIONS, TEXTS, fixed, lift
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.files import (
    ShellWrites,
    shell_writes,
    unsettled_writes,
    written_files,
)
from skilltrace_mlflow.matching.selectors import shell_lines
from skilltrace_mlflow.patterns.paths import PathPattern, RulePath, any_matches, expand_braces
from skilltrace_mlflow.session import Session

__all__ = ["FileScope", "file_scope"]


@dataclass(frozen=True, kw_only=True)
class FileScope:
    """Patterns of files that alone may be written (None: all may), and that must not be.

    `forbidden` are the texts, each with the patterns it stands for.
    """

    allowed: tuple[PathPattern, ...] | None
    allowed_texts: tuple[str, ...] = ()
    forbidden: tuple[tuple[str, tuple[PathPattern | RulePath, ...]], ...] = ()
    lifted: tuple[str, ...] = ()


def parse(value: Mapping[str, Any], ban_exceptions: Sequence[str] = ()) -> FileScope:
    """`{allowed: ["src/**"], forbidden: [".env"]}`."""
    allowed = value.get("allowed")
    forbidden, lifted = lift(tuple(dict.fromkeys(value.get("forbidden", ()))), ban_exceptions)
    return FileScope(
        allowed=None
        if allowed is None
        else tuple(PathPattern(one) for text in allowed for one in expand_braces(text)),
        allowed_texts=tuple(allowed or ()),
        forbidden=tuple((text, _forbidding(text)) for text in forbidden),
        lifted=lifted,
    )


@check(
    name="file_scope",
    schema=fixed({"allowed": TEXTS, "forbidden": TEXTS}),
    parse=parse,
    additive=("forbidden",),
    companions={"ban_exceptions": BAN_EXCEPTIONS},
    examples=(
        Example(
            value={"allowed": ["src/**"], "forbidden": [".env"]},
            session={"cwd": "/repo", "created": ["/repo/src/a.py"], "read": ["/repo/.env"]},
            verdict=Verdict.PASS,
            why="reading is not writing",
        ),
        Example(
            value={"forbidden": [".git"]},
            session={"cwd": "/repo", "edited": ["/repo/.git/config"]},
            verdict=Verdict.FAIL,
            why="a forbidden folder covers what is below it",
        ),
    ),
)
def file_scope(session: Session, parameters: FileScope) -> Outcome:
    """Nothing was written outside `allowed`, and nothing inside `forbidden`.

    Written is what a tool created or edited, and what a shell command names as the target of a
    redirection, `tee`, `cp`, `mv`, `rm`, `touch` or `sed -i`; what other programs write is not in
    the record. Patterns are those of `expected_files`; those of `forbidden` also cover everything
    below a folder they name. Paths are relative to the working directory.
    """
    shell = shell_writes(session)
    settled = sorted({*written_files(session), *shell.certain})
    doubtful = [*unsettled_writes(session), *shell.possible]
    findings = []
    if parameters.allowed is not None:
        findings.append(_allowed(session, parameters, settled, doubtful, shell))
    findings.extend(
        _forbidden(session, name, patterns, settled, doubtful, shell)
        for name, patterns in parameters.forbidden
    )
    note = "; ".join(f"lifted by name: {text}" for text in parameters.lifted)
    return conclude(
        session,
        findings,
        all_or_nothing=True,
        lost=session.lacks("files") or _hidden_lines(session),
        note=note,
        details={"written": sorted({*settled, *(path for path, _ in shell.folders)})},
    )


def _hidden_lines(session: Session) -> str | None:
    """Why a shell command may have written what nobody sees, None if all lines are recorded."""
    hidden = any(line is None or call.input_truncated for call, line in shell_lines(session))
    return "some command lines are not recorded, or not whole" if hidden else None


def _allowed(
    session: Session,
    parameters: FileScope,
    settled: Sequence[str],
    doubtful: Sequence[str | None],
    shell: ShellWrites,
) -> Finding:
    def inside(path: str) -> bool | None:
        return any_matches(parameters.allowed or (), path, session.cwd)

    verdicts = {path: inside(path) for path in settled}
    open_ = [path for path in doubtful if path is None or inside(path) is not True]
    for path, below in shell.folders:
        if inside(path) is not True:
            if inside(below) is False:
                verdicts[path] = inside(path)
            else:
                open_.append(path)
    outside = [path for path, verdict in verdicts.items() if verdict is False]
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        return Finding(text=f"written outside: {outside[0]}{more}", met=False)
    unplaced = [path for path, verdict in verdicts.items() if verdict is None]
    names = ", ".join(parameters.allowed_texts)
    return _rest(f"only {names} written", unplaced, open_, shell.composed)


def _forbidden(
    session: Session,
    name: str,
    patterns: Sequence[PathPattern | RulePath],
    settled: Sequence[str],
    doubtful: Sequence[str | None],
    shell: ShellWrites,
) -> Finding:
    paths = [*settled, *(path for path, _ in shell.folders)]
    verdicts = {path: any_matches(patterns, path, session.cwd) for path in paths}
    inside = [path for path, verdict in verdicts.items() if verdict]
    if inside:
        return Finding(text=f"{name}: written ({inside[0]})", met=False)
    unplaced = [path for path, verdict in verdicts.items() if verdict is None]
    open_ = [
        path
        for path in (*doubtful, *(below for _, below in shell.folders))
        if path is None or any_matches(patterns, path, session.cwd) is not False
    ]
    return _rest(f"{name}: not written", unplaced, open_, shell.composed)


def _forbidding(text: str) -> tuple[PathPattern | RulePath, ...]:
    # An absolute pattern is absolute here; only in permission rules it takes two slashes.
    return tuple(
        pattern
        for one in expand_braces(text)
        for pattern in (PathPattern(one), RulePath(f"/{one}" if one.startswith("/") else one))
    )


def _rest(
    text: str, unplaced: Sequence[str], open_: Sequence[str | None], composed: Sequence[str]
) -> Finding:
    if unplaced:
        reason = f"{unplaced[0]}, but the working directory is not recorded"
    elif open_:
        reason = f"whether {open_[0] or 'a file'} was written is not recorded"
    elif composed:
        reason = f"`{composed[0]}` writes a file whose name is composed at run time"
    else:
        return Finding(text=text, met=True, could_break=True)
    return Finding(text=f"{text}? {reason}", met=None, could_break=True)
