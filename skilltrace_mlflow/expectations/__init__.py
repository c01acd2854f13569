"""`manifest.yaml` and `ground_truth.yaml` → validated expectations; their JSON Schemas."""

from skilltrace_mlflow.expectations._merge import drop_disabled, merge_expectations
from skilltrace_mlflow.expectations._parse import Expectation, parse_expectations
from skilltrace_mlflow.expectations._schema import ground_truth_schema, manifest_schema
from skilltrace_mlflow.expectations.ground_truth import TestCase, load_ground_truth, select_cases
from skilltrace_mlflow.expectations.locate import (
    all_skills,
    find_skills,
    place_of_skill,
    skills_root,
)
from skilltrace_mlflow.expectations.manifest import Manifest, ScorerEntry, load_manifest

__all__ = [
    "Expectation",
    "Manifest",
    "ScorerEntry",
    "TestCase",
    "all_skills",
    "drop_disabled",
    "find_skills",
    "ground_truth_schema",
    "load_ground_truth",
    "load_manifest",
    "manifest_schema",
    "merge_expectations",
    "parse_expectations",
    "place_of_skill",
    "select_cases",
    "skills_root",
]
