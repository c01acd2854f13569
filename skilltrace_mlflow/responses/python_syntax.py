"""Python code blocks must parse."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from typing import Any

from skilltrace_mlflow.checks import Example, Outcome, Verdict
from skilltrace_mlflow.responses._base import Response, response_check
from skilltrace_mlflow.responses._blocks import Block, judge_blocks

__all__ = ["python_syntax"]

_LANGUAGES = ("ipython", "ipython3", "py", "py3", "pycon", "pyspark", "python", "python3")
# Notebook lines that are no Python: `%pip install x`, `!ls`, `%%time`, `files = !ls`.
_MAGIC = re.compile(
    r"^([ \t]*)(?:[A-Za-z_][\w., ]*=[ \t]*)?(?:%{1,2}[A-Za-z]|![^=\s]).*$", re.MULTILINE
)
# The cell below such a line is in another language.
_OTHER_CELL = re.compile(
    r"\s*%{1,2}(?:bash|fs|html|javascript|js|latex|markdown|md|perl|r|ruby|scala|sh|sql|svg)\b",
    re.IGNORECASE,
)
_PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")


@response_check(
    name="python_syntax",
    parse=lambda expectations: (),
    listed=True,
    examples=(
        Example(
            value={},
            response="```python\nx = spark.range(3)\n```\n",
            verdict=Verdict.PASS,
            why="the block parses",
        ),
        Example(
            value={},
            response="```python\ndef f(:\n```\n",
            verdict=Verdict.FAIL,
            why="the block does not parse",
        ),
    ),
)
def python_syntax(response: Response, parameters: Any) -> Outcome:
    """Every Python code block of the response parses.

    Notebook magics count as empty statements, a cell that begins with `%sql` or the like is none of
    Python's, top-level `await` is allowed, and a block of `>>>`
    lines is read as the statements behind them. No Python block: nothing to judge.
    """
    return judge_blocks(response.text or "", _LANGUAGES, "Python", _problem)


def _problem(block: Block) -> str | None:
    source = _without_prompts(block.text)
    found = _syntax_problem(source, block)
    if found is None:
        return None
    # Only now, since `%b` may go on with an expression of the line before.
    masked = _MAGIC.sub(r"\1pass", source)
    if _OTHER_CELL.match(source):
        return None
    return found if masked == source else _syntax_problem(masked, block)


def _syntax_problem(source: str, block: Block) -> str | None:
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
    """The statements of an interactive session; a block that begins otherwise is taken whole."""
    if not text.lstrip().startswith(">>>"):
        return text
    # What the session printed becomes an empty line, so that line numbers stay right.
    lines = (
        line[4:] if _PROMPT.match(line) else line if line.startswith(">>>") else ""
        for line in text.split("\n")
    )
    return "\n".join(lines) + "\n"
