"""Rows known by hashes: where neither a key nor a value may be kept, and the export does not tell what a row was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.compare import PLANNING, has_same_key, key_hash
from pipeline.target.rows import Rows
from pipeline.target.session import Cursor
from pipeline.target.staging import ITEM, Staging, stage_parsed
from pipeline.target.target import Target
from transforms.table import Table

TEXT_SETTINGS: Final = (
    "SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; "
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1"
)
"""What the text of a value depends on, besides the time zone, which every session of ours sets. Before any `row_hash`."""

_STAGED_KEYS: Final = Staging("ddb2pg_hashed_keys")


@dataclass(frozen=True, slots=True)
class RowHashes:
    """How a row is known."""

    key: int
    row: int


def row_hash(target: Target, seed: int) -> sql.Composable:
    """A 64-bit hash of all columns of a row of `target`, as text: some types have no hash of their own."""
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
        sql.SQL("{}; " + PLANNING + "SELECT {}, {}, {} FROM {} AS staged JOIN {} AS target ON {}").format(
            sql.SQL(TEXT_SETTINGS),
            ITEM,
            key_hash(target, seed),
            row_hash(target, seed),
            _STAGED_KEYS.identifier,
            target.identifier,
            has_same_key(target),
        )
    )
    return {number: RowHashes(key, row) for number, key, row in cursor.fetchall()}
