"""YAML code blocks must parse."""

from __future__ import annotations

from typing import Any

from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.responses._base import Response, ResponseSpec
from skilltrace_mlflow.responses._blocks import Block, judge_blocks

__all__ = ["SPECS"]


def _judge(response: Response, parameters: Any) -> Outcome:
    """Every YAML code block of the response parses; tags and several documents are fine.

    No YAML block: nothing to judge.
    """
    return judge_blocks(response.text or "", ("yaml", "yml"), "YAML", _problem)


def _problem(block: Block) -> str | None:
    import yaml

    try:
        # Events only: nothing is built, so tags and aliases can do no harm.
        for _ in yaml.parse(block.text, Loader=yaml.SafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + block.line if error.problem_mark else block.line
        return f"{error.problem} at line {line}"
    except yaml.YAMLError as error:
        return str(error).splitlines()[0]
    return None


SPECS = (
    ResponseSpec(name="yaml_syntax", parse=lambda expectations: (), judge=_judge, listed=True),
)
