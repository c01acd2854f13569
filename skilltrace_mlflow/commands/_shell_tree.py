"""The reader of shell lines proper: walks the syntax tree of tree-sitter-bash.

The walk goes in the order of execution as far as a text shows it, so that variables with a plain
value (`X=rm; $X -rf y`) and the output of `echo`, `printf` and heredocs (`echo 'rm x' | sh`) are
known where they are used. Words are resolved in `_shell_words`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from skilltrace_mlflow.commands._shell_escapes import command_of_setting
from skilltrace_mlflow.commands._shell_nodes import (
    EXPRESSIONS,
    available,
    between,
    last_command,
    parse,
    source_of,
    text_of,
    unmasked,
)
from skilltrace_mlflow.commands._shell_segments import KEYWORDS
from skilltrace_mlflow.commands._shell_words import (
    LONGEST,
    Words,
    as_one,
    bounded,
    in_turn,
    output_of,
)
from skilltrace_mlflow.commands._wrapper_table import SHELLS
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command, Redirect

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["Walk", "available", "walk"]

_MAX_DEPTH = 12
_CONDITIONAL = {
    "if_statement",
    "elif_clause",
    "else_clause",
    "case_statement",
    "while_statement",
    "c_style_for_statement",
}
_ALWAYS = ("true", ":")
_MOST_ROUNDS = 60
_OPERATORS = ("<>", "&>>", "&>", ">>", ">|", ">&", ">", "<")  # `2>&1` writes no file
_MOST_CALLS = 200
_UNKNOWN_LINE = re.compile(rf"^{UNKNOWN}+$", re.MULTILINE)
_BACKQUOTED = re.compile(r"(?<!\\)`((?:[^`\\]|\\.)*)`", re.DOTALL)
_FILE_IN_WORD = re.compile(r"^-f|[\s=@]")
# Files that a program reads without being told to, of those that a line may have written itself.
_READ_UNASKED = {
    **dict.fromkeys(("make", "gmake"), ("Makefile", "makefile", "GNUmakefile")),
    "just": ("justfile", "Justfile", ".justfile"),
}
_OPEN = set(f"{UNKNOWN}{UNKNOWN_WORDS}*?[{{")  # a word that stands for others, or for none known
_START_FILES = ("BASH_ENV", "ENV")  # name what a shell reads before its script
_ENDING = ("exit", "return")  # what follows does not run
_SHELL_NAMES = {*SHELLS, "source", "."}


# What a statement stands inside of, by the grammar's names.
_WITHIN = {
    "subshell": "subshell",
    "compound_statement": "group",
    "for_statement": "loop",
    "c_style_for_statement": "counted loop",
    "while_statement": "while",
    "case_statement": "case",
    "if_statement": "if",
    "function_definition": "function",
}

_COPROC = re.compile(
    r"(?:^|(?<=[;&|({]))[ \t]*coproc[ \t]+(?:[A-Za-z_]\w*[ \t]+)?(?=[{(])", re.MULTILINE
)


def walk(text: str) -> Walk:
    """Read a line: its commands, its redirections, and whether all of it was valid syntax."""
    done = Walk()
    done.script(text, carried=False, stdin=None)
    done.mentioned()
    return done


class Walk(Words):
    """One pass over a line and the scripts inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Command] = []
        self.redirects: list[Redirect] = []
        self.valid = True
        self.aliases: dict[str, str] = {}
        self.git_aliases: dict[str, str] = {}
        self.files: dict[str, str] = {}  # written by the line itself
        self.behind: dict[int, list[Node]] = {}  # by command: its words behind a redirection
        self.rounds = 0
        self.depth = 0
        self.conditional = 0
        self.folder = ""
        self.before = UNKNOWN  # for `cd -`: an earlier line may have moved
        self.pushed: list[str] = []
        self.within: tuple[str, ...] = ()
        self.functions: dict[str, Node] = {}  # defined and not called so far
        self.bodies: dict[str, Node] = {}
        self.calls = 0

    def script(self, text: str, *, carried: bool, stdin: str | None) -> str:
        """Read a whole script; its output as far as it is known."""
        if self.depth >= _MAX_DEPTH:
            self.not_followed()
            return UNKNOWN
        self.depth += 1
        self.carried += carried
        folder = self.folder
        if "coproc" in text:  # which the grammar takes for a command
            text = _COPROC.sub(lambda match: " " * len(match.group()), text)
        text = as_one(text)
        root = parse(text)
        if root.has_error:
            self.valid = False
        outside = self.within
        output = in_turn(self.visit(child, stdin) for child in root.named_children)
        self.within = outside
        if carried:
            self.folder = folder  # another shell's
        self.carried -= carried
        self.depth -= 1
        return output

    def visit(self, node: Node, stdin: str | None = None) -> str:
        """Take in one statement; returns what it writes to standard output, if known."""
        name = _WITHIN.get(node.type)
        if name is None:
            return self.statement(node, stdin)
        folder, outside = self.folder, self.within
        self.within = (*outside, name)
        output = self.statement(node, stdin)
        self.within = outside
        if name == "subshell":
            self.folder = folder
        return output

    def statement(self, node: Node, stdin: str | None) -> str:
        """One statement of any kind."""
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
        if kind == "function_definition":
            return self.function(node)
        if kind == "list":
            return self.either(node, stdin)
        conditional = kind in _CONDITIONAL
        self.conditional += conditional
        outputs = []
        asked = node.children_by_field_name("condition") if conditional else []
        if asked and text_of(asked[0]) == "false":
            self.within = (*self.within, "otherwise")  # which `visit` takes back
        decided = bool(asked) and text_of(asked[0]) in _ALWAYS
        branches = kind == "case_item" or (kind == "if_statement" and not decided)
        for child in node.named_children:
            if child.type in EXPRESSIONS:
                self.value(child)
                continue
            outside = self.within
            chosen = branches and child.id not in {part.id for part in asked}
            if chosen:
                self.within = (*outside, "otherwise")
            outputs.append(self.visit(child, stdin))
            if chosen:
                self.within = outside
        self.conditional -= conditional
        if conditional or kind in ("test_command", "ERROR"):
            return UNKNOWN if any(outputs) else ""
        return in_turn(outputs)

    def either(self, node: Node, stdin: str | None) -> str:
        """`a && b`, `a || b`; what stands behind `||` may not have run."""
        skipping = any(child.type == "||" for child in node.children)
        first, *rest = node.named_children
        outputs = [self.visit(first, stdin)]
        outside = self.within
        if skipping or text_of(first) == "false":
            self.within = (*outside, "otherwise")
        outputs += [self.visit(child, stdin) for child in rest]
        self.within = outside
        return in_turn(outputs)

    def function(self, node: Node) -> str:
        """Remember a function; its body runs where it is called."""
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is not None and body is not None:
            self.functions[text_of(name)] = self.bodies[text_of(name)] = body
        return ""

    def call(self, name: str, words: Sequence[str] | None, stdin: str | None) -> str:
        """Run a function's body with its parameters, None where these are not known."""
        body = self.bodies[name]
        self.functions.pop(name, None)
        self.calls += 1
        if self.depth >= _MAX_DEPTH or self.calls > _MOST_CALLS:
            return UNKNOWN  # it calls itself
        outer, self.parameters = self.parameters, None if words is None else list(words)
        self.depth += 1
        self.conditional += 1
        output = self.visit(body, stdin)
        self.conditional -= 1
        self.depth -= 1
        self.parameters = outer
        return UNKNOWN if output else ""

    def uncalled(self) -> tuple[Command, ...]:
        """The commands of functions that nothing has called; to be asked for last."""
        size = len(self.found)
        for name in tuple(self.functions):
            self.call(name, None, None)
        return tuple(self.found[size:])

    def mentioned(self) -> None:
        """Call the functions whose names stand in other commands: `trap clean EXIT`."""
        again = True
        while again:
            again = False
            said = " ".join(" ".join(command.texts) for command in self.found)
            for name in tuple(self.functions):
                if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said):
                    self.call(name, None, None)
                    again = True

    def pipeline(self, node: Node, stdin: str | None) -> str:
        """Feed each stage the output of the one before it."""
        flowing = stdin
        folder = self.folder
        for index, stage in enumerate(node.named_children):
            flowing = self.visit(stage, flowing)
            if index == 0 and stage.type == "redirected_statement" and _has_list(stage):
                folder = self.folder  # `cd a && b 2>&1 | c`: the grammar takes all for one stage
            self.folder = folder  # each stage is a shell of its own
        return flowing or ""

    def redirected(self, node: Node, stdin: str | None) -> str:
        """A statement with redirections: heredocs and here-strings become its input."""
        body = [child for child in node.named_children if not child.type.endswith("_redirect")]
        before = ""
        while body and body[-1].type == "list":  # only the last command of `a && b > c` is meant
            *front, last = body.pop().named_children
            before = in_turn((before, *(self.visit(child, stdin) for child in front)))
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
            self.behind[last_command(body[-1]).id] = behind
        output = in_turn(self.visit(child, stdin) for child in body)
        for name, appended in targets:
            earlier = self.files.get(name, "") if appended else ""
            self.files[name] = bounded(earlier + output)
        if targets and not after:
            return before
        for stage in after:
            output = self.visit(stage, output)
        return in_turn((before, output))

    def heredoc(self, node: Node, after: list[Node], targets: list[tuple[str, bool]]) -> str:
        """The text of a heredoc; what stands behind its start on the same line goes to `after`."""
        text, literal = "", False
        for child in node.named_children:
            if child.type == "heredoc_start":
                literal = bool(set(text_of(child)) & set("\"'\\"))
            elif child.type == "heredoc_body":
                text = text_of(child) if literal else self.quoted(child)
                for match in _BACKQUOTED.finditer("" if literal else text_of(child)):
                    self.substituted += 1  # which the grammar leaves in the text
                    self.script(match.group(1), carried=True, stdin=None)
                    self.substituted -= 1
            elif child.type == "file_redirect":
                targets.extend(self.file_redirect(child))
            elif child.type == "pipeline":
                after.extend(child.named_children)
            elif child.type != "heredoc_end":
                after.append(child)
        return text

    def file_redirect(self, node: Node) -> list[tuple[str, bool]]:
        """Note what is written; the files that take the standard output, and whether at the end."""
        signs = {part.type for part in node.children}
        target = node.child_by_field_name("destination")
        if target is None:
            return []
        name = self.words_of(target)
        way = next((sign for sign in _OPERATORS if sign in signs), "")
        if not way or (way == ">&" and name.isdigit()) or name == "-":
            return []
        self.redirects.append(
            Redirect(
                path=name,
                way=way,
                folder=self.folder,
                carried=self.carried > 0,
                substituted=self.substituted > 0 and self.substituted == self.carried,
                within=frozenset(self.within),
                filled="$" in text_of(target),
            )
        )
        if way in ("<", "<>"):
            return []
        descriptor = node.child_by_field_name("descriptor")
        if descriptor is not None and text_of(descriptor) != "1":
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
        if name is not None and name.type == "subscript":  # a[$(…)]=1
            for child in name.named_children[1:]:
                self.words_of(child)
        if name is None or name.type != "variable_name":
            return
        key = text_of(name)
        self.setting(name, text)
        if any(child.type == "+=" for child in node.children):
            text = self.variables.get(key, UNKNOWN) + text
        if self.conditional and self.variables.get(key) != text:
            text = UNKNOWN_WORDS
        self.variables[key] = text if len(text) <= LONGEST else UNKNOWN_WORDS

    def setting(self, name: Node | None, value: str) -> None:
        """Read a variable's value as a command line where a program will run it, and a file that it
        names where a shell will."""
        key = "" if name is None else text_of(name)
        line = command_of_setting(key, value)
        if key in _START_FILES:
            line = (
                UNKNOWN
                if value.startswith("/dev/fd/")
                else self.files.get(posixpath.normpath(value or "."))
            )
        if line is not None:
            self.script(line, carried=True, stdin=None)

    def loop(self, node: Node, stdin: str | None) -> str:
        """A for loop, once for each of its values where these are known and few."""
        name = node.child_by_field_name("variable")
        items = node.children_by_field_name("value")
        values = [word for item in items for word in self.word(item)]
        # `for x in; do`, for which the grammar has no rule, and words that are known to be none
        never = not values and any(text_of(child) == "in" for child in node.children)
        plain = bool(values) and not any(_OPEN & set(word) for word in values)
        if not plain or self.rounds + len(values) > _MOST_ROUNDS:
            values = [UNKNOWN]
        self.rounds += len(values)
        body = [c for c in node.named_children if c.type in ("do_group", "compound_statement")]
        outputs: list[str] = []
        outside = self.within
        if never:
            self.within = (*outside, "otherwise")
        self.conditional += 1
        for word in values:
            if name is not None:
                self.variables[text_of(name)] = word
            outputs.extend(self.visit(child, stdin) for child in body)
        self.conditional -= 1
        self.within = outside
        return UNKNOWN if any(outputs) else ""

    def declaration(self, node: Node) -> str:
        words = [text_of(node.children[0])]
        for child in node.named_children:
            if child.type == "variable_assignment":
                self.assign(child)
                words.append(text_of(child))
            else:
                words.extend(self.word(child))
        if words[0] == "unset" and "IFS" in words:
            self.variables.pop("IFS", None)
        self.add(tuple(words), source_of(node), None)
        return ""

    def command(self, node: Node, stdin: str | None) -> str:
        """A simple command, and whatever it carries."""
        words: list[str] = []
        self.fed = stdin
        source_from = end = node.start_byte
        for child in node.children:
            # the grammar ends a word where a line goes on in its middle
            apart = child.start_byte - end
            goes_on = apart == 2 and bool(words) and between(node, end, child) == b"\\\n"
            end = child.end_byte
            if child.type == "variable_assignment":
                # X=1 cmd: for that command only
                value = child.child_by_field_name("value")
                if value is not None:
                    self.setting(child.child_by_field_name("name"), self.words_of(value))
                source_from = child.end_byte
            elif child.type == "herestring_redirect":
                stdin = "".join(self.words_of(part) for part in child.named_children) + "\n"
            elif child.type == "heredoc_redirect":
                stdin = self.heredoc(child, [], [])
            elif child.type == "file_redirect":
                self.file_redirect(child)
            elif child.type == "subshell":  # time (…), coproc (…)
                self.visit(child, stdin)
            elif child.type == "command_name":
                words.extend(self.word(child, program=True))
            elif child.is_named or child.type not in ("<<<", "<", ">", "$"):
                further = self.word(child)
                if goes_on and further:
                    words[-1] += further.pop(0)
                words.extend(further)
        for child in self.behind.pop(node.id, ()):
            words.extend(self.word(child))
        if not words:
            return ""
        from skilltrace_mlflow.commands.wrappers import program_of

        text = unmasked((node.text or b"")[source_from - node.start_byte :])
        program = program_of(words[0])
        self.define(program, words, stdin)
        unasked = _READ_UNASKED.get(program, ())
        named = [self.files[n] for n in (*map(_file_name, words[1:]), *unasked) if n in self.files]
        if program == "tee" and stdin is not None:
            for word in words[1:]:
                self.files[posixpath.normpath(word)] = stdin
        elif named and program not in _SHELL_NAMES:  # cat x.sh | sh, psql -f x.sql
            fed = "" if stdin is None else stdin.strip(UNKNOWN)  # by a loop, by a pipe
            stdin = bounded("\n".join([*named, fed] if fed else named))
        outside = self.within
        if words[0] in self.bodies:  # the function, and no program of that name
            self.within = (*outside, "otherwise")
        self.add(tuple(words), " ".join(text.split()), stdin)
        self.within = outside
        if program in ("cd", "pushd", "popd"):
            self.move(program, [word for word in words[1:] if word not in ("--", "-P", "-L")])
        if words[0] in self.bodies:
            return self.call(words[0], words[1:], stdin)
        ends = program in _ENDING or (program == "exec" and len(words) > 1)
        if ends and not self.conditional:
            self.within = (*self.within, "otherwise")
        return output_of(words, stdin, read=bool(named))

    def substitution(self, node: Node, stdin: str | None = None) -> str:
        """What a substitution writes; it changes its own directory, not the line's."""
        folder = self.folder
        text = super().substitution(node, stdin)
        self.folder = folder
        return text

    def move(self, program: str, operands: Sequence[str]) -> None:
        """Follow the shell into another directory."""
        target = operands[0] if operands else "~"
        came_from = self.folder
        if program == "popd":
            self.folder = self.pushed.pop() if self.pushed else UNKNOWN
        elif target == "-":
            self.folder = self.before
        else:
            self.folder = posixpath.normpath(posixpath.join(self.folder, target))
        if program == "pushd":
            self.pushed.append(came_from)
        self.before = came_from
        self.folder = "" if self.folder == "." else self.folder

    def define(self, program: str, words: Sequence[str], stdin: str | None) -> None:
        """Names that a command gives a new meaning."""
        if program == "alias":
            for word in words[1:]:
                name, sign, value = word.partition("=")
                if sign:
                    self.aliases[name] = value
        elif program == "git" and "config" in words:
            for word, value in pairwise(words):
                if word.startswith("alias."):
                    self.git_aliases[word[6:]] = value
        elif program == "shift" and self.parameters is not None:
            count = words[1] if len(words) > 1 else "1"
            self.parameters = self.parameters[int(count) :] if count.isdigit() else [UNKNOWN_WORDS]
        elif program == "set" and "--" in words:
            given = list(words[words.index("--") + 1 :])
            self.parameters = [UNKNOWN_WORDS] if self.conditional else given
        elif program == "printf" and words[1:2] == ["-v"] and len(words) > 3:
            made = output_of(["printf", *words[3:]], None, read=False)
            self.variables[words[2]] = UNKNOWN_WORDS if self.conditional else made
        elif program in ("read", "mapfile", "readarray", "getopts"):
            names = [word for word in words[1:] if not word.startswith("-")]
            self.variables.update(dict.fromkeys(names, UNKNOWN))
            line = (stdin or "").strip()
            if program == "read" and len(names) == 1 and not self.conditional and "\n" not in line:
                self.variables[names[0]] = line or UNKNOWN  # read x <<< value

    def add(self, words: tuple[str, ...], source: str, stdin: str | None) -> None:
        from skilltrace_mlflow.commands.other_shells import other_shell
        from skilltrace_mlflow.commands.wrappers import carried, moves_to, runs_where

        while words and words[0] in KEYWORDS:  # the grammar does not know `time { …; }`
            words = words[1:]
        if not words:
            return
        command = Command(
            words=words,
            source=source,
            carried=self.carried > 0,
            # what a carrier inside a substitution runs is the carrier's, not the substitution's
            substituted=self.substituted > 0 and self.substituted == self.carried,
            stdin=stdin,
            folder=self.folder,
            within=frozenset(self.within),
        )
        self.found.append(command)
        self.found.extend(other_shell(command, self.files) or ())
        outside, folder = self.within, self.folder
        self.within = (*outside, *runs_where(words))
        self.folder = posixpath.normpath(posixpath.join(folder, moves_to(words)))
        self.folder = "" if self.folder == "." else self.folder
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
                    self.not_followed()
                self.carried -= 1
        self.within, self.folder = outside, folder

    def not_followed(self) -> None:
        """What stands here is carried by too much to be read: it may run and touch anything."""
        self.valid = False
        self.found.append(Command(words=(UNKNOWN_WORDS,), carried=True))
        ways = ((">", UNKNOWN), ("<", "/**/*"), ("<", "**/*"))
        self.redirects.extend(Redirect(path=path, way=way, carried=True) for way, path in ways)

    def known(self, words: tuple[str, ...]) -> Iterator[str]:
        """Scripts that the line itself wrote and now runs; what its aliases stand for."""
        from skilltrace_mlflow.commands.wrappers import program_of

        run = words[:1]
        if program_of(words[0]) in _SHELL_NAMES:
            run = tuple(word for word in words[1:] if not word.startswith("-"))[:1]
        elif "/" not in words[0]:
            run = ()  # looked for in PATH
        for word in run:
            text = self.files.get(posixpath.normpath(word), "") if word else ""
            # lines that another program wrote are as unknown as a script file's
            yield _UNKNOWN_LINE.sub(":", text)
        sub = self.git_aliases.get(words[1]) if words[1:] and words[0] == "git" else None
        if sub is not None:
            yield sub[1:] if sub.startswith("!") else " ".join(["git", sub, *words[2:]])
        alias = self.aliases.pop(words[0], None)  # an alias is not expanded inside itself
        if alias is not None:
            yield " ".join([alias, *words[1:]])
            self.aliases[words[0]] = alias


def _file_name(word: str) -> str:
    """The file that a word names: `x.sql`, `@x.sql`, `--file=x.sql`, `-fx.sql`, `source x.sql`."""
    parts = _FILE_IN_WORD.split(word.rstrip("; "))
    return posixpath.normpath(parts[-1]) if parts[-1] else ""


def _has_list(node: Node) -> bool:
    return any(child.type == "list" for child in node.named_children)
