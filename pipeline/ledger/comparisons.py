"""Comparisons: what a run of validate found in each chunk, and what that adds up to.

The run's rows here are its own: they are there so that its counts come back on every runner, and come out the same when a bundle is
run twice.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from psycopg2 import sql
from psycopg2.extras import Json

from pipeline.ledger.changes import outdated_row_keys, salted_hash
from pipeline.ledger.chunks import Totals
from pipeline.ledger.loads import ChunkKey
from pipeline.ledger.replays import hash_seed
from pipeline.target.compare import NO_KEYS, Mismatch, key_hash, mismatches_of_json, mismatches_to_json
from pipeline.target.fates import is_ours
from pipeline.target.session import Cursor
from pipeline.target.target import Target

# Of runs that died; none takes that long.
_LEFTOVERS: Final = "7 days"


@dataclass(frozen=True, slots=True)
class Comparing:
    """One run's comparison of one load; `seed` salts the hashes of keys."""

    load_id: int
    run_id: str
    seed: int
    is_of_chain: bool = False
    """Whether it is of a chain, by the load that it begins with: what it is compared with is as of its end."""


@dataclass(frozen=True, slots=True)
class ComparedChunk:
    """What was found in a chunk. The keys are hashes (`key_hash`): of rows, dead letters and filtered items whose key is there."""

    items: int
    mismatches: Sequence[Mismatch]
    found_keys: str = NO_KEYS
    child_keys: Sequence[str] = ()
    """Of each child of the table, of its rows that are there."""
    refused_keys: Mapping[int, int] = field(default_factory=dict)
    filtered_keys: Mapping[int, int] = field(default_factory=dict)
    dead_letters: int = 0
    """Of a chain, as is what follows."""
    filtered: int = 0
    gone: int = 0
    """Records of items that were deleted."""
    superseded: int = 0
    """Items of which a later window has a record; none of them is in any other."""
    outdated_keys: Sequence[int] = ()
    """Of rows that are there, and known to be older than their items."""


@dataclass(frozen=True, slots=True)
class ComparedTotals:
    """Sums over the compared chunks; the counts by name, the most frequent first."""

    items: int
    rows: int
    """Rows that are there, equal or not."""
    dead_letters: int
    filtered: int
    gone: int
    superseded: int
    kinds: Mapping[str, int]
    columns: Mapping[str, int]


def note_compared(cursor: Cursor, comparing: Comparing, key: ChunkKey, chunk: ComparedChunk) -> tuple[Mismatch, ...]:
    """Note what was found; returns what counts, which is what was noted first when the chunk is compared twice in a run."""
    cursor.execute(
        """
        INSERT INTO ddb2pg.compared_chunk (run_id, load_id, data_file, first_item, items, mismatches, mismatch_count, found_keys,
                                           refused_items, refused_keys, filtered_items, filtered_keys, dead_letters, filtered, gone,
                                           superseded, outdated_keys)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s, %s, %s, %s,
                %s::bigint[])
        ON CONFLICT DO NOTHING
        """,
        [
            comparing.run_id,
            key.load_id,
            key.data_file,
            key.first_item,
            chunk.items,
            Json(mismatches_to_json(chunk.mismatches)),
            len(chunk.mismatches),
            chunk.found_keys,
            list(chunk.refused_keys),
            list(chunk.refused_keys.values()),
            list(chunk.filtered_keys),
            list(chunk.filtered_keys.values()),
            chunk.dead_letters,
            chunk.filtered,
            chunk.gone,
            chunk.superseded,
            list(chunk.outdated_keys),
        ],
    )
    if cursor.rowcount:
        for number, found_keys in enumerate(chunk.child_keys):
            cursor.execute(
                "INSERT INTO ddb2pg.compared_child (run_id, load_id, data_file, first_item, child, found_keys) "
                "VALUES (%s, %s, %s, %s, %s, %s::bigint[])",
                [comparing.run_id, key.load_id, key.data_file, key.first_item, number, found_keys],
            )
        return tuple(chunk.mismatches)
    cursor.execute(
        "SELECT mismatches FROM ddb2pg.compared_chunk WHERE (run_id, load_id, data_file, first_item) = (%s, %s, %s, %s)",
        [comparing.run_id, key.load_id, key.data_file, key.first_item],
    )
    return mismatches_of_json(cursor.fetchone()[0])


