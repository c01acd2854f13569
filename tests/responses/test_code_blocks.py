"""Which parts of a response are code, and in which language."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.responses._blocks import code_blocks
from tests.responses.judging import fenced, judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    "info",
    [
        "python:src/app.py",
        "{python}",
        "{.python .numberLines}",
        "python,linenos",
        "python=",
        'Python title="app.py"',
        "ipython3",
    ],
)
def test_the_language_is_read_from_every_kind_of_info_string(info: str) -> None:
    assert judge("python_syntax", fenced(info, "x = (")).verdict is FAIL


@pytest.mark.parametrize("marker", ["- ", "* ", "1. ", "> - ", "- - "])
def test_a_fence_may_begin_a_list_item(marker: str) -> None:
    text = f"{marker}```python\n    x = (\n    ```\n\nThen\n\n```python\ny = (\n```\n"
    outcome = judge("python_syntax", text)
    assert outcome.verdict is FAIL
    assert len(outcome.misses) == 2


@pytest.mark.parametrize("name", ["python_syntax", "sql_syntax", "yaml_syntax"])
@pytest.mark.parametrize("text", ["prose only", "", "`x = (` inline", fenced("bash", "x = (")])
def test_without_a_block_of_the_language_there_is_nothing_to_judge(name: str, text: str) -> None:
    assert judge(name, text).verdict is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```python\na\n```\n```sql\nb\n```", [("python", "a\n"), ("sql", "b\n")]),
        ("~~~yaml\na\n~~~", [("yaml", "a\n")]),
        ("````md\n```\nx\n```\n````", [("md", "```\nx\n```\n")]),
        ("```python title=x\na\n```", [("python", "a\n")]),
        ("- item\n  ```python\n  if x:\n    y\n  ```", [("python", "if x:\n  y\n")]),
        ("> ```sql\n> a\n> ```", [("sql", "a\n")]),
        ("```python\nnever closed", [("python", "never closed\n")]),
        ("```inline```", []),
    ],
)
def test_code_blocks_are_found_as_commonmark_has_them(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert [(block.language, block.text) for block in code_blocks(text)] == found
