"""Which files a session wrote and read, and which it may have: one answer for every check.

Files come from three sides: tools that name one (Edit, Write), command lines
(`commands.file_use`), and tools of MCP servers (`mcp_files`). What a call certainly did is told
apart from what it may have done: a call of unknown outcome, a command that may leave a file alone,
a target wider than the pattern (`rm -rf *`), a name that is filled in at run time.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from skilltrace_mlflow.commands.changes import folder_after, may_change_files
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS
from skilltrace_mlflow.commands.file_use import FileUse, file_uses
from skilltrace_mlflow.commands.prefilter import Line
from skilltrace_mlflow.commands.shell import reads_posix
from skilltrace_mlflow.matching.mcp_files import may_write, mcp_uses
from skilltrace_mlflow.matching.selectors import Selector
from skilltrace_mlflow.matching.session_calls import calls_by_name, shell_lines
from skilltrace_mlflow.patterns.paths import RulePath, is_absolute, relative_to
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import EDITORS, PATH_KEYS

__all__ = [
    "PathTest",
    "Touched",
    "attempted_files",
    "could_name",
    "directories",
    "hidden_writes",
    "lines_without",
    "meets",
    "rule_hits",
    "sure_hits",
    "touched_files",
    "unlisted_writes",
    "unsettled_writes",
    "written_files",
]


class PathTest(Protocol):
    """A pattern of paths: exactly, and for globs and whole folders."""

    def matches(self, path: str, cwd: str | None) -> bool | None:
        """Whether it matches; None if that depends on a working directory that is not known."""

    def may_meet(self, path: str, cwd: str | None, *, below: bool = False) -> bool:
        """Whether a file that the path stands for could match."""


@dataclass(frozen=True, kw_only=True)
class Touched:
    """One path that a call named for writing, deleting, making or reading it.

    `certain`: the call succeeded and does that. `line` is the command line, on one line, or the
    tool's name. `cwd` is the directory that a relative path belongs to, `placed` false where an
    earlier `cd` may have led to another.
    """

    use: FileUse
    certain: bool
    line: str
    cwd: str | None
    call: ToolCall
    placed: bool = True

    @property
    def shown(self) -> str:
        """The path for people; what the shell fills in is `…`."""
        return self.use.path.replace(UNKNOWN, "…").replace(UNKNOWN_WORDS, "…")


def written_files(session: Session) -> list[str]:
    """Paths that successful tool calls created or edited, each once, sorted."""
    return sorted({op.file_path for op in session.files if op.type != "read"})


def unsettled_writes(session: Session) -> list[str | None]:
    """Paths of writing calls of which nobody knows how they ended; None for a path that is not
    recorded, also where the call is known to have succeeded."""
    known = {op.call_id for op in session.files if op.call_id is not None}
    found: list[str | None] = []
    for call in session.tool_calls:
        if call.name not in EDITORS or call.id in known:
            continue
        if call.outcome not in ("unknown", "succeeded"):
            continue
        given = call.input or {}
        paths = [given[key] for key in PATH_KEYS if isinstance(given.get(key), str)]
        found.append(paths[0] if paths else None)
    return found


def touched_files(session: Session) -> list[Touched]:
    """What command lines and MCP tools wrote, moved and deleted; refused calls did nothing."""
    return [
        item
        for item in attempted_files(session, reading=False)
        if item.use.kind not in ("read", "list")
        and (item.call.outcome != "denied" or item.call.maybe_ran)
    ]


def attempted_files(session: Session, *, reading: bool) -> list[Touched]:
    """As `touched_files`, with what lines read and what refused calls would have done.

    Without `reading` lines that cannot write are not looked at, which most are.
    """
    return session.from_calls(
        ("touched_files", reading),
        lambda session: [*_of_lines(session, reading), *_of_servers(session)],
    )


def _of_lines(
    session: Session, reading: bool, wanted: Callable[[ToolCall, Line], bool] | None = None
) -> Iterator[Touched]:
    """What lines did with files, without `reading` those that may write; `wanted` leaves out more,
    but the directory is followed through every line.
    """
    moves: dict[str, _Moves] = {}  # by agent
    for call, found in shell_lines(session):
        if found is None:
            continue
        line = found.text
        mine = moves.get(call.agent)
        if mine is None:
            mine = moves[call.agent] = _Moves(session.cwd)
        earlier = mine if call.cwd is None else None
        moved = earlier is not None and earlier.moved
        looked = wanted is None or wanted(call, found)
        looked = looked and (reading or not reads_posix(call.name) or may_change_files(found))
        for use in file_uses(line, call.name) if looked else ():
            certain = call.outcome == "succeeded" and use.certain
            certain = certain and (is_absolute(use.path) or not moved)
            yield Touched(
                use=use,
                certain=certain,
                line=" ".join(line.split())[:80],
                cwd=call.cwd or session.cwd,
                call=call,
                placed=is_absolute(use.path) or not moved,
            )
            if earlier is not None and moved and not is_absolute(use.path):
                for folder in earlier.folders():
                    elsewhere = replace(use, path=posixpath.join(folder, use.path), inside=None)
                    yield Touched(
                        use=elsewhere,
                        certain=False,
                        line=" ".join(line.split())[:80],
                        cwd=session.cwd,
                        call=call,
                        placed=False,
                    )
        if "cd" in line or "pushd" in line or "popd" in line:
            mine.follow(line)


def _of_servers(session: Session) -> Iterator[Touched]:
    for name, calls in calls_by_name(session).items():
        if not name.startswith("mcp__"):
            continue
        for call in calls:
            for use in mcp_uses(name, call.input):
                certain = call.outcome == "succeeded" and use.certain
                yield Touched(
                    use=use, certain=certain, line=name, cwd=_directory(session, call), call=call
                )


def unlisted_writes(session: Session) -> str | None:
    """Whether Claude Code says that a command changed more files than it lists, in words."""
    if any("more_files" in call.details for call in session.tool_calls):
        return "a command changed more files than the record lists"
    return None


def hidden_writes(session: Session) -> str | None:
    """Why a command or a server's tool may have written what nobody sees; None if what each of them
    was given is recorded.
    """
    if any(line is None or call.input_truncated for call, line in shell_lines(session)):
        return "some command lines are not recorded, or not whole"
    for name, calls in calls_by_name(session).items():
        hidden = any(call.input is None or call.input_truncated for call in calls)
        if hidden and name.startswith("mcp__") and may_write(name):
            return f"the arguments of {name} are not recorded, or not whole"
    return unlisted_writes(session)


def directories(session: Session) -> list[str]:
    """Other directories that the agents are known to have worked in."""
    return session.from_calls(("directories", session.cwd), _directories)


def _directories(session: Session) -> list[str]:
    found = {call.cwd for call in session.tool_calls if call.cwd}
    found |= {
        call.details["cwd_after"] for call in session.tool_calls if "cwd_after" in call.details
    }
    return sorted(found - {session.cwd})


def _directory(session: Session, call: ToolCall) -> str | None:
    return call.cwd or session.cwd


class _Moves:
    """Where an agent's lines may have left its shell; `moved`: elsewhere than it began."""

    def __init__(self, cwd: str | None) -> None:
        self.cwd = cwd
        self.moved = False
        self._folder = ""
        self._found: dict[str, None] = {}

    def follow(self, line: str) -> None:
        """Take note of the directory that a line ends in."""
        folder = folder_after(line)
        if not folder:
            return
        self.moved = self.moved or relative_to(folder, self.cwd) != "."
        self._folder = posixpath.normpath(posixpath.join(self._folder, folder))
        if self._folder != ".":
            self._found.setdefault(self._folder)

    def folders(self) -> list[str]:
        """The last few of the directories, in the order in which they were first entered."""
        return list(self._found)[-8:]