def compared_totals(cursor: Cursor, comparing: Comparing) -> ComparedTotals:
    """What the chunks that were compared so far add up to."""
    of_run = [comparing.run_id, comparing.load_id]
    cursor.execute(
        "SELECT coalesce(sum(items), 0)::bigint, coalesce(sum(cardinality(found_keys)), 0)::bigint, "
        "coalesce(sum(dead_letters), 0)::bigint, coalesce(sum(filtered), 0)::bigint, coalesce(sum(gone), 0)::bigint, "
        "coalesce(sum(superseded), 0)::bigint "
        "FROM ddb2pg.compared_chunk WHERE (run_id, load_id) = (%s, %s)",
        of_run,
    )
    sums = cursor.fetchone()
    counts = []
    for names in ("pair ->> 1", "jsonb_array_elements_text(pair -> 2)"):
        cursor.execute(
            f"""
            SELECT name, count(*) FROM (
                SELECT {names} AS name FROM ddb2pg.compared_chunk, jsonb_array_elements(mismatches) pair WHERE (run_id, load_id) = (%s, %s)
            ) named GROUP BY name ORDER BY 2 DESC, 1
            """,
            of_run,
        )
        counts.append(dict(cursor.fetchall()))
    return ComparedTotals(*sums, *counts)


def compared_items(cursor: Cursor, comparing: Comparing) -> Totals:
    """How many items were compared so far, and, in the place of dead letters, how many mismatches there are among them."""
    cursor.execute(
        "SELECT coalesce(sum(items), 0)::bigint, coalesce(sum(mismatch_count), 0)::bigint "
        "FROM ddb2pg.compared_chunk WHERE (run_id, load_id) = (%s, %s)",
        [comparing.run_id, comparing.load_id],
    )
    items, mismatches = cursor.fetchone()
    return Totals(items=items, dead_letters=mismatches)


def forget_comparison(cursor: Cursor, comparing: Comparing) -> None:
    """Delete the rows of this run, and those of runs that died long ago."""
    for table in ("compared_chunk", "compared_child"):
        cursor.execute(
            f"DELETE FROM ddb2pg.{table} WHERE (run_id, load_id) = (%s, %s) OR compared_at < now() - %s::interval",
            [comparing.run_id, comparing.load_id, _LEFTOVERS],
        )
    cursor.execute(
        "DELETE FROM ddb2pg.touched_item WHERE (run_id, chain) = (%s, %s) OR compared_at < now() - %s::interval",
        [comparing.run_id, comparing.load_id, _LEFTOVERS],
    )


def last_touched(cursor: Cursor, comparing: Comparing, window: int, items: Collection[UUID]) -> set[UUID]:
    """Note that a window has a record of each of these items; those of which no later one has. The last window must come first."""
    hashes = sorted(map(str, items))
    cursor.execute(
        "INSERT INTO ddb2pg.touched_item (run_id, chain, item_hash, window_number) SELECT %s, %s, unnest(%s::uuid[]), %s "
        "ON CONFLICT DO NOTHING",
        [comparing.run_id, comparing.load_id, hashes, window],
    )
    return _touched(cursor, comparing, hashes, window)


def touched_items(cursor: Cursor, comparing: Comparing, items: Collection[UUID]) -> set[UUID]:
    """Those of which a window has a record, when all windows were compared."""
    return _touched(cursor, comparing, sorted(map(str, items)), None)


def _touched(cursor: Cursor, comparing: Comparing, hashes: Sequence[str], window: int | None) -> set[UUID]:
    cursor.execute(
        "SELECT item_hash::text FROM ddb2pg.touched_item WHERE (run_id, chain) = (%s, %s) AND item_hash = ANY (%s::uuid[]) "
        "AND window_number = coalesce(%s, window_number)",
        [comparing.run_id, comparing.load_id, hashes, window],
    )
    return {UUID(row[0]) for row in cursor.fetchall()}


