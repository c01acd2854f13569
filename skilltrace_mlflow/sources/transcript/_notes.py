"""What was odd about a transcript, with the file and the line it was found in."""

from __future__ import annotations

from skilltrace_mlflow.session import Diagnostic
from skilltrace_mlflow.sources.transcript._lines import Source

__all__ = ["Notes"]


class Notes:
    """Diagnostics of a session's files.

    `incomplete` are the reasons why calls or messages may be missing, `usage_gaps` why tokens may.
    """

    def __init__(self) -> None:
        self.incomplete: list[str] = []
        self.usage_gaps: list[str] = []
        self._diagnostics: list[Diagnostic] = []
        self._unknown: dict[str, tuple[int, str, int]] = {}
        self._source = Source("", ())
        self._agent: str | None = None

    def begin(self, source: Source, agent: str | None) -> None:
        """What is noted from now on is about `source`, the file of `agent` if one is named."""
        self._source = source
        self._agent = agent

    @property
    def number(self) -> int:
        """The number of the line being read."""
        return self._source.number

    def where(self, number: int | None = None) -> str:
        """The line being read, or another one, in words."""
        line = f"line {self._source.number if number is None else number}"
        return line if self._agent is None else f"sub-agent {self._agent} {line}"

    def note(self, message: str, number: int | None = None) -> None:
        """Record something odd about the line being read, or about another one."""
        line = self._source.number if number is None else number
        self._diagnostics.append(Diagnostic(message=message, file=self._source.name, line=line))

    def damage(self, message: str, number: int | None = None) -> None:
        """Record something odd that may have held evidence."""
        self.note(message, number)
        self.incomplete.append(f"{self.where(number)}: {message}")

    def unknown(self, kind: str) -> None:
        """Record an entry of a kind that is not known."""
        first, file, count = self._unknown.get(kind, (self._source.number, self._source.name, 0))
        self._unknown[kind] = (first, file, count + 1)

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of it, the unknown kinds of entries together in one."""
        if not self._unknown:
            return tuple(self._diagnostics)
        kinds = ", ".join(f"{kind!r} ({count}×)" for kind, (_, _, count) in self._unknown.items())
        line, file, _ = next(iter(self._unknown.values()))
        many = "types" if len(self._unknown) > 1 else "type"
        message = f"unknown entry {many} {kinds}"
        return (*self._diagnostics, Diagnostic(message=message, file=file, line=line))
