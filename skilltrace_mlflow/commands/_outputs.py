"""Files that programs of which no table knows the operands are told to write, or to read.

Habits that most programs share: an option that names the output (`-o FILE`, `--output-dir`), a
subcommand that copies, whose last operand is the target (`docker cp`, `kubectl cp`, `aws s3 sync`),
and an option that names a file (`--env-file .env`). Whether the program does it is not certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["COPYING", "OUTPUT_OPTION", "named_inputs", "named_outputs"]

COPYING = frozenset(("cp", "copy", "copyto", "mv", "moveto", "sync", "download"))
OUTPUT_OPTION = re.compile(
    r"-o|--?out(?:put)?(?:[-_]?(?:file|path|dir|directory|folder))?|--?dest(?:ination|-dir)?"
    r"|--(?:pack-destination|target-dir)|-outfile"
)
_INPUT_OPTION = re.compile(r"--[\w-]*file")
_PATH = re.compile(r"[\w.~@%+,/-]*(?:/[\w.~@%+,/-]*|\w\.\w{1,5})")
_DOWNLOADING = {"pip": ("download", "wheel"), "pip3": ("download", "wheel"), "gh": ("download",)}


def named_outputs(program: str, words: Sequence[str]) -> Iterator[str]:
    """The paths that a command is told to write, in its own machine's files."""
    operands = [word for word in words if not word.startswith("-")]
    verbs = set(operands[:3])
    fetches = not verbs.isdisjoint(_DOWNLOADING.get(program, ()))
    for index, word in enumerate(words):
        name, sign, value = word.partition("=")
        if OUTPUT_OPTION.fullmatch(name) is None and not (
            fetches and name in ("-d", "-D", "--dir")
        ):
            continue
        value = value if sign else next(iter(words[index + 1 : index + 2]), "")
        if fetches or _PATH.fullmatch(value):
            yield value
    at = next((i for i, word in enumerate(operands[:3]) if word in COPYING), None)
    if at is None or len(operands) < at + 3:
        return
    target = operands[-1]
    if ":" not in target.split("/")[0]:  # another machine's, a bucket's
        yield target


def named_inputs(words: Sequence[str]) -> Iterator[str]:
    """The paths that a command is given in an option that ends with `file`."""
    for index, word in enumerate(words):
        name, sign, value = word.partition("=")
        if _INPUT_OPTION.fullmatch(name) is None or OUTPUT_OPTION.fullmatch(name) is not None:
            continue
        value = value if sign else next(iter(words[index + 1 : index + 2]), "")
        if value and not value.startswith("-"):
            yield value
