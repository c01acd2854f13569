"""What needs no MLflow works where only the packages of requirements/light.txt can be imported.

The commands run in two processes: one whose imports of every other third-party package are refused,
and one that may import everything. Both have to say the same.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
GOOD, FAILING = (str(SKILL / "traces" / name) for name in ("demo-good.jsonl", "demo-failing.jsonl"))
LIGHT = ROOT / "requirements" / "light.txt"

COMMANDS = {
    "trace-eval": ["trace-eval", str(SKILL), "--trace", GOOD, "--test-id", "orders_create"],
    "trace-eval, failing": ["trace-eval", str(SKILL), "--trace", FAILING, "--format", "junit"],
    "trace-eval of a folder": [
        *("trace-eval", str(SKILL), "--trace-dir", str(SKILL / "traces"), "--format", "markdown"),
        *("--output", "results.jsonl", "--report", "report.html"),
    ],
    "show": ["show", FAILING],
    "summarize": ["summarize", GOOD, FAILING, "--format", "json"],
    "validate": ["validate", str(SKILL)],
    "expect": ["expect", "--trace", GOOD],
    "compare": ["compare", "results.jsonl", "results.jsonl"],
    "convert": ["convert", "results.jsonl", "--format", "markdown"],
    "triggers": ["triggers", str(SKILL / "traces")],
    "init": ["init", "new-skill"],
    "expect --append": ["expect", "new-skill", "--append", "--trace", GOOD],
    "expect --redact": [
        *("expect", "new-skill", "--append", "--redact", "--trace", FAILING),
        *("--test-id", "kept"),
    ],
    "schema": ["schema", "ground-truth"],
}
NEEDING_MLFLOW = {
    "trace-eval of a stored trace": ["trace-eval", str(SKILL), "--trace-id", "tr-1"],
    "trace-eval --log": ["trace-eval", str(SKILL), "--trace", GOOD, "--log"],
    "mlflow-eval": ["mlflow-eval", str(SKILL)],
    "import": ["import", GOOD],
    "list-traces": ["list-traces", "--experiment", "x"],
    "register": ["register", str(SKILL), "--experiment", "x"],
    "compare of runs": ["compare", "0" * 32, "1" * 32],
}
_PROGRAM = """
import contextlib, io, json, sys
refused, commands = json.loads(sys.argv[1])
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
from skilltrace_mlflow.cli._app import run
said = {}
for name, arguments in commands.items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    said[name] = [code, out.getvalue(), err.getvalue()]
print(json.dumps(said))
"""


def pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if (text := line.partition("#")[0].strip()) and not text.startswith("-"):
            requirement = Requirement(text)
            name = re.sub("[-_.]+", "-", requirement.name).lower()
            found.setdefault(name, set()).add(str(requirement.specifier))
    return found


def heavy() -> set[str]:
    """What can be imported here and comes from a package that light.txt does not name."""
    light = set(pins(LIGHT)) | {"skilltrace-mlflow", "pip", "setuptools"}
    return {
        module
        for module, distributions in packages_distributions().items()
        if not {re.sub("[-_.]+", "-", name).lower() for name in distributions} & light
    }


def said(
    commands: dict[str, list[str]], refused: set[str], folder: Path
) -> dict[str, tuple[int, str, str]]:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps([sorted(refused), commands])],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: tuple(value) for name, value in json.loads(done.stdout).items()}


def without_times(text: str) -> str:
    return re.sub(r'timestamp="[^"]*"', "", text)


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    folder = tmp_path_factory.mktemp("light") / "there"
    assert {"mlflow", "pandas", "databricks"} <= heavy()
    return said(COMMANDS | NEEDING_MLFLOW, heavy(), folder)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    return said(COMMANDS, set(), tmp_path_factory.mktemp("complete") / "there")


@pytest.mark.parametrize("name", COMMANDS)
def test_says_the_same_without_mlflow(
    name: str,
    light: dict[str, tuple[int, str, str]],
    complete: dict[str, tuple[int, str, str]],
) -> None:
    assert light[name][0] == (1 if "failing" in name or "folder" in name else 0), light[name]
    assert [without_times(str(part)) for part in light[name]] == [
        without_times(str(part)) for part in complete[name]
    ]


@pytest.mark.parametrize("name", NEEDING_MLFLOW)
def test_what_needs_mlflow_says_so_in_one_line_with_the_way_out(
    name: str, light: dict[str, tuple[int, str, str]]
) -> None:
    code, out, err = light[name]
    assert (code, out) == (2, "")
    (line,) = [text for text in err.splitlines() if text.startswith("error: ")]
    assert "mlflow" in line
    assert "pip install skilltrace-mlflow" in line


def test_pins_agree_with_those_that_the_tests_ran_with() -> None:
    complete = pins(ROOT / "requirements" / "constraints.txt")
    asked = pins(ROOT / "requirements" / "light.in")
    light = pins(LIGHT)
    assert set(asked) <= set(light)
    assert {name: complete.get(name) for name in light} == light


def test_every_dependency_is_either_light_or_told_when_it_lacks() -> None:
    from skilltrace_mlflow.cli._app import _LEFT_OUT

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    names = {Requirement(item).name.replace(".", "-") for item in re.findall(r'"(.+)"', block[1])}
    left = {name.replace("-", "_") for name in names - set(pins(LIGHT))}
    assert left == {name.replace("databricks", "databricks_sdk") for name in _LEFT_OUT}
