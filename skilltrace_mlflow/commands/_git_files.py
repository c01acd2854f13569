"""Which files git's own commands change and show.

What git takes from other commits when it switches branches, pulls, merges or rebases is out of
sight: which files that touches stands in the repository alone.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["git_uses"]

_VALUED = {"-C", "-c", "--git-dir", "--work-tree", "--namespace"}
_OPTION_VALUES: Mapping[str, tuple[str, ...]] = {
    "checkout": ("-b", "-B", "--orphan", "--conflict"),
    "restore": ("-s", "--source", "--conflict"),
    "stash": ("-m", "--message"),
    "clean": ("-e", "--exclude"),
    "diff": ("-S", "-G", "-O", "--diff-filter"),
}
_SHOWING = ("diff", "show", "blame", "log", "cat-file", "grep", "annotate")


def git_uses(words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What a git command does with files, as the arguments of a `FileUse`."""
    folder = ""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        if words[index] == "-C" and index + 1 < len(words):
            folder = posixpath.join(folder, words[index + 1])
        index += 2 if words[index] in _VALUED else 1
    if index >= len(words):
        return
    for use in _uses(words[index], list(words[index + 1 :])):
        yield {**use, "path": posixpath.join(folder, use["path"])} if folder else use


def _uses(sub: str, words: list[str]) -> Iterator[dict[str, Any]]:
    operands, paths, flags, values = _taken(sub, words)
    for name in ("--output", "-o", "--output-directory"):
        if name in values and sub in ("diff", "log", "show", "format-patch", "archive"):
            yield {"kind": "write", "path": values[name]}
    if sub in ("rm", "mv"):
        cached = "--cached" in flags
        *sources, target = [*operands, *paths] if sub == "mv" else [*operands, *paths, ""]
        for source in sources if not cached and "-n" not in flags else ():
            yield {"kind": "delete", "path": source, "below": sub == "mv" or "-r" in flags}
        if sub == "mv" and sources:
            name = posixpath.basename(target)
            into = posixpath.join(target, posixpath.basename(sources[0].rstrip("/")))
            if len(sources) > 1 or target.endswith("/"):
                yield {"kind": "write", "path": into}
            else:
                yield {"kind": "write", "path": target, "inside": None if "." in name else into}
    elif sub == "restore":
        if not flags & {"--staged", "-S"} or flags & {"--worktree", "-W"}:
            yield from _changed([*operands, *paths])
    elif sub == "checkout":
        if paths:
            yield from _changed(paths)
        elif not {"-b", "-B", "--orphan", "--detach"} & flags:
            # `git checkout x`: a path, or a branch
            yield from _changed(operands[-1:], certain=False)
    elif sub == "stash":
        if not operands or operands[0] in ("push", "save", "pop", "apply"):
            yield from _changed(paths or ["."], certain=False)
    elif sub == "reset":
        if flags & {"--hard", "--merge", "--keep"}:
            yield from _changed(["."], certain=False)
    elif sub == "clean":
        dry = "-n" in flags or "--dry-run" in flags
        for path in [] if dry else [*operands, *paths] or ["."]:
            yield {"kind": "delete", "path": path, "below": True, "certain": False}
    elif sub in ("apply", "am"):
        yield from ({"kind": "read", "path": path} for path in operands)
        if not flags & {"--check", "--stat", "--numstat", "--cached"}:
            yield from _changed(["."], certain=False)
    elif sub == "worktree":
        if operands[:1] == ["add"]:
            for path in operands[1:2]:
                yield {"kind": "write", "path": path, "below": True}
    elif sub == "clone":
        target = operands[1] if len(operands) > 1 else ""
        target = target or posixpath.basename((operands or [""])[0]).removesuffix(".git")
        if target:
            yield {"kind": "write", "path": target, "below": True}
    elif sub == "init" and operands:
        yield {"kind": "folder", "path": operands[0]}
    elif sub in _SHOWING or sub == "add":
        for word in [*operands, *paths]:
            path = word.partition(":")[2] if sub in ("show", "cat-file") and ":" in word else word
            yield {"kind": "read", "path": path, "below": True}


def _changed(paths: Sequence[str], *, certain: bool = True) -> Iterator[dict[str, Any]]:
    for path in paths:
        wide = path in (".", "..", ":/") or path.endswith("/")
        yield {
            "kind": "write",
            "path": "." if path == ":/" else path,
            "below": True,
            "certain": certain and not wide,
        }


def _taken(sub: str, words: Sequence[str]) -> tuple[list[str], list[str], set[str], dict[str, str]]:
    """Operands, what stands behind `--`, options, and options' values."""
    valued = _OPTION_VALUES.get(sub, ())
    operands: list[str] = []
    flags: set[str] = set()
    values: dict[str, str] = {}
    waiting = ""
    for index, word in enumerate(words):
        if waiting:
            values[waiting], waiting = word, ""
        elif word == "--":
            return operands, list(words[index + 1 :]), flags, values
        elif word.startswith("--"):
            name, sign, value = word.partition("=")
            flags.add(name)
            if sign:
                values[name] = value
            elif name in valued:
                waiting = name
        elif word.startswith("-") and len(word) > 1:
            flags.update(f"-{letter}" for letter in word[1:])
            if word in valued or (sub in ("format-patch", "archive") and word == "-o"):
                waiting = word
        else:
            operands.append(word)
    return operands, [], flags, values
