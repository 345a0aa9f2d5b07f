"""A chunk of an export into its target: the plain functions that the Beam job is a thin twin of.

check_data_file  a data file against its manifest, before any split of it is read
read_split       split -> chunks
convert_chunk    lines -> rows, refusals, notices; pure
ChunkLoader      convert, write with the ledger in one transaction, and make the records of what was refused or noted
load_plainly     the whole load as a loop, without Beam
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.guard import DeadLetterGuard
from pipeline.job.threshold import UNLIMITED, Threshold
from pipeline.ledger.chunks import ChunkCounts, CommittedChunk, claim_chunk, committed_chunk, committed_chunks, note_refused
from pipeline.ledger.keys import ChunkKey
from pipeline.ledger.loads import Load
from pipeline.places.place import StorageFailed
from pipeline.places.storage import LOCAL_AND_AWS, Storage
from pipeline.records.files import RecordBatch
from pipeline.records.lines import Origin, Rejection, dead_letter_record, notice_records
from pipeline.source.chunks import Chunk, ItemAddress, Split, data_files_of, read_chunks
from pipeline.source.data_file import CheckedFile, check_file
from pipeline.source.manifest import DataFile
from pipeline.target.database_url import DatabaseReference
from pipeline.target.rows import RefusedRow, Rows
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.target.target import Target
from pipeline.target.write import WriteRows, copy_new_rows, ways_to_write
from transforms.compile import ToRow, compile_table
from transforms.rejects import ErrorCode, ItemError, ItemRefused, Notice, Stage
from transforms.table import Table

_RESUMABLE: Final = "{}; what is committed stays: run the same command again to go on"
_WRITE_MESSAGES: Mapping[ErrorCode, str] = {
    ErrorCode.PRIMARY_KEY_CONFLICT: "the target has a row with this primary key already",
    ErrorCode.UNIQUE_CONFLICT: "the target has a row with the same unique value already",
    ErrorCode.FOREIGN_KEY_VIOLATION: "the row refers to one that is not there",
    ErrorCode.CHECK_VIOLATION: "the row breaks a check",
    ErrorCode.NOT_NULL_VIOLATION: "a column that must not be NULL would be",
    ErrorCode.DATABASE_REJECTED: "PostgreSQL refused the row",
}


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """All that a worker needs to load chunks. Travels with the job, so it holds no secret."""

    load: Load
    table: Table
    target: Target
    database: DatabaseReference
    run_id: str
    storage: Storage = LOCAL_AND_AWS
    threshold: Threshold = UNLIMITED
    """Of dead letters."""

    @property
    def job_name(self) -> str:
        """On a cluster, where there are others."""
        return f"ddb2pg-{self.run_id}-{self.table.source}"

    @property
    def origin(self) -> Origin:
        """What every record of this run says."""
        return Origin(self.run_id, self.table.source, self.load.target_table, self.load.export_id)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an item is a dead letter."""

    stage: Stage
    errors: Sequence[ItemError]


@dataclass(frozen=True, slots=True)
class ConvertedChunk:
    """What became of a chunk's lines, by item number."""

    rows: Rows
    refusals: Mapping[int, Refusal]
    notices: Mapping[int, Sequence[Notice]]

    def without(self, refused: Iterable[RefusedRow]) -> ConvertedChunk:
        """The same after PostgreSQL refused some of the rows: they are dead letters now, and have no notices."""
        refusals = {**self.refusals, **{row.item_number: Refusal(Stage.WRITE, [_error_of(row)]) for row in refused}}
        notices = {number: notices for number, notices in self.notices.items() if number not in refusals}
        return ConvertedChunk(self.rows, refusals, notices)

    @property
    def loaded_rows(self) -> Rows:
        """The rows of items that are no dead letters."""
        if self.refusals.keys().isdisjoint(self.rows.item_numbers):
            return self.rows
        return self.rows.only(number for number in self.rows.item_numbers if number not in self.refusals)

    def counts(self, items: int) -> ChunkCounts:
        """For the ledger: dead-letter codes by the items that have them, notice codes by notices."""
        return ChunkCounts(
            items=items,
            rows=items - len(self.refusals),
            notices=sum(map(len, self.notices.values())),
            dead_letter_codes=Counter(
                code for refusal in self.refusals.values() for code in {error.code.value for error in refusal.errors}
            ),
            notice_codes=Counter(notice.code.value for notices in self.notices.values() for notice in notices),
        )


