"""`manifest.yaml`: what a skill's every test expects, which scorers run, and its gates."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.expectations._files import resolve_files
from skilltrace_mlflow.expectations._merge import drop_disabled, flatten
from skilltrace_mlflow.expectations._parse import astray, build, check_disabled
from skilltrace_mlflow.expectations._schema import manifest_schema, trace_keys
from skilltrace_mlflow.expectations.documents import Document, KeyPath, Problems, load_document
from skilltrace_mlflow.expectations.explain import describe, find_problems
from skilltrace_mlflow.expectations.locate import find_manifest
from skilltrace_mlflow.expectations.names import (
    gate_hint,
    gate_names,
    misspelt,
    scorer_problem,
)
from skilltrace_mlflow.expectations.responses import response_keys
from skilltrace_mlflow.responses import all_responses

__all__ = [
    "Manifest",
    "ScorerEntry",
    "load_manifest",
    "manifest_from_mapping",
]

_TOP = (
    "agent",
    "default_guidelines",
    "description",
    "disabled",
    "evaluation",
    "quality_gates",
    "scorers",
    "session_expectations",
    "skill",
    "skill_name",
    "trace_expectations",
)
# Keys that decide a verdict: a near miss of one of them is a typo, not another tool's key.
_GUARDED = tuple(key for key in _TOP if key not in ("agent", "description", "skill", "skill_name"))
_LISTS = ("enabled", "trace_scorers", "llm_scorers")
_EVALUATION = ("datasets", "quality_gates", "scorers")
_SKILL = ("description", "name", "source_path")


@dataclass(frozen=True, kw_only=True)
class ScorerEntry:
    """A scorer that a manifest lists: its name, its arguments, and the list it stands in.

    `group` is `enabled`, `llm_scorers`, `trace_scorers` or `tier1`…; `where` is FILE:LINE:COLUMN.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    group: str = "enabled"
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A skill's manifest, validated.

    `enabled`, `trace_scorers` and `llm_scorers` are names; `scorers` has their arguments too.
    `trace_expectations` and `session_expectations` are flat mappings of trace keys, the base that
    every test overrides. `agent` is how `run` starts the agent, with paths relative to `folder`.
    `tiers` holds the lists of the older form, for its gates. `notices` are
    remarks on what another tool reads. `path` is None where a skill has no manifest.
    """

    name: str
    path: Path | None = None
    folder: Path | None = None
    description: str | None = None
    source_path: str | None = None
    enabled: tuple[str, ...] = ()
    trace_scorers: tuple[str, ...] = ()
    llm_scorers: tuple[str, ...] = ()
    scorers: tuple[ScorerEntry, ...] = ()
    disabled: tuple[str, ...] = ()
    default_guidelines: tuple[str, ...] = ()
    quality_gates: Mapping[str, float] = field(default_factory=dict)
    tiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trace_expectations: Mapping[str, Any] = field(default_factory=dict)
    session_expectations: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[Path, ...] = ()
    agent: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    document: Document | None = field(default=None, repr=False, compare=False)

    @property
    def ground_truth(self) -> Path:
        """The file that new test cases go to; it need not exist."""
        if self.datasets:
            return self.datasets[0]
        return (self.folder or Path()) / "ground_truth.yaml"


def manifest_from_mapping(data: Mapping[str, Any], *, where: str = "scorers") -> Manifest:
    """The manifest in a mapping: a whole one, or its `scorers` section alone.

    Raises ConfigurationError with all problems, `where` in front of each.
    """
    whole = isinstance(data, Mapping) and {"scorers", "evaluation", "skill", "skill_name"} & set(
        data
    )
    document = Document(
        path=Path(where), data=dict(data) if whole else {"scorers": data}, keys={}, values={}
    )
    return _Reader(document, label=where).manifest()


def load_manifest(
    source: str | os.PathLike[str], *, skills_dir: str | os.PathLike[str] | None = None
) -> Manifest:
    """The manifest of a skill's name, a skill's folder, or a manifest file.

    A name is looked up in `skills_dir`, else SKILLTRACE_SKILLS_DIR, else in the places of
    `skilltrace_mlflow.expectations.locate`. Raises ConfigurationError with all problems of the
    file, or when there is no such skill.
    """
    folder, path, notices = find_manifest(source, skills_dir=skills_dir)
    if path is None:
        manifest = Manifest(name=folder.name, folder=folder, datasets=_default_dataset(folder))
    else:
        manifest = _Reader(load_document(path)).manifest()
    return replace(manifest, notices=(*notices, *manifest.notices)) if notices else manifest


def _default_dataset(folder: Path) -> tuple[Path, ...]:
    path = folder / "ground_truth.yaml"
    return (path,) if path.is_file() else ()


class _Reader:
    """Builds one manifest; every method adds to `problems` and goes on."""

    def __init__(self, document: Document, *, label: str = "") -> None:
        self.document = document
        self.problems = Problems(None if label else document, where=label)
        self.bad: set[KeyPath] = set()
        self.notices: list[str] = []

    def report(self, path: KeyPath, message: str, at_key: bool = False) -> None:
        self.problems.add(path, message, at_key=at_key)
        self.bad.add(path)

    def manifest(self) -> Manifest:
        data = self.document.data
        if not isinstance(data, dict):
            self.report((), f"got {describe(data)}, expected a mapping with skill and scorers")
            self.problems.raise_if_any()
        self._top_level(data)
        for path, message, at_key in find_problems(data, manifest_schema()):
            self.report(path, message, at_key)
        folder = self.document.path.parent
        entries = tuple(self._entries(data))
        disabled = self._disabled(data, entries)
        trace = self._layer(data, "trace_expectations")
        session = self._layer(data, "session_expectations")
        gates = self._gates(data, entries)
        tiers: dict[str, tuple[str, ...]] = {}
        for entry in entries:
            if entry.group.startswith("tier"):
                tiers[entry.group] = (*tiers.get(entry.group, ()), entry.name)
        skill = data.get("skill") if isinstance(data.get("skill"), dict) else {}
        datasets = self._datasets(data, folder)
        self.problems.raise_if_any()
        guidelines = _at(data, "scorers", "default_guidelines") or data.get("default_guidelines")

        def names(*groups: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(e.name for e in entries if e.group in groups))

        return Manifest(
            name=data.get("skill_name") or skill.get("name") or folder.name,
            path=self.document.path,
            folder=folder,
            description=data.get("description") or skill.get("description"),
            source_path=skill.get("source_path"),
            enabled=names("enabled", "tier1", "tier2"),
            trace_scorers=names("trace_scorers"),
            llm_scorers=names("llm_scorers", *(f"tier{n}" for n in range(3, 10))),
            scorers=entries,
            disabled=disabled,
            default_guidelines=tuple(guidelines or ()),
            quality_gates=gates,
            tiers=tiers,
            trace_expectations=trace,
            session_expectations=session,
            datasets=datasets,
            agent=data.get("agent") or {},
            notices=tuple(self.notices),
            raw=data,
            document=self.document,
        )

    def _top_level(self, data: Mapping[str, Any]) -> None:
        keys = trace_keys()
        for key in data:
            if key in _TOP:
                continue
            near = difflib.get_close_matches(key, _GUARDED, n=1, cutoff=0.85)
            near = near or ["quality_gates"] * (key in ("gate", "gates"))
            if key in keys:
                self.report(
                    (key,), f"{key!r} belongs under scorers.trace_expectations", at_key=True
                )
            elif key in _LISTS and isinstance(data[key], list):
                self.report((key,), f"{key!r} belongs under scorers", at_key=True)
            elif key in ("test_cases", "trigger_prompts"):
                self.report((key,), f"{key!r} belong in ground_truth.yaml", at_key=True)
            elif key == "expectations" or key in response_keys():
                where = "a test's in ground_truth.yaml; what all tests expect of traces belongs"
                self.report(
                    (key,), f"{key!r} is {where} under scorers.trace_expectations", at_key=True
                )
            elif near:
                self.report((key,), f"unknown key {key!r}; did you mean {near[0]!r}?", at_key=True)
            elif not self._astray(data, (key,)):
                line, column = self.document.where((key,), at_key=True) or (1, 1)
                self.notices.append(
                    f"{self.document.path}:{line}:{column}: {key}: not read by skilltrace-mlflow"
                )
        for section, known in (("evaluation", _EVALUATION), ("skill", _SKILL)):
            values = data.get(section)
            for key in values if isinstance(values, dict) else ():
                # `skill: {scope: project}` is somebody's description, not an expectation.
                if key in known or (section == "skill" and "_" not in key and key != "scorers"):
                    continue
                if key in keys or key in _GUARDED:
                    where = (
                        "under scorers.trace_expectations" if key in keys else "at the top level"
                    )
                    self.report((section, key), f"{key!r} belongs {where}", at_key=True)
                elif meant := misspelt(key, known):
                    self.report(
                        (section, key), f"unknown key {key!r}; did you mean {meant!r}?", at_key=True
                    )
                else:
                    self._astray(_at(data, section), (section, key))

    def _astray(self, values: Mapping[str, Any], path: KeyPath) -> bool:
        """Whether a key that is not read holds, or is meant for, an expectation; reports it."""
        key = str(path[-1])
        found = list(astray(key, values.get(key), path, "under scorers.trace_expectations"))
        for place, message in found:
            self.report(place, message, at_key=True)
        return bool(found)

    def _entries(self, data: Mapping[str, Any]) -> Iterable[ScorerEntry]:
        scorers = data.get("scorers")
        lists: list[tuple[str, KeyPath, Any]] = []
        if isinstance(scorers, list):
            lists.append(("enabled", ("scorers",), scorers))
        elif isinstance(scorers, dict):
            lists.extend((group, ("scorers", group), scorers.get(group)) for group in _LISTS)
        older = _at(data, "evaluation", "scorers")
        if isinstance(older, dict):
            lists.extend((t, ("evaluation", "scorers", t), older[t]) for t in sorted(older))
        for group, path, items in lists:
            for index, item in enumerate(items if isinstance(items, list) else ()):
                entry = self._entry(item, group, (*path, index))
                if entry is not None:
                    yield entry

    def _entry(self, item: Any, group: str, path: KeyPath) -> ScorerEntry | None:
        arguments: Any = {}
        name = item
        if isinstance(item, dict) and len(item) == 1:
            name, arguments = next(iter(item.items()))
        if not isinstance(name, str) or not isinstance(arguments or {}, dict):
            return None  # the schema has said so
        problem = scorer_problem(name)
        if problem is not None:
            self.report(path, problem)
            return None
        if arguments and name in {*all_checks(), *all_responses()} - {"no_hallucinated_apis"}:
            self.report(
                path, f"{name} takes no arguments here; its values stand under trace_expectations"
            )
        line, column = self.document.where(path) or (1, 1)
        return ScorerEntry(
            name=name,
            arguments=arguments or {},
            group=group,
            where=f"{self.document.path}:{line}:{column}",
        )

    def _disabled(self, data: Mapping[str, Any], entries: Iterable[ScorerEntry]) -> tuple[str, ...]:
        also = [entry.name for entry in entries]
        found: list[str] = []
        for path in (
            ("disabled",),
            ("scorers", "disabled"),
            ("scorers", "trace_expectations", "disabled"),
            ("trace_expectations", "disabled"),
        ):
            names = _at(data, *path)
            if isinstance(names, list):
                check_disabled(names, self.report, path, also=also)
                found += [name for name in names if isinstance(name, str)]
        return tuple(dict.fromkeys(found))

    def _layer(self, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The trace keys under `name`, which may stand at the top level and under `scorers`."""
        flat: dict[str, Any] = {}
        off: list[Any] = []
        for path in (("scorers", name), (name,)):
            layer = _at(data, *path)
            if not isinstance(layer, dict):
                continue
            for key in layer:
                if key in flat:
                    self.report(
                        (*path, key), f"{key!r} is written under scorers.{name} too", at_key=True
                    )
            names = layer.get("disabled")
            if name == "session_expectations" and isinstance(names, list):
                check_disabled(names, self.report, (*path, "disabled"))
                off += names
            wrong = {str(b[len(path)]) for b in self.bad if b[: len(path)] == path != b}
            layer = flatten(
                {k: v for k, v in layer.items() if k != "trace_expectations" or k not in wrong}
            )
            layer.pop("disabled", None)

            def place(inner: KeyPath, message: str, at_key: bool, path: KeyPath = path) -> None:
                self.report((*path, *inner), message, at_key)

            layer = resolve_files(layer, self.document.path.parent, place)
            build(layer, place, shapes=False, skip=wrong & layer.keys())
            flat.update(layer)
        return drop_disabled(flat, manifest=off, test=()) if off else flat

    def _gates(self, data: Mapping[str, Any], entries: Iterable[ScorerEntry]) -> dict[str, float]:
        known = gate_names(entries)
        gates: dict[str, float] = {}
        for path in (("quality_gates",), ("evaluation", "quality_gates")):
            found = _at(data, *path)
            for name, value in found.items() if isinstance(found, dict) else ():
                if name not in known:
                    hint = gate_hint(name, known)
                    self.report((*path, name), f"no check is named {name!r}; {hint}", at_key=True)
                elif name in gates:
                    self.report((*path, name), f"{name!r} is written twice", at_key=True)
                elif isinstance(value, (int, float)) and not isinstance(value, bool):
                    gates[name] = float(value)
        return gates

    def _datasets(self, data: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
        items = _at(data, "evaluation", "datasets")
        if not isinstance(items, list):
            return _default_dataset(folder)
        found = []
        for index, item in enumerate(items):
            at: KeyPath = ("evaluation", "datasets", index)
            if isinstance(item, dict):
                at = (*at, "path")
                item = item.get("path")
            if not isinstance(item, str):
                continue
            path = folder / Path(item).expanduser()
            if not path.is_file():
                self.report(at, f"there is no file {path}")
            found.append(path)
        return tuple(found)


def _at(data: Any, *path: str) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
