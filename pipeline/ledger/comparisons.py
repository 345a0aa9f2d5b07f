"""Comparisons: what a run of validate found in each chunk, and what that adds up to.

The run's rows here are its own: they are there so that its counts come back on every runner, and come out the same when a bundle is
run twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql
from psycopg2.extras import Json

from pipeline.ledger.loads import ChunkKey
from pipeline.ledger.replays import hash_seed
from pipeline.target.compare import NO_KEYS, key_hash
from pipeline.target.mismatch import Mismatch, mismatches_of_json, mismatches_to_json
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


@dataclass(frozen=True, slots=True)
class ComparedChunk:
    """What was found in a chunk. The keys are hashes (`key_hash`): of rows that are there, and of dead letters whose key is there."""

    items: int
    mismatches: Sequence[Mismatch]
    found_keys: str = NO_KEYS
    refused_keys: Mapping[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ComparedTotals:
    """Sums over the compared chunks; the counts by name, the most frequent first."""

    items: int
    rows: int
    """Rows that are there, equal or not."""
    kinds: Mapping[str, int]
    columns: Mapping[str, int]


def note_compared(cursor: Cursor, comparing: Comparing, key: ChunkKey, chunk: ComparedChunk) -> tuple[Mismatch, ...]:
    """Note what was found; returns what counts, which is what was noted first when the chunk is compared twice in a run."""
    refused_keys = chunk.refused_keys or {}
    cursor.execute(
        """
        INSERT INTO ddb2pg.compared_chunk (run_id, load_id, data_file, first_item, items, mismatches, mismatch_count, found_keys,
                                           refused_items, refused_keys)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s::bigint[], %s::bigint[], %s::bigint[])
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
            list(refused_keys),
            list(refused_keys.values()),
        ],
    )
    if cursor.rowcount:
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
        "SELECT coalesce(sum(items), 0)::bigint, coalesce(sum(cardinality(found_keys)), 0)::bigint "
        "FROM ddb2pg.compared_chunk WHERE (run_id, load_id) = (%s, %s)",
        of_run,
    )
    items, rows = cursor.fetchone()
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
    return ComparedTotals(items, rows, *counts)


def compared_items(cursor: Cursor, comparing: Comparing) -> tuple[int, int]:
    """How many items were compared so far, and how many mismatches there are among them."""
    cursor.execute(
        "SELECT coalesce(sum(items), 0)::bigint, coalesce(sum(mismatch_count), 0)::bigint "
        "FROM ddb2pg.compared_chunk WHERE (run_id, load_id) = (%s, %s)",
        [comparing.run_id, comparing.load_id],
    )
    items, mismatches = cursor.fetchone()
    return items, mismatches


def forget_comparison(cursor: Cursor, comparing: Comparing) -> None:
    """Delete the rows of this run, and those of runs that died long ago."""
    cursor.execute(
        "DELETE FROM ddb2pg.compared_chunk WHERE (run_id, load_id) = (%s, %s) OR compared_at < now() - %s::interval",
        [comparing.run_id, comparing.load_id, _LEFTOVERS],
    )


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
    primary_key = sql.SQL(", ").join(
        sql.SQL("{}, target.{}::text").format(sql.Literal(name), sql.Identifier(name)) for name in target.primary_key
    )
    parts = {
        "hash": key_hash(target, comparing.seed),
        "hash_of_load": key_hash(target, hash_seed(cursor, comparing.load_id)),
        "primary_key": primary_key,
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
                SELECT {hash} AS key, jsonb_build_object({primary_key}) AS primary_key FROM {target} AS target
                WHERE NOT EXISTS (SELECT FROM pg_temp.ddb2pg_found found WHERE found.key = {hash})
                  AND NOT EXISTS (SELECT FROM ddb2pg.replayed_item r WHERE r.load_id = {load_id} AND r.key_hash = {hash_of_load});
            CREATE TEMP TABLE ddb2pg_refused ON COMMIT DROP AS
                SELECT data_file, item, primary_key, key
                FROM ddb2pg.compared_chunk, unnest(refused_items, refused_keys) AS refused (item, key)
                JOIN pg_temp.ddb2pg_unaccounted USING (key)
                WHERE run_id = {run_id} AND load_id = {load_id}
            """
        ).format(**parts)
    )


def _of_run(comparing: Comparing) -> dict[str, sql.Literal]:
    return {"run_id": sql.Literal(comparing.run_id), "load_id": sql.Literal(comparing.load_id)}


def dead_letters_in_target(cursor: Cursor) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Data file and number of each dead letter whose key an unaccounted row has, with the row's key. After `find_unaccounted`."""
    with cursor.connection.cursor(name="ddb2pg_dead_letters") as of_server:
        of_server.execute("SELECT data_file, item, primary_key FROM pg_temp.ddb2pg_refused ORDER BY data_file, item")
        yield from of_server


def rows_without_item(cursor: Cursor, most: int) -> tuple[int, list[dict[str, str]]]:
    """How many other unaccounted rows there are, and the keys of so many of them. After `find_unaccounted`."""
    without = "FROM pg_temp.ddb2pg_unaccounted u WHERE NOT EXISTS (SELECT FROM pg_temp.ddb2pg_refused r WHERE r.key = u.key)"
    cursor.execute(f"SELECT count(*) {without}")
    count = int(cursor.fetchone()[0])
    cursor.execute(f"SELECT primary_key {without} ORDER BY primary_key::text LIMIT %s", [most])
    return count, [row[0] for row in cursor.fetchall()]
