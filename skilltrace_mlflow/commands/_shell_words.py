"""Words of a shell line as the shell resolves them: quotes, variables, substitutions, braces.

`output_of` is what commands print, where their words alone say so.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from skilltrace_mlflow.commands._shell_nodes import (
    EXPRESSIONS,
    decoded,
    expand_braces,
    has_braces,
    plain_text,
    text_of,
    unescaped,
)
from skilltrace_mlflow.commands._shell_segments import maybe_options
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["LONGEST", "Words", "as_one", "bounded", "in_turn", "output_of"]

_ALL_PARAMETERS = {"$@", "$*", "${@}", "${*}"}
_OPEN_RUN = re.compile(f"[{UNKNOWN}{UNKNOWN_WORDS}]{{2,}}")
_SIGN = re.compile(r"[^\w\s./-]")
_PROGRAM_VARIABLES = {"BROWSER", "CC", "CXX", "EDITOR", "PAGER", "PYTHON", "VISUAL"}
_PRINTF_FIELD = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")
LONGEST = 200_000
_ASKED = {  # where a program is
    ("command", "-v"), ("type", "-p"), ("type", "-P"),
    ("asdf", "which"), ("mise", "which"), ("pyenv", "which"), ("rbenv", "which"),
}  # fmt: skip


class Words(ABC):
    """Resolves words; what stands in a substitution is visited where it is met."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {
            "SHELL": "/bin/bash",
            "BASH": "/bin/bash",
            "HOME": "~",
            "PWD": ".",
        }
        self.carried = 0
        self.substituted = 0
        self.parameters: list[str] | None = None  # of the function that is being called
        self.fed: str | None = None  # what the command whose words are read gets to read

    @abstractmethod
    def visit(self, node: Node, stdin: str | None = None) -> str:
        """Take in one statement; returns what it writes to standard output, if known."""

    def words_of(self, node: Node) -> str:
        """The value of a word as one text."""
        return " ".join(self.word(node))

    def word(self, node: Node, *, program: bool = False) -> list[str]:
        """The words that one word of the line becomes: usually one, none for an empty variable."""
        raw = text_of(node)
        if self.parameters is not None and raw.strip('"') in _ALL_PARAMETERS:
            return list(self.parameters)
        if "{" in raw and has_braces(raw) and not set(raw) & set("\"'$`\\"):
            return [word for word in expand_braces(raw) if word]
        pieces = self.value(node)
        if program:
            # /bin/r? finds rm: a pattern in a program's place is resolved by the file system
            pieces = [
                (re.sub(r"\[[^\]]*\]|[*?]", UNKNOWN, text) if plain else text, plain, split)
                for text, plain, split in _joined(pieces)
            ]
            if len(pieces) > 1 and {text for text, *_ in pieces} <= {UNKNOWN, UNKNOWN_WORDS}:
                return [UNKNOWN_WORDS]  # $A$B
            if pieces == [(UNKNOWN, True, True)] and raw.strip("${}") not in _PROGRAM_VARIABLES:
                return [UNKNOWN_WORDS]  # $cmd may hold options as well
            if raw == UNKNOWN:  # what another line left open, as in `sh -c "$cmd x"`
                return [UNKNOWN_WORDS]
        words = [""]
        solid = False  # quotes make even an empty word a word
        for text, plain, split in pieces:
            if not split:
                words[-1] += text
                solid = solid or not plain or bool(text)
                continue
            text = self.separated(text)
            parts = text.split()
            if not parts:
                if text and words[-1]:
                    words.append("")
                continue
            if text[:1].isspace() and words[-1]:
                words.append("")
            words[-1] += parts[0]
            words.extend(parts[1:])
            if text[-1:].isspace():
                words.append("")
        return [word for word in words if word] or ([""] if solid else [])

    def separated(self, text: str) -> str:
        """What an expansion gave, with blanks where the shell splits it: at the signs of IFS, too.

        Blanks split whatever IFS says, as the command was meant; where that is not known, any sign
        may.
        """
        signs = self.variables.get("IFS")
        if signs is None:
            return text
        if UNKNOWN in signs or UNKNOWN_WORDS in signs:
            return UNKNOWN_WORDS if _SIGN.search(text) else text
        return text.translate(dict.fromkeys(map(ord, signs), " "))

    def value(self, node: Node) -> list[tuple[str, bool, bool]]:
        """Pieces of a word: its text, whether unquoted, whether the shell splits it at blanks."""
        kind = node.type
        if kind in ("command_name", "concatenation"):
            found: list[tuple[str, bool, bool]] = []
            for child in node.children:
                found.extend(self.value(child))
            return found
        if kind == "raw_string":
            return [(text_of(node)[1:-1], False, False)]
        if kind == "translated_string":  # $"rm": as "rm" where nothing is translated
            node = node.named_children[-1] if node.named_children else node
            kind = "string"
        if kind == "string":
            return [(self.quoted(node), False, False)]
        if kind == "ansi_c_string":
            return [(decoded(text_of(node)[2:-1]), False, False)]
        if kind in ("simple_expansion", "expansion"):
            return [(self.variable(node), True, True)]
        if kind == "command_substitution":
            return [(self.substitution(node), True, True)]
        if kind == "process_substitution":
            into = text_of(node).startswith(">")
            self.substitution(node, (self.fed or UNKNOWN) if into else None)
            return [("/dev/fd/" + UNKNOWN, True, False)]
        if kind == "arithmetic_expansion":
            self.inside(node)
            return [(UNKNOWN, True, False)]
        if kind == "array":
            self.inside(node)
            return [(UNKNOWN_WORDS, True, False)]
        if node.child_count and kind not in ("word", "number"):
            self.inside(node)
            if kind in EXPRESSIONS:
                return [(UNKNOWN, True, False)]
        return [(unescaped(text_of(node)), True, False)]

    def inside(self, node: Node) -> None:
        """Take in the commands that are substituted somewhere below."""
        for child in node.named_children:
            if child.type in ("command_substitution", "process_substitution"):
                self.substitution(child)
            else:
                self.inside(child)

    def substitution(self, node: Node, stdin: str | None = None) -> str:
        self.carried += 1
        self.substituted += 1
        text = in_turn(self.visit(child, stdin) for child in node.named_children)
        self.substituted -= 1
        self.carried -= 1
        return as_one(text.rstrip("\n")) if text else UNKNOWN

    def quoted(self, node: Node) -> str:
        """The text of a double-quoted string or a heredoc, expansions resolved."""
        data = node.text or b""
        base = node.start_byte
        heredoc = node.type == "heredoc_body"
        at = 0 if heredoc else data.index(b'"') + 1
        end = len(data) if heredoc else len(data) - (1 if data.endswith(b'"') else 0)
        text = ""
        for child in node.named_children:
            if child.type in ("string_content", "heredoc_content"):
                continue
            text += plain_text(data[at : child.start_byte - base], heredoc=heredoc)
            if child.type == "command_substitution":
                text += self.substitution(child)
            elif child.type in ("simple_expansion", "expansion"):
                text += self.variable(child)
            else:
                self.inside(child)
                text += UNKNOWN
            at = child.end_byte - base
        return text + plain_text(data[at:end], heredoc=heredoc)

    def variable(self, node: Node) -> str:
        raw = text_of(node)
        self.inside(node)
        plain = re.fullmatch(r"\$(\w+)|\$\{(\w+)\}", raw)
        if plain:
            name = plain.group(1) or plain.group(2)
            if name == "IFS":
                return self.variables.get("IFS", " ")
            if self.parameters is not None and name.isdigit() and name != "0":
                return next(iter(self.parameters[int(name) - 1 :]), "")
            if name in self.variables:
                return self.variables[name]
        changed = _changed(raw, self.variables)
        if changed is not None:
            return changed
        default = re.fullmatch(r"\$\{(\w+):?([-=+])(.*)\}", raw, re.DOTALL)
        if default:
            if default.group(2) == "=" and default.group(1) not in self.variables:
                self.variables[default.group(1)] = UNKNOWN_WORDS
            if default.group(3).lstrip("\"' ").startswith("-"):
                return UNKNOWN_WORDS  # ${FORCE:+-rf}
        return UNKNOWN_WORDS if maybe_options(raw) else UNKNOWN


