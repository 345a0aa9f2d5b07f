"""The visit that takes back: a chunk's rows deleted, as far as nobody changed them, and its ledger row closed, in one transaction.

Replayed dead letters are taken back apart from their chunks, by their hashes, because their rows cannot be made from the export.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.job.chunk import KnownChunk
from pipeline.job.compare import changed_columns, mismatches_of, with_columns
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import Records, try_ways
from pipeline.ledger.comparisons import ComparedChunk, Comparing, note_compared
from pipeline.ledger.replays import (
    changed_child_items,
    items_to_take_back,
    note_taken_back,
    stage_replayed,
    stage_replayed_children,
)
from pipeline.ledger.rollbacks import DELETED, GONE, RolledBackChunk, close_chunk, closed_chunk, is_rolled_back, lock_chunk, writer_of_chunk
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.source.chunks import ItemAddress
from pipeline.target.compare import TRIED_AGAIN, Mismatch, MismatchKind, compare_rows
from pipeline.target.delete import WAYS_TO_DELETE, DeleteRows, Deletion, Owned, delete_items, delete_staged_items, stage_rows
from pipeline.target.rows import Rows, drop_staged
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Reference, find_further_columns
from pipeline.target.write import families


@dataclass(frozen=True, slots=True)
class TakeBackChunks:
    """The plan of a rollback's visits, in one of its passes."""

    load_plan: LoadPlan
    pass_number: int
    """A later pass tries again what an earlier one could not delete; of the rest it only makes the records again."""
    references: tuple[Reference, ...]
    """Foreign keys that deleting would act upon."""
    is_dry: bool
    child_references: tuple[tuple[Reference, ...], ...] = ()
    """The same of the targets of child rows."""
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
        # Closing the chunk wrote its ledger row again, so its `xmin` no longer shows which transaction wrote the rows.
        writer = None if before else writer_of_chunk(cursor, key)
        if load.table.children:
            deletion = self._take_back_items(cursor, rows, writer)
        else:
            stage_rows(cursor, load.table, rows)
            further = find_further_columns(cursor, load.target, load.table, writer)
            deletion = way(cursor, load.target, load.table, rows.item_numbers, self._plan.references, further)
        before = before or RolledBackChunk(0, 0, ())
        kept = [mismatch for mismatch in before.discrepancies if mismatch.item_number not in again] + list(deletion.kept)
        kept.sort(key=lambda mismatch: mismatch.item_number)
        after = RolledBackChunk(before.deleted + deletion.deleted, before.gone + deletion.gone, tuple(kept), self._plan.pass_number)
        close_chunk(cursor, key, after)
        return after.discrepancies

    def _take_back_items(self, cursor: Cursor, rows: Rows, writer: str | None) -> Deletion:
        """Delete items with their child rows, but those of which a row was changed: they are kept whole."""
        load = self._load
        different = self._different(cursor, rows, writer)
        drop_staged(cursor)
        rows = rows.without(mismatch.item_number for mismatch in different)
        parent = Owned(load.target, load.table, self._plan.references, find_further_columns(cursor, load.target, load.table, writer))
        children = [
            (Owned(target, table, references, find_further_columns(cursor, target, table, writer)), of_child)
            for (target, table, of_child), references in zip(
                families(load.target, load.table, rows), self._plan.child_references, strict=True
            )
        ]
        deletion = delete_items(cursor, parent, children, rows)
        return replace(deletion, kept=(*different, *deletion.kept))

    def _different(self, cursor: Cursor, rows: Rows, writer: str | None) -> list[Mismatch]:
        """The items of which a row, their own or a child's, was changed."""
        load = self._load
        further = find_further_columns(cursor, load.target, load.table, writer)
        comparison = compare_rows(cursor, load.target, load.table, rows, self._plan.seed, further)
        mismatches = [Mismatch(number, MismatchKind.DIFFERENT, columns) for number, columns in comparison.different.items()]
        for target, table, of_child in families(load.target, load.table, rows):
            drop_staged(cursor)
            further = find_further_columns(cursor, target, table, writer)
            of_rows = compare_rows(cursor, target, table, of_child.numbered, self._plan.seed, further)
            mismatches = with_columns(mismatches, changed_columns(table.target, of_child.owners, of_rows))
        return mismatches

    def _look(self, cursor: Cursor, chunk: KnownChunk) -> Sequence[Mismatch]:
        """What a rollback would find; changes nothing."""
        before = closed_chunk(cursor, chunk.key)
        if before:
            return before.discrepancies
        load = self._load
        further = find_further_columns(cursor, load.target, load.table, writer_of_chunk(cursor, chunk.key))
        comparison = compare_rows(cursor, load.target, load.table, chunk.as_committed.loaded_rows, self._plan.seed, further)
        mismatches = mismatches_of(comparison)
        if load.table.children:
            drop_staged(cursor)
            rows = chunk.as_committed.loaded_rows.without(comparison.missing)
            mismatches = [mismatch for mismatch in mismatches if mismatch.kind is MismatchKind.MISSING]
            mismatches += self._different(cursor, rows, writer_of_chunk(cursor, chunk.key))
        compared = ComparedChunk(len(chunk.lines), mismatches, comparison.found_keys)
        noted = note_compared(cursor, self._plan.comparing, chunk.key, compared)
        return [mismatch for mismatch in noted if mismatch.kind is not MismatchKind.MISSING]

    def records(self, chunk: KnownChunk, way: DeleteRows | None, done: Sequence[Mismatch]) -> Records:  # noqa: ARG002
        return {RecordKind.DISCREPANCIES: mismatch_batch(self._load.origin, chunk.chunk, self._load.table.key, done).records}


