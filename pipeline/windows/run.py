"""The windows of a run, applied after the loads that they follow: strictly in order, one of a table at a time.

Windows of several tables that end at one time are applied one table after the other, in the order of the tables, and settled together:
rows of one may wait for those of another.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from pipeline.definitions.find import record_folder
from pipeline.errors import Refused, Stopped
from pipeline.job.plan import LoadPlan, folder_of_load
from pipeline.job.run_visits import left_to_visit, run_visits
from pipeline.job.visit import VisitedLoad, record_folders
from pipeline.ledger.loads import Link, Load, Validated, create_ledger, find_load, start_load
from pipeline.ledger.rollbacks import hold_still
from pipeline.options import MigrateOptions
from pipeline.outcome.outcome import Outcome
from pipeline.places.storage import OutputFolder
from pipeline.preflight.exports import PlannedWindows
from pipeline.preflight.findings import problems_in
from pipeline.preflight.windows import LinkedWindows, has_shared_keys, link_windows, window_findings
from pipeline.source.chunks import plan_splits
from pipeline.source.data_file import DataFileRefused
from pipeline.source.manifest import Export
from pipeline.target.fates import Conflicts
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, find_target_of
from pipeline.windows.apply import ApplyChunks, cascading_references, is_cut_over
from pipeline.windows.prove import compare_window, prove_window
from pipeline.windows.settle import BegunWindow, settle
from transforms.table import Table


@dataclass(frozen=True, slots=True)
class AppliedWindow:
    """A window and what became of it."""

    plan: LoadPlan
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Pending:
    """A window of one table that is to be applied."""

    table: Table
    export: Export


def apply_windows(
    planned: Sequence[PlannedWindows], options: MigrateOptions, run_id: str, run_folder: OutputFolder, console: Console
) -> Iterator[AppliedWindow]:
    """Apply windows, each when those before it are proved; ends after one that may not be followed. Raises `Refused`, `Stopped`."""
    for of_one_time in _by_time(planned, options):
        begun = []
        for pending in of_one_time:
            window = _begin(pending, options, run_id)
            if window is not None:
                begun.append(window)
        before = {window.load_id: _apply(window, options, run_folder, console) for window in begun}
        try:
            settle(begun, options.database, run_folder, options.dead_letter_format)
        except DataFileRefused as refused:
            message = f"{refused}; what is committed stays: run the same command again to go on"
            raise Stopped(message) from None
        outcomes = [_conclude(window, before[window.load_id], options, run_folder) for window in begun]
        yield from (AppliedWindow(window.changes.load_plan, outcome) for window, outcome in zip(begun, outcomes, strict=True))
        if not all(outcome.may_go_on for outcome in outcomes):
            return


def _by_time(planned: Sequence[PlannedWindows], options: MigrateOptions) -> Iterator[list[_Pending]]:
    """The windows that are to be applied, or compared again; those that end at one time together, in the order of the tables."""

    def pending(cursor: Cursor) -> list[_Pending]:
        found = []
        for of_table in planned:
            target = find_target_of(cursor, of_table.table)
            linked = link_windows(cursor, of_table, target, None) if target else None
            exports = (*_uncompared(linked, options.gate), *linked.ordered.pending) if linked else ()
            found += [_Pending(of_table.table, export) for export in exports]
        return found

    with Session(options.database) as session:
        windows = session.transact(pending)
    ends = {id(one): one.export.window.to_time for one in windows if one.export.window}
    windows.sort(key=lambda one: ends[id(one)])
    for _, group in itertools.groupby(windows, key=lambda one: ends[id(one)]):
        yield list(group)


def _uncompared(linked: LinkedWindows, asked: Validated | None) -> list[Export]:
    """The last window that is applied, where it is given again and was not found to agree with the target."""
    applied = linked.chain.applied
    if asked is None or not applied or linked.chain.begun or applied[-1].is_validated(asked):
        return []
    return [export for export in linked.ordered.done if export.export_id == applied[-1].export_id]


def _begin(pending: _Pending, options: MigrateOptions, run_id: str) -> BegunWindow | None:
    """Enter a window in the ledger, or find it there; None where another run has applied it meanwhile. Raises `Refused`."""

    def work(cursor: Cursor) -> BegunWindow | None:
        create_ledger(cursor)  # and so one run at a time begins something
        table, export = pending.table, pending.export
        target = find_target_of(cursor, table)
        planned = PlannedWindows(table, (export,))
        problems = problems_in(window_findings(cursor, planned, target, None, options.unmapped))
        linked = link_windows(cursor, planned, target, None) if target else None
        if problems or target is None or linked is None or linked.chain.full is None:
            raise Refused(problems or [f"{table.target}: the load that its windows follow is gone"])
        if not linked.ordered.pending and not _uncompared(linked, options.gate):
            return None
        full = linked.chain.full
        is_over = is_cut_over(cursor, full, options.conflicts)
        load = find_load(cursor, export.export_id, target.qualified)
        if load is None and export.window:
            hold_still(cursor, full.load_id)
            link = Link(full.load_id, len(linked.chain.windows) + 1, export.window)
            load = _start(cursor, pending, target, full, link, options)
        if load is None or load.link is None:
            raise Refused([f"{export.uri}: was begun as a full export"])
        folder = folder_of_load(load, record_folder(table, options.tables))
        plan = LoadPlan(load, table, target, options.database, run_id, folder, options.storage, options.threshold)
        is_strict = has_shared_keys(cursor, linked.chain)
        return BegunWindow(export, changes_of(cursor, plan, options.conflicts, is_strict=is_strict, is_cut_over=is_over))

    with Session(options.database) as session:
        return session.transact(work)


def changes_of(cursor: Cursor, plan: LoadPlan, conflicts: Conflicts, *, is_strict: bool = False, is_cut_over: bool = False) -> ApplyChunks:
    """What a worker needs for the changes of a window. `is_strict` and `is_cut_over` are as `ApplyChunks` has them."""
    references, of_children = cascading_references(cursor, plan.target)
    return ApplyChunks(plan, references, conflicts, of_children, is_strict, is_cut_over)


def _start(cursor: Cursor, pending: _Pending, target: Target, full: Load, link: Link, options: MigrateOptions) -> Load:
    return start_load(
        cursor,
        pending.export,
        pending.table,
        target.qualified,
        options.chunk_size,
        full.unmapped,
        options.split_size,
        target_oid=target.oid,
        link=link,
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """A window when its work began: the records that were applied, and the time, in seconds."""

    records: int
    started: float


def _apply(window: BegunWindow, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> _Before:
    """Visit all chunks that are not applied, or have dead letters or notices. Raises `Stopped`."""
    plan, started = window.changes.load_plan, time.monotonic()
    with Session(options.database) as session:
        left = session.transact(lambda cursor: left_to_visit(cursor, plan, window.export))
    splits = plan_splits(left.data_files, plan.load.split_size)
    visited = VisitedLoad(window.changes, record_folders(run_folder, window.changes))
    record_format = options.dead_letter_format
    run_visits([visited], splits, window.export, options, console, record_format=record_format, done_before=left.items_before)
    return _Before(left.items_before, started)


def _conclude(window: BegunWindow, before: _Before, options: MigrateOptions, run_folder: OutputFolder) -> Outcome:
    """Prove a window, and compare its records with the target. Raises `Stopped`."""
    seconds = time.monotonic() - before.started
    with Session(options.database) as session:
        outcome = session.transact(lambda cursor: prove_window(cursor, window.changes, window.export, run_folder, before.records, seconds))
    if outcome.problems or options.gate is None:
        return outcome
    return compare_window(window.changes, window.export, outcome, options.gate, run_folder)
