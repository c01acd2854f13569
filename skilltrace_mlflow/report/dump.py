"""Sessions as files: what `--dump-traces` leaves behind."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

from skilltrace_mlflow.report._files import write_atomic
from skilltrace_mlflow.report.timeline import call_numbered
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.session_json import session_to_json
from skilltrace_mlflow.text import dumps

__all__ = ["call_json", "dump_sessions", "safe_name", "session_text"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST = 100
# Names that Windows takes for devices, whatever their ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def safe_name(text: str) -> str:
    """A file name for `text` on any system: unsafe characters become `_`."""
    name = _UNSAFE.sub("_", text)[:_LONGEST] or "_"
    return f"_{name[1:]}" if name.startswith(".") or _DEVICES.match(name) else name


def session_text(session: Session, *, whole: bool = True, trace_id: str | None = None) -> str:
    """The session as the JSON document that `trace_ref`, `--trace` and `show` read; `whole` is
    false for some turns of one, `trace_id` the MLflow trace that stands for it.
    """
    return dumps(session_to_json(session, whole=whole, trace_id=trace_id)) + "\n"


def call_json(session: Session, number: int) -> str:
    """One call of the session, by its number, as JSON: its record and its number.

    Raises ConfigurationError where there is no such call.
    """
    call = call_numbered(session, number)
    (record,) = session_to_json(replace(session, tool_calls=(call,)))["tool_calls"]
    return dumps({"number": number, **record}, indent=2) + "\n"


def dump_sessions(evaluation: Evaluation, directory: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write each result's session to `directory/<test_id>__<attempt>.json`; returns the paths.

    Results without a session leave no file. Where two ids give one name (`a/b` and `a:b`, or `A`
    and `a` on some file systems), the later one gets a hash. Raises SkillTraceError if a file
    cannot be written.
    """
    folder = Path(directory).expanduser()
    paths: dict[str, Path] = {}
    for result in evaluation.results:
        if result.session is None:
            continue
        name = f"{safe_name(result.test_id)}__{result.attempt}"
        if name.lower() in paths:
            digest = hashlib.sha256(result.test_id.encode("utf-8", "surrogatepass")).hexdigest()
            name = f"{name}_{digest[:8]}"
        path = folder / f"{name}.json"
        write_atomic(
            path,
            session_text(result.session, whole=result.whole_session, trace_id=result.trace_id),
        )
        paths[name.lower()] = path
    return tuple(paths.values())
