"""Loads (one export into one target), and the schema in which they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from psycopg2.extras import Json

from pipeline.errors import Refused, Stopped
from pipeline.source.chunks import ChunkSize, SplitSize
from pipeline.source.manifest import Export, Window
from pipeline.sql import read_sql
from pipeline.target.session import Cursor
from transforms.lines import View
from transforms.table import Defaults, Table, Unmapped

# Any number that nothing else is likely to take: starting a load is serialised on it.
_START_LOCK: Final = 0x6464_6232_7067

_USUAL_SPLITS: Final = SplitSize()

SCHEMA_VERSION: Final = 1
"""Of `ledger.sql`. Another version's ledger is refused."""


class Validated(StrEnum):
    """How thoroughly the rows of a load were compared with its export, and found equal."""

    QUICK = "quick"
    """Their number, and the content of a sample."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Link:
    """A window's place in its chain."""

    chain: int
    """The load of the full export that the chain begins with."""
    number: int
    """From 1."""
    window: Window
    is_stream: bool = False
    """Whether it is the stream that follows the windows, in which an item has many records."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What decides of which chunks an export is made. Loads of one cut can be made in one reading."""

    export_id: str
    export_digest: str
    split_size: SplitSize
    chunk_size: ChunkSize


@dataclass(frozen=True, slots=True)
class ChildTable:
    """The target of a load's child rows, as it was when the load was begun."""

    target_table: str
    target_oid: int | None = None
    """As `Load.target_oid`."""
    row_security: str | None = None
    """As `read_row_security` gives it; None where it was not asked for."""


@dataclass(frozen=True, slots=True)
class Load:
    """One export into one target, in one or more runs. All of it is fixed when the load is first started."""

    load_id: int
    export_id: str
    source_table: str
    target_table: str
    export_digest: str
    manifest_items: int
    migration_time: datetime
    chunk_size: ChunkSize
    split_size: SplitSize
    unmapped: Unmapped
    definition: str
    started_at: datetime
    finished_at: datetime | None
    rollback_started_at: datetime | None = None
    rolled_back_at: datetime | None = None
    validated: Validated | None = None
    validated_at: datetime | None = None
    target_oid: int | None = None
    """Of the table that it was begun into; None where that cannot be compared, as after a restore from a dump."""
    export_time: datetime | None = None
    """What the export is as of; unknown without a manifest, and of a window, which has a time of its own."""
    table_id: str | None = None
    """Of the table in DynamoDB, whatever it is called; None where the manifest does not tell."""
    link: Link | None = None
    """Of a window; None of the load of a full export."""
    filter: str | None = None
    """As `Export.filter` was when it began."""
    children: tuple[ChildTable, ...] = ()
    """In the definition's order, without their row security."""
    validated_as_of: datetime | None = None
    """Of the load that a chain begins with: the time of the fresh full export with which the target was compared at `validated_at`."""
    column_defaults: tuple[Mapping[str, str], ...] = ()
    """Of columns with `Missing.COLUMN_DEFAULT` the values of their DEFAULTs when the load began, as fields of rows in hexadecimal: of the
    target, then of each child's."""

    @property
    def chain(self) -> int:
        """The load that its chain begins with, which may be itself."""
        return self.link.chain if self.link else self.load_id

    def is_validated(self, asked: Validated) -> bool:
        """Whether its rows were found equal as thoroughly as that."""
        return self.validated in (asked, Validated.FULL)

    @property
    def cut(self) -> Cut:
        return Cut(self.export_id, self.export_digest, self.split_size, self.chunk_size)

    def with_defaults(self, table: Table) -> Table:
        """The definition as rows of this load are made by it: with the DEFAULTs of its columns as they were when the load began."""
        return table.with_defaults([{name: bytes.fromhex(field) for name, field in of.items()} for of in self.column_defaults])

    @property
    def migration_microseconds(self) -> int:
        """`migration_time` in microseconds since 1970-01-01 UTC, without a float on the way."""
        since = self.migration_time - datetime.fromtimestamp(0, self.migration_time.tzinfo)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """A chunk of a load, in every run the same."""

    load_id: int
    data_file: str
    first_item: int


