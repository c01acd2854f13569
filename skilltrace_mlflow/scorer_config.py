"""Turns what a manifest lists into MLflow scorers.

Whether the model that a model-based scorer would call can be called at all is asked before a run,
so that a missing key is one clear message and not a failing call per row (`missing_setup`).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow.entities import Feedback
from mlflow.genai import scorers as mlflow_scorers
from mlflow.genai.scorers import Scorer, scorer

from skilltrace_mlflow._internals import function_of
from skilltrace_mlflow.checks import all_checks, unknown
from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.expectations import Manifest, ScorerEntry
from skilltrace_mlflow.expectations.manifest import manifest_from_mapping
from skilltrace_mlflow.expectations.names import CUSTOM_SCORER, GATE_GROUPS, outcome_name
from skilltrace_mlflow.responses import ResponseSpec, all_responses
from skilltrace_mlflow.scorers import make_scorer, outcome_to_feedback, wrap_custom

__all__ = ["build_scorers", "default_model", "is_model_based", "missing_setup"]

_OWN_GUIDELINES = "guidelines_from_expectations"
_MODEL_MARK = "skilltrace_model_based"


def build_scorers(
    scorer_config: Manifest | Mapping[str, Any] | list[Any],
    include_traces: bool = False,
    *,
    allow_custom: bool = False,
    no_llm: bool = False,
    notes: list[str] | None = None,
) -> list[Scorer]:
    """The scorers that a manifest, or its `scorers` section as a mapping or a list, asks for.

    Checks of the response that a test's own keys switch on (`expected_facts`, `expected_patterns`,
    `expected_skills`, …, `outputs.execution_success`) are always among them: they say nothing where
    nothing is expected. The syntax checks and `no_hallucinated_apis` are where they are listed, or
    where a quality gate names them. Trace checks come with `include_traces`: all of them, each
    silent without an expectation, bound to the manifest's.

    Names of MLflow's classes become those scorers, with the arguments beside the name; one whose
    model has no key becomes a scorer that calls nothing and is `unknown` with what to set. With
    `no_llm` model-based scorers are left out. `package.module:function` needs `allow_custom`, since
    it runs code. `notes` collects remarks for the result, one for each scorer left out.

    Raises ConfigurationError with all problems: unknown names, arguments that do not fit, a module
    that cannot be imported.
    """
    manifest = _as_manifest(scorer_config)
    builder = _Builder(manifest, allow_custom=allow_custom, no_llm=no_llm)
    found = builder.build(include_traces)
    if builder.problems:
        raise ConfigurationError(*dict.fromkeys(builder.problems))
    if notes is not None:
        notes += builder.notes
    return found


def is_model_based(item: Scorer) -> bool:
    """Whether a scorer calls a model when it runs."""
    if getattr(function_of(item), _MODEL_MARK, False):
        return True
    return "model" in getattr(type(item), "model_fields", {})


def _as_manifest(config: Manifest | Mapping[str, Any] | list[Any]) -> Manifest:
    if isinstance(config, Manifest):
        return config
    if isinstance(config, list):
        return manifest_from_mapping({"enabled": config})
    if isinstance(config, Mapping):
        return manifest_from_mapping(config)
    raise ConfigurationError(f"scorers: got {config!r:.60}, expected a manifest, mapping or list")


class _Builder:
    def __init__(self, manifest: Manifest, *, allow_custom: bool, no_llm: bool) -> None:
        self.manifest = manifest
        self.allow_custom = allow_custom
        self.no_llm = no_llm
        self.problems: list[str] = []
        self.notes: list[str] = []

    def build(self, include_traces: bool) -> list[Scorer]:
        disabled = set(self.manifest.disabled)
        found: dict[str, Scorer] = {}
        for spec in self._responses():
            if spec.name not in disabled:
                found[spec.name] = make_scorer(spec)
        if include_traces:
            bound = dict(self.manifest.trace_expectations)
            for name, check in all_checks().items():
                if name not in disabled and check.key not in disabled:
                    found[name] = make_scorer(check, expectations=bound or None)
        for entry in self.manifest.scorers:
            if entry.name in all_checks() or entry.name in all_responses():
                continue
            if disabled & {entry.name, outcome_name(entry.name)}:
                continue
            made = self._other(entry)
            if made is None:
                continue
            if made.name in found or made.name in all_checks():
                self._problem(entry, f"a scorer named {made.name!r} is there already")
            found[made.name] = made
        return list(found.values())

    def _responses(self) -> Iterator[ResponseSpec]:
        listed = {entry.name for entry in self.manifest.scorers}
        gated = set(self.manifest.quality_gates)
        for group, members in GATE_GROUPS.items():
            if group in gated and not listed & set(members):
                gated |= set(members)
        for spec in all_responses().values():
            if spec.listed and spec.name not in listed | gated:
                continue
            yield self._with_rules(spec) if spec.name == "no_hallucinated_apis" else spec

    def _with_rules(self, spec: ResponseSpec) -> ResponseSpec:
        """The check with the rules of the files that the manifest names beside it."""
        from skilltrace_mlflow.expectations.responses import load_rules

        rules: list[Any] = []
        for entry in self.manifest.scorers:
            if entry.name != spec.name or not entry.arguments:
                continue
            file = entry.arguments.get("rules")
            if set(entry.arguments) != {"rules"} or not isinstance(file, str):
                self._problem(entry, f"{spec.name} takes {{rules: FILE}}")
                continue
            folder = self.manifest.path.parent if self.manifest.path else Path()
            try:
                rules += load_rules(folder / Path(file).expanduser())
            except ConfigurationError as error:
                self.problems += error.problems
            except InputError as error:
                self.problems.append(str(error))
        if not rules:
            return spec
        parse = spec.parse

        def with_rules(expectations: Mapping[str, Any]) -> Any:
            own = expectations.get("hallucinated_apis") or ()
            return parse({**expectations, "hallucinated_apis": [*rules, *own]})

        return replace(spec, parse=with_rules)

    def _other(self, entry: ScorerEntry) -> Scorer | None:
        if entry.name == _OWN_GUIDELINES:
            return self._model_based(entry, entry.arguments.get("model"), self._guidelines(entry))
        base, _, label = entry.name.partition(":")
        kind = getattr(mlflow_scorers, base, None)
        if isinstance(kind, type) and issubclass(kind, Scorer) and "." not in base:
            return self._mlflow(entry, kind, label)
        if CUSTOM_SCORER.fullmatch(entry.name):
            return self._custom(entry)
        self._problem(entry, f"the installed MLflow has no scorer {entry.name!r}")
        return None

    def _mlflow(self, entry: ScorerEntry, kind: type[Scorer], label: str) -> Scorer | None:
        arguments = dict(entry.arguments)
        fields = kind.model_fields
        extra = sorted(set(arguments) - set(fields))
        if extra:
            self._problem(entry, f"{kind.__name__} takes no argument {extra[0]!r}")
            return None
        if label:
            arguments.setdefault("name", label)
        if "guidelines" in fields and fields["guidelines"].is_required():
            if "guidelines" not in arguments and not self.manifest.default_guidelines:
                self._problem(
                    entry,
                    f"{entry.name} needs guidelines: write them beside it "
                    f"({kind.__name__}: {{guidelines: […]}}) or under default_guidelines",
                )
                return None
            arguments.setdefault("guidelines", list(self.manifest.default_guidelines))
        try:
            made = kind(**arguments)
        except Exception as error:  # pydantic's, or the class's own: the arguments are at fault
            text = " ".join(str(error).split())
            self._problem(entry, f"{entry.name}: the arguments do not fit: {text[:200]}")
            return None
        return self._model_based(entry, arguments.get("model"), made) if "model" in fields else made

    def _model_based(self, entry: ScorerEntry, model: Any, made: Scorer) -> Scorer | None:
        """`made`, or what stands in for it where its model must not or cannot be called."""
        if self.no_llm:
            self.notes.append(f"{made.name}: left out by --no-llm")
            return None
        missing = missing_setup(model if isinstance(model, str) else None)
        if missing is None:
            return made
        self.notes.append(f"{made.name}: not run: {missing}")
        return _unavailable(made.name, missing)

    def _guidelines(self, entry: ScorerEntry) -> Scorer:
        default = list(self.manifest.default_guidelines)
        model = entry.arguments.get("model")
        extra = sorted(set(entry.arguments) - {"model"})
        if extra:
            self._problem(entry, f"{_OWN_GUIDELINES} takes no argument {extra[0]!r}")
        return _guidelines_scorer(default, model)

    def _custom(self, entry: ScorerEntry) -> Scorer | None:
        if not self.allow_custom:
            self._problem(
                entry, f"{entry.name!r} runs code; allow it with --allow-custom if you trust it"
            )
            return None
        module_name, _, name = entry.name.partition(":")
        try:
            with _importable(self.manifest.folder):
                function = getattr(importlib.import_module(module_name), name, None)
        except (Exception, SystemExit) as error:  # a stranger's module may do anything on import
            told = f"{type(error).__name__}: {error}"
            self._problem(entry, f"{entry.name!r} cannot be imported: {told}")
            return None
        if not callable(function):
            self._problem(entry, f"{module_name} has no function {name!r}")
            return None
        try:
            return _wrap(function, name, entry.arguments)
        except (ConfigurationError, TypeError, ValueError) as error:
            self._problem(entry, str(error))
            return None

    def _problem(self, entry: ScorerEntry, message: str) -> None:
        self.problems.append(f"{entry.where}: {message}" if entry.where else message)


def _wrap(function: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> Scorer:
    if isinstance(function, type) and issubclass(function, Scorer):
        return function(**arguments)
    if arguments and isinstance(function, Scorer):
        raise ConfigurationError(f"{name} is a scorer already and takes no arguments")
    if not arguments:
        return wrap_custom(function, name=None if isinstance(function, Scorer) else name)
    known = inspect.signature(function).parameters
    extra = sorted(set(arguments) - set(known))
    if extra:
        raise ConfigurationError(f"{name} has no parameter {extra[0]!r}")
    return wrap_custom(functools.partial(function, **arguments), name=name)


def _unavailable(name: str, reason: str) -> Scorer:
    """A scorer that calls nothing and says why it cannot judge."""

    def not_available() -> Feedback | None:
        return outcome_to_feedback(replace(unknown(reason), check=name))

    return scorer(not_available, name=name)


def _guidelines_scorer(default: list[str], model: Any) -> Scorer:
    """MLflow's Guidelines judge on each row's own `guidelines` (and `assertions`)."""

    def judge(inputs: Any = None, outputs: Any = None, expectations: Any = None) -> Any:
        expected = expectations or {}
        rules = [*(expected.get("guidelines") or default), *(expected.get("assertions") or ())]
        if not rules:
            return None
        if outputs is None:
            return outcome_to_feedback(
                replace(unknown("No response available"), check=_OWN_GUIDELINES)
            )
        judge = mlflow_scorers.Guidelines(name=_OWN_GUIDELINES, guidelines=rules, model=model)
        return judge(inputs=inputs, outputs=outputs)

    setattr(judge, _MODEL_MARK, True)
    return scorer(judge, name=_OWN_GUIDELINES)


@contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """Modules in the skill's folder and in the working directory can be imported meanwhile."""
    before = list(sys.path)
    sys.path[:0] = [str(p) for p in (folder, Path.cwd()) if p is not None]
    try:
        yield
    finally:
        sys.path[:] = before


