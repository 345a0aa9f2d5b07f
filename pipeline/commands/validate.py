"""`validate`: compares every item of the exports with its row, table after table; writes into a target only to repair it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from rich.console import Console

from pipeline.errors import Refused
from pipeline.job.compare import CompareChunks, validate_table
from pipeline.job.find_loads import ROLLBACK_BEGAN, find_begun_loads
from pipeline.job.plan import BegunLoad, new_run_id
from pipeline.ledger.loads import Load, Validated, find_load, note_validated
from pipeline.options import ValidateOptions
from pipeline.outcome.outcome import begin_run
from pipeline.outcome.report import end_run
from pipeline.outcome.terminal import print_outcome
from pipeline.outcome.verdict import ExitCode
from pipeline.postcheck.request_file import Request
from pipeline.postcheck.send_requests import check_requests, send_requests
from pipeline.postcheck.sql_checks import pick_spot_checks, refuse_script_file, run_script, write_script
from pipeline.source.data_file import DataFileRefused
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target
from transforms.table import Table


def validate(options: ValidateOptions, console: Console) -> ExitCode:
    """Compare all exports, run the SQL checks, then send the requests; or write the SQL checks into a file.

    Raises `Refused` before anything is done, with every problem that there is; `Stopped` when it ended early.
    """
    if options.emit_sql:
        return _emit_script(options, console)
    options.output.refuse_unwritable()
    run_id, started_at = new_run_id(), datetime.now(UTC)
    loads, requests = _find_all(options, run_id)
    with Session(options.database) as session:
        run = begin_run("validate", run_id, started_at, session, options.settings, [load.plan for load in loads])
    run_folder = options.output / run_id
    run_folder.make()
    outcomes = []
    for load in loads:
        plan = CompareChunks(load.plan, repair=options.repair, show_values=options.show_values)
        outcome = validate_table(load, plan, options, run_folder, console)
        outcomes.append(outcome)
        print_outcome(console, outcome, "validate")
        if outcome.may_go_on and not outcome.warnings:
            with Session(options.database) as session:
                session.transact(partial(note_validated, load_id=load.plan.load.load_id, validated=Validated.FULL))
    whole = [load for load, outcome in zip(loads, outcomes, strict=True) if not outcome.problems]
    targets = {None, *(load.plan.load.target_table for load in loads)}
    checks = {"sql": [check for check in run_script(options.database, map(pick_spot_checks, whole)) if check.table in targets]}
    if requests is not None:
        checks["requests"] = send_requests(requests, options.database, console)
    return end_run(console, run_folder, run.with_outcomes(outcomes, checks=checks), as_json=options.json)


def _find_all(options: ValidateOptions, run_id: str) -> tuple[list[BegunLoad], list[Request] | None]:
    """The loads and the requests. Raises `Refused` with what is wrong with either."""
    requests, problems = check_requests(options.requests, options.database) if options.requests else (None, [])
    try:
        loads = find_begun_loads(options, run_id, find_load, partial(_problems, repair=options.repair))
    except Refused as refused:
        raise Refused([*refused.problems, *problems]) from None
    if problems:
        raise Refused(problems)
    return loads, requests


def _problems(_cursor: Cursor, table: Table, target: Target, load: Load, *, repair: bool) -> Iterator[str]:
    if load.rollback_started_at is not None:
        yield f"{table.target}: {ROLLBACK_BEGAN}"
    if repair and "INSERT" not in target.privileges:
        yield f"{table.target}: --repair inserts rows, but this role may not; let its owner GRANT INSERT ON {table.target}"


def _emit_script(options: ValidateOptions, console: Console) -> ExitCode:
    """Write the SQL checks with rows of the exports in them.

    Raises `Refused` before anything is written, with every problem that there is; `Stopped`.
    """
    path = options.emit_sql
    if path is None or options.repair or options.show_values or options.requests:
        raise Refused(["--emit_sql writes a script and compares nothing; leave out --repair, --show_values and --requests"])
    refuse_script_file(path)
    loads = find_begun_loads(options, new_run_id(), find_load, partial(_problems, repair=False))
    try:
        spot_checks = [pick_spot_checks(load) for load in loads]
    except DataFileRefused as refused:
        raise Refused([str(refused)]) from None
    write_script(path, spot_checks)
    rows = sum(len(of_load.rows) for of_load in spot_checks)
    console.print(f"checks         {path}")
    console.print(
        f"  IT HOLDS PATIENT DATA: the values of {rows:,} rows; only you can read it, delete it when it has been run", style="bold yellow"
    )
    console.print(f'run it         psql "$DATABASE_URL" -q -f {shlex.quote(str(path))}')
    return ExitCode.DONE
