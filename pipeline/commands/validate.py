"""`validate`: compares every item of the exports with its row, table after table; writes into a target only to repair it."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from rich.console import Console

from pipeline.errors import Refused
from pipeline.job.compare import CompareChunks, ComparePlan, validate_tables
from pipeline.job.find_loads import ROLLBACK_BEGAN, find_begun_loads, followed_problems
from pipeline.job.plan import BegunLoad, new_run_id
from pipeline.ledger.loads import Cut, Load, Validated, find_load, forget_validated_as_of, note_validated
from pipeline.ledger.windows import chain_of, has_windows
from pipeline.options import ValidateOptions
from pipeline.outcome.outcome import Outcome, Run, begin
from pipeline.outcome.terminal import print_outcome
from pipeline.places.storage import OutputFolder
from pipeline.postcheck.request_file import Request
from pipeline.postcheck.send_requests import check_requests, send_requests
from pipeline.postcheck.sql_checks import pick_spot_checks, refuse_script_file, run_script, write_script
from pipeline.preflight.exports import find_exports, replaced_findings
from pipeline.preflight.findings import problems_in
from pipeline.source.data_file import DataFileRefused
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, describe_database
from pipeline.windows.as_of import CompareAsOf, as_of_load, as_of_problems, find_first_load
from pipeline.windows.own_exports import BegunChain, compare_own_exports, find_windows
from transforms.table import Table


def validate(options: ValidateOptions, console: Console) -> Run:
    """Compare all exports, run the SQL checks, then send the requests; or write the SQL checks into a file.

    Raises `Refused` before anything is done, with every problem that there is; `Stopped` when it ended early.
    """
    if options.emit_sql:
        return _emit_script(options, console)
    run_id, started_at = new_run_id(), datetime.now(UTC)
    loads, chains, requests = _find_all(options, run_id)
    with Session(options.database) as session:
        database = session.transact(describe_database)
    begun = begin(run_id, started_at, options, database, [load.plan for load in loads])
    outcomes = []
    for reading in _readings(loads, chains, options):
        for load, outcome in zip(reading, _compare(reading, chains, options, begun.folder, console), strict=True):
            outcomes.append(outcome)
            print_outcome(console, outcome, "validate")
            with Session(options.database) as session:
                session.transact(partial(_note, load=load.plan.load, outcome=outcome, is_fresh=options.as_of))
    # Of a chain the ledger does not know which items are rows at its end; all of them were compared.
    of_loads = [] if options.as_of else [load for load in loads if load.plan.load.load_id not in chains]
    whole = [load for load, outcome in zip(loads, outcomes, strict=True) if not outcome.problems and load in of_loads]
    targets = {None, *(load.plan.load.target_table for load in loads)}
    targets |= {child.qualified for load in loads for child in load.plan.target.children}
    spot_checks = itertools.chain.from_iterable(map(pick_spot_checks, whole))
    checks = {"sql": [check for check in run_script(options.database, spot_checks) if check.table in targets]}
    if requests is not None:
        checks["requests"] = send_requests(requests, options.database, console)
    return Run("validate", tuple(outcomes), checks, begun=begun)


def _plan(load: BegunLoad, options: ValidateOptions) -> ComparePlan:
    chunks = CompareChunks(load.plan, repair=options.repair, show_values=options.show_values)
    return CompareAsOf(chunks) if options.as_of else chunks


def _note(cursor: Cursor, load: Load, outcome: Outcome, *, is_fresh: bool) -> None:
    """Note an equal result in the ledger; of a chain, that an earlier one is no longer true, whatever it was compared with."""
    if outcome.may_go_on and not outcome.warnings:
        # What a fresh export has proved is more than what the chain's own exports do.
        if is_fresh or not _is_proved(cursor, load):
            note_validated(cursor, load.load_id, Validated.FULL, load.export_time if is_fresh else None)
    elif is_fresh or not outcome.may_go_on:
        forget_validated_as_of(cursor, load.load_id)


def _is_proved(cursor: Cursor, load: Load) -> bool:
    chain = chain_of(cursor, load.target_table)
    return chain is not None and chain.is_proved


Chains = Mapping[int, BegunChain]
"""Of the loads that windows follow, and that are compared with their own exports; by the id of the load."""


def _readings(loads: Sequence[BegunLoad], chains: Chains, options: ValidateOptions) -> Iterator[list[BegunLoad]]:
    """Neighbours that are compared in one reading of their export; where missing rows are inserted, each has its own, as in a load.

    A load that windows follow has its own, too.
    """
    if options.repair:
        yield from ([load] for load in loads)
        return

    def place(load: BegunLoad) -> tuple[Cut, int | None]:
        load_id = load.plan.load.load_id
        return load.plan.load.cut, load_id if load_id in chains else None

    yield from (list(of_place) for _, of_place in itertools.groupby(loads, key=place))


def _compare(
    reading: Sequence[BegunLoad], chains: Chains, options: ValidateOptions, run_folder: OutputFolder, console: Console
) -> Iterator[Outcome]:
    chain = chains.get(reading[0].plan.load.load_id)
    if chain is None:
        yield from validate_tables(reading, [_plan(load, options) for load in reading], options, run_folder, console)
    else:
        yield compare_own_exports(chain, options, run_folder, console)


def _find_all(options: ValidateOptions, run_id: str) -> tuple[list[BegunLoad], Chains, list[Request] | None]:
    """The loads, the windows after them, and the requests. Raises `Refused` with what is wrong with either."""
    requests, problems = check_requests(options.requests, options.database) if options.requests else (None, [])
    if options.as_of and options.repair:
        problems.append("--repair inserts rows of the export that was loaded, and --as_of takes one that was not; leave one of them out")
    try:
        if options.as_of:
            loads = find_begun_loads(options, run_id, find_first_load, _problems_as_of, as_of_load, filters=options)
        else:
            loads = find_begun_loads(options, run_id, find_load, partial(_problems, repair=options.repair), beside_windows=True)
        chains = {} if options.as_of else _find_chains(loads, options)
    except Refused as refused:
        raise Refused([*refused.problems, *problems]) from None
    if problems:
        raise Refused(problems)
    return loads, chains, requests


def _find_chains(loads: Sequence[BegunLoad], options: ValidateOptions) -> Chains:
    """The windows of the loads that windows follow. Raises `Refused` with what is wrong with them."""
    with Session(options.database) as session:
        followed = session.transact(lambda cursor: [load for load in loads if has_windows(cursor, load.plan.load)])
        if not followed:
            return {}
        given = find_exports(options.exports, options.tables, options.storage, takes_windows=True).windows
        exports = {of_table.table.target: of_table.exports for of_table in given}

        def find(cursor: Cursor) -> dict[int, list[BegunLoad | str]]:
            return {
                load.plan.load.load_id: list(find_windows(cursor, load, exports.get(load.plan.table.target, ()), options.unmapped))
                for load in followed
            }

        found = session.transact(find)
    problems = [one for of_load in found.values() for one in of_load if isinstance(one, str)]
    if problems:
        raise Refused(problems)
    windows = {load_id: [one for one in of_load if isinstance(one, BegunLoad)] for load_id, of_load in found.items()}
    return {load.plan.load.load_id: BegunChain(load, windows[load.plan.load.load_id]) for load in followed}


def _problems_as_of(cursor: Cursor, table: Table, target: Target, load: Load) -> Iterator[str]:
    yield from _problems_of_load(cursor, table, target, load)
    yield from as_of_problems(cursor, table, load)


def _problems_of_load(cursor: Cursor, table: Table, target: Target, load: Load) -> Iterator[str]:
    yield from problems_in(replaced_findings(cursor, table, target, load))
    if load.rollback_started_at is not None:
        yield f"{table.target}: {ROLLBACK_BEGAN}"


def _problems(cursor: Cursor, table: Table, target: Target, load: Load, *, repair: bool) -> Iterator[str]:
    yield from _problems_of_load(cursor, table, target, load)
    if repair:
        yield from followed_problems(cursor, table, load, "validate --repair")
    for one, of_table in zip((target, *target.children), (table, *table.child_tables), strict=True):
        if repair and "INSERT" not in one.privileges:
            yield f"{of_table.target}: --repair inserts rows, but this role may not; let its owner GRANT INSERT ON {of_table.target}"


def _problems_of_script(cursor: Cursor, table: Table, target: Target, load: Load) -> Iterator[str]:
    yield from _problems_of_load(cursor, table, target, load)
    yield from followed_problems(cursor, table, load, "validate --emit_sql")


def _emit_script(options: ValidateOptions, console: Console) -> Run:
    """Write the SQL checks with rows of the exports in them.

    Raises `Refused` before anything is written, with every problem that there is; `Stopped`.
    """
    path = options.emit_sql
    if path is None or options.as_of or options.repair or options.show_values or options.requests:
        raise Refused(["--emit_sql writes a script and compares nothing; leave out --as_of, --repair, --show_values and --requests"])
    refuse_script_file(path)
    loads = find_begun_loads(options, new_run_id(), find_load, _problems_of_script)
    try:
        spot_checks = [of_table for load in loads for of_table in pick_spot_checks(load)]
    except DataFileRefused as refused:
        raise Refused([str(refused)]) from None
    write_script(path, spot_checks)
    rows = sum(len(of_load.rows) for of_load in spot_checks)
    console.print(
        f"{path} HOLDS PATIENT DATA: the values of {rows:,} rows; only you can read it, delete it when it has been run", style="bold yellow"
    )
    places = {"checks": str(path), "run it": f'psql "$DATABASE_URL" -q -f {shlex.quote(str(path))}'}
    return Run("validate --emit_sql", results={"sql": str(path)}, places=places)
