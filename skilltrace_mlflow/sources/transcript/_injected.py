"""How Claude Code marks what it puts into the conversation itself."""

from __future__ import annotations

__all__ = ["INJECTED", "is_injected"]

# Tags at the very beginning of the text: slash commands and their output, shell mode,
# notifications, reminders, messages of other agents, editor context.
INJECTED = (
    "<bash-",
    "<command-",
    "<ide_",
    "<local-command-",
    "<system-reminder",
    "<task-notification",
    "<teammate-message",
    "[Request interrupted",
)


def is_injected(text: str) -> bool:
    """Whether a text was not said by a person, going by how it begins."""
    return text.lstrip().startswith(INJECTED)
