"""Where a command's result goes: standard output a terminal or a pipe, standard error either.

Real pseudo-terminals, and one process per combination that runs every command after the other: what
one of them leaves behind must not mute the next.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.cells import cell_len

from skilltrace_mlflow.sources.locate import project_slug
from skilltrace_mlflow.streams import reserved_output

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
GOOD, FAILING = (str(SKILL / "traces" / f"demo-{name}.jsonl") for name in ("good", "failing"))
EVALS = str(Path(__file__).resolve().parents[1] / "data" / "bridges" / "plugineval-result.json")
STORE = ["--tracking-uri", "sqlite:///store.db", "--experiment", "demo"]
# The word that stands between two commands' output; no command prints it.
MARK = "=-=-="
RUNNER = f"""
import json, sys
from skilltrace_mlflow.cli import _app, job
out, err = sys.stdout, sys.stderr
for name, arguments in json.loads(sys.argv[1]):
    if arguments[0] == "job":
        code = _app.run(arguments[1:], job.command, "skilltrace-job")
    else:
        code = _app.run(arguments)
    for stream in (out, err):
        stream.write(f"{MARK}{{name}}={{code}}{MARK}\\n")
        stream.flush()
"""
LIGHT = {
    "trace-eval": ["trace-eval", str(SKILL), "--trace", GOOD, "--trace", FAILING],
    "trace-eval json": ["trace-eval", str(SKILL), "--trace", FAILING, "--format", "json"],
    "trace-eval github": ["trace-eval", str(SKILL), "--trace", FAILING, "--format", "github"],
    "convert": ["convert", "before.jsonl"],
    "summarize": ["summarize", GOOD],
    "summarize json": ["summarize", GOOD, "--format", "json"],
    "show": ["show", GOOD],
    "show json": ["show", GOOD, "--format", "json"],
    "validate": ["validate", str(SKILL)],
    "schema json": ["schema", "manifest"],
    "expect": ["expect", "--trace", GOOD],
    "compare": ["compare", "before.jsonl", "before.jsonl"],
    "list-traces --local": ["list-traces", "--local"],
    "init": ["init", "made", "--force"],
    "summarize --local": ["summarize", "--local"],
    "triggers": ["triggers", GOOD],
    "triggers json": ["triggers", GOOD, "--format", "json"],
}
WITH_STORE = {
    "import": ["import", GOOD, *STORE],
    "import json": ["import", GOOD, "--format", "json", *STORE],
    "list-traces": ["list-traces", *STORE],
    "list-traces json": ["list-traces", "--format", "json", *STORE],
    "mlflow-eval": ["mlflow-eval", str(SKILL), "--include-traces", *STORE],
    "mlflow-eval json": ["mlflow-eval", str(SKILL), "--include-traces", "--format=json", *STORE],
    "trace-eval --log json": [
        *("trace-eval", str(SKILL), "--trace", FAILING, "--log", "--format", "json"),
        *STORE,
    ],
    "doctor": ["doctor", "--tracking-uri", "sqlite:///none.db"],
    "doctor json": ["doctor", "--tracking-uri", "sqlite:///none.db", "--format", "json"],
    "import-evals": ["import-evals", EVALS, "--skill", "skill"],
    "import-evals --evaluate": ["import-evals", EVALS, "--skill", str(SKILL), "--evaluate"],
    "autolog status": ["autolog", "status"],
    "autolog status json": ["autolog", "status", "--format", "json"],
    "run --dry-run": ["run", "skill", "--agent", "replay", "--dry-run", *STORE],
    "run": ["run", "skill", "--agent", "replay", "--test-id", "orders_create", *STORE],
    "run json": [
        *("run", "skill", "--agent", "replay", "--test-id", "orders_create_gone_wrong"),
        *("--format", "json", *STORE),
    ],
    "capture": ["capture", "skill", "--trace", GOOD, "--id", "mine", *STORE],
    "review": ["review", "skill", "--approve", "mine", "--reviewer", "ana", *STORE],
    "promote": ["promote", "skill"],
    "register": ["register", "skill", *STORE],
    "register --list": ["register", "--list", *STORE],
    "job": ["job", "--skills-dir", ".", "--table", "./out", "--since=9000d", "--no-llm", *STORE],
    "after them": ["trace-eval", str(SKILL), "--trace", FAILING],
}
# What each result must show, whatever the width.
SHOWN = {
    "trace-eval": "fail",
    "after them": "fail",
    "summarize": "tool calls",
    "show": "Bash",
    "validate": "valid",
    "expect": "test_cases",
    "compare": "No regression",
    "convert": "unknown",
    "trace-eval github": "::error",
    "list-traces --local": "11111111",
    "init": "manifest.yaml",
    "autolog status": "not enabled",
    "import": "1 session:",
    "list-traces": "tr-",
    "mlflow-eval": "fail",
    "summarize --local": "tool calls",
    "triggers": "offered",
    "doctor": "autolog",
    "import-evals --evaluate": "smoke",
    "run --dry-run": "attempts to make",
    "run": "1 test: 1 passed",
    "job": "exit code 1",
}
# What is done, and no result, is said on standard error.
SAID = {
    "import-evals": "smoke: added",
    "run": "1 finished",
    "capture": "candidate mine in",
    "review": "mine: approved by ana",
    "promote": "mine: a test case in",
    "register": "error: experiment",
    "register --list": "",
}
# What is text of YAML, or one line for a log.
UNBOUNDED = ("trace-eval github", "expect", "schema", "job", "init", "autolog status", "validate")
CODES = {
    "trace-eval": 1,
    "mlflow-eval": 1,
    "after them": 1,
    "doctor": 1,
    "run json": 1,
    "job": 1,
    "import-evals --evaluate": 1,
    "register --list": 0,
    "register": 3,
}


@dataclass(frozen=True, kw_only=True)
class Ran:
    out: str
    err: str
    code: int


class Terminal:
    """The reading end of a pseudo-terminal of a given width."""

    def __init__(self, columns: int) -> None:
        self.master, self.slave = pty.openpty()
        size = struct.pack("HHHH", 40, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        self.chunks: list[bytes] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # the last writer is gone
                return
            if not chunk:
                return
            self.chunks.append(chunk)

    def text(self) -> str:
        os.close(self.slave)
        self.reader.join(30)
        os.close(self.master)
        return b"".join(self.chunks).decode().replace("\r\n", "\n")


def run_all(
    commands: Mapping[str, Sequence[str]], folder: Path, *, out: bool, err: bool, columns: int = 100
) -> dict[str, Ran]:
    """The commands in one process, `out` and `err` saying which of its streams is a terminal; as at
    a keyboard both are the same one if both are.
    """
    hidden = ("COLUMNS", "NO_COLOR", "MLFLOW_TRACKING_URI", "TERM")
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    env |= {"CLAUDE_CONFIG_DIR": str(folder / "claude"), "TERM": "xterm-256color"}
    terminal = Terminal(columns) if out or err else None
    slave = terminal.slave if terminal is not None else subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, json.dumps(list(commands.items()))],
        stdin=subprocess.DEVNULL,
        stdout=slave if out else subprocess.PIPE,
        stderr=slave if err else subprocess.PIPE,
        text=True,
        cwd=folder,
        env=env,
    )
    piped = process.communicate(timeout=300)
    shown = terminal.text() if terminal is not None else ""
    outs = _by_command(shown if out else piped[0])
    errs = _by_command(shown if err else piped[1])
    assert list(outs) == list(commands), shown + "".join(filter(None, piped))
    return {
        name: Ran(out=text, err=errs[name][0], code=code) for name, (text, code) in outs.items()
    }


def _by_command(text: str) -> dict[str, tuple[str, int]]:
    parts = re.split(f"{MARK}(.*?)=([0-9]+){MARK}\n", text)
    found: dict[str, tuple[str, int]] = {}
    for before, name, code in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        # A terminal that both streams share has each mark twice, the second after nothing.
        found.setdefault(name, (before, int(code)))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "claude" / "projects" / project_slug(tmp_path)
    project.mkdir(parents=True)
    there = re.sub(
        r'"cwd": ?"[^"]*"', f'"cwd": {json.dumps(str(tmp_path))}', Path(GOOD).read_text()
    )
    (project / "11111111-aaaa.jsonl").write_text(there, encoding="utf-8")
    before = '{"skill": "s", "test_id": "t", "attempt": 1, "verdict": "pass", "checks": []}\n'
    (tmp_path / "before.jsonl").write_text(before, encoding="utf-8")
    shutil.copytree(SKILL, tmp_path / "skill")
    return tmp_path


def fits(line: str, columns: int) -> bool:
    """Whether a line is no wider than the terminal, or there to be copied whole."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).split("\r")[-1]
    words = plain.split()
    whole = plain.startswith(("look: ", "      ", "MLflow run ", "A  ", "B  "))
    return cell_len(plain) <= columns or whole or max(map(len, words)) > columns // 2


