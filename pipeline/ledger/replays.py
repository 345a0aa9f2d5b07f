"""Replays: dead letters of a load that became rows after all, each noted in the transaction of its row, or that are filtered now.

The row of such an item cannot be made from the export, so it is identified by hashes: of its primary key, and of all of its columns as
they were right after it was written. An item that the definition no longer takes is noted with the reason; it has no row and no hashes,
and the next replay tries it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql
from psycopg2.extras import Json

from pipeline.ledger.rollbacks import DELETED, GONE, hold_open
from pipeline.source.chunks import ItemAddress
from pipeline.target.compare import TRIED_AGAIN, MismatchKind, RowHashes, hashed_rows, key_hash, row_hash
from pipeline.target.rows import ITEM, STAGED_ROWS, stagings_of_child
from pipeline.target.session import Cursor
from pipeline.target.target import Target
from transforms.table import Table


@dataclass(frozen=True, slots=True)
class ChunkRoom:
    """Of how many items a chunk may be replayed: its dead letters."""

    first_item: int
    items: int
    dead_letters: int


def _lists_of(addresses: Iterable[ItemAddress]) -> tuple[list[str], list[int]]:
    """For `unnest(%s::text[], %s::bigint[])`."""
    addresses = list(addresses)
    return [address.data_file for address in addresses], [address.item_number for address in addresses]


def hash_seed(cursor: Cursor, load_id: int) -> int:
    """What salts the hashes of a load."""
    cursor.execute("SELECT hash_seed FROM ddb2pg.load WHERE load_id = %s", [load_id])
    return int(cursor.fetchone()[0])


_IS_ROW: Final = "filter_reason IS NULL"


def claim_items(cursor: Cursor, load_id: int, run_id: str, items: Mapping[ItemAddress, Sequence[str]]) -> set[ItemAddress]:
    """Note dead letters, with their codes, as brought in, before their rows are written; returns those that were not brought in before.

    A second replay of the same items waits here for the first one's transaction to end. Raises `Stopped` once a rollback was begun.
    """
    hold_open(cursor, load_id)
    keys = sorted(items, key=lambda key: (key.data_file, key.item_number))
    cursor.execute(
        """
        INSERT INTO ddb2pg.replayed_item (load_id, data_file, item_number, run_id, codes)
        SELECT %s, data_file, item_number, %s, codes
        FROM unnest(%s::text[], %s::bigint[], %s::jsonb[]) given (data_file, item_number, codes)
        ON CONFLICT DO NOTHING RETURNING data_file, item_number
        """,
        [load_id, run_id, *_lists_of(keys), [Json(list(items[key])) for key in keys]],
    )
    return {ItemAddress(*row) for row in cursor.fetchall()}


def note_filtered(cursor: Cursor, load_id: int, run_id: str, items: Mapping[ItemAddress, tuple[Sequence[str], str]]) -> set[ItemAddress]:
    """Note dead letters, with their codes and the reason, as not for the table; returns those that were not settled before.

    Raises `Stopped` once a rollback was begun.
    """
    if not items:
        return set()
    hold_open(cursor, load_id)
    keys = sorted(items, key=lambda key: (key.data_file, key.item_number))
    cursor.execute(
        """
        INSERT INTO ddb2pg.replayed_item (load_id, data_file, item_number, run_id, codes, filter_reason)
        SELECT %s, data_file, item_number, %s, codes, reason
        FROM unnest(%s::text[], %s::bigint[], %s::jsonb[], %s::text[]) given (data_file, item_number, codes, reason)
        ON CONFLICT DO NOTHING RETURNING data_file, item_number
        """,
        [
            load_id,
            run_id,
            [key.data_file for key in keys],
            [key.item_number for key in keys],
            [Json(list(items[key][0])) for key in keys],
            [items[key][1] for key in keys],
        ],
    )
    return {ItemAddress(*row) for row in cursor.fetchall()}


def release_filtered(cursor: Cursor, load_id: int, items: Sequence[ItemAddress]) -> None:
    """Let those of some items that an earlier replay filtered be dead letters again, to be tried once more."""
    cursor.execute(
        f"""
        DELETE FROM ddb2pg.replayed_item r USING unnest(%s::text[], %s::bigint[]) given (data_file, item_number)
        WHERE r.load_id = %s AND r.data_file = given.data_file AND r.item_number = given.item_number AND NOT {_IS_ROW}
        """,
        [[key.data_file for key in items], [key.item_number for key in items], load_id],
    )


def brought_in(cursor: Cursor, load_id: int, items: Sequence[ItemAddress]) -> set[ItemAddress]:
    """Those of some items that were brought in before."""
    cursor.execute(
        """
        SELECT data_file, item_number FROM ddb2pg.replayed_item r JOIN unnest(%s::text[], %s::bigint[]) given (data_file, item_number)
            USING (data_file, item_number)
        WHERE r.load_id = %s
        """,
        [*_lists_of(items), load_id],
    )
    return {ItemAddress(*row) for row in cursor.fetchall()}


def release_items(cursor: Cursor, load_id: int, items: Sequence[ItemAddress]) -> None:
    """Take claims back: PostgreSQL refused the rows."""
    cursor.execute(
        """
        DELETE FROM ddb2pg.replayed_item r USING unnest(%s::text[], %s::bigint[]) given (data_file, item_number)
        WHERE r.load_id = %s AND r.data_file = given.data_file AND r.item_number = given.item_number
        """,
        [*_lists_of(items), load_id],
    )


def note_hashes(cursor: Cursor, load_id: int, target: Target, hashes: Mapping[ItemAddress, RowHashes]) -> None:
    """Record the hashes of the rows of claimed items."""
    cursor.execute(
        """
        UPDATE ddb2pg.replayed_item r SET key_hash = given.key_hash, row_hash = given.row_hash, key_columns = %s
        FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[]) given (data_file, item_number, key_hash, row_hash)
        WHERE r.load_id = %s AND r.data_file = given.data_file AND r.item_number = given.item_number
        """,
        [
            list(target.key),
            *_lists_of(hashes),
            [row_hashes.key for row_hashes in hashes.values()],
            [row_hashes.row for row_hashes in hashes.values()],
            load_id,
        ],
    )


def note_child_hashes(cursor: Cursor, load_id: int, child: int, rows: Sequence[tuple[ItemAddress, RowHashes]]) -> None:
    """Record the hashes of the rows of one child of claimed items, an entry a row."""
    cursor.execute(
        """
        INSERT INTO ddb2pg.replayed_child (load_id, data_file, item_number, child, key_hash, row_hash)
        SELECT %s, data_file, item_number, %s, key_hash, row_hash
        FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[]) given (data_file, item_number, key_hash, row_hash)
        """,
        [
            load_id,
            child,
            [key.data_file for key, _ in rows],
            [key.item_number for key, _ in rows],
            [hashes.key for _, hashes in rows],
            [hashes.row for _, hashes in rows],
        ],
    )


def chunk_rooms(cursor: Cursor, load_id: int, data_file: str) -> list[ChunkRoom]:
    """The committed chunks of a data file, in order."""
    cursor.execute(
        "SELECT first_item, items, dead_letters FROM ddb2pg.chunk WHERE (load_id, data_file) = (%s, %s) ORDER BY first_item",
        [load_id, data_file],
    )
    return [ChunkRoom(*row) for row in cursor.fetchall()]


def replayed_numbers(cursor: Cursor, load_id: int, data_file: str) -> set[int]:
    """The items of a data file that a replay settled: brought in, or filtered."""
    cursor.execute("SELECT item_number FROM ddb2pg.replayed_item WHERE (load_id, data_file) = (%s, %s)", [load_id, data_file])
    return {row[0] for row in cursor.fetchall()}


def count_all_replayed(cursor: Cursor, load_id: int) -> int:
    """How many items of a load were brought in."""
    cursor.execute(f"SELECT count(*) FROM ddb2pg.replayed_item WHERE load_id = %s AND {_IS_ROW}", [load_id])
    return int(cursor.fetchone()[0])


def is_key_another(cursor: Cursor, load_id: int, target: Target) -> bool:
    """Whether rows were brought in while the target had another primary key, so that this one cannot identify them."""
    cursor.execute("SELECT EXISTS (SELECT FROM ddb2pg.replayed_item WHERE load_id = %s AND key_columns <> %s)", [load_id, list(target.key)])
    return bool(cursor.fetchone()[0])


def replayed_mismatches(cursor: Cursor, load_id: int, target: Target) -> Iterator[tuple[ItemAddress, MismatchKind]]:
    """Of the replayed items, those whose row is missing now, or of which a row, their own or a child's, was changed."""
    if not count_all_replayed(cursor, load_id):
        return
    kinds = dict(_replayed_rows(cursor, load_id, target))
    for number, child in enumerate(target.children):
        for address in _changed_children(cursor, load_id, child, number):
            kinds.setdefault(address, MismatchKind.DIFFERENT)
    yield from sorted(kinds.items(), key=lambda pair: (pair[0].data_file, pair[0].item_number))


