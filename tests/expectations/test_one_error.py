"""One mistake in a file is one error, which names the file, the line, the key and the way out."""

import copy
import datetime
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from skilltrace_mlflow.checks import Spec, all_checks
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import (
    Manifest,
    ground_truth_schema,
    load_ground_truth,
    load_manifest,
    manifest_schema,
)
from skilltrace_mlflow.expectations.documents import KeyPath, show
from skilltrace_mlflow.expectations.explain import surely_fits
from skilltrace_mlflow.responses import all_responses

OTHERS: tuple[Any, ...] = (None, True, -1, 2.5, "", "text", [], [None], {"x": 1}, [[1]])

MANIFEST: dict[str, Any] = {
    "skill": {"name": "x", "description": "d"},
    "scorers": {
        "enabled": ["python_syntax", {"Guidelines:tone": {"guidelines": ["x"]}}],
        "default_guidelines": ["x"],
        "disabled": ["tool_count"],
    },
    "quality_gates": {"banned_tools": 1.0},
    "agent": {"model": "m", "max_turns": 3, "env": ["A"], "timeout": 3, "git": True},
    "evaluation": {"datasets": [{"path": "x.yaml"}], "scorers": {"tier1": ["python_syntax"]}},
}
GROUND_TRUTH: dict[str, Any] = {
    "test_cases": [
        {
            "id": "a",
            "inputs": {"prompt": "p"},
            "outputs": {"response": "r", "execution_success": True},
            "metadata": {"category": "c"},
            "tags": ["x"],
        }
    ],
    "trigger_prompts": {"should": ["a"], "should_not": ["b"]},
}


def _mistakes(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Each place of a document with what may be written there instead."""
    for other in OTHERS:
        if path and other != value:
            yield path, other
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _mistakes(inner, (*path, key))
        yield (*path, "unknown_key"), 1
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _mistakes(inner, (*path, index))


def _with(document: Any, path: KeyPath, new: Any) -> Any:
    document = copy.deepcopy(document)
    at = document
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = new
    return document


def _smallest(spec: Spec) -> Any:
    """The shortest of a check's examples."""
    return min((example.value for example in spec.examples), key=lambda value: len(str(value)))


def _documents() -> Iterator[Any]:
    yield pytest.param("manifest.yaml", MANIFEST, id="manifest")
    yield pytest.param("ground_truth.yaml", GROUND_TRUTH, id="ground truth")
    for spec in all_checks().values():
        value = {spec.key: _smallest(spec)}
        document = {"scorers": {"trace_expectations": value}}
        yield pytest.param("manifest.yaml", document, id=spec.name)
        if "" not in spec.additive:  # the merge is another way
            document = {"test_cases": [{"id": "a", "expectations": value}]}
            yield pytest.param("ground_truth.yaml", document, id=f"{spec.name} of a test")
    for answer in all_responses().values():
        document = {"test_cases": [{"id": "a", "expectations": _smallest(answer)}]}
        yield pytest.param("ground_truth.yaml", document, id=answer.name)


def _problems(path: Path) -> tuple[str, ...]:
    try:
        if path.name == "manifest.yaml":
            load_manifest(path)
        else:
            load_ground_truth(path, manifest=Manifest(name="x"))
    except ConfigurationError as error:
        return tuple(error.problems)
    return ()


@pytest.mark.parametrize(("name", "document"), [*_documents()])
def test_one_mistake_is_one_error_at_its_place(
    tmp_path: Path, name: str, document: dict[str, Any]
) -> None:
    path = tmp_path / name
    (tmp_path / "x.yaml").write_text("test_cases: []\n")
    refused = 0
    for place, new in _mistakes(document):
        path.write_text(yaml.safe_dump(_with(document, place, new), sort_keys=False))
        problems = _problems(path)
        if not problems:
            continue
        refused += 1
        assert len(problems) == 1, (place, new, problems)
        told = re.fullmatch(rf"{re.escape(str(path))}:\d+:\d+: (.+?): .+", problems[0])
        assert told is not None, problems
        # An error may stand at the value that the mistake makes impossible, or beside or below it.
        where, around = show(place), show(place[:-1])
        assert where.startswith(told[1]) or told[1].startswith(around), (where, told[1])
    assert refused > 5


SCHEMAS = {"manifest.yaml": manifest_schema(), "ground_truth.yaml": ground_truth_schema()}


@pytest.mark.parametrize(("name", "document"), [*_documents()])
def test_what_surely_fits_has_no_mistake(name: str, document: dict[str, Any]) -> None:
    """The quick look knows every word of our schemas, and takes nothing that jsonschema refuses."""
    schema = SCHEMAS[name]
    validator = jsonschema.Draft202012Validator(schema)
    assert surely_fits(document, schema, schema) == validator.is_valid(document)
    for place, new in _mistakes(document):
        other = _with(document, place, new)
        assert surely_fits(other, schema, schema) == validator.is_valid(other), (place, new)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, True),
        ({"type": "number"}, False),
        ({"type": "boolean"}, 1),
        ({"type": "string"}, datetime.date(2026, 1, 1)),
        ({"type": ["array", "null"]}, {}),
        ({"enum": [1, "a"]}, True),
        ({"const": True}, 1),
        ({"enum": [[1]]}, [True]),
        ({"uniqueItems": True}, ["a", "a"]),
        ({"uniqueItems": True}, [1, 1.0]),
        ({"minLength": 1}, ""),
        ({"pattern": r"\S"}, "  "),
        ({"minimum": 0}, -0.5),
        ({"exclusiveMinimum": 0}, 0),
        ({"maximum": 1}, 1.5),
        ({"minItems": 1}, []),
        ({"maxItems": 1}, [1, 2]),
        ({"minProperties": 1}, {}),
        ({"maxProperties": 1}, {"a": 1, "b": 2}),
        ({"required": ["a"]}, {"b": None}),
        ({"items": False}, [1]),
        ({"items": {"type": "string"}}, ["a", None]),
        ({"additionalProperties": False}, {"a": 1}),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 1}),
        ({"additionalProperties": {"type": "string"}}, {"a": 1}),
        ({"properties": {"a": {"type": "string"}}}, {"a": 1}),
        ({"properties": {"a": {}}, "patternProperties": {"a": {"type": "string"}}}, {"a": 1}),
        ({"patternProperties": {"^t[1-9]$": False}}, {"t1": 1}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}, "type": "string"}, 1),
        # words that the quick look does not know
        ({"not": {"type": "string"}}, "a"),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}),
        ({"oneOf": [{}, {}]}, 1),
        ({"allOf": [{"type": "string"}]}, 1),
        ({"prefixItems": [{"type": "string"}], "items": {}}, [1]),
        ({"multipleOf": 2}, 3),
        ({"if": {}, "then": False}, 1),
    ],
)
def test_a_mistake_never_fits(schema: dict[str, Any], value: Any) -> None:
    assert not jsonschema.Draft202012Validator(schema).is_valid(value)
    assert not surely_fits(value, schema, schema)


