"""A command pattern as users write it: a shell command, an SQL statement, or both."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skilltrace_mlflow.commands.command_pattern import CommandPattern, parse_command_pattern
from skilltrace_mlflow.commands.sql.patterns import SqlPattern, parse_sql_pattern
from skilltrace_mlflow.errors import ParameterError

__all__ = ["Pattern", "parse_pattern"]


_WILDCARD = re.compile(r"[A-Z]\*|\*[A-Z]")  # DROP TAB*


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """`truncate` is a program and a statement; a text that is neither does not parse."""

    text: str
    command: CommandPattern | None
    sql: SqlPattern | None


def parse_pattern(text: str) -> Pattern:
    """The pattern in a text; ParameterError if it is neither a command nor a statement."""
    sql = parse_sql_pattern(text)
    if sql is not None and _WILDCARD.search(text):
        raise ParameterError(f"{text!r} has a wildcard in a word of SQL, where none is known")
    try:
        command = parse_command_pattern(text)
    except ParameterError:
        if sql is None:
            raise
        command = None
    return Pattern(text=text.strip(), command=command, sql=sql)
