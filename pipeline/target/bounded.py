"""Connections that nobody waits for longer than they may, whatever the other end does."""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ


def open_until(deadline: float, url: str, parameters: Mapping[str, str | int]) -> Any:
    """An asynchronous connection; `deadline` is of the monotonic clock. Raises `psycopg2.Error`, `TimeoutError`."""
    connection = psycopg2.connect(url, async_=1, **parameters)
    try:
        wait_until(deadline, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def wait_until(deadline: float, connection: Any) -> None:
    """Until the connection has done what it was told. Raises `psycopg2.Error`, `TimeoutError`."""
    while (state := connection.poll()) != POLL_OK:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        reading, writing = ([connection.fileno()], []) if state == POLL_READ else ([], [connection.fileno()])
        select.select(reading, writing, [], left)
