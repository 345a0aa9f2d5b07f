"""One connection and its transactions: the one place where a failure of PostgreSQL is told apart, retried, or turned into a sentence.

    with Session(reference) as session:
        session.transact(lambda cursor: ...)

`transact` runs its work in a transaction of its own, and runs it again, on a new connection if need be, when the failure is transient. So
the work must be such that doing it twice is doing it once: here that is the ledger's task.

PostgreSQL's own messages can quote rows (`Key (id)=(...) already exists`). None of them leaves this file: what does is the SQLSTATE and our
words.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import psycopg2

from pipeline.errors import Refused, Stopped
from pipeline.target.bounded import open_until
from pipeline.target.database_url import DatabaseReference, safe_words
from pipeline.target.silence import SilenceWatch
from pipeline.target.sqlstate import Fault, fault_of
from pipeline.target.tls import tls_parameters, tls_problem

Cursor = Any  # psycopg2 ships no types
Result = TypeVar("Result")

APPLICATION_NAME: Final = "ddb2pg"

# SET LOCAL in every transaction, not SET once: behind a pooler in transaction mode nothing outlives a transaction.
_SETTINGS: Final = """
    SET LOCAL statement_timeout = '5min';
    SET LOCAL lock_timeout = '1min';
    SET LOCAL idle_in_transaction_session_timeout = '5min';
    SET LOCAL TimeZone = 'UTC';
    SELECT pg_backend_pid();
"""

# Before any query, so before that of the settings.
_ONE_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"

_CONNECT_TIMEOUT: Final = 10  # seconds
_SILENCE_INTERVAL: Final = 20.0  # seconds between two looks at a transaction that takes long
# Find out within a minute that a peer has gone without a word.
_KEEPALIVES: Final = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


class RowsRefused(Exception):
    """PostgreSQL refused one row or more of a statement; the transaction was rolled back."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class RetryLimit:
    """A transient failure is retried up to so many times, and not when so many seconds have passed since the first."""

    tries: int = 10
    seconds: float = 120.0
    first_wait: float = 0.1
    longest_wait: float = 10.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure: doubling, with jitter so that workers do not come back as one."""
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        return longest * random.uniform(0.5, 1.0)


class Session:
    """One connection, opened when first needed and again when it breaks."""

    def __init__(self, reference: DatabaseReference, limit: RetryLimit | None = None) -> None:
        self._reference = reference
        self._limit = limit or RetryLimit()
        self._opened: tuple[Any, SilenceWatch] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; it may be gone already."""
        if self._opened is not None:
            connection, watch = self._opened
            watch.close()
            with contextlib.suppress(psycopg2.Error):
                connection.close()
            self._opened = None

    def transact(self, work: Callable[[Cursor], Result], *, of_one_snapshot: bool = False) -> Result:
        """Run `work` in a transaction and commit it; `of_one_snapshot`, all of its statements see the same rows (REPEATABLE READ).

        Raises `RowsRefused` when PostgreSQL refused rows, and `Stopped` for everything that neither rows nor another try can mend.
        """
        failures = 0
        started = time.monotonic()
        while True:
            try:
                return self._transact_once(work, _ONE_SNAPSHOT + _SETTINGS if of_one_snapshot else _SETTINGS)
            except psycopg2.Error as error:
                sqlstate = error.pgcode
                fault = fault_of(sqlstate) if sqlstate or _is_connection_failure(error) else Fault.STOP
                self._leave_transaction(is_broken=fault is Fault.TRANSIENT)
                if fault is Fault.ROWS and sqlstate is not None:
                    raise RowsRefused(sqlstate) from None
                failures += 1
                is_over = failures >= self._limit.tries or time.monotonic() - started > self._limit.seconds
                if fault is Fault.STOP or is_over:
                    raise Stopped(_sentence(error, failures)) from None
            except BaseException:
                self._leave_transaction(is_broken=True)
                raise
            time.sleep(self._limit.wait(failures))

    def _transact_once(self, work: Callable[[Cursor], Result], settings: str) -> Result:
        connection, watch = self._connect()
        with watch:
            with connection.cursor() as cursor:
                cursor.execute(settings)
                watch.process = cursor.fetchone()[0]
                result = work(cursor)
            connection.commit()
        return result

    def _connect(self) -> tuple[Any, SilenceWatch]:
        if self._opened is None:
            try:
                connection = connect(self._reference)
            except Refused as refused:
                # Not before anything was written: the load is under way.
                raise Stopped(str(refused)) from None
            self._opened = connection, SilenceWatch(connection, self._open_other, _SILENCE_INTERVAL)
        return self._opened

    def _open_other(self, deadline: float) -> Any:
        url = self._reference.url()
        return open_until(deadline, url, connection_parameters(url))

    def _leave_transaction(self, *, is_broken: bool) -> None:
        if is_broken:
            self.close()
        elif self._opened is not None:
            connection, watch = self._opened
            try:
                with watch:
                    connection.rollback()
            except psycopg2.Error:
                self.close()


def connect(reference: DatabaseReference) -> Any:
    """A psycopg2 connection. Raises `psycopg2.Error`, and `Refused` where the reference stands for nothing, or TLS forbids it."""
    connection = _open(reference)
    # Not READ WRITE: who made the database or our role read-only, also in the middle of a load, means us.
    connection.set_session(isolation_level="READ COMMITTED", autocommit=False)
    return connection


def _open(reference: DatabaseReference) -> Any:
    """A secret may have been rotated since it was looked up.

    A failed authentication is told in the server's language only, so after any failure it is looked up once more.
    """
    url = reference.url()
    try:
        return psycopg2.connect(url, **connection_parameters(url))
    except psycopg2.OperationalError as error:
        problem = tls_problem(str(error), url)
        if problem:
            raise Refused([problem]) from None
        changed = reference.changed_url(url)
        if changed is None:
            raise
    return psycopg2.connect(changed, **connection_parameters(changed))


def connection_parameters(url: str) -> dict[str, str | int]:
    """What every connection of ours has beside its URL."""
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


def _is_connection_failure(error: Exception) -> bool:
    """A connection that broke, or could not be made, has no SQLSTATE.

    psycopg2 says a plain DatabaseError where libpq got something that is no answer, as from a server that is going down.
    """
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or type(error) is psycopg2.DatabaseError


def _sentence(error: psycopg2.Error, failures: int) -> str:
    sqlstate = error.pgcode
    again = f" ({failures} tries)" if failures > 1 else ""
    if sqlstate is None and _is_connection_failure(error):
        return f"the connection to the database failed{again}; what is committed stays: run the same command again to go on"
    known = _KNOWN.get(sqlstate or "", f"PostgreSQL refused to go on with SQLSTATE {sqlstate}, {type(error).__name__}")
    return f"{known}{again}; what is committed stays: mend it and run the same command again to go on"


_KNOWN: Final = {
    "25006": "the database is read-only (25006)",
    "42501": "the database role lacks a privilege that the load needs, or a row security policy forbids its rows (42501)",
    "53100": "the database server's disk is full (53100)",
    "53200": "the database server is out of memory (53200)",
    "53300": "the database has no connection left for us (53300)",
    "55P03": "another session holds a lock that the load waits for (55P03)",
    "57014": "the database cancelled our statement, most likely by its time limit (57014)",
}