def next_folder(folder: OutputFolder, number: int) -> OutputFolder:
    """The folder for the next pass, which writes all records again. In a bucket nothing is deleted, so each pass has its own folder."""
    if folder.is_local:
        shutil.rmtree(str(folder), ignore_errors=True)
        return folder
    return folder / f"pass-{number}"


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
    if load.table.children:
        deletion, changed = _delete_replayed_items(cursor, plan, items)
    else:
        equal, changed = stage_replayed(cursor, load_id, load.target, load.table, items)
        # The hash is of all columns, so it covers those that the definition does not fill, too.
        deletion = way(cursor, load.target, load.table, sorted(equal), plan.references, ())
    outcomes = dict.fromkeys(range(len(items)), GONE)
    outcomes.update(dict.fromkeys(deletion.deleted_items, DELETED))
    outcomes.update(dict.fromkeys(changed, MismatchKind.DIFFERENT.value))
    outcomes.update({mismatch.item_number: mismatch.kind.value for mismatch in deletion.kept})
    note_taken_back(cursor, load_id, {items[number]: outcome for number, outcome in outcomes.items()})


def _delete_replayed_items(cursor: Cursor, plan: TakeBackChunks, items: Sequence[ItemAddress]) -> tuple[Deletion, set[int]]:
    """Delete items with their child rows, each whole or not at all; returns the places of those of which a row was changed, too."""
    load = plan.load_plan
    load_id = load.load.load_id
    _, changed = stage_replayed(cursor, load_id, load.target, load.table, items)
    of_children = changed_child_items(cursor, load_id, load.target)
    changed |= {place for place, item in enumerate(items) if item in of_children}
    drop_staged(cursor)
    stage_replayed(cursor, load_id, load.target, load.table, items, but=changed)
    children = [
        Owned(target, table, references, ())
        for target, table, references in zip(load.target.children, load.table.child_tables, plan.child_references, strict=True)
    ]
    for number, child in enumerate(children):
        stage_replayed_children(cursor, load_id, child.target, child.table, number, items, but=changed)
    places = [place for place in range(len(items)) if place not in changed]
    return delete_staged_items(cursor, Owned(load.target, load.table, plan.references, ()), children, places), changed


def look_at_replayed(cursor: Cursor, plan: LoadPlan) -> ReplayedRows:
    """What is not taken back yet; changes nothing."""
    items = items_to_take_back(cursor, plan.load.load_id)
    if not items:
        return ReplayedRows()
    equal, changed = stage_replayed(cursor, plan.load.load_id, plan.target, plan.table, items)
    of_children = changed_child_items(cursor, plan.load.load_id, plan.target)
    changed |= {place for place in equal if items[place] in of_children}
    equal -= changed
    return ReplayedRows(len(equal), len(items) - len(equal) - len(changed), [items[number] for number in sorted(changed)])
