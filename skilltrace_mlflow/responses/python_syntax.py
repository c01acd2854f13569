"""Python code blocks must parse."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from typing import Any

from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.responses._base import Response, ResponseSpec
from skilltrace_mlflow.responses._blocks import Block, judge_blocks

__all__ = ["SPECS"]

_LANGUAGES = ("py", "py3", "pyspark", "python", "python3")
# Notebook lines that are no Python: `%pip install x`, `!ls`, `%%time`.
_MAGIC = re.compile(r"^([ \t]*)(?:%{1,2}|!)[A-Za-z].*$", re.MULTILINE)


def _judge(response: Response, parameters: Any) -> Outcome:
    """Every Python code block of the response parses.

    Notebook magics count as empty statements, top-level `await` is allowed, and a block of `>>>`
    lines is read as the statements behind them. No Python block: nothing to judge.
    """
    return judge_blocks(response.text or "", _LANGUAGES, "Python", _problem)


def _problem(block: Block) -> str | None:
    source = _MAGIC.sub(r"\1pass", _without_prompts(block.text))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is no syntax error yet
            compile(
                source,
                "<response>",
                "exec",
                flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
    except SyntaxError as error:
        line = block.line + (error.lineno or 1) - 1
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"{error.msg} at line {line} (Python {version})"
    except ValueError as error:  # a null byte
        return str(error)
    return None


def _without_prompts(text: str) -> str:
    lines = text.splitlines()
    if not any(line.startswith(">>>") for line in lines):
        return text
    kept = [line[4:] for line in lines if line.startswith((">>>", "..."))]
    return "\n".join(kept) + "\n"


SPECS = (
    ResponseSpec(name="python_syntax", parse=lambda expectations: (), judge=_judge, listed=True),
)
