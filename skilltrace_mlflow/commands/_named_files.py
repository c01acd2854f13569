"""Files that commands are told to write, or to read, by habits that many programs share.

Formatters, linters that fix and converters rewrite the files and folders that they are given;
without an operand, or for `.`, what they rewrite is their own affair, as with any build (`black .`,
`cargo fmt`). Of programs whose operands no table knows, an option may name the output (`-o FILE`,
`--output-dir`) or a file (`--env-file .env`), and the last operand of a subcommand that copies is
its target (`docker cp`, `kubectl cp`, `aws s3 sync`): whether the program does it is not certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from skilltrace_mlflow.commands._program_text import pieces_of
from skilltrace_mlflow.commands.code_commands import code_language

__all__ = [
    "CHANGES_FILES",
    "COPYING",
    "FORMATTERS",
    "OUTPUT_OPTION",
    "named_inputs",
    "named_outputs",
    "paths_in_code",
    "rewritten",
]

# By program and subcommand: options one of which has to be given; none where it always rewrites,
# and the options that keep it from it.
FORMATTERS: dict[str, tuple[str, str]] = {
    "ansible-vault decrypt": ("", ""),
    "ansible-vault encrypt": ("", ""),
    "autoflake": ("-i --in-place", ""),
    "autopep8": ("-i --in-place", ""),
    "biome check": ("--write --apply --fix", ""),
    "biome format": ("--write --fix", ""),
    "black": ("", "--check --diff"),
    "clang-format": ("-i", ""),
    "dos2unix": ("", ""),
    "eslint": ("--fix", ""),
    "gofmt": ("-w", ""),
    "goimports": ("-w", ""),
    "isort": ("", "--check --check-only -c --diff"),
    "nbstripout": ("", ""),
    "prettier": ("--write -w", ""),
    "ruff check": ("--fix", ""),
    "ruff format": ("", "--check --diff"),
    "rustfmt": ("", "--check"),
    "shfmt": ("-w", ""),
    "sops": ("-i --in-place", ""),
    "stylelint": ("--fix", ""),
    "terraform fmt": ("", "-check"),
    "unix2dos": ("", ""),
    "yapf": ("-i --in-place", ""),
}
COPYING = frozenset(("cp", "copy", "copyto", "mv", "moveto", "sync", "download"))
OUTPUT_OPTION = re.compile(
    r"-o|--?out(?:put)?(?:[-_]?(?:file|path|dir|directory|folder))?|--?dest(?:ination|-dir)?"
    r"|--(?:pack-destination|target-dir)|-outfile"
)
_INPUT_OPTION = re.compile(r"--[\w-]*file")
_PATH = re.compile(r"[\w.~@%+,/-]*(?:/[\w.~@%+,/-]*|\w\.\w{1,5})|\.\w[\w.-]*")
_OPENS_FILES = re.compile(
    r"\bopen\b|[Rr]ead|[Ww]rite|\bFile\b|\bPath\b|\bfs\b|unlink|remove|rmtree|copy|move|rename|load"
    r"|save|to_(?:csv|json|parquet|excel|pickle)|>>?\s*\""
)
CHANGES_FILES = re.compile(
    r"[Ww]rite|unlink|[Rr]emove|[Dd]elete|rmtree|[Cc]opy|[Mm]ove|[Rr]ename|[Ss]ave|touch|truncate|dump"
    r"|to_(?:csv|json|parquet|excel|pickle)|put_contents|>>?\s*\"|[\"'](?:[rb]{0,2}\+|[wax][bt+]*)[\"']"
)
"""What program text has in it that changes files by their names, such as the mode of `open`."""
_DOWNLOADING = {"pip": ("download", "wheel"), "pip3": ("download", "wheel"), "gh": ("download",)}


def rewritten(program: str, words: Sequence[str]) -> Iterator[str]:
    """The paths that a formatter is told to rewrite."""
    operands = [word for word in words if not word.startswith("-")]
    row = FORMATTERS.get(program)
    if row is None and operands:
        row = FORMATTERS.get(f"{program} {operands[0]}")
        operands = operands[1:]
    if row is None:
        return
    needed, keeping = (set(text.split()) for text in row)
    if keeping & set(words) or (needed and not needed & set(words)):
        return
    yield from (word for word in operands if word not in (".", "./", "./..."))


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
    if not _is_elsewhere(target):
        yield target


def _is_elsewhere(path: str) -> bool:
    """Whether a path is another machine's, or a bucket's."""
    return ":" in path.split("/")[0]


def paths_in_code(
    program: str, words: Sequence[str], stdin: str | None
) -> Iterator[tuple[str, bool]]:
    """The literals of a program's text that look like paths, where it opens files at all, and
    whether it may change them."""
    language = code_language(program)
    if language is None:
        return
    for text in (*words, stdin or ""):
        if _OPENS_FILES.search(text) is None:
            continue
        changes = CHANGES_FILES.search(text) is not None
        for piece in pieces_of(text, language):
            if piece.kind == "text" and _PATH.fullmatch(piece.text):
                yield piece.text, changes


def named_inputs(words: Sequence[str]) -> Iterator[str]:
    """The paths that a command is given to read: in an option that ends with `file`, or to copy."""
    operands = [word for word in words if not word.startswith("-")]
    at = next((i for i, word in enumerate(operands[:3]) if word in COPYING), None)
    if at is not None:
        yield from (word for word in operands[at + 1 : -1] if not _is_elsewhere(word))
    for index, word in enumerate(words):
        name, sign, value = word.partition("=")
        if _INPUT_OPTION.fullmatch(name) is None or OUTPUT_OPTION.fullmatch(name) is not None:
            continue
        value = value if sign else next(iter(words[index + 1 : index + 2]), "")
        if value and not value.startswith("-"):
            yield value
