"""The schemas that editors get: help at every node, names to complete, and the same valid files."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.expectations import ground_truth_schema, manifest_schema
from skilltrace_mlflow.expectations.editor_schema import editor_schema, nodes
from skilltrace_mlflow.expectations.names import MLFLOW_SCORERS, outcome_name
from skilltrace_mlflow.responses import all_responses

KINDS = ("manifest", "ground-truth")
SCHEMAS = {kind: editor_schema(kind) for kind in KINDS}
VALIDATING = {"manifest": manifest_schema(), "ground-truth": ground_truth_schema()}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_node_says_what_it_is_and_shows_a_valid_example(kind: str) -> None:
    schema = SCHEMAS[kind]
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    lacking = []
    for path, node in nodes(schema):
        text = node.get("description", "")
        if not text or text != text.strip() or text[-1] not in ".…":
            lacking.append((path, "description", text))
        examples = node.get("examples", [])
        if not examples:
            lacking.append((path, "no example", None))
        lacking += [
            (path, "invalid", item)
            for item in examples
            if not validator.evolve(schema=node).is_valid(item)
        ]
    assert not lacking


def test_every_word_that_holds_schemas_is_walked() -> None:
    """Whatever looks like a schema and is not among the nodes would never be looked at."""
    plain = {"examples", "enum", "const", "default", "required"}

    def count(value: Any) -> int:
        if isinstance(value, list):
            return sum(map(count, value))
        if not isinstance(value, Mapping):
            return 0
        inner = sum(count(item) for word, item in value.items() if word not in plain)
        schema = {"type", "anyOf", "$ref", "enum", "const"} & set(value)
        return inner + bool(schema and not isinstance(value.get("type"), Mapping))

    for schema in SCHEMAS.values():
        assert count(schema) <= sum(1 for _ in nodes(schema))


@pytest.mark.parametrize("word", ["offer", "each"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_word_of_our_own_is_printed(kind: str, word: str) -> None:
    assert not [path for path, node in nodes(SCHEMAS[kind]) if word in node]


def _changes(value: Any) -> Iterator[Any]:
    """A document with one value in it replaced by one of another kind, dropped, or joined by
    another key."""
    yield from (None, True, -1, 2.5, "", "text", [], ["Read"], {"x": 1})
    if isinstance(value, Mapping):
        for key, inner in value.items():
            for changed in _changes(inner):
                yield {**value, key: changed}
            yield {k: v for k, v in value.items() if k != key}
        yield {**value, "unknown_key": 1}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for changed in _changes(inner):
                yield [*value[:index], changed, *value[index + 1 :]]


def _documents(kind: str) -> Iterator[dict[str, Any]]:
    written = [{spec.key: e.value} for spec in all_checks().values() for e in spec.examples]
    answers = [e.value for spec in all_responses().values() for e in spec.examples]
    for expected in written if kind == "manifest" else [*written, *answers]:
        if kind == "manifest":
            yield {"scorers": {"trace_expectations": expected}}
        else:
            yield {"test_cases": [{"id": "one", "expectations": expected}]}
    if kind == "manifest":
        yield {"scorers": ["Safety", {"Guidelines:tone": {"guidelines": ["x"]}}]}
        yield {"quality_gates": {"banned_tools": 1, "own": 0.5}, "disabled": ["tool_count", "x"]}
        yield {"evaluation": {"datasets": ["a.yaml"], "scorers": {"tier1": ["python_syntax"]}}}


@pytest.mark.parametrize("kind", KINDS)
def test_an_editor_accepts_exactly_what_validation_does(kind: str) -> None:
    editor = Draft202012Validator(SCHEMAS[kind])
    loading = Draft202012Validator(VALIDATING[kind])
    seen = {True: 0, False: 0}
    for document in _documents(kind):
        assert loading.is_valid(document), document
        for changed in _changes(document):
            valid = loading.is_valid(changed)
            seen[valid] += 1
            assert editor.is_valid(changed) is valid, changed
    assert min(seen.values()) > 100


def test_the_schemas_accept_what_this_repository_holds() -> None:
    found = 0
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        kind = {"manifest.yaml": "manifest", "ground_truth.yaml": "ground-truth"}.get(path.name)
        if kind is not None:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            assert Draft202012Validator(SCHEMAS[kind]).is_valid(data), path
            found += 1
    assert found


def _offered(node: Mapping[str, Any], root: Mapping[str, Any]) -> set[str]:
    """The names that an editor finds in a schema: values of `enum`, keys of `properties`."""
    if "$ref" in node:
        target = root
        for part in node["$ref"].split("/")[1:]:
            target = target[part]
        return _offered(target, root)
    names = {*node.get("enum", ()), *node.get("properties", ())}
    for inner in (*node.get("anyOf", ()), *([node["items"]] if "items" in node else [])):
        names |= _offered(inner, root)
    return names


def test_the_names_of_checks_scorers_and_gates_are_offered() -> None:
    schema = SCHEMAS["manifest"]
    top = schema["properties"]
    judged = {*all_checks(), *all_responses()}
    assert judged <= _offered(top["quality_gates"], schema)
    assert set(map(outcome_name, MLFLOW_SCORERS)) <= _offered(top["quality_gates"], schema)
    assert "pass_rate" in _offered(top["quality_gates"], schema)
    listed = top["scorers"]["anyOf"][0]["items"]
    assert {*all_responses(), *MLFLOW_SCORERS} <= _offered(listed, schema)
    assert judged <= _offered(top["disabled"], schema)
    keys = schema["$defs"]["trace_expectations"]["properties"]
    assert {spec.key for spec in all_checks().values()} <= set(keys)
    assert {"Read", "Bash"} <= _offered(keys["required_tools"]["anyOf"][0]["items"], schema)
    names = keys["tool_limits"]["anyOf"][0]["propertyNames"]
    assert {"Read", "Bash"} <= _offered(names, schema)


def test_what_validates_holds_no_list_of_names() -> None:
    """The lists are made for editors; whoever validates does not pay for them."""
    text = json.dumps(VALIDATING)
    assert "propertyNames" not in text
    assert "known_" not in text