def _changed_children(cursor: Cursor, load_id: int, target: Target, child: int) -> list[ItemAddress]:
    """The replayed items of which a row of this child is missing or changed."""
    cursor.execute(
        sql.SQL(
            """
            SELECT DISTINCT r.data_file, r.item_number FROM ddb2pg.replayed_child r LEFT JOIN ({rows}) there USING (key_hash)
            WHERE r.load_id = {load_id} AND r.child = {child} AND there.row_hash IS DISTINCT FROM r.row_hash
            """
        ).format(rows=hashed_rows(target, hash_seed(cursor, load_id)), load_id=sql.Literal(load_id), child=sql.Literal(child))
    )
    return [ItemAddress(*row) for row in cursor.fetchall()]


def _replayed_rows(cursor: Cursor, load_id: int, target: Target) -> Iterator[tuple[ItemAddress, MismatchKind]]:
    cursor.execute(
        sql.SQL(
            """
            SELECT r.data_file, r.item_number, there.row_hash IS NULL
            FROM ddb2pg.replayed_item r LEFT JOIN ({rows}) there USING (key_hash)
            WHERE r.load_id = {load_id} AND r.filter_reason IS NULL AND there.row_hash IS DISTINCT FROM r.row_hash ORDER BY 1, 2
            """
        ).format(rows=hashed_rows(target, hash_seed(cursor, load_id)), load_id=sql.Literal(load_id))
    )
    for data_file, item_number, is_missing in cursor.fetchall():
        yield ItemAddress(data_file, item_number), MismatchKind.MISSING if is_missing else MismatchKind.DIFFERENT


