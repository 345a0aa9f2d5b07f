"""`migrate`: check everything, then load table after table, and go on only when the last one is proved.

The tables of one export are loaded in one reading of it where that changes no row (`preflight/readings.py`); each is proved by itself.

Without waiting (`--no_wait`, a Dataflow template) each launch proves what earlier ones loaded, and sends the job of the next reading. A
launch cannot finish a run or check its dead-letter files, because its job has only begun: a `migrate` that waits does that, and then reads
only data files with dead letters or notices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from rich.console import Console

from pipeline.definitions.find import record_folder
from pipeline.engines.runners import is_dataflow, is_left_alone, prepare_workers
from pipeline.errors import Refused
from pipeline.job.load_reading import left_to_load, load_reading, prove_reading, send_reading, with_source
from pipeline.job.plan import BegunLoad, LoadPlan, new_run_id
from pipeline.ledger.loads import ChildTable, create_ledger, find_load, start_load
from pipeline.options import HowThorough, MigrateOptions
from pipeline.outcome.outcome import Outcome, Run, begin
from pipeline.outcome.terminal import print_outcome, print_warnings
from pipeline.outcome.verdict import advice, verdict
from pipeline.preflight.check import Checked, check, table_findings
from pipeline.preflight.exports import Planned
from pipeline.preflight.findings import problems_in
from pipeline.preflight.readings import ToRead, plan_readings
from pipeline.target.session import Cursor, Session
from pipeline.target.target import DatabaseFacts, Target, describe_database, evaluate_defaults, find_target_of, read_row_security
from pipeline.windows.run import apply_windows

_LAUNCH: Final = "migrate --no_wait"


def migrate(options: MigrateOptions, console: Console) -> Run:
    """Load all exports, or send the job of the next reading.

    Raises `Refused` before anything is written, with all problems; `Stopped` when a load ended early. Warnings of the
    preflight are printed; `ddb2pg preflight` shows the facts, too.
    """
    if options.no_wait or is_left_alone(options.beam_arguments):
        return _launch(options, console)
    run_id, started_at = new_run_id(), datetime.now(UTC)
    readings, database, checked = _begin(options, run_id, console)
    loads = list(chain.from_iterable(readings))
    begun = begin(run_id, started_at, options, database, [load.plan for load in loads])
    outcomes: list[Outcome] = []
    for reading in readings:
        for outcome in load_reading(reading, options, begun.folder, console):
            outcomes.append(with_source([*outcomes, outcome], loads, options))
            print_outcome(console, outcomes[-1], "migrate")
        if not all(outcome.may_go_on for outcome in outcomes):
            break
    windows = []
    if all(outcome.may_go_on for outcome in outcomes):
        for window in apply_windows(checked.windows, options, run_id, begun.folder, console):
            windows.append(window)
            print_outcome(console, window.outcome, "migrate")
    plans = [*(load.plan for load in loads), *(window.plan for window in windows)]
    return Run(
        "migrate",
        (*outcomes, *(window.outcome for window in windows)),
        {"preflight": checked.findings},
        not_begun=tuple(load.plan.folder for load in loads[len(outcomes) :]),
        places={"look at it": options.psql} if options.psql else {},
        begun=replace(begun, attributes={plan.folder: plan.table.paths for plan in plans}),
    )


# -- before anything is written ------------------------------------------------------------------------------------------------------------


def _begin(
    options: MigrateOptions, run_id: str, console: Console, *, is_launch: bool = False
) -> tuple[list[list[BegunLoad]], DatabaseFacts, Checked]:
    """Check everything, and enter the loads of all exports in the ledger; returns them by readings. Raises `Refused`, `Stopped`."""
    checked = check(options)
    problems = problems_in(checked.findings)
    if is_launch and checked.windows:
        problems.append("windows are applied by a migrate that waits; leave --no_wait out, or give full exports only")
    if problems:
        # Who has no server of their own has no psql either.
        raise Refused([*problems, *([f"to run SQL in this database: {options.psql}"] if options.psql else [])])
    print_warnings(console, checked.findings)
    readings, database = _enter_all(options, checked.planned, run_id)
    exports = [load.export for load in chain.from_iterable(readings) if load.plan.load.finished_at is None]
    exports += [export for of_table in checked.windows for export in of_table.exports]
    largest = max((export.usual_items(export.items) for export in exports), default=0)
    prepare_workers(options.beam_arguments, largest, options.split_size.most, "pipeline.job.graph")
    return readings, database, checked


def _enter_all(options: MigrateOptions, planned: Sequence[Planned], run_id: str) -> tuple[list[list[BegunLoad]], DatabaseFacts]:
    """Enter the loads in the ledger, all or none; returns them by readings.

    Somebody may have changed a target or started a load since we looked: under the ledger's lock, look again.
    """

    def work(cursor: Cursor) -> tuple[list[list[BegunLoad]], DatabaseFacts]:
        create_ledger(cursor)
        targets = [(of_table, find_target_of(cursor, of_table.table)) for of_table in planned]
        problems = problems_in(
            finding for of_table, target in targets for finding in table_findings(cursor, of_table, target, options.unmapped)
        )
        if problems:
            raise Refused(problems)
        loads = [_enter(cursor, options, run_id, of_table, target) for of_table, target in targets if target is not None]
        return _by_readings(cursor, loads), describe_database(cursor)

    with Session(options.database) as session:
        return session.transact(work)


def _enter(cursor: Cursor, options: MigrateOptions, run_id: str, planned: Planned, target: Target) -> BegunLoad:
    """Find or start the load."""
    table, export = planned.table, planned.export
    load = find_load(cursor, export.export_id, target.qualified)
    if load is None:
        row_security, *of_children = (read_row_security(cursor, one) for one in (target, *target.children))
        pairs = zip(target.children, of_children, strict=True)
        load = start_load(
            cursor,
            export,
            table,
            target.qualified,
            options.chunk_size,
            options.unmapped,
            options.split_size,
            row_security,
            target.oid,
            [ChildTable(child.qualified, child.oid, of_child) for child, of_child in pairs],
            column_defaults=evaluate_defaults(cursor, table, target),
        )
    folder = record_folder(table, options.tables)
    return BegunLoad(export, LoadPlan(load, table, target, options.database, run_id, folder, options.storage, options.threshold))


def _by_readings(cursor: Cursor, loads: Sequence[BegunLoad]) -> list[list[BegunLoad]]:
    plans = [load.plan for load in loads]
    to_read = [ToRead(plan.table.target, plan.target, plan.load.cut, plan.load.finished_at is not None) for plan in plans]
    return [[loads[place] for place in reading.places] for reading in plan_readings(cursor, to_read)]


# -- without waiting -----------------------------------------------------------------------------------------------------------------------


def _launch(options: MigrateOptions, console: Console) -> Run:
    """Prove the tables that are loaded, in their order, and send the first reading of which one is not. Raises `Refused`, `Stopped`."""
    _refuse_launch(options)
    run_id = new_run_id()
    readings, _, checked = _begin(options, run_id, console, is_launch=True)
    findings = checked.findings
    loads = list(chain.from_iterable(readings))
    run_folder = options.output / run_id
    run_folder.make()
    outcomes: list[Outcome] = []
    run = Run(_LAUNCH, checks={"preflight": findings})
    for reading in readings:
        left = left_to_load(reading, options)
        to_send = [of_load for of_load in left if not of_load.to_visit.is_committed]
        if to_send:
            whereabouts = send_reading(reading, to_send, options, run_folder)
            sent = [of_load.load.plan.folder for of_load in to_send]
            console.print(f"{', '.join(sent)}: sent; {whereabouts}")
            later = [load.plan.folder for load in loads[len(outcomes) + len(reading) :]]
            following = f"sends the next table (left: {', '.join(later)})" if later else "says what is left to do"
            proved = "this table" if len(reading) == 1 else "these tables"
            console.print(f"when it has ended, give the same command again: it proves {proved} and {following}")
            return replace(run, left_running=tuple(sent))
        for outcome in prove_reading(left, options, run_folder, console, is_whole=False):
            outcomes.append(with_source([*outcomes, outcome], loads, options))
            print_outcome(console, outcomes[-1], "migrate")
        run = replace(run, outcomes=tuple(outcomes))
        if not all(outcome.may_go_on for outcome in outcomes):
            return replace(run, not_begun=tuple(load.plan.folder for load in loads[len(outcomes) :]))
    if is_left_alone(options.beam_arguments):
        # The launcher of a template fails without a job, so say why.
        raise Refused([verdict(run).sentence, *filter(None, [advice(run)])])
    return run


def _refuse_launch(options: MigrateOptions) -> None:
    problems = []
    if not is_dataflow(options.beam_arguments):
        problems.append("--no_wait is for --runner=DataflowRunner: other runners' jobs are waited for here")
    if options.validate is HowThorough.FULL:
        problems.append("--validate=full is a job that must be waited for; give quick or none here, and run ddb2pg validate afterwards")
    if problems:
        raise Refused(problems)
