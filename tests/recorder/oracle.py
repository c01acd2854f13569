"""Compares a fresh recording with the CLI's own token totals.

Deliberately not the package's parser: the recorder must be able to contradict it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["cli_totals", "compare", "transcript_totals"]

_FIELDS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
}


def transcript_totals(folder: Path) -> dict[str, int]:
    """Sum of usage over all transcripts of a recording, each message id counted once."""
    messages: dict[str, Mapping[str, Any]] = {}
    for entry in _entries(folder):
        message = entry.get("message") or {}
        if entry.get("type") != "assistant" or message.get("model") == "<synthetic>":
            continue
        usage = message["usage"]
        known = messages.get(message["id"])
        if known is None or usage["output_tokens"] >= known["output_tokens"]:
            messages[message["id"]] = usage
    return {name: sum(usage.get(name, 0) for usage in messages.values()) for name in _FIELDS}


def cli_totals(folder: Path) -> dict[str, int]:
    """Sum of `modelUsage` over models and over the recording's invocations."""
    totals = dict.fromkeys(_FIELDS, 0)
    for path in sorted(folder.glob("result*.json")):
        for usage in json.loads(path.read_text(encoding="utf-8"))["modelUsage"].values():
            for name, key in _FIELDS.items():
                totals[name] += usage[key]
    return totals


def compare(folder: Path) -> list[str]:
    """The figures in which transcript and CLI differ; empty when they agree."""
    ours, theirs = transcript_totals(folder), cli_totals(folder)
    return [
        f"{name}: transcript {ours[name]}, CLI {theirs[name]}"
        for name in _FIELDS
        if ours[name] != theirs[name]
    ]


def _entries(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.rglob("*.jsonl")):
        if path.name != "journal.jsonl":
            for line in path.read_text(encoding="utf-8").split("\n"):
                if line:
                    yield json.loads(line)
