"""Chunks: each claimed before its rows are written, in their transaction."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from psycopg2.extras import Json

from pipeline.ledger.loads import ChunkKey
from pipeline.ledger.replays import replayed_numbers
from pipeline.ledger.rollbacks import HOLD_OPEN, stop_if_rollback_began
from pipeline.target.rows import RefusedRow
from pipeline.target.session import Cursor
from transforms.rejects import ErrorCode


@dataclass(frozen=True, slots=True)
class ChunkCounts:
    """What became of a chunk's items before PostgreSQL has seen them; codes with how often each was given."""

    items: int
    rows: int
    notices: int
    dead_letter_codes: Mapping[str, int]
    notice_codes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CommittedChunk:
    """A chunk that is in the target."""

    first_item: int
    items: int
    rows: int
    notices: int
    refused: tuple[RefusedRow, ...]
    replayed: frozenset[int] = frozenset()
    """The numbers of dead letters that were brought in later."""

    @property
    def is_clean(self) -> bool:
        """Whether it has nothing to tell: no dead letter, no notice."""
        return self.items == self.rows + len(self.replayed) and not self.notices


_HOST: Final = socket.gethostname()
_CHUNK_COLUMNS: Final = "first_item, items, rows, notices, write_rejects"


def _committed_chunk(row: tuple[Any, ...]) -> CommittedChunk:
    first_item, items, rows, notices, write_rejects = row
    refused = tuple(RefusedRow(number, ErrorCode(code), sqlstate, violated) for number, code, sqlstate, violated in write_rejects)
    return CommittedChunk(first_item, items, rows, notices, refused)


def claim_chunk(cursor: Cursor, key: ChunkKey, run_id: str, counts: ChunkCounts) -> bool:
    """Insert the chunk's row before its rows; False when it is there: the chunk is committed.

    A second worker with the same chunk waits here for the first one's transaction to end. Raises `Stopped` once a rollback was begun.
    """
    cursor.execute(
        f"""
        {HOLD_OPEN};
        INSERT INTO ddb2pg.chunk (load_id, data_file, first_item, items, rows, dead_letters, notices, dead_letter_codes, notice_codes,
                                  write_rejects, run_id, worker)
        SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, '[]', %s, %s
        WHERE NOT EXISTS (SELECT FROM ddb2pg.load WHERE load_id = %s AND rollback_started_at IS NOT NULL)
        ON CONFLICT DO NOTHING
        """,
        [
            key.load_id,
            key.load_id,
            key.data_file,
            key.first_item,
            counts.items,
            counts.rows,
            counts.items - counts.rows,
            counts.notices,
            Json(counts.dead_letter_codes),
            Json(counts.notice_codes),
            run_id,
            f"{_HOST}:{os.getpid()}",
            key.load_id,
        ],
    )
    if cursor.rowcount:
        return True
    stop_if_rollback_began(cursor, key.load_id)
    return False


def note_refused(cursor: Cursor, key: ChunkKey, refused: Sequence[RefusedRow], counts: ChunkCounts) -> None:
    """Correct the chunk's row by what PostgreSQL refused; `counts` are as they are now."""
    rejects = [[row.item_number, row.code.value, row.sqlstate, row.constraint] for row in refused]
    cursor.execute(
        """
        UPDATE ddb2pg.chunk SET rows = %s, dead_letters = %s, notices = %s, dead_letter_codes = %s, notice_codes = %s, write_rejects = %s
        WHERE (load_id, data_file, first_item) = (%s, %s, %s)
        """,
        [
            counts.rows,
            counts.items - counts.rows,
            counts.notices,
            Json(counts.dead_letter_codes),
            Json(counts.notice_codes),
            Json(rejects),
            key.load_id,
            key.data_file,
            key.first_item,
        ],
    )


def committed_chunk(cursor: Cursor, key: ChunkKey) -> CommittedChunk:
    """A chunk that `claim_chunk` found committed."""
    cursor.execute(
        f"SELECT {_CHUNK_COLUMNS} FROM ddb2pg.chunk WHERE (load_id, data_file, first_item) = (%s, %s, %s)",
        [key.load_id, key.data_file, key.first_item],
    )
    return _committed_chunk(cursor.fetchone())


def committed_chunks(cursor: Cursor, load_id: int, data_file: str) -> dict[int, CommittedChunk]:
    """All committed chunks of a data file, by their first item."""
    cursor.execute(f"SELECT {_CHUNK_COLUMNS} FROM ddb2pg.chunk WHERE (load_id, data_file) = (%s, %s)", [load_id, data_file])
    chunks = {row[0]: _committed_chunk(row) for row in cursor.fetchall()}
    replayed = replayed_numbers(cursor, load_id, data_file)
    return {first: replace(chunk, replayed=_those_in(chunk, replayed)) for first, chunk in chunks.items()} if replayed else chunks


def _those_in(chunk: CommittedChunk, numbers: set[int]) -> frozenset[int]:
    return frozenset(numbers.intersection(range(chunk.first_item, chunk.first_item + chunk.items)))


def spread_rows(cursor: Cursor, load_id: int, most: int) -> dict[str, dict[int, list[int]]]:
    """So many of a load's rows at equal distances: data file -> first item of a chunk -> a place in it, from 0, for each of its rows."""
    cursor.execute(
        """
        WITH chunk AS (
            SELECT data_file, first_item, rows, sum(rows) OVER (ORDER BY data_file, first_item) - rows AS before, sum(rows) OVER () AS total
            FROM ddb2pg.chunk WHERE load_id = %(load_id)s AND rolled_back_at IS NULL
        )
        SELECT data_file, first_item, (place - before)::integer
        FROM chunk, generate_series(0, least(%(most)s, total) - 1) number,
             LATERAL (SELECT div(number * total, least(%(most)s, total))) AS spread (place)
        WHERE place >= before AND place < before + rows
        ORDER BY data_file, place
        """,
        {"load_id": load_id, "most": most},
    )
    spread: dict[str, dict[int, list[int]]] = {}
    for data_file, first_item, place in cursor:
        spread.setdefault(data_file, {}).setdefault(first_item, []).append(place)
    return spread
