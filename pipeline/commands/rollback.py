"""`rollback`: takes back what the loads of some exports put into their targets, the last table first; without --yes it only looks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from rich.console import Console

from pipeline.job.compare import forget, record_replayed
from pipeline.job.find_loads import find_begun_loads
from pipeline.job.plan import BegunLoad, LoadPlan, new_run_id
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import VisitedLoad
from pipeline.ledger.chunks import Totals, refused_files
from pipeline.ledger.comparisons import compared_items, compared_totals
from pipeline.ledger.loads import Link, Load, find_load, find_rolled_back_load
from pipeline.ledger.replays import kept_replayed
from pipeline.ledger.rollbacks import (
    RollbackTotals,
    begin_rollbacks,
    discrepancy_counts,
    files_to_roll_back,
    finish_rollback,
    rollback_totals,
)
from pipeline.ledger.window_rollbacks import are_writers_known, swept_rows
from pipeline.ledger.windows import chain_of, has_windows
from pipeline.options import RollbackOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Run, Verdict, begin
from pipeline.outcome.terminal import print_outcome
from pipeline.places.storage import OutputFolder
from pipeline.preflight.exports import replaced_findings
from pipeline.preflight.findings import problems_in
from pipeline.preflight.windows import CANNOT_BE_TAKEN_BACK, right_findings
from pipeline.records.files import count_records
from pipeline.records.kinds import RecordKind
from pipeline.rollback.take_back import ReplayedRows, TakeBackChunks, look_at_replayed, next_folder, take_back_replayed
from pipeline.source.chunks import plan_splits
from pipeline.source.windows import shown_time
from pipeline.target.compare import TRIED_AGAIN, MismatchKind
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Reference, Target, count_rows, describe_database, find_references
from pipeline.windows.roll_back import roll_back_windows
from pipeline.windows.sweep import sweep_chain
from transforms.changes import how_changes_find_rows
from transforms.lines import View
from transforms.table import Table

_HIDDEN: Final = (
    "row security applies to this role: rows that it hides count as gone here, and with --yes are left for good (not_seen); "
    "roll back as the table's owner, or as a role with BYPASSRLS, instead"
)


@dataclass(frozen=True, slots=True)
class _Job:
    """One table's rollback, as far as it is the same in each of its passes."""

    load: BegunLoad
    options: RollbackOptions
    references: tuple[Reference, ...]
    child_references: tuple[tuple[Reference, ...], ...]
    folder: OutputFolder
    console: Console


def rollback(options: RollbackOptions, console: Console) -> Run:
    """Take back all loads, or look what that would do.

    Raises `Refused` before anything is done, with all problems; `Stopped` when it ended early.
    """
    run_id, started_at = new_run_id(), datetime.now(UTC)
    found = find_begun_loads(options, run_id, _find_load, _problems, takes_windows=True)
    loads, windows = ([one for one in found if bool(one.plan.load.link) is is_window] for is_window in (False, True))
    with Session(options.database) as session:
        database = session.transact(describe_database)
    begun = begin(run_id, started_at, options, database, [load.plan for load in found])
    with Session(options.database) as session:
        chains = [load for load in loads if session.transact(partial(_is_of_chain, load=load.plan.load))]
        if options.yes:
            # All of them first: from here on no run of migrate goes on with any.
            session.transact(partial(_begin, loads=[load.plan.load for load in found]))
    outcomes = []
    # Rows of a later table may refer to those of an earlier one.
    for load in reversed(loads):
        if load in chains:
            outcomes.append(sweep_chain(load.plan, options, begun.folder))
            print_outcome(console, outcomes[-1], "rollback", is_dry=not options.yes and load.plan.load.rolled_back_at is None)
            continue
        with Session(options.database) as session:
            references = tuple(session.transact(partial(find_references, target=load.plan.target)))
            of_children = [tuple(session.transact(partial(find_references, target=child))) for child in load.plan.target.children]
        job = _Job(load, options, references, tuple(of_children), begun.folder / RecordKind.DISCREPANCIES / load.plan.folder, console)
        outcomes.append(_roll_back_table(job))
        print_outcome(console, outcomes[-1], "rollback", is_dry=_is_to_do(job))
    for load, outcome in zip(windows, roll_back_windows(windows, options, begun.folder, console), strict=True):
        outcomes.append(outcome)
        print_outcome(console, outcome, "rollback", is_dry=not options.yes and load.plan.load.rolled_back_at is None)
    # Of loads that are closed already there is nothing that would be done.
    is_dry = not options.yes and any(load.plan.load.rolled_back_at is None for load in found)
    return Run("rollback", tuple(outcomes), is_dry=is_dry, begun=begun)


