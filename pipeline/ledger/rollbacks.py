"""Rollbacks: a load that is being taken back, chunk by chunk. Its rows here are closed, never erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2.extras import Json

from pipeline.errors import Stopped
from pipeline.ledger.loads import ChunkKey, forget_validated_as_of, lock_starts
from pipeline.target.compare import Mismatch, mismatches_of_json, mismatches_to_json
from pipeline.target.session import Cursor

# A transaction that writes or deletes rows of a load holds the load's lock, shared, to its end; a rollback that begins or ends waits for
# all of them, as does a window that begins, and later transactions see it. The lock has its own statement: the next one must read after
# the lock is held.
_LOAD_LOCK: Final = 0x6464_6270
HOLD_OPEN: Final = f"SELECT pg_advisory_xact_lock_shared({_LOAD_LOCK}, %s::integer)"
_LOCK_LOAD: Final = f"SELECT pg_advisory_xact_lock({_LOAD_LOCK}, %s::integer)"

DELETED: Final = "deleted"
"""What became of the row of a dead letter that was brought in later; of one that is kept, the kind of mismatch."""
GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class RolledBackChunk:
    """What became of a chunk's rows: each was deleted, was gone before, or is kept and is one of the discrepancies."""

    deleted: int
    gone: int
    discrepancies: tuple[Mismatch, ...]
    pass_number: int = 0

    @property
    def kept(self) -> int:
        """Rows that are still there."""
        return len(self.discrepancies)


@dataclass(frozen=True, slots=True)
class RollbackTotals:
    """Sums over the chunks of a load, and over the dead letters that were brought in later."""

    open_chunks: int
    chunks: int
    open_items: int
    """Of those that were brought in later."""
    rows: int
    deleted: int
    gone: int
    kept: int
    last_pass: int


def begin_rollbacks(cursor: Cursor, load_ids: Sequence[int]) -> None:
    """After this transaction no chunk of the loads can be committed; waits for chunks that are being written.

    Raises `Stopped` where windows after one of them were begun meanwhile.
    """
    lock_starts(cursor)
    if _are_followed(cursor, load_ids):
        message = "windows or a stream after this load were begun, so it cannot be rolled back (docs/windows.md); nothing was deleted"
        raise Stopped(message)
    for load_id in sorted(load_ids):
        cursor.execute(_LOCK_LOAD, [load_id])
        cursor.execute("UPDATE ddb2pg.load SET rollback_started_at = coalesce(rollback_started_at, now()) WHERE load_id = %s", [load_id])
        forget_validated_as_of(cursor, load_id)


def hold_open(cursor: Cursor, load_id: int) -> None:
    """Let no rollback of the load, and no window after it, begin before this transaction ends. Raises `Stopped` when one was begun."""
    cursor.execute(HOLD_OPEN, [load_id])
    stop_if_rollback_began(cursor, load_id)
    _stop_if_followed(cursor, load_id)


def hold_still(cursor: Cursor, load_id: int) -> None:
    """Before a window after a load begins: wait for those who write rows of the load. Raises `Stopped` when a rollback of it was begun."""
    cursor.execute(_LOCK_LOAD, [load_id])
    stop_if_rollback_began(cursor, load_id)


def _are_followed(cursor: Cursor, load_ids: Sequence[int]) -> bool:
    """Whether a window that is none of these was begun after one of these loads, or a stream after a window.

    A stream after a load that a chain begins with goes with it: the rollback is of the whole chain.
    """
    cursor.execute(
        """
        SELECT EXISTS (SELECT FROM ddb2pg.load begun JOIN ddb2pg.load later ON later.chain = coalesce(begun.chain, begun.load_id)
                       WHERE begun.load_id = ANY (%(ids)s) AND later.window_number > coalesce(begun.window_number, 0)
                         AND begun.rolled_back_at IS NULL AND later.rolled_back_at IS NULL AND later.load_id <> ALL (%(ids)s))
            OR EXISTS (SELECT FROM ddb2pg.load begun JOIN ddb2pg.stream ON stream.chain = coalesce(begun.chain, begun.load_id)
                       WHERE begun.load_id = ANY (%(ids)s) AND stream.chain <> ALL (%(ids)s))
        """,
        {"ids": list(load_ids)},
    )
    return bool(cursor.fetchone()[0])