def _joined(pieces: Iterable[tuple[str, bool, bool]]) -> Iterator[tuple[str, bool, bool]]:
    """Plain neighbours that are no words of their own as one: the grammar takes `r[m]` apart."""
    text = ""
    for piece, plain, split in pieces:
        if plain and not split:
            text += piece
            continue
        if text:
            yield text, True, False
        text = ""
        yield piece, plain, split
    if text:
        yield text, True, False


def as_one(text: str) -> str:
    """What several programs or values make up side by side is as unknown as what one does."""
    return _OPEN_RUN.sub(lambda run: max(run.group()), text)  # one of several words, if any is


def in_turn(outputs: Iterable[str]) -> str:
    """What statements write in turn; a program whose output is not known ends its line."""
    text = ""
    open_end = False
    for output in outputs:
        if output and open_end:
            text += "\n"
        text += output
        open_end = output == UNKNOWN or (open_end and not output)
    return text


def bounded(text: str) -> str:
    """What a line feeds to itself can double with every command."""
    return text if len(text) <= LONGEST else UNKNOWN


# Not where quotes, anchors or further patterns say more than is read here.
_CHANGES = re.compile(
    r"\$\{(?P<name>!?\w+)(?:(?P<cut>%%?|##?)(?P<glob>[^${}\\\"'(]*)"
    r"|:(?P<start>\d+)(?::(?P<length>\d+))?"
    r"|(?P<swap>//?)(?P<old>[^#%/${}\\*?\[\"'][^/${}\\*?\[\"']*)/?(?P<new>[^${}\\\"']*)"
    r"|(?P<case>,,?|\^\^?))?\}"
)


def _changed(raw: str, variables: Mapping[str, str]) -> str | None:
    """What an expansion makes of a known value: `${X%.py}`, `${X/a/b}`, `${X:2}`, `${!X}`."""
    found = _CHANGES.fullmatch(raw)
    if found is None:
        return None
    name = found["name"]
    if name.startswith("!"):
        name = variables.get(name[1:], "")
    value = variables.get(name)
    if value is None or len(value) > 1000 or UNKNOWN in value or UNKNOWN_WORDS in value:
        return None
    if found["cut"]:
        glob, ends = found["glob"], list(range(len(value) + 1))
        if found["cut"][0] == "%":
            ends = ends if found["cut"] == "%%" else ends[::-1]
            return next((value[:i] for i in ends if fnmatchcase(value[i:], glob)), value)
        ends = ends[::-1] if found["cut"] == "##" else ends
        return next((value[i:] for i in ends if fnmatchcase(value[:i], glob)), value)
    if found["start"]:
        start = int(found["start"])
        return value[start:][: int(found["length"]) if found["length"] else None]
    if found["swap"]:
        return value.replace(found["old"], found["new"], -1 if found["swap"] == "//" else 1)
    if found["case"]:
        change = str.lower if found["case"][0] == "," else str.upper
        return change(value) if len(found["case"]) == 2 else change(value[:1]) + value[1:]
    return value


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