LOAD_COLUMNS: Final = """
    load_id, export_id, source_table, target_table, export_digest, manifest_items, migration_time, chunk_items, chunk_bytes, split_items,
    most_splits, unmapped, definition, started_at, finished_at, rollback_started_at, rolled_back_at, validated, validated_at,
    CASE WHEN ledger_oid = 'ddb2pg.load'::regclass THEN target_oid END, export_time, table_id, chain, window_number, window_from, window_to,
    window_view, export_filter,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(child.target_table, CASE WHEN ledger_oid = 'ddb2pg.load'::regclass
                                                                     THEN child.target_oid::bigint END) ORDER BY child.child), '[]')
     FROM ddb2pg.child_table child WHERE child.load_id = load.load_id), validated_as_of, column_defaults
"""


def load_of_row(row: tuple[Any, ...]) -> Load:
    load_id, export_id, source, target, digest, items, migration_time, chunk_items, chunk_bytes, split_items, most_splits, *rest = row
    chunk_size, split_size = ChunkSize(chunk_items, chunk_bytes), SplitSize(split_items, most_splits)
    unmapped, definition, started_at, finished_at, rollback_started_at, rolled_back_at, validated, validated_at, target_oid, *rest = rest
    export_time, table_id, chain, number, from_time, to_time, view, export_filter, children, validated_as_of, defaults = rest
    return Load(
        load_id,
        export_id,
        source,
        target,
        digest,
        items,
        migration_time,
        chunk_size,
        split_size,
        Unmapped(unmapped),
        definition,
        started_at,
        finished_at,
        rollback_started_at,
        rolled_back_at,
        validated and Validated(validated),
        validated_at,
        target_oid,
        export_time,
        table_id,
        None if chain is None else Link(chain, number, Window(from_time.astimezone(UTC), to_time.astimezone(UTC), View(view))),
        export_filter,
        tuple(ChildTable(target_table, oid) for target_table, oid in children),
        validated_as_of,
        tuple(defaults),
    )


def ledger_exists(cursor: Cursor) -> bool:
    """Whether this database has a ledger."""
    # Not to_regclass: where we may not use the schema, that sees nothing.
    cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'load' AND relnamespace = to_regnamespace('ddb2pg'))")
    return bool(cursor.fetchone()[0])


def is_ledger_ours(cursor: Cursor) -> bool:
    """Whether this role may use the ledger that there is: row security hides its rows from any but its owner."""
    cursor.execute("SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'ddb2pg'")
    if not cursor.fetchone()[0]:
        return False
    cursor.execute(
        "SELECT bool_and(has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') AND NOT row_security_active(oid)) "
        "FROM pg_class WHERE relnamespace = 'ddb2pg'::regnamespace AND relkind = 'r'"
    )
    return bool(cursor.fetchone()[0])


