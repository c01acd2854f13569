"""What stands in the parentheses of a permission rule, as Claude Code documents it.

Decisions, each with a test:

- `Bash(x:*)` and `Bash(x *)` mean the command `x`, alone or followed by a space and anything: a
  prefix that ends at a word, so `git push:*` is not `git pushd`. A `*` elsewhere stands for any
  text, spaces included; `Bash(ls*)` does match `lsof`; `\\*` is a star. Without a star the command
  is meant exactly.
- A command line is taken apart at `&&`, `||`, `;`, `|`, `|&`, `&` and line ends, and each command
  is compared by itself; redirections and assignments in front do not count, nor do `timeout`,
  `time`, `nice`, `nohup`, `stdbuf` and a bare `xargs`.
- The rule is about the text: `Bash(git push:*)` does not see `git -C repo push`. (The command
  pattern `git push` does.) A program is met by its path too: `/bin/rm`, `git.exe`. Rules with an
  assignment (`FOO=1 git push`) or an operator (`git add . && git push`) are compared with the line.
- A selector asks what ran. So commands inside `$(...)` and those that another command carries
  (`sudo`, `sh -c`) are compared too, though Claude Code itself would stop at the carrier. How
  allow rules cover a line is in `permissions`.
- `Read(path)` speaks for all tools that read files, `Edit(path)` for all that change them; paths
  are gitignore patterns, see `patterns.paths.RulePath`. What command lines read and edit is
  compared too: all that `commands.file_use` sees where a selector asks what ran, what Claude Code
  itself looks at (`commands.cli_files`) where `permissions` asks.
- `WebFetch(domain:x)` is the host, exactly; `domain:*.x` any host below it; another star stays
  between dots.
- `Agent(type)` is the sub-agent's type, in any letter case, `general-purpose` where none is given;
  `Skill(name)` the skill, `Skill(name:*)` any skill whose name begins so.
- `Tool(parameter:value)` is a top-level argument, compared as text, `*` for any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from skilltrace_mlflow.commands.command import UNKNOWN
from skilltrace_mlflow.commands.prefilter import Program
from skilltrace_mlflow.commands.shell import read_line, read_script, reads_posix
from skilltrace_mlflow.commands.wrappers import program_of
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.patterns.paths import RulePath
from skilltrace_mlflow.patterns.regex import wildcard
from skilltrace_mlflow.session import ToolCall
from skilltrace_mlflow.tools import EDITORS, PATH_KEYS, READERS, SHELLS, starts_agent

__all__ = ["SHELL_PARAMETERS", "Specifier", "parse_specifier", "rule_tools"]

SHELL_PARAMETERS = ("run_in_background", "timeout", "description", "dangerouslyDisableSandbox")
_OF_LINES = re.compile(r"^\[|^\w+=|&&|;|\|")
_OPERATORS = re.compile(r"&&|\|\||[;|&\n]")
_PARAMETER = re.compile(r"([A-Za-z_]\w*):(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Specifier:
    """`test(input, cwd)` answers for the arguments of one call.

    `command` is set for rules about command lines and answers for the text of one command: an allow
    rule covers single commands of a line, not the line. A line in which `hint` cannot run is not
    meant, which is cheaper to find out than `test`. `path` is the pattern of a rule about files,
    `parameter` marks `Tool(parameter:value)`.
    """

    test: Callable[[Mapping[str, Any], str | None], bool | None]
    command: Callable[[str], bool] | None = None
    hint: Program | None = None
    path: str | None = None
    parameter: bool = False

    def matches(self, call: ToolCall, cwd: str | None) -> bool | None:
        """Whether the call is meant; None if its arguments do not tell."""
        if call.input is None:
            return None
        met = self.test(call.input, cwd)
        # What was cut off could still match; what matched in the kept part did match.
        return None if call.input_truncated and not met else met


def rule_tools(name: str) -> tuple[str, ...]:
    """The tools that a rule on `name` with a specifier speaks for."""
    if name == "Read":
        return READERS
    if name == "Edit":
        return EDITORS
    return (name,)


def parse_specifier(name: str, inner: str, text: str, *, blank: bool = False) -> Specifier:
    """The test behind `name(inner)`; ParameterError if no such rule exists for that tool.

    `blank`: blanks stood around the inner part, which takes the meaning of a prefix from `:*`.
    """
    parameter = _PARAMETER.fullmatch(inner)
    if name in SHELLS:
        if parameter and parameter.group(1) in SHELL_PARAMETERS:
            by_value = _parameter(parameter.group(1), parameter.group(2))
            # `timeout:*` is the program as well as the parameter
            return (
                _either(by_value, _command(inner, name)) if parameter.group(2) == "*" else by_value
            )
        return _command(inner, name, blank=blank)
    if name in READERS or name in EDITORS or name == "Cd":  # which is the person's own /cd
        pattern = RulePath(inner)
        return Specifier(test=lambda given, cwd: _path(pattern, given, cwd), path=inner)
    if name == "WebFetch":
        if inner.startswith("domain:") and inner != "domain:":
            domain = inner.removeprefix("domain:").strip().casefold().rstrip(".")
            return Specifier(test=lambda given, cwd: _domain(domain, given.get("url")))
        if not parameter:
            raise ParameterError(f"{text!r}: WebFetch takes domain:HOST")
    if name == "WebSearch" and not parameter:
        raise ParameterError(f"{text!r}: WebSearch takes no specifier but parameter:value")
    if starts_agent(name) and not parameter:
        kind = inner.casefold()
        return Specifier(
            test=lambda given, cwd: _wild(
                kind, str(given.get("subagent_type") or "general-purpose").casefold()
            )
        )
    if name in ("Skill", "SlashCommand") and not (parameter and parameter.group(1) == "skill"):
        return Specifier(test=lambda given, cwd: _skill(inner, given))
    if parameter:
        return _parameter(parameter.group(1), parameter.group(2))
    raise ParameterError(
        f"{text!r}: unknown rule; known are Bash(command:*), Read(path), Edit(path), "
        "WebFetch(domain:host), Agent(type), Skill(name) and Tool(parameter:value)"
    )


def _either(one: Specifier, other: Specifier) -> Specifier:
    def test(given: Mapping[str, Any], cwd: str | None) -> bool | None:
        return one.test(given, cwd) or other.test(given, cwd)

    return Specifier(test=test, command=other.command)


def _command(inner: str, tool: str, *, blank: bool = False) -> Specifier:
    inner = " ".join(inner.split())
    posix = reads_posix(tool)
    inner = inner if posix else inner.casefold()
    prefix: str | None = None
    if inner.endswith(":*") or (inner.endswith(" *") and "*" not in inner[:-2]):
        prefix = inner[:-2].rstrip()

    def one(text: str) -> bool:
        text = text if posix else text.casefold()
        if prefix is not None and "*" not in prefix:
            return (
                text == prefix
                or text.startswith(prefix + " ")
                or (blank and text.startswith(inner[:-1]))
            )
        return wildcard(inner if prefix is None else prefix + "*", text)

    fixed = (prefix if prefix is not None else inner).split("*")[0]
    # The last word may go on behind the star.
    words = fixed.split() if fixed.endswith(" ") or prefix is not None else fixed.split()[:-1]
    # what PowerShell calls a command stands in no line that uses an alias
    known = bool(words) and posix
    hint = Program(name=words[0].rsplit("/", 1)[-1], words=tuple(words[1:])) if known else None

    # Rules with an assignment or an operator, and `[`, speak of the line itself.
    whole = _OF_LINES.search(inner) is not None

    def judge(given: Mapping[str, Any], cwd: str | None) -> bool | None:
        line = given.get("command")
        if not isinstance(line, str):
            return None
        if whole and any(one(piece) for piece in _pieces(line)):
            return True
        if hint is not None and not hint.may_run(line):
            return False
        verdict: bool | None = False
        read = read_script(line).commands
        for command in read if posix else (*read, *read_line(tool, line).commands):
            for form in (*command.texts, _bare(command.words)):
                if one(form):
                    return True
                if UNKNOWN in form and _could_be(fixed, form.split(UNKNOWN)[0]):
                    verdict = None
        return verdict

    return Specifier(test=judge, command=one, hint=hint)


def _pieces(line: str) -> list[str]:
    """A line, and what stands between its operators, blanks reduced to one."""
    texts = [line, *_OPERATORS.split(line)]
    return [" ".join(text.split()) for text in texts]


def _bare(words: Sequence[str]) -> str:
    """A command by its program's name alone: `/bin/rm x` is `rm x`."""
    return " ".join((program_of(words[0]), *words[1:]))


