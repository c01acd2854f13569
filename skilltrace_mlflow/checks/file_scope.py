"""`file_scope`: where files may, and may not, be written."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import LIFTED, About, Items, declare, each, file_pattern
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.files import (
    Touched,
    directories,
    hidden_writes,
    meets,
    touched_files,
    unsettled_writes,
    written_files,
)
from skilltrace_mlflow.matching.links import links_of, through
from skilltrace_mlflow.patterns.paths import (
    FolderPattern,
    PathPattern,
    any_matches,
    clean_path,
    expand_braces,
)
from skilltrace_mlflow.session import Session, ToolCall

__all__ = ["FileScope", "file_scope"]


def _read_allowed(text: str, _: object) -> tuple[str, tuple[PathPattern, ...]]:
    return text, tuple(map(PathPattern, expand_braces(file_pattern(text))))


def _read_forbidden(text: str, _: object) -> tuple[str, tuple[PathPattern | FolderPattern, ...]]:
    # An absolute pattern is absolute here; only in permission rules it takes two slashes.
    return text, tuple(
        pattern
        for one in expand_braces(file_pattern(text))
        for pattern in (PathPattern(one), FolderPattern(f"/{one}" if one.startswith("/") else one))
    )


_EACH = "A path, a folder or a glob, from the working directory."


@dataclass(frozen=True, kw_only=True)
class FileScope:
    """Patterns of files that alone may be written (None: all may), and that must not be: the texts,
    each with the patterns it stands for."""

    allowed: (
        Annotated[
            tuple[tuple[str, tuple[PathPattern, ...]], ...],
            Items(read=each(_read_allowed)),
            About("Where files may be written, and nowhere else.", each=_EACH),
        ]
        | None
    ) = None
    forbidden: Annotated[
        tuple[tuple[str, tuple[PathPattern | FolderPattern, ...]], ...],
        Items(read=each(_read_forbidden), ban=True),
        About("Where nothing may be written.", each=_EACH),
    ] = ()
    lifted: Annotated[tuple[str, ...], LIFTED] = ()


_DECLARED = declare(FileScope)


@check(
    name="file_scope",
    declared=_DECLARED,
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

    Patterns are those of `expected_files`; those of `forbidden` also cover everything below a
    folder they name. Paths are relative to the working directory; letter case counts except in
    Windows paths.

    Seen: what a tool created or edited; what a shell command names as the target of a redirection,
    `tee`, `cp`, `mv`, `rm`, `touch`, `mkdir`, `sed -i`, `dd`, `install`, `ln`, `rsync`, `truncate`,
    `curl -o`, `wget`, `git checkout/restore/rm/mv` and their like, in the directory an earlier `cd`
    led to; file tools of MCP servers; what Claude Code itself says that a command changed.

    Unknown: a target wider than the pattern (`rm -rf *`, `mv infra old`, `git stash`, `tar -x`,
    `patch -p1`, `find -delete`), a name composed at run time, a call whose end is not recorded, a
    tool of an MCP server whose name says that it writes, a command on another machine or in a
    container, a forbidden file that program text names (`python -c "open('infra/a', 'w')"`), the
    same path in another directory that the session worked in, a path through a link that the
    session made or showed (`ln -s /etc/x x`, `ls -l`).

    Out of sight: what programs and scripts write by themselves (`python build.py`, `make`), and
    what git takes from other commits when it switches branches, pulls or merges.
    """
    touched = touched_files(session)
    settled = written_files(session)
    doubtful = unsettled_writes(session)
    findings = []
    if parameters.allowed is not None:
        findings.append(_allowed(session, parameters, settled, doubtful, touched))
    findings.extend(
        _forbidden(session, name, patterns, settled, doubtful, touched)
        for name, patterns in parameters.forbidden
    )
    note = "; ".join(f"lifted by name: {text}" for text in parameters.lifted)
    certain = (t.use.path for t in touched if t.certain and not t.use.unknown)
    return conclude(
        session,
        findings,
        all_or_nothing=True,
        lost=session.lacks("files", "tool_names") or hidden_writes(session),
        note=note,
        details={"written": sorted({*settled, *certain})},
    )


def _allowed(
    session: Session,
    parameters: FileScope,
    settled: Sequence[str],
    doubtful: Sequence[str | None],
    touched: Sequence[Touched],
) -> Finding:
    patterns = [pattern for _, one in parameters.allowed or () for pattern in one]

    def inside(path: str, cwd: str | None) -> bool | None:
        return any_matches(patterns, path, cwd)

    verdicts = {path: inside(path, session.cwd) for path in settled}
    for path, verdict in verdicts.items():
        if verdict is False and any(inside(path, cwd) for cwd in directories(session)):
            verdicts[path] = None
    open_ = [
        "a file" if path is None else path
        for path in doubtful
        if path is None or inside(path, session.cwd) is not True
    ]
    open_ += [
        shown
        for target, shown in _behind_links(session, settled, touched)
        if target is None or inside(target, session.cwd) is not True
    ]
    for item in touched:
        if item.use.kind != "folder" and not item.use.spoken:
            _place(item, inside, verdicts, open_)
    outside = [path for path, verdict in verdicts.items() if verdict is False]
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        calls = _writers(session, outside, touched)
        return Finding(text=f"written outside: {outside[0]}{more}", met=False, calls=calls)
    unplaced = [path for path, verdict in verdicts.items() if verdict is None]
    return _rest(
        f"only {', '.join(text for text, _ in parameters.allowed or ())} written", unplaced, open_
    )


