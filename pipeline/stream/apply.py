"""A transaction of a stream: the rows of its records, what became of them, and how far each shard is: all of it, or nothing.

The conversion, the rules for rows of somebody else and the statements are those of a window's chunks (`windows/apply.py`).

Of records around the end of the chain nobody knows which of them the target has already. So the row that is there is looked at: it is the
item as it was before the first of its records, or after any of them. What is applied is the step from there to the last one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.visit import Records, record_folders, try_ways
from pipeline.ledger.changes import count_fates
from pipeline.ledger.loads import note_writer
from pipeline.ledger.rollbacks import hold_chain
from pipeline.ledger.streams import AsideState, ShardState, StreamCounts, StreamState, StreamStep, lock_stream, note_asides, note_step
from pipeline.ledger.windows import cut_over_at
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, form_of
from pipeline.records.kinds import RecordFormat
from pipeline.stream.changes import ChangedItems, ItemChange
from pipeline.target.apply import WAYS_TO_APPLY, ApplyChanges, apply_exchanging, may_exchange
from pipeline.target.fates import Fates, find_rows
from pipeline.target.rows import Rows
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.windows.apply import Applied, ApplyChunks, ChangesOfChunks, applied_of, letters_of
from pipeline.windows.changes import ChangedLines
from transforms.lines import View
from transforms.rejects import ErrorCode

_ENDING: Final = "@stream"
_CANNOT_TELL: Final = (
    "{table}: two items with different keys in DynamoDB share one in the target, so keys alone do not tell whose row it is, and a stream "
    "of the view NEW_IMAGE tells no more; begin anew with a full export, and a stream of the view NEW_AND_OLD_IMAGES"
)
_CUT_OVER_MEANWHILE: Final = (
    "{table}: was cut over meanwhile, and since then its rows are the application's; nothing more was written. The same command lists what "
    "still comes from DynamoDB, without --conflicts=overwrite"
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction applies and notes."""

    changes: Sequence[ItemChange]
    read: int = 0
    skipped: int = 0
    compacted: int = 0
    shards: Sequence[ShardState] = ()
    retried: Collection[int] = ()
    """The numbers of changes that were set aside before."""
    dropped: Collection[int] = ()
    """The numbers of what was set aside, and needs nothing any more."""
    last: Collection[int] = ()
    """The numbers of changes that are dead letters where they are refused again."""
    is_settled: bool = False
    """Whether it holds all that is around the end of the chain."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction did."""

    state: StreamState
    set_aside: Collection[int]
    counts: StreamCounts