def hold_chain(cursor: Cursor, chain: int) -> None:
    """Let no rollback of a whole chain begin before this transaction, of its stream, ends. Raises `Stopped` when one was begun."""
    cursor.execute(HOLD_OPEN, [chain])
    stop_if_rollback_began(cursor, chain)


def _stop_if_followed(cursor: Cursor, load_id: int) -> None:
    """A row of the full export that is not there may be of an item that was deleted since."""
    cursor.execute("SELECT EXISTS (SELECT FROM ddb2pg.stream WHERE chain = %s)", [load_id])
    has_stream = bool(cursor.fetchone()[0])
    if has_stream or _are_followed(cursor, [load_id]):
        message = (
            "windows or a stream that follow this load were begun, so no more rows of its export are written or deleted (docs/windows.md)"
        )
        raise Stopped(message)


def stop_if_rollback_began(cursor: Cursor, load_id: int) -> None:
    """Raise `Stopped` when a rollback of the load was begun."""
    if has_rollback_begun(cursor, load_id):
        message = "a rollback of this load was begun, so no more rows of it are written; finish it: run ddb2pg rollback with --yes"
        raise Stopped(message)


def has_rollback_begun(cursor: Cursor, load_id: int) -> bool:
    """Whether a rollback of the load was begun, ended or not."""
    cursor.execute("SELECT EXISTS (SELECT FROM ddb2pg.load WHERE load_id = %s AND rollback_started_at IS NOT NULL)", [load_id])
    return bool(cursor.fetchone()[0])


def lock_chunk(cursor: Cursor, key: ChunkKey) -> RolledBackChunk | None:
    """Keep other rollbacks away from a committed chunk to the end of this transaction, and from closing its load.

    Returns what became of the chunk, if it is closed already.
    """
    cursor.execute(HOLD_OPEN, [key.load_id])
    return _closed_chunk(cursor, key, "FOR UPDATE")


def closed_chunk(cursor: Cursor, key: ChunkKey) -> RolledBackChunk | None:
    """What became of a chunk that is closed; None of any other."""
    return _closed_chunk(cursor, key, "")


def _closed_chunk(cursor: Cursor, key: ChunkKey, lock: str) -> RolledBackChunk | None:
    cursor.execute(
        f"""
        SELECT rolled_back_at IS NOT NULL, deleted, gone, discrepancies, rollback_pass FROM ddb2pg.chunk
        WHERE (load_id, data_file, first_item) = (%s, %s, %s) {lock}
        """,
        [key.load_id, key.data_file, key.first_item],
    )
    is_closed, deleted, gone, discrepancies, pass_number = cursor.fetchone()
    return RolledBackChunk(deleted, gone, mismatches_of_json(discrepancies), pass_number) if is_closed else None


def writer_of_chunk(cursor: Cursor, key: ChunkKey) -> str:
    """The transaction that committed a chunk that is not closed, and its rows with it unless they went in one by one; as `xmin` says it."""
    cursor.execute(
        "SELECT xmin::text FROM ddb2pg.chunk WHERE (load_id, data_file, first_item) = (%s, %s, %s)",
        [key.load_id, key.data_file, key.first_item],
    )
    return str(cursor.fetchone()[0])


def close_chunk(cursor: Cursor, key: ChunkKey, chunk: RolledBackChunk) -> None:
    """Note what became of a chunk's rows, in the transaction that deletes them."""
    cursor.execute(
        """
        UPDATE ddb2pg.chunk SET rolled_back_at = clock_timestamp(), deleted = %s, gone = %s, kept = %s, discrepancies = %s,
                                rollback_pass = %s
        WHERE (load_id, data_file, first_item) = (%s, %s, %s)
        """,
        [
            chunk.deleted,
            chunk.gone,
            chunk.kept,
            Json(mismatches_to_json(chunk.discrepancies)),
            chunk.pass_number,
            key.load_id,
            key.data_file,
            key.first_item,
        ],
    )


