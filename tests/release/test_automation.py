"""The GitHub Action and the pre-commit hook: their files say what they should, and judge rightly.

`make wheel` runs them on a real light installation; here the judging step runs in this environment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


def judge(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Run the step that judges, with the environment that GitHub would give it."""
    binaries = folder / "skilltrace" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "skilltrace-mlflow").symlink_to(Path(sys.executable).parent / "skilltrace-mlflow")
    step = ACTION["runs"]["steps"][-1]
    inputs = {name: str(value.get("default", "")) for name, value in ACTION["inputs"].items()}
    values = {
        name: inputs[re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)[1]]  # type: ignore[index]
        for name, text in step["env"].items()
    }
    github = {
        "GITHUB_STEP_SUMMARY": str(folder / "s.md"),
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "o"),
    }
    environment = {**os.environ, "RUNNER_TEMP": str(folder), **github, **values, **given}
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def results(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "skilltrace-results" / "results.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_judges_files_and_hands_on_the_exit_code(tmp_path: Path) -> None:
    traces = "\n".join(
        str(SKILL / f"traces/{name}.jsonl") for name in ("demo-good", "demo-failing")
    )
    done = judge(tmp_path, SKILL=str(SKILL), TRACES=traces + "\n")
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "o").read_text(encoding="utf-8") == "exit-code=1\n"
    assert [line["verdict"] for line in results(tmp_path)] == ["pass", "fail"]
    assert "demo-failing" in (tmp_path / "s.md").read_text(encoding="utf-8")
    names = {path.name for path in (tmp_path / "skilltrace-results").iterdir()}
    assert names == {"results.jsonl", "junit.xml", "summary.md", "report.html"}


def test_judges_a_folder_and_compares_with_a_baseline(tmp_path: Path) -> None:
    before = tmp_path / "before.jsonl"
    first = tmp_path / "first"
    first.mkdir()
    judge(first, SKILL=str(SKILL), TRACES=str(SKILL / "traces"))
    before.write_bytes((first / "skilltrace-results" / "results.jsonl").read_bytes())
    second = tmp_path / "second"
    second.mkdir()
    done = judge(second, SKILL=str(SKILL), TRACES=str(SKILL / "traces"), BASELINE=str(before))
    assert len(results(second)) == 4
    assert f"compared with {before}" in done.stderr


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"SKILL": "no-such-skill", "TRACES": "x.jsonl"}, id="skill"),
        pytest.param({"SKILL": str(SKILL), "TRACES": "no-such.jsonl"}, id="trace"),
        pytest.param({"SKILL": str(SKILL), "TRACES": "$(touch hacked)"}, id="text is no command"),
    ],
)
def test_wrong_input_is_exit_code_2_and_nothing_is_run(
    tmp_path: Path, given: dict[str, str]
) -> None:
    done = judge(tmp_path, **given)
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "hacked").exists()


def test_no_input_is_pasted_into_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"], "an input in a script is a command that strangers write"


def test_the_hook_takes_the_files_of_skills_and_no_others() -> None:
    (hook,) = HOOKS
    assert hook["id"] == "skilltrace-validate"
    assert os.access(ROOT / hook["entry"], os.X_OK)
    taken = re.compile(hook["files"])
    assert taken.search("skills/a/manifest.yaml")
    assert taken.search(".claude/skills/a/ground_truth.yaml")
    assert not taken.search("deploy/manifest.yaml")


def probe(folder: Path, version: str) -> str:
    """A requirement that needs no network: a wheel that holds nothing but its own name."""
    wheel = folder / f"probe-{version}-py3-none-any.whl"
    info = f"probe-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: probe\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"probe @ {wheel.as_uri()}\n"


def installed(repository: Path) -> list[str]:
    """Names of the probe's versions in the hook's environment."""
    return [p.name for p in repository.glob(".venv-light/lib/python*/site-packages/probe-*")]


def test_the_hook_installs_anew_when_its_requirements_changed(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "requirements").mkdir(parents=True)
    (repository / "skilltrace_mlflow").symlink_to(ROOT / "skilltrace_mlflow")
    (repository / "hooks").mkdir()
    hook = repository / "hooks" / "skilltrace-validate"
    hook.write_bytes((ROOT / "hooks" / "skilltrace-validate").read_bytes())
    # The product's own requirements come from this environment, so that no network is needed.
    packages = sysconfig.get_path("purelib")
    (repository / "sitecustomize.py").write_text(f"import site\nsite.addsitedir({packages!r})\n")
    requirements = repository / "requirements" / "light.txt"

    def run() -> None:
        command = ["bash", str(hook), str(SKILL / "manifest.yaml")]
        environment = {**os.environ, "SKILLTRACE_PYTHON": sys.executable}
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    requirements.write_text(probe(tmp_path, "1.0"))
    run()
    assert installed(repository) == ["probe-1.0.dist-info"]
    kept = repository / ".venv-light" / "kept"
    kept.touch()
    run()
    assert kept.exists(), "nothing changed: the environment is used as it is"
    requirements.write_text(probe(tmp_path, "2.0"))
    run()
    assert installed(repository) == ["probe-2.0.dist-info"]
    assert not kept.exists()
