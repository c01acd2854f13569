"""The schemas as editors get them: a description and an example at every node, names to complete.

What a key means is declared beside it, in the schemas that validate. What can be derived is added
here, when a schema is printed and never when one validates: examples, from those of the checks that
the test suite runs; the names of tools, checks, scorers and gates; the words for `null` and for
"one of these keys". What is valid stays the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.expectations._schema import ground_truth_schema, manifest_schema
from skilltrace_mlflow.expectations.names import (
    FIGURE_GATES,
    GATE_GROUPS,
    MLFLOW_SCORERS,
    outcome_name,
)
from skilltrace_mlflow.responses import all_responses
from skilltrace_mlflow.tools import TOOLS, current_name

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

__all__ = ["editor_schema", "nodes"]

_TRACE = "#/$defs/trace_expectations"
_MOST_SHOWN = 2
_BY_NAME = ("properties", "patternProperties", "$defs")
_FORMS = ("anyOf", "oneOf")
_SINGLE = ("items", "additionalProperties", "propertyNames")


def _judged() -> list[str]:
    return [*all_checks(), *all_responses()]


_OFFERS: Mapping[str, Callable[[], Iterable[str]]] = {
    "checks": lambda: [*_judged(), *sorted(MLFLOW_SCORERS)],
    "gates": lambda: [
        *_judged(),
        *FIGURE_GATES,
        *GATE_GROUPS,
        *sorted(map(outcome_name, MLFLOW_SCORERS)),
    ],
    "scorers": lambda: [*all_responses(), *sorted(MLFLOW_SCORERS), *all_checks()],
    "models": lambda: sorted(MLFLOW_SCORERS),
    "tools": lambda: [name for name in TOOLS if current_name(name) == name],
}
"""The names that `offer` in a schema stands for; others are as valid."""
_IN_FULL = ("gates",)
"""Offers that are written out as keys: few editors complete what only `propertyNames` names."""


def editor_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a `manifest` or a `ground-truth`, with help for whoever writes one."""
    from jsonschema import Draft202012Validator

    schema = manifest_schema() if kind == "manifest" else ground_truth_schema()
    defined = schema.pop("$defs")
    offered = _offering(_referring(schema, defined["trace_expectations"]["properties"]))
    definitions = {name: _offering(item) for name, item in defined.items()}
    known = {_known(offer): _enumerated(offer) for offer in _used([offered, definitions])}
    definitions = {**known, **definitions}
    helper = _Helper(Draft202012Validator({"$defs": definitions}))
    examples = [*_of_checks()]
    for name, item in definitions.items():
        helper.defined[f"#/$defs/{name}"] = helper.helped(item, examples)
    responses = [e.value for s in all_responses().values() for e in s.examples]
    tests = [{"id": "x", "expectations": value} for value in responses]
    made = helper.helped(offered, [] if kind == "manifest" else [{"test_cases": tests}])
    return {**made, "$defs": {name: helper.defined[f"#/$defs/{name}"] for name in definitions}}


def _of_checks() -> Iterator[dict[str, Any]]:
    """What the checks' examples write, as they do and in the long form."""
    for spec in all_checks().values():
        for example in spec.examples:
            yield {spec.key: example.value}
            if spec.main is not None:
                yield {spec.key: {spec.main: example.value}}


def _known(offer: str) -> str:
    return f"known_{offer}"


def _enumerated(offer: str) -> dict[str, Any]:
    return {"description": "A name that is known.", "enum": list(dict.fromkeys(_OFFERS[offer]()))}


def _used(schemas: Iterable[Any]) -> list[str]:
    """The offers that some schema refers to."""
    text = json.dumps(schemas)
    return [offer for offer in _OFFERS if f'"#/$defs/{_known(offer)}"' in text]


def nodes(schema: Mapping[str, Any], path: str = "#") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema in a schema, itself included, by where it stands."""
    yield path, schema
    for word, inner in schema.items():
        if word in _SINGLE and isinstance(inner, Mapping):
            yield from nodes(inner, f"{path}/{word}")
        elif word in _BY_NAME or word in _FORMS:
            items = inner.items() if isinstance(inner, Mapping) else enumerate(inner)
            for name, item in items:
                yield from nodes(item, f"{path}/{word}/{name}")


def _changed(node: Mapping[str, Any], change: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    """A schema whose schemas, one level below, are changed."""
    made: dict[str, Any] = {}
    for word, inner in node.items():
        if word in _SINGLE and isinstance(inner, Mapping):
            made[word] = change(inner)
        elif word in _BY_NAME:
            made[word] = {name: change(item) for name, item in inner.items()}
        elif word in _FORMS:
            made[word] = [change(item) for item in inner]
        else:
            made[word] = inner
    return made


def _referring(node: Mapping[str, Any], trace: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that refers to the keys of traces where it repeated them: half the size."""
    repeated = {k for k, item in node.get("properties", {}).items() if trace.get(k) == item}
    made = _changed(node, lambda inner: _referring(inner, trace))
    for name in repeated:
        made["properties"][name] = {"$ref": f"{_TRACE}/properties/{name}"}
    return made


