"""The rollback of the last window of one or several tables: passes over their chunks, until a pass takes nothing more back.

A pass may free what the next one needs: a unique value, a row that nothing refers to any more. Values that go around among rows are
exchanged, when a pass has taken nothing back. When nothing more can be done, the window is closed: what is left is listed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from rich.console import Console

from pipeline.errors import Stopped
from pipeline.job.chunk import KnownChunk, KnownChunks
from pipeline.job.plan import BegunLoad, LoadPlan, read_splits
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import VisitedLoad
from pipeline.ledger.changes import count_outdated
from pipeline.ledger.chunks import Totals, refused_files
from pipeline.ledger.loads import note_writer
from pipeline.ledger.rollbacks import closed_chunk, discrepancy_counts, files_to_roll_back, lock_chunk
from pipeline.ledger.window_rollbacks import (
    ReversalCounts,
    WindowRollbackTotals,
    finish_window_rollback,
    window_rollback_totals,
)
from pipeline.ledger.windows import chain_of
from pipeline.options import RollbackOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordFiles, count_records
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.rollback.roll_back import rollback_outcome
from pipeline.rollback.take_back import next_folder
from pipeline.source.chunks import plan_splits
from pipeline.source.data_file import DataFileRefused
from pipeline.source.windows import shown_time
from pipeline.target.apply import apply_exchanging, may_exchange
from pipeline.target.compare import TRIED_AGAIN
from pipeline.target.fates import Conflicts
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.target.target import count_rows
from pipeline.windows.apply import ApplyChunks
from pipeline.windows.exchange import MOST_LINES, LinesOfChunks
from pipeline.windows.prove import OUTDATED
from pipeline.windows.run import changes_of
from pipeline.windows.take_back import Reverser, TakeBackChanges, TakenBack, close, fates_of, stop_if_changed, to_try_again

_PARTS: Final = {
    "put_back": ("put back", "would be put back"),
    "removed": ("deleted", "would be deleted"),
    "inserted_again": ("inserted again", "would be inserted again"),
}


@dataclass(frozen=True, slots=True)
class _Window:
    """A window that is taken back, as far as it is the same in each pass."""

    load: BegunLoad
    changes: ApplyChunks
    folder: OutputFolder

    @property
    def plan(self) -> LoadPlan:
        return self.load.plan

    @property
    def load_id(self) -> int:
        return self.plan.load.load_id

    @property
    def is_closed(self) -> bool:
        """Whether it was rolled back before, to its end."""
        return self.plan.load.rolled_back_at is not None


def roll_back_windows(
    loads: Sequence[BegunLoad], options: RollbackOptions, run_folder: OutputFolder, console: Console
) -> Iterator[Outcome]:
    """Take windows back of which each is the last of its chain and its rollback is begun; without --yes only look. Raises `Stopped`."""
    windows = [_window(load, options, run_folder) for load in loads]
    started = time.monotonic()
    with Session(options.database) as session:
        before = {one.load_id: session.transact(partial(window_rollback_totals, load_id=one.load_id)) for one in windows}
    if options.yes:
        to_do = [window for window in windows if not window.is_closed]
        done = [*_run_passes(to_do, options, console), *(window for window in windows if window.is_closed)]
        windows = [next(one for one in done if one.load_id == window.load_id) for window in windows]
    for window in windows:
        if not options.yes and not window.is_closed:
            yield _look(window, before[window.load_id], started)
            continue
        if window.is_closed:
            _run_pass(window, options, console, 0)
        with Session(options.database) as session:
            yield session.transact(partial(_conclude, window=window, before=before[window.load_id], started=started))


def _window(load: BegunLoad, options: RollbackOptions, run_folder: OutputFolder) -> _Window:
    with Session(options.database) as session:
        changes = session.transact(partial(changes_of, plan=load.plan, conflicts=Conflicts.KEEP))
    return _Window(load, changes, run_folder / RecordKind.DISCREPANCIES / load.plan.folder)


# -- passes --------------------------------------------------------------------------------------------------------------------------------


def _run_passes(windows: Sequence[_Window], options: RollbackOptions, console: Console) -> Sequence[_Window]:
    """All of them, as often as it helps; rows of one table may wait for those of another. Returns them with the last pass's folders."""
    if not windows:
        return windows
    with Session(options.database) as session:

        def totals() -> list[WindowRollbackTotals]:
            return [session.transact(partial(window_rollback_totals, load_id=window.load_id)) for window in windows]

        def taken_back() -> int:
            return sum(one.counts.all for one in totals())

        number = max(one.last_pass for one in totals()) + 1
        before = taken_back()
        while True:
            # Rows of a later table may refer to those of an earlier one.
            for window in reversed(windows):
                _run_pass(window, options, console, number)
            kinds = {kind for window in windows for kind in session.transact(partial(discrepancy_counts, load_id=window.load_id))}
            after = taken_back()
            if TRIED_AGAIN.isdisjoint(kinds) or (after == before and not any(_exchange(window, session, number) for window in windows)):
                return windows
            before, number = after, number + 1
            windows = [replace(window, folder=next_folder(window.folder, number)) for window in windows]


