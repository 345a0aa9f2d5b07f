"""Rows in a temp table, with their item numbers, so that what follows are statements on sets. It is gone with the transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.rows import Rows, numbered_copy_stream
from pipeline.target.session import Cursor
from transforms.table import Table

ITEM: Final = sql.Identifier("ddb2pg_item")
"""The column of the item numbers."""
COPY_BLOCK: Final = 1 << 18


# What is gone in a moment is not worth being compressed, nor cut into pieces unless it does not fit into a page. Compressing took a third
# of the server's time for long documents.
_WHOLE_ROWS: Final = sql.SQL("toast_tuple_target = 8160")


@dataclass(frozen=True, slots=True)
class Staging:
    """A temp table by its name."""

    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """The name for statements."""
        return sql.Identifier("pg_temp", self.name)

    @property
    def own_name(self) -> sql.Identifier:
        """The name for CREATE, which takes no schema here."""
        return sql.Identifier(self.name)


def stage_unparsed(cursor: Cursor, staging: Staging, table: Table, rows: Rows) -> None:
    """Stage rows that PostgreSQL may refuse.

    What the server's parser may refuse is staged as the bytes that it came as: it is parsed only where a row stands alone.
    """
    types = [sql.SQL(column.pg_type.unparsed_type or column.pg_type.name) for column in table.columns]
    _stage(cursor, staging, table, types, rows, item_is_key=True)
    cursor.execute(sql.SQL("ANALYZE {}").format(staging.identifier))


def stage_parsed(cursor: Cursor, staging: Staging, table: Table, rows: Rows) -> None:
    """Stage rows that PostgreSQL took before, each value as what it is."""
    _stage(cursor, staging, table, [sql.SQL(column.pg_type.name) for column in table.columns], rows, item_is_key=False)


def _stage(cursor: Cursor, staging: Staging, table: Table, types: Iterable[sql.SQL], rows: Rows, *, item_is_key: bool) -> None:
    typed = list(zip(table.columns, types, strict=True))
    columns = [sql.SQL("{} {}").format(sql.Identifier(column.name), type_) for column, type_ in typed]
    cursor.execute(
        sql.SQL("CREATE TEMP TABLE {} ({} bigint {}, {}) WITH ({}) ON COMMIT DROP").format(
            staging.own_name, ITEM, sql.SQL("PRIMARY KEY" if item_is_key else ""), sql.SQL(", ").join(columns), _WHOLE_ROWS
        )
    )
    long = [sql.SQL("ALTER {} SET STORAGE EXTERNAL").format(sql.Identifier(column.name)) for column, _ in typed if column.pg_type.is_long]
    if long:
        cursor.execute(sql.SQL("ALTER TABLE {} {}").format(staging.identifier, sql.SQL(", ").join(long)))
    statement = sql.SQL("COPY {} ({}, {}) FROM STDIN (FORMAT BINARY)").format(staging.identifier, ITEM, names(table.column_names))
    cursor.copy_expert(statement, numbered_copy_stream(rows, len(table.columns)), COPY_BLOCK)


def unparsed_values(table: Table) -> sql.Composed:
    """The columns of the target from those of rows that were staged unparsed, `staged` being their table."""
    return sql.SQL(", ").join(
        sql.SQL(column.pg_type.parse).format(sql.SQL("staged.{}").format(sql.Identifier(column.name))) for column in table.columns
    )


def names(columns: Iterable[str]) -> sql.Composed:
    """Columns by their names."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))
