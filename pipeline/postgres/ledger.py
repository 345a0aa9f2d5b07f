"""The ledger: what of an export is in its target, kept beside the target and committed with its rows.

Every statement on the schema `ddb2pg` is in this file. Its tables are described in `sql/ledger.sql`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg2.extras import Json

from pipeline.export.chunks import ChunkSize
from pipeline.export.manifest import Export
from pipeline.postgres.rows import RefusedRow
from pipeline.postgres.session import Cursor
from pipeline.sql import read_sql
from transforms.reject import ErrorCode
from transforms.table import Table, Unmapped

# Any number that nothing else is likely to take: starting a load is serialised on it.
_START_LOCK: Final = 0x6464_6232_7067


# -- loads ---------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """One export on its way into one target, however many runs that takes. All of it is fixed when the load is first started."""

    load_id: int
    export_id: str
    source_table: str
    target_table: str
    export_digest: str
    manifest_items: int
    migration_time: datetime
    chunk_size: ChunkSize
    unmapped: Unmapped
    definition: str
    started_at: datetime
    finished_at: datetime | None

    @property
    def migration_microseconds(self) -> int:
        """`migration_time` in microseconds since 1970-01-01 UTC, without a float on the way."""
        since = self.migration_time - datetime.fromtimestamp(0, self.migration_time.tzinfo)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_LOAD_COLUMNS: Final = """
    load_id, export_id, source_table, target_table, export_digest, manifest_items, migration_time, chunk_items, chunk_bytes, unmapped,
    definition, started_at, finished_at
"""


def _load(row: tuple[Any, ...]) -> Load:
    load_id, export_id, source, target, digest, items, migration_time, chunk_items, chunk_bytes, unmapped, definition, started, finished = (
        row
    )
    return Load(
        load_id,
        export_id,
        source,
        target,
        digest,
        items,
        migration_time,
        ChunkSize(chunk_items, chunk_bytes),
        Unmapped(unmapped),
        definition,
        started,
        finished,
    )


def exists(cursor: Cursor) -> bool:
    """Whether this database has a ledger."""
    # Not to_regclass: where we may not use the schema, that sees nothing.
    cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'load' AND relnamespace = to_regnamespace('ddb2pg'))")
    return bool(cursor.fetchone()[0])


def is_ours(cursor: Cursor) -> bool:
    """Whether this role may use the ledger that there is: row security hides its rows from any but its owner."""
    cursor.execute("SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'ddb2pg'")
    if not cursor.fetchone()[0]:
        return False
    cursor.execute(
        "SELECT bool_and(has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') AND NOT row_security_active(oid)) "
        "FROM pg_class WHERE relnamespace = 'ddb2pg'::regnamespace AND relkind = 'r'"
    )
    return bool(cursor.fetchone()[0])


def create(cursor: Cursor) -> None:
    """Make the ledger where there is none. The lock is held to the end of the transaction: one load starts at a time."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_START_LOCK])
    if not exists(cursor):
        cursor.execute(read_sql("ledger.sql"))


def find_load(cursor: Cursor, export_id: str, target_table: str) -> Load | None:
    """The load of an export into a target; None when it was never started."""
    cursor.execute(f"SELECT {_LOAD_COLUMNS} FROM ddb2pg.load WHERE (export_id, target_table) = (%s, %s)", [export_id, target_table])
    row = cursor.fetchone()
    return None if row is None else _load(row)


def all_loads(cursor: Cursor) -> list[Load]:
    """Every load that the ledger knows, oldest first."""
    cursor.execute(f"SELECT {_LOAD_COLUMNS} FROM ddb2pg.load ORDER BY load_id")
    return [_load(row) for row in cursor.fetchall()]


def start_load(cursor: Cursor, export: Export, table: Table, target_table: str, chunk_size: ChunkSize, unmapped: Unmapped) -> Load:
    """Begin a load; its `migration_time` is this transaction's."""
    cursor.execute(
        f"""
        INSERT INTO ddb2pg.load (export_id, source_table, target_table, export_time, export_digest, manifest_items, manifest_files,
                                 migration_time, chunk_items, chunk_bytes, unmapped, definition)
        VALUES (%s, %s, %s, %s, %s, %s, %s, now(), %s, %s, %s, %s)
        RETURNING {_LOAD_COLUMNS}
        """,
        [
            export.export_id,
            table.source,
            target_table,
            export.export_time,
            export.digest,
            export.items,
            len(export.data_files),
            chunk_size.items,
            chunk_size.bytes,
            unmapped.value,
            table.fingerprint,
        ],
    )
    return _load(cursor.fetchone())


def finish_load(cursor: Cursor, load: Load) -> None:
    """Note that the load's equation holds."""
    cursor.execute("UPDATE ddb2pg.load SET finished_at = coalesce(finished_at, now()) WHERE load_id = %s", [load.load_id])


# -- chunks --------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """A chunk of a load, in every run the same."""

    load_id: int
    data_file: str
    first_item: int


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

    @property
    def is_clean(self) -> bool:
        """Whether it has nothing to tell: no dead letter, no notice."""
        return self.items == self.rows and not self.notices


_CHUNK_COLUMNS: Final = "first_item, items, rows, notices, write_rejects"


def _committed_chunk(row: tuple[Any, ...]) -> CommittedChunk:
    first_item, items, rows, notices, write_rejects = row
    refused = tuple(RefusedRow(number, ErrorCode(code), sqlstate, violated) for number, code, sqlstate, violated in write_rejects)
    return CommittedChunk(first_item, items, rows, notices, refused)


def claim_chunk(cursor: Cursor, key: ChunkKey, run_id: str, counts: ChunkCounts) -> bool:
    """Insert the chunk's row before its rows; False when it is there: the chunk is committed.

    A second worker with the same chunk waits here for the first one's transaction to end.
    """
    cursor.execute(
        """
        INSERT INTO ddb2pg.chunk (load_id, data_file, first_item, items, rows, dead_letters, notices, dead_letter_codes, notice_codes,
                                  write_rejects, run_id)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '[]', %s)
        ON CONFLICT DO NOTHING
        """,
        [
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
        ],
    )
    return bool(cursor.rowcount)


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
    return {row[0]: _committed_chunk(row) for row in cursor.fetchall()}


# -- what it all adds up to ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over committed chunks."""

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
    """Of one load."""
    cursor.execute(f"SELECT {_SUMS} FROM ddb2pg.chunk WHERE load_id = %s", [load_id])
    return Totals(*cursor.fetchone())


def file_totals(cursor: Cursor, load_id: int) -> Iterator[tuple[str, Totals]]:
    """Of each data file of which a chunk is committed."""
    cursor.execute(f"SELECT data_file, {_SUMS} FROM ddb2pg.chunk WHERE load_id = %s GROUP BY data_file", [load_id])
    for data_file, *sums in cursor:
        yield data_file, Totals(*sums)


def code_counts(cursor: Cursor, load_id: int) -> tuple[dict[str, int], dict[str, int]]:
    """How often each dead-letter code and each notice code was given in a load, most frequent first."""
    counts = []
    for column in ("dead_letter_codes", "notice_codes"):
        cursor.execute(
            f"""
            SELECT key, sum(value::bigint)::bigint FROM ddb2pg.chunk, jsonb_each_text({column})
            WHERE load_id = %s GROUP BY key ORDER BY 2 DESC, 1
            """,
            [load_id],
        )
        counts.append(dict(cursor.fetchall()))
    return counts[0], counts[1]


# -- refused data files --------------------------------------------------------------------------------------------------------------------


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
