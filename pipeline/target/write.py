"""Rows into the target, and the isolation of those that PostgreSQL refuses.

A chunk is tried in up to four ways, each a transaction of its own with the chunk's ledger row first. Nearly all end with the first.

    copy_rows             COPY straight into the target: all or nothing
    copy_new_rows         the same without the rows whose primary keys are there, or come twice in the chunk: they are conflicts
    insert_new_rows       through a temp table: INSERT ... ON CONFLICT on the primary key; what was not inserted is a conflict. A handful of
                          statements, whether one row conflicts or all
    insert_row_by_row     a loop on the server, each row in a subtransaction: reports for each row what it violates, in one statement

The next way is for rows that the one before could not settle, which PostgreSQL reports with a SQLSTATE of rows (`sqlstate.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from psycopg2 import sql

from pipeline.target.compare import PLANNING, has_same_key
from pipeline.target.rows import (
    COPY_BLOCK,
    ITEM,
    RefusedRow,
    Rows,
    Staging,
    copy_stream,
    do_for_each,
    fields_of,
    names,
    stage_parsed,
    stage_unparsed,
    unparsed_values,
)
from pipeline.target.session import Cursor, RowsRefused
from pipeline.target.sqlstate import code_of
from pipeline.target.target import Target
from transforms.rejects import ErrorCode
from transforms.table import Table

WriteRows = Callable[[Cursor, Target, Table, Rows], list[RefusedRow]]

_NO_ERROR: Final = "00000"
_STAGING: Final = Staging("ddb2pg_staging")
_KEYS: Final = Staging("ddb2pg_keys")


def ways_to_write(target: Target, table: Table) -> Sequence[WriteRows]:
    """The ways for this target, in the order in which they are tried."""
    ways: list[WriteRows] = [insert_row_by_row]
    has_our_key = bool(target.primary_key) and set(target.primary_key) <= set(table.column_names)
    # With such a trigger, the keys do not show which of several rows with one key was inserted.
    if has_our_key and not target.is_deferrable and not target.has_before_trigger:
        ways.insert(0, insert_new_rows)
        if not target.has_row_security:
            ways.insert(0, copy_new_rows)
    if not target.has_row_security:
        ways.insert(0, copy_rows)
    return ways


def copy_rows(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """COPY straight into the target; raises where one row is refused."""
    if rows:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(target.identifier, names(table.column_names))
        cursor.copy_expert(statement, copy_stream(rows, len(table.columns)), COPY_BLOCK)
        if cursor.rowcount != len(rows):
            # A trigger that returns NULL keeps a row out without an error; the last way finds out which.
            raise RowsRefused(_NO_ERROR)
    return []


def copy_new_rows(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """COPY the rows whose primary keys are new, the first in the file's order of those that share one; the others are refused as conflicts.

    A key that another session is just inserting is not seen, and makes COPY raise.
    """
    positions = [table.column_names.index(name) for name in target.primary_key]
    stage_parsed(cursor, _KEYS, table.only(target.primary_key), fields_of(rows, positions))
    cursor.execute(
        sql.SQL(PLANNING + _FIND_CONFLICTS).format(
            item=ITEM, key=names(target.primary_key), staging=_KEYS.identifier, target=target.identifier, has_key=has_same_key(target)
        )
    )
    conflicts = [row[0] for row in cursor.fetchall()]
    copy_rows(cursor, target, table, rows.without(conflicts))
    return _conflicts(target, conflicts)


_FIND_CONFLICTS: Final = """
    SELECT {item} FROM (
        SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {item}) AS ddb2pg_turn FROM {staging}
    ) AS staged
    WHERE ddb2pg_turn > 1 OR EXISTS (SELECT FROM {target} AS target WHERE {has_key})
    ORDER BY {item}
"""


def _conflicts(target: Target, numbers: Sequence[int]) -> list[RefusedRow]:
    return [RefusedRow(number, ErrorCode.PRIMARY_KEY_CONFLICT, "23505", target.primary_key_names[0]) for number in numbers]


# -- through a temp table ------------------------------------------------------------------------------------------------------------------


def insert_new_rows(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """Insert every row whose primary key is new, in the file's order; the others are refused as conflicts."""
    stage_unparsed(cursor, _STAGING, table, rows)
    parts = {
        "target": target.identifier,
        "columns": names(table.column_names),
        "values": unparsed_values(table),
        "staging": _STAGING.identifier,
        "item": ITEM,
        "key": names(target.primary_key),
    }
    cursor.execute(sql.SQL(_INSERT_NEW).format(**parts))
    conflicts = [row[0] for row in cursor.fetchall()]
    # As a literal: with parameters, psycopg2 would take a % in a column's name for another.
    cursor.execute(sql.SQL(_COUNT_UNEXPLAINED).format(conflicts=sql.Literal(conflicts), **parts))
    if cursor.fetchone()[0]:
        # Neither inserted nor there before, as far as this role can see. The last way decides row by row.
        raise RowsRefused(_NO_ERROR)
    return _conflicts(target, conflicts)


_INSERT_NEW: Final = """
    WITH inserted AS (
        INSERT INTO {target} ({columns}) SELECT {values} FROM {staging} AS staged ORDER BY {item}
        ON CONFLICT ({key}) DO NOTHING
        RETURNING {key}, true AS ddb2pg_is_new
    ), numbered AS (
        SELECT {item}, {key}, row_number() OVER (PARTITION BY {key} ORDER BY {item}) AS ddb2pg_turn FROM {staging}
    )
    SELECT {item} FROM numbered LEFT JOIN inserted USING ({key})
    WHERE ddb2pg_turn > 1 OR ddb2pg_is_new IS NULL
    ORDER BY {item}
"""

_COUNT_UNEXPLAINED: Final = """
    SELECT count(*) FROM {staging}
    WHERE {item} = ANY ({conflicts}::bigint[]) AND ({key}) NOT IN (SELECT {key} FROM {target} JOIN {staging} USING ({key}))
"""


def insert_row_by_row(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """Insert each row in a subtransaction, in the file's order, all in one statement; refuses each row for what it violates itself."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    stage_unparsed(cursor, _STAGING, table, rows)
    insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS staged WHERE staged.{} = ddb2pg_number").format(
        target.identifier, names(table.column_names), unparsed_values(table), _STAGING.identifier, ITEM
    )
    return [
        RefusedRow(report.item, code_of(report.sqlstate, report.violated, target.primary_key_names), report.sqlstate, report.violated)
        # A trigger that returns NULL keeps a row out without an error.
        for report in do_for_each(cursor, _STAGING, insert, report_if=sql.SQL("= 0"))
    ]
