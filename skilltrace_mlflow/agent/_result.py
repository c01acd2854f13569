"""What the CLI said and wrote, as the `Run` of a task: how it ended, and its figures."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent.protocol import End, Run, Task
from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.locate import project_slug
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from skilltrace_mlflow.text import cut

__all__ = ["captured", "ended_as"]

_TRANSCRIPT = "session.jsonl"
_SUBTYPES: dict[str, End] = {
    "error_max_turns": "turn_limit",
    "error_max_budget_usd": "budget_limit",
}
_TOTALS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
}
_NOT_LOGGED_IN = ("not logged in", "please run /login", "invalid api key", "authentication_error")
# What the CLI advises does not help: each attempt has a configuration folder of its own.
_WAY_IN = (
    "no login of Claude Code's own is used here; set ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or "
    "CLAUDE_CODE_OAUTH_TOKEN"
)


def ended_as(
    early: tuple[End, str] | None, result: Mapping[str, Any] | None, code: int | None, said: str
) -> tuple[End, str]:
    """How an attempt ended and why, from what we did to it, its result line and its exit code."""
    if early is not None:
        return early
    if result is None:
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        low = said.lower()
        if any(text in low for text in _NOT_LOGGED_IN):
            return "not_logged_in", _no_login(said)
        return "killed", _short(f"it ended without a result ({how})" + (f": {said}" * bool(said)))
    errors = result.get("errors")
    listed = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
    text = str(result.get("result") or listed)
    end = _SUBTYPES.get(str(result.get("subtype")))
    if end is not None:
        return end, _short(text)
    if not result.get("is_error"):
        return "finished", ""
    status = result.get("api_error_status")
    if status in (401, 403) or any(word in text.lower() for word in _NOT_LOGGED_IN):
        return "not_logged_in", _no_login(text)
    reason = str(result.get("terminal_reason") or "")
    if status is not None or reason == "api_error" or text.startswith("API Error"):
        return "model_error", _short(text or reason)
    if reason.startswith("aborted"):
        return "killed", _short(text or reason)
    return "model_error", _short(text or str(result.get("subtype")))


def captured(
    task: Task,
    *,
    end: End,
    reason: str,
    init: Mapping[str, Any] | None,
    result: Mapping[str, Any] | None,
    exit_code: int | None,
    seconds: float,
    lacking: tuple[str, ...] = (),
) -> Run:
    """Keep the transcript with its sub-agents in `task.record`, and read it."""
    notes = [f"this version of Claude Code has no {flag}" for flag in lacking]
    transcript = _keep(task)
    session: Session | None = None
    if transcript is not None:
        try:
            session = parse_transcript(transcript)
        except SkillTraceError as error:
            notes.append(f"the transcript cannot be read: {error}")
    if session is None and end in ("finished", "turn_limit"):
        end, reason = "killed", "it left no transcript that can be read"
    differing = () if session is None or result is None else tuple(_differing(session, result))
    return Run(
        end=end,
        reason=reason,
        response=_response(result, session),
        session=session,
        transcript=transcript,
        result=result,
        init=init,
        exit_code=exit_code,
        cost_usd=_cost(result, session),
        duration_seconds=round(seconds, 3),
        denials=_denials(result),
        differing=differing,
        notes=tuple(notes),
    )


def _keep(task: Task) -> Path | None:
    """Copy the session's files out of the configuration folder, which is deleted."""
    folder = task.place.config / "projects"
    source = folder / project_slug(task.place.workspace) / f"{task.session_id}.jsonl"
    if not source.is_file():
        found = sorted(folder.glob(f"*/{task.session_id}.jsonl"))
        if not found:
            return None
        source = found[0]
    target = task.record / _TRANSCRIPT
    shutil.copyfile(source, target)
    beside = source.with_suffix("")
    if beside.is_dir():
        shutil.copytree(beside, target.with_suffix(""), dirs_exist_ok=True)
    return target


def _response(result: Mapping[str, Any] | None, session: Session | None) -> str | None:
    said = None if result is None or result.get("is_error") else result.get("result")
    if isinstance(said, str) and said:
        return said
    return None if session is None else session.response


def _cost(result: Mapping[str, Any] | None, session: Session | None) -> float | None:
    said = None if result is None else result.get("total_cost_usd")
    if (
        isinstance(said, (int, float)) and 0 <= said <= sys.float_info.max
    ):  # nothing else can be summed
        return float(said)
    return None if session is None else compute_metrics(session).cost_usd


def _denials(result: Mapping[str, Any] | None) -> tuple[str, ...]:
    found = (result or {}).get("permission_denials")
    found = found if isinstance(found, list) else ()
    return tuple(str(item.get("tool_name")) for item in found if isinstance(item, Mapping))


def _differing(session: Session, result: Mapping[str, Any]) -> list[str]:
    """Totals of the transcript that are not the CLI's own; `modelUsage` holds all agents."""
    usage = result.get("modelUsage")
    if not isinstance(usage, Mapping):
        return []
    lines = []
    for ours, theirs in _TOTALS.items():
        told = sum(_count(model, theirs) for model in usage.values())
        read = getattr(session.usage, ours)
        if told != read:
            lines.append(f"{ours}: {read} in the transcript, {told} by the CLI")
    return lines


def _count(model: Any, name: str) -> int:
    value = model.get(name) if isinstance(model, Mapping) else None
    return value if isinstance(value, int) else 0


def _no_login(said: str) -> str:
    """What the CLI said of a key, and the way out where it only knows its own."""
    return f"{_short(said)}; {_WAY_IN}" if "/login" in said else _short(said)


def _short(text: str) -> str:
    return cut(text, 300)
