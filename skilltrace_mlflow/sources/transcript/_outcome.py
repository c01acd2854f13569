"""How a tool call ended, from the evidence that Claude Code leaves beside its result.

The flag `is_error` decides between success and the rest; only then is the text of the result
read, and only its fixed beginnings: an output that talks about errors is still an output. The
wordings were read off transcripts of versions 1.0.17 to 2.1.220 and off the CLI itself.
"""

from __future__ import annotations

import re

from skilltrace_mlflow.session import CallOutcome
from skilltrace_mlflow.text import cut

__all__ = [
    "MAYBE_RAN",
    "MAYBE_REFUSED",
    "classify_error",
    "may_be_refusal",
    "may_have_run",
    "short_reason",
]

MAYBE_REFUSED = "maybe_refused"
"""Key in the details of a failed call of which the record cannot tell whether it was refused."""

MAYBE_RAN = "maybe_ran"
"""Key in the details of a refused call of which the record cannot tell whether it ran in part."""

_KINDS = {  # `toolDenialKind`, since 2.1.205
    "user-rejected": "rejected by the user",
    "permission-rule": "permission rule",
    "automode-blocked": "blocked by auto mode",
    "automode-unavailable": "auto mode could not judge it",
    "automode-parsing-error": "auto mode could not judge it",
}

_NO_REFUSALS = frozenset(("cancelled", "interrupted"))
# Since 2.1.330, behind the words of a rejection.
_STOPPED = re.compile(r".{0,600}this call was stopped while running, not refused", re.DOTALL)
_REJECTED = re.compile(r"The user doesn't want to (proceed|take this action)")
_STOPS_MARKED = (2, 1, 330)
# The connection broke or the answer was lost: nobody knows what the tool did.
_MAY_HAVE_RUN = re.compile(r".{0,600}\b(?:tool|it) may have run\b", re.DOTALL)

_UNJUDGED = "auto mode could not judge it"
_DENIED = (
    (re.compile(r"The user doesn't want to (proceed|take this action)"), "rejected by the user"),
    (re.compile(r"User rejected tool use"), "rejected by the user"),
    (re.compile(r"Claude requested permissions to "), "permission not granted"),
    (re.compile(r"This command requires approval"), "permission not granted"),
    (re.compile(r"Your organization requires approval"), "permission not granted"),
    (re.compile(r"Permission to \w+ .{1,400}? has been denied", re.DOTALL), "permission rule"),
    (re.compile(r"Permission for this action (was|has been) denied"), "blocked by auto mode"),
    (re.compile(r"Permission for this tool use was denied"), "permission not granted"),
    (re.compile(r"Permission for this command was denied"), "permission rule"),
    (re.compile(r"Permission denied for \S+:"), "permission rule"),
    (re.compile(r"This call was denied and did not run"), "permission not granted"),
    (re.compile(r"File is covered by a \w+ deny rule"), "permission rule"),
    (re.compile(r"Agent type .{1,200}? has been denied by", re.DOTALL), "permission rule"),
    (re.compile(r"WebFetch denied access to domain"), "permission rule"),
    (
        re.compile(r".{0,80}so auto mode cannot determine the safety"),
        "auto mode could not judge it",
    ),
    (re.compile(r"File is in a directory that is denied"), "permission rule"),
    (re.compile(r"Skill execution blocked by permission rules"), "permission rule"),
    (
        re.compile(r".{0,2000}?was blocked\. For security, Claude Code may only", re.DOTALL),
        "outside the allowed directories",
    ),
    (re.compile(r"PreToolUse:\S+ (\[.{0,500}?\]: )?hook "), "blocked by a hook"),
    (re.compile(r"(Blocked|Execution stopped) by PreToolUse hook"), "blocked by a hook"),
    (re.compile(r"Hook PreToolUse:\S+ denied"), "blocked by a hook"),
)
_INTERRUPTED = (
    # A command that the user stopped has the exit code of the signal before it.
    (re.compile(r"(Exit code -?\d+\n)?\[Request interrupted by user"), "interrupted by the user"),
    (re.compile(r"Permission prompt was aborted"), "permission prompt aborted"),
    (re.compile(r"(Sibling tool call errored|Cancelled: parallel)"), "cancelled sibling"),
    (re.compile(r"Streaming fallback - tool execution discarded"), "discarded"),
)
_WRAPPER = "<tool_use_error>"
_EXIT_CODE = re.compile(r"Exit code -?\d+")
# What tools themselves say without the wrapper: error codes of the system, and sentences of Edit,
# Read and KillShell.
_TOOL_SAYS = re.compile(
    r"E[A-Z]{3,}: |connect E[A-Z]{3,} |Found \d+ matches of the string|"
    r"String to replace not found|File (does not exist|has (not been read|been modified))|"
    r"Shell \S+ is not running|File content \(.{1,60}?\) exceeds maximum allowed|"
    r"No changes to make: old_string and new_string are exactly the same|"
    r"(Path|Directory|Notebook file) does not exist|No task found with ID: |"
    r"Cell with ID .{1,80}? not found in notebook|Request failed with status code \d+"
)
_ALL_MARKED = (2, 1, 205)
_MAX_REASON = 80


