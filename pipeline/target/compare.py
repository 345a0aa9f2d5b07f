"""Rows as the export makes them against those of the target: on the server, in one statement for thousands.

Equality is PostgreSQL's own for the column's type: in jsonb the order of keys and white space do not matter, each digit does; a
timestamptz is compared to the microsecond. Text is compared byte by byte, independent of the collation. NULL equals NULL.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg2 import sql

from pipeline.target.rows import ITEM, Rows, Staging, stage_parsed
from pipeline.target.session import Cursor
from pipeline.target.target import FurtherColumn, Target
from transforms.table import Column, Table

STAGED_ROWS: Final = Staging("ddb2pg_compared")
_STAGED_KEYS: Final = Staging("ddb2pg_compared_keys")
_STAGED_VALUES: Final = Staging("ddb2pg_values")

NO_KEYS: Final = "{}"

# One look-up in the primary key's index for each row, also if the target is large or its statistics are stale.
PLANNING: Final = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows that are missing in the target, or different there, by item number; all others are there and equal."""

    missing: frozenset[int]
    different: Mapping[int, tuple[str, ...]]
    """The columns in which a row differs."""
    found_keys: str
    """A salted hash (`key_hash`) of the primary key of each row that is there, equal or not, in no order: an array of bigint as PostgreSQL
    writes it, because all that becomes of it is that PostgreSQL reads it again."""


def compare_rows(cursor: Cursor, target: Target, table: Table, rows: Rows, seed: int, further: Sequence[FurtherColumn] = ()) -> Comparison:
    """Look for each row in the target by its primary key, and compare it. The rows must be such as PostgreSQL takes."""
    if not rows:
        return Comparison(frozenset(), {}, NO_KEYS)
    stage_parsed(cursor, STAGED_ROWS, table, rows)
    return compare_staged_rows(cursor, target, table, seed, further)


def compare_staged_rows(cursor: Cursor, target: Target, table: Table, seed: int, further: Sequence[FurtherColumn] = ()) -> Comparison:
    """The same for rows that are in `STAGED_ROWS` already."""
    conditions = [(column.name, _is_distinct(column)) for column in table.columns]
    conditions += [(column.name, column.is_written) for column in further]
    cursor.execute(
        # As literals: with parameters, psycopg2 would read a % in a column's name as a placeholder.
        sql.SQL(PLANNING + _COMPARE).format(
            item=ITEM,
            is_found=sql.SQL("target.{} IS NOT NULL").format(sql.Identifier(target.primary_key[0])),
            differs=is_different(table, further),
            columns=sql.SQL(", ").join(
                sql.SQL("CASE WHEN {} THEN {} END").format(condition, sql.Literal(name)) for name, condition in conditions
            ),
            hash=key_hash(target, seed),
            staging=STAGED_ROWS.identifier,
            target=target.identifier,
            has_key=has_same_key(target),
        )
    )
    found_keys, unlike = cursor.fetchone()
    missing = frozenset(item for item, columns in unlike if columns is None)
    return Comparison(missing, {item: tuple(columns) for item, columns in unlike if columns is not None}, found_keys)


_COMPARE: Final = """
    SELECT coalesce(array_agg({hash}) FILTER (WHERE {is_found}), '{{}}')::text,
           coalesce(jsonb_agg(jsonb_build_array({item}, CASE WHEN {is_found} THEN array_remove(ARRAY[{columns}], NULL) END)
                              ORDER BY {item}) FILTER (WHERE {differs}), '[]')
    FROM {staging} AS staged LEFT JOIN {target} AS target ON {has_key}
"""


def has_same_key(target: Target) -> sql.Composable:
    """Whether a row of `target` has the primary key of one of `staged`."""
    return sql.SQL(" AND ").join(sql.SQL("target.{0} = staged.{0}").format(sql.Identifier(name)) for name in target.primary_key)


def is_different(table: Table, further: Sequence[FurtherColumn] = ()) -> sql.Composable:
    """Whether any column of a row of `target` differs from the row of `staged`; true where `target` has no such row."""
    return sql.SQL("({})").format(sql.SQL(" OR ").join([*map(_is_distinct, table.columns), *(column.is_written for column in further)]))


def key_hash(target: Target, seed: int) -> sql.Composable:
    """A 64-bit hash of the primary key of a row of `target`, salted by the seed: it can be kept where no key may be."""
    key = sql.SQL(", ").join(sql.SQL("target.{}").format(sql.Identifier(name)) for name in target.primary_key)
    return sql.SQL("hash_record_extended(ROW({}), {})").format(key, sql.Literal(seed))


