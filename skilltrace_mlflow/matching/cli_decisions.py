"""What Claude Code 2.1.332 decides about files and hosts when permission rules name none of them.

Deny and ask rules on Read and Edit reach into command lines as far as the CLI looks
(`commands.cli_files`); allow rules on them and the modes are answered here for tools and commands.

Of removals it asks in every mode, whatever an allow rule says (`clears_all`): `rm` and `rmdir` of
the working directory, of a folder above it, of the home folder, of `/` and the folders in it, and
of all that is in one of them (`*`, `/repo/*`); not of what a glob chooses from it (`s*`). They are
looked for behind `timeout`, `env`, `sh -c` and their like and in `$(…)`, not behind `sudo`, `eval`
and `xargs`. Behind a `cd`, `.` and `*` still mean everything.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from skilltrace_mlflow.commands.allowing import Permit, covers_line
from skilltrace_mlflow.commands.cli_files import seen_files
from skilltrace_mlflow.commands.cli_tables import (
    PREAPPROVED_HOSTS,
    PROTECTED_FILES,
    PROTECTED_FOLDERS,
    UNASKED_TOOLS,
)
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.shell import read_script, reads_posix
from skilltrace_mlflow.commands.wrappers import carried, is_shell_program, program_of
from skilltrace_mlflow.matching.cli_remarks import has_wildcard, names_server
from skilltrace_mlflow.matching.files import lines_without
from skilltrace_mlflow.matching.links import links_of, through
from skilltrace_mlflow.matching.selectors import Selector
from skilltrace_mlflow.patterns.paths import RulePath, clean_path, is_absolute, relative_to
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import EDITORS, MCP_PREFIX, PATH_KEYS, READERS, is_shell

__all__ = ["clears_all", "covered", "in_reach", "named_path", "reaches", "runs_unasked"]

_THROUGH = {"builtin", "command", "env", "nice", "nohup", "stdbuf", "time", "timeout"}
_EVERYTHING = re.compile(r"(?:^|/)\*+(?:/\**)*$")  # what is in a folder: `*`, `x/*`, `x/**/*`


@lru_cache(maxsize=512)
def _path_of(text: str) -> RulePath:
    return RulePath(text)


def named_path(call: ToolCall) -> str | None:
    """The path that a file tool names, None where it names none."""
    given = call.input or {}
    for key in PATH_KEYS:
        value = given.get(key)
        if isinstance(value, str) and value:
            return value
    if call.name == "Glob":
        pattern = given.get("pattern")
        if isinstance(pattern, str) and is_absolute(pattern):
            return _folder(pattern)
    return None


def _folder(pattern: str) -> str:
    """A glob up to its first component with a wildcard."""
    parts = pattern.split("/")
    plain = next((i for i, part in enumerate(parts) if set(part) & set("*?[{")), len(parts))
    return "/".join(parts[:plain]) or ("/" if pattern.startswith("/") else ".")


def in_reach(
    rule: Selector,
    name: str,
    calls: Sequence[ToolCall],
    session: Session,
    *,
    folders: Sequence[str] = (),
    deny: bool,
) -> Sequence[ToolCall]:
    """Those of a tool's calls of which `reaches` can say anything but no."""
    if rule.rule_name not in ("Read", "Edit"):
        return ()
    if not is_shell(name):
        if name not in EDITORS and name not in READERS and name != "Glob":
            return ()
        direct = rule.rule_name == "Read" and (name not in READERS or name == "Glob")
        return calls if direct or folders or links_of(session) else ()
    if not deny or rule.specifier is None or rule.specifier.path is None:
        return ()
    named = _path_of(rule.specifier.path).name
    if not named or not reads_posix(name) or links_of(session):
        return calls
    ruled_out = lines_without(session, named)
    return [call for call in calls if call.cwd is not None or id(call) not in ruled_out]


