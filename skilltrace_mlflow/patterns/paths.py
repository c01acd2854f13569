"""Paths and the patterns that select them: pure text, no file system.

Both POSIX and Windows paths work; `\\` counts as a separator where a path shows that it is
Windows' (a drive, or backslashes and no slash), and such paths are compared without regard to case.
Names are compared in Unicode's composed form (NFC), whichever a file system wrote.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "FolderPattern",
    "PathPattern",
    "Place",
    "RulePath",
    "any_matches",
    "clean_path",
    "expand_braces",
    "globs_meet",
    "is_absolute",
    "match_parts",
    "place_of",
    "relative_to",
]

_DRIVE = re.compile(r"^([A-Za-z]):(?=[/\\]|$)")
_WILD = re.compile(r"\[[^\]]*\]?|[*?]")
_PLAIN = re.compile(r"[^*?\[]*")
_PLAIN_NAME = re.compile(r"[\w.-]+", re.ASCII)
_ESCAPED = re.compile(r"\\([\[\]*?])")
_LITERAL = {"[": "[[]", "]": "]", "*": "[*]", "?": "[?]"}
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_HOME = re.compile(r"^(?:~|/root|/(?:home|Users)/[^/]+|/[a-z]/users/[^/]+)(?=/|$)")


@lru_cache(maxsize=8192)
def clean_path(path: str) -> str:
    """`path` with forward slashes, without `.`, `..`, doubled slashes; `C:\\x` becomes `/c/x`."""
    if not path.isascii():
        path = unicodedata.normalize("NFC", path)
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
    windows = _is_windows(path) or (cwd is not None and _is_windows(cwd))
    if windows:
        cleaned = cleaned.casefold()
    if cwd is not None and cleaned.startswith(".."):
        cleaned = clean_path(posixpath.join(clean_path(cwd), cleaned))
    inside = relative_to(cleaned, cwd)
    return Place(
        cleaned,
        tuple(cleaned.lstrip("/").split("/")),
        None if inside is None else tuple(inside.split("/")),
        windows,
    )


def _is_windows(path: str) -> bool:
    return _DRIVE.match(path) is not None or (path.startswith("\\\\") and "/" not in path)


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
        self.here = False
        if below:
            cleaned = cleaned.rstrip("/") + "/**"
        self.parts = tuple(cleaned.lstrip("/").split("/"))
        if cleaned == ".":  # the working directory, and all below it
            self.by_name, self.parts = False, ("**",)
            self.here = True

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
        if self.here:
            return False if cwd is not None else None
        if pattern[0] == "**":
            return match_parts(pattern, place.parts)
        if cwd is not None:
            return False
        return None if _any_suffix_matches(pattern, place.parts) else False

    def may_meet(self, path: str, cwd: str | None, *, below: bool = False) -> bool:
        """Whether a file that `path` stands for (a glob, or what is below it) could match."""
        place = place_of(path, cwd)
        pattern = self.parts
        if place.windows:
            pattern = tuple(piece.casefold() for piece in pattern)
        tail = ("**",) if below else ()
        if self.by_name:
            return below or globs_meet(pattern, place.parts[-1:])
        outside = pattern[0] == ".." and cwd is not None
        if self.absolute or outside or place.below is None:
            whole = _absolute(place.cleaned, cwd)
            if whole is None:
                return True
            if outside:
                beside = posixpath.join(clean_path(str(cwd)), "/".join(pattern))
                pattern = _parts_of(clean_path(beside))
            elif not self.absolute:
                base = () if cwd is None else _parts_of(clean_path(cwd))
                if place.windows:
                    base = tuple(piece.casefold() for piece in base)
                pattern = (*base, *pattern) if pattern[0] != "**" else pattern
            return globs_meet(pattern, (*_parts_of(whole), *tail))
        inside = () if place.below == (".",) else place.below
        return globs_meet(pattern, (*inside, *tail))

    @staticmethod
    def _absolute(pattern: tuple[str, ...], place: Place, cwd: str | None) -> bool | None:
        whole = _absolute(place.cleaned, cwd)
        if whole is None:
            suffixes = (pattern[i:] for i in range(len(pattern)))
            return None if any(match_parts(p, place.parts) for p in suffixes) else False
        return match_parts(pattern, whole.lstrip("/").split("/"))


def _any_suffix_matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return any(match_parts(pattern, parts[i:]) for i in range(len(parts)))


def globs_meet(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether some path matches both patterns, `**` standing for any number of components.

    Two components with wildcards are taken to meet where their beginnings and ends agree.
    """
    reachable = {0}  # how much of `other` can be consumed by the part of `one` so far
    reachable = _skip(reachable, other)
    for piece in one:
        if piece == "**":
            reachable = set(range(min(reachable), len(other) + 1))
        else:
            ahead = {
                at + 1 for at in reachable if at < len(other) and _pieces_meet(piece, other[at])
            }
            # `**` of the other may stand for this component and for more
            ahead |= {at for at in reachable if at < len(other) and other[at] == "**"}
            reachable = _skip(ahead, other)
        if not reachable:
            return False
    return len(other) in reachable


