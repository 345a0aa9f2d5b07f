"""What became of the records of windows and streams, and the rows that they left outdated; no value of an item is in it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from typing import Final, NamedTuple

from pipeline.ledger.loads import ChunkKey, Load
from pipeline.source.chunks import ItemAddress
from pipeline.target.session import Cursor
from transforms.compile import EncodedRow
from transforms.table import Table
from transforms.types import JSONB, split_row

# -- what became of records ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AppliedCounts:
    """What became of the records of a chunk, or of a window: each is in one of these, but for `overwritten`."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    absent: int = 0
    filtered: int = 0
    conflicts: int = 0
    dead_letters: int = 0
    set_aside: int = 0
    overwritten: int = 0
    """Of those before how many took the place of somebody else's row."""

    @property
    def records(self) -> int:
        return int(sum(astuple(self))) - self.overwritten


class Fate(StrEnum):
    """What became of a record, as a letter. A capital says that what was there before is not what the record's old image has."""

    INSERTED = "i"
    UPDATED = "u"
    MOVED = "m"
    """The row of another key was deleted, and one inserted. Counted with those that were updated."""
    UNCHANGED = "n"
    DELETED = "d"
    ABSENT = "a"
    FILTERED = "f"
    CONFLICT = "c"
    DEAD_LETTER = "x"
    SET_ASIDE = "s"


_FATE_OF_COUNT: Final[Mapping[str, tuple[Fate, ...]]] = {
    "inserted": (Fate.INSERTED,),
    "updated": (Fate.UPDATED, Fate.MOVED),
    "unchanged": (Fate.UNCHANGED,),
    "deleted": (Fate.DELETED,),
    "absent": (Fate.ABSENT,),
    "filtered": (Fate.FILTERED,),
    "conflicts": (Fate.CONFLICT,),
    "dead_letters": (Fate.DEAD_LETTER,),
    "set_aside": (Fate.SET_ASIDE,),
}
_COUNTS: Final = tuple(field.name for field in fields(AppliedCounts) if field.name != "set_aside")


def count_fates(fates: str, overwritten: int) -> AppliedCounts:
    """Of letters of `Fate`, one a record."""
    letters = Counter(fates.lower())
    counts = {name: sum(letters[fate] for fate in of_count) for name, of_count in _FATE_OF_COUNT.items()}
    return AppliedCounts(**counts, overwritten=overwritten)


class AppliedChunk(NamedTuple):
    """What became of the records of a committed chunk so far."""

    fates: str
    """A letter of `Fate` a record, in their order."""
    overwritten: int
    set_aside: list[int]
    """The items that are to be tried again."""


def note_applied(cursor: Cursor, key: ChunkKey, chunk: AppliedChunk) -> None:
    """Note what became of a chunk's records, in its transaction; again, when some that were set aside are settled."""
    counts, columns = count_fates(chunk.fates, chunk.overwritten), ", ".join(_COUNTS)
    cursor.execute(
        f"""
        INSERT INTO ddb2pg.applied_chunk (load_id, data_file, first_item, records, fates, set_aside, {columns})
        VALUES (%s, %s, %s, %s, %s, %s, {", ".join(["%s"] * len(_COUNTS))})
        ON CONFLICT (load_id, data_file, first_item) DO UPDATE
        SET (fates, set_aside, {columns}) = ROW (excluded.fates, excluded.set_aside, {", ".join(f"excluded.{name}" for name in _COUNTS)})
        """,
        [
            *(key.load_id, key.data_file, key.first_item, counts.records, chunk.fates, sorted(chunk.set_aside)),
            *(getattr(counts, name) for name in _COUNTS),
        ],
    )


def applied_chunk(cursor: Cursor, key: ChunkKey) -> AppliedChunk:
    """Locked to the end of this transaction."""
    cursor.execute(
        "SELECT fates, overwritten, set_aside FROM ddb2pg.applied_chunk WHERE (load_id, data_file, first_item) = (%s, %s, %s) FOR UPDATE",
        [key.load_id, key.data_file, key.first_item],
    )
    return AppliedChunk(*cursor.fetchone())


def set_aside_in(cursor: Cursor, key: ChunkKey) -> set[int]:
    """The items of a chunk that are set aside."""
    cursor.execute(
        "SELECT unnest(set_aside) FROM ddb2pg.applied_chunk WHERE (load_id, data_file, first_item) = (%s, %s, %s)",
        [key.load_id, key.data_file, key.first_item],
    )
    return {row[0] for row in cursor.fetchall()}


def applied_totals(cursor: Cursor, load_id: int) -> AppliedCounts:
    """Of all committed chunks of a window."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _COUNTS)
    cursor.execute(
        f"SELECT coalesce(sum(cardinality(set_aside)), 0)::bigint, {sums} FROM ddb2pg.applied_chunk WHERE load_id = %s", [load_id]
    )
    set_aside, *counts = cursor.fetchone()
    return AppliedCounts(**dict(zip(_COUNTS, counts, strict=True)), set_aside=set_aside)


def all_set_aside(cursor: Cursor, load_ids: Sequence[int]) -> set[tuple[int, str, int]]:
    """The items that are set aside in some windows: load, data file, item number."""
    cursor.execute(
        "SELECT load_id, data_file, unnest(set_aside) FROM ddb2pg.applied_chunk WHERE load_id = ANY (%s) AND set_aside <> '{}'",
        [list(load_ids)],
    )
    return {(load_id, data_file, number) for load_id, data_file, number in cursor.fetchall()}


# -- items that share a key ----------------------------------------------------------------------------------------------------------------


def salted_hash(content: bytes, seed: int) -> int:
    """Of 64 bits."""
    digest = hashlib.blake2b(content, digest_size=8, key=seed.to_bytes(8, "big", signed=True)).digest()
    return int.from_bytes(digest, "big", signed=True)


def hash_row(table: Table, row: EncodedRow, seed: int) -> int:
    """Equal for rows that are equal. Of documents, equal ones may be written in several ways, so they are left out."""
    fields = zip(table.columns, split_row(row), strict=True)
    return salted_hash(b"".join(field for column, field in fields if column.pg_type is not JSONB), seed)


def note_doubles(cursor: Cursor, load: Load, hashes: Collection[int]) -> None:
    """Note items, by `hash_row` of the rows that they would be, that have none because another item's has their key."""
    if hashes:
        cursor.execute(
            "INSERT INTO ddb2pg.double (chain, load_id, row_hash) SELECT %s, %s, unnest(%s::bigint[]) ON CONFLICT DO NOTHING",
            [load.chain, load.load_id, sorted(hashes)],
        )


