"""Command patterns: `rm -rf`, `git push`, `curl`, compared command by command.

A pattern is a program with flags and operands. It means every command of that program (whatever
folder it is called from) that has at least those flags, in any spelling (`-rf`, `-fr`, `-r -f`,
`--recursive --force`), and those operands in that order, `*` in an operand for any text. Programs
with subcommands must have the pattern's first operand as theirs: `git push` means
`git -C repo push --force` and not `git stash push`. A pattern of several commands (`curl | sh`)
means a line that runs each of them, in that order.

A command that the shell composes only at run time (`$TOOL -rf x`, `eval "$X"`, `curl … | sh`)
cannot be compared: if it could be the pattern, the answer is None, "cannot tell".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from skilltrace_mlflow.commands._leave_alone import LEAVE_ALONE
from skilltrace_mlflow.commands._option_match import could_become, option_meets, same_operand
from skilltrace_mlflow.commands.arguments import (
    Arguments,
    other_names,
    plain_operand,
    read_arguments,
    same_program,
    takes_place_of,
    takes_subcommand,
)
from skilltrace_mlflow.commands.code_commands import (
    code_language,
    commands_in_code,
    shell_cells,
)
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.operands import has_other_names
from skilltrace_mlflow.commands.other_shells import posix_of_cmd
from skilltrace_mlflow.commands.powershell.names import CMDLETS, looks_like_cmdlet
from skilltrace_mlflow.commands.powershell.reader import read_powershell
from skilltrace_mlflow.commands.prefilter import Program
from skilltrace_mlflow.commands.shell import read_line, read_script
from skilltrace_mlflow.commands.wrappers import (
    carried,
    image_command,
    is_known,
    is_shell_program,
    program_of,
    runs_operands,
)
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.text import cut

__all__ = ["CommandMatch", "CommandPattern", "HeldBack", "parse_command_pattern"]


_CMD_SWITCH = re.compile(r"(?:/[A-Za-z])+")


HeldBack = Literal["", "help", "version", "dry run"]


@dataclass(frozen=True, kw_only=True)
class CommandMatch:
    """Where a pattern was met: the command as written, how sure that is, and how it was read.

    `otherwise`: only under a condition, as `b` in `a || b`.
    `reason` says why it is not sure, where that is no matter of the reader.
    `held_back` says what the program was asked for in place of its work.
    """

    met: bool | None
    command: str = ""
    parser: str = ""
    reason: str = ""
    otherwise: bool = False
    held_back: HeldBack = ""

    @property
    def in_earnest(self) -> bool:
        """Whether the command certainly ran, and was to do its work."""
        return self.met is True and not self.otherwise and not self.held_back


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One command of a pattern; `eager` where another reading of its options is possible."""

    program: str
    arguments: Arguments
    eager: Arguments | None = None


@dataclass(frozen=True, kw_only=True)
class CommandPattern:
    """A parsed pattern; `find` looks for it in a command line."""

    text: str
    parts: tuple[_Part, ...]
    hint: Program = field(compare=False)

    def find(self, line: str) -> CommandMatch | None:
        """The first place where the line runs the pattern, or may run it; None if nowhere."""
        if not self.hint.may_run(line):
            return None
        return self.find_parsed(line)

    def find_parsed(self, line: str, tool: str = "Bash") -> CommandMatch | None:
        """As `find`, without a look ahead, in the language of a tool's command lines."""
        script = read_line(tool, line)
        last = len(self.parts) - 1
        sure = perhaps = 0  # how many parts the line has run so far, certainly and possibly
        doubt: CommandMatch | None = None
        second: CommandMatch | None = None
        for command in script.commands:
            met = self._compare(self.parts[sure], command)
            if met and sure == last:
                found = CommandMatch(
                    met=True,
                    command=_shown(command),
                    parser=script.parser,
                    otherwise="otherwise" in command.within,
                    held_back=_held_back(self.parts[last], command),
                )
                if found.in_earnest:
                    return found
                second = second or found
                continue
            if perhaps <= last and self._compare(self.parts[perhaps], command) is not False:
                perhaps += 1
                if perhaps > last:
                    doubt = CommandMatch(
                        met=None,
                        command=_shown(command),
                        parser=script.parser,
                        reason=_why(self.parts[last], command),
                    )
            sure += met is True
        if second is not None:
            return second
        if doubt is None and script.parser.startswith("segments") and self._words_occur(line):
            doubt = CommandMatch(met=None, command=_short(line), parser=script.parser)
        return doubt

    def nearest(self, line: str, tool: str = "Bash") -> tuple[bool, str] | None:
        """A command of the line's that has the pattern's program and yet is not the pattern.

        True where it has the pattern's subcommand as well.
        """
        part = self.parts[-1]
        best: tuple[bool, str] | None = None
        for command in read_line(tool, line).commands:
            if same_program(program_of(command.words[0])) != part.program:
                continue
            wanted = part.arguments.operands[:1]
            actual = read_arguments(part.program, command.words[1:])
            same = not takes_subcommand(part.program) or wanted == actual.operands[:1]
            if best is None or (same and not best[0]):
                best = same, _shown(command)
        return best

    def _words_occur(self, line: str) -> bool:
        words = self.text.split()
        return self.hint.stands_in(line) and all(word in line for word in words)

    def _compare(self, part: _Part, command: Command) -> bool | None:
        program = same_program(program_of(command.words[0]))
        sure: bool | None = True
        if program != part.program:
            replaces = takes_place_of(program, part.program)
            if not replaces and not could_become(program, part.program):
                return _behind(part, program, command)
            sure = None
        if (
            sure is None
            and command.words[0] in (UNKNOWN, UNKNOWN_WORDS)
            and (command.words == (UNKNOWN,) or command.words[0] == UNKNOWN_WORDS)
            and (command.carried or command.words[0] == UNKNOWN_WORDS)
        ):
            return None  # a whole script that is not known
        met = _words_meet(part, command.words[1:])
        if met is False and command.words[0] == UNKNOWN and len(command.words) > 1:
            named, *given = command.words[1:]  # sudo $X rm -rf y
            if same_program(program_of(named)) == part.program:
                return None if _words_meet(part, given) is not False else False
        return met if not met else sure


