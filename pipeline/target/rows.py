"""Rows for PostgreSQL: their binary COPY stream, and a temp table of them with their item numbers.

What follows the temp table are statements on sets; it is gone with the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from struct import Struct
from typing import Final

from psycopg2 import sql

from pipeline.target.session import Cursor
from pipeline.target.sqlstate import code_of
from transforms.compile import EncodedRow
from transforms.rejects import ErrorCode
from transforms.table import Column, Table
from transforms.types import split_row

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + b"\x00\x00\x00\x00" * 2
_TRAILER: Final = b"\xff\xff"
_pack_field_count = Struct(">h").pack
_pack_numbered = Struct(">hiq").pack

ITEM: Final = sql.Identifier("ddb2pg_item")
"""The column of the item numbers."""
COPY_BLOCK: Final = 1 << 16
"""Bytes of a piece of COPY, about."""
# What is gone in a moment is not worth being compressed, nor cut into pieces unless it does not fit into a page. Compressing took a third
# of the server's time for long documents.
_WHOLE_ROWS: Final = sql.SQL("toast_tuple_target = 8160")


@dataclass(frozen=True, slots=True)
class ChildRows:
    """Encoded rows of one child of a table, several an item, and the item numbers that they belong to; both in the file's order."""

    owners: Sequence[int]
    encoded: Sequence[EncodedRow]

    @property
    def numbered(self) -> Rows:
        """The same by their own numbers, from 0: their places in `owners`."""
        return Rows(range(len(self.encoded)), self.encoded)

    def where(self, are_wanted: Callable[[Sequence[int]], list[bool]]) -> ChildRows:
        """Those of some items."""
        wanted = are_wanted(self.owners)
        return ChildRows(list(compress(self.owners, wanted)), list(compress(self.encoded, wanted)))


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded rows and the item numbers that they come from, in the file's order."""

    item_numbers: Sequence[int]
    encoded: Sequence[EncodedRow]
    children: tuple[ChildRows, ...] = ()
    """Of each child of the table the rows of these items."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, EncodedRow | None]]) -> Rows:
        """Of item numbers and rows; None is no row."""
        numbered = [(number, row) for number, row in pairs if row is not None]
        return cls([number for number, _ in numbered], [row for _, row in numbered])

    def __len__(self) -> int:
        return len(self.encoded)

    def only(self, item_numbers: Iterable[int]) -> Rows:
        """The rows of some of the items."""
        wanted = set(item_numbers)
        return self._where(lambda numbers: [number in wanted for number in numbers])

    def without(self, item_numbers: Iterable[int]) -> Rows:
        """The rows of the other items."""
        unwanted = set(item_numbers)
        return self._where(lambda numbers: [number not in unwanted for number in numbers])

    def _where(self, are_wanted: Callable[[Sequence[int]], list[bool]]) -> Rows:
        wanted = are_wanted(self.item_numbers)
        children = tuple(child.where(are_wanted) for child in self.children)
        return Rows(list(compress(self.item_numbers, wanted)), list(compress(self.encoded, wanted)), children)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that PostgreSQL refused: no value, only what it was refused for."""

    item_number: int
    code: ErrorCode
    sqlstate: str | None
    constraint: str | None


def fields_of(rows: Rows, positions: Sequence[int]) -> Rows:
    """The same items, of each row only the fields at these positions."""
    if list(positions) == [0]:  # as of most keys
        return Rows(rows.item_numbers, [next(split_row(row)) for row in rows.encoded])
    return Rows(rows.item_numbers, [_fields_of(row, positions) for row in rows.encoded])


def _fields_of(row: EncodedRow, positions: Sequence[int]) -> EncodedRow:
    fields = list(split_row(row))
    return b"".join([fields[position] for position in positions])


