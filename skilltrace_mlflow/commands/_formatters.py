"""Programs that rewrite the files they are given: formatters, linters that fix, converters.

Only files and folders that are named count: without an operand, or for `.`, what they rewrite is
their own affair, as with any build (`black .`, `cargo fmt`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["FORMATTERS", "rewritten"]

# By program and subcommand: options one of which has to be given; none where it always rewrites,
# and the options that keep it from it.
FORMATTERS: dict[str, tuple[str, str]] = {
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
    "stylelint": ("--fix", ""),
    "terraform fmt": ("", "-check"),
    "unix2dos": ("", ""),
    "yapf": ("-i --in-place", ""),
}


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
