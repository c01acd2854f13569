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
    """Sum of usage over all transcripts of a recording, each message id counted once.

    Where the CLI states its own figures behind the last message (`cost-state`), they hold: they
    include the side requests, which leave no message.
    """
    stated = _stated_totals(folder)
    if stated is not None:
        return stated
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


def _stated_totals(folder: Path) -> dict[str, int] | None:
    totals = dict.fromkeys(_FIELDS, 0)
    for path in sorted(folder.glob("*.jsonl")):
        last = None
        for line in path.read_text(encoding="utf-8").split("\n"):
            entry = json.loads(line) if line else {}
            if entry.get("type") in ("assistant", "cost-state"):
                last = entry
        if last is None or last["type"] != "cost-state":
            return None
        for usage in last["modelUsage"].values():
            for name, key in _FIELDS.items():
                totals[name] += usage[key]
    return totals


def cli_totals(folder: Path) -> dict[str, int]:
    """Sum of `modelUsage` over models and over the recording's invocations.

    Where the CLI states its figures in the transcript, too, they are cumulative over resumes: the
    last result of each session holds them all.
    """
    totals = dict.fromkeys(_FIELDS, 0)
    paths = sorted(folder.glob("result*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if _stated_totals(folder) is not None:
        results = list({result["session_id"]: result for result in results}.values())
    for result in results:
        for usage in result["modelUsage"].values():
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