def reaches(
    rule: Selector,
    call: ToolCall,
    session: Session,
    *,
    folders: Sequence[str] = (),
    deny: bool,
) -> bool | None:
    """Whether a deny or ask rule on Read or Edit means a call that it does not name: a command that
    reads or edits the path (for deny rules alone), an edit of what must not be read, a path in an
    additional folder or through a link that the session made. None where that cannot be told.
    """
    name = rule.rule_name
    if name not in ("Read", "Edit"):
        return False
    if rule.specifier is None:
        return name == "Read" and call.name in EDITORS
    if rule.specifier.path is None:
        return False
    pattern = _path_of(rule.specifier.path)
    cwd = call.cwd or session.cwd
    bases = (session.cwd, *placed_folders(folders, session)) if pattern.spreads else (session.cwd,)
    if is_shell(call.name):
        line = (call.input or {}).get("command")
        if not isinstance(line, str) or not deny:
            return False
        way = "read" if name == "Read" else "edit"
        verdicts: set[bool | None] = set()
        for seen in seen_files(line, call.name):
            if seen.way == way:
                inner = [posixpath.join(seen.path, "*")] if seen.deep else []
                verdicts |= {
                    _met(pattern, path, cwd, session, call, bases) for path in (seen.path, *inner)
                }
        return True if True in verdicts else (None if None in verdicts else False)
    path = named_path(call)
    if path is None:
        return False
    if name == "Read" and (call.name in EDITORS or call.name == "Glob"):
        return _met(pattern, path, cwd, session, call, bases)
    elsewhere = len(bases) > 1 or links_of(session)
    if call.name in (EDITORS if name == "Edit" else READERS) and elsewhere:
        return _met(pattern, path, cwd, session, call, bases)
    return False


def _met(
    pattern: RulePath,
    path: str,
    cwd: str | None,
    session: Session,
    call: ToolCall,
    bases: Sequence[str | None],
) -> bool | None:
    """Whether a pattern means a path, as it stands or where links of the session lead it; it starts
    at each of the `bases`.
    """
    whole = _whole(path, cwd)
    verdict = _from(pattern, whole, bases)
    if verdict or not links_of(session):
        return verdict
    verdicts: set[bool | None] = {verdict}
    for target, link in through(session, whole, call):
        met = None if target is None else _from(pattern, target, bases)
        verdicts.add(met if link.certain or not met else None)
    return True if True in verdicts else (None if None in verdicts else False)


def _from(pattern: RulePath, path: str, bases: Sequence[str | None]) -> bool | None:
    """Whether a pattern that starts at one of the folders means a path."""
    verdict = pattern.matches(path, bases[0])
    return verdict or any(pattern.matches(path, base) for base in bases[1:]) or verdict


@lru_cache(maxsize=512)
def _placed(folder: str, cwd: str | None) -> str | None:
    cleaned = clean_path(folder)
    if is_absolute(cleaned):
        return cleaned
    return None if cwd is None else clean_path(posixpath.join(clean_path(cwd), cleaned))


def placed_folders(folders: Sequence[str], session: Session) -> tuple[str, ...]:
    """Additional folders as paths from the root, or from the home folder."""
    found = (_placed(folder, session.cwd) for folder in folders)
    return tuple(folder for folder in found if folder is not None)


def _whole(path: str, cwd: str | None) -> str:
    cleaned = clean_path(path)
    return cleaned if is_absolute(cleaned) or cwd is None else posixpath.join(cwd, cleaned)


def _allows(rules: Sequence[Selector], names: tuple[str, ...], path: str, session: Session) -> bool:
    """Whether an allow rule on one of the tools covers a path."""
    for rule in rules:
        if rule.rule_name not in names or rule.kind == "glob":
            continue
        path_rule = rule.specifier.path if rule.specifier is not None else None
        if path_rule is not None and RulePath(path_rule, allowing=True).matches(path, session.cwd):
            return True
    return False


def _inside(path: str, session: Session, folders: Sequence[str]) -> bool:
    """Whether a path is in the working directory, or in an additional one."""
    if any(_in_folder(path, folder, session.cwd) for folder in placed_folders(folders, session)):
        return True
    if session.cwd is None:
        return not is_absolute(clean_path(path)) and not clean_path(path).startswith("..")
    return relative_to(_whole(path, session.cwd), session.cwd) is not None


def _in_folder(path: str, folder: str, cwd: str | None) -> bool:
    whole = _whole(path, cwd)
    if folder.startswith("~"):
        return RulePath(folder, allowing=True).matches(whole, cwd) is True
    return relative_to(whole, folder) is not None and is_absolute(whole)


def _unprotected(path: str) -> bool:
    parts = clean_path(path).casefold().split("/")
    if ".claude" in parts and parts[parts.index(".claude") + 1 :][:1] == ["worktrees"]:
        parts = parts[parts.index(".claude") + 2 :]
    return parts[-1] not in PROTECTED_FILES and not set(parts) & set(PROTECTED_FOLDERS)


