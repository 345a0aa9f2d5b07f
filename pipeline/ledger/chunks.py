"""Chunks: each claimed before its rows are written, in their transaction; what they add up to; and the data files that a run refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
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
        """Whether it has no dead letter and no notice."""
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


# -- sums ----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over committed chunks, and over the dead letters that were brought in later."""

    items: int = 0
    rows: int = 0
    dead_letters: int = 0
    notices: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to tell: no dead letter, no notice."""
        return not self.dead_letters and not self.notices


_SUMS: Final = ", ".join(f"coalesce(sum({column}), 0)::bigint" for column in ("items", "rows", "dead_letters", "notices"))


def load_totals(cursor: Cursor, load_id: int) -> Totals:
    cursor.execute(
        f"SELECT {_SUMS}, (SELECT count(*) FROM ddb2pg.replayed_item WHERE load_id = %s) FROM ddb2pg.chunk WHERE load_id = %s",
        [load_id, load_id],
    )
    return _totals(*cursor.fetchone())


def file_totals(cursor: Cursor, load_id: int) -> Iterator[tuple[str, Totals]]:
    """Of each data file of which a chunk is committed."""
    cursor.execute(
        f"""
        SELECT data_file, {_SUMS}, (SELECT count(*) FROM ddb2pg.replayed_item r WHERE (r.load_id, r.data_file) = (%s, c.data_file))
        FROM ddb2pg.chunk c WHERE load_id = %s GROUP BY data_file
        """,
        [load_id, load_id],
    )
    for data_file, *sums in cursor:
        yield data_file, _totals(*sums)


def _totals(items: int, rows: int, dead_letters: int, notices: int, replayed: int) -> Totals:
    """A dead letter that was brought in later is a row."""
    return Totals(items, rows + replayed, dead_letters - replayed, notices)


def code_counts(cursor: Cursor, load_id: int) -> tuple[dict[str, int], dict[str, int]]:
    """How often each dead-letter code and each notice code was given in a load, most frequent first; not of what was brought in later."""
    cursor.execute(
        """
        SELECT code, sum(given)::bigint FROM (
            SELECT key AS code, value::bigint AS given FROM ddb2pg.chunk, jsonb_each_text(dead_letter_codes) WHERE load_id = %s
            UNION ALL SELECT code, -1 FROM ddb2pg.replayed_item, jsonb_array_elements_text(codes) code WHERE load_id = %s
        ) counted GROUP BY code HAVING sum(given) > 0 ORDER BY 2 DESC, 1
        """,
        [load_id, load_id],
    )
    dead_letter_codes = dict(cursor.fetchall())
    cursor.execute(
        """
        SELECT key, sum(value::bigint)::bigint FROM ddb2pg.chunk, jsonb_each_text(notice_codes)
        WHERE load_id = %s GROUP BY key ORDER BY 2 DESC, 1
        """,
        [load_id],
    )
    return dead_letter_codes, dict(cursor.fetchall())


def note_refused_file(cursor: Cursor, load_id: int, run_id: str, data_file: str, problem: str) -> None:
    """Note that a run could not take a data file, and why; the run goes on with the others."""
    cursor.execute(
        "INSERT INTO ddb2pg.refused_file (load_id, run_id, data_file, problem) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [load_id, run_id, data_file, problem],
    )


def refused_files(cursor: Cursor, load_id: int, run_id: str) -> list[str]:
    """The problems of a run's refused data files."""
    cursor.execute("SELECT problem FROM ddb2pg.refused_file WHERE (load_id, run_id) = (%s, %s) ORDER BY data_file", [load_id, run_id])
    return [row[0] for row in cursor.fetchall()]