def _could_be(fixed: str, known: str) -> bool:
    return known.startswith(fixed) or fixed.startswith(known)


def _path(pattern: RulePath, given: Mapping[str, Any], cwd: str | None) -> bool | None:
    for key in PATH_KEYS:
        path = given.get(key)
        if isinstance(path, str) and path:
            return pattern.matches(path, cwd)
    # Glob, Grep and LS without a path work in the working directory
    return pattern.matches(cwd, cwd) if cwd is not None else None


def _domain(domain: str, url: Any) -> bool | None:
    if not isinstance(url, str):
        return None
    try:
        host = urlsplit(url if "//" in url else f"https://{url}").hostname or ""
    except ValueError:
        return None
    return _host_pattern(domain).fullmatch(host.rstrip(".").casefold()) is not None


@lru_cache(maxsize=512)
def _host_pattern(domain: str) -> re.Pattern[str]:
    """`*.x` is any host below x; a star elsewhere stays between dots."""
    if domain in ("*", "**"):
        return re.compile(".*")
    front = re.match(r"\*+\.", domain)
    rest = domain[front.end() :] if front else domain
    inner = "[^.]*".join(re.escape(piece) for piece in re.split(r"\*+", rest))
    return re.compile((r"(?:[^.]+\.)+" if front else "") + inner)


def _wild(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and wildcard(pattern, value)


def _skill(pattern: str, given: Mapping[str, Any]) -> bool:
    name = given.get("skill", given.get("command"))
    if not isinstance(name, str):
        return False
    name = name.strip().lstrip("/")
    arguments = given.get("args")
    full = f"{name} {arguments}" if isinstance(arguments, str) and arguments else name
    pattern = pattern.lstrip("/")
    if pattern.endswith((":*", " *")):
        return full.startswith(pattern[:-2])  # a bare beginning: `release:*` is `release-notes` too
    return wildcard(pattern, name) or wildcard(pattern, full)


def _parameter(key: str, pattern: str) -> Specifier:
    def test(given: Mapping[str, Any], cwd: str | None) -> bool:
        value = given.get(key)
        if key == "skill" and isinstance(value, str):
            value = value.strip().lstrip("/")
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (int, float)):
            value = str(value)
        return isinstance(value, str) and wildcard(pattern.strip(), value)

    return Specifier(test=test, parameter=True)
