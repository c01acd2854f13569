"""Wildcards as Claude Code's permission rules write them."""

from __future__ import annotations

__all__ = ["wildcard"]


def wildcard(pattern: str, text: str) -> bool:
    """Whether all of `text` is matched, `*` for any text and `\\*` for a star; linear in effect."""
    pieces = [piece.replace("\0", "*") for piece in pattern.replace("\\*", "\0").split("*")]
    if len(pieces) == 1:
        return text == pieces[0]
    if not text.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(pieces[-1]) and text.endswith(pieces[-1])
