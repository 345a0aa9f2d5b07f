"""One chunk of a load taken back: its rows deleted and its ledger row closed, in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import Stopped
from pipeline.job.chunk_check import CheckChunk
from pipeline.job.loading import CommittedChunks, LoadPlan, convert_chunk, refused_before
from pipeline.ledger.comparisons import ComparedChunk, Comparing, note_compared
from pipeline.ledger.keys import ChunkKey
from pipeline.ledger.rollbacks import RolledBackChunk, close_chunk, closed_chunk, is_rolled_back, lock_chunk, writer_of_chunk
from pipeline.records.files import RecordBatch
from pipeline.records.lines import mismatch_batch
from pipeline.source.chunks import Chunk
from pipeline.target.compare import compare_rows
from pipeline.target.delete import WAYS_TO_DELETE, DeleteRows, stage_rows
from pipeline.target.mismatch import TRIED_AGAIN, Mismatch, MismatchKind
from pipeline.target.rows import Rows
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.target.target import Reference, find_further_columns
from transforms.compile import compile_table


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """All that a worker needs to take chunks back. Travels with the job."""

    load_plan: LoadPlan
    pass_number: int
    """A later pass tries again what an earlier one could not delete; one that was done already is only told again."""
    references: tuple[Reference, ...]
    """Those that deleting would reach."""
    is_dry: bool
    seed: int = field(default_factory=lambda: secrets.randbits(62))
    """Salts the hashes of keys that a dry run keeps; of this run alone."""

    @property
    def comparing(self) -> Comparing:
        """Where a dry run keeps its counts."""
        return Comparing(self.load_plan.load.load_id, self.load_plan.run_id, self.seed)

    def worker(self, session: Session) -> CheckChunk:
        """See `ChunkPlan`."""
        return ChunkRollback(self, session).roll_back


class ChunkRollback:
    """Takes chunks of one load back through one session. One that is closed is only told of again."""

    def __init__(self, plan: RollbackPlan, session: Session) -> None:
        self._plan = plan
        self._session = session
        self._load = load = plan.load_plan
        self._committed = CommittedChunks(load.load, session)
        self._to_row = compile_table(load.table, migration_time=load.load.migration_microseconds, unmapped=load.load.unmapped)

    def roll_back(self, chunk: Chunk) -> RecordBatch:
        """What there is to tell of its rows that are kept."""
        committed = self._committed.find(chunk)
        if committed is None:
            return self._batch(chunk, ())
        converted = convert_chunk(chunk, self._to_row)
        rows = converted.without(refused_before(chunk, converted, committed)).loaded_rows
        key = ChunkKey(self._load.load.load_id, chunk.split.data_file.name, chunk.first_item)
        if self._plan.is_dry:
            return self._batch(chunk, self._session.transact(lambda cursor: self._look_in(cursor, key, len(chunk.lines), rows)))
        for way in WAYS_TO_DELETE:
            try:
                return self._batch(chunk, self._session.transact(lambda cursor, way=way: self._roll_back_in(cursor, way, key, rows)))  # type: ignore[misc]
            except RowsRefused as refused:
                sqlstate = refused.sqlstate
        message = f"{chunk.split.data_file.name}: PostgreSQL refused to delete rows, though one by one (SQLSTATE {sqlstate})"
        raise Stopped(message)

    def _roll_back_in(self, cursor: Cursor, way: DeleteRows, key: ChunkKey, rows: Rows) -> Sequence[Mismatch]:
        """The transaction: lock the ledger's row, delete, and close it."""
        before = lock_chunk(cursor, key)
        again = {one.item_number for one in before.discrepancies if one.kind in TRIED_AGAIN} if before else set()
        if before and (not again or before.pass_number >= self._plan.pass_number or is_rolled_back(cursor, key.load_id)):
            return before.discrepancies
        if before:
            rows = rows.only(again)
        load = self._load
        stage_rows(cursor, load.table, rows)
        # Closing the chunk wrote its row again: then it no longer tells who wrote the rows.
        further = find_further_columns(cursor, load.target, load.table, None if before else writer_of_chunk(cursor, key))
        done = way(cursor, load.target, load.table, rows.item_numbers, self._plan.references, further)
        before = before or RolledBackChunk(0, 0, ())
        kept = [one for one in before.discrepancies if one.item_number not in again] + list(done.kept)
        kept.sort(key=lambda one: one.item_number)
        after = RolledBackChunk(before.deleted + done.deleted, before.gone + done.gone, tuple(kept), self._plan.pass_number)
        close_chunk(cursor, key, after)
        return after.discrepancies

    def _look_in(self, cursor: Cursor, key: ChunkKey, items: int, rows: Rows) -> Sequence[Mismatch]:
        """What a rollback would come upon; changes nothing."""
        before = closed_chunk(cursor, key)
        if before:
            return before.discrepancies
        load = self._load
        further = find_further_columns(cursor, load.target, load.table, writer_of_chunk(cursor, key))
        found = compare_rows(cursor, load.target, load.table, rows, self._plan.seed, further)
        mismatches = [Mismatch(number, MismatchKind.MISSING) for number in sorted(found.missing)]
        mismatches += [Mismatch(number, MismatchKind.DIFFERENT, columns) for number, columns in found.different.items()]
        told = note_compared(cursor, self._plan.comparing, key, ComparedChunk(items, mismatches, found.found_keys))
        return [one for one in told if one.kind is not MismatchKind.MISSING]

    def _batch(self, chunk: Chunk, mismatches: Sequence[Mismatch]) -> RecordBatch:
        return mismatch_batch(self._load.origin, chunk, self._load.table.key, mismatches)
