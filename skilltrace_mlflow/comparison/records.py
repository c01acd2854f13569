"""Result lines read back, from a file or an MLflow run: what two evaluations are compared by.

The writer is `report.lines`; a live result and its line read back give equal records.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import InputError, TraceNotFoundError
from skilltrace_mlflow.figures import AT_LEAST, FIGURES, NO_FIGURES
from skilltrace_mlflow.results import Evaluation

__all__ = [
    "REPORT_ARTIFACT",
    "RESULTS_ARTIFACT",
    "CheckRecord",
    "ResultRecord",
    "is_run_id",
    "load_results",
    "read_objects",
    "read_results",
    "records_of",
]

_LARGEST = 1e15  # of anything: tokens, seconds, dollars
_VERDICTS = ("pass", "fail", "unknown", "error")


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """The verdict of one check, as text, and its score."""

    verdict: str
    score: float | None = None
    rationale: str = ""


@dataclass(frozen=True, kw_only=True)
class ResultRecord:
    """One test and attempt: its checks by name and its figures (only those that are known).

    `at_least` names the figures that are lower bounds.
    """

    test_id: str
    attempt: int = 1
    skill: str = ""
    verdict: str = "unknown"
    checks: Mapping[str, CheckRecord] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    at_least: frozenset[str] = frozenset()


def records_of(evaluation: Evaluation) -> tuple[ResultRecord, ...]:
    """The records that reading back the evaluation's JSONL would give."""
    return tuple(
        ResultRecord(
            test_id=result.test_id,
            attempt=result.attempt,
            skill=result.skill,
            verdict=str(result.verdict),
            checks={
                o.check: CheckRecord(verdict=str(o.verdict), score=o.score, rationale=o.rationale)
                for o in result.judged
            },
            figures=_known(result.figures or {}),
            at_least=(result.figures or NO_FIGURES).at_least,
        )
        for result in evaluation.results
    )


def read_results(path: str | os.PathLike[str]) -> tuple[ResultRecord, ...]:
    """The results in a JSONL file, or in the JSON document of an evaluation.

    Raises InputError naming the file, the line and the key that is wrong.
    """
    # The arm without the skill is what the other was compared with, not a result of its own.
    lines = [item for item in _objects(_read(path), str(path)) if not _without(item[0])]
    records = tuple(_record(value, where) for value, where in lines)
    seen: dict[tuple[str, str, int], int] = {}
    for number, record in enumerate(records, start=1):
        first = seen.setdefault((record.skill, record.test_id, record.attempt), number)
        if first != number:
            raise InputError(
                f"{path}: results {first} and {number} are both test {record.test_id!r}, attempt "
                f"{record.attempt}; give the file of one evaluation"
            )
    if not records:
        raise InputError(f"{path}: holds no result; expected one JSON object per line")
    return records


def read_objects(path: str | os.PathLike[str]) -> tuple[dict[str, Any], ...]:
    """The result objects of a file, those of the arm without the skill included, whole.

    Raises InputError as `read_results` does.
    """
    read_results(path)
    return tuple(value for value, _ in _objects(_read(path), str(path)))


def _read(path: str | os.PathLike[str]) -> str:
    file = Path(path).expanduser()
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def _without(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("arm") == "without"


def _objects(text: str, path: str) -> Iterable[tuple[Any, str]]:
    document = _whole_document(text)
    if document is not None:
        for index, value in enumerate(document):
            yield value, f"{path}: results[{index}]"
        return
    # Not splitlines: it also breaks at U+2028, which JSON allows inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                yield json.loads(line), where
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{where}: is not JSON ({error}); expected results as written by --format jsonl"
                ) from error


def _whole_document(text: str) -> list[Any] | None:
    """The `results` of the JSON format, None if the text is not that."""
    if not text.lstrip().startswith("{\n"):
        return None  # JSONL has its whole first object on the first line
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    results = value.get("results") if isinstance(value, dict) else None
    return results if isinstance(results, list) else None


