"""`migrate`: check everything, then load table after table, and go on only when the last one is proved.

The tables of one export are loaded in one reading of it where that changes no row (`preflight/readings.py`); each is proved by itself.

Without waiting (`--no_wait`, a Dataflow template) each launch proves what earlier ones loaded, and sends the job of the next reading. A
launch cannot finish a run or check its dead-letter files, because its job has only begun: a `migrate` that waits does that, and then reads
only data files with dead letters or notices.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Final

from rich.console import Console

from pipeline.definitions.find import record_folder
from pipeline.engines.runners import is_dataflow, is_left_alone, prepare_workers
from pipeline.errors import Refused
from pipeline.job.equation import check_source, outcome_so_far, prove
from pipeline.job.gate import pass_gate
from pipeline.job.load import LoadChunks
from pipeline.job.plan import BegunLoad, LoadPlan, new_run_id
from pipeline.job.run_visits import LeftToVisit, left_to_visit, run_visits
from pipeline.job.visit import VisitedLoad, record_folders
from pipeline.ledger.chunks import absent_attributes
from pipeline.ledger.loads import ChildTable, Load, create_ledger, find_load, start_load
from pipeline.ledger.windows import has_windows
from pipeline.options import HowThorough, MigrateOptions
from pipeline.outcome.outcome import Check, Outcome, Run, Verdict, begin
from pipeline.outcome.terminal import print_outcome, print_warnings
from pipeline.outcome.verdict import advice, verdict
from pipeline.places.storage import OutputFolder
from pipeline.preflight.check import Checked, check, table_findings
from pipeline.preflight.exports import Planned
from pipeline.preflight.findings import problems_in
from pipeline.preflight.readings import ToRead, plan_readings
from pipeline.preflight.sample import sample_names, told_absent
from pipeline.source.chunks import Split, plan_splits
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
        for outcome in _load_together(reading, options, begun.folder, console):
            outcomes.append(_with_source([*outcomes, outcome], loads, options))
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


# -- one reading ---------------------------------------------------------------------------------------------------------------------------


def _load_together(reading: Sequence[BegunLoad], options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Iterator[Outcome]:
    """Load the tables of one reading, then prove and compare each, in their order. Raises `Stopped`."""
    started = time.monotonic()
    with Session(options.database) as session:
        left = session.transact(partial(_all_left_to_do, reading=reading))
    visited = [of_load for of_load in left if of_load.to_visit.data_files]
    if visited:
        run_visits(
            [of_load.visited(run_folder) for of_load in visited],
            _splits_of(visited),
            reading[0].export,
            options,
            console,
            record_format=options.dead_letter_format,
            done_before=min(of_load.to_visit.items_before for of_load in visited),
        )
    seconds = time.monotonic() - started
    for of_load in left:
        before = of_load.to_visit.items_before
        yield _proved(of_load.load, options, run_folder, console, is_whole=True, loaded_before=before, seconds=seconds)


def _proved(
    load: BegunLoad,
    options: MigrateOptions,
    run_folder: OutputFolder,
    console: Console,
    *,
    is_whole: bool,
    loaded_before: int,
    seconds: float = 0.0,
) -> Outcome:
    """The outcome of a load, with what the gate found. Unless the run `is_whole`, other runs wrote its records. Raises `Stopped`."""
    started = time.monotonic()
    with Session(options.database) as session:

        def work(cursor: Cursor) -> Outcome:
            return prove(
                cursor,
                load.plan,
                load.export,
                run_folder if is_whole else None,
                loaded_before,
                seconds + time.monotonic() - started,
            )

        followed = session.transact(lambda cursor: _followed(cursor, load.plan.load))
        if followed is not None:
            return followed
        outcome = _with_absent(load, session.transact(work), session, options)
    outcome = _compared(load, outcome, options, run_folder, console)
    if outcome.may_go_on:
        return outcome
    with Session(options.database) as session:
        # Another run may have gone on with windows meanwhile.
        return session.transact(lambda cursor: _followed(cursor, load.plan.load)) or outcome


def _followed(cursor: Cursor, load: Load) -> Outcome | None:
    """The outcome of a load that windows follow, which is finished, and whose target has changed since."""
    return replace(outcome_so_far(cursor, load), done_now=0) if has_windows(cursor, load) else None


def _with_absent(load: BegunLoad, outcome: Outcome, session: Session, options: MigrateOptions) -> Outcome:
    """With a check that warns of the attributes that the definition names and no item of the export has."""
    if outcome.problems:
        return outcome
    absent = session.transact(lambda cursor: absent_attributes(cursor, load.plan.load.load_id))
    if not absent:
        return outcome
    names = sample_names(Planned(load.plan.table, load.export), options.storage)
    # Others may have them: items of another table, or dead letters.
    nobody = "no item that became a row" if any(map(names.has, absent)) else "no item of the export"
    sentence = f"{nobody} has {told_absent(absent, names)}"
    return replace(outcome, checks=(*outcome.checks, Check("attributes of the definition", Verdict.WARNING, sentence)))


def _compared(load: BegunLoad, outcome: Outcome, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    """The outcome with what the gate found, if it is asked for and the load is proved. Raises `Stopped`."""
    if outcome.problems or options.gate is None:
        return outcome
    return pass_gate(load, outcome, options.gate, options, run_folder, console)


def _with_source(outcomes: Sequence[Outcome], loads: Sequence[BegunLoad], options: MigrateOptions) -> Outcome:
    """The last of the outcomes so far, with the check of all tables of its source if it is the last of them. Raises `Stopped`."""
    outcome, export = outcomes[-1], loads[len(outcomes) - 1].export
    of_source = [load for load in loads if load.export == export]
    is_one = len(of_source) == 1 and not of_source[0].plan.table.others
    if is_one or any(load.export == export for load in loads[len(outcomes) :]) or not all(one.may_go_on for one in outcomes):
        return outcome
    with Session(options.database) as session:
        return replace(outcome, checks=(*outcome.checks, session.transact(lambda cursor: check_source(cursor, of_source))))


@dataclass(frozen=True, slots=True)
class _Left:
    """A load, and what of its export is left to visit."""

    load: BegunLoad
    to_visit: LeftToVisit

    def visited(self, run_folder: OutputFolder) -> VisitedLoad:
        visits = LoadChunks(self.load.plan)
        return VisitedLoad(visits, record_folders(run_folder, visits))


def _all_left_to_do(cursor: Cursor, reading: Sequence[BegunLoad]) -> list[_Left]:
    return [_Left(load, _left_to_do(cursor, load)) for load in reading]


def _left_to_do(cursor: Cursor, load: BegunLoad) -> LeftToVisit:
    """Nothing where windows follow: the target is not as the export has it any more. Raises `Stopped` as `left_to_visit` does."""
    if has_windows(cursor, load.plan.load):
        return LeftToVisit([], load.export.items, is_committed=True)
    return left_to_visit(cursor, load.plan, load.export)


def _splits_of(visited: Sequence[_Left]) -> list[Split]:
    """Of each data file that any of the loads of a reading needs."""
    data_files = {data_file.name: data_file for of_load in visited for data_file in of_load.to_visit.data_files}
    return plan_splits(data_files.values(), visited[0].load.plan.load.split_size)


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
        with Session(options.database) as session:
            left = session.transact(partial(_all_left_to_do, reading=reading))
        to_send = [of_load for of_load in left if not of_load.to_visit.is_committed]
        if to_send:
            whereabouts = _send(reading, to_send, options, run_folder)
            sent = [of_load.load.plan.folder for of_load in to_send]
            console.print(f"{', '.join(sent)}: sent; {whereabouts}")
            later = [load.plan.folder for load in loads[len(outcomes) + len(reading) :]]
            following = f"sends the next table (left: {', '.join(later)})" if later else "says what is left to do"
            proved = "this table" if len(reading) == 1 else "these tables"
            console.print(f"when it has ended, give the same command again: it proves {proved} and {following}")
            return replace(run, left_running=tuple(sent))
        for of_load in left:
            items = of_load.load.export.items
            outcome = _proved(of_load.load, options, run_folder, console, is_whole=False, loaded_before=items)
            outcomes.append(_with_source([*outcomes, outcome], loads, options))
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


def _send(reading: Sequence[BegunLoad], to_send: Sequence[_Left], options: MigrateOptions, run_folder: OutputFolder) -> str:
    """Send the job; returns how to see it and how to end it."""
    from pipeline.engines.run import send_pipeline  # noqa: PLC0415 - Beam takes long to import
    from pipeline.job.graph import define_pipeline  # noqa: PLC0415

    define = partial(
        define_pipeline,
        splits=_splits_of(to_send),
        loads=[of_load.visited(run_folder) for of_load in to_send],
        record_format=options.dead_letter_format,
    )
    # One name a reading, whatever is left of it: the service takes no second job of a name while the first runs.
    first = reading[0].plan
    job = send_pipeline(define, options.beam_arguments, f"ddb2pg-{first.folder}-{first.load.migration_microseconds}")
    return job.whereabouts() if job else ""
