"""Spark against one machine: scoring traces with one core, with two, and without Spark.

    .venv-spark/bin/python -m benchmarks.bench_spark [--traces 2000] [--memory]

Traces are turns of generated sessions of 100 KB, as rows of `<prefix>_trace_unified` in eight
Parquet files, judged by the example skill's expectations. Each way runs in a process of its own and
once before its time is taken: what that first time took longer is the start (of Spark, and of the
code on its workers). The fastest of three is shown, beside the processor time of all that ran for
it (JVM and Python), which says what it costs on a busy machine, too. `local[1]` keeps to one core,
the JVM with it: on two, Spark's own threads would help its one task. `local[1]+` may use all.
`--memory` scores the table and one four times as large, and shows the greatest memory that a Python
worker took.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
_BYTES = 100_000
_FILES = 8
_DISTINCT = 1_000
"""So many sessions are made; a larger table holds them again, under other ids."""
WAYS = ("here", "local[1]", "local[1]+", "local[2]")


def write_table(folder: Path, count: int) -> Path:
    """A table of `count` traces, each a session of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from benchmarks.generate import write
    from skilltrace_mlflow.sources.transcript.reader import parse_transcript
    from tests.sources.forms import as_traces
    from tests.sources.table_rows import arrow_table

    path = folder / f"traces-{count}"
    if path.exists():
        return path
    path.mkdir()
    traces = []
    for number in range(min(count, _DISTINCT)):
        source = write(folder / "session.jsonl", _BYTES, seed=number)
        traces += as_traces(parse_transcript(source))[:1]
    made = arrow_table("trace_unified", traces)
    ids = pa.array([f"trace:/a.b.c/{number:032x}" for number in range(count)])
    sessions = pa.array(
        [[("mlflow.trace.session", f"s{number}")] for number in range(count)],
        type=made.schema.field("trace_metadata").type,
    )
    many = made.take(pa.array([number % made.num_rows for number in range(count)]))
    many = many.set_column(many.column_names.index("trace_id"), "trace_id", ids)
    many = many.set_column(many.column_names.index("trace_metadata"), "trace_metadata", sessions)
    # A table of many traces is many files, which are read by as many tasks.
    each = -(-count // _FILES)
    for number in range(_FILES):
        part = many.slice(number * each, each)
        pq.write_table(part, path / f"part-{number}.parquet", row_group_size=200)
    return path


def one_way(way: str, path: Path, rounds: int) -> dict[str, Any]:
    """The fastest of some rounds in this process, and the memory that it took."""
    if way in ("here", "local[1]"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    began = time.perf_counter()
    score = _here(path) if way == "here" else _spark(way.rstrip("+"), path)
    rows = score()
    first = time.perf_counter() - began
    times, processor = [], []
    for _ in range(rounds):
        start, spent = time.perf_counter(), _processor_seconds()
        score()
        times.append(time.perf_counter() - start)
        processor.append(_processor_seconds() - spent)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": min(times),
        "processor": min(processor),
        "start": first - min(times),
        "rows": rows,
        "megabytes": own if way == "here" else _largest_worker(),
    }


def _processor_seconds() -> float:
    """The processor time so far of this process and of all that it has started."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        number = int(place.parent.name)
        parents[number] = int(fields[1])
        # Its own, and that of its children that have ended.
        spent[number] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    own = {os.getpid()}
    while more := {number for number, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(spent.get(number, 0.0) for number in own)


def _largest_worker() -> float:
    """The greatest memory that a Python worker of Spark on this machine has taken so far."""
    found = [0.0]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"pyspark" not in (process / "cmdline").read_bytes():
                continue
            lines = (process / "status").read_text().splitlines()
        except OSError:  # it has ended
            continue
        parent = next(line for line in lines if line.startswith("Name:"))
        found += [
            int(line.split()[1]) / 1024
            for line in lines
            if line.startswith("VmHWM:") and "java" not in parent
        ]
    return max(found)


def _here(path: Path) -> Callable[[], int]:
    import pyarrow.parquet as pq

    from skilltrace_mlflow.evaluation import trace_eval
    from skilltrace_mlflow.sources.table_row import session_from_row

    def score() -> int:
        found = 0
        for file in sorted(path.glob("*.parquet")):
            for batch in pq.ParquetFile(file).iter_batches(200):
                sessions = [session_from_row(row) for row in batch.to_pylist()]
                results = trace_eval(SKILL, traces=sessions).results
                found += sum(len(result.judged) for result in results)
        return found

    return score


def _spark(master: str, path: Path) -> Callable[[], int]:
    from pyspark.sql import SparkSession

    from skilltrace_mlflow.spark import score_traces

    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master(master)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        # Left to itself the JVM takes another collector with one core than with two.
        .config("spark.driver.extraJavaOptions", "-XX:+UseParallelGC")
        # Small files are not read together: as many tasks as files, as with large ones.
        .config("spark.sql.files.openCostInBytes", "1g")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return lambda: int(score_traces(spark.read.parquet(str(path)), SKILL, partitions=8).count())


def _apart(way: str, path: Path, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.bench_spark", "--way", way]
    command += ["--table", str(path), "--rounds", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run the ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--way")
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(one_way(given.way, given.table, given.rounds)))
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        counts = (given.traces, given.traces * 4) if given.memory else (given.traces,)
        for count in counts:
            path = write_table(Path(name), count)
            print(f"{count:,} traces of {_BYTES // 1000} KB")
            for way in WAYS:
                found = _apart(way, path, given.rounds)
                each = found["seconds"] * 1000 / count
                hours = each * 1e6 / 1000 / 3600
                spent = found["processor"] * 1000 / count
                print(
                    f"{way:9} {found['seconds']:7.2f} s  {each:6.2f} s per 1,000  "
                    f"{hours:5.2f} h per million  "
                    f"{spent:6.2f} processor s per 1,000  start {found['start']:4.1f} s  "
                    f"{found['megabytes']:4.0f} MB  {found['rows']:,} verdicts"
                )


if __name__ == "__main__":
    main()
