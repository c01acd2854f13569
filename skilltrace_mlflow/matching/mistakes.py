"""Texts that look like a rule and can never fire: refused when loaded, with what was meant.

A ban that can never be broken and a limit that can never be exceeded would pass for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.tools import MCP_PREFIX, TOOLS, tool_category

__all__ = ["also_called", "refuse_half_absolute", "refuse_mistaken", "tool_like"]

_RULE_NAME = re.compile(r"\s*([\w.:@-]+)(\s*)\(")
_ONE_UNDERSCORE = re.compile(r"mcp_(?!_)\w*")
_BY_FOLD = {name.lower(): name for name in TOOLS if name != name.lower()}
_CATEGORIES = frozenset(tool_category(name) for name in TOOLS) | {"other"}
# First folders of paths that people mean absolutely; in a rule one slash is the project's folder.
_ROOTS = re.compile(
    r"/(?:Users|home|root|etc|var|opt|usr|tmp|private|mnt|Volumes|srv|proc|dev)(?:/|$)"
)
_OF_PATHS = frozenset(name for name, tool in TOOLS.items() if tool.path is not None)
# `rm*`: tools of servers begin with mcp, those of Claude Code with a capital.
_PROGRAM_GLOB = re.compile(r"(?!m(?:c|$|\*|\?))[a-z][\w.-]*[*?][\w.*?-]*")
_PROGRAMS = frozenset(
    {
        *("agent", "bash", "edit", "eval", "glob", "grep", "ls", "monitor", "powershell"),
        *("read", "repl", "skill", "task", "write"),
    }
)
_OF_A_PLUGIN = re.compile(r"mcp__plugin_(?P<server>(?:(?!__).)+)(?P<tool>__.+)?", re.DOTALL)
_OF_A_CONNECTOR = re.compile(r"mcp__claude_ai_(?P<server>(?:(?!__).)+)(?P<tool>__.+)?", re.DOTALL)


def refuse_mistaken(text: str, *, program: bool = False) -> None:
    """Raise ParameterError for a selector that no call can ever meet, saying what is meant.

    With `program` the text may be a command as well, so that only what is none of both is refused.
    """
    stripped = text.strip()
    if stripped.startswith("!"):
        raise ParameterError(f"{stripped!r}: nothing can be taken back by '!' here")
    rule = _RULE_NAME.match(stripped)
    name = rule.group(1) if rule else stripped
    if rule is not None:
        _refuse_brackets(stripped, name, rule.group(2))
    if rule is None and re.fullmatch(r"\w+\[[^\]\s]*", name):
        raise ParameterError(f"{stripped!r}: the bracket [ is not closed")
    if rule is None and _PROGRAM_GLOB.fullmatch(name) and not any(map(_glob(name), TOOLS)):
        raise ParameterError(
            f"no tool can be called {name!r}, and it means no command; write the command's name, "
            f"or Bash({name}) for every command that begins so"
        )
    if not re.fullmatch(r"[\w.:@-]+", name):
        return
    if name in ("mcp__", "mcp"):
        raise ParameterError(f"{stripped!r} names no server: mcp__<server> or mcp__*")
    meant = _BY_FOLD.get(name.lower())
    if meant is not None and name not in TOOLS and (rule is not None or not program or _odd(name)):
        raise ParameterError(f"no tool is called {name!r}; did you mean {meant!r}?")
    if _ONE_UNDERSCORE.fullmatch(name) is not None:
        hint = MCP_PREFIX + name[len("mcp_") :]
        raise ParameterError(
            f"no tool is called {name!r}; those of MCP servers have two underscores: did you mean "
            f"{hint!r}?"
        )
    if name.startswith(MCP_PREFIX) and name.endswith("__"):
        raise ParameterError(
            f"{stripped!r} names no tool: {name[:-2]} is every tool of that server"
        )
    if name in _CATEGORIES and name not in TOOLS and (not program or "_" in name):
        raise ParameterError(f"{name!r} is a category, no tool; category_limits counts those")


def tool_like(name: str) -> str | None:
    """The tool that may be meant where a program is named: `bash` is one, `Bash` a tool."""
    meant = _BY_FOLD.get(name.lower())
    return meant if name not in TOOLS else None


def refuse_half_absolute(text: str) -> None:
    """Raise ParameterError for a rule on files whose path is the project's and reads like the
    machine's: `Read(/Users/me/.ssh/**)`."""
    rule = _RULE_NAME.match(text)
    if rule is None or rule.group(1) not in _OF_PATHS:
        return
    path = text[rule.end() :].strip().removesuffix(")").strip()
    if _ROOTS.match(path):
        name = rule.group(1)
        raise ParameterError(
            f"{text!r}: one slash means the project's folder; write {name}(/{path}) for the whole "
            f"machine, or {name}(.{path}) for the project's"
        )


def also_called(name: str) -> tuple[str, ...]:
    """The names that a tool has where its server is set up by itself, of a server that a plugin or
    an account on claude.ai brings.

    `mcp__plugin_<plugin>_<server>__<tool>` does not say where the plugin's name ends, and
    `mcp__claude_ai_<Server>__<tool>` has the server's name as it was typed there.
    """
    account = _OF_A_CONNECTOR.fullmatch(name)
    if account is not None:
        tool = account.group("tool") or ""
        servers = dict.fromkeys((account.group("server"), account.group("server").lower()))
        return tuple(f"{MCP_PREFIX}{server}{tool}" for server in servers)
    found = _OF_A_PLUGIN.fullmatch(name)
    if found is None:
        return ()
    words = found.group("server").split("_")
    tool = found.group("tool") or ""
    return tuple(f"{MCP_PREFIX}{'_'.join(words[at:])}{tool}" for at in range(1, len(words)))


def _glob(pattern: str) -> Callable[[str], bool]:
    """Whether a name fits a glob."""
    return lambda name: fnmatchcase(name, pattern)


def _odd(name: str) -> bool:
    """Whether nothing on a command line is called so: `bash` and `grep` are programs as well."""
    return name.lower() not in _PROGRAMS


def _refuse_brackets(text: str, name: str, blank: str) -> None:
    known = name in TOOLS or name.lower() in _BY_FOLD or name.startswith("mcp_")
    if not known:
        return
    wrong = "is no tool name, glob or permission rule:"
    if blank:
        raise ParameterError(f"{text!r} {wrong} no blank stands in front of the bracket")
    if text.endswith("))") and text.count(")") > text.count("("):
        raise ParameterError(f"{text!r} {wrong} a bracket is closed that was never opened")
    if not text.endswith(")"):
        raise ParameterError(f"{text!r} {wrong} the bracket is not closed")