def parse_command_pattern(text: str) -> CommandPattern:
    """The pattern in a text; ParameterError if it holds no command or can never be met."""
    _refuse(text)
    found = _windows_pattern(text)
    if not found:
        found = [command for command in read_script(text).commands if not command.carried]
    if not found or any(UNKNOWN in w or UNKNOWN_WORDS in w for c in found for w in c.words[:1]):
        raise ParameterError(f"{text!r} is neither a tool nor a command")
    if any(command.words[0].startswith("-") for command in found):
        raise ParameterError(
            f"{text!r} begins with an option: write the program in front of it, as in git {text}"
        )
    parts = tuple(_part(command) for command in found)
    operands = [
        word
        for word in parts[0].arguments.operands
        if "*" not in word and not has_other_names(parts[0].program, word)
    ]
    if any(option.names & _RENAMING for option in parts[0].arguments.options):
        operands = []
    hint = Program(
        name=parts[0].program,
        words=tuple(map(plain_operand, operands)),
        others=other_names(parts[0].program),
    )
    return CommandPattern(text=text.strip(), parts=parts, hint=hint)


def _windows_pattern(text: str) -> list[Command]:
    """A pattern in PowerShell's or cmd's words, as the POSIX command that does the same if any."""
    words = text.split()
    if not words:
        return []
    switches = [word for word in words[1:] if _CMD_SWITCH.fullmatch(word)]
    if switches and (posix := posix_of_cmd(words[0].lower(), words[1:])):
        return [Command(words=posix, source=text)]
    if not looks_like_cmdlet(words[0]):
        return []
    chains: dict[str, list[Command]] = {}
    for command in read_powershell(text)[0]:
        chains.setdefault(command.source, []).append(command)
    found: list[Command] = []
    for source, forms in chains.items():
        cmdlet = CMDLETS.get(forms[0].words[0])
        same = [form for form in forms if cmdlet is not None and form.words[0] in cmdlet.posix]
        if source:
            found.append((same or forms)[0])
    return found


_SPACED_RULE = re.compile(r"(?:[A-Z]\w*|mcp__\w+)\s+\(.*\)\s*", re.DOTALL)


def _refuse(text: str) -> None:
    """ParameterError for a text that is no command line, whatever it was meant to be."""
    if text.strip().startswith("!"):
        raise ParameterError(f"{text!r} begins with !: no pattern is an exception to another")
    if _SPACED_RULE.fullmatch(text.strip()):
        closed = re.sub(r"\s+\(", "(", text.strip(), count=1)
        raise ParameterError(f"{text!r} has a blank in front of its bracket: write {closed}")
    if any(text.count(one) != text.count(other) for one, other in ("()", "{}")):
        raise ParameterError(f"{text!r} has a bracket that is not closed, or not opened")
    if text.count('"') % 2 or (text.count("'") % 2 and '"' not in text):
        raise ParameterError(f"{text!r} has a quote that is not closed")


