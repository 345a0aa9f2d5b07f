"""The values of encoded rows as text that PostgreSQL reads again, and that is the same whatever the settings of a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg2 import sql

from pipeline.target.rows import Rows
from pipeline.target.session import Cursor
from pipeline.target.staging import ITEM, Staging, stage_parsed
from transforms.table import Column, Table

_STAGED: Final = Staging("ddb2pg_values")

SpotValue = str | int | None
"""NULL; a timestamptz as microseconds since 1970-01-01 UTC; any other value as its text."""


def read_values(cursor: Cursor, table: Table, rows: Rows) -> list[Sequence[SpotValue]]:
    """The values of each row, in the order of its columns. The rows must be such as PostgreSQL takes."""
    stage_parsed(cursor, _STAGED, table, rows)
    values = sql.SQL(", ").join(map(_value, table.columns))
    cursor.execute(sql.SQL("SELECT {} FROM {} AS staged ORDER BY {}").format(values, _STAGED.identifier, ITEM))
    read: list[Sequence[SpotValue]] = cursor.fetchall()
    return read


def _value(column: Column) -> sql.Composable:
    return sql.SQL(column.pg_type.as_text).format(sql.SQL("staged.{}").format(sql.Identifier(column.name)))