def doubles_among(cursor: Cursor, chain: int, hashes: Collection[int]) -> set[int]:
    """Those of these rows that an item that has none would have, too."""
    cursor.execute("SELECT row_hash FROM ddb2pg.double WHERE chain = %s AND row_hash = ANY (%s)", [chain, list(hashes)])
    return {row[0] for row in cursor.fetchall()}


# -- outdated rows -------------------------------------------------------------------------------------------------------------------------


class OutdatedRow(NamedTuple):
    """A row that is older than its item, by salted hashes; None where that is not known."""

    item_hash: int | None
    row_key_hash: int | None


def note_outdated(cursor: Cursor, load: Load, items: Mapping[ItemAddress, OutdatedRow]) -> None:
    """Note the records of a window that were not applied, and whose item has an older row."""
    if not items:
        return
    cursor.execute(
        """
        INSERT INTO ddb2pg.outdated (chain, load_id, data_file, item_number, item_hash, row_key_hash)
        SELECT %s, %s, given.* FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[]) given
        """,
        [
            *(load.chain, load.load_id, [item.data_file for item in items], [item.item_number for item in items]),
            [row.item_hash for row in items.values()],
            [row.row_key_hash for row in items.values()],
        ],
    )


def has_outdated(cursor: Cursor, load: Load) -> bool:
    """Whether earlier records left any row outdated; also one that this window makes up for."""
    outdated = "EXISTS (SELECT FROM ddb2pg.outdated WHERE chain = %(chain)s AND load_id IS DISTINCT FROM %(itself)s AND superseded_by"
    cursor.execute(
        f"SELECT {outdated} IS NULL) OR {outdated} = %(load)s)", {"chain": load.chain, "load": load.load_id, "itself": _itself(load)}
    )
    return bool(cursor.fetchone()[0])


def outdated_rows(cursor: Cursor, load: Load, item_hashes: Collection[int]) -> Mapping[int, set[int]]:
    """The same of some items: by the hash of an item those of the keys of its rows that are outdated.

    In a stream an item has many records: there these are those of earlier records, also of the same stream.
    """
    cursor.execute(
        "SELECT item_hash, array_agg(row_key_hash) FROM ddb2pg.outdated "
        "WHERE chain = %(chain)s AND load_id IS DISTINCT FROM %(itself)s AND item_hash = ANY (%(items)s::bigint[]) "
        "AND (superseded_by IS NULL OR superseded_by = %(load)s) GROUP BY item_hash",
        {"chain": load.chain, "load": load.load_id, "itself": _itself(load), "items": list(item_hashes)},
    )
    return {item_hash: set(row_key_hashes) for item_hash, row_key_hashes in cursor.fetchall()}


def _itself(load: Load) -> int | None:
    """The window whose own records are none of those before it; None of a stream."""
    return None if load.link and load.link.is_stream else load.load_id


def supersede(cursor: Cursor, load: Load, rows: Collection[OutdatedRow]) -> None:
    """Note that a window or stream has a later record of items about their rows that were outdated."""
    if not rows:
        return
    cursor.execute(
        "UPDATE ddb2pg.outdated SET superseded_by = %s WHERE chain = %s AND load_id IS DISTINCT FROM %s AND superseded_by IS NULL "
        "AND (item_hash, row_key_hash) IN (SELECT * FROM unnest(%s::bigint[], %s::bigint[]))",
        [load.load_id, load.chain, _itself(load), [row.item_hash for row in rows], [row.row_key_hash for row in rows]],
    )


def outdated_items(cursor: Cursor, chain: int) -> set[int]:
    """The hashes of the items of which a row is outdated."""
    cursor.execute(
        "SELECT DISTINCT item_hash FROM ddb2pg.outdated WHERE chain = %s AND superseded_by IS NULL AND item_hash IS NOT NULL", [chain]
    )
    return {row[0] for row in cursor.fetchall()}


def outdated_row_keys(cursor: Cursor, chain: int) -> set[int]:
    """The hashes of the keys of rows that are outdated."""
    cursor.execute(
        "SELECT DISTINCT row_key_hash FROM ddb2pg.outdated WHERE chain = %s AND superseded_by IS NULL AND row_key_hash IS NOT NULL", [chain]
    )
    return {row[0] for row in cursor.fetchall()}


def count_outdated(cursor: Cursor, chain: int, load_id: int | None = None) -> int:
    """The rows of a chain that are outdated; with a window, those that it left so and nothing made up for since."""
    cursor.execute(
        "SELECT count(*) FROM ddb2pg.outdated WHERE chain = %s AND superseded_by IS NULL AND (%s::bigint IS NULL OR load_id = %s)",
        [chain, load_id, load_id],
    )
    return int(cursor.fetchone()[0])
