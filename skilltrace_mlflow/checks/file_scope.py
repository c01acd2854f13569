"""`file_scope`: where files may, and may not, be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks._bans import BAN_EXCEPTIONS, lift
from skilltrace_mlflow.checks._base import Example, Finding, Outcome, Verdict, check, conclude
from skilltrace_mlflow.checks._files import shell_writes, unsettled_writes, written_files
from skilltrace_mlflow.checks._paths import PathPattern, rule_path_matches
from skilltrace_mlflow.checks._schema import TEXTS, fixed
from skilltrace_mlflow.session import Session

__all__ = ["FileScope", "file_scope"]


@dataclass(frozen=True, kw_only=True)
class FileScope:
    """Patterns of files that alone may be written (None: all may), and that must not be."""

    allowed: tuple[PathPattern, ...] | None
    forbidden: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()


def parse(value: Mapping[str, Any], ban_exceptions: Sequence[str] = ()) -> FileScope:
    """`{allowed: ["src/**"], forbidden: [".env"]}`."""
    allowed = value.get("allowed")
    forbidden, lifted = lift(tuple(dict.fromkeys(value.get("forbidden", ()))), ban_exceptions)
    return FileScope(
        allowed=None if allowed is None else tuple(PathPattern(text) for text in allowed),
        forbidden=forbidden,
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
    the record. Patterns of `allowed` are those of `expected_files`; those of `forbidden` also cover
    everything below a folder they name. Paths are relative to the working directory.
    """
    shell = shell_writes(session)
    settled = sorted({*written_files(session), *shell.certain})
    doubtful = [*unsettled_writes(session), *shell.possible]
    composed = shell.composed
    findings = []
    if parameters.allowed is not None:
        findings.append(_allowed(session, parameters.allowed, settled, doubtful, composed))
    findings.extend(
        _forbidden(session, text, settled, doubtful, composed) for text in parameters.forbidden
    )
    note = "; ".join(f"lifted by name: {text}" for text in parameters.lifted)
    return conclude(
        session,
        findings,
        all_or_nothing=True,
        lost=session.lacks("files") or _hidden_lines(session),
        note=note,
        details={"written": settled},
    )


def _hidden_lines(session: Session) -> str | None:
    """Why a shell command may have written what nobody sees, None if all lines are recorded."""
    hidden = any(call.name == "Bash" and call.input is None for call in session.tool_calls)
    return "the commands of some Bash calls are not recorded" if hidden else None


def _allowed(
    session: Session,
    patterns: Sequence[PathPattern],
    settled: Sequence[str],
    doubtful: Sequence[str | None],
    composed: Sequence[str],
) -> Finding:
    def inside(path: str) -> bool | None:
        verdicts = [pattern.matches(path, session.cwd) for pattern in patterns]
        return True if True in verdicts else (None if None in verdicts else False)

    outside = [path for path in settled if inside(path) is False]
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        return Finding(text=f"written outside: {outside[0]}{more}", met=False)
    unplaced = [path for path in settled if inside(path) is None]
    open_ = [path for path in doubtful if path is None or inside(path) is not True]
    names = ", ".join(pattern.text for pattern in patterns)
    return _rest(f"only {names} written", unplaced, open_, composed)


def _forbidden(
    session: Session,
    text: str,
    settled: Sequence[str],
    doubtful: Sequence[str | None],
    composed: Sequence[str],
) -> Finding:
    def hit(path: str) -> bool | None:
        return _covers(text, path, session.cwd)

    inside = [path for path in settled if hit(path)]
    if inside:
        return Finding(text=f"{text}: written ({inside[0]})", met=False)
    unplaced = [path for path in settled if hit(path) is None]
    open_ = [path for path in doubtful if path is None or hit(path) is not False]
    return _rest(f"{text}: not written", unplaced, open_, composed)


def _covers(pattern: str, path: str, cwd: str | None) -> bool | None:
    # An absolute pattern is absolute here; only in permission rules it takes two slashes.
    anchored = f"/{pattern}" if pattern.startswith("/") else pattern
    return rule_path_matches(anchored, path, cwd)


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
