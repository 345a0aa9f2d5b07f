"""Chunks: each claimed before its rows are written, in their transaction; what they add up to; and the data files that a run refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    filtered: int = 0
    filter_reasons: Mapping[str, int] = field(default_factory=dict)
    absent: Sequence[str] = ()
    """The paths of the definition that none of the items has."""
    child_rows: Sequence[int] = ()
    """Rows of each child of the table, in the definition's order."""
    read_with: Sequence[int] = ()
    """Of the last of several loads in one reading: the ids of them all."""
    taken_by: Sequence[int] = ()
    """How many items none of those took, one, two ..."""

    @property
    def dead_letters(self) -> int:
        return self.items - self.rows - self.filtered


@dataclass(frozen=True, slots=True)
class CommittedChunk:
    """A chunk that is in the target."""

    first_item: int
    items: int
    rows: int
    filtered: int
    notices: int
    refused: tuple[RefusedRow, ...]
    child_rows: tuple[int, ...] = ()
    replayed: frozenset[int] = frozenset()
    """The numbers of dead letters that a replay settled: rows now, or filtered."""

    @property
    def is_clean(self) -> bool:
        """Whether it has no dead letter and no notice."""
        return self.items == self.rows + self.filtered + len(self.replayed) and not self.notices


_HOST: Final = socket.gethostname()
_CHUNK_COLUMNS: Final = "first_item, items, rows, filtered, notices, write_rejects, child_rows"


def _committed_chunk(row: tuple[Any, ...]) -> CommittedChunk:
    first_item, items, rows, filtered, notices, write_rejects, child_rows = row
    refused = tuple(RefusedRow(number, ErrorCode(code), sqlstate, violated) for number, code, sqlstate, violated in write_rejects)
    return CommittedChunk(first_item, items, rows, filtered, notices, refused, tuple(child_rows))