# -- taken back ----------------------------------------------------------------------------------------------------------------------------


def items_to_take_back(cursor: Cursor, load_id: int) -> list[ItemAddress]:
    """Items that no rollback has taken back, or that one could not for a reason that may have passed; locked for this transaction."""
    cursor.execute(
        f"""
        SELECT data_file, item_number FROM ddb2pg.replayed_item
        WHERE load_id = %s AND {_IS_ROW} AND (rolled_back IS NULL OR rolled_back = ANY (%s)) ORDER BY 1, 2 FOR UPDATE
        """,
        [load_id, [kind.value for kind in TRIED_AGAIN]],
    )
    return [ItemAddress(*row) for row in cursor.fetchall()]


def stage_replayed(
    cursor: Cursor, load_id: int, target: Target, table: Table, items: Sequence[ItemAddress], but: Collection[int] = ()
) -> tuple[set[int], set[int]]:
    """Stage those rows in `STAGED_ROWS`, numbered by their items' places in the list, that are as they were written, but for some places.

    Returns their numbers, and those of rows that are there, but changed.
    """
    seed = hash_seed(cursor, load_id)
    data_files, numbers = _lists_of(items)
    cursor.execute(
        sql.SQL(
            """
            CREATE TEMP TABLE ddb2pg_replayed ON COMMIT DROP AS
                SELECT given.number - 1 AS number, r.key_hash, r.row_hash FROM ddb2pg.replayed_item r
                JOIN unnest({data_files}::text[], {numbers}::bigint[]) WITH ORDINALITY given (data_file, item_number, number)
                    USING (data_file, item_number)
                WHERE r.load_id = {load_id} AND given.number - 1 <> ALL ({but}::bigint[]);
            CREATE TEMP TABLE {staging} ON COMMIT DROP AS
                SELECT r.number AS {item}, {columns} FROM {target} AS target
                JOIN pg_temp.ddb2pg_replayed r ON (r.key_hash, r.row_hash) = ({key_hash}, {row_hash});
            SELECT array(SELECT {item} FROM {staged}),
                   array(SELECT r.number FROM pg_temp.ddb2pg_replayed r JOIN {target} AS target ON r.key_hash = {key_hash}
                         WHERE r.row_hash <> {row_hash})
            """
        ).format(
            data_files=sql.Literal(data_files),
            numbers=sql.Literal(numbers),
            load_id=sql.Literal(load_id),
            but=sql.Literal(sorted(but)),
            staging=STAGED_ROWS.own_name,
            staged=STAGED_ROWS.identifier,
            item=ITEM,
            columns=sql.SQL(", ").join(sql.SQL("target.{}").format(sql.Identifier(name)) for name in table.column_names),
            target=target.identifier,
            key_hash=key_hash(target, seed),
            row_hash=row_hash(target, seed),
        )
    )
    equal, changed = cursor.fetchone()
    cursor.execute("DROP TABLE pg_temp.ddb2pg_replayed")
    return set(equal), set(changed)


