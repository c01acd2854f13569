"""A reverse proxy on loopback that does to requests what networks and servers do.

Faults are decided by a rule that sees each request; everything is real HTTP, the client and the
server on either side are unchanged. A seeded generator makes a run repeatable as far as the order
of concurrent requests is.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["Fault", "FaultyProxy", "every", "share"]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to one request: a `status` instead of an answer, a `reset` of the connection, a
    `stall` in seconds before it is passed on. With `after` the server did the work, and only the
    answer is lost.
    """

    status: int | None = None
    retry_after: int | None = None
    reset: bool = False
    stall: float = 0.0
    after: bool = False


Rule = Callable[[str, str], "Fault | None"]
"""(method, path) to the fault for this request."""


def share(part: float, fault: Fault, *, seed: int = 7, path: str = "", method: str = "") -> Rule:
    """`fault` for this share of the requests whose path contains `path`."""
    generator = random.Random(seed)
    lock = threading.Lock()

    def rule(verb: str, target: str) -> Fault | None:
        if path not in target or method not in ("", verb):
            return None
        with lock:
            return fault if generator.random() < part else None

    return rule


def every(
    number: int, fault: Fault, *, path: str = "", method: str = "", most: int = 10**9
) -> Rule:
    """`fault` for every `number`-th matching request, at most `most` times."""
    seen = [0, 0]
    lock = threading.Lock()

    def rule(verb: str, target: str) -> Fault | None:
        if path not in target or method not in ("", verb):
            return None
        with lock:
            seen[0] += 1
            if seen[0] % number or seen[1] >= most:
                return None
            seen[1] += 1
            return fault

    return rule


@dataclass
class FaultyProxy:
    """Listens on `url` and passes requests on to `target` ("http://127.0.0.1:5000")."""

    target: str
    rule: Rule | None = None
    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[FaultyProxy]:
        """The proxy listens inside the `with` block."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        server.block_on_close = False
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    @contextmanager
    def doing(self, rule: Rule) -> Iterator[FaultyProxy]:
        """The faults of `rule` happen inside the `with` block; counts start at zero."""
        self.requests.clear()
        self.faults.clear()
        self.rule = rule
        try:
            yield self
        finally:
            self.rule = None


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    address = urlsplit(proxy.target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.requests[f"{self.command} {self.path.split('?')[0]}"] += 1
            fault = proxy.rule(self.command, self.path) if proxy.rule else None
            if fault is None:
                self._pass_on(body)
                return
            proxy.faults[self.command] += 1
            if fault.stall:
                time.sleep(fault.stall)
            if fault.after:
                self._ask(body)
            if fault.reset:
                # RST instead of FIN: what a dying server or a middlebox sends.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                self.close_connection = True
            elif fault.status is not None:
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                self._answer(fault.status, b'{"error_code": "INTERNAL_ERROR"}', headers)
            elif not fault.after:
                self._pass_on(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

        def _ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            try:
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                received = answer.read()
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
                return answer.status, received, kept
            finally:
                connection.close()

        def _pass_on(self, body: bytes) -> None:
            try:
                status, received, headers = self._ask(body)
            except OSError:  # the server is down
                self._answer(502, b"", {})
                return
            self._answer(status, received, headers)

        def _answer(self, status: int, body: bytes, headers: dict[str, object]) -> None:
            try:
                self.send_response_only(status)
                for key, value in headers.items():
                    self.send_header(key, str(value))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the client gave up waiting
                self.close_connection = True

    return Handler