def _part(command: Command) -> _Part:
    program = same_program(program_of(command.words[0]))
    words = command.words[1:]
    arguments, eager = read_arguments(program, words), read_arguments(program, words, eager=True)
    valued = any(option.value is not None and not option.known for option in eager.options)
    return _Part(program=program, arguments=arguments, eager=eager if valued else None)


_HELP = {"--help", "-help"}
_DRY = {"--dry-run", "--dryrun"}


def _held_back(part: _Part, command: Command) -> HeldBack:
    """What a program was asked for in place of its work; empty if the pattern asks for it, too."""
    options = read_arguments(part.program, command.words[1:]).options
    plain = (option for option in options if option.value in (None, "client", "server"))
    names = {name for option in plain for name in option.names}
    names -= {name for option in part.arguments.options for name in option.names}
    if names & _HELP:
        return "help"
    if "--version" in names and command.words[-1] == "--version":
        return "version"
    return "dry run" if names & _DRY else ""


def _why(part: _Part, command: Command) -> str:
    """Why a command of known words is in doubt; empty where its words are not known."""
    if any(UNKNOWN in word or UNKNOWN_WORDS in word for word in command.words):
        return ""
    program = same_program(program_of(command.words[0]))
    if takes_place_of(program, part.program):
        return f"where {program} takes the place of {part.program}"
    if program == part.program:
        return "whose options are in no table and may be the same"
    if _in_program_text(part, program, command):
        return "whose program text may run it"
    return f"where {command.words[0]} is not known and may run its operands"


def _behind(part: _Part, program: str, command: Command) -> bool | None:
    """Whether a program that is not known may run the pattern out of its operands.

    None where a tail of them is the pattern, or is a shell's `-c` text that runs it.
    """
    words = command.words
    if _in_program_text(part, program, command):
        return None
    if program.startswith("%%"):
        return False  # a tool's program text, that is no shell's
    start: int | None = 1
    if is_known(program):
        start = runs_operands(words)
        if start is None and UNKNOWN in words and "--" in words[words.index(UNKNOWN) :]:
            start = words.index("--", words.index(UNKNOWN)) + 1  # mise $X node -- npm publish
    elif program in LEAVE_ALONE:
        start = None
    named, *given = image_command(words) or ("",)
    if same_program(named) == part.program and _words_meet(part, given) is not False:
        return None
    if start is None:
        return None if any(_runs(part, c) is not False for c in _told_to_run(words)) else False
    if start == 1 and code_language(program) is None and not is_shell_program(program):
        fed = read_script(command.stdin).commands if command.stdin else ()
        if any(_runs(part, c) is not False for c in fed):
            return None
    for at in range(start, len(words)):
        name = program_of(words[at])
        if same_program(name) == part.program:
            if _words_meet(part, words[at + 1 :]) is not False:
                return None
        elif is_shell_program(name):
            texts = [t for t in carried(Command(words=words[at:])) if isinstance(t, str)]
            inner = (c for text in texts for c in read_script(text).commands)
            if any(_runs(part, c) is not False for c in inner):
                return None
        elif any(_runs(part, c) is not False for c in _line_in(words, at)):
            return None
    return False


def _in_program_text(part: _Part, program: str, command: Command) -> bool:
    """Whether a program that is given with the command may run the pattern: `python -c`."""
    language = program[2:] if program.startswith("%%") else code_language(program)
    if language is None:
        return False
    texts = (*command.words[1:], command.stdin or "")
    lines = [line for text in texts for line in commands_in_code(text, language)]
    if program.startswith(("ipython", "jupyter")):
        lines += [line for text in texts for line in shell_cells(text)]
    return any(_may_run(part, c) for line in lines for c in read_script(line).commands)


def _may_run(part: _Part, command: Command) -> bool:
    """Whether a command of a program's text may be the pattern, or run it out of its own text."""
    program = same_program(program_of(command.words[0]))
    if program == part.program or could_become(program, part.program):
        return _words_meet(part, command.words[1:]) is not False
    return _in_program_text(part, program, command)


# Options that say something: their text is nobody's command.
_SAYING = re.compile(
    r"-[mtbdn]|--?(?:\w+-)?(?:message|msg|title|body|text|desc|description|notes?|comment|summary|"
    r"reason|name|label|prompt|query|subject|content|acceptance|design|context|append-\w+)"
)
_TAKING = re.compile(r"-[cex]|--?[\w-]*(?:cmd|command|exec|run|script|shell|hook|before|after)\w*")


