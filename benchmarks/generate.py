"""Transcripts of any size, like real ones, from a seed.

    python benchmarks/generate.py OUT.jsonl --size 50MB --seed 1 [--results 1.0]

The mix of entries and the sizes of tool results follow 55 public transcripts (8,287 lines, 19 MB):
a quarter of the lines are tool results with half of the bytes, log-normal with a median of 1.9 kB
and a tail to 85 kB; the rest are tool calls, thinking, texts, progress entries, attachments,
snapshots. `--results` scales the results. Two equal command lines give equal bytes.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

__all__ = ["parse_size", "transcript", "write"]

_SESSION = "7c0f9a52-3d41-4a6e-9c7f-2b6f0e8d1a{:02x}"
_TEXT = """the of and to in def return self import class if else for while with as from None True
print error test value file path name data session result index count total SELECT FROM WHERE GROUP
BY table schema "quoted" 'single' {json} [list] (call) = == != -> # // /* */ \\ ü é ✓ — INFO
2026-01-21 DEBUG module.py:42 assert raises pytest coverage merge branch commit"""
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def parse_size(text: str) -> int:
    """`500MB`, `1.5GB`, `10KB`, `4096` as bytes."""
    plain = text.strip().upper().removesuffix("B")
    unit = plain[-1:] if plain[-1:] in "KMG" else ""
    return int(float(plain.removesuffix(unit)) * _UNITS[unit])


class _Writer:
    """Makes the entries of one session, one after the other."""

    def __init__(self, seed: int, results: float) -> None:
        self.random = random.Random(seed)
        self.scale = results
        self.session = _SESSION.format(seed % 256)
        self.time = datetime(2026, 1, 21, 6, tzinfo=timezone.utc)
        self.count = 0
        self.parent: str | None = None
        pool = self.random.choices(_TEXT.split(), k=60_000)
        lines = [" ".join(pool[n : n + 9]) for n in range(0, len(pool), 9)]
        self.blob = "\n".join(lines)

    def text(self, size: float) -> str:
        """About `size` characters of something like code and logs."""
        size = max(int(size), 1)
        start = self.random.randrange(len(self.blob))
        piece = self.blob[start : start + size]
        while len(piece) < size:
            piece += self.blob[: size - len(piece)]
        return piece

    def entry(self, kind: str, **fields: Any) -> dict[str, Any]:
        """An entry with what all of them carry."""
        self.count += 1
        self.time += timedelta(milliseconds=self.random.randrange(20, 9000))
        uuid = f"{self.count:08x}-0000-4000-8000-{self.random.getrandbits(48):012x}"
        made = {
            "parentUuid": self.parent,
            "isSidechain": False,
            "userType": "external",
            "cwd": "/home/dev/lakehouse",
            "sessionId": self.session,
            "version": "2.1.62",
            "gitBranch": "main",
            "slug": "calm-baking-otter",
            "type": kind,
            **fields,
            "uuid": uuid,
            "timestamp": self.time.strftime("%Y-%m-%dT%H:%M:%S.")
            + f"{self.time.microsecond // 1000:03d}Z",
        }
        self.parent = uuid
        return made

    def assistant(self, message: str, block: dict[str, Any], usage: dict[str, Any]) -> Any:
        """One line of an API message."""
        body = {
            "model": "claude-opus-4-8",
            "id": message,
            "type": "message",
            "role": "assistant",
            "content": [block],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": usage,
        }
        return self.entry("assistant", message=body, requestId=f"req_{message}")

    def turn(self) -> Iterator[dict[str, Any]]:
        """One API message over its lines, its tool calls and what surrounds them."""
        chance = self.random.random
        message = f"msg_{self.random.getrandbits(96):024x}"
        usage = {
            "input_tokens": self.random.randrange(1, 12),
            "cache_creation_input_tokens": self.random.randrange(100, 4000),
            "cache_read_input_tokens": self.random.randrange(10_000, 150_000),
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": self.random.randrange(20, 900),
            "service_tier": "standard",
        }
        if chance() < 0.42:
            thinking = self.text(self.random.lognormvariate(6.2, 0.9))
            signature = self.text(400)
            block = {"type": "thinking", "thinking": thinking, "signature": signature}
            yield self.assistant(message, block, usage)
        if chance() < 0.45:
            words = self.text(self.random.lognormvariate(5.6, 0.8))
            yield self.assistant(message, {"type": "text", "text": words}, usage)
        for _ in range(1 if chance() < 0.85 else 3):
            yield from self.call(message, usage)
        if chance() < 0.22:
            content = self.text(self.random.lognormvariate(5.5, 1.6))
            attached = {"type": "task_reminder", "content": content}
            yield self.entry("attachment", attachment=attached)
        if chance() < 0.15:
            snapshot = {"trackedFileBackups": {"a.py": {"backupFileName": self.text(300)}}}
            yield self.entry("file-history-snapshot", messageId=message, snapshot=snapshot)
        if chance() < 0.15:
            hooks = [{"command": self.text(200), "durationMs": 12}]
            yield self.entry("system", subtype="stop_hook_summary", hookInfos=hooks)
        if chance() < 0.1:
            yield {"type": "last-prompt", "lastPrompt": self.text(60), "sessionId": self.session}
        if chance() < 0.12:
            size = self.random.lognormvariate(5, 1.4)
            yield self.entry("user", message={"role": "user", "content": self.text(size)})

    def call(self, message: str, usage: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A tool call, its progress and its result."""
        call_id = f"toolu_{self.random.getrandbits(96):024x}"
        name = self.random.choices(("Bash", "Read", "Edit", "Grep", "Write"), (44, 23, 17, 9, 7))[0]
        path = f"/home/dev/lakehouse/src/module_{self.random.randrange(80)}.py"
        size = min(self.random.lognormvariate(6.35, 1.6), 45_000) * self.scale
        text = self.text(size)
        arguments: dict[str, Any] = {"file_path": path}
        structured: dict[str, Any] = {"filePath": path, "structuredPatch": [], "content": text}
        if name == "Bash":
            arguments = {"command": self.text(140), "description": "Run it"}
            structured = {"stdout": text, "stderr": "", "interrupted": False, "isImage": False}
        elif name == "Read":
            structured = {"type": "text", "file": {"filePath": path, "content": text}}
        elif name == "Grep":
            arguments = {"pattern": "def .*", "path": path}
            structured = {"mode": "content", "filenames": [], "content": text, "numFiles": 0}
        elif name == "Edit":
            arguments |= {"old_string": self.text(300), "new_string": self.text(320)}
            structured |= {"oldString": arguments["old_string"], "originalFile": text}
        else:
            arguments["content"] = self.text(1300)
            structured |= {"type": "create", "content": arguments["content"]}
            text = f"File created successfully at: {path}"
        block = {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
        yield self.assistant(message, block, usage)
        for _ in range(self.random.choices((0, 1, 2), (65, 25, 10))[0]):
            data = {"type": "bash_progress", "output": self.text(300), "elapsedTimeSeconds": 2}
            yield self.entry("progress", data=data, toolUseID="b", parentToolUseID=call_id)
        failed = self.random.random() < 0.04
        answer = {"tool_use_id": call_id, "type": "tool_result", "content": text}
        if failed:
            answer |= {"content": f"Exit code 1\n{text[:400]}", "is_error": True}
        extra: Any = f"Error: Exit code 1\n{text[:400]}" if failed else structured
        body = {"role": "user", "content": [answer]}
        yield self.entry("user", message=body, toolUseResult=extra)


def transcript(size: int, *, seed: int = 1, results: float = 1.0) -> Iterator[bytes]:
    """Lines of one session until they are `size` bytes."""
    writer = _Writer(seed, results)
    first = writer.entry("user", message={"role": "user", "content": "Make the tests pass."})
    done = 0
    pending: Iterator[dict[str, Any]] = iter([first])
    while done < size:
        for entry in pending:
            line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            done += len(line)
            yield line
        pending = writer.turn()


def write(path: Path, size: int, *, seed: int = 1, results: float = 1.0) -> Path:
    """Write one transcript."""
    with path.open("wb") as file:
        file.writelines(transcript(size, seed=seed, results=results))
    return path


def _main() -> None:
    parser = argparse.ArgumentParser(description="Write a transcript like a real one.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=parse_size, default=parse_size("10MB"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=float, default=1.0, help="scales the tool results")
    given = parser.parse_args()
    write(given.out, given.size, seed=given.seed, results=given.results)


if __name__ == "__main__":
    _main()
