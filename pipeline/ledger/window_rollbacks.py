"""Rollbacks of windows: what was taken back of the records of each chunk, and the end, after which the chain is as before the window.

And those of whole chains, of which it is kept only how many rows were deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from enum import StrEnum

from pipeline.ledger.loads import ChunkKey, Load
from pipeline.ledger.rollbacks import RolledBackChunk, close_chunk, finish_rollback
from pipeline.target.compare import Mismatch
from pipeline.target.session import Cursor


class Reversal(StrEnum):
    """How a record was taken back."""

    PUT_BACK = "put_back"
    """The row is as before the window again."""
    REMOVED = "removed"
    """The row that the window inserted is deleted."""
    INSERTED_AGAIN = "inserted_again"
    """The row that the window deleted is there again."""
    IDLE = "idle"
    """There was nothing to take back."""


@dataclass(frozen=True, slots=True)
class ReversalCounts:
    """How many records of a chunk, or of a window, were taken back in which way."""

    put_back: int = 0
    removed: int = 0
    inserted_again: int = 0
    idle: int = 0

    @classmethod
    def of(cls, reversals: Iterable[Reversal]) -> ReversalCounts:
        return cls(**Counter(reversal.value for reversal in reversals))

    @property
    def all(self) -> int:
        return int(sum(astuple(self)))

    @property
    def changed(self) -> int:
        """Those by which rows were written or deleted."""
        return self.all - self.idle


_COUNTS = tuple(field.name for field in fields(ReversalCounts))


@dataclass(frozen=True, slots=True)
class WindowRollbackTotals:
    """Sums over the chunks of a window."""

    chunks: int
    open_chunks: int
    uneven_chunks: int
    """Closed ones whose records are not all accounted for."""
    records: int
    kept: int
    last_pass: int
    counts: ReversalCounts


def close_applied_chunk(cursor: Cursor, key: ChunkKey, counts: ReversalCounts, kept: Sequence[Mismatch], pass_number: int) -> None:
    """Note what a transaction took back of a chunk, beside what earlier passes did; `kept` are all records that are not taken back."""
    cursor.execute(
        f"""
        UPDATE ddb2pg.applied_chunk SET {", ".join(f"{name} = coalesce({name}, 0) + %s" for name in _COUNTS)}
        WHERE (load_id, data_file, first_item) = (%s, %s, %s) RETURNING {", ".join(_COUNTS)}
        """,
        [*astuple(counts), key.load_id, key.data_file, key.first_item],
    )
    sums = ReversalCounts(*cursor.fetchone())
    close_chunk(cursor, key, RolledBackChunk(sums.changed, sums.idle, tuple(kept), pass_number))


def window_rollback_totals(cursor: Cursor, load_id: int) -> WindowRollbackTotals:
    """How far the rollback of a window is."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _COUNTS)
    cursor.execute(
        f"""
        SELECT count(*), count(*) FILTER (WHERE rolled_back_at IS NULL),
               count(*) FILTER (WHERE rolled_back_at IS NOT NULL AND records <> {" + ".join(_COUNTS)} + kept),
               coalesce(sum(records), 0)::bigint, coalesce(sum(kept), 0)::bigint, coalesce(max(rollback_pass), 0), {sums}
        FROM ddb2pg.chunk JOIN ddb2pg.applied_chunk USING (load_id, data_file, first_item) WHERE load_id = %s
        """,
        [load_id],
    )
    chunks, open_chunks, uneven_chunks, records, kept, last_pass, *counts = cursor.fetchone()
    return WindowRollbackTotals(chunks, open_chunks, uneven_chunks, records, kept, last_pass, ReversalCounts(*counts))


def finish_window_rollback(cursor: Cursor, load: Load) -> bool:
    """Close a window, if all of its chunks are closed, and make the chain as it was before it.

    The rows that it left outdated are not so any more, and those that it made up for are so again.
    """
    if not finish_rollback(cursor, load.load_id):
        return False
    cursor.execute("DELETE FROM ddb2pg.outdated WHERE load_id = %s", [load.load_id])
    cursor.execute("UPDATE ddb2pg.outdated SET superseded_by = NULL WHERE superseded_by = %s", [load.load_id])
    cursor.execute("DELETE FROM ddb2pg.double WHERE load_id = %s", [load.load_id])
    return True


# -- whole chains --------------------------------------------------------------------------------------------------------------------------


def swept_rows(cursor: Cursor, load_id: int) -> int | None:
    """How many rows a rollback of the whole chain that begins with a load has deleted; None where there was none."""
    cursor.execute("SELECT swept_rows FROM ddb2pg.load WHERE load_id = %s", [load_id])
    rows = cursor.fetchone()[0]
    return None if rows is None else int(rows)


def note_swept(cursor: Cursor, load_id: int, rows: int) -> None:
    """Count rows that this transaction deletes."""
    cursor.execute("UPDATE ddb2pg.load SET swept_rows = coalesce(swept_rows, 0) + %s WHERE load_id = %s", [rows, load_id])


def are_writers_known(cursor: Cursor, load_id: int) -> bool:
    """Whether the transactions that wrote a chain are those of this database, and not of one that it was restored from."""
    cursor.execute("SELECT coalesce(bool_and(ledger_oid = 'ddb2pg.load'::regclass), true) FROM ddb2pg.writer WHERE chain = %s", [load_id])
    return bool(cursor.fetchone()[0])


def finish_chain_rollback(cursor: Cursor, load_id: int) -> None:
    """Close the load that a chain begins with, and all of its windows."""
    cursor.execute(
        "UPDATE ddb2pg.load SET (rollback_started_at, rolled_back_at) = ROW (coalesce(rollback_started_at, now()), now()) "
        "WHERE (load_id = %(id)s OR chain = %(id)s) AND rolled_back_at IS NULL",
        {"id": load_id},
    )
    note_swept(cursor, load_id, 0)
    cursor.execute("DELETE FROM ddb2pg.outdated WHERE chain = %(id)s; DELETE FROM ddb2pg.double WHERE chain = %(id)s", {"id": load_id})
