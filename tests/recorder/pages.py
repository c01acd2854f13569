"""A web site on loopback for WebFetch: one page exists, everything else is a 404.

WebFetch insists on https, so the site gets a certificate made for the occasion; the CLI is
told to trust it by `NODE_EXTRA_CA_CERTS`.
"""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["make_certificate", "web_site"]

_PAGE = b"<html><title>Orders API</title><body><p>Orders, page by page.</p></body></html>"


def make_certificate(folder: Path) -> Path:
    """Write a certificate with its key for 127.0.0.1, valid one day, and return its path."""
    target = folder / "loopback.pem"
    certificate = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(target), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    with target.open("ab") as file:
        file.write(certificate.read_bytes())
    return target


@contextmanager
def web_site(certificate: Path) -> Iterator[str]:
    """Serve `/docs/orders` over https while the block runs; yields the base address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/docs/orders"
        body = _PAGE if found else b"<html><body>no such page</body></html>"
        self.send_response(200 if found else 404)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Silence: the recorder reports problems, not requests."""