def classify_error(
    text: str,
    *,
    denial_kind: str | None = None,
    result: str | None = None,
    hook_blocked: bool = False,
    interrupted: bool = False,
) -> tuple[CallOutcome, str]:
    """Outcome and reason of a call whose result is flagged as an error.

    `text` is the beginning of the result, `denial_kind` the entry's `toolDenialKind`, `result` its
    `toolUseResult` where that is a string, `hook_blocked` whether a blocking hook is on record for
    the call, `interrupted` the flag in its structured result. Refusals by a person, a rule or a
    hook are `denied`.
    """
    if _STOPPED.match(text):
        return "interrupted", "stopped while it ran"
    if denial_kind in _NO_REFUSALS:
        return ("unknown" if _MAY_HAVE_RUN.match(text) else "interrupted"), str(denial_kind)
    if denial_kind is not None:
        return "denied", _KINDS.get(denial_kind, denial_kind)
    if hook_blocked:
        return "denied", "blocked by a hook"
    plain = text.lstrip()
    wrapped = plain.startswith(_WRAPPER)
    if wrapped:
        plain = plain[len(_WRAPPER) :].lstrip()
    said = plain.removeprefix("Error: ")
    for pattern, reason in _INTERRUPTED:
        if pattern.match(said):
            return "interrupted", reason
    for pattern, reason in _DENIED:
        if pattern.match(said):
            return "denied", reason
    if result == "User rejected tool use":
        return "denied", "rejected by the user"
    if interrupted:
        return "interrupted", "interrupted"
    if _MAY_HAVE_RUN.match(plain) and not _EXIT_CODE.match(plain):
        return "unknown", "no answer; the tool may have run"
    exit_code = _EXIT_CODE.match(plain)
    if exit_code:
        return "failed", exit_code.group()
    return "failed", short_reason(plain.replace("</tool_use_error>", ""))


def may_be_refusal(name: str, text: str, *, version: str | None = None) -> bool:
    """Whether a call of tool `name` that failed with this text may have been refused instead.

    The words of a person who rejects a call, of an SDK's permission callback and of a hook that
    answers in JSON stand in the result bare, and up to 2.1.204 nothing beside them says so. Errors
    of tools are told apart by how they begin; what an MCP server answers is taken for its own.
    """
    if name.startswith("mcp__") or _version(version) >= _ALL_MARKED:
        return False
    plain = text.lstrip()
    return not (plain.startswith(_WRAPPER) or _EXIT_CODE.match(plain) or _TOOL_SAYS.match(plain))


def may_have_run(text: str, *, version: str | None = None) -> bool:
    """Whether a call refused with this text may have been stopped while it ran instead.

    Before 2.1.330 Claude Code wrote the words of a person's rejection for both.
    """
    return bool(_REJECTED.match(text.lstrip())) and _version(version) < _STOPS_MARKED


def _version(text: str | None) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", text or "")
    return tuple(int(part) for part in found.groups()) if found else ()


def short_reason(text: str) -> str:
    """The first line of `text`, cut to what fits beside a verdict."""
    return cut(text.strip().split("\n", 1)[0], _MAX_REASON)
