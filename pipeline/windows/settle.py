"""What was set aside is tried again, in rounds, when all chunks of a window are applied, and of windows of other tables of its time.

A round may free what the next one needs: a unique value, a row that nothing refers to any more. When a round has settled nothing, nothing
more will be: then what is left are dead letters. It is done in this process, plainly: there is little of it, if anything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.job.visit import VisitPlan, record_folders, visit_plainly
from pipeline.ledger.changes import all_set_aside
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, form_of
from pipeline.records.kinds import RecordFormat
from pipeline.source.chunks import Split, plan_splits
from pipeline.source.manifest import Export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Session
from pipeline.windows.apply import ApplyChunks, SettleChunks
from pipeline.windows.exchange import Exchange

SetAside = tuple[int, str, int]
"""A record: its window's load, its data file, its number in that."""
_ENDING: Final = "@settled"
"""Of the names of files with records of what was set aside; no data file's name has it."""


@dataclass(frozen=True, slots=True)
class BegunWindow:
    """A window of one table that is in the ledger."""

    export: Export
    changes: ApplyChunks

    @property
    def load_id(self) -> int:
        return self.changes.load_plan.load.load_id


def settle(windows: Sequence[BegunWindow], database: DatabaseReference, run_folder: OutputFolder, record_format: RecordFormat) -> None:
    """Settle all that is set aside in these windows. Raises `Stopped`, `DataFileRefused`."""
    load_ids = [window.load_id for window in windows]
    with Session(database) as session:

        def left() -> set[SetAside]:
            return session.transact(lambda cursor: all_set_aside(cursor, load_ids))

        before = left()
        number = 0
        while before:
            _round(windows, before, run_folder, record_format, number, is_last=False)
            number += 1
            after = left()
            if after == before:
                _exchange(windows, after, session, run_folder, record_format)
                after = left()
            if after == before:
                _round(windows, after, run_folder, record_format, number, is_last=True)
                return
            before = after


def _exchange(
    windows: Sequence[BegunWindow],
    items: Collection[SetAside],
    session: Session,
    run_folder: OutputFolder,
    record_format: RecordFormat,
) -> None:
    """Settle records that wait for each other in a circle."""
    for window in windows:
        splits = _splits(window, items)
        exchange = Exchange(window.changes, splits, session)
        folders = record_folders(run_folder, window.changes)
        for exchanged in exchange.settle():
            records = exchange.of.records_of_settled(exchanged.chunk, exchanged.settled)
            name = f"{exchanged.chunk.key.data_file}@{exchanged.chunk.key.first_item:09d}{_ENDING}-exchanged"
            for kind, of_kind in records.items():
                RecordFiles(folders[kind], form_of(kind, record_format)).write(RecordBatch(name, tuple(of_kind), is_last=True))


def _round(
    windows: Sequence[BegunWindow],
    items: Collection[SetAside],
    run_folder: OutputFolder,
    record_format: RecordFormat,
    number: int,
    *,
    is_last: bool,
) -> None:
    for window in windows:
        plan = SettleChunks(window.changes, is_last)
        splits = _splits(window, items)
        if splits:
            _visit(plan, splits, run_folder, record_format, f"{_ENDING}-{number}")


def _splits(window: BegunWindow, items: Collection[SetAside]) -> list[Split]:
    """Of the data files with such records."""
    names = {data_file for load_id, data_file, _ in items if load_id == window.load_id}
    of_files = [data_file for data_file in window.export.data_files if data_file.name in names]
    return plan_splits(of_files, window.changes.load_plan.load.split_size)


def _visit(plan: VisitPlan, splits: Sequence[Split], run_folder: OutputFolder, record_format: RecordFormat, ending: str) -> None:
    """Visit all chunks of some splits, and write their records into files of their own."""
    folders = record_folders(run_folder, plan)
    files = {kind: RecordFiles(folders[kind], form_of(kind, record_format)) for kind in plan.kinds}
    for batches in visit_plainly(splits, plan):
        for kind, batch in batches.items():
            files[kind].write(replace(batch, split=f"{batch.split}{ending}"))