def _offering(node: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with the known names where it says `offer`."""
    made = _changed(node, _offering)
    each = made.pop("each", "The entry's name.")
    offer = made.pop("offer", None)
    if offer is None:
        return made
    known: dict[str, Any] = {"description": "A name that is known.", "enum": [*offer]}
    if isinstance(offer, str):
        offer, known = _enumerated(offer)["enum"], {"$ref": f"#/$defs/{_known(offer)}"}
    about = made.get("description")
    if made["type"] == "string":
        return {"description": about, "anyOf": [known, made]}
    other = {"description": "Any other name.", "type": "string", "examples": [offer[0]]}
    made["propertyNames"] = {"description": each, "anyOf": [known, other]}
    if node["offer"] in _IN_FULL:
        made["properties"] = dict.fromkeys(offer, made["additionalProperties"])
    if made["type"] == "object":
        return made
    null = {"type": "null"}  # editors read `propertyNames` of what is a mapping and nothing else
    return {"description": about, "anyOf": [{**made, "type": "object"}, null]}


class _Helper:
    """Adds descriptions and examples, from below upwards."""

    def __init__(self, validator: Draft202012Validator) -> None:
        self._validator = validator
        self.defined: dict[str, dict[str, Any]] = {}

    def helped(self, node: Mapping[str, Any], values: Iterable[Any]) -> dict[str, Any]:
        """A schema with help at every node; of `values` those that are valid are shown."""
        if "$ref" in node:
            target = self._target(node["$ref"])
            return {k: target[k] for k in ("description", "examples") if k in target} | {**node}
        own = node.get("examples", [])
        given = list(self._valid(node, [*own, *values]))
        made = {
            word: self._inner(node, word, inner, given)
            for word, inner in node.items()
            if word not in _FORMS
        }
        for word in _FORMS:
            if word in node:
                made[word] = [self._form(form, made, given) for form in node[word]]
        shown = own or given or list(self._valid(node, _composed(made)))
        told = {"description": _description(made), "examples": shown[:_MOST_SHOWN]}
        return {**made, **{word: value for word, value in told.items() if value}}

    def _inner(self, node: Mapping[str, Any], word: str, inner: Any, given: list[Any]) -> Any:
        if word in _BY_NAME:
            matches = re.search if word == "patternProperties" else _is
            return {
                name: self.helped(
                    item, [v[k] for v in _mappings(given) for k in v if matches(name, k)]
                )
                for name, item in inner.items()
            }
        if word not in _SINGLE or not isinstance(inner, Mapping):
            return inner
        if word == "items":
            below = [item for v in given if isinstance(v, list) for item in v]
        elif word == "propertyNames":
            below = [key for v in _mappings(given) for key in v]
        else:
            known = node.get("properties", {})
            below = [v[k] for v in _mappings(given) for k in v if k not in known]
        return self.helped(inner, below)

    def _form(self, form: Mapping[str, Any], parent: Mapping[str, Any], given: list[Any]) -> Any:
        """One of several forms: an editor shows its words and not the parent's, so it says both."""
        about = parent.get("description", "")
        if set(form) == {"required"}:  # that one of the parent's keys is there
            keys = {key: parent["properties"][key]["examples"][0] for key in form["required"]}
            told = f"{about} Here by {' and '.join(keys)}."
            shown = [*self._valid(form, given), keys][:_MOST_SHOWN]
            return {**form, "description": told.strip(), "examples": shown}
        if form.get("type") == "null":
            return self.helped(form, given)
        target = self._target(form["$ref"]) if "$ref" in form else {}
        own = form.get("description") or target.get("description", "")
        told = about if own in about else f"{about} {own}".strip()
        return self.helped({**form, "description": told} if told else form, given)

    def _valid(self, node: Mapping[str, Any], values: Iterable[Any]) -> Iterator[Any]:
        validator = self._validator.evolve(schema=node)
        seen = []
        for value in values:
            if value not in seen and validator.is_valid(value):
                seen.append(value)
                yield value

    def _target(self, reference: str) -> Mapping[str, Any]:
        root, _, below = reference.removeprefix("#/$defs/").partition("/")
        target: Mapping[str, Any] = self.defined[f"#/$defs/{root}"]
        for part in below.split("/") if below else ():
            target = target[part]
        return target


def _is(name: str, key: str) -> bool:
    return name == key


def _mappings(values: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    return (value for value in values if isinstance(value, Mapping))


def _description(node: Mapping[str, Any]) -> str | None:
    if node.get("type") == "null":
        return "Nothing."
    forms = [form for word in _FORMS for form in node.get(word, ())]
    return node.get("description") or next((form.get("description") for form in forms), None)


def _composed(node: Mapping[str, Any]) -> Iterator[Any]:
    """Values that a schema's own words, and the examples below it, suggest."""
    kinds = node.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    yield from node.get("enum", ())
    if "const" in node:
        yield node["const"]
    for word in _FORMS:
        for form in node.get(word, ()):
            yield from form.get("examples", ())
    if "boolean" in kinds:
        yield True
    if "array" in kinds:
        yield node["items"].get("examples", [])[:1]
    if "object" in kinds:
        shown = {
            k: s["examples"][0] for k, s in node.get("properties", {}).items() if "examples" in s
        }
        yield {key: shown[key] for key in node.get("required", ()) if key in shown}
        yield from ({key: value} for key, value in shown.items())
    if "null" in kinds:
        yield None
