"""A folder as the agent gets it: a copy that leads nowhere outside itself.

A link out of the folder, or a `.git` file of a worktree, would let the agent write into what it was
copied from. So links that stay inside are kept, what others lead to is copied in their place, and
what can only be used where it is, is refused.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skilltrace_mlflow.errors import ConfigurationError

__all__ = ["Entry", "StoppedError", "copy_tree", "entries"]

LeftOut = Callable[[Path], bool]
"""Whether a path, absolute and without links in its folders, is not to be copied."""


class StoppedError(Exception):
    """The run was told to end in the middle of preparing an attempt."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing to copy: where it goes, relative to the copy, and what it is made from.

    `text` is what a link says, or the content of a file that has to say something else in a copy.
    """

    path: Path
    kind: Literal["folder", "file", "link", "text"]
    source: Path
    text: str = ""


def entries(root: Path, left_out: LeftOut) -> Iterator[Entry]:
    """What a copy of `root` holds, folders before what is in them, in a fixed order.

    Raises ConfigurationError for what cannot be copied: pipes and devices, a repository that lies
    elsewhere, a link to a folder around itself. OSError for what cannot be read.
    """
    root = root.resolve()
    yield from _Walk(root, left_out).folder(root, Path(), (root,))


def copy_tree(
    root: Path, target: Path, left_out: LeftOut, stop: threading.Event | None = None
) -> None:
    """Copy `root` to `target`, which may be there. Raises what `entries` does, and StoppedError."""
    target.mkdir(parents=True, exist_ok=True)
    folders = []
    for entry in entries(root, left_out):
        if stop is not None and stop.is_set():
            raise StoppedError
        copy = target / entry.path
        if entry.kind == "folder":
            copy.mkdir(exist_ok=True)
            folders.append((entry.source, copy))
        elif entry.kind == "link":
            copy.symlink_to(entry.text)
        elif entry.kind == "text":
            copy.write_text(entry.text, encoding="utf-8")
        else:
            shutil.copy2(entry.source, copy)
    for source, copy in reversed(folders):  # last: nothing can be put into a read-only folder
        shutil.copystat(source, copy)


@dataclass(frozen=True)
class _Walk:
    root: Path
    left_out: LeftOut

    def folder(self, folder: Path, path: Path, around: tuple[Path, ...]) -> Iterator[Entry]:
        """The entries of a folder without links in its own path; `around` are those it is in."""
        for source in sorted(folder.iterdir()):
            if not self.left_out(source):
                yield from self._entry(source, path / source.name, around)

    def _entry(self, source: Path, path: Path, around: tuple[Path, ...]) -> Iterator[Entry]:
        if source.is_symlink():
            yield from self._link(source, path, around)
            return
        mode = source.stat().st_mode
        if stat.S_ISDIR(mode):
            yield Entry(path=path, kind="folder", source=source)
            yield from self.folder(source, path, (*around, source))
        elif not stat.S_ISREG(mode):
            raise ConfigurationError(
                f"{source}: a pipe, socket or device cannot be copied for an attempt"
            )
        elif source.name == ".git":
            yield self._repository(source, path)
        else:
            yield Entry(path=path, kind="file", source=source)

    def _link(self, source: Path, path: Path, around: tuple[Path, ...]) -> Iterator[Entry]:
        try:
            target = source.resolve(strict=True)
        except (OSError, RuntimeError):  # it leads nowhere, or in a circle
            inside = Path(os.path.normpath(source.parent / source.readlink()))
            if inside.is_relative_to(self.root):
                yield Entry(path=path, kind="link", source=source, text=str(source.readlink()))
            return
        within = [p for p in (target, *target.parents) if not self.root.is_relative_to(p)]
        if any(map(self.left_out, within)):
            return  # what the agent must not see is not to be seen through a link either
        if target.is_relative_to(self.root) and source.is_relative_to(self.root):
            text = os.path.relpath(target, source.parent)
            yield Entry(path=path, kind="link", source=source, text=text)
            return
        if target in around or self.root.is_relative_to(target):
            raise ConfigurationError(
                f"{source}: the link leads to {target}, a folder around itself; it cannot be copied"
            )
        yield from self._entry(target, path, around)

    def _repository(self, source: Path, path: Path) -> Entry:
        """The `.git` file of a worktree or submodule."""
        text = source.read_text(encoding="utf-8", errors="surrogateescape")
        where = Path(text.partition("gitdir:")[2].strip() or ".")
        target = (source.parent / where).resolve()
        if not target.is_relative_to(self.root) or not source.is_relative_to(self.root):
            raise ConfigurationError(
                f"{source}: the repository lies in {target}, where the agent's git would write; "
                "name a folder without it (`git: true` makes one of the copy)"
            )
        relative = os.path.relpath(target, source.parent)
        return Entry(path=path, kind="text", source=source, text=f"gitdir: {relative}\n")
