"""Evaluate the example skill on its recorded sessions, as a person would at a terminal.

Everything ends up in ./demo-output: the MLflow store, the results and the report.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "demo-output"
# One of the four recorded sessions went wrong on purpose: the evaluation has to notice.
EXPECTED_EXIT_CODE = 1


def main() -> int:
    OUTPUT.mkdir(exist_ok=True)
    store = f"sqlite:///{OUTPUT / 'mlflow.db'}"
    command = [
        sys.executable,
        "-m",
        "skilltrace_mlflow",
        "mlflow-eval",
        "bronze-ingestion",
        "--include-traces",
        f"--skills-dir={HERE / 'skills'}",
        f"--tracking-uri={store}",
        "--experiment=bronze-ingestion",
        "--run-name=demo",
        f"--output={OUTPUT / 'results.jsonl'}",
        f"--report={OUTPUT / 'report.html'}",
    ]
    code = subprocess.run(command, cwd=OUTPUT, check=False).returncode
    if code != EXPECTED_EXIT_CODE:
        sys.stderr.write(
            f"demo: expected exit code {EXPECTED_EXIT_CODE} (one session fails), got {code}\n"
        )
        return 1
    sys.stderr.write(
        "\nOne of the four recorded sessions fails on purpose, so the evaluation ended with exit "
        f"code {code}.\n"
        f"MLflow store: {store}\n"
        f"Look at it:   {Path(sys.executable).parent / 'mlflow'} ui --backend-store-uri {store}\n"
        f"Report:       {OUTPUT / 'report.html'}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