class CopyStream:
    """What binary COPY takes, for `copy_expert`: a piece at a time, made when it is asked for.

    A piece that a processor has near at hand is made and sent many times as fast as a whole chunk of rows, whose memory is new each time.
    """

    def __init__(self, encoded: Sequence[EncodedRow], with_head: Callable[[int, int], bytes]) -> None:
        """`with_head` makes the bytes of the rows from one place in `encoded` to another, with what comes before each."""
        self._pieces = self._make(encoded, with_head)

    def read(self, _size: int = -1) -> bytes:
        """The next piece, however long it is: psycopg2 sends what it gets. Nothing once there is no other."""
        return next(self._pieces, b"")

    @staticmethod
    def _make(encoded: Sequence[EncodedRow], with_head: Callable[[int, int], bytes]) -> Iterator[bytes]:
        rows_of_piece = max(1, len(encoded) * COPY_BLOCK // max(1, sum(map(len, encoded))))
        yield HEADER
        for begin in range(0, len(encoded), rows_of_piece):
            yield with_head(begin, begin + rows_of_piece)
        yield _TRAILER


def copy_stream(rows: Rows, field_count: int) -> CopyStream:
    """The rows as binary COPY takes them."""
    head = _pack_field_count(field_count)
    return CopyStream(rows.encoded, lambda begin, end: head.join((b"", *rows.encoded[begin:end])))


def numbered_copy_stream(rows: Rows, field_count: int) -> CopyStream:
    """The rows with their item number, a bigint, as one more field before the others."""

    def with_head(begin: int, end: int) -> bytes:
        numbered = zip(rows.item_numbers[begin:end], rows.encoded[begin:end], strict=True)
        return b"".join([part for number, row in numbered for part in (_pack_numbered(field_count + 1, 8, number), row)])

    return CopyStream(rows.encoded, with_head)


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


STAGED_ROWS: Final = Staging("ddb2pg_compared")
"""Of rows that are compared, or deleted."""
STAGED_KEYS: Final = Staging("ddb2pg_keys_of_compared")
"""Of rows whose bytes are compared."""
STAGED_FOR_WRITING: Final = Staging("ddb2pg_staging")
_REPORTED: Final = Staging("ddb2pg_reported")


def stagings_of_child(child: int) -> tuple[Staging, Staging]:
    """For the rows of one child by their own numbers, and for the items that they are of (`stage_owners`)."""
    return Staging(f"ddb2pg_child_{child}"), Staging(f"ddb2pg_owners_{child}")


def stage_owners(cursor: Cursor, owners: Staging, items: Sequence[int]) -> None:
    """By the item the numbers of its child rows."""
    cursor.execute(
        sql.SQL(
            "CREATE TEMP TABLE {own} ON COMMIT DROP AS SELECT item, ordinality - 1 AS number "
            "FROM unnest({items}::bigint[]) WITH ORDINALITY AS owned (item, ordinality); "
            "CREATE INDEX ON {table} (item); ANALYZE {table}"
        ).format(own=owners.own_name, table=owners.identifier, items=sql.Literal(list(items)))
    )


def drop_staged(cursor: Cursor) -> None:
    """Make room for the rows of another table in the same transaction."""
    stagings = [
        Staging(f"{one.name}{ending}") for one in (STAGED_ROWS, STAGED_KEYS, STAGED_FOR_WRITING, _REPORTED) for ending in ("", "_unparsed")
    ]
    tables = sql.SQL(", ").join(staging.identifier for staging in stagings)
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(tables))


def stage_unparsed(cursor: Cursor, staging: Staging, table: Table, rows: Rows) -> None:
    """Stage rows that PostgreSQL may refuse.

    What the server's parser may refuse is staged as the bytes that it came as: it is parsed only where a row stands alone.
    """
    _stage(cursor, staging, table, _unparsed_types(table), rows, item_is_key=True)
    cursor.execute(sql.SQL("ANALYZE {}").format(staging.identifier))


