"""A query of the user, in a read-only transaction: its first rows as JSON, as PostgreSQL itself writes it.

It is given to PL/pgSQL as a value and opened as a cursor, so it is one statement that yields rows or is refused: nothing in it can end the
read-only transaction that it runs in. The words of PostgreSQL's errors stay here, as everywhere; where they are about is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg2
from psycopg2 import sql

from pipeline.target.session import Cursor, Session
from pipeline.target.sqlstate import Fault, fault_of

_SECONDS: Final = 60
_TOO_SLOW: Final = "57014"  # query_canceled


class QueryRefused(Exception):
    """PostgreSQL refused the query, for good; the words are ours."""


@dataclass(frozen=True, slots=True)
class QueryRows:
    columns: Sequence[str]
    rows: Sequence[str]
    """Each row is a JSON object, by column."""


def read_rows(session: Session, query: str, most: int) -> QueryRows:
    """At most so many rows of a query. Raises `QueryRefused`, and `Stopped` where the database cannot be asked."""
    return session.transact(lambda cursor: _read(cursor, query.rstrip().rstrip(";"), most))


def _read(cursor: Cursor, query: str, most: int) -> QueryRows:
    # A line of its own: the query may end with a comment.
    before, after = "SELECT to_jsonb(ddb2pg_row)::text FROM (", f"\n) ddb2pg_row LIMIT {most}"
    cursor.execute(f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '{_SECONDS}s'")
    try:
        _open(cursor, "ddb2pg_columns", query)
        cursor.execute("FETCH 0 FROM ddb2pg_columns")
        columns = [column.name for column in cursor.description]
        _open(cursor, "ddb2pg_rows", before + query + after)
        cursor.execute("FETCH ALL FROM ddb2pg_rows")
        rows = QueryRows(columns, [row[0] for row in cursor.fetchall()])
        # What it may have set for the session goes too.
        cursor.connection.rollback()
        return rows
    except psycopg2.Error as error:
        sqlstate = error.pgcode
        if sqlstate is None or (fault_of(sqlstate) is Fault.TRANSIENT and sqlstate != _TOO_SLOW):
            raise
        raise QueryRefused(_sentence(sqlstate, query, error.diag.internal_position)) from None


def _open(cursor: Cursor, name: str, query: str) -> None:
    body = sql.SQL("DECLARE opened refcursor := {}; BEGIN OPEN opened FOR EXECUTE {}; END").format(sql.Literal(name), sql.Literal(query))
    cursor.execute(sql.SQL("DO {}").format(sql.Literal(body.as_string(cursor))))


def _sentence(sqlstate: str, query: str, position: str | None) -> str:
    words = _KNOWN.get(sqlstate) or _CLASSES.get(sqlstate[:2], "PostgreSQL refuses it")
    # Positions count from 1, in characters; only a position in the bare query is reported.
    if position is None or int(position) > len(query):
        return f"{words} (SQLSTATE {sqlstate})"
    until = query[: int(position) - 1]
    return f"{words} (SQLSTATE {sqlstate}, line {until.count(chr(10)) + 1}, character {len(until) - until.rfind(chr(10))})"


_KNOWN: Final = {
    "25006": "it would write, and may only read",
    "0A000": "it is not a query that can be run here, in a transaction that only reads",
    "42P11": "it is not one query that yields rows",
    "42501": "this role may not do what it does",
    "42601": "PostgreSQL does not understand it",
    "42703": "it names a column that is not there",
    "42P01": "it names a table that is not there",
    "42883": "it names a function or an operator that is not there",
    _TOO_SLOW: f"it takes longer than {_SECONDS} seconds",
}
_CLASSES: Final = {"22": "a value in it, or in a row, does not fit", "42": "PostgreSQL does not understand it"}