def _reading(
    rules: Sequence[Selector], path: str, session: Session, folders: Sequence[str]
) -> bool:
    return _inside(path, session, folders) or _allows(rules, ("Read", "Edit"), path, session)


def _editing(
    rules: Sequence[Selector], mode: str, path: str, session: Session, folders: Sequence[str]
) -> bool:
    if path == "/dev/null":
        return True
    if not _unprotected(path):
        return False
    if mode == "acceptEdits" and _inside(path, session, folders):
        return True
    return _allows(rules, ("Edit",), path, session)


def covered(
    rules: Sequence[Selector],
    mode: str,
    call: ToolCall,
    session: Session,
    folders: Sequence[str] = (),
) -> tuple[bool | None, str]:
    """Whether the allow rules and the mode let a call run, and the rule or the reason. `folders`
    count as the working directory does.

    A path through a link of the session is covered where its target is covered, too.
    """
    verdict, reason = _covered(
        rules, mode, call, session, _Links(session=session, call=call), folders
    )
    if verdict is False and links_of(session):
        sure = _Links(session=session, call=call, doubtful=False)
        if _covered(rules, mode, call, session, sure, folders)[0]:
            return None, "whether a link leads elsewhere cannot be told"
    return verdict, reason


@dataclass(frozen=True, kw_only=True)
class _Links:
    """The session's links as a call finds them; those that may not be there if `doubtful`."""

    session: Session
    call: ToolCall
    doubtful: bool = True

    def everywhere(self, test: Callable[[str], bool], path: str) -> bool:
        """Whether a path from the root passes a test as it stands and where it leads to."""
        return test(path) and all(
            target is not None and test(target)
            for target, link in through(self.session, path, self.call)
            if self.doubtful or (link.certain and target is not None)
        )


def _covered(
    rules: Sequence[Selector],
    mode: str,
    call: ToolCall,
    session: Session,
    links: _Links,
    folders: Sequence[str],
) -> tuple[bool | None, str]:
    cwd = call.cwd or session.cwd
    name = call.name
    if mode == "plan" and (name in EDITORS or name.startswith(MCP_PREFIX)):
        return False, "plan mode asks whatever a rule allows"
    meant = [rule for rule in rules if rule.selects_name(name) and not _skipped(rule)]
    if name in EDITORS:
        path = named_path(call)
        if path is None:
            return (
                (None, "its path is not recorded")
                if meant or mode == "acceptEdits"
                else (False, "")
            )
        whole = _whole(path, cwd)
        if not links.everywhere(_unprotected, whole):
            return False, "a protected path"
        if any(rule.specifier is None and rule.rule_name == name for rule in meant):
            return True, meant[0].text
        placed = mode == "acceptEdits" or any(r.specifier and r.specifier.path for r in meant)
        if placed and session.cwd is None and is_absolute(clean_path(path)):
            return None, "the working directory is not recorded"
        return links.everywhere(
            lambda each: _editing(rules, mode, each, session, folders), whole
        ), mode
    if name in READERS:
        path = named_path(call)
        bare = any(rule.specifier is None and rule.rule_name == name for rule in meant)
        inside = bare or links.everywhere(
            lambda each: _reading(rules, each, session, folders), _whole(path or ".", cwd)
        )
        if not inside and session.cwd is None:
            return None, "the working directory is not recorded"
        return inside, "reads in the working directory"
    if name == "Monitor":
        # covered by a rule on all of it or on the command, not by one on all of Bash
        meant = [rule for rule in meant if rule.specifier is None]
        meant += [
            rule
            for rule in rules
            if rule.selects_name("Bash") and rule.specifier is not None and not _skipped(rule)
        ]
    if is_shell(name):
        return _line(rules, meant, mode, call, session, links, folders)
    for rule in meant:
        if rule.specifier is None or rule.matches(call, session.cwd):
            return True, rule.text
    if any(rule.matches(call, session.cwd) is None for rule in meant):
        return None, "whether an allow rule covers it cannot be told"
    return runs_unasked(call), ""