def _record(value: Any, where: str) -> ResultRecord:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object, got {type(value).__name__}")
    checks: dict[str, CheckRecord] = {}
    for index, entry in enumerate(_get(value, "checks", list, where)):
        place = f"{where}: checks[{index}]"
        if not isinstance(entry, dict):
            raise InputError(f"{place}: expected an object, got {type(entry).__name__}")
        verdict = _get(entry, "verdict", str, place)
        if verdict not in _VERDICTS:
            raise InputError(f"{place}: verdict {verdict!r} is not one of {', '.join(_VERDICTS)}")
        score = entry.get("score")
        checks[_get(entry, "name", str, place)] = CheckRecord(
            verdict=verdict,
            score=score if _is_number(score) else None,
            rationale=str(entry.get("rationale") or ""),
        )
    numbers = value.get("metrics")
    attempt = value.get("attempt", 1)
    if not isinstance(attempt, int) or isinstance(attempt, bool):
        raise InputError(f"{where}: attempt {attempt!r} is not a whole number")
    return ResultRecord(
        test_id=_get(value, "test_id", str, where),
        attempt=attempt,
        skill=str(value.get("skill") or ""),
        verdict=str(value.get("verdict") or "unknown"),
        checks=checks,
        figures=_known(numbers) if isinstance(numbers, dict) else {},
        at_least=_lower_bounds(numbers) if isinstance(numbers, dict) else frozenset(),
    )


def _get(value: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    if not isinstance(value.get(key), kind):
        found = type(value[key]).__name__ if key in value else "nothing"
        raise InputError(
            f"{where}: {key} should be a {kind.__name__}, got {found}; "
            "expected results as written by --format jsonl"
        )
    return value[key]


def _known(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {key: numbers[key] for key in FIGURES if _is_number(numbers.get(key))}


def _lower_bounds(numbers: Mapping[str, Any]) -> frozenset[str]:
    named = numbers.get(AT_LEAST)
    return frozenset(str(name) for name in named) if isinstance(named, list) else frozenset()


def _is_number(value: Any) -> bool:
    """Whether it is one that can be a figure: JSON's integers have no end, and sums have to be
    finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST


RESULTS_ARTIFACT = "skilltrace/results.jsonl"
"""Where an evaluation logs its result lines, below the run's artifacts."""
REPORT_ARTIFACT = "skilltrace/report.html"
"""Where an evaluation logs its HTML report."""

_RUN_ID = re.compile(r"[0-9a-fA-F]{32}")


def is_run_id(source: str) -> bool:
    """Whether `source` names an MLflow run: it looks like an id, and no file is called so."""
    return bool(_RUN_ID.fullmatch(source)) and not Path(source).exists()


def load_results(source: str, *, tracking_uri: str | None = None) -> tuple[ResultRecord, ...]:
    """The results in the file `source`, else those that the MLflow run of that id logged.

    Raises InputError if it is neither, TraceNotFoundError if the run or its results are not there,
    EvaluationError if the store does not answer.
    """
    if not is_run_id(source):
        if not Path(source).expanduser().exists():
            raise InputError(
                f"{source}: no such file, and no id of an MLflow run (32 hexadecimal digits)"
            )
        return read_results(source)
    with tempfile.TemporaryDirectory() as folder:
        return read_results(_download(source, folder, tracking_uri))


def _download(run_id: str, folder: str, tracking_uri: str | None) -> Path:
    from skilltrace_mlflow.sources.mlflow.store import connect, probe, store_errors

    probe(tracking_uri)
    place = RESULTS_ARTIFACT.rpartition("/")[0]
    with connect(tracking_uri) as client, store_errors(f"run {run_id}", tracking_uri):
        held = {
            item.path for item in client.list_artifacts(client.get_run(run_id).info.run_id, place)
        }
        if RESULTS_ARTIFACT not in held:
            raise TraceNotFoundError(
                f"run {run_id}: has no artifact {RESULTS_ARTIFACT}; runs of mlflow-eval and of "
                "trace-eval --log have one"
            )
        return Path(client.download_artifacts(run_id, RESULTS_ARTIFACT, folder))
