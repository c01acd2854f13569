"""Paths and the patterns that select them: pure text, no file system.

Both POSIX and Windows paths work; `\\` counts as a separator where a path shows that it is
Windows' (a drive, or backslashes and no slash), and such paths are compared without regard to case.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

__all__ = [
    "PathPattern",
    "clean_path",
    "is_absolute",
    "match_parts",
    "relative_to",
    "rule_path_matches",
]

_DRIVE = re.compile(r"^([A-Za-z]):(?=[/\\]|$)")
_HOME = re.compile(r"^(?:~|/root|/(?:home|Users)/[^/]+|/[a-z]/users/[^/]+)(?=/|$)")


@lru_cache(maxsize=8192)
def clean_path(path: str) -> str:
    """`path` with forward slashes, without `.`, `..`, doubled slashes; `C:\\x` becomes `/c/x`."""
    drive = _DRIVE.match(path)
    if drive or (path.startswith("\\\\") and "/" not in path):
        path = path.replace("\\", "/").casefold()
        path = f"/{path[0]}{path[2:]}" if drive else path
    elif "\\" in path and "/" not in path:
        path = path.replace("\\", "/")
    cleaned = posixpath.normpath(path) if path else ""
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def is_absolute(path: str) -> bool:
    """Whether a cleaned path starts at a root or at the home folder."""
    return path.startswith(("/", "~"))


def relative_to(path: str, base: str | None) -> str | None:
    """The cleaned path relative to `base`; None if it is absolute and not below it (or no base)."""
    path = clean_path(path)
    if not is_absolute(path):
        return path
    if base is None:
        return None
    base = clean_path(base)
    if path == base:
        return "."
    prefix = base if base.endswith("/") else base + "/"
    return path[len(prefix) :] if path.startswith(prefix) else None


class PathPattern:
    """A file pattern: without `/` it matches the file's name, with one it matches whole components.

    `**` stands for any number of components; `src/` and `src/**` for everything below `src`. A
    pattern that starts with `/`, `~` or a drive is compared with the absolute path, any other with
    the path relative to the working directory.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        below = text.endswith(("/", "\\"))
        cleaned = clean_path(text)
        self.by_name = "/" not in text and "\\" not in text
        self.absolute = is_absolute(cleaned)
        if below:
            cleaned = cleaned.rstrip("/") + "/**"
        self.parts = tuple(cleaned.lstrip("/").split("/"))

    def matches(self, path: str, cwd: str | None) -> bool | None:
        """Whether it matches; None if that depends on a working directory that is not known."""
        cleaned = clean_path(path)
        parts = tuple(cleaned.lstrip("/").split("/"))
        pattern = self.parts
        if _DRIVE.match(path):
            pattern = tuple(piece.casefold() for piece in pattern)
        if self.by_name:
            return match_parts(pattern, parts[-1:])
        if self.absolute:
            if not is_absolute(cleaned):
                if cwd is None:
                    return None if _suffix_of(parts, pattern) else False
                cleaned = clean_path(posixpath.join(clean_path(cwd), cleaned))
                parts = tuple(cleaned.lstrip("/").split("/"))
            return match_parts(pattern, parts)
        inside = relative_to(cleaned, cwd)
        if inside is not None:
            return match_parts(pattern, tuple(inside.split("/")))
        if cwd is not None:
            return False
        return None if _any_suffix_matches(pattern, parts) else False


def _suffix_of(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    return any(match_parts(tuple(pattern[i:]), tuple(parts)) for i in range(len(pattern)))


def _any_suffix_matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return any(match_parts(pattern, parts[i:]) for i in range(len(parts)))


@lru_cache(maxsize=16384)
def match_parts(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether path components match pattern components, `**` standing for any number of them."""
    reachable = {0}  # how many components the pattern so far can have consumed
    for index, piece in enumerate(pattern):
        if piece == "**":
            start = min(reachable, default=len(parts) + 1)
            # "src/**" asks for something below src, "**/x" also matches x itself
            least = start + 1 if index == len(pattern) - 1 else start
            reachable = set(range(least, len(parts) + 1))
        else:
            reachable = {
                at + 1 for at in reachable if at < len(parts) and _part_matches(piece, parts[at])
            }
        if not reachable:
            return False
    return len(parts) in reachable


def _part_matches(piece: str, part: str) -> bool:
    # "[id].tsx" is a file's name in some frameworks before it is a set of characters
    return piece == part or fnmatchcase(part, piece)


def rule_path_matches(specifier: str, path: str, cwd: str | None) -> bool | None:
    """Whether a path meets the path in a permission rule, `Read(./secrets/**)`.

    As Claude Code documents it: gitignore patterns with four anchors. `//x` is the file system's
    root, `~/x` the home folder, `/x` the folder that the settings belong to (here: the working
    directory), `x` and `./x` the working directory. As in gitignore, a pattern without a slash
    matches at any depth, and one that names a folder covers what is below it. None if it depends on
    a working directory that is not known.
    """
    cleaned = clean_path(path)
    if _DRIVE.match(path):
        specifier = specifier.casefold()
    deep = False
    if specifier.startswith("//") or _DRIVE.match(specifier):
        pattern = clean_path(specifier).lstrip("/")
        subject = _absolute(cleaned, cwd)
    elif specifier.startswith("~"):
        pattern = specifier[1:].lstrip("/")
        whole = _absolute(cleaned, cwd)
        home = _HOME.match(whole) if whole is not None else None
        if whole is not None and home is None:
            return False
        subject = whole[home.end() :].lstrip("/") if whole is not None and home else None
    else:
        anchored = specifier.startswith(("/", "./"))
        pattern = specifier.removeprefix("./").lstrip("/")
        deep = not anchored and "/" not in pattern.rstrip("/")
        subject = relative_to(cleaned, cwd)
        if subject is None and cwd is not None:
            return False
    pieces = tuple(piece for piece in pattern.split("/") if piece)
    if deep:
        pieces = ("**", *pieces)
    if subject is None:
        parts = tuple(cleaned.lstrip("/").split("/"))
        return None if any(_covers(pieces, parts[i:]) for i in range(len(parts))) else False
    return _covers(pieces, tuple(subject.lstrip("/").split("/")))


def _covers(pieces: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return match_parts(pieces, parts) or match_parts((*pieces, "**"), parts)


def _absolute(cleaned: str, cwd: str | None) -> str | None:
    if is_absolute(cleaned):
        return cleaned
    return None if cwd is None else clean_path(posixpath.join(clean_path(cwd), cleaned))