def check(ran: Mapping[str, Ran], *, out: bool, err: bool, columns: int) -> None:
    for name, result in ran.items():
        starts = sorted((start for start in CODES if name.startswith(start)), key=len)
        expected = CODES[starts[-1]] if starts else 0
        assert result.code == expected, (name, result)
        if "json" in name and not out:
            assert json.loads(result.out), name
        elif "json" in name:
            # Whole, whatever a bar on the same terminal drew before it.
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", result.out)
            assert json.loads(re.split(r"^(?=[\[{])", plain, maxsplit=1, flags=re.M)[1]), name
        elif name in SHOWN:
            assert SHOWN[name] in result.out, (name, result)
        if "json" not in name:
            assert name in SHOWN.keys() | SAID.keys()
            assert SAID.get(name, "") in result.err, (name, result)
        if out and not err and "json" not in name and name not in UNBOUNDED:
            wide = [line for line in result.out.split("\n") if not fits(line, columns)]
            assert wide == [], name
        if not out:
            assert "\x1b" not in result.out, name
        if not err:
            assert "\x1b" not in result.err, name
        for chatter in ("Evaluation completed", "View run"):
            assert chatter not in result.out + result.err, name


KIND = {True: "tty", False: "pipe"}
COMBINATIONS = pytest.mark.parametrize(
    ("out", "err"),
    [
        pytest.param(out, err, id=f"stdout {KIND[out]} stderr {KIND[err]}")
        for out in (False, True)
        for err in (False, True)
    ],
)


@COMBINATIONS
@pytest.mark.parametrize("columns", [60, 100, 200])
def test_light_commands(folder: Path, out: bool, err: bool, columns: int) -> None:
    if columns != 100 and not out:
        pytest.skip("a pipe has no width")
    ran = run_all(LIGHT, folder, out=out, err=err, columns=columns)
    check(ran, out=out, err=err, columns=columns)


@COMBINATIONS
def test_commands_with_a_store(folder: Path, out: bool, err: bool) -> None:
    columns = {(True, True): 200, (True, False): 60}.get((out, err), 100)
    ran = run_all(WITH_STORE, folder, out=out, err=err, columns=columns)
    check(ran, out=out, err=err, columns=columns)


def test_what_outlives_the_reservation_mutes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with reserved_output():
        found_inside = sys.stdout
        sys.stdout.write("swallowed\n")
    assert sys.stdout is before
    sys.stdout = found_inside  # what a bar does that started inside and ends outside
    try:
        sys.stdout.write("shown\n")
        sys.stdout.flush()
    finally:
        sys.stdout = before
    assert capsys.readouterr().out == "shown\n"