def meets(patterns: Sequence[PathTest], touched: Touched) -> bool | None:
    """Whether what was touched is what one of the patterns means; None if it may be.

    A path that matches as it stands is a hit, if the call is certain to have touched it; a glob, a
    folder with all below it, and a name filled in at run time may be one where they could.
    """
    use, cwd = touched.use, touched.cwd
    if use.unknown:
        shape = use.path.replace(UNKNOWN_WORDS, UNKNOWN)
        if shape.strip(UNKNOWN + "/") == "" or any(
            p.may_meet(_open(shape), cwd, below=True) for p in patterns
        ):
            return None
        return False
    if _holds_no_sources(use.path, cwd):
        # what names a file wherever it lies hardly means one that may lie there
        patterns = [p for p in patterns if p.matches(use.path, cwd) or not _means_any_folder(p)]
    literal = [p.matches(use.path, cwd) for p in patterns]
    if use.below:
        literal += [p.matches(posixpath.join(use.path, "*"), cwd) for p in patterns]
    inside = [p.matches(use.inside, cwd) for p in patterns] if use.inside else []
    if True in literal:
        return True if touched.certain else None
    if None in literal or True in inside or None in inside:
        return None
    wide = use.below or any(char in use.path for char in "*?[")
    if wide and any(p.may_meet(use.path, cwd, below=use.below) for p in patterns):
        return None
    return False


_TEMPORARY = ("/tmp/", "/private/tmp/", "/var/tmp/", "/private/var/folders/", "/dev/shm/")  # noqa: S108
_PRODUCTS = {
    ".cache", ".mypy_cache", ".next", ".nox", ".nuxt", ".parcel-cache", ".pytest_cache",
    ".ruff_cache", ".tox", ".turbo", ".venv", "__pycache__", "build", "coverage", "dist", "htmlcov",
    "node_modules", "target", "venv",
}  # fmt: skip


def _holds_no_sources(path: str, cwd: str | None) -> bool:
    """Whether a folder is a temporary one apart from the session's, or one of built things."""
    clean = posixpath.normpath(path)
    if posixpath.basename(clean) in _PRODUCTS:
        return True
    if cwd is None or not (clean + "/").startswith(_TEMPORARY):
        return False
    home = posixpath.normpath(cwd)
    return not (clean + "/").startswith(home + "/") and not (home + "/").startswith(clean + "/")