# -- rows of the target that no item accounts for ------------------------------------------------------------------------------------------


def count_target(cursor: Cursor, comparing: Comparing, target: Target) -> tuple[int, bool]:
    """How many rows the target holds, and whether they are the very rows that the chunks found: as many, with the same sum of hashes."""
    cursor.execute(
        sql.SQL(
            """
            SELECT there.rows, there.rows = found.rows AND there.keys IS NOT DISTINCT FROM found.keys
            FROM (SELECT count(*) AS rows, sum({hash}) AS keys FROM {target} AS target) there,
                 (SELECT count(*) AS rows, sum(key) AS keys FROM ddb2pg.compared_chunk, unnest(found_keys) key
                  WHERE run_id = {run_id} AND load_id = {load_id}) found
            """
        ).format(hash=key_hash(target, comparing.seed), target=target.identifier, **_of_run(comparing))
    )
    rows, is_same = cursor.fetchone()
    return rows, is_same


def find_unaccounted(cursor: Cursor, comparing: Comparing, target: Target) -> None:
    """Collect the rows of the target that no loaded item has the key of, for the two functions below, in a temp table of this transaction.

    On the server from beginning to end: neither the keys of a large table nor those of its rows are ever here.
    """
    parts = {
        "hash": key_hash(target, comparing.seed),
        "is_replayed": _is_replayed(cursor, comparing, target),
        "is_theirs": _is_theirs(comparing),
        "primary_key": _primary_key(target),
        "target": target.identifier,
        **_of_run(comparing),
    }
    cursor.execute(
        sql.SQL(
            """
            CREATE TEMP TABLE ddb2pg_found ON COMMIT DROP AS
                SELECT key FROM ddb2pg.compared_chunk, unnest(found_keys) key WHERE run_id = {run_id} AND load_id = {load_id};
            ANALYZE pg_temp.ddb2pg_found;
            CREATE TEMP TABLE ddb2pg_unaccounted ON COMMIT DROP AS
                SELECT {hash} AS key, jsonb_build_object({primary_key}) AS primary_key, {is_theirs} AS is_theirs, false AS is_outdated
                FROM {target} AS target
                WHERE NOT EXISTS (SELECT FROM pg_temp.ddb2pg_found found WHERE found.key = {hash}) AND NOT {is_replayed};
            CREATE TEMP TABLE ddb2pg_without_row ON COMMIT DROP AS
                SELECT data_file, item, false AS is_filtered, is_theirs, primary_key, key
                FROM ddb2pg.compared_chunk, unnest(refused_items, refused_keys) AS refused (item, key)
                JOIN pg_temp.ddb2pg_unaccounted USING (key)
                WHERE run_id = {run_id} AND load_id = {load_id};
            -- Items of other tables may share a key, many of them one; what the row is told of is the first.
            INSERT INTO pg_temp.ddb2pg_without_row
                SELECT DISTINCT ON (key) data_file, item, true, is_theirs, primary_key, key
                FROM ddb2pg.compared_chunk, unnest(filtered_items, filtered_keys) AS filtered (item, key)
                JOIN pg_temp.ddb2pg_unaccounted USING (key)
                WHERE run_id = {run_id} AND load_id = {load_id}
                  AND NOT EXISTS (SELECT FROM pg_temp.ddb2pg_without_row refused WHERE refused.key = filtered.key)
                ORDER BY key, data_file, item
            """
        ).format(**parts)
    )
    if comparing.is_of_chain:
        _mark_outdated(cursor, comparing, target)


def _mark_outdated(cursor: Cursor, comparing: Comparing, target: Target) -> None:
    """Of the unaccounted rows that are ours mark those that windows are known to have left as they were."""
    outdated = outdated_row_keys(cursor, comparing.load_id)
    if outdated:
        seed = hash_seed(cursor, comparing.load_id)
        found = [key for key, binary in _binary_keys(cursor, comparing, target) if salted_hash(binary, seed) in outdated]
        cursor.execute("UPDATE pg_temp.ddb2pg_unaccounted SET is_outdated = true WHERE key = ANY (%s) AND NOT is_theirs", [found])


