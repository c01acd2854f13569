"""What the writer of imported traces and the readers of all traces have to agree on."""

from __future__ import annotations

__all__ = ["NO_RESULT", "RECORDS", "TURN_ATTRIBUTE", "USAGE"]

USAGE = "mlflow.chat.tokenUsage"

TURN_ATTRIBUTE = "skilltrace.turn"
"""On the root span of an imported turn: all of the record that spans have no place for."""

RECORDS = ("steps", "tool_calls", "messages", "files", "skills", "subagents")
"""The parts of a session that are spread over its turns."""

NO_RESULT = "No result found"
"""What every writer of the plugin family puts where a tool call has no result."""