def _is_distinct(column: Column) -> sql.Composable:
    both = [sql.SQL("{}.{}").format(sql.SQL(table), sql.Identifier(column.name)) for table in ("target", "staged")]
    return sql.SQL(column.pg_type.is_distinct).format(*both)


# -- keys alone ----------------------------------------------------------------------------------------------------------------------------


def find_keys(cursor: Cursor, target: Target, keys: Table, rows: Rows, seed: int) -> dict[int, int]:
    """Of rows that are primary keys alone, those that are in the target: item number -> `key_hash`. `keys` has their columns."""
    if not rows:
        return {}
    stage_parsed(cursor, _STAGED_KEYS, keys, rows)
    cursor.execute(
        sql.SQL(PLANNING + "SELECT {}, {} FROM {} AS staged JOIN {} AS target ON {}").format(
            ITEM, key_hash(target, seed), _STAGED_KEYS.identifier, target.identifier, has_same_key(target)
        )
    )
    return dict(cursor.fetchall())


# -- rows identified by hashes: no key or value may be kept, and the row cannot be made from the export ------------------------------------


@dataclass(frozen=True, slots=True)
class RowHashes:
    key: int
    row: int


def row_hash(target: Target, seed: int) -> sql.Composable:
    """A 64-bit hash of all columns of a row of `target`, as text (its form is the session's): some types have no hash of their own."""
    columns = sql.SQL(", ").join(sql.SQL("target.{}").format(sql.Identifier(column.name)) for column in target.columns)
    return sql.SQL("hashtextextended(ROW({})::text, {})").format(columns, sql.Literal(seed))


def hashed_rows(target: Target, seed: int) -> sql.Composable:
    """A query for the `key_hash` and the `row_hash` of every row."""
    return sql.SQL("SELECT {} AS key_hash, {} AS row_hash FROM {} AS target").format(
        key_hash(target, seed), row_hash(target, seed), target.identifier
    )


def find_hashes(cursor: Cursor, target: Target, keys: Table, rows: Rows, seed: int) -> dict[int, RowHashes]:
    """Of rows that are primary keys alone, those that are in the target, by item number. `keys` has their columns."""
    stage_parsed(cursor, _STAGED_KEYS, keys, rows)
    cursor.execute(
        sql.SQL(PLANNING + "SELECT {}, {}, {} FROM {} AS staged JOIN {} AS target ON {}").format(
            ITEM,
            key_hash(target, seed),
            row_hash(target, seed),
            _STAGED_KEYS.identifier,
            target.identifier,
            has_same_key(target),
        )
    )
    return {number: RowHashes(key, row) for number, key, row in cursor.fetchall()}


# -- values --------------------------------------------------------------------------------------------------------------------------------


def values_of_different(cursor: Cursor, target: Target, different: Collection[tuple[int, str]]) -> dict[tuple[int, str], tuple[Any, Any]]:
    """The values, as text, that the export and the target have: (item number, column) -> both. After `compare_rows`, in its transaction."""
    if not different:
        return {}
    columns = sorted({column for _, column in different})
    both = sql.SQL(", ").join(sql.SQL("staged.{0}::text, target.{0}::text").format(sql.Identifier(name)) for name in columns)
    cursor.execute(
        sql.SQL("SELECT {item}, {both} FROM {staging} AS staged JOIN {target} AS target ON {has_key} WHERE {item} = ANY ({items})").format(
            item=ITEM,
            both=both,
            staging=STAGED_ROWS.identifier,
            target=target.identifier,
            has_key=has_same_key(target),
            items=sql.Literal(sorted({item for item, _ in different})),
        )
    )
    both_values = {}
    for item, *values in cursor:
        for place, column in enumerate(columns):
            if (item, column) in different:
                both_values[item, column] = values[2 * place], values[2 * place + 1]
    return both_values


SpotValue = str | int | None
"""NULL; a timestamptz as microseconds since 1970-01-01 UTC; any other value as its text."""


def read_values(cursor: Cursor, table: Table, rows: Rows) -> list[Sequence[SpotValue]]:
    """The values of each row, in the order of its columns. The rows must be such as PostgreSQL takes."""
    stage_parsed(cursor, _STAGED_VALUES, table, rows)
    values = sql.SQL(", ").join(map(_value, table.columns))
    cursor.execute(sql.SQL("SELECT {} FROM {} AS staged ORDER BY {}").format(values, _STAGED_VALUES.identifier, ITEM))
    read: list[Sequence[SpotValue]] = cursor.fetchall()
    return read


def _value(column: Column) -> sql.Composable:
    return sql.SQL(column.pg_type.as_text).format(sql.SQL("staged.{}").format(sql.Identifier(column.name)))
