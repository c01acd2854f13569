"""A stand-in for the model API that many sessions may ask at the same time.

Unlike the recorder's, which plays one scenario once, it keeps no count: what it answers follows
from the request alone. A `Script` is chosen by a text in the conversation's first message, its step
by the number of answers that the conversation holds.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.recorder.scenario import Usage
from tests.recorder.standin import events

__all__ = ["Fault", "ModelServer", "Script", "say", "use"]

Block = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An answer that is none: an HTTP status, or silence for so many seconds."""

    status: int = 0
    hang: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Script:
    """What the model says in conversations whose first message holds `match`.

    With `offered`, only in those that are told of a skill with that name (`offered=""`: any).
    """

    match: str
    steps: tuple[tuple[Block, ...] | Fault, ...]
    offered: str = ""
    usage: Usage = field(default_factory=lambda: Usage(input=10, output=20))


def say(text: str) -> tuple[Block, ...]:
    """A step that is only text: the model's last word."""
    return ({"type": "text", "text": text},)


def use(tool: str, **arguments: Any) -> tuple[Block, ...]:
    """A step that calls one tool."""
    return ({"type": "tool_use", "name": tool, "input": arguments},)


class ModelServer:
    """Serves scripts on 127.0.0.1; a context manager. `requests` are all that were answered."""

    def __init__(self, scripts: Iterable[Script]) -> None:
        self.scripts = tuple(scripts)
        self.requests: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What leads Claude Code here; a key is needed, any will do."""
        return {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "a-key-for-the-scripted-server",
            "CLAUDE_CODE_MAX_RETRIES": "1",
        }

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body for one request."""
        if not request.get("tools"):  # a title, a summary
            return 200, _message(request, say("Done."), Usage(input=0, output=0))
        self.requests.append(dict(request))
        messages = request["messages"]
        first = _text(messages[0]["content"])
        told = "\n".join(_text(m["content"]) for m in messages) + _text(request.get("system") or "")
        script = next(
            (
                s
                for s in self.scripts
                if s.match in first and (not s.offered or f"- {s.offered}: " in told)
            ),
            None,
        )
        at = sum(message["role"] == "assistant" for message in messages)
        if script is None or at >= len(script.steps):
            self.problems.append(f"no answer {at + 1} for: {first[-300:]}")
            return 400, _error(400, "the script has no such step")
        step = script.steps[at]
        if isinstance(step, Fault):
            if step.hang:
                self.stopping.wait(step.hang)
            return step.status or 500, _error(step.status or 500, "scripted failure")
        return 200, _message(request, step, script.usage)


def _message(request: Mapping[str, Any], step: Iterable[Block], usage: Usage) -> dict[str, Any]:
    content = [
        {**block, "id": f"toolu_{uuid.uuid4().hex[:22]}"} if block["type"] == "tool_use" else block
        for block in step
    ]
    uses = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{uuid.uuid4().hex[:22]}",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", "claude-sonnet-4-5-20250929"),
        "content": content,
        "stop_reason": "tool_use" if uses else "end_turn",
        "stop_sequence": None,
        "usage": usage.to_api(),
    }


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", "")) for block in content if isinstance(block, Mapping))


def _error(status: int, message: str) -> dict[str, Any]:
    kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, json.dumps({"data": [], "has_more": False}), "application/json")

        def do_HEAD(self) -> None:
            self._send(200, "", "application/json")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            if path != "/v1/messages":
                self._send(200, json.dumps({"input_tokens": 10}), "application/json")
                return
            request = json.loads(body)
            status, message = server.answer(request)
            if status != 200 or not request.get("stream"):
                self._send(status, json.dumps(message), "application/json")
                return
            lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events(message))
            self._send(200, "".join(lines), "text/event-stream; charset=utf-8")

        def _send(self, status: int, body: str, kind: str) -> None:
            data = body.encode()
            try:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                time.sleep(0)  # a CLI that was ended hangs up in the middle of an answer

        def log_message(self, *args: Any) -> None:
            """Silence."""

    return Handler
