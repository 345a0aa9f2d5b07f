"""An end to waiting for an answer that got lost where nobody tells: in a pooler, a load balancer or a tunnel that itself lives on.

TCP's own limits (`session.py`) see that a peer is gone, not that it takes everything and says nothing. So of a transaction that takes
long the server is asked, on another connection, whether it still works for us. If it does not, at three looks in a row, and we did
nothing either in between, the connection is cut: one more transient failure. A statement that takes an hour is left to take it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import psycopg2

from pipeline.errors import Refused
from pipeline.target.bounded import wait_until

_LOOKS: Final = 3
_LONGEST_LOOK: Final = 10.0  # seconds
_IDLE: Final = 0.005  # seconds of CPU between two looks, for a thread that only waits

# A server process that waits for its client has nothing to do for us: our question, or its answer, is lost.
_IS_AT_WORK: Final = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client')
"""


class SilenceWatch:
    """Of one connection, until `close`; a context around each thing that is done on it. `open_other` makes another one until a deadline.

    One thread for all of them: a process that has no memory left would wait for ever for one that it starts. Raises
    `psycopg2.InterfaceError` where the connection is gone already.
    """

    def __init__(self, connection: Any, open_other: Callable[[float], Any], interval: float) -> None:
        # A descriptor of our own: the connection's may be closed, and its number be another's, when it comes to cutting.
        try:
            self._line = socket.socket(fileno=os.dup(connection.fileno()))
        except OSError:
            raise psycopg2.InterfaceError("the connection is gone") from None
        self._open_other = open_other
        self._interval = interval
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
        """Look no more."""
        self._is_over.set()
        self._line.close()

    def _look_again_and_again(self) -> None:
        silent = turn = 0
        worked = 0.0
        while not self._is_over.wait(self._interval):
            worked_before, worked = worked, self._work_of_ours()
            if turn != self._turn or not self._is_busy:
                turn, silent = self._turn, 0
                continue
            # A server that waits while we make something of its rows, or rows for it, is not silent.
            silent = 0 if worked - worked_before > _IDLE or self._is_at_work() else silent + 1
            if silent >= _LOOKS and turn == self._turn:
                with contextlib.suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)
                return

    def _work_of_ours(self) -> float:
        """Seconds of CPU that the thread has taken that uses the connection; it takes none while it waits for an answer."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it has ended
            return 0.0

    def _is_at_work(self) -> bool:
        if self.process is None:
            return False
        deadline = time.monotonic() + _LONGEST_LOOK
        try:
            with contextlib.closing(self._open_other(deadline)) as other:
                cursor = other.cursor()
                cursor.execute(_IS_AT_WORK, [self.process])
                wait_until(deadline, other)
                return bool(cursor.fetchone()[0])
        except (psycopg2.Error, TimeoutError, Refused):
            return False
