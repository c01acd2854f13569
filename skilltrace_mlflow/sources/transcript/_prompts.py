"""What a person said, told apart from everything else that travels as a user entry."""

from __future__ import annotations

from skilltrace_mlflow.sources.transcript._injected import is_injected
from skilltrace_mlflow.sources.transcript._wire import Block, Entry

__all__ = ["first_text", "prompt_text", "slash_command", "spoken", "typed_command"]

_COMMAND = "<command-name>"


def prompt_text(entry: Entry) -> str | None:
    """The text of a user entry if a person (or the calling program) wrote it, else None."""
    message = entry.message
    if message is None or entry.isMeta or entry.isCompactSummary or entry.sourceToolUseID:
        return None
    if entry.isSynthetic:  # `isMeta` in the output of `claude -p`
        return None
    if entry.origin is not None and entry.origin.kind not in (None, "human"):
        return None
    return spoken(message.content)


def spoken(content: str | list[Block] | None) -> str | None:
    """The text of a content, without injected blocks; None when nothing is left.

    An image without words is `[image]`. A content with a tool result is never a person's.
    """
    if isinstance(content, str):
        return None if not content or is_injected(content) else content
    if not content:
        return None
    texts = []
    images = False
    for block in content:
        if block.type == "tool_result":
            return None
        if block.type == "image":
            images = True
        elif block.text and not is_injected(block.text):
            texts.append(block.text)
    if texts:
        return "\n".join(texts)
    return "[image]" if images else None


def slash_command(content: str | list[Block] | None) -> str | None:
    """The name in a slash command's entry (`/name` without the slash), None if it is none."""
    if not isinstance(content, str) or _COMMAND not in content[:2000]:
        return None
    name = content.split(_COMMAND, 1)[1].split("<", 1)[0].strip().lstrip("/")
    return name or None


def typed_command(content: str | list[Block] | None) -> str | None:
    """What a person typed, from a slash command's entry: `/name arguments`."""
    name = slash_command(content)
    if name is None or not isinstance(content, str):
        return None
    arguments = content.partition("<command-args>")[2].partition("</command-args>")[0].strip()
    return f"/{name} {arguments}".rstrip()


def first_text(content: str | list[Block] | None) -> str:
    """The first words of a content, whoever wrote them."""
    if isinstance(content, list):
        return next((block.text for block in content if block.text), "")
    return content or ""
