"""A real HTTP server on this machine that keeps what it was sent and answers as a test says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One request, its target as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """One answer. Bytes are sent as they are, everything else as JSON."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    between_bytes: Callable[[], object] | None = None
    """Called after each byte of the body; False ends the body there, and the connection."""

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class WebServer:
    """Listens on a free port of 127.0.0.1 until it is left."""

    def __init__(self, answer: Callable[[Received], Reply] = lambda _: Reply()) -> None:
        self.received: list[Received] = []
        self.answer = answer
        web_server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                received = Received(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                web_server.received.append(received)
                reply = web_server.answer(received)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # who asked may have gone
                    self._send(reply)

            def _send(self, reply: Reply) -> None:
                if reply.between_bytes is None:
                    self.wfile.write(reply.content if self.command != "HEAD" else b"")
                    return
                self.close_connection = True
                for byte in reply.content:
                    self.wfile.write(bytes([byte]))
                    if reply.between_bytes() is False:
                        return

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def last(self) -> Received:
        """The request that came last."""
        return self.received[-1]
