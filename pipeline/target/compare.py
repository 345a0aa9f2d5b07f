"""Rows as the export makes them against those of the target: on the server, in one statement for thousands.

Equality is of what the value is (`PgType.is_distinct`): PostgreSQL's own where that tells all values apart, else that of their texts, whose
form the session fixes. In jsonb the order of keys and white space do not matter, each digit does; a timestamptz is compared to the
microsecond. Text of all kinds is compared byte by byte, independent of the collation. NULL equals NULL.

Nearly all rows are equal, and bytes prove it at a smaller price than that statement: see `prove_by_bytes`. It is for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from psycopg2 import sql

from pipeline.target.rows import (
    HEADER,
    ITEM,
    STAGED_KEYS,
    STAGED_ROWS,
    RefusedRow,
    Rows,
    Staging,
    stage_parsed,
    stage_what_parses,
)
from pipeline.target.session import Cursor
from pipeline.target.target import FurtherColumn, Target
from transforms.native.sent import compile_proof
from transforms.rejects import ErrorCode
from transforms.table import Column, Table

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
    """A salted hash (`key_hash`) of the key of each row that is there, equal or not, in no order: an array of bigint as PostgreSQL
    writes it, because all that becomes of it is that PostgreSQL reads it again."""


def compare_rows(cursor: Cursor, target: Target, table: Table, rows: Rows, seed: int, further: Sequence[FurtherColumn] = ()) -> Comparison:
    """Look for each row in the target by its key, and compare it. The rows must be such as PostgreSQL takes.

    Those that bytes do not prove to be equal are in `STAGED_ROWS` afterwards, if there are any.
    """
    proved = prove_by_bytes(cursor, target, table, rows, seed, further)
    keys_of_proved = f"{{{','.join(map(str, proved.values()))}}}"
    if len(proved) == len(rows):
        return Comparison(frozenset(), {}, keys_of_proved)
    stage_parsed(cursor, STAGED_ROWS, table, Rows(rows.item_numbers, rows.encoded).without(proved))
    comparison = compare_staged_rows(cursor, target, table, seed, further)
    found_keys = [keys[1:-1] for keys in (keys_of_proved, comparison.found_keys) if keys != NO_KEYS]
    return replace(comparison, found_keys=f"{{{','.join(found_keys)}}}")


def compare_staged_rows(cursor: Cursor, target: Target, table: Table, seed: int, further: Sequence[FurtherColumn] = ()) -> Comparison:
    """The same for rows that are in `STAGED_ROWS` already."""
    cursor.execute(
        # As literals: with parameters, psycopg2 would read a % in a column's name as a placeholder.
        sql.SQL(PLANNING + _COMPARE).format(
            item=ITEM,
            is_found=sql.SQL("target.{} IS NOT NULL").format(sql.Identifier(target.key[0])),
            differs=is_different(table, further),
            columns=sql.SQL(", ").join(
                sql.SQL("CASE WHEN {} THEN {} END").format(condition, sql.Literal(name)) for name, condition in _conditions(table, further)
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
    """Whether a row of `target` has the key of one of `staged`."""
    return sql.SQL(" AND ").join(sql.SQL("target.{0} = staged.{0}").format(sql.Identifier(name)) for name in target.key)


# Types with a hash function of 64 bits; money, bits and others have none.
_HASHED: Final = frozenset(
    {
        *("uuid", "boolean", "text", "character varying", "character", "bytea", "jsonb", "inet"),
        *("smallint", "integer", "bigint", "numeric", "double precision", "real"),
        *("timestamp with time zone", "timestamp without time zone", "date", "time without time zone", "interval"),
    }
)


def is_different(table: Table, further: Sequence[FurtherColumn] = ()) -> sql.Composable:
    """Whether any column of a row of `target` differs from the row of `staged`; true where `target` has no such row."""
    return sql.SQL("({})").format(sql.SQL(" OR ").join(condition for _, condition in _conditions(table, further)))


def _conditions(table: Table, further: Sequence[FurtherColumn]) -> list[tuple[str, sql.Composable]]:
    """Of each column its name, and whether it differs."""
    return [*((column.name, _is_distinct(column)) for column in table.columns), *((column.name, column.is_written) for column in further)]


def key_hash(target: Target, seed: int) -> sql.Composable:
    """A 64-bit hash of the key of a row of `target`, salted by the seed: it can be kept where no key may be."""
    hashed = {column.name for column in target.columns if column.is_enum or column.base_type in _HASHED}
    # A row's own key alone is hashed, so its text will do, whatever else its type takes for equal.
    key = sql.SQL(", ").join(
        sql.SQL("target.{}" if name in hashed else "target.{}::text").format(sql.Identifier(name)) for name in target.key
    )
    return sql.SQL("hash_record_extended(ROW({}), {})").format(key, sql.Literal(seed))


def _is_distinct(column: Column) -> sql.Composable:
    both = [sql.SQL("{}.{}").format(sql.SQL(table), sql.Identifier(column.name)) for table in ("target", "staged")]
    return sql.SQL(column.pg_type.is_distinct).format(*both)


# -- by bytes ------------------------------------------------------------------------------------------------------------------------------


def prove_by_bytes(
    cursor: Cursor, target: Target, table: Table, rows: Rows, seed: int, further: Sequence[FurtherColumn] = ()
) -> dict[int, int]:
    """The rows that the target has to the byte as PostgreSQL sends an equal one: item number -> `key_hash`.

    Of the others nothing is known; of most tables there are none. Documents are neither parsed nor staged for it.
    """
    proof = compile_proof(table.columns, target.key)
    # Of several rows with one key that one is equal says nothing of the others.
    if not rows or proof is None or target.has_heirs:
        return {}
    keys = table.only([column.name for column in table.columns if column.name in target.key])
    stage_parsed(cursor, STAGED_KEYS, keys, Rows(rows.item_numbers, proof.keys_of(rows.encoded)))
    fields = [
        sql.SQL(column.pg_type.sent or "{}").format(sql.SQL("target.{}").format(sql.Identifier(column.name))) for column in table.columns
    ]
    statement = sql.SQL(_SEND).format(
        fields=sql.SQL(", ").join(fields),
        item=ITEM,
        hash=key_hash(target, seed),
        staging=STAGED_KEYS.identifier,
        target=target.identifier,
        has_key=has_same_key(target),
        is_written=sql.SQL("({})").format(sql.SQL(" OR ").join(column.is_written for column in further)) if further else sql.SQL("false"),
    )
    received: list[bytes] = []
    cursor.execute(PLANNING)
    cursor.copy_expert(statement, _Received(received.append))
    if received:
        received[0] = received[0].removeprefix(HEADER)
    return proof.prove(dict(zip(rows.item_numbers, rows.encoded, strict=True)), received)


@dataclass(frozen=True, slots=True)
class _Received:
    """What a COPY writes to. Each call has one row, the first the header before it; the last has the trailer."""

    write: Callable[[bytes], None]


_SEND: Final = """
    COPY (SELECT {fields}, {item}, {hash} FROM {staging} AS staged JOIN {target} AS target ON {has_key} WHERE ({is_written}) IS NOT TRUE)
    TO STDOUT (FORMAT BINARY)