def _is_of_chain(cursor: Cursor, load: Load) -> bool:
    """Whether windows follow a load, or did when it was rolled back with them."""
    return swept_rows(cursor, load.load_id) is not None if load.rolled_back_at else has_windows(cursor, load)


def _begin(cursor: Cursor, loads: Sequence[Load]) -> None:
    """With all windows that follow a load."""
    windows = []
    for load in loads:
        chain = chain_of(cursor, load.target_table)
        if chain and chain.full and chain.full.load_id == load.load_id:
            windows += [window.load_id for window in chain.windows]
    begin_rollbacks(cursor, [*(load.load_id for load in loads), *windows])


def _is_to_do(job: _Job) -> bool:
    """Whether this run only shows what it would do."""
    return not job.options.yes and job.load.plan.load.rolled_back_at is None


def _find_load(cursor: Cursor, export_id: str, target: str) -> Load | None:
    """The open load of an export that was loaded and rolled back several times, or else its last load."""
    return find_load(cursor, export_id, target) or find_rolled_back_load(cursor, export_id, target)


def _problems(cursor: Cursor, table: Table, target: Target, load: Load) -> Iterator[str]:
    # The rows of a table that was dropped are gone, which a rollback finds out; those of one that was renamed are elsewhere.
    if load.rolled_back_at is None:
        yield from problems_in(replaced_findings(cursor, table, target, load, are_dropped_told=False))
    if has_windows(cursor, load):
        yield from _problems_of_chain(cursor, table, target, load)
    if load.link and load.rolled_back_at is None:
        yield from _problems_of_window(cursor, table, target, load, load.link)
    for one, of_table in zip((target, *target.children), (table, *table.child_tables), strict=True):
        yield from _problems_of_table(cursor, of_table, one)


def _problems_of_chain(cursor: Cursor, table: Table, target: Target, load: Load) -> Iterator[str]:
    if not are_writers_known(cursor, load.load_id):
        yield (
            f"{table.target}: this database was restored from a dump, or copied, since: its transactions have other numbers, so nothing "
            "tells which rows are the chain's. If all of them may go, TRUNCATE the table and close the chain by hand (docs/windows.md)"
        )
    try:
        how_changes_find_rows(table, target.key)
    except ValueError as error:
        yield str(error)
    yield from problems_in(right_findings(table, target))


def _problems_of_window(cursor: Cursor, table: Table, target: Target, load: Load, link: Link) -> Iterator[str]:
    chain = chain_of(cursor, target.qualified)
    last = chain.windows[-1] if chain and chain.windows else load
    if last.load_id != load.load_id and last.link:
        yield (
            f"{table.target}: window {link.number} (export {load.export_id}) is not the last one that was begun, and windows are taken "
            f"back in reverse order; window {last.link.number} (export {last.export_id}) is the next, give that one alone"
        )
    if chain and chain.stream:
        yield (
            f"{table.target}: its stream is followed since {shown_time(chain.stream.begun_at)}, whose changes hold no way back; the whole "
            "chain can be rolled back: give its full export"
        )
    if link.window.view is View.NEW_IMAGE:
        yield f"{table.target}: {CANNOT_BE_TAKEN_BACK}"
    yield from problems_in(right_findings(table, target))