def _skipped(rule: Selector) -> bool:
    """Whether Claude Code leaves an allow rule out: a glob that is no server's tools, a rule on an
    MCP tool with brackets, and `Tool(parameter:value)`, which is for deny and ask.
    """
    if rule.specifier is not None and rule.specifier.parameter:
        return True
    name, bracket, _ = rule.text.partition("(")
    if bracket and name.startswith(MCP_PREFIX):
        return True
    return has_wildcard(name) and not names_server(name)


def _line(
    rules: Sequence[Selector],
    meant: Sequence[Selector],
    mode: str,
    call: ToolCall,
    session: Session,
    links: _Links,
    folders: Sequence[str],
) -> tuple[bool | None, str]:
    line = (call.input or {}).get("command")
    if not isinstance(line, str) or call.input_truncated:
        return None, "its command is not recorded"
    cwd = call.cwd or session.cwd
    touched = [seen for seen in seen_files(line, call.name) if seen.way == "edit"]
    if not all(links.everywhere(_unprotected, _whole(seen.path, cwd)) for seen in touched):
        return False, "a protected path"
    for rule in meant:
        whole = rule.specifier is None and not rule.text.endswith("()")
        if whole or (
            rule.specifier is not None
            and rule.specifier.command is None
            and rule.matches(call, session.cwd)
        ):
            return True, rule.text
    permit = Permit(
        commands=[r.specifier.command for r in meant if r.specifier and r.specifier.command],
        edits=lambda path: links.everywhere(
            lambda each: _editing(rules, mode, each, session, folders), _whole(path, cwd)
        ),
        reads=lambda path: links.everywhere(
            lambda each: _reading(rules, each, session, folders), _whole(path, cwd)
        ),
        here=lambda path: relative_to(_whole(path, cwd), session.cwd) == ".",
        editing=mode == "acceptEdits",
    )
    return covers_line(line, permit), "each command is covered"


def runs_unasked(call: ToolCall) -> bool:
    """Whether Claude Code asks nobody about such a call, whatever the rules."""
    if call.name == "WebFetch":
        url = (call.input or {}).get("url")
        parts = urlsplit(url if isinstance(url, str) and "//" in url else f"https://{url}")
        host = (parts.hostname or "").casefold()
        place = f"{host}{parts.path}"
        return any(
            host == known or ("/" in known and (place == known or place.startswith(known + "/")))
            for known in PREAPPROVED_HOSTS
        )
    return call.name in UNASKED_TOOLS


def clears_all(call: ToolCall, session: Session) -> bool:
    """Whether a command removes the working directory, or more than it."""
    line = (call.input or {}).get("command")
    if not isinstance(line, str) or "rm" not in line:
        return False
    folders = {folder for folder in (call.cwd, session.cwd) if folder is not None}
    return any(_is_all(path, folders) for path in _removed(line))


def _removed(line: str) -> Iterator[str]:
    """The paths that a line removes; relative ones to where the line begins."""
    for command in read_script(line).commands:
        if not command.carried or command.substituted:
            yield from _of_words(command.words, command.folder)


def _of_words(words: Sequence[str], folder: str) -> Iterator[str]:
    program = program_of(words[0])
    if program in ("rm", "rmdir"):
        for word in words[1:]:
            if not word.startswith("-"):
                yield word
                yield posixpath.join(folder, word)
    elif program in _THROUGH or is_shell_program(program):
        for inner in carried(Command(words=tuple(words))):
            if isinstance(inner, str):
                yield from (posixpath.join(folder, path) for path in _removed(inner))
            elif inner:
                yield from _of_words(inner, folder)


def _is_all(path: str, folders: set[str]) -> bool:
    if UNKNOWN in path or UNKNOWN_WORDS in path:
        return False
    base = _EVERYTHING.sub("", path) or ("/" if path.startswith("/") else ".")
    cleaned = clean_path(base)
    if cleaned == "~" or (is_absolute(cleaned) and cleaned.count("/") == 1 and cleaned[0] == "/"):
        return True
    if not is_absolute(cleaned):
        # without a working directory `..` and the folder itself are all that is known
        return set(cleaned.split("/")) <= {".", ".."} or any(
            _holds(clean_path(posixpath.join(folder, base)), folder) for folder in folders
        )
    return any(_holds(cleaned, folder) for folder in folders)


def _holds(path: str, folder: str) -> bool:
    """Whether a folder is the path, or below it."""
    inner = clean_path(folder)
    return inner == path or inner.startswith(f"{path.rstrip('/')}/")
