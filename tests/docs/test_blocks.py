"""Every command and every code block of the README and of the documents is run, page by page."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import skilltrace_mlflow
from skilltrace_mlflow.errors import ConfigurationError
from tests.docs.blocks import ROOT, Block, Stage, blocks_in, blocks_of, fences
from tests.docs.generate_reference import BUILT
from tests.docs.python_examples import EXAMPLES, NOT_RUN

# The verdicts of the examples in checks.md are tried by tests/checks/test_registry.py; that they
# can be written into a manifest, as the page says, is tried here.
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")),
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
WITH_BLOCKS = [page for page in PAGES if any(blocks_of(page))]
LEFT = [block for page in WITH_BLOCKS for block in blocks_of(page) if "not run" in block.mark]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_block_of_a_page_is_overlooked(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert fences(text) == 2 * len(list(blocks_of(page)))


@pytest.mark.parametrize("text", ["  ```bash\n  x\n  ```\n", "~~~\nx\n~~~\n", "- ```sh\n> ```\n"])
def test_blocks_that_are_indented_quoted_or_fenced_otherwise_are_counted(text: str) -> None:
    assert fences(text) == 2
    assert list(blocks_in(text, "page.md")) == []


def test_the_examples_of_the_python_reference_run(tmp_path: Path) -> None:
    assert set(EXAMPLES) == set(skilltrace_mlflow.__all__)
    text = BUILT["python.md"]()
    blocks = list(blocks_in(text, "docs/reference/python.md"))
    assert fences(text) == 2 * len(blocks)
    shown = [block for block in blocks if block.language == "python"]
    assert [block.text for block in shown] == [EXAMPLES[name] for name in skilltrace_mlflow.__all__]
    assert sum("not run" in block.mark for block in shown) == len(NOT_RUN)
    codes = {block.line: block.text for block in shown if "not run" not in block.mark}
    # In one process, since MLflow is slow to import; each example with names of its own.
    program = (
        "for line, code in " + repr(codes) + ".items():\n"
        "    exec(compile(code, f'docs/reference/python.md:{line}', 'exec'), {})\n"
    )
    (block,) = blocks_in(f"```python\n{program}```\n", "docs/reference/python.md")
    Stage(tmp_path).play(block)


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for block in blocks_of(page):
        stage.play(block)


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_reader_is_told_where_each_file_goes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(page):
        path = block.said("file")
        before = "\n".join(text.splitlines()[: block.line])
        assert path is None or f"`{path}`" in before, f"{page.name} names {path} in a comment alone"


def test_blocks_that_are_not_run_say_why() -> None:
    assert all(len(block.said("not run") or "") > 10 for block in LEFT)
    run = [
        block for page in WITH_BLOCKS for block in blocks_of(page) if "not run" not in block.mark
    ]
    assert len(run) > 2 * len(LEFT), "most blocks have to run"


@pytest.mark.parametrize(
    "block",
    [block for block in LEFT if block.language == "python"],
    ids=lambda block: f"{block.page}:{block.line}",
)
def test_what_a_block_that_is_not_run_imports_is_there(block: Block) -> None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skilltrace_mlflow"):
            module = importlib.import_module(node.module or "")
            assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize(
    "comment", ["outputs", "not-run: it needs a key", "exits: 1", "exit: 0; fail: x", "file:x"]
)
def test_a_comment_that_nobody_reads_is_noticed(comment: str, tmp_path: Path) -> None:
    (block,) = blocks_in(f"<!-- {comment} -->\n```bash\ntrue\n```\n", "page.md")
    with pytest.raises(AssertionError, match="nobody reads"):
        Stage(tmp_path).play(block)


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
        ("```text\nno output\n```\n", True),
        (
            "```bash\necho a\n```\n<!-- not run: no key -->\n```bash\nb\n```\n\n"
            "<!-- output -->\n```text\na\n```\n",
            True,
        ),
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
