"""One connection and its transactions: the one place that decides what a failure of PostgreSQL means: retry, refused rows, or a sentence.

    with Session(reference) as session:
        session.transact(lambda cursor: ...)

`transact` runs its work in one transaction, and runs it again after a transient failure, on a new connection if the old one broke. A commit
may have succeeded although its answer was lost, so the work must be idempotent; the ledger's entries make it so.

PostgreSQL's own messages can quote rows (`Key (id)=(...) already exists`). None of them leaves this file, only the SQLSTATE and our words.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import psycopg2

from pipeline.errors import Refused, Stopped, StoppedForNow
from pipeline.logs import tell_waiting
from pipeline.target.connection import APPLICATION_NAME, connect, open_until, wait_until
from pipeline.target.database_url import DatabaseReference
from pipeline.target.sqlstate import Fault, fault_of

Cursor = Any  # psycopg2 ships no types
Result = TypeVar("Result")

# SET LOCAL in every transaction, not SET once: behind a pooler in transaction mode nothing outlives a transaction.
_SETTINGS: Final = """
    SET LOCAL statement_timeout = '5min';
    SET LOCAL lock_timeout = '1min';
    SET LOCAL idle_in_transaction_session_timeout = '5min';
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL DateStyle = 'ISO, YMD';
    SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL xmlbinary = 'base64';
    SET LOCAL xmloption = 'content';
    SET LOCAL lc_monetary = 'C';
    SET LOCAL array_nulls = on;
    SET LOCAL transform_null_equals = off;
    SET LOCAL quote_all_identifiers = off;
    SET LOCAL row_security = on;
    SELECT pg_catalog.set_config('search_path', pg_catalog.regexp_replace(
        pg_catalog.current_setting('search_path'), ',[[:space:]]*"?pg_catalog"?[[:space:]]*(?=,|$)', '', 'g'), true);
    DO $$ BEGIN
        IF current_setting('synchronous_commit') <> 'remote_apply' THEN
            SET LOCAL synchronous_commit = on;
        END IF;
        BEGIN
            SET LOCAL log_error_verbosity = terse;
            SET LOCAL log_min_error_statement = panic;
        EXCEPTION WHEN insufficient_privilege THEN
            BEGIN
                SET LOCAL log_min_messages = log;
            EXCEPTION WHEN insufficient_privilege THEN NULL;
            END;
        END;
    END $$;
    SELECT pg_backend_pid();
"""
"""A server, a database or a role may have other values of these, with which a load would behave differently:

time limits             a load has its own
DateStyle and others    down to quote_all_identifiers: the form of values and of names of the catalogue as text
row_security            where it is off, a query from which a policy hides rows fails
search_path             is kept, without a pg_catalog that is not its first schema: functions of others could hide PostgreSQL's. Where it
                        names no pg_catalog, that is searched first
synchronous_commit      rows that are called committed must be durable: flushed by the server and by its synchronous standbys, which is
                        PostgreSQL's default. `local` would survive a crash, but not a failover; remote_apply is stricter, and is kept
log_...                 the server's log would quote a refused row and its statement. The first two need a superuser, or a grant.
                        Supabase's `postgres` may set only the third, with SET (not set_config); then no error of ours is in the log.
                        Preflight warns where a role may set none of them

standard_conforming_strings is not set: psycopg2 reads it once, when it connects, and no text of a statement here depends on it.
"""

# PostgreSQL holds a COPY to no time limit while it waits for the client's bytes. So one of ours that is long past its own limit is of a
# process that was stopped, or of a machine that sleeps: it would keep its chunk from everybody for ever. Its process, should it go on,
# finds its connection lost and tries again.
_LONGEST_COPY: Final = "6min"
_END_STALLED: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = %s AND usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
      AND state = 'active' AND wait_event = 'ClientRead' AND query LIKE 'COPY%%' AND query_start < clock_timestamp() - %s::interval
"""
_LOCK_TIMED_OUT: Final = "55P03"

# Before any query, so before that of the settings.
_ONE_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"


_TELL_AFTER: Final = 1.0  # seconds; a failure that passes sooner is not reported


class RowsRefused(Exception):
    """PostgreSQL refused one row or more of a statement; the transaction was rolled back."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class RetryLimit:
    """A transient failure is retried until so many seconds have passed since the first; the last try is at the end of them."""

    seconds: float = 120.0
    first_wait: float = 0.1
    longest_wait: float = 10.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure: doubling, with jitter so that workers do not all come back at once."""
        longest = min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 30))
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
        """Run `work` in a transaction and commit it; with `of_one_snapshot` all of its statements see the same rows (REPEATABLE READ).

        Raises `RowsRefused` when PostgreSQL refused rows, and `Stopped` for any other failure that is not transient or outlasts the limit.
        """
        failures = 0
        began = first_failed = time.monotonic()
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
                now = time.monotonic()
                first_failed = now if failures == 1 else first_failed
                left = first_failed + self._limit.seconds - now
                if fault is Fault.STOP or left <= 0:
                    raise (Stopped if fault is Fault.STOP else StoppedForNow)(_sentence(error, failures)) from None
                if now - began >= _TELL_AFTER:
                    tell_waiting(_reason(error))
                if sqlstate == _LOCK_TIMED_OUT:
                    self._end_stalled()
            except BaseException:
                self._leave_transaction(is_broken=True)
                raise
            time.sleep(min(self._limit.wait(failures), left))

    def _transact_once(self, work: Callable[[Cursor], Result], settings: str) -> Result:
        connection, watch = self._connect()
        with watch:
            with connection.cursor() as cursor:
                cursor.execute(settings)
                watch.process = cursor.fetchone()[0]
                result = work(cursor)
            connection.commit()
        return result

    def _end_stalled(self) -> None:
        """End sessions of ours that wait for a stopped client in the middle of a COPY; they may have the lock that we wait for."""
        try:
            connection, watch = self._connect()
            with watch:
                with connection.cursor() as cursor:
                    cursor.execute(_END_STALLED, [APPLICATION_NAME, _LONGEST_COPY])
                connection.commit()
        except psycopg2.Error:
            self.close()

    def _connect(self) -> tuple[Any, SilenceWatch]:
        if self._opened is None:
            try:
                connection = connect(self._reference)
            except Refused as refused:
                # Rows may have been written before, so it is not a refusal.
                raise Stopped(str(refused)) from None
            self._opened = connection, SilenceWatch(connection, self._reference)
        return self._opened

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


