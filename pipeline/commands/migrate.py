"""`migrate`: check everything, then load table after table, and go on only when the last one is proved.

Without waiting (`--no_wait`, a Dataflow template) each launch proves what earlier ones loaded, and sends the job of the next table. A
launch cannot finish a run or check its dead-letter files, because its job has only begun: a `migrate` that waits does that, and then reads
only data files with dead letters or notices.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from rich.console import Console

from pipeline.definitions import record_folder
from pipeline.engines.runners import is_dataflow, is_left_alone, prepare_workers
from pipeline.errors import Refused
from pipeline.job.equation import prove
from pipeline.job.gate import pass_gate
from pipeline.job.load import LoadChunks
from pipeline.job.plan import BegunLoad, LoadPlan, new_run_id
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import record_folders
from pipeline.ledger.chunks import Totals, file_totals, load_totals
from pipeline.ledger.loads import Load, create_ledger, find_load, start_load
from pipeline.ledger.threshold import stop_if_exceeded
from pipeline.options import HowThorough, MigrateOptions
from pipeline.outcome.outcome import Outcome, Run, attributes_of
from pipeline.outcome.report import end_run
from pipeline.outcome.terminal import print_not_begun, print_outcome
from pipeline.outcome.verdict import ExitCode
from pipeline.places.storage import OutputFolder
from pipeline.preflight.check import check, table_findings
from pipeline.preflight.exports import Planned
from pipeline.preflight.findings import Finding, problems_in
from pipeline.preflight.terminal import print_warnings
from pipeline.source.chunks import Split, plan_splits
from pipeline.source.manifest import Export
from pipeline.target.session import Cursor, Session
from pipeline.target.target import DatabaseFacts, Target, describe_database, find_target, read_row_security

_CONCLUDE: Final = (
    "every table is loaded; to prove it all and to have the report, give the same command without --no_wait in a place that waits "
    "(--runner may be left out: only what has dead letters or notices is read again)"
)


def migrate(options: MigrateOptions, console: Console) -> ExitCode:
    """Load all exports, or send the job of the next table.

    Raises `Refused` before anything is written, with all problems; `Stopped` when a load ended early. Warnings of the
    preflight are printed; `ddb2pg preflight` shows the facts, too.
    """
    if options.no_wait or is_left_alone(options.beam_arguments):
        return _launch(options, console)
    run_id, started_at = new_run_id(), datetime.now(UTC)
    loads, database, findings = _begin(options, run_id, console)
    run_folder = options.output / run_id
    run_folder.make()
    outcomes = []
    for load in loads:
        outcomes.append(_load_table(load, options, run_folder, console))
        print_outcome(console, outcomes[-1], "migrate")
        if not outcomes[-1].may_go_on:
            break
    run = Run(
        command="migrate",
        run_id=run_id,
        started_at=started_at,
        database=database,
        settings=options.settings,
        attributes=attributes_of(load.plan for load in loads),
        outcomes=tuple(outcomes),
        checks={"preflight": [finding.as_check for finding in findings]},
        not_begun=tuple(load.plan.folder for load in loads[len(outcomes) :]),
    )
    exit_code = end_run(console, run_folder, run)
    if options.psql:
        console.print(f"look at it     {options.psql}")
    return exit_code


# -- before anything is written ------------------------------------------------------------------------------------------------------------


def _begin(options: MigrateOptions, run_id: str, console: Console) -> tuple[list[BegunLoad], DatabaseFacts, Sequence[Finding]]:
    """Check everything, and enter the loads of all exports in the ledger. Raises `Refused`, `Stopped`."""
    checked = check(options)
    problems = problems_in(checked.findings)
    if problems:
        raise Refused(problems)
    print_warnings(console, checked.findings)
    loads, database = _enter_all(options, checked.planned, run_id)
    largest = max((load.export.usual_items(load.export.items) for load in loads if load.plan.load.finished_at is None), default=0)
    prepare_workers(options.beam_arguments, largest, options.split_size.most, "pipeline.job.graph")
    return loads, database, checked.findings


def _enter_all(options: MigrateOptions, planned: Sequence[Planned], run_id: str) -> tuple[list[BegunLoad], DatabaseFacts]:
    """Enter the loads in the ledger, all or none.

    Somebody may have changed a target or started a load since we looked: under the ledger's lock, look again.
    """

    def work(cursor: Cursor) -> tuple[list[BegunLoad], DatabaseFacts]:
        create_ledger(cursor)
        targets = [(of_table, find_target(cursor, of_table.table.target)) for of_table in planned]
        problems = problems_in(
            finding for of_table, target in targets for finding in table_findings(cursor, of_table, target, options.unmapped)
        )
        if problems:
            raise Refused(problems)
        loads = [_enter(cursor, options, run_id, of_table, target) for of_table, target in targets if target is not None]
        return loads, describe_database(cursor)

    with Session(options.database) as session:
        return session.transact(work)


def _enter(cursor: Cursor, options: MigrateOptions, run_id: str, planned: Planned, target: Target) -> BegunLoad:
    """Find or start the load."""
    table, export = planned.table, planned.export
    load = find_load(cursor, export.export_id, target.qualified)
    if load is None:
        row_security = read_row_security(cursor, target)
        load = start_load(cursor, export, table, target.qualified, options.chunk_size, options.unmapped, options.split_size, row_security)
    folder = record_folder(table, options.tables)
    return BegunLoad(export, LoadPlan(load, table, target, options.database, run_id, options.storage, options.threshold, folder))


# -- one table -----------------------------------------------------------------------------------------------------------------------------


def _load_table(load: BegunLoad, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    plan = load.plan
    started = time.monotonic()
    with Session(options.database) as session:
        before = session.transact(lambda cursor: _committed_before(cursor, plan))
        loaded_before = sum(totals.items for totals in before.values())
        splits = _splits_to_do(load.export, plan.load, before)
        if splits:
            session.close()  # the workers load, and may need every connection there is
            visits = LoadChunks(plan)
            folders = record_folders(run_folder, visits)
            record_format = options.dead_letter_format
            run_visits(visits, splits, load.export, options, folders, console, record_format=record_format, done_before=loaded_before)
        outcome = session.transact(lambda cursor: prove(cursor, plan, load.export, run_folder, loaded_before, time.monotonic() - started))
    return _compared(load, outcome, options, run_folder, console)


def _compared(load: BegunLoad, outcome: Outcome, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    """The outcome with what the gate found, if it is asked for and the load is proved. Raises `Stopped`."""
    if outcome.problems or options.gate is None:
        return outcome
    return pass_gate(load, outcome, options.gate, options, run_folder, console)


def _committed_before(cursor: Cursor, plan: LoadPlan) -> dict[str, Totals]:
    """Of each data file. Raises `Stopped` if those have too many dead letters for the load to go on."""
    stop_if_exceeded(cursor, plan.threshold, plan.load, load_totals(cursor, plan.load.load_id))
    return dict(file_totals(cursor, plan.load.load_id))


def _splits_to_do(export: Export, load: Load, done: dict[str, Totals]) -> list[Split]:
    """Every data file but those that are in the target whole, with no dead letters and no notices."""

    def is_done(name: str, items: int) -> bool:
        totals = done.get(name, Totals())
        # An empty file is done when it has been seen to be empty, which only a finished load says.
        return totals.items == items and totals.is_clean and (items > 0 or load.finished_at is not None)

    to_do = [data_file for data_file in export.data_files if not is_done(data_file.name, data_file.items)]
    return plan_splits(to_do, load.split_size)


# -- without waiting -----------------------------------------------------------------------------------------------------------------------


def _launch(options: MigrateOptions, console: Console) -> ExitCode:
    """Prove the tables that are loaded, in their order, and send the first that is not. Raises `Refused`, `Stopped`."""
    _refuse_launch(options)
    run_id = new_run_id()
    loads, _, _ = _begin(options, run_id, console)
    run_folder = options.output / run_id
    run_folder.make()
    for number, load in enumerate(loads):
        left = [later.plan.folder for later in loads[number + 1 :]]
        with Session(options.database) as session:
            done = session.transact(partial(_committed_before, plan=load.plan))
        if not _is_loaded(load, done):
            whereabouts = _send(load, options, done, run_folder)
            console.print(f"{load.plan.folder}: sent; {whereabouts}")
            following = f"sends the next table (left: {', '.join(left)})" if left else "says what is left to do"
            console.print(f"when it has ended, give the same command again: it proves this table and {following}")
            return ExitCode.DONE
        outcome = _proved(load, options, run_folder, console)
        print_outcome(console, outcome, "migrate")
        if not outcome.may_go_on:
            print_not_begun(console, left)
            return ExitCode.FAILED
    if is_left_alone(options.beam_arguments):
        # The launcher of a template fails without a job, so say why.
        raise Refused([f"no job is left to be sent: {_CONCLUDE}"])
    console.print(f"no job is left to be sent: {_CONCLUDE}")
    return ExitCode.DONE


def _refuse_launch(options: MigrateOptions) -> None:
    problems = []
    if not is_dataflow(options.beam_arguments):
        problems.append("--no_wait is for --runner=DataflowRunner: other runners' jobs are waited for here")
    if options.validate is HowThorough.FULL:
        problems.append("--validate=full is a job that must be waited for; give quick or none here, and run ddb2pg validate afterwards")
    if problems:
        raise Refused(problems)


def _is_loaded(load: BegunLoad, done: dict[str, Totals]) -> bool:
    """Whether every item is committed, as a row or a dead letter. Only `migrate` can check an empty file."""
    return all(done.get(data_file.name, Totals()).items == data_file.items for data_file in load.export.data_files)


def _send(load: BegunLoad, options: MigrateOptions, done: dict[str, Totals], run_folder: OutputFolder) -> str:
    """Send the job; returns how to see it and how to end it."""
    from pipeline.engines.run import send_pipeline  # noqa: PLC0415 - Beam takes long to import
    from pipeline.job.graph import define_pipeline  # noqa: PLC0415

    plan, visits = load.plan, LoadChunks(load.plan)
    define = partial(
        define_pipeline,
        splits=_splits_to_do(load.export, plan.load, done),
        plan=visits,
        folders=record_folders(run_folder, visits),
        record_format=options.dead_letter_format,
    )
    # One name a load: the service takes no second job of a name while the first runs.
    job = send_pipeline(define, options.beam_arguments, f"ddb2pg-{plan.folder}-{plan.load.migration_microseconds}")
    return job.whereabouts() if job else ""


def _proved(load: BegunLoad, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    started = time.monotonic()
    with Session(options.database) as session:
        outcome = session.transact(
            lambda cursor: prove(cursor, load.plan, load.export, None, load.export.items, time.monotonic() - started)
        )
    return _compared(load, outcome, options, run_folder, console)
