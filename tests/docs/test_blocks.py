"""Every command and every code block of the README and of the documents is run, page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.errors import ConfigurationError
from tests.docs.blocks import ROOT, Stage, blocks_of

# The examples of these are run elsewhere: those of checks.md by tests/checks/test_registry.py.
ELSEWHERE = {"docs/checks.md"}
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.relative_to(ROOT).as_posix() not in ELSEWHERE
]
WITH_BLOCKS = [page for page in PAGES if any(blocks_of(page))]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for block in blocks_of(page):
        stage.play(block)


def test_blocks_that_are_not_run_say_why() -> None:
    left = [block for page in WITH_BLOCKS for block in blocks_of(page) if "not run" in block.mark]
    assert all(len(block.said("not run") or "") > 10 for block in left)
    run = [
        block for page in WITH_BLOCKS for block in blocks_of(page) if "not run" not in block.mark
    ]
    assert len(run) > 2 * len(left), "most blocks have to run"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```bash\nexit 1\n```\n", True),
        ("<!-- exit: 1 -->\n```bash\nexit 1\n```\n", False),
        ("```bash\necho a b c\n```\n\n<!-- output -->\n```text\na … c\n```\n", False),
        ("```bash\necho a\n```\n\n<!-- output -->\n```text\nb\n```\n", True),
        ("```python\nassert 1 == 2\n```\n", True),
        ("```yaml\nscorers: {trace_expectations: {tool_limit: 1}}\n```\n", True),
        ("```yaml\nscorers: {trace_expectations: {tool_limits: {Bash: 1}}}\n```\n", False),
        ("```yaml\ntest_cases: [{inputs: {}}]\n```\n", True),
        ("```\nno language\n```\n", True),
    ],
)
def test_a_block_that_is_not_true_is_noticed(
    text: str, wrong: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    monkeypatch.setattr("tests.docs.blocks.ROOT", tmp_path)
    stage = Stage(tmp_path)
    found = list(blocks_of(page))
    assert found
    *before, last = found
    for block in before:
        stage.play(block)
    if wrong:
        with pytest.raises((AssertionError, ConfigurationError)):
            stage.play(last)
    else:
        stage.play(last)
