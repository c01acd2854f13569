"""Scorers that watch new traces: one for each skill, registered with an experiment.

MLflow stores a scorer's body alone and runs it where this package is not installed, so that the
skill's expectations and the part of this package that judges them stand in it. What is missing
there is said by the assessments: without the parsers of shell and SQL, some calls are `unknown`.
"""

from __future__ import annotations

import contextlib
import linecache
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow import __version__
from skilltrace_mlflow.databricks.embedding import scorer_source
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError
from skilltrace_mlflow.expectations import Manifest
from skilltrace_mlflow.score import Target
from skilltrace_mlflow.sources.mlflow.store import connect, resolve_experiment, tracking_uri_of

if TYPE_CHECKING:
    from mlflow.genai.scorers import Scorer

__all__ = ["Registered", "list_registered", "monitoring_scorer", "register", "stop"]

PREFIX = "skilltrace_"
"""Names of registered scorers begin with it: it tells ours from others'."""

MOST_SCORERS = 20
"""As many may be registered with one experiment on Databricks."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A scorer as the experiment has it."""

    name: str
    sample_rate: float | None
    filter_string: str | None

    @property
    def running(self) -> bool:
        """Whether it looks at new traces."""
        return bool(self.sample_rate)


def scorer_name(skill: str) -> str:
    """The name of a skill's scorer, which is a Python name as well."""
    return PREFIX + re.sub(r"\W", "_", skill).lower()


def monitoring_scorer(manifest: Manifest) -> Scorer:
    """One `@scorer` that gives an assessment per check of the skill, complete in its own body.

    Raises ConfigurationError where nothing is expected of a single trace: session expectations
    need all turns of a session, and a registered scorer sees one.
    """
    from mlflow.genai.scorers import scorer

    target = Target.of(manifest)
    flat = manifest.trace_expectations
    wanted = [
        {
            "check": item.spec.name,
            "value": item.value,
            "scope": item.scope,
            "companions": {k: flat[k] for k in item.spec.companions if flat.get(k)},
        }
        for item in target.expectations
    ]
    if not any(item.asks for item in target.expectations):
        raise ConfigurationError(
            f"{manifest.name}: nothing is expected of a single trace; session_expectations need "
            "the whole session, which a registered scorer does not see"
        )
    name = scorer_name(manifest.name)
    source = scorer_source(
        name,
        wanted,
        {"skilltrace.skill": manifest.name, "skilltrace.version": __version__},
    )
    made: Scorer = scorer(name=name)(_function(name, source))
    return made


