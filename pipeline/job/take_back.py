"""The visit that takes back: a chunk's rows deleted, as far as nobody changed them, and its ledger row closed, in one transaction.

Replayed dead letters are taken back apart from their chunks, by their hashes, because their rows cannot be made from the export.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.job.chunk import KnownChunk
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import Records, try_ways
from pipeline.ledger.comparisons import ComparedChunk, Comparing, note_compared
from pipeline.ledger.replays import DELETED, GONE, items_to_take_back, note_taken_back, stage_replayed
from pipeline.ledger.rollbacks import RolledBackChunk, close_chunk, closed_chunk, is_rolled_back, lock_chunk, writer_of_chunk
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.source.chunks import ItemAddress
from pipeline.target.compare import compare_rows
from pipeline.target.delete import WAYS_TO_DELETE, DeleteRows, stage_rows
from pipeline.target.mismatch import TRIED_AGAIN, Mismatch, MismatchKind
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Reference, find_further_columns


@dataclass(frozen=True, slots=True)
class TakeBackChunks:
    """The plan of a rollback's visits, in one of its passes."""

    load_plan: LoadPlan
    pass_number: int
    """A later pass tries again what an earlier one could not delete; of the rest it only makes the records again."""
    references: tuple[Reference, ...]
    """Foreign keys that deleting would act upon."""
    is_dry: bool
    seed: int = field(default_factory=lambda: secrets.randbits(62))
    """Salts the hashes of keys that a dry run keeps; of this run alone."""
    kinds: Sequence[RecordKind] = (RecordKind.DISCREPANCIES,)
    refused: str = "PostgreSQL refused to delete rows, though one by one"

    @property
    def comparing(self) -> Comparing:
        """Where a dry run keeps its counts."""
        return Comparing(self.load_plan.load.load_id, self.load_plan.run_id, self.seed)

    def visit(self, session: Session) -> TakeBackVisit:  # noqa: ARG002 - it needs none of its own
        return TakeBackVisit(self)


class TakeBackVisit:
    """Takes chunks back. For a closed chunk only the records are made again."""

    def __init__(self, plan: TakeBackChunks) -> None:
        self._plan = plan
        self._load = plan.load_plan
        self.ways: Sequence[DeleteRows | None] = [None] if plan.is_dry else WAYS_TO_DELETE

    def prepare(self, chunk: KnownChunk) -> Records | None:
        if chunk.committed is None:
            return {}
        _ = chunk.as_committed
        return None

    def work(self, cursor: Cursor, chunk: KnownChunk, way: DeleteRows | None) -> Sequence[Mismatch]:
        """Lock the ledger's row, delete, and close it; without a way only look. Returns the rows that are kept, and why."""
        if way is None:
            return self._look(cursor, chunk)
        key, load, rows = chunk.key, self._load, chunk.as_committed.loaded_rows
        before = lock_chunk(cursor, key)
        again = {mismatch.item_number for mismatch in before.discrepancies if mismatch.kind in TRIED_AGAIN} if before else set()
        if before and (not again or before.pass_number >= self._plan.pass_number or is_rolled_back(cursor, key.load_id)):
            return before.discrepancies
        if before:
            rows = rows.only(again)
        stage_rows(cursor, load.table, rows)
        # Closing the chunk wrote its ledger row again, so its `xmin` no longer shows which transaction wrote the rows.
        further = find_further_columns(cursor, load.target, load.table, None if before else writer_of_chunk(cursor, key))
        deletion = way(cursor, load.target, load.table, rows.item_numbers, self._plan.references, further)
        before = before or RolledBackChunk(0, 0, ())
        kept = [mismatch for mismatch in before.discrepancies if mismatch.item_number not in again] + list(deletion.kept)
        kept.sort(key=lambda mismatch: mismatch.item_number)
        after = RolledBackChunk(before.deleted + deletion.deleted, before.gone + deletion.gone, tuple(kept), self._plan.pass_number)
        close_chunk(cursor, key, after)
        return after.discrepancies

    def _look(self, cursor: Cursor, chunk: KnownChunk) -> Sequence[Mismatch]:
        """What a rollback would find; changes nothing."""
        before = closed_chunk(cursor, chunk.key)
        if before:
            return before.discrepancies
        load = self._load
        further = find_further_columns(cursor, load.target, load.table, writer_of_chunk(cursor, chunk.key))
        comparison = compare_rows(cursor, load.target, load.table, chunk.as_committed.loaded_rows, self._plan.seed, further)
        mismatches = [Mismatch(number, MismatchKind.MISSING) for number in sorted(comparison.missing)]
        mismatches += [Mismatch(number, MismatchKind.DIFFERENT, columns) for number, columns in comparison.different.items()]
        compared = ComparedChunk(len(chunk.lines), mismatches, comparison.found_keys)
        noted = note_compared(cursor, self._plan.comparing, chunk.key, compared)
        return [mismatch for mismatch in noted if mismatch.kind is not MismatchKind.MISSING]

    def records(self, chunk: KnownChunk, way: DeleteRows | None, done: Sequence[Mismatch]) -> Records:  # noqa: ARG002
        return {RecordKind.DISCREPANCIES: mismatch_batch(self._load.origin, chunk.chunk, self._load.table.key, done).records}


# -- replayed dead letters -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplayedRows:
    """What a rollback would find: rows that it would delete, rows that are gone, and rows that were changed."""

    deletable: int = 0
    gone: int = 0
    changed: Sequence[ItemAddress] = ()


def take_back_replayed(session: Session, plan: TakeBackChunks) -> None:
    """Delete the rows that are as they were written, in one transaction with their entries in the ledger. Raises `Stopped`."""
    refused = f"{plan.load_plan.table.target}: PostgreSQL refused to delete replayed rows, though one by one"
    try_ways(session, WAYS_TO_DELETE, lambda cursor, way: _take_back_replayed(cursor, plan, way), refused)


def _take_back_replayed(cursor: Cursor, plan: TakeBackChunks, way: DeleteRows) -> None:
    load = plan.load_plan
    load_id = load.load.load_id
    items = items_to_take_back(cursor, load_id)
    if not items:
        return
    # All of them at once, looked for in the whole table.
    cursor.execute("SET LOCAL statement_timeout = 0")
    equal, changed = stage_replayed(cursor, load_id, load.target, load.table, items)
    # The hash is of all columns, so it covers those that the definition does not fill, too.
    deletion = way(cursor, load.target, load.table, sorted(equal), plan.references, ())
    outcomes = dict.fromkeys(range(len(items)), GONE)
    outcomes.update(dict.fromkeys(deletion.deleted_items, DELETED))
    outcomes.update(dict.fromkeys(changed, MismatchKind.DIFFERENT.value))
    outcomes.update({mismatch.item_number: mismatch.kind.value for mismatch in deletion.kept})
    note_taken_back(cursor, load_id, {items[number]: outcome for number, outcome in outcomes.items()})


def look_at_replayed(cursor: Cursor, plan: LoadPlan) -> ReplayedRows:
    """What is not taken back yet; changes nothing."""
    items = items_to_take_back(cursor, plan.load.load_id)
    if not items:
        return ReplayedRows()
    equal, changed = stage_replayed(cursor, plan.load.load_id, plan.target, plan.table, items)
    return ReplayedRows(len(equal), len(items) - len(equal) - len(changed), [items[number] for number in sorted(changed)])
