"""Traces of Claude Code turns in the shape of MLflow's newest plugin, logged to a real store.

Quicker to make than a recording, and of any size; recordings are used where the content matters.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import mlflow

__all__ = ["log_turn"]


def log_turn(
    prompt: str,
    tools: Sequence[str | tuple[str, Mapping[str, Any]]] = (),
    *,
    session: str | None = None,
    tags: Mapping[str, str] | None = None,
    answer: str = "Done.",
    tokens: tuple[int, int] = (100, 20),
    starts: str | None = None,
    agent: str | None = None,
) -> str:
    """Log one turn to the active experiment; returns its trace id.

    `starts` is the id of an agent that the turn starts in the background, `agent` makes the trace
    that of such an agent.
    """
    tags = dict(tags or {})
    if agent is not None:
        tags["mlflow.claude_code.agent_id"] = agent
        tags["mlflow.claude_code.agent_type"] = "general-purpose"
        tags["mlflow.claude_code.parent_tool_use_id"] = f"toolu_{agent}"
    calls = [(tool, {}) if isinstance(tool, str) else tool for tool in tools]
    blocks: list[dict[str, Any]] = [
        {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:12]}", "name": name, "input": args}
        for name, args in calls
    ]
    if starts is not None:
        given = {"prompt": "help", "run_in_background": True}
        call = {"type": "tool_use", "id": f"toolu_{starts}", "name": "Agent", "input": given}
        blocks.append(call)
    with mlflow.start_span("claude_code_conversation", span_type="AGENT") as root:
        root.set_inputs({"prompt": prompt})
        mlflow.update_current_trace(
            metadata={
                "mlflow.trace.session": session or str(uuid.uuid4()),
                "mlflow.claude_code_version": "2.1.200",
                "mlflow.trace.working_directory": "/repo",
            },
            tags=tags,
        )
        with mlflow.start_span("llm", span_type="LLM") as llm:
            llm.set_inputs({"model": "claude-sonnet-4-5", "messages": []})
            llm.set_outputs(
                {
                    "id": f"msg_{uuid.uuid4().hex[:12]}",
                    "model": "claude-sonnet-4-5",
                    "role": "assistant",
                    "content": blocks or [{"type": "text", "text": answer}],
                }
            )
            llm.set_attribute("model", "claude-sonnet-4-5")
            llm.set_attribute("mlflow.llm.model", "claude-sonnet-4-5")
            llm.set_attribute("mlflow.llm.cost", {"total_cost": 0.01})
            llm.set_attribute(
                "mlflow.chat.tokenUsage",
                {
                    "input_tokens": tokens[0],
                    "output_tokens": tokens[1],
                    "total_tokens": sum(tokens),
                },
            )
        for block in blocks:
            with mlflow.start_span(f"tool_{block['name']}", span_type="TOOL") as tool:
                tool.set_inputs(block["input"])
                tool.set_outputs({"result": "ok"})
                tool.set_attribute("tool_name", block["name"])
                tool.set_attribute("tool_id", block["id"])
                if block["id"] == f"toolu_{starts}":
                    tool.set_attribute("background", True)
                    tool.set_attribute("agent_id", starts)
        if blocks:  # without it the turn would have been cut off behind a tool's result
            with mlflow.start_span("llm", span_type="LLM") as last:
                last.set_inputs({"model": "claude-sonnet-4-5", "messages": []})
                last.set_outputs(
                    {
                        "id": f"msg_{uuid.uuid4().hex[:12]}",
                        "model": "claude-sonnet-4-5",
                        "role": "assistant",
                        "stop_reason": "end_turn",
                        "content": [{"type": "text", "text": answer}],
                    }
                )
                last.set_attribute("model", "claude-sonnet-4-5")
                nothing = dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), 0)
                last.set_attribute("mlflow.chat.tokenUsage", nothing)
        root.set_outputs({"response": answer, "status": "completed"})
    # Spans are exported by a thread; whoever reads next, in another process, must find them.
    mlflow.flush_trace_async_logging()
    return root.trace_id