def _skip(reachable: set[int], other: Sequence[str]) -> set[int]:
    found = set(reachable)
    for at in sorted(reachable):
        while at < len(other) and other[at] == "**":
            at += 1
            found.add(at)
    return found


def _pieces_meet(one: str, other: str) -> bool:
    if one == other or other == "**":
        return True
    if _PLAIN.fullmatch(one):
        return not _PLAIN.fullmatch(other) and fnmatchcase(one, other)
    if _PLAIN.fullmatch(other):
        return fnmatchcase(other, one)
    starts = [_WILD.split(text)[0] for text in (one, other)]
    ends = [_WILD.split(text)[-1] for text in (one, other)]
    return (starts[0].startswith(starts[1]) or starts[1].startswith(starts[0])) and (
        ends[0].endswith(ends[1]) or ends[1].endswith(ends[0])
    )


def _parts_of(cleaned: str) -> tuple[str, ...]:
    return tuple(part for part in cleaned.split("/") if part)


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
    if piece == part:
        return True
    glob = _glob_of(piece)
    return glob is not None and glob(part) is not None


@lru_cache(maxsize=1024)
def _glob_of(piece: str) -> Callable[[str], re.Match[str] | None] | None:
    """What a component with wildcards is compared with, None for a plain one."""
    return None if _PLAIN.fullmatch(piece) else re.compile(translate(piece)).match


