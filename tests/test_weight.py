"""Starting costs milliseconds: what is heavy is imported only where it is needed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
HEAVY = ("mlflow", "pandas", "pyspark", "databricks.sdk", "numpy")
# What only stores, reports in other formats and other languages need: a table of one transcript is
# printed without it; jsonschema is asked where a file has a mistake.
NEEDLESS = (
    "http.client",
    "jinja2",
    "jsonschema",
    "sqlglot",
    "sqlite3",
    "ssl",
    "statistics",
    "skilltrace_mlflow.agent",
    "skilltrace_mlflow.evaluate",
    "skilltrace_mlflow.importing",
    "skilltrace_mlflow.report.dump",
    "skilltrace_mlflow.report.html",
    "skilltrace_mlflow.report.junit",
    "skilltrace_mlflow.sources.mlflow.store",
    "skilltrace_mlflow.sources.mlflow.trace",
)


def heavy_modules_after(code: str, heavy: Sequence[str] = HEAVY) -> list[str]:
    program = f"import sys\n{code}\nprint([n for n in {tuple(heavy)!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found: list[str] = eval(done.stdout.splitlines()[-1])  # noqa: S307 - printed just above
    return found


def command(*arguments: str, code: int = 0) -> str:
    return f"from skilltrace_mlflow.cli._app import run\nassert run({list(arguments)!r}) == {code}"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import skilltrace_mlflow", id="import"),
        pytest.param(command("--help"), id="help"),
        pytest.param(
            command("summarize", str(SKILL / "traces/demo-good.jsonl")),
            id="summarize",
        ),
        pytest.param(
            command(
                "trace-eval",
                str(SKILL),
                "--trace",
                str(SKILL / "traces/demo-failing.jsonl"),
                code=1,
            ),
            id="trace-eval",
        ),
        pytest.param(
            command("validate", str(SKILL)),
            id="validate",
        ),
        pytest.param(
            command("show", str(SKILL / "traces/demo-subagent.jsonl")),
            id="show",
        ),
    ],
)
def test_light_paths_import_nothing_heavy(code: str) -> None:
    assert heavy_modules_after(code) == []


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(command("--help"), id="help"),
        pytest.param(
            command("trace-eval", str(SKILL), "--trace", str(SKILL / "traces/demo-good.jsonl")),
            id="trace-eval",
        ),
    ],
)
def test_a_table_of_one_transcript_needs_no_store_and_no_other_format(code: str) -> None:
    assert heavy_modules_after(code, NEEDLESS) == []


def test_the_tables_of_options_are_read_from_an_archive_too(tmp_path: Path) -> None:
    """Spark's executors may have the package as a zip file, where no folder is beside a module."""
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((ROOT / "skilltrace_mlflow").rglob("*")):
            if path.suffix in (".py", ".txt"):
                packed.write(path, path.relative_to(ROOT))
    program = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from skilltrace_mlflow.commands import options\n"
        "print(options.__file__); print('--force' in options.table_of('git', ('push',)).options)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.startswith(str(archive))
    assert done.stdout.split()[-1] == "True"


@pytest.mark.parametrize("code", ["import skilltrace_mlflow", command("--help")])
def test_a_start_imports_no_logging(code: str) -> None:
    assert heavy_modules_after(code, ("logging",)) == []


def test_a_warning_of_the_package_is_silent_until_there_is_a_handler() -> None:
    program = (
        "import logging\nfrom skilltrace_mlflow.sources import load\n"
        "load._log.warning('first')\n"
        "logging.getLogger('skilltrace_mlflow').addHandler(logging.StreamHandler())\n"
        "load._log.warning('second')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.split() == ["second"]


def test_modules_log_through_the_logger_that_is_silent() -> None:
    package = ROOT / "skilltrace_mlflow"
    own = [p.name for p in package.rglob("*.py") if "getLogger(__name__)" in p.read_text("utf-8")]
    assert own == []


def test_every_public_name_resolves_and_no_other_does() -> None:
    import skilltrace_mlflow

    for name in skilltrace_mlflow.__all__:
        assert getattr(skilltrace_mlflow, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = skilltrace_mlflow.no_such_name


def test_what_judges_loads_no_resources_before_a_command_line_is_parsed() -> None:
    """`importlib.resources` brings `tempfile` and what packs files; tree-sitter-bash needs it."""
    code = "import skilltrace_mlflow.evaluation"
    assert heavy_modules_after(code, ("importlib.resources", "tempfile", "tree_sitter_bash")) == []
