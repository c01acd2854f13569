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
from typing import NamedTuple

__all__ = [
    "PathPattern",
    "Place",
    "RulePath",
    "any_matches",
    "clean_path",
    "expand_braces",
    "is_absolute",
    "match_parts",
    "place_of",
    "relative_to",
]

_DRIVE = re.compile(r"^([A-Za-z]):(?=[/\\]|$)")
_PLAIN = re.compile(r"[^*?\[]*")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
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


class Place(NamedTuple):
    """A path taken apart: cleaned, its components, those below the working directory (None where
    it is not below one that is known), and whether it is Windows'.
    """

    cleaned: str
    parts: tuple[str, ...]
    below: tuple[str, ...] | None
    windows: bool


@lru_cache(maxsize=8192)
def place_of(path: str, cwd: str | None) -> Place:
    """Take a path apart; several patterns ask for the same one."""
    cleaned = clean_path(path)
    inside = relative_to(cleaned, cwd)
    return Place(
        cleaned,
        tuple(cleaned.lstrip("/").split("/")),
        None if inside is None else tuple(inside.split("/")),
        _DRIVE.match(path) is not None,
    )


def expand_braces(text: str) -> list[str]:
    """The patterns that `*.{sql,py}` stands for; never more than a few hundred."""
    done: list[str] = []
    waiting = [text]
    while waiting and len(done) + len(waiting) < 256:
        pattern = waiting.pop(0)
        match = _BRACES.search(pattern)
        if match is None:
            done.append(pattern)
            continue
        before, after = pattern[: match.start()], pattern[match.end() :]
        waiting[:0] = [f"{before}{choice}{after}" for choice in match.group(1).split(",")]
    return done + waiting


class PathPattern:
    """A file pattern: without `/` it matches the file's name, with one it matches whole components.

    `**` stands for any number of components; `src/` and `src/**` for everything below `src`. A
    pattern that starts with `/`, `~` or a drive is compared with the absolute path, any other with
    the path relative to the working directory; outside of it one that starts with `**` can match.
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
        place = place_of(path, cwd)
        pattern = self.parts
        if place.windows:
            pattern = tuple(piece.casefold() for piece in pattern)
        if self.by_name:
            return match_parts(pattern, place.parts[-1:])
        if self.absolute:
            return self._absolute(pattern, place, cwd)
        if pattern[0] == ".." and cwd is not None:
            beside = clean_path(posixpath.join(clean_path(cwd), "/".join(pattern)))
            return self._absolute(tuple(beside.lstrip("/").split("/")), place, cwd)
        if place.below is not None:
            return match_parts(pattern, place.below)
        if pattern[0] == "**":
            return match_parts(pattern, place.parts)
        if cwd is not None:
            return False
        return None if _any_suffix_matches(pattern, place.parts) else False

    @staticmethod
    def _absolute(pattern: tuple[str, ...], place: Place, cwd: str | None) -> bool | None:
        whole = _absolute(place.cleaned, cwd)
        if whole is None:
            suffixes = (pattern[i:] for i in range(len(pattern)))
            return None if any(match_parts(p, place.parts) for p in suffixes) else False
        return match_parts(pattern, whole.lstrip("/").split("/"))


def _any_suffix_matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return any(match_parts(pattern, parts[i:]) for i in range(len(parts)))


def match_parts(pattern: tuple[str, ...], parts: Sequence[str], *, below: bool = False) -> bool:
    """Whether path components match pattern components, `**` standing for any number of them.

    With `below` a pattern that matches a folder covers what is below it.
    """
    length = len(parts)
    at = 0
    for index, piece in enumerate(pattern):
        if piece == "**":
            rest = pattern[index + 1 :]
            if not rest:
                return length > at
            if below and len(rest) == 1 and _PLAIN.fullmatch(rest[0]):
                return rest[0] in parts[at:]
            return _match_deep(pattern[index:], parts, at, below=below)
        if at >= length or not (piece == parts[at] or _part_matches(piece, parts[at])):
            return False
        at += 1
    return below or at == length


def _match_deep(pattern: tuple[str, ...], parts: Sequence[str], start: int, *, below: bool) -> bool:
    reachable = {start}  # how many components the pattern so far can have consumed
    for index, piece in enumerate(pattern):
        if piece == "**":
            # "src/**" asks for something below src, "**/x" also matches x itself
            least = min(reachable) + (index == len(pattern) - 1)
            reachable = set(range(least, len(parts) + 1))
        else:
            reachable = {
                at + 1 for at in reachable if at < len(parts) and _part_matches(piece, parts[at])
            }
        if not reachable:
            return False
    return below or len(parts) in reachable


def _part_matches(piece: str, part: str) -> bool:
    # "[id].tsx" is a file's name in some frameworks before it is a set of characters
    return piece == part or (not _PLAIN.fullmatch(piece) and fnmatchcase(part, piece))


class RulePath:
    """The path in a permission rule, `Read(./secrets/**)`.

    As Claude Code documents it: gitignore patterns with four anchors. `//x` is the file system's
    root, `~/x` the home folder, `/x` the folder that the settings belong to (here: the working
    directory), `x` and `./x` the working directory. As in gitignore, a pattern without a slash
    matches at any depth, and one that names a folder covers what is below it.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.anchor = "here"
        if text.startswith("//") or _DRIVE.match(text):
            self.anchor = "root"
            pattern = clean_path(text).lstrip("/")
        elif text.startswith("~"):
            self.anchor = "home"
            pattern = text[1:].lstrip("/")
        else:
            pattern = text.removeprefix("./").lstrip("/")
        self.pieces = tuple(piece for piece in pattern.split("/") if piece)
        anchored = text.startswith(("/", "./"))
        if self.anchor == "here" and not anchored and "/" not in pattern.rstrip("/"):
            self.pieces = ("**", *self.pieces)
        self.folded = tuple(piece.casefold() for piece in self.pieces)

    def matches(self, path: str, cwd: str | None) -> bool | None:
        """Whether it matches; None if that depends on a working directory that is not known."""
        place = place_of(path, cwd)
        pieces = self.folded if place.windows else self.pieces
        subject: Sequence[str] | None
        if self.anchor == "here":
            subject = place.below
            if subject is None and cwd is not None:
                return False
        else:
            whole = _absolute(place.cleaned, cwd)
            if whole is not None and self.anchor == "home":
                home = _HOME.match(whole)
                if home is None:
                    return False
                whole = whole[home.end() :]
            subject = None if whole is None else whole.lstrip("/").split("/")
        if subject is None:
            ends = (place.parts[i:] for i in range(len(place.parts)))
            return None if any(match_parts(pieces, end, below=True) for end in ends) else False
        return match_parts(pieces, subject, below=True)


def any_matches(
    patterns: Sequence[PathPattern | RulePath], path: str, cwd: str | None
) -> bool | None:
    """Whether one of the patterns matches; None if none does and one may."""
    verdicts = [pattern.matches(path, cwd) for pattern in patterns]
    return True if True in verdicts else (None if None in verdicts else False)


def _absolute(cleaned: str, cwd: str | None) -> str | None:
    if is_absolute(cleaned):
        return cleaned
    return None if cwd is None else clean_path(posixpath.join(clean_path(cwd), cleaned))