def lock_starts(cursor: Cursor) -> None:
    """Let nothing be begun by others before the end of this transaction: no load, no window, no rollback."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_START_LOCK])


def create_ledger(cursor: Cursor) -> None:
    """Make the ledger where there is none. The lock is held to the end of the transaction: one load starts at a time.

    Raises `Refused` for a ledger of another version.
    """
    lock_starts(cursor)
    if ledger_exists(cursor):
        refuse_other_version(cursor)
    else:
        cursor.execute(read_sql("ledger.sql"))


def version_problems(cursor: Cursor) -> Iterator[str]:
    """The sentence for a ledger that another version of ddb2pg made."""
    cursor.execute("SELECT obj_description(to_regnamespace('ddb2pg'), 'pg_namespace')")
    comment = cursor.fetchone()[0]
    if comment != f"ddb2pg ledger, version {SCHEMA_VERSION}":
        yield (
            f"the ledger, the schema ddb2pg, says of itself {comment or 'nothing'!r}, and this ddb2pg needs version {SCHEMA_VERSION}; "
            "use the ddb2pg that made it"
        )


def refuse_other_version(cursor: Cursor) -> None:
    """Raise `Refused` where another version of ddb2pg made the ledger."""
    problems = list(version_problems(cursor))
    if problems:
        raise Refused(problems)


def find_load(cursor: Cursor, export_id: str, target_table: str) -> Load | None:
    """The load of an export into a target; None when it was never started, or was rolled back."""
    cursor.execute(
        f"SELECT {LOAD_COLUMNS} FROM ddb2pg.load WHERE (export_id, target_table) = (%s, %s) AND rolled_back_at IS NULL",
        [export_id, target_table],
    )
    row = cursor.fetchone()
    return None if row is None else load_of_row(row)


def find_load_by_id(cursor: Cursor, load_id: int) -> Load | None:
    """The load of an id; None when there is none, or it was rolled back."""
    cursor.execute(f"SELECT {LOAD_COLUMNS} FROM ddb2pg.load WHERE load_id = %s AND rolled_back_at IS NULL", [load_id])
    row = cursor.fetchone()
    return None if row is None else load_of_row(row)


def find_rolled_back_load(cursor: Cursor, export_id: str, target_table: str) -> Load | None:
    """The last load of an export into a target that was rolled back, to its end."""
    cursor.execute(
        f"SELECT {LOAD_COLUMNS} FROM ddb2pg.load WHERE (export_id, target_table) = (%s, %s) AND rolled_back_at IS NOT NULL "
        "ORDER BY load_id DESC LIMIT 1",
        [export_id, target_table],
    )
    row = cursor.fetchone()
    return None if row is None else load_of_row(row)


def stop_if_not_here(cursor: Cursor, load: Load) -> None:
    """Raise `Stopped` unless this database's ledger has the load; its start, to the microsecond, distinguishes it from another's."""
    if ledger_exists(cursor):
        cursor.execute(
            "SELECT count(*) FROM ddb2pg.load WHERE (load_id, target_table, migration_time) = (%s, %s, %s)",
            [load.load_id, load.target_table, load.migration_time],
        )
        if cursor.fetchone()[0]:
            return
    message = (
        f"a worker's database is not the one in which the load of {load.source_table} was begun: the reference to it (--database_secret, "
        "or DATABASE_URL) means another one where that worker runs; nothing was written there"
    )
    raise Stopped(message)


def other_loads(cursor: Cursor, export_id: str, target_table: str) -> list[str]:
    """The full exports other than this one of which a load into the target was begun, and not rolled back."""
    cursor.execute(
        "SELECT export_id FROM ddb2pg.load WHERE target_table = %s AND export_id <> %s AND rolled_back_at IS NULL AND chain IS NULL "
        "ORDER BY load_id",
        [target_table, export_id],
    )
    return [row[0] for row in cursor.fetchall()]


def loads_under_other_names(cursor: Cursor, target_oid: int, target_table: str) -> list[Load]:
    """The loads that were begun into this very table when it had another name, and not rolled back."""
    cursor.execute(
        f"SELECT {LOAD_COLUMNS} FROM ddb2pg.load WHERE target_oid = %s AND ledger_oid = 'ddb2pg.load'::regclass AND target_table <> %s "
        "AND rolled_back_at IS NULL AND chain IS NULL ORDER BY load_id",
        [target_oid, target_table],
    )
    return [load_of_row(row) for row in cursor.fetchall()]


def all_loads(cursor: Cursor) -> list[Load]:
    """Every load that the ledger knows, oldest first."""
    cursor.execute(f"SELECT {LOAD_COLUMNS} FROM ddb2pg.load ORDER BY load_id")
    return [load_of_row(row) for row in cursor.fetchall()]


def start_load(
    cursor: Cursor,
    export: Export,
    table: Table,
    target_table: str,
    chunk_size: ChunkSize,
    unmapped: Unmapped,
    split_size: SplitSize = _USUAL_SPLITS,
    row_security: str | None = None,
    target_oid: int | None = None,
    children: Sequence[ChildTable] = (),
    link: Link | None = None,
    column_defaults: Sequence[Defaults] = (),
) -> Load:
    """Begin a load; its `migration_time` is this transaction's, or its chain's. `row_security` is that of the target (`read_row_security`).

    Of a window `link` is its place, and its chain has its `column_defaults`, which else are those of the target and of its children's.
    """
    cursor.execute(
        """
        INSERT INTO ddb2pg.load (export_id, source_table, target_table, export_time, export_digest, manifest_items, manifest_files,
                                 migration_time, chunk_items, chunk_bytes, split_items, most_splits, unmapped, definition, row_security,
                                 target_oid, table_id, chain, window_number, window_from, window_to, window_view, export_filter,
                                 column_defaults)
        VALUES (%s, %s, %s, %s, %s, %s, %s, coalesce((SELECT migration_time FROM ddb2pg.load WHERE load_id = %s), now()),
                %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                coalesce((SELECT column_defaults FROM ddb2pg.load WHERE load_id = %s), %s))
        RETURNING load_id
        """,
        [
            export.export_id,
            table.source,
            target_table,
            export.export_time,
            export.digest,
            export.items,
            len(export.data_files),
            link and link.chain,
            chunk_size.items,
            chunk_size.bytes,
            split_size.items,
            split_size.most,
            unmapped.value,
            table.fingerprint,
            row_security,
            target_oid,
            export.table_id,
            link and link.chain,
            link and link.number,
            link and link.window.from_time,
            link and link.window.to_time,
            link and link.window.view.value,
            export.filter,
            link and link.chain,
            Json([{name: field.hex() for name, field in of.items()} for of in column_defaults]),
        ],
    )
    load_id = cursor.fetchone()[0]
    for number, child in enumerate(children):
        cursor.execute(
            "INSERT INTO ddb2pg.child_table (load_id, child, target_table, target_oid, row_security) VALUES (%s, %s, %s, %s, %s)",
            [load_id, number, child.target_table, child.target_oid, child.row_security],
        )
    cursor.execute(f"SELECT {LOAD_COLUMNS} FROM ddb2pg.load WHERE load_id = %s", [load_id])
    return load_of_row(cursor.fetchone())


def finish_load(cursor: Cursor, load: Load) -> None:
    """Note that the load's equation holds."""
    cursor.execute("UPDATE ddb2pg.load SET finished_at = coalesce(finished_at, now()) WHERE load_id = %s", [load.load_id])


def note_validated(cursor: Cursor, load_id: int, validated: Validated, as_of: datetime | None = None) -> None:
    """Note that the load's rows were found equal to its export; of a chain, to a fresh export of that time."""
    cursor.execute(
        "UPDATE ddb2pg.load SET (validated, validated_at, validated_as_of) = (%s, now(), %s) WHERE load_id = %s",
        [validated.value, as_of, load_id],
    )


def forget_validated_as_of(cursor: Cursor, load_id: int) -> None:
    """Note that what was found of a load's chain with a fresh export is not known any more: rows differ, came later, or are taken back."""
    cursor.execute(
        "UPDATE ddb2pg.load SET validated_as_of = NULL WHERE validated_as_of IS NOT NULL "
        "AND load_id = (SELECT coalesce(chain, load_id) FROM ddb2pg.load WHERE load_id = %s)",
        [load_id],
    )


def note_writer(cursor: Cursor, load: Load) -> None:
    """Note that this transaction writes rows of a load beside its chunks', or of its chain: so they are ours."""
    cursor.execute("INSERT INTO ddb2pg.writer (chain, load_id) VALUES (%s, %s)", [load.chain, load.load_id])