def _binary_keys(cursor: Cursor, comparing: Comparing, target: Target) -> Iterator[tuple[int, bytes]]:
    """Of each unaccounted row its hash, and its key as rows are encoded."""
    cursor.execute(
        "SELECT attname, typsend::regproc::text FROM pg_attribute JOIN pg_type type ON type.oid = atttypid "
        "WHERE attrelid = %s AND attname = ANY (%s)",
        [target.oid, list(target.key)],
    )
    senders = dict(cursor.fetchall())
    fields = [sql.SQL("{}(target.{})").format(sql.SQL(senders[name]), sql.Identifier(name)) for name in target.key]
    with cursor.connection.cursor(name="ddb2pg_binary_keys") as of_server:
        of_server.execute(
            sql.SQL("SELECT {hash}, {fields} FROM {target} AS target WHERE {hash} IN (SELECT key FROM pg_temp.ddb2pg_unaccounted)").format(
                hash=key_hash(target, comparing.seed), fields=sql.SQL(", ").join(fields), target=target.identifier
            )
        )
        for key, *of_row in of_server:
            yield key, b"".join(struct.pack("!i", -1) if field is None else struct.pack("!i", len(field)) + field for field in of_row)


class Unaccounted(NamedTuple):
    """Rows that no item accounts for, of one writer."""

    is_theirs: bool
    """Whether somebody else wrote them: told of a chain."""
    is_outdated: bool
    """Whether windows are known to have left them as they were: told of a chain."""
    rows: int
    keys: list[dict[str, str]]
    """The primary keys of some."""


def unaccounted_child_rows(
    cursor: Cursor, comparing: Comparing, target: Target, child: int, most: int, parent: ParentKey | None = None
) -> list[Unaccounted]:
    """Of a child's target the rows that no compared or replayed item accounts for, and the primary keys of so many of them.

    With a parent those of rows that are outdated are left out: they are told with these. After `find_unaccounted`, then.
    """
    cursor.execute(
        sql.SQL(
            """
            CREATE TEMP TABLE {table} ON COMMIT DROP AS
                SELECT key FROM ddb2pg.compared_child, unnest(found_keys) key
                WHERE run_id = {run_id} AND load_id = {load_id} AND child = {child};
            ANALYZE pg_temp.{table};
            SELECT is_theirs, false, count(*), (array_agg(primary_key ORDER BY primary_key::text))[1:{most}]
            FROM (
                SELECT jsonb_build_object({primary_key}) AS primary_key, {is_theirs} AS is_theirs
                FROM {target} AS target
                WHERE NOT EXISTS (SELECT FROM pg_temp.{table} found WHERE found.key = {hash}) AND NOT {is_replayed} AND NOT {is_outdated}
            ) of_target GROUP BY is_theirs ORDER BY is_theirs
            """
        ).format(
            table=sql.Identifier(f"ddb2pg_found_child_{child}"),
            child=sql.Literal(child),
            most=sql.Literal(most),
            primary_key=_primary_key(target),
            hash=key_hash(target, comparing.seed),
            is_replayed=_is_replayed(cursor, comparing, target, child),
            is_outdated=sql.SQL("false") if parent is None else _is_of_outdated(comparing, parent),
            is_theirs=_is_theirs(comparing),
            target=target.identifier,
            **_of_run(comparing),
        )
    )
    return [Unaccounted(*row) for row in cursor.fetchall()]


class ParentKey(NamedTuple):
    """How a child's rows name their parent."""

    target: Target
    """The parent's."""
    columns: Sequence[str]
    """Of the child, in the order of the parent's key."""


