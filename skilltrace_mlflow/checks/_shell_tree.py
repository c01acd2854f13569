"""The reader of shell lines proper: walks the syntax tree of tree-sitter-bash.

The walk goes in the order of execution as far as a text shows it, so that variables with a plain
value (`X=rm; $X -rf y`) and the output of `echo`, `printf` and heredocs (`echo 'rm x' | sh`) are
known where they are used.
"""

from __future__ import annotations

import codecs
import posixpath
import re
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.checks._command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.checks._shell_segments import maybe_options

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["available", "commands"]

_MAX_DEPTH = 12
_ESCAPE = re.compile(r"\\(\n|.)", re.DOTALL)
_QUOTED_ESCAPE = re.compile(r'\\([\\"$`]|\n)')
_BRACES = re.compile(r"\{([^{}\s]*,[^{}\s]*)\}")
_PRINTF_FIELD = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")
_CONDITIONAL = {
    "if_statement",
    "elif_clause",
    "else_clause",
    "case_statement",
    "while_statement",
    "c_style_for_statement",
    "function_definition",
}
_MOST_ROUNDS = 60
_LONGEST = 200_000
_UNKNOWN_LINE = re.compile(rf"^{UNKNOWN}+$", re.MULTILINE)
_FILE_IN_WORD = re.compile(r"^-f|[\s=@]")
_OPEN = set(f"{UNKNOWN}{UNKNOWN_WORDS}*?[{{")  # a word that stands for others, or for none known
_ASKED = {  # where a program is
    ("command", "-v"), ("type", "-p"), ("type", "-P"),
    ("asdf", "which"), ("mise", "which"), ("pyenv", "which"), ("rbenv", "which"),
}  # fmt: skip
_SHELL_NAMES = {"sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "mksh", "rbash", "source", "."}
_PROGRAM_VARIABLES = {"BROWSER", "CC", "CXX", "EDITOR", "PAGER", "PYTHON", "VISUAL"}
_DECLARATIONS = {"export", "declare", "typeset", "local", "readonly"}


_THREAD = threading.local()  # a parser is not to be shared between threads


def _parser() -> Any:
    if not hasattr(_THREAD, "parser"):
        _THREAD.parser = _new_parser()
    return _THREAD.parser


def _new_parser() -> Any:
    try:
        import tree_sitter
        import tree_sitter_bash
    except ImportError:
        return None
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def available() -> bool:
    """Whether the parser is installed."""
    return _parser() is not None


def commands(text: str) -> tuple[tuple[Command, ...], tuple[str, ...], bool]:
    """The commands, the files that redirections write, and whether all of it was valid syntax."""
    walk = _Walk()
    walk.script(text, carried=False, stdin=None)
    return tuple(walk.found), tuple(dict.fromkeys(walk.writes)), walk.valid


class _Walk:
    """One pass over a line and the scripts inside it."""

    def __init__(self) -> None:
        self.found: list[Command] = []
        self.writes: list[str] = []
        self.valid = True
        self.variables: dict[str, str] = {"SHELL": "/bin/bash", "BASH": "/bin/bash"}
        self.aliases: dict[str, str] = {}
        self.files: dict[str, str] = {}  # written by the line itself
        self.behind: dict[int, list[Node]] = {}  # by command: its words behind a redirection
        self.rounds = 0
        self.depth = 0
        self.conditional = 0
        self.carried = 0
        self.substituted = 0

    def script(self, text: str, *, carried: bool, stdin: str | None) -> str:
        """Read a whole script; its output as far as it is known."""
        if self.depth >= _MAX_DEPTH:
            self.valid = False
            return UNKNOWN
        self.depth += 1
        self.carried += carried
        root = _parser().parse(text.encode("utf-8", "replace")).root_node
        if root.has_error:
            self.valid = False
        output = "".join(self.visit(child, stdin) for child in root.named_children)
        self.carried -= carried
        self.depth -= 1
        return output

    def visit(self, node: Node, stdin: str | None = None) -> str:
        """Take in one statement; returns what it writes to standard output, if known."""
        kind = node.type
        if kind == "command":
            return self.command(node, stdin)
        if kind == "pipeline":
            return self.pipeline(node, stdin)
        if kind == "redirected_statement":
            return self.redirected(node, stdin)
        if kind == "variable_assignment":
            self.assign(node)
            return ""
        if kind in ("declaration_command", "unset_command"):
            return self.declaration(node)
        if kind in ("comment", "word", "heredoc_body", "heredoc_start", "heredoc_end"):
            return ""
        if kind == "for_statement":
            return self.loop(node, stdin)
        conditional = kind in _CONDITIONAL
        self.conditional += conditional
        outputs = []
        for child in node.named_children:
            if child.type in _EXPRESSIONS:
                self.value(child)
            else:
                outputs.append(self.visit(child, stdin))
        self.conditional -= conditional
        if conditional or kind in ("test_command", "ERROR"):
            return UNKNOWN if any(outputs) else ""
        return "".join(outputs)

    def pipeline(self, node: Node, stdin: str | None) -> str:
        """Feed each stage the output of the one before it."""
        flowing = stdin
        for stage in node.named_children:
            flowing = self.visit(stage, flowing)
        return flowing or ""

    def redirected(self, node: Node, stdin: str | None) -> str:
        """A statement with redirections: heredocs and here-strings become its input."""
        body = [child for child in node.named_children if not child.type.endswith("_redirect")]
        before = ""
        while body and body[-1].type == "list":  # only the last command of `a && b > c` is meant
            *front, last = body.pop().named_children
            before += "".join(self.visit(child, stdin) for child in front)
            body.append(last)
        after: list[Node] = []
        behind: list[Node] = []
        targets: list[tuple[str, bool]] = []
        for child in node.named_children:
            if child.type == "heredoc_redirect":
                stdin = self.heredoc(child, after, targets)
            elif child.type == "herestring_redirect":
                stdin = "".join(self.words_of(part) for part in child.named_children) + "\n"
            elif child.type == "file_redirect":
                targets.extend(self.file_redirect(child))
                # the grammar takes the arguments behind a redirection for its targets
                behind.extend(child.children_by_field_name("destination")[1:])
                if any(part.type == "<" for part in child.children):
                    stdin = self.content_of(child)
        if behind and body:
            self.behind[_last(body[-1]).id] = behind
        output = "".join(self.visit(child, stdin) for child in body)
        for name, appended in targets:
            earlier = self.files.get(name, "") if appended else ""
            self.files[name] = _bounded(earlier + output)
        if targets and not after:
            return before
        for stage in after:
            output = self.visit(stage, output)
        return before + output

    def heredoc(self, node: Node, after: list[Node], targets: list[tuple[str, bool]]) -> str:
        """The text of a heredoc; what stands behind its start on the same line goes to `after`."""
        text = ""
        for child in node.named_children:
            if child.type == "heredoc_body":
                text = self.quoted(child)
            elif child.type == "file_redirect":
                targets.extend(self.file_redirect(child))
            elif child.type == "pipeline":
                after.extend(child.named_children)
            elif child.type not in ("heredoc_start", "heredoc_end"):
                after.append(child)
        return text

    def file_redirect(self, node: Node) -> list[tuple[str, bool]]:
        """Note what is written; the files that take the standard output, and whether at the end."""
        signs = {part.type for part in node.children}
        target = node.child_by_field_name("destination")
        if target is None:
            return []
        name = self.words_of(target)
        if not signs & {">", ">>", "&>", "&>>", ">|"}:
            return []
        self.writes.append(name)
        descriptor = node.child_by_field_name("descriptor")
        if descriptor is not None and _text(descriptor) != "1":
            return []
        return [(posixpath.normpath(name), bool(signs & {">>", "&>>"}))] if name else []

    def content_of(self, node: Node) -> str:
        """What is read from a file: known if the line itself wrote it."""
        target = node.child_by_field_name("destination")
        name = "" if target is None else self.words_of(target)
        return self.files.get(posixpath.normpath(name), UNKNOWN) if name else UNKNOWN

    def assign(self, node: Node) -> None:
        """Remember a plain value; a second one under a condition makes it unknown."""
        name = node.child_by_field_name("name")
        value = node.child_by_field_name("value")
        text = "" if value is None else self.words_of(value)
        if value is not None and value.type == "array":
            text = UNKNOWN_WORDS
        if name is None or name.type != "variable_name":
            return
        key = _text(name)
        if any(child.type == "+=" for child in node.children):
            text = self.variables.get(key, UNKNOWN) + text
        if self.conditional and self.variables.get(key) != text:
            text = UNKNOWN_WORDS
        self.variables[key] = text if len(text) <= _LONGEST else UNKNOWN_WORDS

    def loop(self, node: Node, stdin: str | None) -> str:
        """A for loop, once for each of its values where these are known and few."""
        name = node.child_by_field_name("variable")
        items = node.children_by_field_name("value")
        values = [word for item in items for word in self.word(item)]
        plain = bool(values) and not any(_OPEN & set(word) for word in values)
        if not plain or self.rounds + len(values) > _MOST_ROUNDS:
            values = [UNKNOWN]
        self.rounds += len(values)
        body = [c for c in node.named_children if c.type in ("do_group", "compound_statement")]
        outputs: list[str] = []
        self.conditional += 1
        for word in values:
            if name is not None:
                self.variables[_text(name)] = word
            outputs.extend(self.visit(child, stdin) for child in body)
        self.conditional -= 1
        return UNKNOWN if any(outputs) else ""

    def declaration(self, node: Node) -> str:
        words = [_text(node.children[0])]
        for child in node.named_children:
            if child.type == "variable_assignment":
                self.assign(child)
                words.append(_text(child))
            else:
                words.extend(self.word(child))
        self.add(tuple(words), _source(node), None)
        return ""

    def command(self, node: Node, stdin: str | None) -> str:
        """A simple command, and whatever it carries."""
        words: list[str] = []
        source_from = end = node.start_byte
        for child in node.children:
            # the grammar ends a word where a line goes on in its middle
            goes_on = _between(node, end, child) == b"\\\n" and len(words) > 0
            end = child.end_byte
            if child.type == "variable_assignment":
                # X=1 cmd: for that command only
                value = child.child_by_field_name("value")
                if value is not None:
                    self.words_of(value)
                source_from = child.end_byte
            elif child.type == "herestring_redirect":
                stdin = "".join(self.words_of(part) for part in child.named_children) + "\n"
            elif child.type == "heredoc_redirect":
                stdin = self.heredoc(child, [], [])
            elif child.type == "file_redirect":
                self.file_redirect(child)
            elif child.type == "command_name":
                words.extend(self.word(child, program=True))
            elif child.is_named or child.type not in ("<<<", "<", ">"):
                further = self.word(child)
                if goes_on and further:
                    words[-1] += further.pop(0)
                words.extend(further)
        for child in self.behind.pop(node.id, ()):
            words.extend(self.word(child))
        if not words:
            return ""
        from skilltrace_mlflow.checks._carriers import program_of

        text = (node.text or b"")[source_from - node.start_byte :].decode("utf-8", "replace")
        program = program_of(words[0])
        self.define(program, words)
        named = [self.files[n] for n in map(_file_name, words[1:]) if n in self.files]
        if program == "tee" and stdin is not None:
            for word in words[1:]:
                self.files[posixpath.normpath(word)] = stdin
        elif named and stdin is None and program not in _SHELL_NAMES:
            stdin = _bounded("\n".join(named))  # cat x.sh | sh, psql -f x.sql
        self.add(tuple(words), " ".join(text.split()), stdin)
        return _output(words, stdin, read=bool(named))

    def define(self, program: str, words: Sequence[str]) -> None:
        """Names that a command gives a new meaning."""
        if program == "alias":
            for word in words[1:]:
                name, sign, value = word.partition("=")
                if sign:
                    self.aliases[name] = value
        elif program in ("read", "mapfile", "readarray", "getopts"):
            for word in words[1:]:
                if not word.startswith("-"):
                    self.variables[word] = UNKNOWN

    def add(self, words: tuple[str, ...], source: str, stdin: str | None) -> None:
        from skilltrace_mlflow.checks._carriers import carried

        command = Command(
            words=words,
            source=source,
            carried=self.carried > 0,
            # what a carrier inside a substitution runs is the carrier's, not the substitution's
            substituted=self.substituted > 0 and self.substituted == self.carried,
            stdin=stdin,
        )
        self.found.append(command)
        for item in (*carried(command), *self.known(words)):
            if isinstance(item, str):
                self.script(item, carried=True, stdin=None if item == stdin else stdin)
            else:
                self.carried += 1
                if self.depth < _MAX_DEPTH:
                    self.depth += 1
                    self.add(item, "", stdin)
                    self.depth -= 1
                else:
                    self.valid = False
                self.carried -= 1

    def known(self, words: tuple[str, ...]) -> Iterator[str]:
        """Scripts that the line itself wrote and now runs; what its aliases stand for."""
        from skilltrace_mlflow.checks._carriers import program_of

        run = words[:1]
        if program_of(words[0]) in _SHELL_NAMES:
            run = tuple(word for word in words[1:] if not word.startswith("-"))[:1]
        elif "/" not in words[0]:
            run = ()  # looked for in PATH
        for word in run:
            text = self.files.get(posixpath.normpath(word), "") if word else ""
            # lines that another program wrote are as unknown as a script file's
            yield _UNKNOWN_LINE.sub(":", text)
        alias = self.aliases.pop(words[0], None)  # an alias is not expanded inside itself
        if alias is not None:
            yield " ".join([alias, *words[1:]])
            self.aliases[words[0]] = alias

    # Words

    def words_of(self, node: Node) -> str:
        """The value of a word as one text."""
        return " ".join(self.word(node))

    def word(self, node: Node, *, program: bool = False) -> list[str]:
        """The words that one word of the line becomes: usually one, none for an empty variable."""
        raw = _text(node)
        if "{" in raw and _BRACES.search(raw) and not set(raw) & set("\"'$`\\"):
            return _expand_braces(raw)
        pieces = self.value(node)
        if program:
            # /bin/r? finds rm: a pattern in a program's place is resolved by the file system
            pieces = [
                (re.sub(r"\[[^\]]*\]|[*?]", UNKNOWN, text) if plain else text, plain, split)
                for text, plain, split in pieces
            ]
            if pieces == [(UNKNOWN, True, True)] and raw.strip("${}") not in _PROGRAM_VARIABLES:
                return [UNKNOWN_WORDS]  # $cmd may hold options as well
        words = [""]
        solid = False  # quotes make even an empty word a word
        for text, plain, split in pieces:
            if not split:
                words[-1] += text
                solid = solid or not plain or bool(text)
                continue
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

    def value(self, node: Node) -> list[tuple[str, bool, bool]]:
        """Pieces of a word: its text, whether unquoted, whether the shell splits it at blanks."""
        kind = node.type
        if kind in ("command_name", "concatenation"):
            found: list[tuple[str, bool, bool]] = []
            for child in node.children:
                found.extend(self.value(child))
            return found
        if kind == "raw_string":
            return [(_text(node)[1:-1], False, False)]
        if kind in ("string", "translated_string"):
            return [(self.quoted(node), False, False)]
        if kind == "ansi_c_string":
            return [(_decode(_text(node)[2:-1]), False, False)]
        if kind in ("simple_expansion", "expansion"):
            return [(self.variable(node), True, True)]
        if kind == "command_substitution":
            return [(self.substitution(node), True, True)]
        if kind == "process_substitution":
            self.substitution(node)
            return [("/dev/fd/" + UNKNOWN, True, False)]
        if kind == "arithmetic_expansion":
            self.inside(node)
            return [(UNKNOWN, True, False)]
        if kind == "array":
            self.inside(node)
            return [(UNKNOWN_WORDS, True, False)]
        if node.child_count and kind not in ("word", "number"):
            self.inside(node)
            if kind in _EXPRESSIONS:
                return [(UNKNOWN, True, False)]
        return [(_ESCAPE.sub(_unescape, _text(node)), True, False)]

    def inside(self, node: Node) -> None:
        """Take in the commands that are substituted somewhere below."""
        for child in node.named_children:
            if child.type in ("command_substitution", "process_substitution"):
                self.substitution(child)
            else:
                self.inside(child)

    def substitution(self, node: Node) -> str:
        self.carried += 1
        self.substituted += 1
        text = "".join(self.visit(child) for child in node.named_children)
        self.substituted -= 1
        self.carried -= 1
        return text.rstrip("\n") if text else UNKNOWN

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
            text += _plain(data[at : child.start_byte - base])
            if child.type == "command_substitution":
                text += self.substitution(child)
            elif child.type in ("simple_expansion", "expansion"):
                text += self.variable(child)
            else:
                self.inside(child)
                text += UNKNOWN
            at = child.end_byte - base
        return text + _plain(data[at:end])

    def variable(self, node: Node) -> str:
        raw = _text(node)
        self.inside(node)
        plain = re.fullmatch(r"\$(\w+)|\$\{(\w+)\}", raw)
        if plain:
            name = plain.group(1) or plain.group(2)
            if name == "IFS":
                return " "
            if name in self.variables:
                return self.variables[name]
        default = re.fullmatch(r"\$\{(\w+):?([-=+])(.*)\}", raw, re.DOTALL)
        if default:
            if default.group(2) == "=" and default.group(1) not in self.variables:
                self.variables[default.group(1)] = UNKNOWN_WORDS
            if default.group(3).lstrip("\"' ").startswith("-"):
                return UNKNOWN_WORDS  # ${FORCE:+-rf}
        return UNKNOWN_WORDS if maybe_options(raw) else UNKNOWN


_EXPRESSIONS = {
    "string",
    "raw_string",
    "ansi_c_string",
    "translated_string",
    "concatenation",
    "simple_expansion",
    "expansion",
    "command_substitution",
    "process_substitution",
    "arithmetic_expansion",
    "binary_expression",
    "unary_expression",
    "parenthesized_expression",
    "ternary_expression",
    "postfix_expression",
    "array",
}


def _file_name(word: str) -> str:
    """The file that a word names: `x.sql`, `@x.sql`, `--file=x.sql`, `-fx.sql`, `source x.sql`."""
    parts = _FILE_IN_WORD.split(word.rstrip("; "))
    return posixpath.normpath(parts[-1]) if parts[-1] else ""


def _bounded(text: str) -> str:
    """What a line feeds to itself can double with every command."""
    return text if len(text) <= _LONGEST else UNKNOWN


def _last(node: Node) -> Node:
    """The simple command to which a redirection behind a pipeline or a list belongs."""
    while node.type in ("pipeline", "list", "negated_command") and node.named_children:
        node = node.named_children[-1]
    return node


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _between(node: Node, end: int, child: Node) -> bytes:
    """What stands between the end of one child of a node and another child."""
    return (node.text or b"")[end - node.start_byte : child.start_byte - node.start_byte]


def _source(node: Node) -> str:
    return " ".join(_text(node).split())


def _plain(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return _QUOTED_ESCAPE.sub(lambda m: "" if m.group(1) == "\n" else m.group(1), text)


def _unescape(match: re.Match[str]) -> str:
    return "" if match.group(1) == "\n" else match.group(1)


def _decode(text: str) -> str:
    try:
        return codecs.decode(text.replace("\\'", "'"), "unicode_escape")
    except UnicodeDecodeError:
        return UNKNOWN


def _expand_braces(raw: str) -> list[str]:
    done: list[str] = []
    waiting = [raw]
    while waiting and len(done) + len(waiting) < 200:
        text = waiting.pop(0)
        match = _BRACES.search(text)
        if match is None:
            done.append(text)
            continue
        before, after = text[: match.start()], text[match.end() :]
        waiting[:0] = [before + choice + after for choice in match.group(1).split(",")]
    return [word for word in (done + waiting) if word]


def _output(words: list[str], stdin: str | None, *, read: bool) -> str:
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