def _run_pass(window: _Window, options: RollbackOptions, console: Console, number: int) -> None:
    load_id = window.load_id
    with Session(options.database) as session:
        files = session.transact(partial(files_to_roll_back, load_id=load_id))
    splits = plan_splits([file for file in window.load.export.data_files if file.name in files], window.plan.load.split_size)

    def done(cursor: Cursor) -> Totals:
        totals = window_rollback_totals(cursor, load_id)
        return Totals(items=totals.counts.all + totals.kept, dead_letters=totals.kept)

    visited = VisitedLoad(TakeBackChanges(window.changes, number), {RecordKind.DISCREPANCIES: window.folder})
    run_visits([visited], splits, window.load.export, options, console, read=done, counted="discrepancies")


def _exchange(window: _Window, session: Session, number: int) -> bool:
    """Take records back that wait for each other in a circle, in one transaction; whether that took any back."""
    reverser, chunks = Reverser(window.changes, session), _chunks_left(window, session)

    def work(cursor: Cursor) -> bool:
        if not may_exchange(cursor, reverser.applying):
            return False
        note_writer(cursor, window.plan.load)
        kept = {chunk.key: closed.discrepancies for chunk in chunks if (closed := lock_chunk(cursor, chunk.key))}
        places = [(chunk, item) for chunk in chunks for item in sorted(to_try_again(kept.get(chunk.key, ())))]
        fates = {chunk.key: fates_of(cursor, chunk) for chunk in chunks}
        of_places = {place: fates[chunk.key][item] for place, (chunk, item) in enumerate(places)}
        taken = reverser.take_back(cursor, LinesOfChunks(places), of_places, apply_exchanging)
        for chunk in chunks:
            close(cursor, chunk, _of_chunk(taken, chunk, places), kept.get(chunk.key, ()), number)
        return bool(taken.reversals)

    try:
        return session.transact(work) if chunks else False
    except RowsRefused:
        # PostgreSQL keeps a row from being deleted.
        return False


def _chunks_left(window: _Window, session: Session) -> list[KnownChunk]:
    """The chunks with records that PostgreSQL refused; none where they are too many to be held in memory. Raises `Stopped`."""
    chunks, lines = [], 0
    for chunk in _chunks(window, session):
        closed = session.transact(partial(closed_chunk, key=chunk.key))
        if closed and to_try_again(closed.discrepancies):
            chunks.append(chunk)
            lines += len(chunk.lines)
        if lines > MOST_LINES:
            return []
    return sorted(chunks, key=lambda one: (one.key.data_file, one.key.first_item))


def _chunks(window: _Window, session: Session) -> Iterator[KnownChunk]:
    """Those of data files of which not all is taken back. Raises `Stopped`."""
    plan, known_chunks = window.plan, KnownChunks(window.plan, session)
    files = session.transact(partial(files_to_roll_back, load_id=window.load_id))
    try:
        for data_file in (one for one in window.load.export.data_files if one.name in files):
            known = map(known_chunks.of, read_splits(plan_splits([data_file], plan.load.split_size), plan))
            yield from (chunk for chunk in known if chunk.committed is not None)
    except DataFileRefused as refused:
        message = f"{refused}; what is taken back stays so: run the same command again to go on"
        raise Stopped(message) from None


def _of_chunk(taken: TakenBack, chunk: KnownChunk, places: Sequence[tuple[KnownChunk, int]]) -> TakenBack:
    """Of a chunk's records, by their item numbers."""

    def number_of(place: int) -> int | None:
        owner, number = places[place]
        return number if owner is chunk else None

    reversals = {number: how for place, how in taken.reversals.items() if (number := number_of(place)) is not None}
    kept = [replace(one, item_number=number) for one in taken.kept if (number := number_of(one.item_number)) is not None]
    return TakenBack(reversals, kept)


# -- a look --------------------------------------------------------------------------------------------------------------------------------