def _is_of_outdated(comparing: Comparing, parent: ParentKey) -> sql.Composable:
    """Whether a row of `target`, a child's, is of a row that is outdated."""
    # A row of the parent's, of the child's columns: so it is hashed as the parent's is.
    columns = sql.SQL(", ").join(
        sql.SQL("target.{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for column, name in zip(parent.columns, parent.target.key, strict=True)
    )
    return sql.SQL(
        """EXISTS (
            SELECT FROM (SELECT {hash} AS key FROM (SELECT {columns}) AS target) of_parent
            WHERE key IN (SELECT key FROM pg_temp.ddb2pg_outdated))"""
    ).format(hash=key_hash(parent.target, comparing.seed), columns=columns)


def collect_outdated(cursor: Cursor, comparing: Comparing) -> None:
    """Collect the keys of all rows that are outdated, for `unaccounted_child_rows`. After `find_unaccounted`."""
    cursor.execute(
        sql.SQL(
            """
            CREATE TEMP TABLE ddb2pg_outdated ON COMMIT DROP AS
                SELECT key FROM ddb2pg.compared_chunk, unnest(outdated_keys) key WHERE run_id = {run_id} AND load_id = {load_id}
                UNION SELECT key FROM pg_temp.ddb2pg_unaccounted WHERE is_outdated
                UNION SELECT key FROM pg_temp.ddb2pg_without_row WHERE NOT is_filtered AND NOT is_theirs
            """
        ).format(**_of_run(comparing))
    )


def _primary_key(target: Target) -> sql.Composable:
    """Names and values of a row of `target`, for an object of JSON."""
    return sql.SQL(", ").join(sql.SQL("{}, target.{}::text").format(sql.Literal(name), sql.Identifier(name)) for name in target.key)


def _is_replayed(cursor: Cursor, comparing: Comparing, target: Target, child: int | None = None) -> sql.Composable:
    """Whether a row of `target` is one that a replay brought in; what a chain is compared with has its item as any other."""
    if comparing.is_of_chain:
        return sql.SQL("false")
    hash_of_load = key_hash(target, hash_seed(cursor, comparing.load_id))
    if child is None:
        query = "EXISTS (SELECT FROM ddb2pg.replayed_item r WHERE r.load_id = {load_id} AND r.key_hash = {hash})"
    else:
        query = "EXISTS (SELECT FROM ddb2pg.replayed_child r WHERE r.load_id = {load_id} AND r.child = {child} AND r.key_hash = {hash})"
    return sql.SQL(query).format(load_id=sql.Literal(comparing.load_id), hash=hash_of_load, child=sql.Literal(child))


def _is_theirs(comparing: Comparing) -> sql.Composable:
    """Whether somebody else wrote a row of `target`, as far as it is told."""
    return sql.SQL("NOT ({})").format(is_ours(comparing.load_id)) if comparing.is_of_chain else sql.SQL("false")


def _of_run(comparing: Comparing) -> dict[str, sql.Literal]:
    return {"run_id": sql.Literal(comparing.run_id), "load_id": sql.Literal(comparing.load_id)}


class ItemInTarget(NamedTuple):
    """A dead letter, or a filtered item, whose key an unaccounted row has."""

    data_file: str
    item_number: int
    is_filtered: bool
    is_theirs: bool
    """Whether somebody else wrote the row: told of a chain."""
    primary_key: dict[str, str]


def items_in_target(cursor: Cursor) -> Iterator[ItemInTarget]:
    """Each of them. After `find_unaccounted`."""
    with cursor.connection.cursor(name="ddb2pg_without_row") as of_server:
        of_server.execute(
            "SELECT data_file, item, is_filtered, is_theirs, primary_key FROM pg_temp.ddb2pg_without_row ORDER BY data_file, item"
        )
        yield from map(ItemInTarget._make, of_server)


def rows_without_item(cursor: Cursor, most: int) -> list[Unaccounted]:
    """The other unaccounted rows, and the keys of so many of each kind. After `find_unaccounted`."""
    without = "FROM pg_temp.ddb2pg_unaccounted u WHERE NOT EXISTS (SELECT FROM pg_temp.ddb2pg_without_row r WHERE r.key = u.key)"
    cursor.execute(f"SELECT is_theirs, is_outdated, count(*) {without} GROUP BY 1, 2 ORDER BY 1, 2")
    found = []
    for *kind, count in cursor.fetchall():
        cursor.execute(
            f"SELECT primary_key {without} AND (is_theirs, is_outdated) = (%s, %s) ORDER BY primary_key::text LIMIT %s", [*kind, most]
        )
        is_theirs, is_outdated = kind
        found.append(Unaccounted(is_theirs, is_outdated, count, [row[0] for row in cursor.fetchall()]))
    return found