def _is_connection_failure(error: Exception) -> bool:
    """A connection that broke, or could not be made, has no SQLSTATE.

    psycopg2 raises a plain DatabaseError where libpq did not understand the answer, as from a server that shuts down.
    """
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or type(error) is psycopg2.DatabaseError


def _sentence(error: psycopg2.Error, failures: int) -> str:
    again = f" ({failures} tries)" if failures > 1 else ""
    fix = "" if error.pgcode is None and _is_connection_failure(error) else "fix it and "
    return f"{_reason(error)}{again}; what is committed stays: {fix}run the same command again to go on"


def _reason(error: psycopg2.Error) -> str:
    sqlstate = error.pgcode
    if sqlstate is None and _is_connection_failure(error):
        return "the connection to the database failed"
    return _KNOWN.get(sqlstate or "", f"PostgreSQL refused to go on with SQLSTATE {sqlstate}, {type(error).__name__}")


_KNOWN: Final = {
    "25006": "the database is read-only (25006)",
    "42501": "the database role lacks a privilege that the load needs, or a row security policy forbids its rows (42501)",
    "53100": "the database server's disk is full (53100)",
    "53200": "the database server is out of memory (53200)",
    "53300": "the database has no connection left for us (53300)",
    "55P03": "another session holds a lock that the load waits for (55P03)",
    "57014": "the database cancelled our statement, most likely by its time limit (57014)",
}


# -- silence -------------------------------------------------------------------------------------------------------------------------------

_SILENCE_INTERVAL: Final = 20.0  # seconds between two looks at a transaction that takes long
_SILENT_LOOKS: Final = 3
_LONGEST_LOOK: Final = 10.0  # seconds
_IDLE: Final = 0.005  # seconds of CPU between two looks, for a thread that only waits

# A server process that waits for its client does no work: our statement, or its answer, is lost.
_IS_AT_WORK: Final = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client')
"""


class SilenceWatch:
    """Ends the wait for an answer that was lost without an error: in a pooler, a load balancer or a tunnel that stays connected itself.

    TCP's limits (`connection.py`) notice a peer that is gone, not one that accepts everything and answers nothing. So during a long
    transaction the server is asked, on another connection, whether it still works on it. If it does not, at three looks in a row, and our
    own thread did not work in between either, the connection is shut down, which is a transient failure like others. A statement that the
    server does work on may take hours.

    It watches one connection until `close`, and is a context around each thing that is done on that.

    One thread serves all of these: in a process that has no memory left, starting a thread may wait for ever. Raises
    `psycopg2.InterfaceError` where the connection is gone already.
    """

    def __init__(self, connection: Any, reference: DatabaseReference) -> None:
        # A descriptor of its own: the connection may have closed its descriptor by then, and another file may have got that number.
        try:
            self._line = socket.socket(fileno=os.dup(connection.fileno()))
        except OSError:
            raise psycopg2.InterfaceError("the connection is gone") from None
        self._reference = reference
        self._is_over = threading.Event()
        self._is_busy = False
        self._turn = 0
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self.process: int | None = None
        """The server process of the transaction, as soon as it is known."""
        threading.Thread(target=self._look_again_and_again, name="SilenceWatch", daemon=True).start()

    def __enter__(self) -> Self:
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self.process = None
        self._turn += 1
        self._is_busy = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_busy = False

    def close(self) -> None:
        """Stop watching."""
        self._is_over.set()
        self._line.close()

    def _look_again_and_again(self) -> None:
        silent = turn = 0
        worked = 0.0
        while not self._is_over.wait(_SILENCE_INTERVAL):
            worked_before, worked = worked, self._work_of_ours()
            if turn != self._turn or not self._is_busy:
                turn, silent = self._turn, 0
                continue
            # The server waits, too, while our thread works on its rows, or makes rows for it.
            silent = 0 if worked - worked_before > _IDLE or self._is_at_work() else silent + 1
            if silent >= _SILENT_LOOKS and turn == self._turn:
                with contextlib.suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)
                return

    def _work_of_ours(self) -> float:
        """CPU seconds of the thread that uses the connection; it uses none while it waits for an answer."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it has ended
            return 0.0

    def _is_at_work(self) -> bool:
        if self.process is None:
            return False
        deadline = time.monotonic() + _LONGEST_LOOK
        try:
            with contextlib.closing(open_until(deadline, self._reference)) as other:
                cursor = other.cursor()
                cursor.execute(_IS_AT_WORK, [self.process])
                wait_until(deadline, other)
                return bool(cursor.fetchone()[0])
        except (psycopg2.Error, TimeoutError, Refused):
            return False