def stage_parsed(cursor: Cursor, staging: Staging, table: Table, rows: Rows) -> None:
    """Stage rows that PostgreSQL took before, each value as what it is."""
    if all(column.pg_type.copies_directly for column in table.columns):
        types = [sql.SQL(column.pg_type.staged_type) for column in table.columns]
        _stage(cursor, staging, table, types, rows, item_is_key=False)
        return
    unparsed = Staging(f"{staging.name}_unparsed")
    _stage(cursor, unparsed, table, _unparsed_types(table), rows, item_is_key=False)
    cursor.execute(
        sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {}, {} FROM {} AS staged").format(
            staging.own_name, ITEM, parsed_columns(table), unparsed.identifier
        )
    )


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


def stage_what_parses(cursor: Cursor, staging: Staging, table: Table, rows: Rows) -> list[RefusedRow]:
    """Stage rows, each value as what it is, without those of which the server's parser refuses a value; returns these."""
    if not any(column.pg_type.unparsed_type for column in table.columns):
        stage_parsed(cursor, staging, table, rows)
        return []
    unparsed = Staging(f"{staging.name}_unparsed")
    stage_unparsed(cursor, unparsed, table, rows)
    parse = sql.SQL("SELECT {}, {} FROM {} AS staged").format(ITEM, parsed_columns(table), unparsed.identifier)
    cursor.execute(sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS {} WITH NO DATA").format(staging.own_name, parse))
    insert = sql.SQL("INSERT INTO {} {} WHERE staged.{} = ddb2pg_number").format(staging.identifier, parse, ITEM)
    return [report.refused_row() for report in do_for_each(cursor, unparsed, insert, report_if=sql.SQL("= 0"))]


def _unparsed_types(table: Table) -> list[sql.SQL]:
    return [sql.SQL(column.pg_type.unparsed_type or column.pg_type.staged_type) for column in table.columns]


def unparsed_values(table: Table) -> sql.Composed:
    """The columns of the target from those of rows that were staged unparsed, `staged` being their table."""
    return sql.SQL(", ").join(map(_parsed, table.columns))


def parsed_columns(table: Table) -> sql.Composed:
    """The same, each with its column's name."""
    return sql.SQL(", ").join(sql.SQL("{} AS {}").format(_parsed(column), sql.Identifier(column.name)) for column in table.columns)


def _parsed(column: Column) -> sql.Composable:
    return sql.SQL(column.pg_type.parse).format(sql.SQL("staged.{}").format(sql.Identifier(column.name)))


def numbers_in(items: Iterable[int]) -> sql.Composable:
    """Numbers in their order, as an array of bigint. As one text: PostgreSQL reads that faster than an expression for each."""
    return sql.SQL("{}::bigint[]").format(sql.Literal(f"{{{','.join(map(str, sorted(items)))}}}"))


def names(columns: Iterable[str]) -> sql.Composed:
    """Columns by their names."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


# -- a loop on the server ------------------------------------------------------------------------------------------------------------------


KEPT: Final = "DDBKP"
"""What statements of our own raise where a row was kept out, or kept, without an error."""
REFERENCED: Final = "DDBRF"
"""The same where deleting a row would delete or change rows of others."""
UNSEEN: Final = "DDBNS"
"""The same where a row is gone, or row security hides it."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one item in a loop on the server: the number of rows was one to report, or why the statement failed."""

    item: int
    sqlstate: str | None
    violated: str | None

    def refused_row(self, primary_key_names: Collection[str] = ()) -> RefusedRow:
        """The names are those of the primary key's constraint, where a row can conflict with that."""
        sqlstate = None if self.sqlstate == KEPT else self.sqlstate
        return RefusedRow(self.item, code_of(sqlstate, self.violated, primary_key_names), sqlstate, self.violated)


def do_for_each(
    cursor: Cursor,
    staging: Staging,
    statement: sql.Composable,
    report_if: sql.SQL,
    *,
    undo_reported: bool = False,
    is_repeated: bool = False,
) -> list[Report]:
    """Run the statement for each staged item in the file's order, each in a subtransaction, all in one statement.

    In the statement `ddb2pg_number` is the item. Reported are items whose own row PostgreSQL refused, and items for which `ddb2pg_rows`,
    the number of rows written, fulfils `report_if`; with `undo_reported`, what triggers did for these is undone, as it is for those that
    were refused. Constraints must be immediate before.

    Rows that a subtransaction wrote have its number for their `xmin`, which nobody keeps. So with `is_repeated` all of it is undone, and
    the same is done again without subtransactions, and without the items that were reported.
    """
    if is_repeated:
        cursor.execute("SAVEPOINT ddb2pg_each")
    reports = _do_for_each(cursor, staging, statement, report_if, undo_reported=undo_reported)
    if is_repeated:
        cursor.execute("ROLLBACK TO SAVEPOINT ddb2pg_each; RELEASE SAVEPOINT ddb2pg_each")
        body = sql.SQL(_LOOP_AGAIN).format(
            item=ITEM,
            staging=staging.identifier,
            reported=sql.Literal([report.item for report in reports]),
            statement=statement,
            report_if=report_if,
            kept=sql.Literal(KEPT),
        )
        cursor.execute(sql.SQL("DO {}").format(sql.Literal(body.as_string(cursor))))
    return reports


def _do_for_each(cursor: Cursor, staging: Staging, statement: sql.Composable, report_if: sql.SQL, *, undo_reported: bool) -> list[Report]:
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_REPORTED.identifier))
    cursor.execute(sql.SQL("CREATE TEMP TABLE {} (item bigint, sqlstate text, violated text) ON COMMIT DROP").format(_REPORTED.own_name))
    body = sql.SQL(_LOOP).format(
        item=ITEM,
        staging=staging.identifier,
        statement=statement,
        report_if=report_if,
        reported=_REPORTED.identifier,
        report=sql.SQL(_UNDONE if undo_reported else _REPORT).format(reported=_REPORTED.identifier),
    )
    cursor.execute(sql.SQL("DO {}").format(sql.Literal(body.as_string(cursor))))
    cursor.execute(sql.SQL("SELECT item, sqlstate, nullif(violated, '') FROM {} ORDER BY item").format(_REPORTED.identifier))
    reports = [Report(*report) for report in cursor.fetchall()]
    cursor.execute(sql.SQL("DROP TABLE {}").format(_REPORTED.identifier))
    return reports


