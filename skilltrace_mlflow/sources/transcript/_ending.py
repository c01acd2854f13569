"""How the main agent's last turn ended, from what the record shows last.

The newest evidence holds: whatever follows (another prompt, a response) takes back what was seen
before. The `result` line of `claude -p` says it outright; everywhere else it is read off the stop
reason of the last response, off Claude Code's own marks (limits, hooks, interruptions, API errors),
and off a turn that breaks off in the middle.
"""

from __future__ import annotations

from skilltrace_mlflow.session import REFUSED, Ending, EndingKind
from skilltrace_mlflow.sources.transcript._outcome import short_reason
from skilltrace_mlflow.sources.transcript._wire import Message

__all__ = ["MARKS", "EndingTracker", "ending_of_result"]

_OWN_END = frozenset(("end_turn", "stop_sequence", "refusal"))
_CUT = {
    "max_tokens": "the last response was cut at its token limit",
    "model_context_window_exceeded": "the last response reached the end of the context window",
    "pause_turn": "the last response was paused and never resumed",
}
_KILLED = "killed, still running, or a limit that this version does not record"
_WITHOUT = {
    "prompt": "the last prompt has no response",
    "result": f"the record ends behind a tool's result, before a response ({_KILLED})",
    "call": f"the record ends behind a tool call ({_KILLED})",
}
# `terminal_reason` of a result line, where it says more than `subtype`.
_TERMINAL: dict[str, EndingKind] = {
    "aborted_streaming": "interrupted",
    "aborted_tools": "interrupted",
    "hook_stopped": "stopped",
    "max_turns": "turn_limit",
    "stop_hook_prevented": "stopped",
    "structured_output_retry_exhausted": "stopped",
}
_SUBTYPES: dict[str, EndingKind] = {
    "error_max_budget_usd": "budget_limit",
    "error_max_structured_output_retries": "stopped",
    "error_max_turns": "turn_limit",
}
MARKS: dict[str, tuple[EndingKind, str]] = {
    "hook_stopped_continuation": ("stopped", "a hook stopped it"),
    "max_turns_reached": ("turn_limit", "the limit of turns was reached"),
    "structured_output": ("finished", "it gave the structured output that was asked for"),
}
"""Attachments that say how a turn ended."""


class EndingTracker:
    """Told in order what the main agent's record shows; `ending` is what holds at its end."""

    def __init__(self) -> None:
        self._message: Message | None = None
        self._without: str | None = None
        self._mark: Ending | None = None
        self._stated: Ending | None = None
        self._cut = self._over = False

    def response(self, message: Message) -> None:
        """A line of a response of the model."""
        self._message = message
        self._without = self._mark = self._stated = None
        self._over = False

    @property
    def last_response(self) -> str | None:
        """Id of the response that was seen last."""
        return self._message.id if self._message is not None else None

    def turn_over(self) -> None:
        """Claude Code's own line behind a turn that the model ended (its duration, stop hooks)."""
        self._over = True

    def waiting(self, what: str) -> None:
        """A response is due: behind a `prompt` or a tool's `result`."""
        if self._mark is not None and self._mark.kind == "finished" and what == "result":
            return  # the receipt for the structured output
        self._without = what
        self._message = self._mark = None
        if what == "prompt":
            self._stated = None

    def api_error(self, text: str) -> None:
        """An error of the API in place of a response."""
        self._mark = Ending(kind="cut_off", text=short_reason(text) or "API error")

    def interrupted(self) -> None:
        """Claude Code's own line for it."""
        self._mark = Ending(kind="interrupted", text="interrupted by the user")

    def mark(self, attachment: str, text: str | None) -> None:
        """One of the attachments in `MARKS`, with what it says."""
        kind, phrase = MARKS[attachment]
        said = short_reason(text) if text else ""
        self._mark = Ending(kind=kind, text=f"{phrase}: {said}" if said else phrase)

    def stated(self, ending: Ending) -> None:
        """What a `result` line says."""
        self._stated = ending

    def damaged_end(self) -> None:
        """The record's own end is lost."""
        self._cut = True

    def ending(self, stop_reason: str | None) -> Ending:
        """How it ended; `stop_reason` is the last response's, from whichever of its lines."""
        if self._stated is not None:
            return self._stated
        if self._cut:
            return Ending(text="the end of the record is lost")
        if self._mark is not None:
            return self._mark
        if self._without is not None:
            return Ending(kind="cut_off", text=_WITHOUT[self._without])
        if self._message is None:
            return Ending(text="the record holds no response")
        content = self._message.content
        last = content[-1].type if isinstance(content, list) and content else None
        if last == "tool_use" or stop_reason == "tool_use":
            return Ending(kind="cut_off", text=_WITHOUT["call"])
        if stop_reason in _OWN_END:
            refused = stop_reason == "refusal"
            return Ending(kind="finished", text=REFUSED if refused else "")
        if stop_reason in _CUT:
            return Ending(kind="cut_off", text=_CUT[stop_reason])
        if stop_reason is None and self._over:
            return Ending(kind="finished")
        return Ending(text="the last response records no stop reason")


def ending_of_result(
    *, subtype: str | None, is_error: bool | None, terminal: str | None, text: str
) -> Ending:
    """How a run ended by its `result` line; `text` is the error or the answer in it."""
    kind: EndingKind
    if subtype is None and is_error is None:
        return Ending()
    if subtype in _SUBTYPES:
        kind = _SUBTYPES[subtype]
    elif terminal in _TERMINAL:
        kind = _TERMINAL[terminal]
    elif subtype == "success" and is_error is not True and terminal in (None, "completed"):
        return Ending(kind="finished")
    else:
        kind = "cut_off"
    return Ending(kind=kind, text=short_reason(text) or terminal or subtype or "")