def _problems_of_table(cursor: Cursor, table: Table, target: Target) -> Iterator[str]:
    if "DELETE" not in target.privileges:
        yield f"{table.target}: this role may not DELETE; let its owner GRANT DELETE ON {table.target}"
    if target.has_heirs:
        yield (
            f"{table.target}: other tables inherit from it, and a query of it sees their rows; detach them for the rollback: "
            f"ALTER TABLE ... NO INHERIT {table.target}"
        )
    cascading = [reference for reference in find_references(cursor, target) if reference.is_cascading]
    if cascading and "UPDATE" not in target.privileges:
        names = ", ".join(_qualified(cascading))
        yield (
            f"{table.target}: {names} may delete or change rows with its own, so rows are locked before they go, which this role may not; "
            f"let its owner GRANT UPDATE ON {table.target}"
        )
    for reference in cascading:
        if not reference.sees_all_rows:
            yield (
                f"{table.target}: {reference.qualified} refers to it, and deleting a row would delete or change rows there, which this "
                "role may not see; roll back as a role that may"
            )


def _roll_back_table(job: _Job) -> Outcome:
    load, database = job.load, job.options.database
    load_id = load.plan.load.load_id
    started = time.monotonic()
    try:
        with Session(database) as session:
            before = session.transact(lambda cursor: rollback_totals(cursor, load_id))
            plan, folder = _run_passes(job, session, before)
            return session.transact(lambda cursor: _conclude(cursor, replace(job, folder=folder), plan, before, started))
    finally:
        if not job.options.yes:
            forget(load.plan)


def _run_passes(job: _Job, session: Session, before: RollbackTotals) -> tuple[TakeBackChunks, OutputFolder]:
    """One pass, and another while deleted rows may have kept others from being deleted. Returns the last pass's plan and folder."""
    load_id = job.load.plan.load.load_id
    is_closed = job.load.plan.load.rolled_back_at is not None
    cascading, *of_children = (
        tuple(reference for reference in references if reference.is_cascading) for references in (job.references, *job.child_references)
    )
    # A closed load is shown again and not tried again: by now the rows may be those of another load.
    number = 0 if is_closed else before.last_pass + 1
    deleted = before.deleted
    while True:
        plan = TakeBackChunks(job.load.plan, number, cascading, is_dry=not job.options.yes, child_references=tuple(of_children))
        if not plan.is_dry and not is_closed:
            take_back_replayed(session, plan)
        _run_pass(job, session, plan)
        if plan.is_dry or is_closed:
            return plan, job.folder
        after = session.transact(lambda cursor: rollback_totals(cursor, load_id))
        kinds = session.transact(lambda cursor: discrepancy_counts(cursor, load_id))
        if after.deleted == deleted or TRIED_AGAIN.isdisjoint(kinds):
            return plan, job.folder
        deleted, number = after.deleted, number + 1
        job = replace(job, folder=next_folder(job.folder, number))


def _run_pass(job: _Job, session: Session, plan: TakeBackChunks) -> None:
    load = job.load.plan.load
    files = session.transact(lambda cursor: files_to_roll_back(cursor, load.load_id))
    splits = plan_splits([file for file in job.load.export.data_files if file.name in files], load.split_size)

    def done(cursor: Cursor) -> Totals:
        if plan.is_dry:
            return compared_items(cursor, plan.comparing)
        totals = rollback_totals(cursor, load.load_id)
        return Totals(items=totals.deleted + totals.gone + totals.kept, dead_letters=totals.kept)

    visited = VisitedLoad(plan, {RecordKind.DISCREPANCIES: job.folder})
    run_visits([visited], splits, job.load.export, job.options, job.console, read=done, counted="discrepancies")


