"""Every error that a user can meet, under one root.

A message is one line: what is wrong, where (file, line, key), and the way out. The command line
maps the class to an exit code; nothing else does.
"""

from __future__ import annotations

import re

__all__ = [
    "ConfigurationError",
    "EvaluationError",
    "EvaluationFailedError",
    "ExperimentNotFoundError",
    "InputError",
    "SkillTraceError",
    "TraceNotFoundError",
]


class SkillTraceError(Exception):
    """Root of all errors of this package; `exit_code` is what the command line ends with."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython asks for it): what the command line says, no more, and
        with the names of parameters instead of options.
        """
        lines = str(self).splitlines() or [type(self).__name__]
        return [f"error: {_OPTION.sub(_as_parameter, line)}" for line in lines]


# A whole command of the shell stays as it is.
_OPTION = re.compile(
    r"(?:\b(?:skilltrace-mlflow|mlflow|databricks) [a-z]|\b(?:trace|mlflow)-eval )[^;,()]*"
    r"|(?<![\w-])--(?P<name>[a-z][a-z0-9-]*)"
)


def _as_parameter(found: re.Match[str]) -> str:
    name = found["name"]
    return found[0] if name is None else f"`{name.replace('-', '_')}`"


class InputError(SkillTraceError):
    """A file, a line or a value that cannot be read (exit code 2)."""


class ConfigurationError(SkillTraceError):
    """A manifest, a ground truth, an option or an environment that is wrong (exit code 2).

    `problems` holds all messages of a file at once; the text joins them by newlines.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ExperimentNotFoundError(ConfigurationError):
    """An experiment that was named but is not there (exit code 2): who may make it catches this."""


class EvaluationError(SkillTraceError):
    """What was asked could not be evaluated: server gone, assessment lost (exit code 3)."""

    exit_code = 3


class EvaluationFailedError(SkillTraceError):
    """An evaluation that was done and whose result fails; `exit_code` is the evaluation's own."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class TraceNotFoundError(EvaluationError):
    """A trace, run or session that was named but is not there (exit code 3)."""


class ParameterError(ValueError):
    """A value that a check's `parse` refuses although the schema allows its shape.

    `path` leads from the check's key to the bad value: ("expected", 0, "input_match").
    """

    def __init__(self, message: str, *, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path