def _line_in(words: Sequence[str], at: int) -> Sequence[Command]:
    """The commands that a word of several words may be the line of: `frob -c 'rm -rf x'`.

    Behind an option that takes commands these are all of the line's; else the first of them, as
    a text that says something about a command seldom begins with it.
    """
    word, before = words[at], words[at - 1]
    option, sign, value = word.partition("=")
    if sign and option.startswith("-") and " " not in option:
        word, before = value, option
    if len(word.split(None, 1)) < 2 or _SAYING.fullmatch(before):
        return ()
    found = read_script(word).commands
    if _TAKING.fullmatch(before):
        return found
    while found and program_of(found[0].words[0]) in ("cd", "set", "export"):
        found = found[1:]
    end = next((i for i, command in enumerate(found) if i and not command.carried), len(found))
    return found[:end]


def _told_to_run(words: Sequence[str]) -> Iterator[Command]:
    """The commands in options of a known program that say that they take some: `--exec='rm x'`."""
    for at, word in enumerate(words):
        option = word.partition("=")[0] if "=" in word else words[at - 1]
        if at and len(option) > 2 and _TAKING.fullmatch(option):
            yield from _line_in(words, at)


def _runs(part: _Part, command: Command) -> bool | None:
    if same_program(program_of(command.words[0])) != part.program:
        return False
    return _words_meet(part, command.words[1:])


_MODE_FIRST = {"chgrp", "chmod", "chown"}  # whose first operand is no file
_RENAMING = {"destroy", "-destroy"}  # terraform apply -destroy is terraform destroy


def _words_meet(part: _Part, words: Sequence[str]) -> bool | None:
    """Whether the words behind the program are the pattern's, in one of their forms."""
    actual = read_arguments(part.program, words)
    met = _arguments_meet(part, actual)
    if met is False:
        doubting = read_arguments(part.program, words, trusting=False)
        if doubting != actual and _arguments_meet(part, doubting) is not False:
            return None  # if what a table takes for an option's value is none
    if met is False and part.eager is not None:
        eager = read_arguments(part.program, words, eager=True)
        if _arguments_meet(replace(part, arguments=part.eager), eager) is not False:
            return None  # pytest -nauto, if -n takes a value
    if met or part.program not in ("terraform", "tofu"):
        return met
    wanted = part.arguments
    if "destroy" in wanted.operands[:1] and actual.operands[:1] == ("apply",):
        if actual.flags & _RENAMING:
            other = replace(actual, operands=("destroy", *actual.operands[1:]))
            return _arguments_meet(part, other) or met
    elif wanted.flags & _RENAMING and actual.operands[:1] == ("destroy",):
        destroy = next(o for o in wanted.options if o.names & _RENAMING)
        other = replace(
            actual,
            operands=("apply", *actual.operands[1:]),
            options=(*actual.options, destroy),
        )
        return _arguments_meet(part, other) or met
    return met


def _arguments_meet(part: _Part, actual: Arguments) -> bool | None:
    wanted = part.arguments
    verdict: bool | None = True
    for option in wanted.options:
        met = option_meets(option, actual.options, wanted.operands)
        if met is False and not actual.open_ended:
            return False
        verdict = verdict if met else None
    operands = list(wanted.operands)
    if not operands:
        return verdict
    found = _operands_meet(part, operands, actual)
    if found is True or (actual.script and operands == ["run"]):
        return verdict
    if found is None or actual.open_ended:
        return None
    return False


def _operands_meet(part: _Part, wanted: Sequence[str], actual: Arguments) -> bool | None:
    starts: Sequence[int] = range(len(actual.operands))
    levels = 0
    if takes_subcommand(part.program):
        starts = actual.starts
        levels = part.arguments.levels
    elif part.program in _MODE_FIRST:
        starts = range(1)
    best: bool | None = False
    for start in starts:
        at, doubtful, index = start, False, 0
        while index < len(wanted) and at < len(actual.operands):
            operand = actual.operands[at]
            if same_operand(wanted[index], operand):
                index += 1
            elif UNKNOWN in operand and could_become(operand, wanted[index]):
                doubtful = True
                index += 1
            elif index == 0:
                break
            elif index < levels:  # another subcommand of the group
                if not actual.uncertain(operand):
                    break
                doubtful = True
            at += 1
        if index == len(wanted):
            if not doubtful:
                return True
            best = None
    return best


def _shown(command: Command) -> str:
    text = command.source or " ".join(command.words)
    return _short(text.replace(UNKNOWN_WORDS, "…").replace(UNKNOWN, "…"))


def _short(text: str) -> str:
    return cut(text, 100)
