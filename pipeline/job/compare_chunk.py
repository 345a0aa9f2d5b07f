"""One chunk of an export against the target: converted again, and compared with its rows in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.errors import Stopped
from pipeline.job.chunk_check import CheckChunk
from pipeline.job.loading import CommittedChunks, ConvertedChunk, LoadPlan, check_data_file, convert_chunk, read_split, refused_before
from pipeline.ledger.comparisons import ComparedChunk, Comparing, note_compared
from pipeline.ledger.keys import ChunkKey
from pipeline.ledger.rollbacks import hold_open
from pipeline.records.files import RecordBatch
from pipeline.records.lines import Values, mismatch_batch
from pipeline.source.chunks import Chunk, Split, data_files_of
from pipeline.target.compare import Comparison, compare_rows, compare_staged_rows, find_keys, values_of_different
from pipeline.target.mismatch import Mismatch, MismatchKind
from pipeline.target.rows import RefusedRow, Rows
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.target.write import WriteRows, ways_to_write
from transforms.compile import compile_key, compile_table

EVERY_KIND = frozenset(MismatchKind)


@dataclass(frozen=True, slots=True)
class ValidationPlan:
    """All that a worker needs to compare chunks. Travels with the job."""

    load_plan: LoadPlan
    seed: int = field(default_factory=lambda: secrets.randbits(62))
    """Salts the hashes of keys; of this run alone."""
    repair: bool = False
    show_values: bool = False
    told: frozenset[MismatchKind] = EVERY_KIND
    """What gets a record; everything is counted."""

    @property
    def comparing(self) -> Comparing:
        """For the ledger."""
        return Comparing(self.load_plan.load.load_id, self.load_plan.run_id, self.seed)

    def worker(self, session: Session) -> CheckChunk:
        """See `ChunkPlan`."""
        return ChunkValidator(self, session).compare


@dataclass(frozen=True, slots=True)
class _Converted:
    """What a chunk should be in the target."""

    key: ChunkKey
    items: int
    rows: Rows
    refused_keys: Rows
    """The keys alone of dead letters, as far as they can be read."""


class ChunkValidator:
    """Compares chunks of one load through one session. Comparing a chunk again in a run tells what was told first."""

    def __init__(self, plan: ValidationPlan, session: Session) -> None:
        self._plan = plan
        self._session = session
        self._load = load = plan.load_plan
        self._committed = CommittedChunks(load.load, session)
        self._to_row = compile_table(load.table, migration_time=load.load.migration_microseconds, unmapped=load.load.unmapped)
        self._to_key = compile_key(load.table, load.target.primary_key)
        by_name = {column.name: column for column in load.table.columns}
        self._key_table = replace(load.table, columns=tuple(by_name[name] for name in load.target.primary_key))
        self._ways: Sequence[WriteRows | None] = ways_to_write(load.target, load.table) if plan.repair else [None]

    def compare(self, chunk: Chunk) -> RecordBatch:
        """What there is to tell of its items."""
        committed = self._committed.find(chunk)
        key = ChunkKey(self._load.load.load_id, chunk.split.data_file.name, chunk.first_item)
        if committed is None:
            found = ComparedChunk(len(chunk.lines), [Mismatch(number, MismatchKind.NOT_LOADED) for number in _numbers(chunk)])
            mismatches = self._session.transact(lambda cursor: note_compared(cursor, self._plan.comparing, key, found))
            return self._batch(chunk, mismatches, {})
        converted = convert_chunk(chunk, self._to_row)
        converted = converted.without(refused_before(chunk, converted, committed))
        of_chunk = _Converted(key, len(chunk.lines), converted.loaded_rows, self._keys_of_refused(chunk, converted))
        for way in self._ways:
            try:
                return self._batch(chunk, *self._session.transact(lambda cursor, way=way: self._compare_in(cursor, of_chunk, way)))  # type: ignore[misc]
            except RowsRefused as refused:
                sqlstate = refused.sqlstate
        message = f"{chunk.split.data_file.name}: PostgreSQL refused rows that it took when they were loaded (SQLSTATE {sqlstate})"
        raise Stopped(message)

    def _compare_in(self, cursor: Cursor, chunk: _Converted, way: WriteRows | None) -> tuple[Sequence[Mismatch], Values]:
        """The transaction: compare, write what is missing if there is a way, and note it."""
        load, seed = self._load, self._plan.seed
        found = compare_rows(cursor, load.target, load.table, chunk.rows, seed)
        missing, refused = found.missing, list[RefusedRow]()
        if way is not None and missing:
            hold_open(cursor, load.load.load_id)
            refused = way(cursor, load.target, load.table, chunk.rows.only(missing))
            found = compare_staged_rows(cursor, load.target, load.table, seed)
        refused_keys = find_keys(cursor, load.target, self._key_table, chunk.refused_keys, seed)
        compared = ComparedChunk(chunk.items, _after_repair(missing, found, refused), found.found_keys, refused_keys)
        mismatches = note_compared(cursor, self._plan.comparing, chunk.key, compared)
        if not self._plan.show_values:
            return mismatches, {}
        different = {(one.item_number, column) for one in mismatches for column in one.columns}
        return mismatches, values_of_different(cursor, load.target, different)

    def _keys_of_refused(self, chunk: Chunk, converted: ConvertedChunk) -> Rows:
        pairs = [(number, self._to_key(chunk.lines[number - chunk.first_item])) for number in sorted(converted.refusals)]
        found = [(number, key) for number, key in pairs if key is not None]
        return Rows([number for number, _ in found], [key for _, key in found])

    def _batch(self, chunk: Chunk, mismatches: Sequence[Mismatch], values: Values) -> RecordBatch:
        told = [one for one in mismatches if one.kind in self._plan.told]
        return mismatch_batch(self._load.origin, chunk, self._load.table.key, told, values)


def _numbers(chunk: Chunk) -> range:
    return range(chunk.first_item, chunk.first_item + len(chunk.lines))


def mismatches_of(found: Comparison, refused: Sequence[RefusedRow] = ()) -> list[Mismatch]:
    """In the order of the items; `refused` is why some rows are missing still."""
    by_number = {row.item_number: row for row in refused}
    mismatches = [Mismatch(number, MismatchKind.MISSING, refused=by_number.get(number)) for number in found.missing]
    mismatches += [Mismatch(number, MismatchKind.DIFFERENT, columns) for number, columns in found.different.items()]
    return sorted(mismatches, key=lambda one: one.item_number)


def _after_repair(missing: frozenset[int], now: Comparison, refused: Sequence[RefusedRow]) -> list[Mismatch]:
    """`missing` were so before a repair, `now` is after it."""
    repaired = [Mismatch(number, MismatchKind.REPAIRED) for number in missing - now.missing - now.different.keys()]
    return sorted([*mismatches_of(now, refused), *repaired], key=lambda one: one.item_number)


def compare_plainly(splits: Sequence[Split], plan: ValidationPlan) -> list[RecordBatch]:
    """The whole comparison as a loop: what the Beam job does, on one thread and without Beam."""
    checked = {data_file.name: check_data_file(data_file, plan.load_plan) for data_file in data_files_of(splits)}
    with Session(plan.load_plan.database) as session:
        compare = plan.worker(session)
        return [compare(chunk) for split in splits for chunk in read_split(split, checked[split.data_file.name], plan.load_plan)]
