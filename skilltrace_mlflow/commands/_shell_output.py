"""What commands print, where their words alone say so."""

from __future__ import annotations

import re

from skilltrace_mlflow.commands.command import UNKNOWN

__all__ = ["LONGEST", "bounded", "output_of"]

_PRINTF_FIELD = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")
LONGEST = 200_000
_ASKED = {  # where a program is
    ("command", "-v"), ("type", "-p"), ("type", "-P"),
    ("asdf", "which"), ("mise", "which"), ("pyenv", "which"), ("rbenv", "which"),
}  # fmt: skip


def bounded(text: str) -> str:
    """What a line feeds to itself can double with every command."""
    return text if len(text) <= LONGEST else UNKNOWN


def output_of(words: list[str], stdin: str | None, *, read: bool) -> str:
    """What a command prints, where its words alone say so."""
    program = words[0].rsplit("/", 1)[-1]
    operands = words[1:]
    if program == "echo":
        escapes = False
        while operands and re.fullmatch(r"-[neE]+", operands[0]):
            escapes = escapes or "e" in operands[0]
            operands = operands[1:]
        text = " ".join(operands) + "\n"
        return _decode_escapes(text) if escapes else text
    if program == "printf" and operands:
        form = operands[0]
        rest = iter(operands[1:])
        filled = _PRINTF_FIELD.sub(lambda _: next(rest, ""), form)
        return _decode_escapes(filled) + " ".join(rest)
    if program in ("cat", "tee") and (program == "tee" or read or operands in ([], ["-"])):
        return UNKNOWN if stdin is None else stdin
    if program == "which" and len(operands) == 1:
        return operands[0] + "\n"
    if len(operands) == 2 and (program, operands[0]) in _ASKED:
        return operands[1] + "\n"
    return UNKNOWN


def _decode_escapes(text: str) -> str:
    pairs = (("\\n", "\n"), ("\\t", "\t"), ("\\\\", "\\"))
    for mark, char in pairs:
        text = text.replace(mark, char)
    return text
