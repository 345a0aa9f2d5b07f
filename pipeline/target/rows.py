"""Rows for PostgreSQL: their binary COPY stream, and a temp table of them with their item numbers.

What follows the temp table are statements on sets; it is gone with the transaction.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from psycopg2 import sql

from pipeline.target.session import Cursor
from transforms.compile import EncodedRow
from transforms.rejects import ErrorCode
from transforms.table import Table
from transforms.types import split_row

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + b"\x00\x00\x00\x00" * 2
_TRAILER: Final = b"\xff\xff"
_pack_field_count = Struct(">h").pack
_pack_numbered = Struct(">hiq").pack

ITEM: Final = sql.Identifier("ddb2pg_item")
"""The column of the item numbers."""
COPY_BLOCK: Final = 1 << 18
# What is gone in a moment is not worth being compressed, nor cut into pieces unless it does not fit into a page. Compressing took a third
# of the server's time for long documents.
_WHOLE_ROWS: Final = sql.SQL("toast_tuple_target = 8160")


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded rows and the item numbers that they come from, in the file's order."""

    item_numbers: Sequence[int]
    encoded: Sequence[EncodedRow]

    def __len__(self) -> int:
        return len(self.encoded)

    def only(self, item_numbers: Iterable[int]) -> Rows:
        """The rows of some of the items."""
        wanted = set(item_numbers)
        return self._where(lambda number: number in wanted)

    def without(self, item_numbers: Iterable[int]) -> Rows:
        """The rows of the other items."""
        unwanted = set(item_numbers)
        return self._where(lambda number: number not in unwanted)

    def _where(self, is_wanted: Callable[[int], bool]) -> Rows:
        pairs = [pair for pair in zip(self.item_numbers, self.encoded, strict=True) if is_wanted(pair[0])]
        return Rows([number for number, _ in pairs], [row for _, row in pairs])


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that PostgreSQL refused: no value, only what it was refused for."""

    item_number: int
    code: ErrorCode
    sqlstate: str | None
    constraint: str | None


def fields_of(rows: Rows, positions: Sequence[int]) -> Rows:
    """The same items, of each row only the fields at these positions."""
    return Rows(rows.item_numbers, [_fields_of(row, positions) for row in rows.encoded])


def _fields_of(row: EncodedRow, positions: Sequence[int]) -> EncodedRow:
    fields = list(split_row(row))
    return b"".join([fields[position] for position in positions])


def copy_stream(rows: Rows, field_count: int) -> io.BytesIO:
    """The rows as binary COPY takes them."""
    head = _pack_field_count(field_count)
    return io.BytesIO(b"".join((_HEADER, head, head.join(rows.encoded), _TRAILER)))


def numbered_copy_stream(rows: Rows, field_count: int) -> io.BytesIO:
    """The rows with their item number, a bigint, as one more field before the others."""
    numbered = [_pack_numbered(field_count + 1, 8, number) + row for number, row in zip(rows.item_numbers, rows.encoded, strict=True)]
    return io.BytesIO(b"".join((_HEADER, *numbered, _TRAILER)))


# -- the temp table ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Staging:
    name: str

    @property
    def identifier(self) -> sql.Identifier:
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


# -- a loop on the server ------------------------------------------------------------------------------------------------------------------


_REPORTED: Final = Staging("ddb2pg_reported")


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one item in a loop on the server: the number of rows was one to report, or why the statement failed."""

    item: int
    sqlstate: str | None
    violated: str | None


def do_for_each(cursor: Cursor, staging: Staging, statement: sql.Composable, report_if: sql.SQL) -> list[Report]:
    """Run the statement for each staged item in the file's order, each in a subtransaction, all in one statement.

    In the statement `ddb2pg_number` is the item. Reported are items whose own row PostgreSQL refused, and items for which `ddb2pg_rows`,
    the number of rows written, fulfils `report_if`. Constraints must be immediate before.
    """
    cursor.execute(sql.SQL("CREATE TEMP TABLE {} (item bigint, sqlstate text, violated text) ON COMMIT DROP").format(_REPORTED.own_name))
    body = sql.SQL(_LOOP).format(
        item=ITEM, staging=staging.identifier, statement=statement, report_if=report_if, reported=_REPORTED.identifier
    )
    cursor.execute(sql.SQL("DO {}").format(sql.Literal(body.as_string(cursor))))
    cursor.execute(sql.SQL("SELECT item, sqlstate, nullif(violated, '') FROM {} ORDER BY item").format(_REPORTED.identifier))
    return [Report(*report) for report in cursor.fetchall()]


# The conditions are those of `sqlstate.py`; the first four stand for their whole class.
_LOOP: Final = """
DECLARE
    ddb2pg_number bigint;
    ddb2pg_rows bigint;
    ddb2pg_sqlstate text;
    ddb2pg_violated text;
BEGIN
    FOR ddb2pg_number IN SELECT {item} FROM {staging} ORDER BY {item} LOOP
        BEGIN
            {statement};
            GET DIAGNOSTICS ddb2pg_rows = ROW_COUNT;
            IF ddb2pg_rows {report_if} THEN
                INSERT INTO {reported} VALUES (ddb2pg_number, NULL, NULL);
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR with_check_option_violation
                       OR program_limit_exceeded OR raise_exception THEN
            GET STACKED DIAGNOSTICS ddb2pg_sqlstate = RETURNED_SQLSTATE, ddb2pg_violated = CONSTRAINT_NAME;
            INSERT INTO {reported} VALUES (ddb2pg_number, ddb2pg_sqlstate, ddb2pg_violated);
        END;
    END LOOP;
END
"""