def _means_any_folder(pattern: PathTest) -> bool:
    """Whether a pattern names files in any folder: `.env`, `**/*.pem`."""
    return pattern.may_meet("-/-", "/+", below=True)


def _open(path: str) -> str:
    """A path in which a component that is filled in at run time stands for any number of them."""
    return "/".join("**" if UNKNOWN in part else part for part in path.split("/"))


def rule_hits(session: Session, rule: Selector) -> tuple[list[Touched], list[Touched]]:
    """Commands and MCP tools that read (or edit) what a rule such as `Read(./secrets/**)` means,
    and those that may have; attempts count.

    A search through a wider folder may have read what the rule names from the working directory;
    a hidden name (`.env`) is passed over by rg, and folders whose names are only listed by neither.
    """
    if not _is_on_files(rule):
        return [], []
    return _sorted_by(rule, attempted_files(session, reading=rule.rule_name == "Read"))


def sure_hits(session: Session, rule: Selector) -> list[Touched]:
    """The first half of `rule_hits`, for which only the lines are read that could name the path."""
    if not _is_on_files(rule):
        return []
    reading = rule.rule_name == "Read"
    ruled_out = lines_without(session, RulePath(str(rule.specifier.path)).name)  # type: ignore[union-attr]

    def wanted(call: ToolCall, _: Line) -> bool:
        return call.cwd is not None or id(call) not in ruled_out or not reads_posix(call.name)

    any_line = any(line is not None and wanted(call, line) for call, line in shell_lines(session))
    lines = _of_lines(session, reading, wanted) if any_line else ()
    items = (*lines, *_of_servers(session))
    return _sorted_by(rule, items)[0]


def _is_on_files(rule: Selector) -> bool:
    path = None if rule.specifier is None else rule.specifier.path
    return path is not None and rule.rule_name in ("Read", "Edit")


# What puts words together that do not stand in the line, or takes them apart.
_COMPOSING = ("`", "{", "^", "\0", UNKNOWN, UNKNOWN_WORDS, "+=", "printf")
_ESCAPES = re.compile(r"\\[0-7xuU]")
# A variable that is a word, or a component of one, by itself; its value stands in the line.
_WHOLE_VALUE = re.compile(
    r"""(?:^|(?<=[\s/;&|(=<>]))("?)\$[A-Za-z_]\w*\1(?=[\s/;&|)<>]|\Z)""", re.ASCII
)


def could_name(line: Line, name: str) -> bool:
    """Whether a path that a shell line names may have the component, quoting aside.

    A wildcard counts for nothing: a path with one is never certain to mean another.
    """
    if not name or name in line.folded:
        return True
    if line.composes:
        return True
    for mark in _COMPOSING:  # asked for every line: one search for all of them costs five times it
        if mark in line.text:
            return True
    if "\\" in line.text and _ESCAPES.search(line.text):
        return True
    return "$" in line.text and "$" in _WHOLE_VALUE.sub("", line.text)


def lines_without(session: Session, name: str) -> frozenset[int]:
    """Calls, by identity, whose POSIX lines name no path that may have the component."""

    def derive(session: Session) -> frozenset[int]:
        return frozenset(
            id(call)
            for call, line in shell_lines(session)
            if line is not None and not could_name(line, name)
        )

    return session.from_calls(("lines_without", name), derive)


def _sorted_by(rule: Selector, items: Sequence[Touched]) -> tuple[list[Touched], list[Touched]]:
    """What a rule on files means, and what it may mean."""
    path = str(rule.specifier.path)  # type: ignore[union-attr]
    near = "/" + path.removeprefix("./") if not path.startswith(("/", "~", "**")) else path
    exact, anchored = RulePath(path), RulePath(near)
    reading = rule.rule_name == "Read"
    sure: list[Touched] = []
    open_: list[Touched] = []
    for item in items:
        if (item.use.kind in ("read", "list")) != reading:
            continue
        met = _rule_met(exact, anchored, item, reading)
        if met is not False:
            (sure if met else open_).append(item)
    return sure, open_


def _rule_met(exact: RulePath, anchored: RulePath, item: Touched, reading: bool) -> bool | None:
    use = item.use
    if reading and not use.unknown and (use.below or use.kind == "list"):
        if exact.matches(use.path, item.cwd):
            return True if use.certain and item.placed else None
        if use.kind == "list" or (
            item.line.startswith("rg") and any(p.startswith(".") for p in anchored.pieces)
        ):
            return False
        return None if anchored.may_meet(use.path, item.cwd, below=True) else False
    if reading and use.unknown:
        shape = use.path.replace(UNKNOWN_WORDS, UNKNOWN)
        plain = shape.strip(UNKNOWN + "/") != ""
        return None if plain and anchored.may_meet(_open(shape), item.cwd) else False
    return meets((exact,), replace(item, certain=use.certain and item.placed))
