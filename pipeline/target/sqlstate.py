"""SQLSTATE decides what a failure means. https://www.postgresql.org/docs/current/errcodes-appendix.html."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final

from transforms.rejects import ErrorCode


class Fault(Enum):
    """What to do about a failed statement."""

    ROWS = "rows"
    """Some rows are at fault: isolate them."""
    TRANSIENT = "transient"
    """The same may work in a moment: reconnect and try again."""
    STOP = "stop"
    """Nothing will work until a person does something."""


# Besides data exceptions and violated constraints: a value too large for an index (54), a view's check option (44), and a trigger that
# raises (P0001) refuse one row, not the load. So does a value that its type's parser calls a syntax error (42601): of tsvector,
# jsonpath or ltree.
_ROW_CLASSES: Final = ("22", "23", "44", "54")
_ROW_STATES: Final = ("P0001", "42601")

_TRANSIENT_CLASSES: Final = ("08",)
_TRANSIENT_STATES: Final = (
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "53300",  # too_many_connections
    "55P03",  # lock_not_available: lock_timeout
    "57014",  # query_canceled: statement_timeout, mostly behind another session's lock
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57P05",  # idle_session_timeout
    "25P03",  # idle_in_transaction_session_timeout
)

_CODES: Final = {
    "23502": ErrorCode.NOT_NULL_VIOLATION,
    "23503": ErrorCode.FOREIGN_KEY_VIOLATION,
    "23505": ErrorCode.UNIQUE_CONFLICT,
    "23514": ErrorCode.CHECK_VIOLATION,
    "23P01": ErrorCode.UNIQUE_CONFLICT,
}


def fault_of(sqlstate: str | None) -> Fault:
    """What a SQLSTATE means; None is a connection that broke."""
    if sqlstate is None or sqlstate[:2] in _TRANSIENT_CLASSES or sqlstate in _TRANSIENT_STATES:
        return Fault.TRANSIENT
    if sqlstate[:2] in _ROW_CLASSES or sqlstate in _ROW_STATES:
        return Fault.ROWS
    return Fault.STOP


def code_of(sqlstate: str | None, constraint: str | None, primary_key_names: Collection[str]) -> ErrorCode:
    """The dead-letter code of one refused row (`docs/dead-letters.md`); the names are those of the primary key's constraint."""
    if sqlstate == "23505" and constraint in primary_key_names:
        return ErrorCode.PRIMARY_KEY_CONFLICT
    return _CODES.get(sqlstate or "", ErrorCode.DATABASE_REJECTED)