def register(
    manifest: Manifest,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    sample_rate: float = 1.0,
    filter_string: str | None = None,
    warehouse: str | None = None,
) -> Registered:
    """Register a skill's scorer with an experiment and start it on `sample_rate` of new traces.

    Registering again makes a new version. `warehouse` is the SQL warehouse that monitoring reads
    the experiment's traces through, where they lie in Unity Catalog. Raises ConfigurationError for
    a rate outside (0, 1], for a warehouse elsewhere than on Databricks, or where the experiment has
    no room for one more; EvaluationError where the store refuses it, or keeps it and does not start
    it.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.genai.scorers import ScorerSamplingConfig

    if not 0 < sample_rate <= 1:
        raise ConfigurationError(f"sample rate {sample_rate}: expected above 0 and up to 1")
    if warehouse and not tracking_uri_of(tracking_uri).startswith("databricks"):
        raise ConfigurationError(f"warehouse {warehouse}: only Databricks has SQL warehouses")
    made = monitoring_scorer(manifest)
    with _experiment(experiment, tracking_uri) as experiment_id:
        others = [item for item in _listed(experiment_id) if item.name != made.name]
        if len(others) >= MOST_SCORERS:
            raise ConfigurationError(
                f"experiment {experiment_id}: has {len(others)} scorers, and Databricks allows "
                f"{MOST_SCORERS}; stop and delete one first"
            )
        if warehouse:
            from mlflow.tracing.databricks import set_databricks_monitoring_sql_warehouse_id

            set_databricks_monitoring_sql_warehouse_id(warehouse, experiment_id)
        kept = made.register(name=made.name, experiment_id=experiment_id)
        try:
            kept.start(
                experiment_id=experiment_id,
                sampling_config=ScorerSamplingConfig(
                    sample_rate=sample_rate, filter_string=filter_string
                ),
            )
        except MlflowException as error:
            text = str(error).strip().split("\n", 1)[0]
            raise EvaluationError(
                f"{made.name}: registered with experiment {experiment_id}, not started: {text} An "
                "open-source server watches traces only with scorers that ask a model; let "
                "mlflow-eval or skilltrace-job run there on a schedule"
            ) from None
    return Registered(name=made.name, sample_rate=sample_rate, filter_string=filter_string)


def list_registered(
    *, experiment: str | None = None, tracking_uri: str | None = None
) -> list[Registered]:
    """The scorers of this project that an experiment has, by name."""
    with _experiment(experiment, tracking_uri) as experiment_id:
        found = _listed(experiment_id)
    return sorted(
        (
            Registered(
                name=item.name, sample_rate=item.sample_rate, filter_string=item.filter_string
            )
            for item in found
            if item.name.startswith(PREFIX)
        ),
        key=lambda item: item.name,
    )


def stop(
    skill: str, *, experiment: str | None = None, tracking_uri: str | None = None
) -> Registered:
    """Stop a skill's scorer: it stays registered and looks at no more traces.

    Raises ConfigurationError where the experiment has none.
    """
    name = scorer_name(skill)
    with _experiment(experiment, tracking_uri) as experiment_id:
        known = {item.name: item for item in _listed(experiment_id)}
        if name not in known:
            raise ConfigurationError(
                f"{skill}: no scorer {name!r} is registered with experiment {experiment_id}"
            )
        known[name].stop(name=name, experiment_id=experiment_id)
    return Registered(name=name, sample_rate=0.0, filter_string=None)


def backfill(skill: str, *, experiment: str | None = None, tracking_uri: str | None = None) -> str:
    """Let a registered scorer judge the traces that were there before it; the job's id.

    Only Databricks can. Raises ConfigurationError elsewhere, and without databricks-agents.
    """
    elsewhere = ConfigurationError(
        "backfilling needs Databricks and the package databricks-agents; elsewhere "
        "`skilltrace-mlflow trace-eval --run-id … --log` scores what is there already"
    )
    if not tracking_uri_of(tracking_uri).startswith("databricks"):
        raise elsewhere
    try:
        from databricks.agents.scorers import backfill_scorers
    except ImportError:
        raise elsewhere from None
    with _experiment(experiment, tracking_uri) as experiment_id:
        return str(backfill_scorers(experiment_id=experiment_id, scorers=[scorer_name(skill)]))


@contextlib.contextmanager
def _experiment(experiment: str | None, tracking_uri: str | None) -> Iterator[str]:
    from mlflow.exceptions import MlflowException

    experiment_id = resolve_experiment(experiment, tracking_uri=tracking_uri)
    try:
        with connect(tracking_uri):
            yield experiment_id
    except MlflowException as error:
        text = str(error).strip().split("\n", 1)[0]
        hint = ""
        if "CUSTOM_SCORERS" in str(error) or "registration" in text:
            hint = "; start the server with MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS=true"
        raise EvaluationError(f"experiment {experiment_id}: {text}{hint}") from None


def _listed(experiment_id: str) -> Sequence[Any]:
    from mlflow.genai.scorers import list_scorers

    found: Sequence[Any] = list_scorers(experiment_id=experiment_id)
    return found


def _function(name: str, source: str) -> Any:
    """The function of a source text; MLflow reads its body back through `inspect`."""
    file = f"<skilltrace {name}>"
    # Without a time of change, linecache keeps the lines although there is no such file.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {}
    exec(compile(source, file, "exec"), namespace)  # noqa: S102 - our own text, made just above
    return namespace[name]
