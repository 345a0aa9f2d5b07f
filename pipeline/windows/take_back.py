"""The visit that takes a window back: what the records of a chunk did to the target, done the other way round, in one transaction.

The ledger has what each record did (`Fate`), and the images have the rows. A record that

    inserted a row          deletes it
    updated a row           puts the old image's row back, with its child rows
    moved a row             deletes it, and inserts the old image's row
    deleted a row           inserts the old image's row
    did nothing             does nothing

but only where the row is as the record's new image makes it: a row that somebody has changed since is left as it is, and listed. So is a
row of which no image has what was there before. The lines are applied with their images swapped, as another window would be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.chunk import KnownChunk, stop_if_otherwise
from pipeline.job.compare import mismatches_of, unequal_columns, with_columns
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import Records
from pipeline.ledger.changes import Fate, applied_chunk
from pipeline.ledger.loads import note_writer
from pipeline.ledger.rollbacks import is_rolled_back, lock_chunk
from pipeline.ledger.window_rollbacks import Reversal, ReversalCounts, close_applied_chunk
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.target.apply import WAYS_TO_APPLY, ApplyChanges
from pipeline.target.compare import TRIED_AGAIN, Comparison, Mismatch, MismatchKind, compare_staged_rows
from pipeline.target.delete import lock_staged_rows, stage_rows
from pipeline.target.fates import ChangedRows, Conflicts, Fates, Outdated, look_again
from pipeline.target.rows import RefusedRow, Rows, drop_staged
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target
from pipeline.target.write import families
from pipeline.windows.apply import ApplyChunks, ChangesOfChunks, Lines
from transforms.lines import reverse_change_line
from transforms.rejects import ErrorCode
from transforms.table import Table

_NO_SEED: Final = 0
_HOW: Final = {
    Fate.INSERTED: Reversal.REMOVED,
    Fate.UPDATED: Reversal.PUT_BACK,
    Fate.MOVED: Reversal.PUT_BACK,
    Fate.DELETED: Reversal.INSERTED_AGAIN,
}
"""Any other record did nothing."""
_MADE: Final = (Fate.INSERTED, Fate.UPDATED, Fate.MOVED)
"""Of these the row of the new image is there."""
_RESTORED: Final = (Fate.UPDATED, Fate.MOVED, Fate.DELETED)
"""Of these the row of the old image is to be there again."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of records: each was taken back in some way, or is kept."""

    reversals: Mapping[int, Reversal]
    kept: Sequence[Mismatch]


@dataclass(frozen=True, slots=True)
class _Reversed:
    """The records that did something, by item number."""

    fates: Mapping[int, Fate]
    made: Rows
    """The rows that they wrote, with their child rows."""
    before: Rows
    """The rows that were there before them, with their child rows."""

    def of(self, *fates: Fate) -> set[int]:
        return {number for number, fate in self.fates.items() if fate in fates}

    def without(self, numbers: Collection[int]) -> _Reversed:
        left = {number: fate for number, fate in self.fates.items() if number not in numbers}
        return _Reversed(left, self.made.only(left), self.before.only(left))