"""


# -- keys alone ----------------------------------------------------------------------------------------------------------------------------


def find_keys(cursor: Cursor, target: Target, keys: Table, rows: Rows, seed: int) -> dict[int, int]:
    """Of rows that are keys alone, those that are in the target: item number -> `key_hash`. `keys` has their columns.

    They may be keys of dead letters, so PostgreSQL may refuse to read them.
    """
    if not rows:
        return {}
    _find(cursor, target, keys, rows, [key_hash(target, seed)])
    return dict(cursor.fetchall())


def _find(cursor: Cursor, target: Target, keys: Table, rows: Rows, columns: Iterable[sql.Composable]) -> None:
    """Select the number of each item whose row is in the target, and these columns."""
    stage_what_parses(cursor, _STAGED_KEYS, keys, rows)
    cursor.execute(
        sql.SQL(PLANNING + "SELECT {} FROM {} AS staged JOIN {} AS target ON {}").format(
            sql.SQL(", ").join([ITEM, *columns]), _STAGED_KEYS.identifier, target.identifier, has_same_key(target)
        )
    )


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
    """Of rows that are keys alone, those that are in the target, by item number. `keys` has their columns."""
    _find(cursor, target, keys, rows, [key_hash(target, seed), row_hash(target, seed)])
    hashes = {number: RowHashes(key, row) for number, key, row in cursor.fetchall()}
    cursor.execute(sql.SQL("DROP TABLE {}").format(_STAGED_KEYS.identifier))
    return hashes


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


def keys_of_staged(cursor: Cursor, target: Target, items: Collection[int]) -> dict[int, dict[str, str]]:
    """Item number -> column -> text: the keys of some of the rows that were compared. After `compare_rows`, in its transaction."""
    if not items:
        return {}
    key = sql.SQL(", ").join(sql.SQL("staged.{}::text").format(sql.Identifier(name)) for name in target.key)
    cursor.execute(
        sql.SQL("SELECT {item}, {key} FROM {staging} AS staged WHERE {item} = ANY ({items})").format(
            item=ITEM, key=key, staging=STAGED_ROWS.identifier, items=sql.Literal(sorted(items))
        )
    )
    return {item: dict(zip(target.key, texts, strict=True)) for item, *texts in cursor}


SpotValue = str | None
"""NULL, or the value as its text."""


def read_values(cursor: Cursor, table: Table, rows: Rows) -> list[Sequence[SpotValue]]:
    """The values of each row, in the order of its columns. The rows must be such as PostgreSQL takes."""
    stage_parsed(cursor, _STAGED_VALUES, table, rows)
    values = sql.SQL(", ").join(map(_value, table.columns))
    cursor.execute(sql.SQL("SELECT {} FROM {} AS staged ORDER BY {}").format(values, _STAGED_VALUES.identifier, ITEM))
    read: list[Sequence[SpotValue]] = cursor.fetchall()
    return read


def _value(column: Column) -> sql.Composable:
    return sql.SQL(column.pg_type.as_text).format(sql.SQL("staged.{}").format(sql.Identifier(column.name)))


# -- what is said of one item: by its number and by names, never by a value ----------------------------------------------------------------


class MismatchKind(StrEnum):
    """How an item and its row do not agree."""

    NOT_LOADED = "not_loaded"
    """Its chunk was never committed."""
    MISSING = "missing"
    """It was loaded, but its row is not there."""
    REPAIRED = "repaired"
    """Its row was missing, and is there again, equal."""
    DIFFERENT = "different"
    """Its row has another value in some columns."""
    DEAD_LETTER_IN_TARGET = "dead_letter_in_target"
    """It is a dead letter, and there is a row with its key that no loaded item has."""
    FILTERED_IN_TARGET = "filtered_in_target"
    """It is not for this table, by the definition, and there is a row with its key that no loaded item has, and no dead letter either."""
    DELETED_IN_TARGET = "deleted_in_target"
    """Of a window: the item was deleted, or is not for this table any more, and its row is there."""
    ROW_WITHOUT_ITEM = "row_without_item"
    """A row whose key no item of the export has, as far as keys can be read."""

    OUTDATED = "outdated"
    """Of a chain: its row is older than it, because what came later is a dead letter."""
    OUTDATED_WITHOUT_ITEM = "outdated_without_item"
    """Of a chain: a row of an item that is gone, or has another key; the record that says so is a dead letter."""
    CHANGED_BY_OTHERS = "changed_by_others"
    """Of a chain: its row has another value, and somebody else wrote it."""
    ROW_OF_OTHERS = "row_of_others"
    """Of a chain: a row whose key no item has, and that somebody else wrote."""

    REFERENCED = "referenced"
    """Not deleted: deleting it would delete or change rows of others that refer to it."""
    REFUSED = "refused"
    """Not deleted: PostgreSQL refused."""
    NOT_DELETED = "not_deleted"
    """Not deleted, without an error: a trigger or a policy keeps it."""
    NOT_SEEN = "not_seen"
    """It is gone, or row security hides it from this role."""
    NOT_KNOWN = "not_known"
    """Of a window: no image has what was there before, so it cannot be put back."""


TRIED_AGAIN: Final = frozenset([MismatchKind.REFERENCED, MismatchKind.REFUSED])
"""What kept these rows from being deleted may be a row that goes later: of the same table, in another chunk."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One item and what is to be said of it."""

    item_number: int
    kind: MismatchKind
    columns: tuple[str, ...] = ()
    refused: RefusedRow | None = None
    """Why PostgreSQL refused to write the row again, or to delete it."""


def mismatches_to_json(mismatches: Iterable[Mismatch]) -> list[Any]:
    """As the ledger keeps them."""
    return [
        [item.item_number, item.kind, item.columns, item.refused and [item.refused.code, item.refused.sqlstate, item.refused.constraint]]
        for item in mismatches
    ]


def mismatches_of_json(entries: Iterable[Any]) -> tuple[Mismatch, ...]:
    """The inverse of `mismatches_to_json`."""
    return tuple(
        Mismatch(number, MismatchKind(kind), tuple(columns), refused and RefusedRow(number, ErrorCode(refused[0]), *refused[1:]))
        for number, kind, columns, refused in entries
    )