def _place(
    item: Touched,
    inside: Callable[[str, str | None], bool | None],
    verdicts: dict[str, bool | None],
    open_: list[str],
) -> None:
    """Whether what a command wrote lies inside what is allowed."""
    use, cwd = item.use, item.cwd
    if use.unknown:
        open_.append(_composed(item))
        return
    paths = [use.path, *([posixpath.join(use.path, "*")] if use.below else [])]
    found = [inside(path, cwd) for path in paths]
    within = None if use.inside is None else inside(use.inside, cwd)
    if all(found) and (use.inside is None or within):
        return
    if use.below and found[-1]:
        open_.append(use.path)  # the folder itself, or only what is in it
    elif not item.certain or use.below:
        open_.append(use.path) if not (item.certain and not any(found)) else verdicts.setdefault(
            use.path, False
        )
    elif use.inside is None or within is False:
        verdicts.setdefault(use.path, found[0])
    else:
        open_.append(use.path)


def _forbidden(
    session: Session,
    name: str,
    patterns: Sequence[PathPattern | FolderPattern],
    settled: Sequence[str],
    doubtful: Sequence[str | None],
    touched: Sequence[Touched],
) -> Finding:
    verdicts = {path: any_matches(patterns, path, session.cwd) for path in settled}
    inside = [path for path, verdict in verdicts.items() if verdict]
    open_: list[str] = []
    for item in touched:
        met = meets(patterns, item)
        if met:
            inside.append(item.use.path)
        elif met is None:
            open_.append(_composed(item) if item.use.unknown else item.use.path)
    if inside:
        calls = _writers(session, inside, touched)
        return Finding(text=f"{name}: written ({inside[0]})", met=False, calls=calls)
    unplaced = [path for path, verdict in verdicts.items() if verdict is None]
    open_ += [
        "a file" if path is None else path
        for path in doubtful
        if path is None or any_matches(patterns, path, session.cwd) is not False
    ]
    open_ += [
        shown
        for target, shown in _behind_links(session, settled, touched)
        if target is None or any_matches(patterns, target, session.cwd) is not False
    ]
    paths = [*settled, *(item.use.path for item in touched if not item.use.unknown)]
    open_ += [
        path
        for cwd in directories(session)
        for path in paths
        if any_matches(patterns, path, cwd) is not False
    ]
    return _rest(f"{name}: not written", unplaced, open_)


def _behind_links(
    session: Session, settled: Sequence[str], touched: Sequence[Touched]
) -> list[tuple[str | None, str]]:
    """Where written paths lead by links that the session made or showed, and what is to be said.

    For doubts: whether a link was there when the file was written is not looked at. To make a link
    writes nothing to what it points at.
    """
    if not links_of(session):
        return []
    written: list[tuple[str, ToolCall | None]] = [
        (posixpath.join(session.cwd or "", path), None) for path in settled
    ]
    written += [
        (posixpath.join(item.cwd or "", item.use.path), item.call)
        for item in touched
        if item.use.kind == "write" and not item.use.unknown
    ]
    return [
        (target, f"{path} ({link.shown})")
        for path, call in written
        for target, link in through(session, path, None)
        if not (link.made and link.call is call and clean_path(path) == clean_path(link.place))
    ]


def _writers(
    session: Session, paths: Sequence[str], touched: Sequence[Touched]
) -> tuple[ToolCall, ...]:
    """The calls that wrote any of these paths."""
    wanted = set(paths)
    by_tool = {op.call_id for op in session.files if op.type != "read" and op.file_path in wanted}
    by_line = {id(item.call) for item in touched if item.use.path in wanted}
    return tuple(c for c in session.tool_calls if c.id in by_tool or id(c) in by_line)


def _composed(item: Touched) -> str:
    return f"a name composed at run time: `{item.line}`"


def _rest(text: str, unplaced: Sequence[str], open_: Sequence[str]) -> Finding:
    if unplaced:
        reason = f"{unplaced[0]}, but the working directory is not certain"
    elif open_:
        reason = f"whether {open_[0]} was written is not recorded"
    else:
        return Finding(text=text, met=True, could_break=True)
    return Finding(text=f"{text}? {reason}", met=None, could_break=True)