# Environment variables, any group of which is enough, by the provider in `provider:/model`.
_NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "anthropic": (("ANTHROPIC_API_KEY",),),
    "azure": (("AZURE_API_KEY", "AZURE_API_BASE"), ("AZURE_OPENAI_API_KEY",)),
    "bedrock": (
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_PROFILE",),
        ("AWS_ROLE_ARN",),
        ("AWS_BEARER_TOKEN_BEDROCK",),
    ),
    "databricks": (
        ("DATABRICKS_HOST",),
        ("DATABRICKS_CONFIG_PROFILE",),
        ("DATABRICKS_RUNTIME_VERSION",),
    ),
    "deepseek": (("DEEPSEEK_API_KEY",),),
    "gemini": (("GEMINI_API_KEY",), ("GOOGLE_API_KEY",)),
    "groq": (("GROQ_API_KEY",),),
    "mistral": (("MISTRAL_API_KEY",),),
    "openai": (("OPENAI_API_KEY",),),
    "openrouter": (("OPENROUTER_API_KEY",),),
    "togetherai": (("TOGETHERAI_API_KEY",),),
    "xai": (("XAI_API_KEY",),),
}
_DATABRICKS_CONFIG = "~/.databrickscfg"


def default_model() -> str:
    """The model that MLflow's scorers use when none is given, as MLflow itself decides it."""
    from mlflow.genai.judges.utils import get_default_model

    return str(get_default_model())


def missing_setup(model: str | None = None) -> str | None:
    """What must be set before `model` can be called, None if nothing is known to be missing.

    `model` is MLflow's `provider:/name`; without one, MLflow's default. Providers that are not
    listed here (gateways, local servers) are taken on trust: whoever names one has set it up.
    """
    named = model or default_model()
    provider = named.partition(":")[0].lower()
    if provider == "endpoints":
        provider = "databricks"
    groups = _NEEDS.get(provider)
    if groups is None or any(all(os.environ.get(name) for name in group) for group in groups):
        return None
    if provider == "databricks" and Path(_DATABRICKS_CONFIG).expanduser().exists():
        return None
    ways = " or ".join(" and ".join(group) for group in groups)
    chosen = "" if model else ", or another model in MLFLOW_GENAI_JUDGE_DEFAULT_MODEL,"
    return f"the model {named} needs {ways}{chosen} in the environment; --no-llm leaves it out"