def _look(window: _Window, before: WindowRollbackTotals, started: float) -> Outcome:
    """What a rollback would do, chunk by chunk in this process; changes nothing. Raises `Stopped`."""
    plan, files = window.plan, RecordFiles(window.folder)
    counts, kinds = Counter[str](), Counter[str]()
    with Session(plan.database) as session:
        reverser = Reverser(window.changes, session)

        def look(cursor: Cursor, chunk: KnownChunk) -> TakenBack:
            closed = closed_chunk(cursor, chunk.key)
            if closed:
                return TakenBack({}, closed.discrepancies)
            return reverser.look(cursor, chunk, fates_of(cursor, chunk))

        for chunk in _chunks(window, session):
            stop_if_changed(reverser.of, chunk)
            taken = session.transact(partial(look, chunk=chunk))
            counts.update(how.value for how in taken.reversals.values())
            kinds.update(one.kind.value for one in taken.kept)
            files.write(mismatch_batch(plan.origin, chunk.chunk, plan.table.key, taken.kept))
        target_rows = session.transact(partial(_count_rows, window=window))
    would = ReversalCounts(**counts)
    parts = [Part(f"to_{name}", words, getattr(would, name), PartKind.GOOD) for name, (_, words) in _PARTS.items()]
    parts.append(Part("idle", "did nothing", would.idle + before.counts.idle, PartKind.BEFORE))
    if before.counts.changed:
        parts.append(Part("taken_back", "are taken back already", before.counts.changed, PartKind.BEFORE))
    parts.append(Part("kept", "would be left", sum(kinds.values()), PartKind.DIFFERENT))
    return rollback_outcome(
        plan,
        counted="record",
        total=before.records,
        total_words="applied",
        parts=parts,
        seen=would.all + before.counts.all + sum(kinds.values()),
        kept=kinds,
        checks=(Check("refusals", Verdict.FACT, "not looked at: what PostgreSQL would refuse for the sake of other rows"),),
        target_rows=target_rows,
        done_now=would.changed,
        started=started,
    )


# -- the end -------------------------------------------------------------------------------------------------------------------------------


def _conclude(cursor: Cursor, window: _Window, before: WindowRollbackTotals, started: float) -> Outcome:
    """Add up what is in the ledger, and close the window if all of it is done."""
    plan, load = window.plan, window.plan.load
    totals, kept = window_rollback_totals(cursor, load.load_id), discrepancy_counts(cursor, load.load_id)
    problems = list(refused_files(cursor, load.load_id, plan.run_id).values())
    if not problems and totals.open_chunks:
        problems.append(f"{totals.open_chunks:,} of {totals.chunks:,} chunks are not taken back; run the same command again")
    looked_at = totals.counts.all + totals.kept
    if not problems and (totals.uneven_chunks or looked_at != totals.records or sum(kept.values()) != totals.kept):
        problems.append(f"of {totals.records:,} records {looked_at:,} are accounted for; run the same command again")
    written = count_records(window.folder)
    if not problems and written != totals.kept:
        problems.append(f"{window.folder}: holds {written:,} records, but {totals.kept:,} were found; run the same command again")
    checks = []
    if not problems and (window.is_closed or finish_window_rollback(cursor, load)):
        checks = list(_checks(cursor, window))
    parts = [Part(name, words, getattr(totals.counts, name), PartKind.GOOD) for name, (words, _) in _PARTS.items()]
    parts.append(Part("idle", "did nothing", totals.counts.idle, PartKind.BEFORE))
    parts.append(Part("kept", "left", totals.kept, PartKind.DIFFERENT))
    return rollback_outcome(
        plan,
        counted="record",
        total=totals.records,
        total_words="applied",
        parts=parts,
        seen=looked_at,
        kept=kept,
        problems=problems,
        checks=checks,
        target_rows=_count_rows(cursor, window),
        done_now=totals.counts.changed - before.counts.changed,
        started=started,
    )


def _checks(cursor: Cursor, window: _Window) -> Iterator[Check]:
    chain = chain_of(cursor, window.plan.load.target_table)
    if chain is None or chain.end is None:
        return
    yield Check("chain", Verdict.FACT, f"what is applied ends at {shown_time(chain.end)} now; the next window begins there")
    outdated = count_outdated(cursor, window.plan.load.chain)
    if outdated:
        yield Check("rows are up to date", Verdict.WARNING, OUTDATED.format(count=outdated))


def _count_rows(cursor: Cursor, window: _Window) -> int:
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    return count_rows(cursor, window.plan.target)
