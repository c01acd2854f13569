"""Whether a set-up has what it needs, and what to do where it does not.

Every step is bounded in time and stands for itself: what cannot be asked is said to be unknown, and
the next step is done all the same. Nothing is changed anywhere.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.autolog import AutologStatus, autolog_status
from skilltrace_mlflow.bounded import HangingCall, call_bounded
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.sources.locate import LocalSession, sessions_on_this_machine
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.text import cut, without_password

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

__all__ = ["MISSING", "OK", "SKIPPED", "UNKNOWN", "Finding", "examine", "exit_code"]

OK, MISSING, UNKNOWN, SKIPPED = "ok", "missing", "unknown", "skipped"

WAREHOUSE = "MLFLOW_TRACING_SQL_WAREHOUSE_ID"
_ON_CATALOG = ("USE_CATALOG",)
_ON_SCHEMA = ("USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE")
# Up to here a query per session is cheaper than going through the experiment.
_ASKED_ONE_BY_ONE = 20
_LONGEST = 300
_LOCAL_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a set-up needs: `ok`, `missing`, `unknown` (nobody could be asked) or
    `skipped` (not needed here). `way_out` is what to do about it, "" where nothing is to be done.
    """

    name: str
    state: str
    found: str
    way_out: str = ""

    def to_dict(self) -> dict[str, str]:
        """As plain JSON values."""
        return {
            "name": self.name,
            "state": self.state,
            "found": self.found,
            "way_out": self.way_out,
        }


def exit_code(findings: tuple[Finding, ...]) -> int:
    """0 all well, 1 something is missing, 3 something could not be asked and nothing is known to be
    missing.
    """
    states = {item.state for item in findings}
    return 1 if MISSING in states else 3 if UNKNOWN in states else 0


def examine(
    directory: str | os.PathLike[str] = ".",
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    profile: str | None = None,
    warehouse: str | None = None,
    table: str | None = None,
    here: bool = False,
    timeout: float = 30.0,
) -> tuple[Finding, ...]:
    """What a project's set-up has and lacks, in the order in which to put it right.

    Store and experiment are those that are named, else those of the project's autolog settings,
    else MLflow's own. `table` is the outcome table (catalog.schema.name) whose grants are looked
    at. `here` leaves out sessions of other directories. No step takes longer than `timeout`.
    """
    return tuple(
        _Examination(
            directory=Path(directory),
            experiment=experiment,
            tracking_uri=tracking_uri,
            profile=profile,
            warehouse=warehouse or os.environ.get(WAREHOUSE),
            table=table,
            here=here,
            timeout=timeout,
        ).findings()
    )


