"""A way to PostgreSQL that loses the connection at a COMMIT: before the server hears of it, or after it has done it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Self

from psycopg2.extensions import make_dsn, parse_dsn


class LosingProxy:
    """Passes bytes on, both ways, between clients of its own socket and the server's."""

    def __init__(self, url: str, *, after: bool) -> None:
        parameters = parse_dsn(url)
        self._folder = Path(tempfile.mkdtemp(prefix="ddb2pg-proxy-"))
        self._server = f"{parameters['host']}/.s.PGSQL.5432"
        self._listening = socket.socket(socket.AF_UNIX)
        self._after = after
        self._is_armed = False
        self.lost = 0
        self.url = make_dsn(**{**parameters, "host": str(self._folder)})

    def __enter__(self) -> Self:
        self._listening.bind(str(self._folder / ".s.PGSQL.5432"))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        shutil.rmtree(self._folder)

    def lose_next_commit(self) -> None:
        self._is_armed = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                _Connection(self, client, server).start()

    def is_to_be_lost(self, message: bytes) -> bool:
        """Whether it is the COMMIT that was armed for; only one is."""
        if not self._is_armed or b"COMMIT\0" not in message:
            return False
        self._is_armed = False
        self.lost += 1
        return True

    @property
    def is_after(self) -> bool:
        return self._after


class _Connection:
    def __init__(self, proxy: LosingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._is_lost = False

    def start(self) -> None:
        for pump in (self._to_server, self._to_client):
            threading.Thread(target=pump, daemon=True).start()

    def _to_server(self) -> None:
        with contextlib.suppress(OSError):
            while message := self._client.recv(1 << 16):
                if self._proxy.is_to_be_lost(message):
                    self._is_lost = True
                    if not self._proxy.is_after:
                        break
                self._server.sendall(message)
        self._end()

    def _to_client(self) -> None:
        with contextlib.suppress(OSError):
            # The answer to the lost COMMIT says that it is done; the client never gets it.
            while (message := self._server.recv(1 << 16)) and not self._is_lost:
                self._client.sendall(message)
        self._end()

    def _end(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