def check_data_file(data_file: DataFile, plan: LoadPlan) -> CheckedFile:
    """A data file as its manifest says, with its splits. Raises `DataFileRefused`, `Stopped`."""
    try:
        return check_file(data_file, plan.load.split_size.first_items(data_file.items), plan.storage)
    except StorageFailed as failed:
        raise Stopped(_RESUMABLE.format(failed)) from None


def read_split(split: Split, checked: CheckedFile, plan: LoadPlan) -> Iterator[Chunk]:
    """The chunks of a split of a checked file. Raises `DataFileRefused`, `Stopped`."""
    try:
        yield from read_chunks(split, checked, plan.load.chunk_size, plan.storage)
    except StorageFailed as failed:
        raise Stopped(_RESUMABLE.format(failed)) from None


def _error_of(row: RefusedRow) -> ItemError:
    message = _WRITE_MESSAGES[row.code]
    if row.constraint:
        message = f"{message} (constraint {row.constraint})"
    return ItemError(row.code, None, None, message, row.sqlstate)


def convert_chunk(chunk: Chunk, to_row: ToRow) -> ConvertedChunk:
    """Each line to a row or a refusal."""
    return convert_lines(chunk.lines, chunk.first_item, to_row)


def convert_lines(lines: Iterable[bytes], first_item: int, to_row: ToRow) -> ConvertedChunk:
    """The same of lines that are no chunk, numbered from `first_item`."""
    numbers: list[int] = []
    encoded: list[bytes] = []
    refusals: dict[int, Refusal] = {}
    notices: dict[int, Sequence[Notice]] = {}
    for number, line in enumerate(lines, first_item):
        try:
            row, found = to_row(line)
        except ItemRefused as refused:
            refusals[number] = Refusal(refused.stage, refused.errors)
            continue
        numbers.append(number)
        encoded.append(row)
        if found:
            notices[number] = found
    return ConvertedChunk(Rows(numbers, encoded), refusals, notices)


class CommittedChunks:
    """What the ledger has of a load's chunks."""

    def __init__(self, load: Load, session: Session) -> None:
        self._load = load
        self._session = session
        self._file: tuple[str, dict[int, CommittedChunk]] = ("", {})

    def find(self, chunk: Chunk) -> CommittedChunk | None:
        """One question a data file, not one a chunk."""
        data_file = chunk.split.data_file.name
        if self._file[0] != data_file:
            load_id = self._load.load_id
            self._file = data_file, self._session.transact(lambda cursor: committed_chunks(cursor, load_id, data_file))
        return self._file[1].get(chunk.first_item)


def refused_before(chunk: Chunk, converted: ConvertedChunk, committed: CommittedChunk) -> Sequence[RefusedRow]:
    """What PostgreSQL refused when the chunk was committed; the ledger must know the chunk as we see it. Raises `Stopped`."""
    counts = converted.without(committed.refused).counts(len(chunk.lines))
    if (counts.items, counts.rows, counts.notices) != (committed.items, committed.rows, committed.notices):
        message = (
            f"{chunk.split.data_file.name}: the chunk from item {chunk.first_item} was committed with other counts than it has now; "
            "the export, or ddb2pg itself, is not what it was when the load began. Bring that back, or begin the load anew "
            "(docs/rollback.md)"
        )
        raise Stopped(message)
    return committed.refused


