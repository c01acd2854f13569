"""The whole loop with the real Claude Code: run, capture, review, promote, evaluate, baseline.

`python -m tests.agent.loop [DIR]` works in DIR (default `agent-loop-output`). Claude Code talks to
the scripted model, unless ANTHROPIC_API_KEY is set: then to the real service, at most for the
amounts given here. Returns 0 if every step ended as it should.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.agent.model_server import ModelServer, Script, say, use

__all__ = ["SCRIPTS", "main"]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "agent" / "naming"
CAPTURED = "Name the table for raw invoices, and write the name alone into table.txt."


def _scripts(match: str, name: str, other: str) -> tuple[Script, Script]:
    """What the model does where the skill is offered, and where it is not."""
    return (
        Script(
            match=match,
            offered="naming",
            steps=(
                use("Skill", skill="naming"),
                use("Write", file_path="table.txt", content=f"{name}\n"),
                say(f"The table is called {name}."),
            ),
        ),
        Script(
            match=match,
            steps=(
                use("Write", file_path="table.txt", content=f"{other}\n"),
                say(f"The table is called {other}."),
            ),
        ),
    )


SCRIPTS = (
    *_scripts("raw order files", "bronze_orders", "orders_raw"),
    *_scripts("raw invoices", "bronze_invoices", "invoices_raw"),
    Script(
        match="cleaned returns",
        offered="naming",
        steps=(use("Skill", skill="naming"), say("silver_returns")),
    ),
    Script(match="cleaned returns", steps=(say("clean_returns"),)),
    Script(match="17 plus 25", steps=(say("42"),)),
)


@contextlib.contextmanager
def _service() -> Iterator[dict[str, str]]:
    if os.environ.get("ANTHROPIC_API_KEY"):
        yield {}
        return
    with ModelServer(SCRIPTS) as server:
        yield {**server.environment, "IS_SANDBOX": "1"}
        if server.problems:
            raise SystemExit(f"the scripted model was asked for more: {server.problems}")


@contextlib.contextmanager
def _added(environment: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _process(step: list[str], folder: Path) -> int:
    command = [sys.executable, "-m", "skilltrace_mlflow", *step]
    return subprocess.run(command, cwd=folder, check=False).returncode


def main(arguments: list[str], command: Callable[[list[str], Path], int] | None = None) -> int:
    """Run the loop; each command is shown before it runs. `command` runs one in a folder and
    returns its exit code, in place of a process of its own.
    """
    output = Path(arguments[0] if arguments else "agent-loop-output").resolve()
    shutil.rmtree(output, ignore_errors=True)
    skills = output / "skills"
    shutil.copytree(EXAMPLE, skills / "naming")
    place = [f"--skills-dir={skills}"]
    store = [f"--tracking-uri=sqlite:///{output / 'mlflow.db'}", "--experiment=naming"]
    first = ["--test-id=raw_orders"]
    steps: list[list[str]] = [
        ["run", "naming", *place, *store, "--max-usd=2", "--jobs=2"],
        [
            "capture",
            "naming",
            *place,
            *store,
            f"--prompt={CAPTURED}",
            "--id=raw_invoices",
            "--max-usd=1",
        ],
        [
            "review",
            "naming",
            *place,
            *store,
            "--approve=raw_invoices",
            "--reviewer=loop",
            "--note=right",
        ],
        ["promote", "naming", *place],
        ["mlflow-eval", "naming", *place, *store, "--include-traces", "--test-id=raw_invoices"],
        [
            "run",
            "naming",
            *place,
            *store,
            *first,
            "--attempts=3",
            "--baseline",
            "--jobs=2",
            "--max-usd=3",
            f"--output={output / 'results.jsonl'}",
            f"--report={output / 'report.html'}",
        ],
    ]
    with _service() as environment:
        for step in steps:
            sys.stderr.write(f"\n$ skilltrace-mlflow {' '.join(step)}\n")
            sys.stderr.flush()
            with _added(environment):
                code = (command or _process)(step, output)
            if code != 0:
                sys.stderr.write(f"that ended with exit code {code}\n")
                return 1
    sys.stderr.write(f"\nThe report with both arms: {output / 'report.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
