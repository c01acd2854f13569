"""Build the wheel, install it alone in a fresh virtual environment, and run it.

    python tests/wheel_smoke.py

Catches what an editable install hides: a file that is not packaged, a dependency that is not
declared, an entry point that is not there. Then the light installation is made, as documented,
by the GitHub Action's own steps and by the pre-commit hook. The sizes are those of
docs/dependencies.md, which says why the wheel is not smaller.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"


MOST_WHEEL = 1_000_000
MOST_LIGHT = 75_000_000
# Wheels differ a little by Python and system.
TOLERANCE = 0.2


def documented_sizes() -> dict[str, int]:
    """Megabytes of the two installations, as docs/dependencies.md says them."""
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    found = re.search(r"MLflow included: (\d+) MB\..*?needs (\d+) MB\.", page, re.DOTALL)
    assert found is not None
    return {"complete": int(found[1]), "light": int(found[2])}


def measured(environment: Path, name: str) -> int:
    """Bytes below `environment`; SystemExit where the page says something else."""
    size = sum(file.lstat().st_size for file in environment.rglob("*") if file.is_file())
    said = documented_sizes()[name] * 1e6
    if abs(size - said) > TOLERANCE * said:
        raise SystemExit(f"the {name} installation is {size / 1e6:.0f} MB; docs/dependencies.md")
    return size


def run(*command: str | Path, cwd: Path, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode != code:
        raise SystemExit(
            f"{' '.join(map(str, command))}: exit code {done.returncode}, expected {code}\n"
            f"{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", work, ROOT, cwd=work)
        (wheel,) = work.glob("*.whl")
        wheel_size = wheel.stat().st_size
        assert wheel_size < MOST_WHEEL, wheel_size
        environment = work / "environment"
        venv.create(environment, with_pip=True)
        binaries = environment / "bin"
        constraints = ROOT / "requirements" / "constraints.txt"
        run(binaries / "pip", "install", "--quiet", "-c", constraints, wheel, cwd=work)
        complete = measured(environment, "complete")
        command = binaries / "skilltrace-mlflow"
        assert "trace-eval" in run(command, "--help", cwd=work)
        good = run(
            command,
            "trace-eval",
            SKILL,
            "--trace",
            SKILL / "traces" / "demo-good.jsonl",
            "--test-id",
            "orders_create",
            "--format",
            "jsonl",
            cwd=work,
        )
        assert json.loads(good)["verdict"] == "pass"
        # An evaluation in MLflow, on a store that does not exist yet; one session fails on purpose.
        run(
            binaries / "mlflow-eval",
            SKILL,
            "--include-traces",
            "--tracking-uri",
            f"sqlite:///{work / 'store.db'}",
            "--output",
            work / "results.jsonl",
            cwd=work,
            code=1,
        )
        lines = (work / "results.jsonl").read_text(encoding="utf-8").splitlines()
        verdicts = {line["test_id"]: line["verdict"] for line in map(json.loads, lines)}
        assert verdicts["orders_create"] == "pass"
        assert verdicts["orders_create_gone_wrong"] == "fail"
        size = light(work)
    sys.stdout.write(
        "wheel: built, installed alone, and evaluated; "
        f"wheel {wheel_size / 1e6:.2f} MB, complete {complete / 1e6:.0f} MB, "
        f"light {size / 1e6:.0f} MB\n"
    )


def light(work: Path) -> int:
    """Run the GitHub Action's steps and the pre-commit hook; the size of what was installed."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    environment = {
        "RUNNER_TEMP": str(work),
        "HERE": str(ROOT),
        "INPUT_PYTHON": sys.executable,
        "SKILL": str(SKILL),
        "TRACES": str(SKILL / "traces" / "demo-good.jsonl"),
        "TEST_ID": "orders_create",
        "BASELINE": "",
        "RESULTS": "results",
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(work / "summary.md"),
        "GITHUB_OUTPUT": str(work / "output.txt"),
    }
    for step in action["runs"]["steps"]:
        run("bash", "-e", "-c", step["run"], cwd=work, **environment)
    summary = (work / "summary.md").read_text(encoding="utf-8")
    assert "orders\\_create | pass" in summary, summary
    assert (work / "output.txt").read_text(encoding="utf-8") == "exit-code=0\n"
    installed = work / "skilltrace"
    run(installed / "bin" / "python", "-c", "import mlflow", cwd=work, code=1)
    size = measured(installed, "light")
    assert size < MOST_LIGHT, size
    clone = work / "clone"  # where pre-commit keeps the hook's repository
    run("git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", clone, cwd=work)
    hook = clone / yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]["entry"]
    python = {"SKILLTRACE_PYTHON": sys.executable}
    run(hook, SKILL / "manifest.yaml", SKILL / "ground_truth.yaml", cwd=work, **python)
    bad = work / "skills" / "bad" / "manifest.yaml"
    bad.parent.mkdir(parents=True)
    bad.write_text("skill: {name: bad}\nscorers: {trace_expectations: {tool_limit: 3}}\n")
    run(hook, bad, cwd=work, code=2, **python)
    return size


if __name__ == "__main__":
    main()