class StreamApplier:
    """Applies batches of one stream through one session. It holds the state of the stream as it last saw it."""

    def __init__(
        self, changes: ApplyChunks, state: StreamState, session: Session, run_folder: OutputFolder, record_format: RecordFormat
    ) -> None:
        self.state = state
        self._changes = changes
        self._session = session
        self._of = ChangesOfChunks(changes, session)
        self._files = {
            kind: RecordFiles(folder, form_of(kind, record_format)) for kind, folder in record_folders(run_folder, changes).items()
        }
        self._tell_items_apart()

    def apply(self, batch: Batch, ways: Sequence[ApplyChanges] = WAYS_TO_APPLY) -> Committed:
        """Commit a batch. Raises `Moved`, `Stopped`."""
        work = self._prepared(batch)
        _, committed = try_ways(self._session, ways, work, f"{self._of.plan.table.target}: {self._changes.refused}")
        return self._take(committed)

    def exchange(self, batch: Batch) -> Committed | None:
        """Commit records that wait for each other in a circle; None where nothing could be written. Raises `Moved`, `Stopped`."""
        if not self._session.transact(lambda cursor: may_exchange(cursor, self._of.applying)):
            return None
        work = self._prepared(batch)
        try:
            return self._take(self._session.transact(lambda cursor: work(cursor, apply_exchanging)))
        except RowsRefused:
            return None

    def _prepared(self, batch: Batch) -> Callable[[Cursor, ApplyChanges], Committed]:
        """The transaction, which may be run again: a commit may have succeeded although its answer was lost."""
        items = ChangedItems(batch.changes, self._old_images(batch.changes))
        lines = self._of.convert(items, items.numbers)
        writer = f"{self._changes.load_plan.run_id}-{secrets.token_hex(4)}"
        done: list[Committed] = []

        def work(cursor: Cursor, way: ApplyChanges) -> Committed:
            hold_chain(cursor, self.state.chain)
            if lock_stream(cursor, self.state, writer):
                self._stop_if_cut_over(cursor)
                done.append(self._work(cursor, batch, items, lines, way, writer))
            return done[-1]

        return work

    def _stop_if_cut_over(self, cursor: Cursor) -> None:
        if not self._changes.is_cut_over and cut_over_at(cursor, self.state.chain) is not None:
            raise Stopped(_CUT_OVER_MEANWHILE.format(table=self._of.plan.table.target))

    def _take(self, committed: Committed) -> Committed:
        self.state = committed.state
        self._tell_items_apart()
        return committed

    def _work(self, cursor: Cursor, batch: Batch, items: ChangedItems, lines: ChangedLines, way: ApplyChanges, writer: str) -> Committed:
        applied, counts = Applied((), ()), StreamCounts()
        if batch.changes:
            note_writer(cursor, self._of.load)
            fates = self._of.apply(cursor, items, lines.changes, way)
            applied = _with_last(applied_of(fates), batch.last)
            letters = letters_of(items.numbers, lines, fates, applied)
            counts = StreamCounts(**asdict(count_fates("".join(letters.values()), len(fates.overwritten))))
            self._note(cursor, batch, items, lines, fates, applied)
        # Also where nothing else is applied: what came and went while it was set aside.
        note_asides(cursor, self.state.chain, (), batch.dropped)
        counts = replace(
            counts,
            skipped=batch.skipped,
            compacted=batch.compacted,
            set_aside=counts.set_aside - len(batch.retried) - len(batch.dropped),
        )
        step = StreamStep(
            batch.read,
            counts,
            lines.counts(applied.dead).dead_letter_codes,
            lines.counts(applied.refused).notice_codes,
            batch.shards,
            batch.is_settled,
        )
        return Committed(note_step(cursor, self.state, writer, step), set(applied.set_aside), counts)

    def _note(self, cursor: Cursor, batch: Batch, items: ChangedItems, lines: ChangedLines, fates: Fates, applied: Applied) -> None:
        of, aside = self._of, set(applied.set_aside)
        of.note_dead(cursor, items, lines.changes, fates, lines.refusals, aside)
        new = [_aside(items.change(number), of.hash_of(cursor, items, number)) for number in sorted(aside - set(batch.retried))]
        note_asides(cursor, self.state.chain, new, set(batch.retried) - aside)
        # Before the commit: what is dead is in a file, or it is not dead. After a lost connection it may be in two.
        self._write(of.records(items, lines, applied.dead, lines.notices.keys() - aside))

    def _write(self, records: Records) -> None:
        name = f"{self.state.version + 1:012d}{_ENDING}"
        for kind, of_kind in records.items():
            self._files[kind].write(RecordBatch(name, tuple(of_kind), is_last=True))

    def _tell_items_apart(self) -> None:
        """Once two items had one key in the target, only old images tell whose row it is."""
        if self._of.applying.by_old_images or ErrorCode.PRIMARY_KEY_CONFLICT.value not in self.state.dead_letter_codes:
            return
        if self.state.view is View.NEW_IMAGE:
            raise Stopped(_CANNOT_TELL.format(table=self._of.plan.table.target))
        self._changes = replace(self._changes, is_strict=True)
        self._of = ChangesOfChunks(self._changes, self._session)

    # -- around the end of the chain -------------------------------------------------------------------------------------------------------

    def _old_images(self, changes: Iterable[ItemChange]) -> dict[int, bytes | None]:
        """By number the item as it is in the target, as far as it matters."""
        old = {change.number: change.states[0] for change in changes}
        around = [change for change in changes if change.is_around]
        if not around or self.state.view is View.NEW_IMAGE:
            return old
        there = self._states_there(around)
        for change in around:
            was_there = [state for state in change.states[:-1] if state is not None]
            if change.number in there:
                old[change.number] = there[change.number]
            elif not self._of.applying.by_old_images:
                old[change.number] = was_there[-1] if was_there else change.new
            elif change.new is None or None not in change.states:
                old[change.number] = was_there[0]
            else:
                old[change.number] = None
        return old

    def _states_there(self, changes: Sequence[ItemChange]) -> Mapping[int, bytes]:
        """By number the last state of each item whose row is there; where the key tells which row, the last one that is a row."""
        places = [(change, state) for change in changes for state in change.states if state is not None]
        old = self._of.convert(_States(places), range(len(places))).changes.old
        found: Iterable[int] = old.item_numbers
        if self._of.applying.by_old_images:
            # A row that is there though no old image says so is another item's. So it is not enough that the key is there.
            found = self._session.transact(lambda cursor: find_rows(cursor, self._of.applying, Rows([], []), old))
        return {places[place][0].number: places[place][1] for place in sorted(found)}


class _States:
    """Lines in which items are as they were at some time."""

    def __init__(self, places: Sequence[tuple[ItemChange, bytes]]) -> None:
        self._places = places

    def line(self, number: int) -> bytes:
        change, state = self._places[number]
        return replace(change, states=[state]).line(state)


def _with_last(applied: Applied, last: Collection[int]) -> Applied:
    return Applied(applied.refused, sorted(set(applied.set_aside) - set(last)))


def _aside(change: ItemChange, item_hash: int | None) -> AsideState:
    if item_hash is None:
        message = "a record that PostgreSQL refused names no key"
        raise ValueError(message)
    return AsideState(change.number, change.shard_id, change.sequence, item_hash)