_REPORT: Final = "INSERT INTO {reported} VALUES (ddb2pg_number, NULL, NULL)"
_UNDONE: Final = f"RAISE SQLSTATE '{KEPT}'"  # caught below, and so in nobody's log

# The conditions are those of `sqlstate.py`; the first four stand for their whole class, the last three are raised by statements of our own.
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
                {report};
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR with_check_option_violation
                       OR program_limit_exceeded OR raise_exception OR syntax_error OR SQLSTATE 'DDBKP'
                       OR SQLSTATE 'DDBRF' OR SQLSTATE 'DDBNS' THEN
            GET STACKED DIAGNOSTICS ddb2pg_sqlstate = RETURNED_SQLSTATE, ddb2pg_violated = CONSTRAINT_NAME;
            INSERT INTO {reported} VALUES (ddb2pg_number, ddb2pg_sqlstate, ddb2pg_violated);
        END;
    END LOOP;
END
"""
# One that is refused now, though it was not before, ends the transaction: its error is that of a row, or one of our own.
_LOOP_AGAIN: Final = """
DECLARE
    ddb2pg_number bigint;
    ddb2pg_rows bigint;
BEGIN
    FOR ddb2pg_number IN SELECT {item} FROM {staging} WHERE {item} <> ALL ({reported}::bigint[]) ORDER BY {item} LOOP
        {statement};
        GET DIAGNOSTICS ddb2pg_rows = ROW_COUNT;
        IF ddb2pg_rows {report_if} THEN RAISE SQLSTATE {kept}; END IF;
    END LOOP;
END
"""
