"""Build the wheel, install it alone in a fresh virtual environment, and run it.

    python tests/wheel_smoke.py

Catches what an editable install hides: a file that is not packaged, a dependency that is not
declared, an entry point that is not there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
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
        environment = work / "environment"
        venv.create(environment, with_pip=True)
        binaries = environment / "bin"
        constraints = ROOT / "requirements" / "constraints.txt"
        run(binaries / "pip", "install", "--quiet", "-c", constraints, wheel, cwd=work)
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
    sys.stdout.write("wheel: built, installed alone, and evaluated\n")


if __name__ == "__main__":
    main()