def rollback_totals(cursor: Cursor, load_id: int) -> RollbackTotals:
    """How far the rollback of a load is."""
    cursor.execute(
        """
        SELECT c.open, c.all, r.open, c.rows + r.rows, c.deleted + r.deleted, c.gone + r.gone, c.kept + r.kept, c.last_pass FROM (
            SELECT count(*) FILTER (WHERE rolled_back_at IS NULL) AS open, count(*) AS all, coalesce(sum(rows), 0)::bigint AS rows,
                   coalesce(sum(deleted), 0)::bigint AS deleted, coalesce(sum(gone), 0)::bigint AS gone,
                   coalesce(sum(kept), 0)::bigint AS kept, coalesce(max(rollback_pass), 0) AS last_pass
            FROM ddb2pg.chunk WHERE load_id = %(load_id)s
        ) c, (
            SELECT count(*) FILTER (WHERE rolled_back IS NULL) AS open, count(*) AS rows,
                   count(*) FILTER (WHERE rolled_back = %(deleted)s) AS deleted, count(*) FILTER (WHERE rolled_back = %(gone)s) AS gone,
                   count(*) FILTER (WHERE rolled_back <> ALL (%(taken_back)s)) AS kept
            FROM ddb2pg.replayed_item WHERE load_id = %(load_id)s AND filter_reason IS NULL
        ) r
        """,
        {"load_id": load_id, "deleted": DELETED, "gone": GONE, "taken_back": [DELETED, GONE]},
    )
    return RollbackTotals(*cursor.fetchone())


def files_to_roll_back(cursor: Cursor, load_id: int) -> set[str]:
    """The data files with a chunk that is not closed, or that has discrepancies."""
    cursor.execute("SELECT DISTINCT data_file FROM ddb2pg.chunk WHERE load_id = %s AND (rolled_back_at IS NULL OR kept > 0)", [load_id])
    return {row[0] for row in cursor.fetchall()}


def discrepancy_counts(cursor: Cursor, load_id: int) -> dict[str, int]:
    """How many rows are kept, by kind, the most frequent first."""
    cursor.execute(
        """
        SELECT kind, count(*) FROM (
            SELECT one ->> 1 AS kind FROM ddb2pg.chunk, jsonb_array_elements(discrepancies) one WHERE load_id = %(load_id)s
            UNION ALL
            SELECT rolled_back FROM ddb2pg.replayed_item WHERE load_id = %(load_id)s AND rolled_back <> ALL (%(taken_back)s)
        ) kept GROUP BY kind ORDER BY 2 DESC, 1
        """,
        {"load_id": load_id, "taken_back": [DELETED, GONE]},
    )
    return dict(cursor.fetchall())


def is_rolled_back(cursor: Cursor, load_id: int) -> bool:
    """Whether the load is closed: from then on its rows may be those of another."""
    cursor.execute("SELECT rolled_back_at IS NOT NULL FROM ddb2pg.load WHERE load_id = %s", [load_id])
    return bool(cursor.fetchone()[0])


def finish_rollback(cursor: Cursor, load_id: int) -> bool:
    """Close the load, if all of its chunks are closed; waits for other rollbacks of a chunk."""
    cursor.execute(_LOCK_LOAD, [load_id])
    cursor.execute(
        """
        UPDATE ddb2pg.load SET rolled_back_at = coalesce(rolled_back_at, now())
        WHERE load_id = %s AND NOT EXISTS (SELECT FROM ddb2pg.chunk c WHERE c.load_id = load.load_id AND c.rolled_back_at IS NULL)
          AND NOT EXISTS (SELECT FROM ddb2pg.replayed_item r WHERE r.load_id = load.load_id AND r.filter_reason IS NULL
                          AND r.rolled_back IS NULL)
        """,
        [load_id],
    )
    return bool(cursor.rowcount)