@lru_cache(maxsize=8192)
def _casefolded(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The components without letter case; several patterns ask for the same ones."""
    return tuple([part.casefold() for part in parts])


class FolderPattern:
    """A gitignore pattern: one that names a folder covers what is below it.

    Four anchors: `//x` is the file system's root, `~/x` the home folder (that of the working
    directory, `/home/x`, `/Users/x` or `/root`; where it is in none, any), `/x` the folder that
    settings belong to (here: the working directory), `x` and `./x` the working directory. A pattern
    without a slash matches at any depth.
    """

    folds = False  # whether letter case never counts

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
        if not pattern.isascii():
            pattern = unicodedata.normalize("NFC", pattern)
        self.pieces = tuple(piece for piece in pattern.split("/") if piece not in ("", "."))
        if self.anchor == "here" and self.anywhere(text, pattern):
            self.pieces = ("**", *self.pieces)
        self.folded = tuple(piece.casefold() for piece in self.pieces)

    def anywhere(self, text: str, pattern: str) -> bool:
        """Whether it matches at any depth."""
        return not text.startswith(("/", "./")) and "/" not in pattern.rstrip("/")

    def matches(self, path: str, cwd: str | None) -> bool | None:
        """Whether it matches; None if that depends on a working directory that is not known."""
        place = place_of(path, cwd)
        pieces = self.folded if place.windows or self.folds else self.pieces
        subject = self._subject(place, cwd)
        if subject is None:
            parts = self._folded(place.parts)
            ends = (parts[i:] for i in range(len(parts)))
            return None if any(match_parts(pieces, end, below=True) for end in ends) else False
        if subject and match_parts(pieces, self._folded(subject), below=True):
            return True
        return None if self.anchor == "home" and self._elsewhere(pieces, place, cwd) else False

    def _elsewhere(self, pieces: tuple[str, ...], place: Place, cwd: str | None) -> bool:
        """Whether a path would match if the home were another folder, which no record names."""
        whole = _absolute(place.cleaned, cwd)
        if whole is None or not pieces or not _PLAIN.fullmatch(pieces[0]):
            return False
        if place.below is not None:
            return False  # no home is inside a project
        parts = self._folded(_parts_of(whole))
        ends = (parts[i:] for i in range(1, len(parts)) if parts[i] == pieces[0])
        return any(match_parts(pieces, end, below=True) for end in ends)

    def may_meet(self, path: str, cwd: str | None, *, below: bool = False) -> bool:
        """Whether a file that `path` stands for (a glob, or what is below it) could match."""
        if self.matches(path, cwd):
            return True  # a folder can be called x.py
        place = place_of(path, cwd)
        pieces = self.folded if place.windows or self.folds else self.pieces
        subject = self._subject(place, cwd)
        if subject is None:
            return True
        inside = () if subject == (".",) else self._folded(subject)
        parts = (*inside, "**") if below else inside
        # `*.py` means files; anything else may be a folder
        tail = () if pieces and "*." in pieces[-1] else ("**",)
        return bool(subject) and globs_meet((*pieces, *tail), parts)

    def _folded(self, parts: Sequence[str]) -> tuple[str, ...]:
        return _casefolded(tuple(parts)) if self.folds else tuple(parts)

    def _subject(self, place: Place, cwd: str | None) -> tuple[str, ...] | None:
        """The components to compare; empty where it cannot match, None where nobody can tell."""
        if self.anchor == "here":
            return () if place.below is None and cwd is not None else place.below
        whole = _absolute(place.cleaned, cwd)
        if whole is not None and self.anchor == "home":
            home, own = _HOME.match(whole), _HOME.match(clean_path(cwd)) if cwd else None
            if home is None:
                return ()
            if own is not None and home.group() not in ("~", own.group()):
                return None  # another's home, or that of an agent who works in another's
            whole = whole[home.end() :]
        return None if whole is None else tuple(whole.lstrip("/").split("/"))


class RulePath(FolderPattern):
    """The path in a permission rule, `Read(./secrets/**)`, as Claude Code 2.1.332 compares it.

    Letter case never counts. In deny and ask rules `/**` at the end falls away first, and a name
    that is left alone matches at any depth: `src/**`, `./src` and `src` are the same, `/src/**`,
    `src/*` and `a/b/**` stay where they are. Allow rules (`allowing`) keep what they say. `\\[` is
    a bracket.

    `spreads`: whether it holds in additional working directories too, each time from there.
    `name` is a component, casefolded, that a path below the working directory has to have to match;
    empty where there is none, and for patterns of other places, whose components may be the working
    directory's, which a path leaves out.
    """

    folds = True

    def __init__(self, text: str, *, allowing: bool = False) -> None:
        self.allowing = allowing
        self.only_below = text.endswith("/") and text.strip("/") != ""
        self.spreads = not allowing and not text.startswith(("/", "~"))
        inner = text
        if not allowing:
            while inner.endswith("/**") and inner.strip("/*"):
                inner = inner.removesuffix("/**")
        super().__init__(_ESCAPED.sub(lambda match: _LITERAL[match.group(1)], inner))
        self.text = text
        if self.only_below:
            self.pieces, self.folded = (*self.pieces, "*"), (*self.folded, "*")
        self.name = self._name()

    def _name(self) -> str:
        if self.anchor != "here":
            return ""
        parts = [part for part in self.folded if _PLAIN_NAME.fullmatch(part) and part.strip(".")]
        return max((part for part in parts if len(part) > 1), key=len, default="")

    def matches(self, path: str, cwd: str | None) -> bool | None:
        if self.name and self.name not in path.casefold():
            return False
        return super().matches(path, cwd)

    def anywhere(self, text: str, pattern: str) -> bool:
        return not text.startswith("/") and "/" not in pattern.rstrip("/")


def any_matches(
    patterns: Sequence[PathPattern | FolderPattern], path: str, cwd: str | None
) -> bool | None:
    """Whether one of the patterns matches; None if none does and one may."""
    verdicts = [pattern.matches(path, cwd) for pattern in patterns]
    return True if True in verdicts else (None if None in verdicts else False)


def _absolute(cleaned: str, cwd: str | None) -> str | None:
    if is_absolute(cleaned):
        return cleaned
    return None if cwd is None else clean_path(posixpath.join(clean_path(cwd), cleaned))
