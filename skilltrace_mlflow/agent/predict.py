"""The agent as a `predict_fn` of `mlflow.genai.evaluate`, with its tool-level trace."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from skilltrace_mlflow.agent._processes import Guard
from skilltrace_mlflow.agent.claude import ClaudeAgent
from skilltrace_mlflow.agent.options import AgentOptions, agent_options
from skilltrace_mlflow.agent.protocol import Agent
from skilltrace_mlflow.agent.records import Job, RunFolder, new_run_id
from skilltrace_mlflow.agent.runner import Budget, Runner
from skilltrace_mlflow.agent.skill import skill_of
from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.expectations import Manifest, load_manifest
from skilltrace_mlflow.importing.spans import ROOT_NAME, build_trace
from skilltrace_mlflow.importing.turns import split_turns
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import load_file

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan

__all__ = ["Predict", "claude_agent"]

_OWN = ("mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.spanType", "mlflow.traceRequestId")


class Predict(Protocol):
    """What `mlflow.genai.evaluate` calls with the `inputs` of a row."""

    def __call__(self, *, prompt: str) -> dict[str, Any]: ...


def claude_agent(
    skill: str | os.PathLike[str] | Manifest,
    *,
    skills_dir: str | os.PathLike[str] | None = None,
    with_skill: bool = True,
    model: str | None = None,
    timeout: float | None = None,
    max_usd: float | None = None,
    claude_bin: str | None = None,
    agent: Agent | None = None,
) -> Predict:
    """A function that lets Claude Code work on `prompt` and returns `{"response": …}`.

    Called inside `mlflow.genai.evaluate(predict_fn=…)` it leaves a trace with every model step and
    tool call. `max_usd` bounds each call. Where the agent did not finish it raises EvaluationError,
    which MLflow keeps with the row. The agent is not run for MLflow's trial call, which traces
    nothing.
    """
    manifest = skill if isinstance(skill, Manifest) else load_manifest(skill, skills_dir=skills_dir)
    settings = agent_options(manifest.agent, folder=manifest.folder or Path()).overridden(
        model=model, timeout=timeout
    )
    arm = "with" if with_skill else "without"

    def predict(*, prompt: str) -> dict[str, Any]:
        import mlflow
        from mlflow.entities import NoOpSpan, SpanType

        with mlflow.start_span(name=ROOT_NAME, span_type=SpanType.AGENT) as root:
            if isinstance(root, NoOpSpan):
                return {"response": ""}
            root.set_inputs({"prompt": prompt})
            session, response = _run(
                manifest, settings, prompt, arm, agent=agent, binary=claude_bin, max_usd=max_usd
            )
            _retrace(root, session)
            mlflow.update_current_trace(
                metadata={"mlflow.trace.session": session.session_id or ""},
                tags={"skilltrace.skill": manifest.name, "skilltrace.arm": arm},
            )
            root.set_outputs({"status": "completed", "response": response})
            return {"response": response}

    return predict


def _run(
    manifest: Manifest,
    settings: AgentOptions,
    prompt: str,
    arm: str,
    *,
    agent: Agent | None,
    binary: str | None,
    max_usd: float | None,
) -> tuple[Session, str]:
    with tempfile.TemporaryDirectory(prefix="skilltrace-run-") as results, Guard() as guard:
        runner = Runner(
            agent=agent or ClaudeAgent(binary, guard=guard),
            skill=skill_of(manifest, workspace=settings.workspace),
            options=settings,
            folder=RunFolder(Path(results), new_run_id()),
            guard=guard,
            budget=Budget(max_usd),
        )
        name = f"predict-{uuid.uuid4().hex[:8]}"
        job = Job(test_id=name, prompt=prompt, arm=arm, attempt=1, index=0)
        record = runner.run([job], {})[job]
        if not record.judged or record.transcript is None:
            raise EvaluationError(f"the agent did not finish ({record.end}): {record.reason}")
        session = load_file(record.transcript).session
        for call in session.tool_calls:  # before the folder is deleted
            call.__dict__["load_result"] = call.result
        return session, record.response or ""


def _retrace(root: LiveSpan, session: Session) -> None:
    """The session's spans below `root`, in the shape and with the times that an import gives them;
    what the import writes on its own root goes onto `root`.
    """
    import mlflow

    for turn in split_turns(session, name=session.session_id or "session"):
        trace = build_trace(turn, "tr-" + uuid.uuid4().hex)
        made: dict[str, LiveSpan] = {}
        for span in trace.spans:
            values = {key: _decoded(text) for key, text in span["attributes"].items()}
            attributes = {key: value for key, value in values.items() if key not in _OWN}
            parent = made.get(span["parent_span_id"] or "")
            if parent is None:
                root.set_attributes(attributes)
                made[span["span_id"]] = root
                continue
            child = mlflow.start_span_no_context(
                name=span["name"],
                span_type=values.get("mlflow.spanType") or "UNKNOWN",
                parent_span=parent,
                inputs=values.get("mlflow.spanInputs"),
                attributes=attributes,
                start_time_ns=span["start_time_unix_nano"],
            )
            _finish(child, span, values.get("mlflow.spanOutputs"))
            made[span["span_id"]] = child


def _finish(child: LiveSpan, span: Mapping[str, Any], outputs: Any) -> None:
    from mlflow.entities import SpanEvent

    for event in span.get("events") or ():
        child.add_event(
            SpanEvent(  # type: ignore[abstract] # it is instantiated so everywhere
                name=event["name"],
                timestamp=event["time_unix_nano"],
                attributes=event.get("attributes") or {},
            )
        )
    failed = str(span.get("status", {}).get("code", "")).endswith("ERROR")
    child.end(
        outputs=outputs,
        status="ERROR" if failed else "OK",
        end_time_ns=span["end_time_unix_nano"],
    )


def _decoded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
