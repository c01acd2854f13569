"""Where a tracking store is, whether it is there, and how it may be named to people."""

from __future__ import annotations

import contextlib
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from skilltrace_mlflow._internals import databricks_host
from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.text import without_password

__all__ = [
    "probe",
    "require_local",
    "sqlite_path",
    "store_exists",
    "tracking_uri_of",
]

_PROBES = 3


def tracking_uri_of(tracking_uri: str | None = None) -> str:
    """The store that a command works on: the one named, else MLflow's own choice."""
    if tracking_uri:
        return tracking_uri
    import mlflow

    return str(mlflow.get_tracking_uri())


def store_exists(tracking_uri: str | None = None) -> bool:
    """Whether a local database is there already; what a server holds is not asked here."""
    path = sqlite_path(tracking_uri_of(tracking_uri))
    return path is None or path.exists()


def probe(tracking_uri: str | None = None, *, timeout: float = 5.0) -> None:
    """Make sure that the tracking server answers at all; local stores need no server.

    Raises EvaluationError when it does not within `timeout` seconds, tried a few times so that one
    dropped connection is not taken for a dead server.
    """
    uri = tracking_uri_of(tracking_uri)
    url = _health_url(uri)
    if url is None:
        return
    reason = ""
    for attempt in range(_PROBES):
        if attempt:
            time.sleep(0.3 * attempt)
        request = urllib.request.Request(url, headers={"User-Agent": "skilltrace-mlflow"})  # noqa: S310 - http(s) only, see _health_url
        try:
            with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:  # it answers: what it thinks of the request is another matter
                return
            reason = f"HTTP {error.code}"
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise EvaluationError(
        f"the MLflow server at {without_password(uri)} does not answer ({reason}); "
        "start it, or name another with --tracking-uri or MLFLOW_TRACKING_URI"
    )


def require_local(uri: str) -> None:
    """Raises EvaluationError if `uri` names a local database that is not there."""
    if not store_exists(uri):
        raise EvaluationError(
            f"there is no MLflow store at {sqlite_path(uri)}; name one with --tracking-uri or "
            "MLFLOW_TRACKING_URI, or fill one with skilltrace-mlflow import"
        )


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite store, None for every other store."""
    if not uri.startswith("sqlite:///"):
        return None
    name = uri[len("sqlite:///") :].split("?", 1)[0]
    return None if name in ("", ":memory:") or name.startswith("file:") else Path(name)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """MLflow warns on standard error of what is then told as an error."""
    logger = logging.getLogger("mlflow.utils.databricks_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _health_url(uri: str) -> str | None:
    if uri.startswith(("http://", "https://")):
        return uri.rstrip("/") + "/health"
    if uri == "databricks" or uri.startswith("databricks://"):
        try:
            with _without_warnings():
                host = databricks_host(uri)
        except Exception as error:
            # MLflow goes on about every way to sign in, and the one that does is named here.
            text = (str(error) or type(error).__name__).split("\n", 1)[0].split(". ", 1)[0]
            raise EvaluationError(
                f"{without_password(uri)}: no Databricks workspace is configured ({text}); run "
                "databricks auth login --host https://<workspace>, or name a profile with "
                "DATABRICKS_CONFIG_PROFILE"
            ) from None
        return host.rstrip("/") + "/api/2.0/mlflow/experiments/get"
    return None