TE = "skill: {name: x}\nscorers:\n  trace_expectations:\n    "
CASE = "test_cases:\n  - id: a\n    "
WAYS_OUT = {
    TE + "tool_limits: {limits: {Bash: 3}, Read: 1}": "4:38: |Read: unknown key|known: limits,",
    TE + "tool_limits: {limits: [Bash]}": "4:27: |limits: got a list of 1|a mapping",
    TE + "required_tools: {tools: Read}": "4:29: |tools: got the text|write [Read]",
    TE + "required_tools: Read, Grep": "4:21: |write [Read, Grep]",
    TE + "banned_tools: 'rm -rf: now'": "4:19: |write ['rm -rf: now']",
    TE + "trace_expectations: {required_tools: [Read]}": "4:5: |write its keys here",
    TE + "- required_tools: [Read]": "4:5: |leave out the dashes",
    TE + "tool_limits: [{Bash: 3}]": "4:18: |leave out the dashes",
    TE + "tool_limits: {Bash: '3'}": "4:25: |write 3",
    TE + "tool_limits: {Bash: 1e2}": "4:25: |write 100",
    TE + "tool_limits: {Bash: 010}": "4:25: |010 is 8 for YAML",
    TE + "duration: {max_seconds: 1:30}": "4:29: |got the text '1:30'",
    TE + "required_tools: [no]": "4:22: |got false|put it in quotes",
    TE + "required_tools: [~]": "4:22: |got nothing",
    TE + "banned_tools: [DROP TABLE: x]": "4:20: |put it in quotes, 'DROP TABLE: x'",
    TE + "banned_tools: [@x]": "4:20: |put it in quotes, '@x'",
    TE + "required_tools: [*x]": "4:22: |put it in quotes, '*x'",
    TE + "<<: *base": "4:9: |undefined alias",
    TE + "\ttool_limits: {Bash: 3}": "4:5: |YAML allows no tabs there",
    TE + "tool_limits: {Bash: 3": "|the bracket that opens on line 4 is not closed",
    TE + 'required_tools: "Read': "|the quote that opens on line 4 is not closed",
    TE + "tool_limits: {Bash: 3}\n   scope: main": "|look at the indentation here",
    "quality_gates: {banned_tools: 90%}": "1:31: |write 0.9",
    "agent: &a {env: {x: *a}}": "1:8: |an alias refers to the value it stands in",
    "test_cases:\n  id: a": "2:3: |got a mapping (id)|begin each entry with a dash",
    CASE.replace("a\n", "yes\n"): "2:9: |got true|put it in quotes",
    CASE.replace("a\n", "007\n"): "2:9: |007 is 7 for YAML",
    CASE + "inputs:\n      prompt: Do this: that": "4:22: |put such text in quotes",
    CASE + "inputs: {prompt: 12}": "3:22: |put it in quotes",
    TE + "should_trigger: {}": "4:21: |the keys 'skill' and 'expected' are missing",
    CASE + "tags: x": "3:11: |write [x]",
}


@pytest.mark.parametrize(("text", "told"), WAYS_OUT.items())
def test_the_error_says_the_way_out(tmp_path: Path, text: str, told: str) -> None:
    name = "ground_truth.yaml" if text.startswith("test_cases") else "manifest.yaml"
    path = tmp_path / name
    path.write_text(text + "\n")
    problems = _problems(path)
    assert len(problems) == 1, problems
    place, *words = told.split("|")
    assert problems[0].startswith(f"{path}:{place}"), problems
    assert all(word in problems[0] for word in words), problems


def test_what_yaml_takes_for_a_number_in_base_60_is_the_text_that_was_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ground_truth.yaml"
    path.write_text("test_cases:\n  - id: 12:30\n  - id: 1:30.5\n")
    assert [case.id for case in load_ground_truth(path)] == ["12:30", "1:30.5"]