class ChunkLoader:
    """Loads chunks of one load through one session. Loading a chunk again does nothing but tell what there is to tell."""

    def __init__(self, plan: LoadPlan, session: Session) -> None:
        self._plan = plan
        self._session = session
        self._to_row = compile_table(plan.table, migration_time=plan.load.migration_microseconds, unmapped=plan.load.unmapped)
        self._ways = ways_to_write(plan.target, plan.table)
        self._begin_with = 0
        self._committed = CommittedChunks(plan.load, session)
        self._guard = DeadLetterGuard(plan.threshold, plan.load, session)

    def load(self, chunk: Chunk) -> tuple[RecordBatch, RecordBatch]:
        """Its dead letters and its notices, once its rows are committed. Raises `Stopped`."""
        committed = self._committed.find(chunk)
        if committed is not None and committed.is_clean and committed.items == len(chunk.lines):
            return _batch(chunk, []), _batch(chunk, [])
        if committed is None:
            self._guard.check()
        converted = convert_chunk(chunk, self._to_row)
        refused = self._write(chunk, converted) if committed is None else refused_before(chunk, converted, committed)
        if refused:
            converted = converted.without(refused)
        if committed is None:
            self._guard.note(len(chunk.lines), len(converted.refusals))
        return self._records(chunk, converted, committed.replayed if committed else frozenset())

    def _write(self, chunk: Chunk, converted: ConvertedChunk) -> Sequence[RefusedRow]:
        for way in self._ways[self._begin_with :]:
            try:
                refused = self._session.transact(lambda cursor, way=way: self._write_in(cursor, way, chunk, converted))  # type: ignore[misc]
            except RowsRefused as error:
                sqlstate = error.sqlstate
            else:
                # Conflicts come in swarms, and to look at the keys first costs less than a COPY that fails half-way.
                self._begin_with = self._ways.index(way) if way is copy_new_rows and refused else 0
                return refused
        message = f"PostgreSQL refused rows of {chunk.split.data_file.name} that it took one by one (SQLSTATE {sqlstate})"
        raise Stopped(message)

    def _write_in(self, cursor: Cursor, way: WriteRows, chunk: Chunk, converted: ConvertedChunk) -> Sequence[RefusedRow]:
        """The transaction: the ledger's row, then the chunk's."""
        key = ChunkKey(self._plan.load.load_id, chunk.split.data_file.name, chunk.first_item)
        items = len(chunk.lines)
        if not claim_chunk(cursor, key, self._plan.run_id, converted.counts(items)):
            return refused_before(chunk, converted, committed_chunk(cursor, key))
        refused = way(cursor, self._plan.target, self._plan.table, converted.rows)
        if refused:
            note_refused(cursor, key, refused, converted.without(refused).counts(items))
        return refused

    def _records(self, chunk: Chunk, converted: ConvertedChunk, replayed: Collection[int]) -> tuple[RecordBatch, RecordBatch]:
        """What was brought in later is no dead letter any more."""
        origin, data_file = self._plan.origin, chunk.split.data_file.name
        rejection = Rejection(datetime.now(UTC).isoformat(), attempt=1, first_run_id=origin.run_id)

        def line(number: int) -> bytes:
            return chunk.lines[number - chunk.first_item]

        dead_letters = [
            dead_letter_record(origin, ItemAddress(data_file, number), line(number), refusal.stage, refusal.errors, rejection)
            for number, refusal in sorted(converted.refusals.items())
            if number not in replayed
        ]
        notices = [
            record
            for number, found in converted.notices.items()
            for record in notice_records(origin, ItemAddress(data_file, number), line(number), self._plan.table.key, found)
        ]
        return _batch(chunk, dead_letters), _batch(chunk, notices)


def _batch(chunk: Chunk, records: Sequence[bytes]) -> RecordBatch:
    return RecordBatch(chunk.split.name, tuple(records), chunk.is_last)


def load_plainly(splits: Sequence[Split], plan: LoadPlan) -> Iterable[tuple[RecordBatch, RecordBatch]]:
    """The whole load as a loop: what the Beam job does, on one thread and without Beam."""
    checked = {data_file.name: check_data_file(data_file, plan) for data_file in data_files_of(splits)}
    with Session(plan.database) as session:
        loader = ChunkLoader(plan, session)
        for split in splits:
            for chunk in read_split(split, checked[split.data_file.name], plan):
                yield loader.load(chunk)