def _conclude(cursor: Cursor, job: _Job, plan: TakeBackChunks, before: RollbackTotals, started: float) -> Outcome:
    """Add up what is in the ledger, and close the load if all of it is done."""
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    load = job.load.plan.load
    totals = rollback_totals(cursor, load.load_id)
    kept = discrepancy_counts(cursor, load.load_id)
    deleted, gone = totals.deleted, totals.gone
    replayed = ReplayedRows()
    problems = list(refused_files(cursor, load.load_id, plan.load_plan.run_id).values())
    if plan.is_dry:
        compared = compared_totals(cursor, plan.comparing)
        different = compared.kinds.get(MismatchKind.DIFFERENT, 0)
        deleted += compared.rows - different
        gone += compared.kinds.get(MismatchKind.MISSING, 0)
        replayed = look_at_replayed(cursor, plan.load_plan)
        deleted += replayed.deletable
        gone += replayed.gone
        kept = _summed(kept, {MismatchKind.DIFFERENT.value: different + len(replayed.changed)})
    elif not problems and totals.open_items:
        problems.append(f"{totals.open_items:,} dead letters that were brought in later are not rolled back; run the same command again")
    elif not problems and totals.open_chunks:
        problems.append(f"{totals.open_chunks:,} of {totals.chunks:,} chunks are not rolled back; run the same command again")
    looked_at = deleted + gone + sum(kept.values())
    if not problems and looked_at != totals.rows:
        problems.append(f"of {totals.rows:,} rows {looked_at:,} were looked at; run the same command again")
    left = [*kept_replayed(cursor, load.load_id), *((address, MismatchKind.DIFFERENT) for address in replayed.changed)]
    record_replayed(plan.load_plan, left, job.folder)
    written = count_records(job.folder)
    if not problems and written != sum(kept.values()):
        problems.append(f"{job.folder}: holds {written:,} records, but {sum(kept.values()):,} were found; run the same command again")
    is_finished = load.rolled_back_at is not None
    if not plan.is_dry and not problems:
        is_finished = finish_rollback(cursor, load.load_id)
    is_to_do = plan.is_dry and not is_finished
    target_rows = count_rows(cursor, plan.load_plan.target)
    sees_all_rows = not plan.load_plan.target.hides_rows
    warnings = [] if sees_all_rows or is_finished else [_HIDDEN]
    if is_finished and target_rows:
        warnings.append(f"the load is closed, but the table still holds {target_rows:,} rows, which keep another load out")
    elif is_finished and (of_children := [name for name, rows in _child_rows(cursor, plan.load_plan) if rows]):
        warnings.append(f"the load is closed, but rows of its children are left in {', '.join(of_children)}, which keep another load out")
    elif is_finished and not sees_all_rows:
        warnings.append("the load is closed, and the table is empty, as far as this role sees: row security hides rows from it")
    return Outcome(
        source_table=plan.load_plan.table.source,
        target_table=load.target_table,
        export_id=load.export_id,
        counted="row",
        total=totals.rows,
        total_words="loaded",
        seen=looked_at,
        seen_words="looked at",
        parts=tuple(_parts(deleted, before.deleted, gone, sum(kept.values()), is_to_do=is_to_do)),
        problems=tuple(problems),
        warnings=tuple(warnings),
        checks=tuple(_checks(job, is_to_do=is_to_do, is_emptied=is_finished and not warnings)),
        tallies={"kept": kept},
        target_rows=target_rows,
        done_now=deleted - before.deleted,
        seconds=time.monotonic() - started,
    )


def _child_rows(cursor: Cursor, plan: LoadPlan) -> Iterator[tuple[str, int]]:
    """The tables of child rows, and how many rows each holds."""
    yield from ((target.qualified, count_rows(cursor, target)) for target in plan.target.children)


def _parts(deleted: int, deleted_before: int, gone: int, kept: int, *, is_to_do: bool) -> Iterator[Part]:
    """What became of the rows, or would."""
    if is_to_do:
        yield Part("to_delete", "would be deleted", deleted - deleted_before, PartKind.GOOD)
        if deleted_before:
            yield Part("deleted", "are deleted already", deleted_before, PartKind.BEFORE)
    else:
        yield Part("deleted", "deleted", deleted, PartKind.GOOD)
    yield Part("gone", "gone before", gone, PartKind.BEFORE)
    yield Part("kept", "would be left" if is_to_do else "left", kept, PartKind.DIFFERENT)


def _checks(job: _Job, *, is_to_do: bool, is_emptied: bool) -> Iterator[Check]:
    if is_to_do and job.references:
        names = ", ".join(_qualified(job.references))
        yield Check("references", Verdict.FACT, f"not looked at: rows that {names} refer to then may have to be left, too")
    if is_emptied:
        yield Check("load", Verdict.FACT, "the load is closed, and the table is empty")


def _summed(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    summed = {name: counts.get(name, 0) + more.get(name, 0) for name in (*counts, *more)}
    return {name: count for name, count in summed.items() if count}


def _qualified(references: Sequence[Reference]) -> list[str]:
    return sorted({reference.qualified for reference in references})
