"""The few requests an evaluation makes of the MLflow store itself, each repeated until it works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from mlflow.entities import Assessment, Metric
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests import RequestException
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_any,
    wait_exponential,
    wait_random,
)

from skilltrace_mlflow._internals import SOURCE_RUN
from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.evaluate._deadline import Deadline
from skilltrace_mlflow.evaluate._surroundings import environment
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

__all__ = ["SOURCE_RUN", "STORE_ERRORS", "RunStore", "first_line", "status_of"]

T = TypeVar("T")

STORE_ERRORS = (MlflowException, RequestException, OSError)
"""What a request to a store raises when it fails, whatever the kind of store."""

_PAGE = 100
_TRIES = 4
# MLflow repeats an HTTP request by itself for half a minute: after that there is no fifth chance.
_LONGEST = 20.0
_AT_ONCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
_PASSING = (408, 429)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


def status_of(error: MlflowException) -> int:
    """The HTTP status that stands for an error, whatever the kind of store."""
    status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
    return status


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, MlflowException):
        status = status_of(error)
        return status >= 500 or status in _PASSING
    return isinstance(error, STORE_ERRORS)


class RunStore:
    """The store as one run of an evaluation sees it."""

    def __init__(self, run_id: str, experiment_id: str, deadline: Deadline) -> None:
        self.run_id = run_id
        self.experiment_id = experiment_id
        self.deadline = deadline
        self.client = MlflowClient()
        self.closed = False
        # Once a request was repeated in vain, each later one gets a single try until one succeeds,
        # and each of its kind until one of these does: a store that is gone, or that refuses to
        # write, is waited for once, not once per request.
        self._doubtful = False
        self._in_vain: set[str] = set()

    def close(self) -> RunStore:
        """No request goes out through this any more; returns another one for the last words."""
        self.closed = True
        return RunStore(self.run_id, self.experiment_id, self.deadline)

    def patiently(self, request: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """`request(...)`, repeated with growing pauses while the failure may pass by itself.

        Raises EvaluationError if the evaluation is over already.
        """

        def attempt() -> T:
            if self.closed:
                raise EvaluationError("the evaluation was given up")
            return request(*arguments, **options)

        def stop(state: Any) -> bool:
            given_up = stop_any(stop_after_attempt(_TRIES), stop_after_delay(_LONGEST))
            return hurry or bool(given_up(state)) or self.deadline.passed

        kind = getattr(request, "__name__", "")
        hurry = self._doubtful or kind in self._in_vain

        retrying = Retrying(
            stop=stop,
            wait=wait_exponential(multiplier=0.2, max=5) + wait_random(0, 0.2),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )
        try:
            with environment(_AT_ONCE if hurry else {}):
                value = retrying(attempt)
        except STORE_ERRORS as error:
            self._doubtful = _may_pass(error)
            if self._doubtful:
                self._in_vain.add(kind)
            raise
        self._doubtful = False
        self._in_vain.discard(kind)
        return value

    def log(self, trace_id: str, assessment: Assessment, span_id: str | None = None) -> None:
        """Put an assessment on a trace under this run; raises one of STORE_ERRORS."""
        assessment.metadata = {**(assessment.metadata or {}), SOURCE_RUN: self.run_id}
        assessment.trace_id = trace_id
        assessment.span_id = span_id
        self.patiently(mlflow.log_assessment, trace_id=trace_id, assessment=assessment)

    def delete(self, trace_id: str, assessment_id: str) -> None:
        """Take an assessment off a trace."""
        self.patiently(mlflow.delete_assessment, trace_id, assessment_id)

    def correct(self, trace_id: str, assessment_id: str, assessment: Assessment) -> None:
        """Put another value in the place of an assessment's."""
        self.patiently(
            mlflow.update_assessment,
            trace_id=trace_id,
            assessment_id=assessment_id,
            assessment=assessment,
        )

    def link(self, trace_ids: Sequence[str]) -> bool:
        """Make traces part of the run; False for a store without links (files), which is left as
        it is.
        """
        for start in range(0, len(trace_ids), _PAGE):
            part = list(trace_ids[start : start + _PAGE])
            try:
                self.patiently(self.client.link_traces_to_run, part, self.run_id)
            except NotImplementedError:
                return False
        return True

    def replace_copies(self, copies: Iterable[str], originals: Iterable[str]) -> None:
        """Make the originals part of the run and delete MLflow's copies of them, which stay where a
        store has no links: there they are all that the run's page can show.
        """
        doubled = sorted(copies)
        if not doubled or not self.link(sorted(originals)):
            return
        for start in range(0, len(doubled), _PAGE):
            part = doubled[start : start + _PAGE]
            self.patiently(self.client.delete_traces, self.experiment_id, trace_ids=part)

    def assessments(self, trace_ids: Iterable[str]) -> dict[str, list[Assessment]]:
        """All assessments on these traces, and on every other trace of the run.

        One search for those that are linked to the run, one request for each of the others.
        """
        found = {trace.info.trace_id: list(trace.info.assessments) for trace in self._linked()}
        for trace_id in set(trace_ids) - found.keys():
            trace = self.trace(trace_id)
            found[trace_id] = list(trace.info.assessments)
        return found

    def trace(self, trace_id: str) -> Any:
        """A trace as it stands now."""
        return self.patiently(self.client.get_trace, trace_id)

    def _linked(self) -> Iterable[Any]:
        token: str | None = None
        # What is older is asked for one by one, as what is not linked is.
        bounds = self.patiently(mlflow_store.time_bounds, self.client, self.experiment_id)
        while True:
            page = self.patiently(
                self.client.search_traces,
                locations=[self.experiment_id],
                run_id=self.run_id,
                filter_string=bounds,
                include_spans=False,
                max_results=_PAGE,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def log_metrics(self, metrics: Mapping[str, float], *, now_ms: int) -> None:
        """The figures of the run, in as many batches as it takes."""
        entries = [Metric(name, value, now_ms, 0) for name, value in metrics.items()]
        for start in range(0, len(entries), 500):
            part = entries[start : start + 500]
            self.patiently(self.client.log_batch, self.run_id, metrics=part)

    def tag(self, key: str, value: str) -> None:
        """A tag of the run."""
        self.patiently(self.client.set_tag, self.run_id, key, value)

    def rename(self, name: str) -> None:
        """Another name for the run."""
        self.patiently(self.client.update_run, self.run_id, name=name)

    def upload(self, file: Path, folder: str) -> None:
        """A file as the run's artifact."""
        self.patiently(self.client.log_artifact, self.run_id, str(file), folder)

    def end(self, status: str) -> None:
        """The run is over: FINISHED, FAILED or KILLED."""
        self.patiently(self.client.set_terminated, self.run_id, status)
