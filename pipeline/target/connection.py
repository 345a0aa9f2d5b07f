"""Connections to PostgreSQL: how one is made and waited for, and which pooler is between us and the server.

A pooler is recognised by its behaviour, not by its port. It invents the process id of its greeting, which therefore differs from
`pg_backend_pid()`. In session mode each of our connections keeps its own server process from the first transaction to the end. In
transaction mode two of them come to share one, or one of them changes it. Nothing is set in these sessions, so nothing can leak.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ

from pipeline.errors import Refused
from pipeline.target.database_url import DatabaseReference, is_local, safe_words, tls_parameters, tls_problem

APPLICATION_NAME: Final = "ddb2pg"

_CONNECT_TIMEOUT: Final = 10  # seconds
# Find out within a minute that a peer has disappeared.
_KEEPALIVES: Final = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


def connect(reference: DatabaseReference) -> Any:
    """A psycopg2 connection. Raises `psycopg2.Error`, and `Refused` where the reference cannot be looked up, or TLS forbids it."""
    connection = _open(reference)
    # Not READ WRITE: if somebody makes the database or our role read-only, even in the middle of a load, that must hold for us.
    connection.set_session(isolation_level="READ COMMITTED", autocommit=False)
    return connection


def _open(reference: DatabaseReference) -> Any:
    """A secret may have been rotated since it was looked up.

    A failed authentication is reported only in the server's language, so after any failure the secret is looked up once more.
    """
    url = reference.url()
    try:
        return psycopg2.connect(url, **_parameters(url))
    except psycopg2.OperationalError as error:
        problem = tls_problem(str(error), url)
        if problem:
            raise Refused([problem]) from None
        changed = reference.changed_url(url)
        if changed is None:
            raise
    return psycopg2.connect(changed, **_parameters(changed))


def _parameters(url: str) -> dict[str, str | int]:
    """The parameters of every connection, beside its URL."""
    ours: dict[str, str | int] = {"application_name": APPLICATION_NAME, "connect_timeout": _CONNECT_TIMEOUT, "client_encoding": "UTF8"}
    return {**ours, **_KEEPALIVES, **tls_parameters(url)}


def why_not_connected(reference: DatabaseReference) -> str | None:
    """The sentence that says why no connection can be made; None when one can."""
    try:
        connect(reference).close()
    except psycopg2.Error as error:
        return f"the database cannot be reached: {safe_words(error, reference.url())}"
    except Refused as refused:
        return str(refused)
    return None


# -- connections with a deadline -----------------------------------------------------------------------------------------------------------


def open_until(deadline: float, reference: DatabaseReference) -> Any:
    """An asynchronous connection, waited for until `deadline` of the monotonic clock. Raises `psycopg2.Error`, `TimeoutError`."""
    url = reference.url()
    connection = psycopg2.connect(url, async_=1, **_parameters(url))
    try:
        wait_until(deadline, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def wait_until(deadline: float, connection: Any) -> None:
    """Wait until the connection has finished its statement. Raises `psycopg2.Error`, `TimeoutError`."""
    while (state := connection.poll()) != POLL_OK:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        reading, writing = ([connection.fileno()], []) if state == POLL_READ else ([], [connection.fileno()])
        select.select(reading, writing, [], left)


# -- poolers -------------------------------------------------------------------------------------------------------------------------------

_LINK_TIMEOUT: Final = 10.0  # seconds, for all connections together
_ROUNDS: Final = 4
_STATEMENT_MODE: Final = "statement pooling"  # in PgBouncer's words; its SQLSTATE is that of any protocol violation


class Pooling(StrEnum):
    """The pooler between us and the server, if any."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Link:
    """The connection to the server, as far as it can be seen from here."""

    host: str
    port: int
    tls: str | None
    """The protocol, as TLSv1.3; None without TLS."""
    sslmode: str
    pooling: Pooling
    opened: int
    """How many of the connections that the load would take were open at once; tried only through a pooler in session mode."""
    processes: tuple[int, ...]
    """The server's processes that served us, where there is no pooler: the server counts them for a moment after we disconnect."""

    @property
    def is_local(self) -> bool:
        """Whether the other end is on this machine."""
        return is_local(self.host)


def look_at_link(reference: DatabaseReference, wanted: int) -> Link:
    """Connect, and if a pooler answers, with as many connections as are `wanted`. Raises `Refused` where there is none."""
    deadline = time.monotonic() + _LINK_TIMEOUT
    connections: list[Any] = []
    try:
        # First an ordinary connection: for an asynchronous one libpq's messages say less.
        plain = connect(reference)
        process_of_plain = plain.info.backend_pid
        plain.close()
        first = open_until(deadline, reference)
        connections = [first]
        info = first.info
        processes = (process_of_plain, info.backend_pid)
        tls = str(info.ssl_attribute("protocol") or "TLS") if info.ssl_in_use else None
        place = (info.host or "", info.port, tls, info.dsn_parameters.get("sslmode", ""))
        pooling, opened = _look_behind(reference, connections, wanted, deadline)
        return Link(*place, pooling, opened, processes)
    except psycopg2.Error as error:
        raise Refused([f"the database cannot be reached: {safe_words(error, reference.url())}"]) from None
    except TimeoutError:
        message = f"the database cannot be reached: no answer within {_LINK_TIMEOUT:.0f} seconds; look for a pooler whose pool is used up"
        raise Refused([message]) from None
    finally:
        for connection in connections:
            with contextlib.suppress(psycopg2.Error):
                connection.close()


def _look_behind(reference: DatabaseReference, connections: list[Any], wanted: int, deadline: float) -> tuple[Pooling, int]:
    first = connections[0]
    try:
        process = _server_process(first, deadline)
    except psycopg2.Error as error:
        if _STATEMENT_MODE in str(error):
            return Pooling.STATEMENT, 1
        raise
    if process == first.info.backend_pid:
        return Pooling.NONE, 1
    while len(connections) < max(2, wanted):
        try:
            connections.append(open_until(deadline, reference))
            _server_process(connections[-1], deadline)
        except (psycopg2.Error, TimeoutError):
            return Pooling.SESSION, len(connections) - 1
        if _share_servers(connections, deadline):
            return Pooling.TRANSACTION, len(connections)
    return Pooling.SESSION, len(connections)


def _share_servers(connections: Sequence[Any], deadline: float) -> bool:
    """Whether a server process came to serve two of the connections, or a connection was served by two processes."""
    rounds = [[_server_process(connection, deadline) for connection in connections] for _ in range(_ROUNDS)]
    return len(set(rounds[0])) < len(connections) or any(later != rounds[0] for later in rounds)


def _server_process(connection: Any, deadline: float) -> int:
    """The server process that serves one transaction."""
    cursor = connection.cursor()
    process = 0
    for statement in ("BEGIN", "SELECT pg_backend_pid()", "COMMIT"):
        cursor.execute(statement)
        wait_until(deadline, connection)
        if cursor.description:
            process = int(cursor.fetchone()[0])
    return process
