"""A way to PostgreSQL over TCP on which things go wrong as planned: commits lose their connection, bytes are late or lost, nobody hears."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Self

from psycopg2.extensions import make_dsn, parse_dsn

_COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
_CLAIM = b"INSERT INTO ddb2pg.chunk "


class Lost(Enum):
    """Where the connection is lost: before the server hears of a COMMIT, or after it has done it and before its answer comes."""

    BEFORE = "before"
    AFTER = "after"


class PostgresProxy:
    """Passes bytes on, both ways, between TCP clients and the server's socket.

    `plan` is asked at each COMMIT, with its number from 1: of transactions that claimed a chunk, or with `of_all` of any.
    """

    def __init__(self, url: str, plan: Callable[[int], Lost | None] = lambda _: None, *, of_all: bool = False) -> None:
        parameters = parse_dsn(url)
        self.server_socket = f"{parameters['host']}/.s.PGSQL.{parameters.get('port', 5432)}"
        self.plan = plan
        self.of_all = of_all
        self.delay = 0.0
        """Seconds by which every message of the client is late."""
        self.delayed = 0
        self.swallows: Callable[[bytes], bool] = lambda _: False
        """Asked of each message of the client; from a swallowed one on nothing passes on its connection any more, either way."""
        self.lost = dict.fromkeys(Lost, 0)
        self.commits = 0
        self.swallowed = 0
        self.refusals = 0
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._listening = self._listen(0)
        self.port = self._listening.getsockname()[1]
        self.url = make_dsn(**{**parameters, "host": "127.0.0.1", "port": self.port})

    def __enter__(self) -> Self:
        self._accept_in_background()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()

    def refuse(self) -> None:
        """From now on nobody listens, and connections that are open are reset."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.end()
        self.refusals += 1

    def listen_again(self) -> None:
        """At the same port."""
        self._listening = self._listen(self.port)
        self._accept_in_background()

    def _listen(self, port: int) -> socket.socket:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(64)
        return listening

    def _accept_in_background(self) -> None:
        threading.Thread(target=self._accept, args=[self._listening], daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = listening.accept()[0]
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self.server_socket)
                except OSError:
                    # The server is down: so is what we stand for.
                    client.close()
                    continue
                connection = _Connection(self, client, server)
                with self._lock:
                    self._connections.add(connection)
                connection.start()

    def forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.discard(connection)

    def lose_next_commit(self, lost: Lost) -> None:
        """That one, and no other: from now on this is the plan."""
        with self._lock:
            planned = self.commits + 1
            self.plan = lambda number: lost if number == planned else None

    def fate_of_commit(self) -> Lost | None:
        """What the plan says of the next COMMIT."""
        with self._lock:
            self.commits += 1
            lost = self.plan(self.commits)
            if lost is not None:
                self.lost[lost] += 1
            return lost


class _Connection:
    def __init__(self, proxy: PostgresProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._has_claimed = False
        self._is_lost = False
        self._is_swallowed = False

    def start(self) -> None:
        for pump in (self._to_server, self._to_client):
            threading.Thread(target=pump, daemon=True).start()

    def _to_server(self) -> None:
        with contextlib.suppress(OSError):
            while message := self._client.recv(1 << 16):
                if self._proxy.delay:
                    time.sleep(self._proxy.delay)
                    self._proxy.delayed += 1
                if not self._is_swallowed and self._proxy.swallows(message):
                    self._is_swallowed = True
                    self._proxy.swallowed += 1
                if self._is_swallowed:
                    continue
                self._has_claimed |= _CLAIM in message
                if message == _COMMIT and (self._has_claimed or self._proxy.of_all):
                    self._has_claimed = False
                    lost = self._proxy.fate_of_commit()
                    if lost is Lost.BEFORE:
                        break
                    self._is_lost = lost is Lost.AFTER
                self._server.sendall(message)
        self.end()

    def _to_client(self) -> None:
        with contextlib.suppress(OSError):
            while message := self._server.recv(1 << 16):
                if self._is_lost:
                    # The server has done it; its client will never be told.
                    break
                if not self._is_swallowed:
                    self._client.sendall(message)
        self.end()

    def end(self) -> None:
        """Reset, as a network does; the server is left to find out by itself."""
        with contextlib.suppress(OSError):
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._proxy.forget(self)
