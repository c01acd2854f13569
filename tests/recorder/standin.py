"""A stand-in for the model API on loopback that answers from a scenario.

It speaks just enough of the Messages API for the CLI: streaming (server-sent events) and
plain answers to `POST /v1/messages`, `count_tokens`, and harmless answers to the rest.
Requests of the scenario's agents consume their steps in order; side requests (titles, page
summaries: no tools offered) are answered with the scenario's `side_usage`: none where older
versions leave nothing of them in the transcript, real figures where the CLI states them itself.
Whatever does not fit is kept in `StandIn.problems`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.recorder.scenario import MAIN, Agent, Scenario, Step

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["StandIn"]

_ERRORS = {
    400: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


class StandIn:
    """Serves one scenario on 127.0.0.1; a context manager.

    `values` fill `{name}` placeholders in tool inputs (`{cwd}`, `{home}`, `{url}` and what
    an agent's `captures` read off its requests). After the run `problems` must be empty and
    `unplayed()` too.
    """

    def __init__(self, scenario: Scenario, values: Mapping[str, str] | None = None) -> None:
        self.scenario = scenario
        self.values = dict(values or {})
        self.problems: list[str] = []
        self.side_requests: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self._played = dict.fromkeys(scenario.agents, 0)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Base address, for `ANTHROPIC_BASE_URL`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StandIn:
        self.values.setdefault("url", self.url)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def played(self, agent: str = MAIN) -> int:
        """How many steps of an agent were asked for so far."""
        return self._played[agent]

    def unplayed(self) -> list[str]:
        """Steps that nobody asked for, one sentence per agent."""
        return [
            f"agent '{name}' played {self._played[name]} of {len(agent.steps)} steps"
            for name, agent in self.scenario.agents.items()
            if self._played[name] < len(agent.steps)
        ]

    def answer(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body (a whole message, or an error) for one request."""
        with self._lock:
            self.requests.append(dict(request))
            agent = self._agent_of(request)
            if agent is None:
                self.side_requests.append(_system_text(request)[:200])
                return 200, self._side_message(request)
            at = self._played[agent.name]
            self._played[agent.name] = at + 1
            self._capture(agent, request)
        if at >= len(agent.steps):
            self.problems.append(f"agent '{agent.name}' asked for step {at + 1}: none left")
            return 400, _error(400, "the scenario has no more steps")
        step = agent.steps[at]
        time.sleep(step.delay)
        if step.error is not None:
            return step.error, _error(step.error, "scripted failure")
        return 200, self._message(request, agent, at, step)

    def _agent_of(self, request: Mapping[str, Any]) -> Agent | None:
        if not request.get("tools"):
            return None
        first = _text_of(next(iter(request.get("messages", [])), {}))
        for agent in self.scenario.agents.values():
            if agent.match is not None and agent.match in first:
                return agent
        return self.scenario.agents[MAIN]

    def _capture(self, agent: Agent, request: Mapping[str, Any]) -> None:
        text = "\n".join(_text_of(message) for message in request.get("messages", []))
        for name, pattern in agent.captures.items():
            found = re.findall(pattern, text)
            if found:
                self.values[name] = found[-1]

    def _message(
        self, request: Mapping[str, Any], agent: Agent, at: int, step: Step
    ) -> dict[str, Any]:
        key = f"{self.scenario.name}/{agent.name}/{at}"
        content = [self._block(key, i, block) for i, block in enumerate(step.content)]
        uses_tools = any(block["type"] == "tool_use" for block in content)
        return {
            "id": _identifier("msg_01", key),
            "type": "message",
            "role": "assistant",
            "model": step.model or agent.model or request.get("model", self.scenario.model),
            "content": content,
            "stop_reason": step.stop_reason or ("tool_use" if uses_tools else "end_turn"),
            "stop_sequence": None,
            "usage": step.usage.to_api(),
        }

    def _block(self, key: str, index: int, block: Mapping[str, Any]) -> dict[str, Any]:
        if "text" in block:
            return {"type": "text", "text": self.fill(block["text"])}
        if "thinking" in block:
            signature = _identifier("EqQB", f"{key}/{index}/signature")
            return {"type": "thinking", "thinking": block["thinking"], "signature": signature}
        return {
            "type": "tool_use",
            "id": _identifier("toolu_01", f"{key}/{index}"),
            "name": block["tool"],
            "input": self.fill(block.get("input", {})),
        }

    def _side_message(self, request: Mapping[str, Any]) -> dict[str, Any]:
        text = self.scenario.side_answer
        if "json_schema" in json.dumps(request.get("output_config") or {}):
            text = json.dumps({"title": self.scenario.name})
        usage = self.scenario.side_usage.to_api()
        return {
            "id": _identifier("msg_01", f"{self.scenario.name}/side/{len(self.requests)}"),
            "type": "message",
            "role": "assistant",
            "model": request.get("model", self.scenario.model),
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }

    def fill(self, value: Any) -> Any:
        """Replace `{name}` placeholders in every string of a JSON value."""
        if isinstance(value, str):
            for name, text in self.values.items():
                value = value.replace("{" + name + "}", text)
            return value
        if isinstance(value, Mapping):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        return value


def _identifier(prefix: str, key: str) -> str:
    digits = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
    text = ""
    while len(text) < 22:
        number, rest = divmod(number, len(digits))
        text += digits[rest]
    return prefix + text


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content", "")
    if isinstance(content, str):
        return content
    parts = []
    for block in content:
        inner = block.get("content")
        parts.append(block.get("text", "") if inner is None else _text_of({"content": inner}))
    return "\n".join(parts)


def _system_text(request: Mapping[str, Any]) -> str:
    return _text_of({"content": request.get("system") or ""})


def _error(status: int, message: str) -> dict[str, Any]:
    kind = _ERRORS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One whole message as the sequence of events in which the API streams it.

    The first event holds a placeholder for the output tokens, the last but one the real
    figure, as the API does it; readers of transcripts stumble over exactly this.
    """
    usage = message["usage"]
    opening = {**message, "content": [], "stop_reason": None}
    opening["usage"] = {**usage, "output_tokens": min(1, usage["output_tokens"])}
    yield {"type": "message_start", "message": opening}
    for index, block in enumerate(message["content"]):
        start, deltas = _parts(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    final = {key: value for key, value in usage.items() if key.endswith("_tokens")}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
        "usage": final,
    }
    yield {"type": "message_stop"}


def _parts(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    return {**block, "input": {}}, [delta]


def _handler(standin: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._json(200, {"data": [], "has_more": False})

        def do_HEAD(self) -> None:
            self._send(200, b"", "application/json")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            if path == "/v1/messages/count_tokens":
                self._json(200, {"input_tokens": max(1, len(body) // 4)})
            elif path == "/v1/messages":
                self._messages(json.loads(body))
            else:
                self._json(200, {})

        def _messages(self, request: dict[str, Any]) -> None:
            status, message = standin.answer(request)
            if status != 200 or not request.get("stream"):
                self._json(status, message)
                return
            lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events(message))
            self._send(200, "".join(lines).encode(), "text/event-stream; charset=utf-8")

        def _json(self, status: int, value: Any) -> None:
            self._send(status, json.dumps(value).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            number = len(standin.requests)
            try:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                key = f"{standin.scenario.name}/request/{number}"
                self.send_header("request-id", _identifier("req_01", key))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError as error:
                # A CLI that was told to stop hangs up in the middle of an answer.
                standin.side_requests.append(f"connection closed: {error}")

        def log_message(self, *args: Any) -> None:
            """Silence: the recorder reports problems, not requests."""

    return Handler
