"""`rollback`: takes back what the loads of some exports put into their targets, the last table first; without --yes it only looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from rich.console import Console

from pipeline.job.find_loads import find_begun_loads
from pipeline.job.plan import BegunLoad, new_run_id
from pipeline.ledger.loads import Link, Load, find_load, find_rolled_back_load
from pipeline.ledger.rollbacks import begin_rollbacks
from pipeline.ledger.window_rollbacks import are_writers_known, swept_rows
from pipeline.ledger.windows import chain_of, has_windows
from pipeline.options import RollbackOptions
from pipeline.outcome.outcome import Run, begin
from pipeline.outcome.terminal import print_outcome
from pipeline.preflight.exports import replaced_findings
from pipeline.preflight.findings import problems_in
from pipeline.preflight.windows import CANNOT_BE_TAKEN_BACK, right_findings
from pipeline.rollback.roll_back import qualified, roll_back_loads
from pipeline.rollback.together import are_together
from pipeline.source.windows import shown_time
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, describe_database, find_references
from pipeline.windows.roll_back import roll_back_windows
from pipeline.windows.sweep import sweep_chain
from transforms.changes import how_changes_find_rows
from transforms.lines import View
from transforms.table import Table


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
    for reading in _readings(loads[::-1], chains, options):
        is_chain = reading[0] in chains
        rolled_back = (
            [sweep_chain(reading[0].plan, options, begun.folder)] if is_chain else roll_back_loads(reading, options, begun.folder, console)
        )
        for load, outcome in zip(reading, rolled_back, strict=True):
            outcomes.append(outcome)
            print_outcome(console, outcome, "rollback", is_dry=not options.yes and load.plan.load.rolled_back_at is None)
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


def _readings(loads: Sequence[BegunLoad], chains: Sequence[BegunLoad], options: RollbackOptions) -> list[list[BegunLoad]]:
    """Neighbours that are taken back in one reading of their export; a chain is swept alone."""
    readings: list[list[BegunLoad]] = []
    with Session(options.database) as session:
        for load in loads:
            before = readings[-1][-1] if readings else None
            is_alone = before is None or before in chains or load in chains
            if before is None or is_alone or not session.transact(partial(are_together, load=load, before=before, yes=options.yes)):
                readings.append([])
            readings[-1].append(load)
    return readings


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
        names = ", ".join(qualified(cascading))
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