def changed_child_items(cursor: Cursor, load_id: int, target: Target) -> set[ItemAddress]:
    """The replayed items of which a child row is there, but changed: no row of them is deleted."""
    changed: set[ItemAddress] = set()
    for number, child in enumerate(target.children):
        cursor.execute(
            sql.SQL(
                """
                SELECT DISTINCT r.data_file, r.item_number FROM ddb2pg.replayed_child r JOIN ({rows}) there USING (key_hash)
                WHERE r.load_id = {load_id} AND r.child = {child} AND there.row_hash <> r.row_hash
                """
            ).format(rows=hashed_rows(child, hash_seed(cursor, load_id)), load_id=sql.Literal(load_id), child=sql.Literal(number))
        )
        changed |= {ItemAddress(*row) for row in cursor.fetchall()}
    return changed


def stage_replayed_children(
    cursor: Cursor, load_id: int, target: Target, table: Table, child: int, items: Sequence[ItemAddress], but: Collection[int] = ()
) -> None:
    """Stage the rows of one child of items, as `stage_replayed` does, in the child's stagings, with the places of their items."""
    seed = hash_seed(cursor, load_id)
    data_files, numbers = _lists_of(items)
    staging, owners = stagings_of_child(child)
    cursor.execute(
        sql.SQL(
            """
            CREATE TEMP TABLE {own_owners} ON COMMIT DROP AS
                SELECT given.place - 1 AS item, row_number() OVER () - 1 AS number, r.key_hash, r.row_hash FROM ddb2pg.replayed_child r
                JOIN unnest({data_files}::text[], {numbers}::bigint[]) WITH ORDINALITY given (data_file, item_number, place)
                    USING (data_file, item_number)
                WHERE r.load_id = {load_id} AND r.child = {child} AND given.place - 1 <> ALL ({but}::bigint[]);
            CREATE INDEX ON {owners} (item);
            ANALYZE {owners};
            CREATE TEMP TABLE {own_staging} ON COMMIT DROP AS
                SELECT r.number AS {item}, {columns} FROM {target} AS target
                JOIN {owners} r ON (r.key_hash, r.row_hash) = ({key_hash}, {row_hash})
            """
        ).format(
            own_owners=owners.own_name,
            owners=owners.identifier,
            data_files=sql.Literal(data_files),
            numbers=sql.Literal(numbers),
            load_id=sql.Literal(load_id),
            child=sql.Literal(child),
            but=sql.Literal(sorted(but)),
            own_staging=staging.own_name,
            item=ITEM,
            columns=sql.SQL(", ").join(sql.SQL("target.{}").format(sql.Identifier(name)) for name in table.column_names),
            target=target.identifier,
            key_hash=key_hash(target, seed),
            row_hash=row_hash(target, seed),
        )
    )


def note_taken_back(cursor: Cursor, load_id: int, outcomes: Mapping[ItemAddress, str]) -> None:
    """Note what became of the rows of items: `DELETED`, `GONE`, or the kind of mismatch for which one is kept."""
    cursor.execute(
        """
        UPDATE ddb2pg.replayed_item r SET rolled_back_at = clock_timestamp(), rolled_back = given.outcome
        FROM unnest(%s::text[], %s::bigint[], %s::text[]) given (data_file, item_number, outcome)
        WHERE r.load_id = %s AND r.data_file = given.data_file AND r.item_number = given.item_number
        """,
        [*_lists_of(outcomes), list(outcomes.values()), load_id],
    )


def kept_replayed(cursor: Cursor, load_id: int) -> list[tuple[ItemAddress, MismatchKind]]:
    """The items whose row a rollback left, and why."""
    cursor.execute(
        "SELECT data_file, item_number, rolled_back FROM ddb2pg.replayed_item WHERE load_id = %s AND rolled_back <> ALL (%s) ORDER BY 1, 2",
        [load_id, [DELETED, GONE]],
    )
    return [(ItemAddress(data_file, number), MismatchKind(kind)) for data_file, number, kind in cursor.fetchall()]
