"""The fallback reader of shell lines: cut at operators outside quotes, split into words.

Cruder than the parser in one direction on purpose: it may see a command where there is none (inside
a heredoc, say), it does not miss one that stands there in plain words.
"""

from __future__ import annotations

import re

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command

__all__ = ["KEYWORDS", "commands", "maybe_options"]

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
KEYWORDS = {"!", "{", "}", "if", "then", "else", "elif", "fi", "do", "done", "while", "until"}
_VARIABLE = re.compile(r"\$(?:\{[^}]*\}|\w+|[@*#?$!-])")
_OPTIONISH = re.compile(r"opt|flag|arg|param|switch|[@*]", re.IGNORECASE)


def maybe_options(variable: str) -> bool:
    """Whether a variable's name says that it holds options (`$@`, `$FLAGS`), not an operand."""
    return bool(_OPTIONISH.search(variable))


def commands(text: str, depth: int = 0) -> tuple[Command, ...]:
    """The commands of every segment, and those that they carry."""
    from skilltrace_mlflow.commands.other_shells import other_shell
    from skilltrace_mlflow.commands.wrappers import carried

    found: list[Command] = []
    for segment in _segments(text):
        words = [_resolve(word) for word in segment]
        while words and (_ASSIGNMENT.match(words[0]) or words[0] in KEYWORDS):
            words.pop(0)
        if not words:
            continue
        command = Command(words=tuple(words), source=" ".join(segment))
        found.append(command)
        found.extend(other_shell(command) or ())
        if depth >= 8:
            continue
        for item in carried(command):
            if isinstance(item, str):
                inner = commands(item, depth + 1)
            else:
                inner = (Command(words=item, carried=True),)
            found.extend(
                Command(words=c.words, source=c.source, carried=True, stdin=c.stdin) for c in inner
            )
    return tuple(found)


def _resolve(word: str) -> str:
    def fill(match: re.Match[str]) -> str:
        return UNKNOWN_WORDS if maybe_options(match.group()) else UNKNOWN

    return _VARIABLE.sub(fill, word)


def _segments(text: str) -> list[list[str]]:
    """Words by segment; inside double quotes only `$(` and backquotes open a new segment."""
    segments: list[list[str]] = [[]]
    word = ""
    started = False
    quote = ""
    index = 0

    def end_word() -> None:
        nonlocal word, started
        if started or word:
            segments[-1].append(word)
        word, started = "", False

    nested: list[tuple[list[str], str, str]] = []
    while index < len(text):
        char = text[index]
        if quote == "'":
            if char == "'":
                quote = ""
            else:
                word += char
        elif char == "\\" and index + 1 < len(text):
            index += 1
            if text[index] != "\n":
                word += text[index]
        elif (char == "$" and text[index + 1 : index + 2] == "(") or char == "`":
            if char == "`" and nested and nested[-1][2] == "`":
                end_word()
                outer, word, _ = nested.pop()
                quote = word[:1] if word[:1] == '"' else ""
                word = word[1:] + UNKNOWN
                started = True
                segments.append(outer)
            else:
                nested.append((segments[-1], (quote or " ") + word, char))
                segments.append([])
                word, started, quote = "", False, ""
                index += char == "$"
        elif char == ")" and nested and nested[-1][2] == "$" and not quote:
            end_word()
            outer, word, _ = nested.pop()
            quote = word[:1] if word[:1] == '"' else ""
            word = word[1:] + UNKNOWN
            started = True
            segments.append(outer)
        elif quote == '"':
            if char == '"':
                quote = ""
            else:
                word += char
        elif char in "'\"":
            quote = char
            started = True
        elif char in " \t\r":
            end_word()
        elif char in "\n;&|(){}" and not (char in "{}" and (word or started)):
            end_word()
            segments.append([])
        elif char in "<>":
            end_word()
        elif char == "#" and not word and not started:
            while index < len(text) and text[index] != "\n":
                index += 1
            continue
        else:
            word += char
        index += 1
    end_word()
    while nested:
        outer, rest, _ = nested.pop()
        if rest.strip():
            outer = [*outer, rest[1:]]
        segments.append(outer)
    seen: list[list[str]] = []
    for segment in segments:
        if segment and not any(segment is other for other in seen):
            seen.append(segment)
    return seen
