"""YAML code blocks must parse."""

from __future__ import annotations

from typing import Any

from skilltrace_mlflow.checks import Example, Outcome, Verdict
from skilltrace_mlflow.responses._base import Response, response_check
from skilltrace_mlflow.responses._blocks import Block, judge_blocks

__all__ = ["yaml_syntax"]


@response_check(
    name="yaml_syntax",
    parse=lambda expectations: (),
    listed=True,
    examples=(
        Example(
            value={},
            response="```yaml\ntables: [events]\n```\n",
            verdict=Verdict.PASS,
            why="the block parses",
        ),
        Example(
            value={},
            response="```yaml\ntables: [events\n```\n",
            verdict=Verdict.FAIL,
            why="the list is never closed",
        ),
    ),
)
def yaml_syntax(response: Response, parameters: Any) -> Outcome:
    """Every YAML code block of the response parses; tags and several documents are fine, an alias
    without its anchor is not.

    No YAML block: nothing to judge.
    """
    return judge_blocks(response.text or "", ("yaml", "yml"), "YAML", _problem)


def _problem(block: Block) -> str | None:
    import yaml

    try:
        # Events only: nothing is built, so tags and aliases can do no harm.
        anchors: set[str] = set()
        for event in yaml.parse(block.text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                anchors.clear()
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    line = block.line + (event.start_mark.line if event.start_mark else 0)
                    return f"the alias *{event.anchor} has no anchor at line {line}"
            elif isinstance(event, yaml.NodeEvent) and event.anchor:
                anchors.add(event.anchor)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + block.line if error.problem_mark else block.line
        return f"{error.problem} at line {line}"
    except yaml.YAMLError as error:
        return str(error).splitlines()[0]
    return None
