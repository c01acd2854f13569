"""A whole id from its beginning, as people copy it from a list: of a trace, or of a session.

Whoever writes an id into a file writes it whole; only what a person types is taken for a beginning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.sources.locate import is_prefix, local_ids_like

__all__ = ["STORE_VARIABLES", "store_is_named", "whole_session_id", "whole_trace_id"]

STORE_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")
_WHOLE_TRACE = re.compile(r"tr-[0-9a-f]{32}")
_WHOLE_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN = 5


def whole_trace_id(
    given: str, *, experiment: str | None = None, tracking_uri: str | None = None
) -> str:
    """The id of the one trace that begins so; `given` itself where none does.

    Raises ConfigurationError where several do, EvaluationError if the store cannot be asked.
    """
    if _WHOLE_TRACE.fullmatch(given) or not is_prefix(given):
        return given
    from skilltrace_mlflow.sources.mlflow.prefixes import trace_ids_like
    from skilltrace_mlflow.sources.mlflow.store import probe

    probe(tracking_uri)
    return _only("trace", given, trace_ids_like(given, experiment, tracking_uri=tracking_uri))


def whole_session_id(
    given: str,
    *,
    in_store: bool = False,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> str:
    """The id of the one session that begins so, on this machine or (`in_store`, or where none does
    and a store is named) in MLflow; `given` itself where none does. Raises as `whole_trace_id`.
    """
    if _WHOLE_SESSION.fullmatch(given) or not is_prefix(given):
        return given
    found = [] if in_store else local_ids_like(given)
    if not found and (in_store or store_is_named()):
        from skilltrace_mlflow.sources.mlflow.prefixes import session_ids_like
        from skilltrace_mlflow.sources.mlflow.store import probe

        probe(tracking_uri)
        found = session_ids_like(given, experiment, tracking_uri=tracking_uri)
    return _only("session", given, found)


def store_is_named() -> bool:
    """Whether MLflow's environment variables name a store or an experiment."""
    return any(os.environ.get(name) for name in STORE_VARIABLES)


def _only(kind: str, given: str, found: Sequence[str]) -> str:
    if given in found or not found:
        return given
    if len(found) > 1:
        shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
        raise ConfigurationError(
            f"{kind} {given!r}: {len(found)} {kind}s begin so: {shown}; give more of the id"
        )
    return found[0]
