"""Test cases as an evaluation dataset of `mlflow.genai.datasets`, and back.

A record's inputs and expectations are the case's own, so that people may edit them where they
review them; what else a case holds (its id, outputs, metadata, …) travels in the record's tags.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.errors import (
    ConfigurationError,
    EvaluationError,
    InputError,
    TraceNotFoundError,
)
from skilltrace_mlflow.evaluate._surroundings import tracking
from skilltrace_mlflow.expectations import Manifest, load_ground_truth, load_manifest
from skilltrace_mlflow.expectations.documents import load_document
from skilltrace_mlflow.expectations.trigger_prompts import trigger_cases
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.text import counted

if TYPE_CHECKING:
    from mlflow.genai.datasets import EvaluationDataset

__all__ = ["DatasetChange", "from_dataset", "to_dataset"]

MOST_ROWS = 2_000
"""What an evaluation dataset of Databricks holds."""

_TEST = "skilltrace.test_id"
_SKILL = "skilltrace.skill"
_ORDER = "skilltrace.order"
_REST = "skilltrace.case"
_MARKED = "skilltrace.marked"
_MARK = "test_id"


@dataclass(frozen=True, kw_only=True)
class DatasetChange:
    """What `to_dataset` did: how many cases the dataset holds of the skill, and what it changed."""

    name: str
    cases: int
    written: int
    deleted: int

    def __str__(self) -> str:
        return (
            f"dataset {self.name}: {counted(self.cases, 'test case')}, {self.written} written, "
            f"{counted(self.deleted, 'older record')} deleted"
        )


def to_dataset(
    skill: str | os.PathLike[str] | Manifest,
    name: str,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    skills_dir: str | os.PathLike[str] | None = None,
) -> DatasetChange:
    """Bring the evaluation dataset `name` (on Databricks `catalog.schema.table`) up to a skill's
    test cases; it is made if need be. Written again, nothing changes; a case that was edited or
    deleted in the file is so in the dataset. Records of others are left alone.

    Raises ConfigurationError for cases that are wrong, hold what JSON does not, or are too many;
    EvaluationError if the store does not answer.
    """
    manifest = skill if isinstance(skill, Manifest) else load_manifest(skill, skills_dir=skills_dir)
    records = list(_records(manifest))
    with tracking(tracking_uri) as uri, _told(name, uri):
        mlflow_store.probe(uri)
        dataset = _open(name, experiment, uri)
        present = [row for row in _rows(dataset) if row["tags"].get(_SKILL) == manifest.name]
        if uri.startswith("databricks") and len(records) > MOST_ROWS:
            raise ConfigurationError(
                f"{manifest.name}: {len(records)} test cases, and a dataset holds {MOST_ROWS:,}"
            )
        same = {_digest(row) for row in present}
        wanted = {_digest(record) for record in records}
        gone = [row["dataset_record_id"] for row in present if _digest(row) not in wanted]
        # Deleted first: MLflow merges a record into one with the same inputs key by key, and an
        # expectation that was taken out of the file would stay.
        if gone:
            dataset.delete_records(gone)
        fresh = [record for record in records if _digest(record) not in same]
        if fresh:
            dataset.merge_records(fresh)
    return DatasetChange(name=name, cases=len(records), written=len(fresh), deleted=len(gone))


def from_dataset(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    skill: str | None = None,
    tracking_uri: str | None = None,
) -> dict[str, Any]:
    """The test cases in an evaluation dataset as a ground truth file holds them; written to `path`
    as well if one is given, which must not exist.

    `skill` takes that skill's cases only. Records that were made elsewhere become cases with the
    record's id. Paths in `trace_ref` are as they were in the file: write it to the same folder.
    Raises ConfigurationError if there is no such dataset or nothing in it.
    """
    with tracking(tracking_uri) as uri, _told(name, uri):
        mlflow_store.probe(uri)
        from mlflow.genai.datasets import get_dataset

        rows = list(_rows(get_dataset(name=name)))
    found = [_case(row) for row in sorted(rows, key=_place) if _is_of(row, skill)]
    if not found:
        whose = f" of skill {skill}" if skill else ""
        raise ConfigurationError(f"dataset {name}: holds no test case{whose}")
    document = {"test_cases": found}
    if path is not None:
        file = Path(path).expanduser()
        if file.exists():
            raise InputError(f"{file}: is there already; name another file, or delete it")
        import yaml

        file.write_text(
            yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100),
            encoding="utf-8",
        )
    return document


def _records(manifest: Manifest) -> Iterator[dict[str, Any]]:
    load_ground_truth(manifest)  # what is wrong is told before anything is written
    raw = [case for path in manifest.datasets for case in _raw_cases(load_document(path).data)]
    if not raw:
        raise ConfigurationError(f"{manifest.name}: no test cases")
    times = Counter(_json(case.get("inputs") or {}, case) for case in raw)
    for number, case in enumerate(raw):
        inputs = dict(case.get("inputs") or {})
        # A dataset holds one record for the same inputs.
        marked = not inputs or times[_json(inputs, case)] > 1
        rest = {key: value for key, value in case.items() if key not in ("inputs", "expectations")}
        record: dict[str, Any] = {
            "inputs": {**inputs, _MARK: case["id"]} if marked else inputs,
            "tags": {
                _TEST: str(case["id"]),
                _SKILL: manifest.name,
                _ORDER: f"{number:06d}",
                _REST: _json(rest, case),
                **({_MARKED: "true"} if marked else {}),
            },
        }
        if case.get("expectations"):
            record["expectations"] = json.loads(_json(case["expectations"], case))
        yield record


def _raw_cases(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from data.get("test_cases") or ()
    yield from (case for _, case in trigger_cases(data))


def _json(value: Any, case: Mapping[str, Any]) -> str:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except TypeError as error:
        raise ConfigurationError(
            f"test case {case.get('id')!r}: a dataset holds JSON only ({error}); quote the value"
        ) from None


def _digest(record: Mapping[str, Any]) -> str:
    tags = {key: value for key, value in record["tags"].items() if key.startswith("skilltrace.")}
    return json.dumps(
        [record["inputs"], record.get("expectations") or {}, tags], sort_keys=True, default=str
    )


def _case(row: Mapping[str, Any]) -> dict[str, Any]:
    tags = row["tags"]
    rest = json.loads(tags[_REST]) if _REST in tags else {"id": str(row["dataset_record_id"])}
    inputs = dict(row["inputs"])
    if tags.get(_MARKED) == "true":
        inputs.pop(_MARK, None)
    case: dict[str, Any] = {"id": rest.pop("id")}
    if inputs:
        case["inputs"] = inputs
    if row.get("expectations"):
        case["expectations"] = row["expectations"]
    return {**case, **rest}


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    tags = row["tags"]
    return tags.get(_SKILL, "\uffff"), tags.get(_ORDER, ""), str(row["dataset_record_id"])


def _is_of(row: Mapping[str, Any], skill: str | None) -> bool:
    return skill is None or row["tags"].get(_SKILL) == skill


def _rows(dataset: EvaluationDataset) -> Iterator[dict[str, Any]]:
    for row in dataset.to_df().to_dict(orient="records"):
        texts = {name: _decoded(row.get(name)) for name in ("inputs", "expectations", "tags")}
        yield {
            "dataset_record_id": row.get("dataset_record_id"),
            **{n: dict(value) if isinstance(value, Mapping) else {} for n, value in texts.items()},
        }


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _open(name: str, experiment: str | None, uri: str) -> EvaluationDataset:
    from mlflow.exceptions import MlflowException
    from mlflow.genai.datasets import create_dataset, get_dataset

    try:
        found: EvaluationDataset = get_dataset(name=name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    except ImportError:
        raise
    except Exception as error:  # on Databricks, the SDK's own class, which need not be installed
        if type(error).__name__ not in ("NotFound", "ResourceDoesNotExist"):
            raise
    else:
        return found
    held = mlflow_store.resolve_experiment(experiment, tracking_uri=uri)
    made: EvaluationDataset = create_dataset(name=name, experiment_id=[held])
    return made


@contextlib.contextmanager
def _told(name: str, tracking_uri: str) -> Iterator[None]:
    """MLflow's refusals as ours; not there is the caller's to mend, so exit code 2."""
    try:
        with mlflow_store.store_errors(f"dataset {name}", tracking_uri):
            yield
    except TraceNotFoundError as error:
        raise ConfigurationError(str(error)) from None
    except EvaluationError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        raise ConfigurationError(
            f"dataset {name}: on Databricks the package databricks-agents is needed "
            "(pip install databricks-agents)"
        ) from None