def claim_chunk(cursor: Cursor, key: ChunkKey, run_id: str, counts: ChunkCounts) -> bool:
    """Insert the chunk's row before its rows; False when it is there: the chunk is committed.

    A second worker with the same chunk waits here for the first one's transaction to end. Raises `Stopped` once a rollback was begun.
    """
    cursor.execute(
        f"""
        {HOLD_OPEN};
        WITH claimed AS (
            INSERT INTO ddb2pg.chunk (load_id, data_file, first_item, items, rows, dead_letters, filtered, notices, dead_letter_codes,
                                      notice_codes, filter_reasons, absent, child_rows, read_with, taken_by, write_rejects, run_id, worker)
            SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '[]', %s, %s
            WHERE NOT EXISTS (SELECT FROM ddb2pg.load WHERE load_id = %s AND rollback_started_at IS NOT NULL)
            ON CONFLICT DO NOTHING RETURNING load_id, items
        ), written AS (
            INSERT INTO ddb2pg.writer (chain, load_id)
            SELECT coalesce(load.chain, load_id), load_id FROM claimed JOIN ddb2pg.load USING (load_id)
        )
        INSERT INTO ddb2pg.tally AS tally (load_id, process, chunks, items) SELECT load_id, pg_backend_pid(), 1, items FROM claimed
        ON CONFLICT (load_id, process) DO UPDATE SET (chunks, items) = (tally.chunks + 1, tally.items + excluded.items)
        """,
        [
            key.load_id,
            key.load_id,
            key.data_file,
            key.first_item,
            counts.items,
            counts.rows,
            counts.dead_letters,
            counts.filtered,
            counts.notices,
            Json(counts.dead_letter_codes),
            Json(counts.notice_codes),
            Json(counts.filter_reasons),
            Json(list(counts.absent)),
            list(counts.child_rows),
            list(counts.read_with),
            list(counts.taken_by),
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
        UPDATE ddb2pg.chunk SET rows = %s, dead_letters = %s, notices = %s, dead_letter_codes = %s, notice_codes = %s, write_rejects = %s,
                                child_rows = %s
        WHERE (load_id, data_file, first_item) = (%s, %s, %s)
        """,
        [
            counts.rows,
            counts.dead_letters,
            counts.notices,
            Json(counts.dead_letter_codes),
            Json(counts.notice_codes),
            Json(rejects),
            list(counts.child_rows),
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
    """Sums over committed chunks, and over the dead letters that a replay settled. Items = rows + dead letters + filtered."""

    items: int = 0
    rows: int = 0
    dead_letters: int = 0
    filtered: int = 0
    notices: int = 0

    @property
    def taken(self) -> int:
        """The items that are for this table: rows, or dead letters."""
        return self.items - self.filtered

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to tell: no dead letter, no notice."""
        return not self.dead_letters and not self.notices


_SUMS: Final = ", ".join(f"coalesce(sum({column}), 0)::bigint" for column in ("items", "rows", "dead_letters", "filtered", "notices"))
_REPLAYED: Final = "count(*), count(*) FILTER (WHERE filter_reason IS NOT NULL) FROM ddb2pg.replayed_item r WHERE r.load_id = %s"


def load_totals(cursor: Cursor, load_id: int) -> Totals:
    cursor.execute(
        f"SELECT * FROM (SELECT {_SUMS} FROM ddb2pg.chunk WHERE load_id = %s) of_chunks, (SELECT {_REPLAYED}) replayed", [load_id, load_id]
    )
    return _totals(*cursor.fetchone())


def absent_attributes(cursor: Cursor, load_id: int) -> list[str]:
    """The paths of the definition that no item has of all that are committed."""
    cursor.execute(
        """
        SELECT path FROM ddb2pg.chunk, jsonb_array_elements_text(absent) path WHERE load_id = %(load_id)s
        GROUP BY path HAVING count(*) = (SELECT count(*) FROM ddb2pg.chunk WHERE load_id = %(load_id)s) ORDER BY path
        """,
        {"load_id": load_id},
    )
    return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class MissingChunks:
    """Chunks that were committed, and whose rows of the ledger are gone."""

    chunks: int
    items: int


def missing_chunks(cursor: Cursor, load_id: int) -> MissingChunks | None:
    """What somebody deleted of a load's rows in `chunk`, by what was counted beside them; None where all are there."""
    cursor.execute(
        """
        SELECT t.chunks - c.chunks, t.items - c.items FROM
            (SELECT coalesce(sum(chunks), 0)::bigint AS chunks, coalesce(sum(items), 0)::bigint AS items
             FROM ddb2pg.tally WHERE load_id = %(load_id)s) t,
            (SELECT count(*) AS chunks, coalesce(sum(items), 0)::bigint AS items FROM ddb2pg.chunk WHERE load_id = %(load_id)s) c
        """,
        {"load_id": load_id},
    )
    chunks, items = cursor.fetchone()
    return MissingChunks(chunks, items) if chunks > 0 or items > 0 else None


def file_totals(cursor: Cursor, load_id: int) -> Iterator[tuple[str, Totals]]:
    """Of each data file of which a chunk is committed."""
    cursor.execute(
        f"""
        SELECT c.*, replayed.* FROM (SELECT data_file, {_SUMS} FROM ddb2pg.chunk WHERE load_id = %s GROUP BY data_file) c,
            LATERAL (SELECT {_REPLAYED} AND r.data_file = c.data_file) replayed
        """,
        [load_id, load_id],
    )
    for data_file, *sums in cursor:
        yield data_file, _totals(*sums)


def _totals(items: int, rows: int, dead_letters: int, filtered: int, notices: int, replayed: int, replayed_filtered: int) -> Totals:
    """A dead letter that a replay settled is a row or filtered."""
    return Totals(items, rows + replayed - replayed_filtered, dead_letters - replayed, filtered + replayed_filtered, notices)


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


def child_totals(cursor: Cursor, load_id: int, children: int) -> list[int]:
    """Rows of each of a load's children, of committed chunks and of dead letters that were brought in later."""
    cursor.execute(
        """
        SELECT child, sum(rows)::bigint FROM (
            SELECT ordinality - 1 AS child, of_child.rows
            FROM ddb2pg.chunk, unnest(child_rows) WITH ORDINALITY AS of_child (rows, ordinality) WHERE load_id = %s
            UNION ALL SELECT child, 1 FROM ddb2pg.replayed_child WHERE load_id = %s
        ) counted GROUP BY child
        """,
        [load_id, load_id],
    )
    totals = dict(cursor.fetchall())
    return [totals.get(number, 0) for number in range(children)]


def filter_reasons(cursor: Cursor, load_id: int) -> dict[str, int]:
    """For what reasons items of a load are filtered, the most frequent first."""
    cursor.execute(
        """
        SELECT reason, sum(items)::bigint FROM (
            SELECT key AS reason, value::bigint AS items FROM ddb2pg.chunk, jsonb_each_text(filter_reasons) WHERE load_id = %s
            UNION ALL SELECT filter_reason, 1 FROM ddb2pg.replayed_item WHERE load_id = %s AND filter_reason IS NOT NULL
        ) counted GROUP BY reason ORDER BY 2 DESC, 1
        """,
        [load_id, load_id],
    )
    return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class SourceTotals:
    """Of one data file from which several loads take: its items, how many the loads took together, and how many are ignored on purpose."""

    items: int
    taken: int
    ignored: int
    ignored_at_first: int
    """Of those, without what a replay found to be."""


def source_totals(cursor: Cursor, load_ids: Sequence[int], ignored: str) -> Iterator[SourceTotals]:
    """Of each data file of some loads of one export. The reasons of ignored items, in the first load and in replays, begin so."""
    cursor.execute(
        """
        SELECT sum(items) FILTER (WHERE load_id = %(first)s)::bigint, sum(items - filtered)::bigint,
               coalesce(sum(ignored) FILTER (WHERE load_id = %(first)s OR is_replayed), 0)::bigint,
               coalesce(sum(ignored) FILTER (WHERE load_id = %(first)s AND NOT is_replayed), 0)::bigint
        FROM (
            SELECT load_id, data_file, items, filtered, ignored, false AS is_replayed
            FROM ddb2pg.chunk, LATERAL (SELECT sum(value::bigint) AS ignored FROM jsonb_each_text(filter_reasons)
                                        WHERE starts_with(key, %(ignored)s)) reasons
            UNION ALL
            SELECT load_id, data_file, 0, 1, starts_with(filter_reason, %(ignored)s)::integer, true
            FROM ddb2pg.replayed_item WHERE filter_reason IS NOT NULL
        ) counted WHERE load_id = ANY (%(load_ids)s) GROUP BY data_file
        """,
        {"first": load_ids[0], "load_ids": list(load_ids), "ignored": ignored},
    )
    for row in cursor:
        yield SourceTotals(*row)


def taken_counts(cursor: Cursor, load_ids: Sequence[int]) -> list[int]:
    """How many items of an export none of its loads took, one, two ...; as far as chunks were read for just these in one reading."""
    cursor.execute(
        """
        SELECT loads, sum(items)::bigint FROM (
            SELECT DISTINCT ON (data_file, first_item) taken_by FROM ddb2pg.chunk
            WHERE load_id = ANY (%(load_ids)s) AND read_with = %(load_ids)s::bigint[]
        ) chunk, unnest(taken_by) WITH ORDINALITY AS taken (items, loads) GROUP BY loads ORDER BY loads
        """,
        {"load_ids": sorted(load_ids)},
    )
    return [items for _, items in cursor.fetchall()]


def note_refused_file(cursor: Cursor, load_id: int, run_id: str, data_file: str, problem: str) -> None:
    """Note that a run could not take a data file, and why; the run goes on with the others."""
    cursor.execute(
        "INSERT INTO ddb2pg.refused_file (load_id, run_id, data_file, problem) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [load_id, run_id, data_file, problem],
    )


def refused_files(cursor: Cursor, load_id: int, run_id: str) -> dict[str, str]:
    """What is wrong with each data file that a run refused."""
    cursor.execute(
        "SELECT data_file, problem FROM ddb2pg.refused_file WHERE (load_id, run_id) = (%s, %s) ORDER BY data_file", [load_id, run_id]
    )
    return dict(cursor.fetchall())
