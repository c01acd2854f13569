"""`ground_truth.yaml`: test cases, each with its expectations on top of the manifest's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations._files import resolve_files
from skilltrace_mlflow.expectations._merge import drop_disabled, flatten, merge_expectations
from skilltrace_mlflow.expectations._parse import Expectation, astray, build, check_disabled
from skilltrace_mlflow.expectations._schema import ground_truth_schema, trace_keys
from skilltrace_mlflow.expectations.documents import Document, KeyPath, Problems, load_document
from skilltrace_mlflow.expectations.explain import describe, find_problems
from skilltrace_mlflow.expectations.manifest import Manifest
from skilltrace_mlflow.expectations.names import did_you_mean, misspelt
from skilltrace_mlflow.expectations.responses import response_keys, response_problems
from skilltrace_mlflow.expectations.trigger_prompts import of_skill, trigger_cases

__all__ = ["EXAMPLE_PROMPT", "TestCase", "load_ground_truth", "select_cases"]

EXAMPLE_PROMPT = "Describe here what the agent is asked to do."
"""The prompt of the test case that `init` writes: until somebody fills it in."""

_CASE_KEYS = (
    "category",
    "expectations",
    "id",
    "inputs",
    "metadata",
    "outputs",
    "session_expectations",
    "tags",
    "trace",
    "trace_expectations",
)
_CONTAINERS = ("trace_expectations", "session_expectations")
# What is read of mappings that hold anything else besides: a slip of one of these would be judged
# on other evidence, or not at all. (`tags` are left out: `tag` is a word of other tools.)
_READ = {
    "inputs": ("prompt",),
    "metadata": ("category", "session_id", "trace_id", "trace_run_id"),
    "outputs": ("execution_success", "response", "trace", "trace_ref"),
}
_IN_A_TEST = "under a test case's expectations"
_OF_MANIFESTS = ("default_guidelines", "evaluation", "quality_gates", "scorers")


@dataclass(frozen=True, kw_only=True)
class TestCase:
    """One test case, its expectations merged with the manifest's.

    `expectations` and `session_expectations` are ready to be judged; `trace_expectations` is the
    merged raw mapping they came from. `response_expectations` are the raw keys that concern the
    response. `trace_ref` is an absolute path or one relative to the working directory.
    `disabled` names the checks that the manifest or the test turns off.
    """

    __test__ = False  # not a test class, whatever its name says to pytest

    id: str
    prompt: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    response: str | None = None
    trace_ref: str | None = None
    inline_trace: Any = None
    expectations: tuple[Expectation, ...] = ()
    session_expectations: tuple[Expectation, ...] = ()
    trace_expectations: Mapping[str, Any] = field(default_factory=dict)
    response_expectations: Mapping[str, Any] = field(default_factory=dict)
    disabled: tuple[str, ...] = ()
    category: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    trace_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    path: Path | None = None
    line: int | None = None
    notices: tuple[str, ...] = field(default=(), compare=False)


def load_ground_truth(
    source: str | os.PathLike[str] | Manifest, *, manifest: Manifest | None = None
) -> tuple[TestCase, ...]:
    """The test cases of a file, or of all datasets of a manifest, in order.

    `manifest` gives the expectations that a file's tests override. Raises ConfigurationError with
    every problem (of all files), InputError where a file cannot be read.
    """
    if isinstance(source, Manifest):
        manifest, paths = source, source.datasets
    else:
        paths = (Path(source).expanduser(),)
    cases: list[TestCase] = []
    problems: list[str] = []
    for path in paths:
        reader = _Reader(load_document(path), manifest)
        found = reader.cases()
        for case in found:
            first = next((c for c in cases if c.id == case.id), None)
            if first is not None:
                reader.problems.add(
                    ("test_cases",),
                    f"the id {case.id!r} is taken by {first.path}:{first.line}",
                )
        problems += reader.problems
        cases += found
    if problems:
        raise ConfigurationError(*problems)
    return tuple(cases)


def select_cases(
    cases: Iterable[TestCase],
    *,
    ids: Iterable[str] = (),
    categories: Iterable[str] = (),
    tags: Iterable[str] = (),
) -> tuple[TestCase, ...]:
    """The cases that have one of the ids, one of the categories and one of the tags given.

    Raises ConfigurationError for an id, category or tag that no case has, and when nothing is left:
    a selection that selects nothing would judge nothing and look fine.
    """
    cases = tuple(cases)
    wanted = {"id": tuple(ids), "category": tuple(categories), "tag": tuple(tags)}
    have = {
        "id": [case.id for case in cases],
        "category": [case.category for case in cases if case.category],
        "tag": [tag for case in cases for tag in case.tags],
    }
    problems = [
        f"no test case has the {kind} {name!r}; {did_you_mean(name, have[kind])}"
        if have[kind]
        else f"no test case has the {kind} {name!r}; none has any"
        for kind, names in wanted.items()
        for name in names
        if name not in have[kind]
    ]
    if problems:
        raise ConfigurationError(*problems)
    selected = tuple(
        case
        for case in cases
        if (not wanted["id"] or case.id in wanted["id"])
        and (not wanted["category"] or case.category in wanted["category"])
        and (not wanted["tag"] or set(case.tags) & set(wanted["tag"]))
    )
    if not selected and cases:
        told = ", ".join(f"{kind} {' or '.join(names)}" for kind, names in wanted.items() if names)
        raise ConfigurationError(f"no test case is left by the selection ({told})")
    return selected


class _Reader:
    """Reads one file; every method adds to `problems` and goes on."""

    def __init__(self, document: Document, manifest: Manifest | None) -> None:
        self.document = document
        self.manifest = manifest or Manifest(name="")
        self.problems = Problems(document)
        self.bad: set[KeyPath] = set()

    def report(self, path: KeyPath, message: str, at_key: bool = False) -> None:
        self.problems.add(path, message, at_key=at_key)
        self.bad.add(path)

    def cases(self) -> list[TestCase]:
        data = self.document.data
        if not isinstance(data, dict):
            self.report((), f"got {describe(data)}, expected a mapping with test_cases")
            return []
        if "test_cases" not in data and "trigger_prompts" not in data:
            near = [key for key in data if did_you_mean(key, ["test_cases"]).startswith("did")]
            for key in near:
                self.report((key,), f"unknown key {key!r}; did you mean 'test_cases'?", True)
            if near:
                return []
        self._top_level(data)
        for path, message, at_key in find_problems(data, ground_truth_schema()):
            self.report(path, message, at_key)
        items = data.get("test_cases")
        cases: list[TestCase] = []
        seen: dict[str, int | None] = {}
        listed: list[tuple[KeyPath, Any]] = [
            (("test_cases", index), item)
            for index, item in enumerate(items if isinstance(items, list) else ())
        ]
        for path, item in (*listed, *trigger_cases(data)):
            if not isinstance(item, dict):
                continue
            case = self._case(item, path)
            if case.id in seen:
                self.report(
                    (*path, "id"), f"duplicate id {case.id!r}, first on line {seen[case.id]}"
                )
            elif case.id:
                seen[case.id] = case.line
            cases.append(case)
        return cases

    def _top_level(self, data: Mapping[str, Any]) -> None:
        of_tests = {*trace_keys(), *response_keys(), "expectations", *_CONTAINERS}
        for key in data:
            if key in of_tests:
                where = "under a test case's expectations, or in manifest.yaml for all of them"
            elif key in _OF_MANIFESTS:
                where = "in manifest.yaml"
            elif key not in ("test_cases", "trigger_prompts") and misspelt(key, ["test_cases"]):
                self.report((key,), f"unknown key {key!r}; did you mean 'test_cases'?", True)
                continue
            elif key not in ("test_cases", "trigger_prompts"):
                for place, message in astray(key, data[key], (key,), _IN_A_TEST):
                    self.report(place, message, at_key=True)
                continue
            else:
                continue
            self.report((key,), f"{key!r} is not read here; it belongs {where}", at_key=True)

    def _case(self, item: Mapping[str, Any], path: KeyPath) -> TestCase:
        inputs, outputs = _mapping(item, "inputs"), _mapping(item, "outputs")
        metadata, raw = _mapping(item, "metadata"), _mapping(item, "expectations")
        notices = self._case_keys(item, path)
        disabled: tuple[str, ...] = ()
        merged: dict[str, dict[str, Any]] = {}
        built: dict[str, tuple[Expectation, ...]] = {}
        for name in _CONTAINERS:
            layer, places = self._layer(item, raw, path, name)
            off = layer.pop("disabled", None) or ()
            if isinstance(off, list):
                at = places.get("disabled", path)
                check_disabled(
                    off, self.report, at, also=[entry.name for entry in self.manifest.scorers]
                )
                disabled = tuple(
                    dict.fromkeys((*disabled, *(n for n in off if isinstance(n, str))))
                )
            notices += self._ban_notices(layer, off, places)
            notices += self._vain_notices(layer, places)
            base = getattr(self.manifest, name)
            result = drop_disabled(
                merge_expectations(base, layer), manifest=self.manifest.disabled, test=disabled
            )
            merged[name] = result
            built[name] = self._build(result, layer, places, path)
        for inner, message in response_problems(raw):
            place = (*path, "expectations", *inner)
            if not any(bad[: len(path) + 2] == place[: len(path) + 2] for bad in self.bad):
                self.report(place, message)
        ref = outputs.get("trace_ref")
        if isinstance(ref, str):
            ref = str(self.document.path.parent / Path(ref).expanduser())
        inline = outputs.get("trace")
        position = self.document.where((*path, "id")) or self.document.where(path) or (1, 1)
        return TestCase(
            id=str(item.get("id", "")),
            prompt=inputs.get("prompt"),
            inputs=inputs,
            outputs=outputs,
            response=outputs.get("response"),
            trace_ref=ref,
            inline_trace=item.get("trace") if inline is None else inline,
            expectations=built["trace_expectations"],
            session_expectations=built["session_expectations"],
            trace_expectations=merged["trace_expectations"],
            response_expectations={
                key: raw[key] for key in response_keys() if raw.get(key) is not None
            },
            disabled=tuple(dict.fromkeys((*self.manifest.disabled, *disabled))),
            category=metadata.get("category") or item.get("category"),
            tags=_tags(metadata.get("tags")) or _tags(item.get("tags")),
            metadata=metadata,
            trace_id=metadata.get("trace_id"),
            run_id=metadata.get("trace_run_id"),
            session_id=metadata.get("session_id"),
            path=self.document.path,
            line=position[0],
            notices=tuple(notices),
        )

    def _case_keys(self, item: Mapping[str, Any], path: KeyPath) -> list[str]:
        notices = []
        belongs = {**dict.fromkeys(trace_keys()), **response_keys()}
        for key in item:
            if key in _CASE_KEYS:
                continue
            hint = did_you_mean(key, [k for k in _CASE_KEYS if len(k) > 4])
            if key in belongs:
                self.report((*path, key), f"{key!r} belongs under expectations", at_key=True)
            elif hint.startswith("did") and key not in ("name", "description", "notes", "input"):
                self.report((*path, key), f"unknown key {key!r}; {hint}", at_key=True)
            elif found := list(astray(str(key), item[key], (*path, key), _IN_A_TEST)):
                for place, message in found:
                    self.report(place, message, at_key=True)
            else:
                notices.append(self._notice((*path, key), f"{key}: not read by skilltrace-mlflow"))
        for name, known in _READ.items():
            values = _mapping(item, name)
            for key in values:
                meant = None if key in known else misspelt(key, known)
                if meant is not None and meant not in values:
                    self.report(
                        (*path, name, key),
                        f"unknown key {key!r}; did you mean {meant!r}?",
                        at_key=True,
                    )
        return notices

    def _layer(
        self, item: Mapping[str, Any], raw: Mapping[str, Any], path: KeyPath, name: str
    ) -> tuple[dict[str, Any], dict[str, KeyPath]]:
        """A test's own trace keys, flat, and where each of them stands."""
        keys = trace_keys()
        layer: dict[str, Any] = {}
        places: dict[str, KeyPath] = {}
        sources: list[tuple[KeyPath, Any]] = []
        if name == "trace_expectations":
            sources.append(((*path, "expectations"), {k: v for k, v in raw.items() if k in keys}))
        sources.append(((*path, "expectations", name), raw.get(name)))
        sources.append(((*path, name), item.get(name)))
        for place, values in sources:
            for key, value in flatten(values).items() if isinstance(values, dict) else ():
                if key not in keys:
                    continue
                if key in layer:
                    where = ".".join(str(part) for part in places[key][2:])
                    self.report((*place, key), f"written twice, also as {where}", at_key=True)
                    continue
                layer[key] = value
                places[key] = (*place, key)

        def report(inner: KeyPath, message: str, at_key: bool) -> None:
            self.report((*places[str(inner[0])], *inner[1:]), message, at_key)

        if isinstance(layer.get("should_trigger"), bool) and self.manifest.name:
            layer["should_trigger"] = of_skill(self.manifest.name, layer["should_trigger"])
        return resolve_files(layer, self.document.path.parent, report), places

    def _build(
        self,
        merged: Mapping[str, Any],
        layer: Mapping[str, Any],
        places: Mapping[str, KeyPath],
        path: KeyPath,
    ) -> tuple[Expectation, ...]:
        skip = set()
        for key, place in places.items():
            if any(bad[: len(place)] == place for bad in self.bad):
                skip.add(key)

        def own(inner: KeyPath, message: str, at_key: bool) -> None:
            key = str(inner[0])
            if key in places:
                self.report((*places[key], *inner[1:]), message, at_key)
                skip.add(key)

        def both(inner: KeyPath, message: str, at_key: bool) -> None:
            key = str(inner[0])
            place = places.get(key, (*path, "expectations"))
            self.report((*place, *inner[1:]), message, at_key)

        # A ban list of the test is judged alone first: in the united one its indices differ.
        bans = {
            key: value
            for key, value in layer.items()
            if (spec := trace_keys().get(key)) is not None and "" in spec.additive
        }
        build(bans, own, shapes=False, skip=skip)
        return build(merged, both, skip=skip)

    def _ban_notices(
        self, layer: Mapping[str, Any], off: Iterable[str], places: Mapping[str, KeyPath]
    ) -> list[str]:
        """Says where a test tries to lift a ban of the manifest, which nothing but
        `ban_exceptions` does."""
        notices = []
        base = {**self.manifest.trace_expectations, **self.manifest.session_expectations}
        for key, spec in trace_keys().items():
            if spec is None or not spec.additive or not base.get(key):
                continue
            text = "the manifest's bans stay; name one under ban_exceptions to lift it"
            if key in layer and layer[key] is None:
                notices.append(self._notice(places[key], f"{key}: null lifts no ban: {text}"))
            if spec.name in off or key in off:
                notices.append(
                    self._notice(places.get("disabled", ()), f"disabled: {spec.name}: {text}")
                )
        return notices

    def _vain_notices(
        self, layer: Mapping[str, Any], places: Mapping[str, KeyPath]
    ) -> Iterator[str]:
        """Says where a test expects something of a check that the manifest turns off."""
        for key, value in layer.items():
            spec = trace_keys()[key]
            if spec is not None and value and {spec.name, key} & set(self.manifest.disabled):
                yield self._notice(places[key], f"{key}: not judged, the manifest disables it")

    def _notice(self, path: KeyPath, message: str) -> str:
        line, column = self.document.where(path, at_key=True) or (1, 1)
        return f"{self.document.path}:{line}:{column}: {message}"


def _mapping(item: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = item.get(key)
    return value if isinstance(value, dict) else {}


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()
