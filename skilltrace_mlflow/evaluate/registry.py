"""Skills of MLflow's Skill Registry (MLflow 3.18 or newer): the content of a version is evaluated,
the verdict becomes tags of that version, and an alias moves only to what was judged whole.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from skilltrace_mlflow import __version__
from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.errors import ConfigurationError, TraceNotFoundError
from skilltrace_mlflow.expectations import load_ground_truth, load_manifest
from skilltrace_mlflow.options import EvaluationOptions
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

__all__ = ["RegisteredVersion", "is_registered", "lacks", "pull_version", "settle_version"]

_SCHEME = "skills:/"
_URI = re.compile(
    r"skills:/(?:@(?P<organization>[^/@\s]+)/)?(?P<name>[^/@\s]+)"
    r"(?:/(?P<version>[1-9][0-9]*)|@(?P<alias>[^/@\s]+))?"
)
_FILES = ("manifest.yaml", "ground_truth.yaml")
# The content is read as long as the process lives: results are read from it on demand.
_pulled: list[tempfile.TemporaryDirectory[str]] = []


@dataclass(frozen=True, kw_only=True)
class RegisteredVersion:
    """One version of a registered skill, and the folder that its content was pulled into."""

    name: str
    organization: str
    version: int
    folder: Path

    @property
    def uri(self) -> str:
        """Its name in the registry, with the number of the version."""
        place = f"@{self.organization}/" if self.organization else ""
        return f"{_SCHEME}{place}{self.name}/{self.version}"

    @property
    def key(self) -> dict[str, Any]:
        """What MLflow's client names it by."""
        return {"name": self.name, "organization": self.organization, "version": self.version}


def is_registered(skill: str) -> bool:
    """Whether `skill` names one of the registry, not a folder or a name."""
    return skill.startswith(_SCHEME)


def pull_version(uri: str, *, tracking_uri: str | None = None) -> RegisteredVersion:
    """The version that `skills:/name@alias`, `skills:/name/3` or `skills:/name` (the latest) is
    now, with its content, whose digest MLflow has compared.

    Raises ConfigurationError for an older MLflow, a URI of another form, a version that is not
    there, or content without test cases; EvaluationError if the registry does not answer.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        raise ConfigurationError(
            f"{uri}: write skills:/name@alias, skills:/name/3 or skills:/name; an organization "
            "stands before the name: skills:/@acme/name"
        )
    asked = {"name": found["name"], "organization": found["organization"] or ""}
    with _registry(uri, tracking_uri) as client:
        if found["version"]:
            version = client.get_skill_version(**asked, version=int(found["version"]))
        elif found["alias"]:
            version = client.get_skill_version_by_alias(**asked, alias=found["alias"])
        else:
            version = client.get_latest_skill_version(**asked)
        held = tempfile.TemporaryDirectory(prefix="skilltrace-skill-")
        _pulled.append(held)
        registered = RegisteredVersion(
            **asked, version=version.version, folder=Path(held.name) / found["name"]
        )
        from mlflow.genai import pull  # type: ignore[attr-defined,unused-ignore]

        # By its number: an alias may move meanwhile.
        pull(registered.uri, destination=registered.folder)
    if not any((registered.folder / name).is_file() for name in _FILES):
        raise ConfigurationError(
            f"{registered.uri}: its content has neither {' nor '.join(_FILES)}; register the "
            "skill's folder with them"
        )
    return registered


def lacks(
    registered: RegisteredVersion, evaluation: Evaluation, options: EvaluationOptions
) -> tuple[str, ...]:
    """Why a version must not be promoted; () where everything was judged, and passed."""
    problems = [
        f"gate {g.name}: {g.shown} of {g.required:g}" for g in evaluation.gates if not g.passed
    ]
    for result in evaluation.results:
        open_ = [o.check for o in result.judged if o.verdict in (Verdict.UNKNOWN, Verdict.ERROR)]
        if open_ or result.error is not None or not result.judged:
            problems.append(f"{result.test_id}: not judged ({', '.join(open_) or 'nothing'})")
    problems += evaluation.incomplete
    problems += [note for note in evaluation.notes if "left out by --no-llm" in note]
    if options.test_ids or options.filter_category or options.tags:
        problems.append("only some of the test cases were evaluated")
    cases = load_ground_truth(load_manifest(registered.folder))
    asked = any(e.asks for c in cases for e in (*c.expectations, *c.session_expectations))
    if asked and not options.include_traces:
        problems.append("what is expected of traces was not judged (--include-traces does)")
    if not problems and evaluation.exit_code != 0:
        problems.append("an expectation was not met")
    return tuple(problems)


def settle_version(
    registered: RegisteredVersion,
    evaluation: Evaluation,
    problems: tuple[str, ...],
    *,
    alias: str | None = None,
    tracking_uri: str | None = None,
) -> tuple[str, ...]:
    """Write the verdict to the version's tags; with `alias`, move that alias to the version if
    nothing stands against it. What is to be said of it.

    Raises EvaluationError if the registry does not take it.
    """
    failed = evaluation.exit_code == 1
    verdict = "fail" if failed else "unknown" if problems else "pass"
    counts = [result.verdict for result in evaluation.results]
    shown = ", ".join(f"{counts.count(v)} {v}" for v in Verdict if counts.count(v))
    tags = {
        "skilltrace.verdict": verdict,
        "skilltrace.tests": shown or "none",
        "skilltrace.gates": ", ".join(
            f"{g.name} {'passed' if g.passed else 'failed'}" for g in evaluation.gates
        ),
        "skilltrace.run_id": evaluation.run_id or "",
        "skilltrace.evaluated_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "skilltrace.version": __version__,
    }
    notes = [f"{registered.uri}: tagged skilltrace.verdict={verdict}"]
    with _registry(registered.uri, tracking_uri) as client:
        for key, value in tags.items():
            if value:
                client.set_skill_version_tag(**registered.key, key=key, value=value[:500])
        if alias is not None and not problems:
            client.set_skill_alias(**registered.key, alias=alias)
            notes.append(f"{registered.uri}: promoted, {alias!r} names it now")
    if alias is not None and problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        notes.append(f"{registered.uri}: not promoted: {'; '.join(problems[:3])}{more}")
    return tuple(notes)


@contextlib.contextmanager
def _registry(uri: str, tracking_uri: str | None) -> Iterator[Any]:
    import mlflow

    if not hasattr(mlflow.MlflowClient, "get_skill_version_by_alias"):
        raise ConfigurationError(
            f"{uri}: the Skill Registry needs MLflow 3.18 or newer, and {mlflow.__version__} is "
            "installed; give the skill's folder, or pip install --upgrade mlflow"
        )
    mlflow_store.probe(tracking_uri)
    try:
        with (
            mlflow_store.store_errors(uri, tracking_uri),
            mlflow_store.connect(tracking_uri) as client,
        ):
            yield client
    except TraceNotFoundError as error:
        raise ConfigurationError(str(error)) from None
