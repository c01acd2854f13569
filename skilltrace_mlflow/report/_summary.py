"""An evaluation in a sentence, and where its run is to be seen: for every page that begins so."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from skilltrace_mlflow.report._words import problems, top_reasons
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.text import below_here, one_line, plain, without_password

__all__ = ["run_url", "sentence", "where_to_look"]


def sentence(evaluation: Evaluation) -> str:
    """What came of it, in words: counts of tests, the most frequent reason, gates that failed."""
    total = len(evaluation.results)
    if not total:
        return "No test was evaluated."
    tests = Counter(str(result.verdict) for result in evaluation.results)
    parts = [
        f"{tests[key]:,} {said}"
        for key, said in (
            ("fail", "failed"),
            ("error", "ended in an error"),
            ("unknown", "could not be judged"),
            ("pass", "passed"),
        )
        if tests[key]
    ]
    noun = "test" if total == 1 else "tests"
    text = f"Of {total:,} {noun}, {_and(parts)}."
    if tests["pass"] == total:
        text = f"All {total:,} {noun} passed." if total > 1 else "The test passed."
    failed = [gate for gate in evaluation.gates if not gate.passed]
    if failed:
        names = _and(
            [
                f"{one_line(gate.name, 80)} ({gate.shown} of {gate.required:g})"
                for gate in failed[:3]
            ]
        )
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        text += f" {'Gate' if len(failed) == 1 else 'Gates'} not met: {names}{more}."
    elif evaluation.gates:
        several = len(evaluation.gates) > 1
        text += f" All {len(evaluation.gates)} gates are met." if several else " Its gate is met."
    reasons = top_reasons(evaluation, 1)
    if not reasons:
        return text
    return (
        f"{text} {'First' if reasons[0].endswith('· 1 test') else 'Most frequent'}: {reasons[0]}."
    )


def run_url(evaluation: Evaluation) -> str | None:
    """The address of the run's page, where the store is a server that has pages."""
    uri = _bare((evaluation.tracking_uri or "").rstrip("/"))
    return _page(uri, evaluation) if uri else None


def _page(uri: str, evaluation: Evaluation) -> str | None:
    if not evaluation.run_id or not evaluation.experiment_id:
        return None
    return (
        f"{uri}/#/experiments/{quote(evaluation.experiment_id, safe='')}"
        f"/runs/{quote(evaluation.run_id, safe='')}"
    )


def where_to_look(evaluation: Evaluation, report: Path | None = None) -> list[str]:
    """Commands, addresses and files that show more, as they can be copied: the report, the call
    that the first failure speaks of, the run in MLflow.
    """
    places = [] if report is None else [str(report)]
    return [plain(place) for place in (*places, *_first_call(evaluation), *_in_mlflow(evaluation))]


def _first_call(evaluation: Evaluation) -> Iterator[str]:
    for result, outcome in problems(evaluation):
        source = result.source or ""
        if outcome.calls and source.endswith((".jsonl", ".jsonl.gz", ".json")):
            file = shlex.quote(str(below_here(Path(source))))
            yield f"skilltrace-mlflow show {file} --call {outcome.calls[0].number}"
            return


def _in_mlflow(evaluation: Evaluation) -> Iterator[str]:
    """A server's page of the run; for a store that is none, the command that starts one."""
    uri = evaluation.tracking_uri
    if not uri or not evaluation.run_id or uri.startswith(("databricks", "uc:")):
        return
    server = _bare(uri.rstrip("/"))
    if not server:
        yield f"mlflow ui --backend-store-uri {shlex.quote(without_password(uri))}"
    page = _page(server or "http://127.0.0.1:5000", evaluation)
    if page or server:
        yield page or server


def _bare(uri: str) -> str:
    """The address without the account, which a browser asks for itself; empty for no server's."""
    scheme, separator, rest = uri.partition("://")
    if scheme not in ("http", "https") or not separator:
        return ""
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
