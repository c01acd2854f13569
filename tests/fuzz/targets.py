"""Every parser of text that strangers wrote, as a function of bytes.

A target ends with a value or with an error that a user is told (`SkillTraceError`, or the
`ParameterError` of a selector); anything else is a crash. Text targets read the bytes as text. The
others read them as a list of changes to a document that a real session gave: almost no random bytes
are JSON, and a parser is reached only behind one that is nearly right.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from skilltrace_mlflow.commands.pattern import parse_pattern
from skilltrace_mlflow.commands.powershell.reader import read_powershell
from skilltrace_mlflow.commands.shell import read_script
from skilltrace_mlflow.commands.sql._tokens import SqlText
from skilltrace_mlflow.commands.sql.patterns import parse_sql_pattern
from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import ResultRecord, read_results
from skilltrace_mlflow.errors import ParameterError, SkillTraceError
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.expectations import load_ground_truth, load_manifest
from skilltrace_mlflow.matching.selectors import parse_selector
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.report.lines import to_json, to_jsonl
from skilltrace_mlflow.score import parse_and_compute_metrics
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.metrics_dict import session_from_metrics_dict
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace
from skilltrace_mlflow.sources.session_json import session_from_json, session_to_json
from skilltrace_mlflow.sources.table_row import session_from_row
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

__all__ = ["SEEDS", "TARGETS", "changed", "run"]

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
RECORDINGS = ROOT / "tests" / "data" / "recordings"
EXPECTED = (SkillTraceError, ParameterError)
_NOISE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "\0", "\ud800",
    "a" * 70, "é", "2026-13-45T99:99:99Z", "1970-01-01T00:00:00Z", "null", "{", [], [[]], [None],
    {}, {"": {}}, {"type": "text"}, {"id": 1}, "tool_use", "tool_result", "assistant", "user",
    "../..", "rm -rf /",
)  # fmt: skip


def changed(document: Any, script: bytes) -> Any:
    """`document` with the changes that the bytes say: four for each, where and what."""
    document = copy.deepcopy(document)
    for at in range(0, min(len(script), 48) - 3, 4):
        first, second, action, what = script[at : at + 4]
        places = list(_places(document))
        if not places:
            return document
        holder, key = places[(first * 256 + second) % len(places)]
        if action % 4 == 0:
            del holder[key]
        elif action % 4 == 1:
            holder[key] = copy.deepcopy(_NOISE[what % len(_NOISE)])
        elif action % 4 == 2:
            other, of = places[(second * 256 + what) % len(places)]
            holder[key] = copy.deepcopy(other[of])
        elif isinstance(holder, dict):
            holder[str(_NOISE[what % len(_NOISE)])] = holder.pop(key)
        else:
            holder.insert(key, copy.deepcopy(holder[key]))
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@cache
def _lines(name: str) -> list[Any]:
    (path,) = [p for p in (RECORDINGS / name).glob("*.jsonl") if "agent-" not in p.name]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


_SESSIONS = ("subagent", "permission-denied", "compact", "newest-workflow-2.1.332", "notebook")


@cache
def _traces() -> list[Any]:
    folder = ROOT / "tests" / "data" / "traces"
    paths = sorted(folder.rglob("*.json"), key=lambda path: path.stat().st_size)
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [item for item in documents if isinstance(item, dict) and "data" in item][:12]


@cache
def _yaml(name: str) -> Any:
    return yaml.safe_load((SKILL / name).read_text(encoding="utf-8"))


@cache
def _metrics() -> dict[str, Any]:
    return parse_and_compute_metrics(SKILL / "traces" / "demo-subagent.jsonl").to_dict(inputs=True)


@cache
def _dumped() -> dict[str, Any]:
    session = parse_transcript(SKILL / "traces" / "demo-subagent.jsonl")
    return json.loads(json.dumps(session_to_json(session)))


@cache
def _result_lines() -> list[Any]:
    traces = [SKILL / "traces" / f"demo-{name}.jsonl" for name in ("good", "failing")]
    return [json.loads(line) for line in to_jsonl(trace_eval(SKILL, traces)).splitlines()]


@cache
def _evaluation() -> dict[str, Any]:
    """The example skill on three sessions as one document, one of them tried twice."""
    traces = [SKILL / "traces" / f"demo-{name}.jsonl" for name in ("good", "failing", "subagent")]
    document = json.loads(to_json(trace_eval(SKILL, traces)))
    document["results"].append({**document["results"][0], "attempt": 2})
    return document


@cache
def _results() -> tuple[ResultRecord, ...]:
    return read_results(_file("before.json", json.dumps(_evaluation(), indent=1).encode()))


@cache
def _steps() -> dict[str, Any]:
    """A trajectory of another harness (ATIF)."""
    kept = ROOT / "tests" / "data" / "bridges" / "atif-subagent.json"
    return json.loads(kept.read_text(encoding="utf-8"))


def _of(documents: list[Any], data: bytes) -> Any:
    """One of the documents, changed."""
    return changed(documents[data[0] % len(documents)] if data else documents[0], data[1:])


def _dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=True)


def _as_yaml(document: Any) -> bytes:
    """The document as YAML in its JSON form, which is written far faster than blocks."""
    text = json.dumps(document, ensure_ascii=True)
    return text.replace("NaN", ".nan").replace("Infinity", ".inf").encode()


@cache
def _folder() -> Path:
    """One folder for all inputs of the process: to make one takes longer than to read an input.

    In memory where that can be had, for the same reason.
    """
    memory = "/dev/shm"
    where = memory if os.access(memory, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="skilltrace-fuzz-", dir=where)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def transcript(data: bytes) -> None:
    """A recorded transcript with changed entries."""
    entries = _of([_lines(name) for name in _SESSIONS], data)
    compute_metrics(parse_transcript(map(_dump, entries)))


def transcript_bytes(data: bytes) -> None:
    """Lines that are no transcript, or nearly one."""
    parse_transcript(data.split(b"\n"))


def trace(data: bytes) -> None:
    """A trace that some writer left, changed."""
    compute_metrics(session_from_trace(_of(_traces(), data)))


def table_row(data: bytes) -> None:
    """The same trace as a row of a table."""
    document = _of(_traces(), data)
    if not isinstance(document.get("info"), dict) or not isinstance(document.get("data"), dict):
        return
    session_from_row({**document["info"], "spans": document["data"].get("spans")})


def dumped_session(data: bytes) -> None:
    """A session that `--dump-traces` wrote."""
    session_from_json(_of([_dumped()], data))


def metrics_dictionary(data: bytes) -> None:
    """A dictionary of `TraceMetrics.to_dict()`."""
    session_from_metrics_dict(_of([_metrics()], data))


def trace_file(data: bytes) -> None:
    """A file that `--trace` names and whose name says JSON: one of several forms, changed."""
    document = _of([*_traces(), _metrics(), _dumped(), _steps()], data)
    load_file(_file("trace.json", _dump(document).encode()))


def trace_file_bytes(data: bytes) -> None:
    """The same file with bytes that are seldom JSON."""
    load_file(_file("trace.json", data))


def manifest(data: bytes) -> None:
    """A manifest with changed values."""
    _load(_as_yaml(_of([_yaml("manifest.yaml")], data)), b"test_cases: []")


def ground_truth(data: bytes) -> None:
    """Test cases with changed values."""
    _load(b"skill: {name: x}", _as_yaml(_of([_yaml("ground_truth.yaml")], data)))


def yaml_bytes(data: bytes) -> None:
    """Bytes in place of a manifest."""
    _load(data, data)


def _load(written: bytes, cases: bytes) -> None:
    _file("ground_truth.yaml", cases)
    load_ground_truth(load_manifest(_file("manifest.yaml", written)))


def shell(data: bytes) -> None:
    """A command line of Bash."""
    read_script.__wrapped__(_text(data))


def powershell(data: bytes) -> None:
    """A script of PowerShell."""
    read_powershell.__wrapped__(_text(data))


def sql(data: bytes) -> None:
    """SQL text against a ban."""
    pattern = parse_sql_pattern("DROP DATABASE")
    assert pattern is not None
    pattern.find(SqlText(text=_text(data)))


def selector(data: bytes) -> None:
    """What stands in `required_tools` or `banned_tools`."""
    parse_selector(_text(data), program=True)


def command_pattern(data: bytes) -> None:
    """A ban on a command line or a statement, tried on a line."""
    pattern = parse_pattern(_text(data))
    if pattern.command is not None:
        pattern.command.find("sudo rm -rf / && git push --force")


def results(data: bytes) -> None:
    """A file of result lines that an evaluation wrote, changed."""
    lines = changed(_result_lines(), data)
    read_results(_file("results.jsonl", "\n".join(map(_dump, lines)).encode()))


def evaluation(data: bytes) -> None:
    """The same results as one document, changed, and what `compare` says of both."""
    document = changed(_evaluation(), data)
    after = read_results(_file("results.json", json.dumps(document, indent=1).encode()))
    compare_results(_results(), after).to_dict()


def results_bytes(data: bytes) -> None:
    """Bytes in place of a file of result lines."""
    read_results(_file("results.jsonl", data))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        transcript, transcript_bytes, trace, table_row, dumped_session, metrics_dictionary,
        trace_file, trace_file_bytes, manifest, ground_truth, yaml_bytes, shell, powershell, sql,
        selector, command_pattern, results, evaluation, results_bytes,
    )
}  # fmt: skip

_RESULT = {
    "test_id": "a", "attempt": 1, "skill": "s", "verdict": "fail",
    "checks": [{"name": "tool_count", "verdict": "fail", "score": 0.5, "hits": [], "misses": ["x"],
                "rationale": "r"}],
    "trace_summary": {"event_count": 1, "tool_names": ["Bash"], "tool_calls_by_name": {"Bash": 1},
                      "error_count": 0},
}  # fmt: skip
_SHELL = (
    'cd /tmp && rm -rf "$HOME"/x; echo \'a b\' | xargs -0 -n1 sudo sh -c "git push --force"',
    "for f in *.py; do cat <<'EOF' > $f\n$(rm x)\nEOF\ndone 2>&1 | tee -a log",
    'f() { curl -o "${1:-a}" http://x; }; f $(date +%s) && env A=1 timeout 5 docker run -it i ls',
)
_POWERSHELL = (
    "Get-ChildItem -Recurse | Where-Object { $_.Name -like '*.tmp' } | Remove-Item -Force",
    "$x = 'rm'; & $x -r C:\\a; powershell -EncodedCommand ZQBjAGgAbwA=; @'\nhere\n'@ > out.txt",
)
_SQL = (
    "CREATE TABLE a AS SELECT * FROM b; DROP DATABASE IF EXISTS c CASCADE -- x\n;",
    "EXECUTE IMMEDIATE 'DROP ' || 'DATABASE x'; WITH a AS (SELECT 1) MERGE INTO t USING a ON 1=1",
)
SEEDS: dict[str, tuple[bytes, ...]] = {
    "transcript_bytes": ("\n".join(map(_dump, _lines("read-edit")[:4])).encode(),),
    "trace_file_bytes": (_dump(_traces()[0]).encode()[:4096], b'[{"type": "result"}]'),
    "yaml_bytes": tuple((SKILL / name).read_bytes() for name in ("manifest.yaml",)),
    "shell": tuple(text.encode() for text in _SHELL),
    "powershell": tuple(text.encode() for text in _POWERSHELL),
    "sql": tuple(text.encode() for text in _SQL),
    "selector": (b"Bash(git push:*)", b"mcp__databricks__delete_*", b"Read(./secrets/**)"),
    "command_pattern": (b"rm -rf", b"DROP DATABASE", b"git push ... --force", b"* | sh"),
    "results_bytes": (_dump(_RESULT).encode(),),
}
"""What a target begins from, where its bytes are the text itself."""


def run(name: str, data: bytes) -> None:
    """Give a target its bytes; errors that a user is told are an answer."""
    with contextlib.suppress(*EXPECTED):
        TARGETS[name](data)
