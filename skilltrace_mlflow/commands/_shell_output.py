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


# Of nothing they make nothing.
_FILTERS = frozenset({"cut", "grep", "head", "sort", "tail", "tr", "uniq"})


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

        def fill(field: re.Match[str]) -> str:
            text = next(rest, "")
            return _decode_escapes(text) if field.group().endswith("b") else text

        # an escape in the form is decoded, one in an operand only for %b
        pieces = _PRINTF_FIELD.split(form)
        fields = [fill(match) for match in _PRINTF_FIELD.finditer(form)]
        filled = "".join(
            part
            for piece, field in zip(pieces, [*fields, ""], strict=True)
            for part in (_decode_escapes(piece), field)
        )
        return filled + " ".join(rest)
    if program in ("cat", "tee") and (program == "tee" or read or operands in ([], ["-"])):
        return UNKNOWN if stdin is None else stdin
    if (program, operands[:1]) == ("crontab", ["-l"]) or (stdin == "" and program in _FILTERS):
        return ""  # the table that was there is nothing that the line does
    if program == "which" and len(operands) == 1:
        return operands[0] + "\n"
    if len(operands) == 2 and (program, operands[0]) in _ASKED:
        return operands[1] + "\n"
    return UNKNOWN


_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|0?([0-7]{1,3})|(.))",
    re.DOTALL,
)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\"}


def _decode_escapes(text: str) -> str:
    """A text with the escapes of printf and `echo -e` decoded, octal and hexadecimal ones too."""

    def decoded(match: re.Match[str]) -> str:
        for digits, base in zip(match.groups()[:4], (16, 16, 16, 8), strict=True):
            if digits is not None:
                number = int(digits, base)
                return chr(number) if number < 0x110000 else ""
        return _LETTERS.get(match.group(5), match.group())

    return _ESCAPE.sub(decoded, text)