@dataclass(kw_only=True)
class _Examination:
    directory: Path
    experiment: str | None
    tracking_uri: str | None
    profile: str | None
    warehouse: str | None
    table: str | None
    here: bool
    timeout: float
    status: AutologStatus | None = None
    experiment_id: str | None = None
    client: WorkspaceClient | None = None
    who: tuple[str, ...] = ()

    def findings(self) -> Iterator[Finding]:
        yield self._step("claude", self._claude)
        yield self._step("autolog", self._autolog)
        if importlib.util.find_spec("mlflow") is None:
            yield Finding(
                name="store",
                state=MISSING,
                found="the package mlflow is not installed here",
                way_out="pip install skilltrace-mlflow",
            )
            return
        remote = self._uri().startswith("databricks")
        if remote:
            yield self._step("workspace", self._workspace)
            answers = self.client is not None
        if not remote:
            store = self._step("store", self._store)
            yield store
            answers = store.state == OK
        before = "workspace" if remote else "store"
        yield (
            self._step("experiment", self._experiment) if answers else _first("experiment", before)
        )
        if remote:
            yield self._step("warehouse", self._warehouse)
            yield self._step("grants", self._grants)
        yield self._step("sessions", self._sessions) if answers else _first("sessions", before)

    def _step(self, name: str, look: Callable[[], Finding]) -> Finding:
        """What `look` finds; what it raises is a finding, too."""
        # A database file answers, and loading what reads it may take long on a busy machine.
        local = name not in ("claude", "autolog") and self._uri().startswith(("sqlite:", "file:"))
        seconds = max(self.timeout, _LOCAL_SECONDS) if local else self.timeout
        try:
            found: Finding = call_bounded(look, seconds, name=name)
        except HangingCall:
            return Finding(
                name=name,
                state=UNKNOWN,
                found=f"no answer within {seconds:g} s",
                way_out="try again with a longer --timeout; is the network there?",
            )
        except SkillTraceError as error:
            text, _, way_out = str(error).partition("; ")
            if name == "experiment":  # what follows are the experiments that there are
                text, way_out = str(error), ""
            state = MISSING if isinstance(error, ConfigurationError) else UNKNOWN
            return Finding(
                name=name,
                state=state,
                found=cut(text, _LONGEST),
                way_out=cut(way_out, _LONGEST) or _WAYS_OUT[name],
            )
        return found

    def _claude(self) -> Finding:
        place = shutil.which("claude")
        if place is None:
            return Finding(
                name="claude",
                state=MISSING,
                found="Claude Code is not on PATH",
                way_out=_WAYS_OUT["claude"],
            )
        try:
            done = subprocess.run(
                [place, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return self._broken(place, str(error))
        if done.returncode != 0:
            return self._broken(place, done.stderr or f"exit code {done.returncode}")
        return Finding(name="claude", state=OK, found=f"{cut(done.stdout, 60)} at {place}")

    def _broken(self, place: str, reason: str) -> Finding:
        return Finding(
            name="claude",
            state=MISSING,
            found=f"{place} does not run: {cut(reason, _LONGEST)}",
            way_out=_WAYS_OUT["claude"],
        )

    def _autolog(self) -> Finding:
        self.status = autolog_status(self.directory)
        where = ", ".join(str(path) for path in self.status.files) or "no settings file"
        if not self.status.enabled:
            return Finding(
                name="autolog",
                state=MISSING,
                found=f"sessions of {self.status.directory} are not traced ({where})",
                way_out=_WAYS_OUT["autolog"],
            )
        return Finding(name="autolog", state=OK, found=f"set in {where}")

    def _uri(self) -> str:
        given = self.status.tracking_uri if self.status is not None else None
        wanted = self.tracking_uri or (given if isinstance(given, str) else None)
        uri = mlflow_store.tracking_uri_of(wanted)
        return f"databricks://{self.profile}" if self.profile and uri == "databricks" else uri

    def _store(self) -> Finding:
        uri = self._uri()
        if not mlflow_store.store_exists(uri):
            return Finding(
                name="store",
                state=MISSING,
                found=f"there is no MLflow store at {without_password(uri)} yet",
                way_out="name one with --tracking-uri, or fill one: skilltrace-mlflow import",
            )
        mlflow_store.probe(uri, timeout=max(self.timeout / 4, 0.5))
        return Finding(name="store", state=OK, found=f"{without_password(uri)} answers")

    def _experiment(self) -> Finding:
        status = self.status
        named = self.experiment or (status and (status.experiment_id or status.experiment_name))
        self.experiment_id = mlflow_store.resolve_experiment(
            named or None, tracking_uri=self._uri(), locations=True
        )
        shown = named or mlflow_store.experiment_of()
        return Finding(
            name="experiment", state=OK, found=f"{shown} is there (id {self.experiment_id})"
        )

    def _workspace(self) -> Finding:
        from skilltrace_mlflow.databricks.workspace import reworded, workspace

        _, _, named = self._uri().partition("://")
        # The SDK asks the host what it is, and says so aloud where nobody answers; then we ask.
        logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
        client = workspace(
            profile=self.profile or named.split("/")[0] or None, patience=self.timeout / 4
        )
        with reworded(f"workspace {client.config.host}"):
            me = client.current_user.me()
        groups = [group.display for group in me.groups or () if group.display]
        self.who = tuple(filter(None, (me.user_name, *groups, "account users", "users")))
        self.client = client
        profile = f", profile {client.config.profile}" if client.config.profile else ""
        return Finding(
            name="workspace", state=OK, found=f"{client.config.host} as {me.user_name}{profile}"
        )

    def _warehouse(self) -> Finding:
        from skilltrace_mlflow.databricks.workspace import reworded

        if not self.warehouse:
            return Finding(
                name="warehouse",
                state=SKIPPED,
                found="none is named; the dashboard and traces in Unity Catalog need one",
                way_out=_WAYS_OUT["warehouse"],
            )
        if self.client is None:
            return _first("warehouse", "workspace")
        with reworded(f"warehouse {self.warehouse}"):
            found = self.client.warehouses.get(self.warehouse)
        state = getattr(found.state, "value", found.state)
        return Finding(
            name="warehouse", state=OK, found=f"{found.name or self.warehouse} is there ({state})"
        )

    def _grants(self) -> Finding:
        if not self.table:
            return Finding(
                name="grants",
                state=SKIPPED,
                found="no outcome table is named",
                way_out="name it with --table catalog.schema.name",
            )
        if self.client is None:
            return _first("grants", "workspace")
        parts = [part.strip("`") for part in self.table.split(".")]
        if len(parts) != 3 or not all(parts):
            raise ConfigurationError(f"table {self.table!r}; give catalog.schema.name")
        catalog, schema = parts[0], ".".join(parts[:2])
        lacking = [
            f"{', '.join(absent)} on {kind.lower()} {name}"
            for kind, name, needed in (
                ("CATALOG", catalog, _ON_CATALOG),
                ("SCHEMA", schema, _ON_SCHEMA),
            )
            if (absent := self._lacking(kind, name, needed))
        ]
        if lacking:
            return Finding(
                name="grants",
                state=MISSING,
                found="; ".join(lacking),
                way_out=f"GRANT them to {self.who[0]} (docs/databricks.md, Grants)",
            )
        return Finding(name="grants", state=OK, found=f"{self.who[0]} may write to {schema}")

    def _lacking(self, kind: str, name: str, needed: tuple[str, ...]) -> list[str]:
        """What of `needed` neither grants to the user and their groups nor ownership give."""
        from skilltrace_mlflow.databricks.workspace import reworded

        client: Any = self.client
        with reworded(f"{kind.lower()} {name}"):
            holder = client.catalogs if kind == "CATALOG" else client.schemas
            if holder.get(name).owner in self.who:
                return []
            found = client.grants.get_effective(kind, name)
        held = {
            str(getattr(item.privilege, "value", item.privilege))
            for assignment in found.privilege_assignments or ()
            if assignment.principal in self.who
            for item in assignment.privileges or ()
        }
        return [] if "ALL_PRIVILEGES" in held else [item for item in needed if item not in held]

    def _sessions(self) -> Finding:
        until = time.monotonic() + self.timeout * 0.8
        if self.experiment_id is None:
            return _first("sessions", "experiment")
        sessions = sessions_on_this_machine(self.directory if self.here else None)
        if not sessions:
            return Finding(name="sessions", state=OK, found="none on this machine")
        traced, whole = self._traced(sessions, until)
        left = [item for item in sessions if not traced & item.ids]
        if left and not whole:
            return Finding(
                name="sessions",
                state=UNKNOWN,
                found=f"{len(sessions) - len(left)} of {len(sessions)} have a trace, as far as the "
                "experiment could be read in time",
                way_out="try again with a longer --timeout",
            )
        if left:
            newest = max(left, key=lambda item: item.path.stat().st_mtime)
            return Finding(
                name="sessions",
                state=MISSING,
                found=f"{len(left)} of {len(sessions)} have no trace in the experiment, such as "
                f"{newest.path}",
                way_out=self._import(left),
            )
        return Finding(name="sessions", state=OK, found=f"all {len(sessions)} have a trace")

    def _traced(self, sessions: list[LocalSession], until: float) -> tuple[set[str], bool]:
        """The ids of sessions that the experiment has traces of, and whether all of it was read."""
        wanted = {identity for item in sessions for identity in item.ids}
        found: set[str] = set()
        if len(sessions) <= _ASKED_ONE_BY_ONE:
            for identity in sorted(wanted):
                if time.monotonic() > until:
                    return found, False
                if mlflow_store.search_experiment_traces(
                    self.experiment_id,
                    tracking_uri=self._uri(),
                    limit=1,
                    filter_string=f"metadata.`mlflow.trace.session` = '{identity}'",
                    include_spans=False,
                ):
                    found.add(identity)
            return found, True
        for trace in mlflow_store.newest_traces(
            self.experiment_id, tracking_uri=self._uri(), include_spans=False, page=500
        ):
            found.add(trace.info.trace_metadata.get("mlflow.trace.session", ""))
            if found >= wanted:
                break
            if time.monotonic() > until:
                return found, False
        return found, True

    def _import(self, left: list[LocalSession]) -> str:
        folder = os.path.commonpath([item.path.parent for item in left])
        place = left[0].path if len(left) == 1 else folder
        uri = without_password(self._uri())
        return (
            f"skilltrace-mlflow import {place} --experiment {self.experiment_id} "
            f"--tracking-uri {uri}"
        )


def _first(name: str, other: str) -> Finding:
    return Finding(
        name=name,
        state=UNKNOWN,
        found=f"the {other} has to answer first",
        way_out=f"see {other} above",
    )


_WAYS_OUT = {
    "claude": "npm install -g @anthropic-ai/claude-code",
    "autolog": "skilltrace-mlflow autolog setup --experiment-name NAME --tracking-uri URI",
    "workspace": "databricks auth login --host https://<workspace>",
    "store": "name one with --tracking-uri or MLFLOW_TRACKING_URI",
    "experiment": "name one with --experiment, or make it: mlflow experiments create -n NAME",
    "warehouse": f"databricks warehouses list; then set {WAREHOUSE} or give --warehouse",
    "grants": "GRANT USE CATALOG, USE SCHEMA, SELECT, MODIFY, CREATE TABLE (docs/databricks.md)",
    "sessions": "skilltrace-mlflow import FILE",
}