class _Backwards:
    """Lines with their images swapped."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def line(self, number: int) -> bytes:
        return reverse_change_line(self._lines.line(number))


class Reverser:
    """Takes records of one window back, or looks what that would do."""

    def __init__(self, plan: ApplyChunks, session: Session) -> None:
        self.of = ChangesOfChunks(plan, session)
        # A row is taken back only if it is as the record has made it: which is what old images say of a window that goes forwards.
        self.applying = replace(self.of.applying, by_old_images=True, conflicts=Conflicts.KEEP)

    def take_back(self, cursor: Cursor, lines: Lines, fates: Mapping[int, str], way: ApplyChanges) -> TakenBack:
        """Of the records with these fates, by item number. Raises `RowsRefused`, `Stopped`."""
        kept, to_do, idle = self._read(cursor, lines, fates, is_locking=True)
        removed = to_do.made.only(to_do.of(Fate.INSERTED, Fate.MOVED))
        changes = ChangedRows(
            new=to_do.before,
            gone=Rows.of(self.of.keys_of(removed)),
            old=to_do.made,
        )
        done = way(cursor, self.applying, changes, Outdated())
        kept += [_refused(row) for row in done.refused.values()]
        kept += [Mismatch(number, MismatchKind.DIFFERENT) for number in done.conflicts]
        left = {mismatch.item_number for mismatch in kept}
        reversals = {number: _HOW[fate] for number, fate in to_do.fates.items() if number not in left}
        _stop_if_not_done(reversals.keys(), done)
        return TakenBack({**reversals, **dict.fromkeys(idle, Reversal.IDLE)}, sorted(kept, key=lambda one: one.item_number))

    def look(self, cursor: Cursor, lines: Lines, fates: Mapping[int, str]) -> TakenBack:
        """What would become of them; changes nothing, and sees nothing of what only PostgreSQL would refuse."""
        kept, to_do, idle = self._read(cursor, lines, fates, is_locking=False)
        again = replace(to_do.before.only(to_do.of(Fate.DELETED)), children=())
        table, target = self.applying.table, self.applying.target
        drop_staged(cursor)
        seen = look_again(cursor, target, table, again, self.applying.chain, _NO_SEED)
        # One of ours with the same key is of an item that takes it within the window, so it goes first.
        taken = {number for number, row in seen.items() if row.is_theirs}
        kept += [Mismatch(number, MismatchKind.DIFFERENT) for number in taken]
        reversals = {number: _HOW[fate] for number, fate in to_do.fates.items() if number not in taken}
        return TakenBack({**reversals, **dict.fromkeys(idle, Reversal.IDLE)}, sorted(kept, key=lambda one: one.item_number))

    def _read(
        self, cursor: Cursor, lines: Lines, fates: Mapping[int, str], *, is_locking: bool
    ) -> tuple[list[Mismatch], _Reversed, set[int]]:
        """Those that are kept whatever PostgreSQL says, those to be taken back, and those of which there is nothing to take back."""
        writing = {number: Fate(letter.lower()) for number, letter in fates.items() if Fate(letter.lower()) in _HOW}
        made = self.of.convert(lines, writing).changes.new
        before = self.of.convert(_Backwards(lines), writing).changes.new
        records = _Reversed(writing, made.only(_with(writing, _MADE)), before.only(_with(writing, _RESTORED)))
        unknown = {number for number in writing if fates[number].isupper()}
        unknown |= records.of(*_RESTORED) - set(before.item_numbers)
        known = records.without(unknown)
        unlike = self._unlike(cursor, known.made, is_locking=is_locking)
        # Of a row that the window inserted, and that somebody has deleted, nothing is left to take back.
        gone = {one.item_number for one in unlike if one.kind is MismatchKind.MISSING} & known.of(Fate.INSERTED)
        kept = [Mismatch(number, MismatchKind.NOT_KNOWN) for number in unknown]
        kept += [mismatch for mismatch in unlike if mismatch.item_number not in gone]
        to_do = known.without({mismatch.item_number for mismatch in kept} | gone)
        return kept, to_do, (fates.keys() - writing.keys()) | gone

    def _unlike(self, cursor: Cursor, made: Rows, *, is_locking: bool) -> list[Mismatch]:
        """The items whose row, or a child row, is not as the window made it any more; the rows of the others are locked."""
        table, target = self.applying.table, self.applying.target
        mismatches = mismatches_of(_compare(cursor, target, table, made, is_locking=is_locking))
        with_child: dict[int, str] = {}
        for child_target, child_table, of_child in families(target, table, made):
            of_rows = _compare(cursor, child_target, child_table, of_child.numbered, is_locking=is_locking)
            mismatches = with_columns(mismatches, unequal_columns(child_table.target, of_child.owners, of_rows))
            there = (owner for number, owner in enumerate(of_child.owners) if number not in of_rows.missing)
            with_child |= dict.fromkeys(there, child_table.target)
        # An item whose row is gone, and a child row is there: somebody has changed it, and not deleted it.
        return [
            Mismatch(one.item_number, MismatchKind.DIFFERENT, (with_child[one.item_number],))
            if one.kind is MismatchKind.MISSING and one.item_number in with_child
            else one
            for one in mismatches
        ]


def _compare(cursor: Cursor, target: Target, table: Table, rows: Rows, *, is_locking: bool) -> Comparison:
    """The same as `compare_rows`, of rows that nobody can change before the transaction ends."""
    drop_staged(cursor)
    stage_rows(cursor, table, rows)
    if is_locking:
        lock_staged_rows(cursor, target)
    return compare_staged_rows(cursor, target, table, _NO_SEED)


def _with(fates: Mapping[int, Fate], wanted: Collection[Fate]) -> set[int]:
    return {number for number, fate in fates.items() if fate in wanted}


def _refused(row: RefusedRow) -> Mismatch:
    """Rows of others would go or change with it, or PostgreSQL refused it."""
    is_referenced = row.code is ErrorCode.FOREIGN_KEY_VIOLATION and row.constraint is None
    return Mismatch(row.item_number, MismatchKind.REFERENCED if is_referenced else MismatchKind.REFUSED, refused=row)


def _stop_if_not_done(numbers: Iterable[int], done: Fates) -> None:
    """The rows were locked, so each must have been written or deleted."""
    left = set(numbers) - done.inserted - done.updated - done.unchanged - done.deleted
    if left:
        message = f"{len(left):,} records of a chunk were not taken back, though their rows are as the window made them; nothing of it was"
        raise Stopped(message)


# -- the visit -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TakeBackChanges:
    """The plan of the visits that take a window back, in one of its passes."""

    changes: ApplyChunks
    pass_number: int
    """A later pass tries again what PostgreSQL refused; of the rest it only makes the records again."""
    kinds: Sequence[RecordKind] = (RecordKind.DISCREPANCIES,)
    refused: str = "PostgreSQL refused to take changes back, though one by one"

    @property
    def load_plan(self) -> LoadPlan:
        return self.changes.load_plan

    def visit(self, session: Session) -> TakeBackVisit:
        return TakeBackVisit(self, session)


class TakeBackVisit:
    """Takes chunks of a window back. For a closed chunk only the records are made again."""

    def __init__(self, plan: TakeBackChanges, session: Session) -> None:
        self._plan = plan
        self._reverser = Reverser(plan.changes, session)
        self.ways: Sequence[ApplyChanges] = WAYS_TO_APPLY

    def prepare(self, chunk: KnownChunk) -> Records | None:
        if chunk.committed is None:
            return {}
        stop_if_changed(self._reverser.of, chunk)
        return None

    def work(self, cursor: Cursor, chunk: KnownChunk, way: ApplyChanges) -> Sequence[Mismatch]:
        """The ledger's rows, then the target's; returns the records that are not taken back, and why."""
        before = lock_chunk(cursor, chunk.key)
        again = to_try_again(before.discrepancies) if before else set()
        if before and (not again or before.pass_number >= self._plan.pass_number or is_rolled_back(cursor, chunk.key.load_id)):
            return before.discrepancies
        note_writer(cursor, self._reverser.of.load)
        fates = fates_of(cursor, chunk)
        taken = self._reverser.take_back(cursor, chunk, {number: fates[number] for number in again} if before else fates, way)
        return close(cursor, chunk, taken, before.discrepancies if before else (), self._plan.pass_number)

    def records(self, chunk: KnownChunk, way: ApplyChanges, done: Sequence[Mismatch]) -> Records:  # noqa: ARG002
        plan = self._plan.load_plan
        return {RecordKind.DISCREPANCIES: mismatch_batch(plan.origin, chunk.chunk, plan.table.key, done).records}


def stop_if_changed(of: ChangesOfChunks, chunk: KnownChunk) -> None:
    """Raise `Stopped` if a chunk that is committed has other counts now than it had then."""
    if chunk.committed is not None:
        stop_if_otherwise(chunk.key, of.converted(chunk).counts(chunk.committed.refused), chunk.committed)


def fates_of(cursor: Cursor, chunk: KnownChunk) -> dict[int, str]:
    """What became of the records of a committed chunk, as letters of `Fate`; locked to the end of this transaction."""
    return dict(zip(chunk.item_numbers, applied_chunk(cursor, chunk.key).fates, strict=True))


def to_try_again(kept: Iterable[Mismatch]) -> set[int]:
    return {mismatch.item_number for mismatch in kept if mismatch.kind in TRIED_AGAIN}


def close(cursor: Cursor, chunk: KnownChunk, taken: TakenBack, before: Iterable[Mismatch], pass_number: int) -> list[Mismatch]:
    """Note what was taken back, beside what is kept of before; returns all that is kept."""
    tried = {*taken.reversals, *(mismatch.item_number for mismatch in taken.kept)}
    kept = [*(mismatch for mismatch in before if mismatch.item_number not in tried), *taken.kept]
    kept.sort(key=lambda mismatch: mismatch.item_number)
    close_applied_chunk(cursor, chunk.key, ReversalCounts.of(taken.reversals.values()), kept, pass_number)
    return kept
