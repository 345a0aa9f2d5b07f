"""`validate`: every item of the exports against its row, table after table; writes nothing into a target unless it is to repair."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from pipeline.commands.run_id import new_run_id
from pipeline.engines.run import run_pipeline
from pipeline.engines.runners import worker_count
from pipeline.errors import Refused
from pipeline.job.begun_loads import BegunLoad, CheckOptions, find_begun_loads
from pipeline.job.chunk_check import forget
from pipeline.job.compare_chunk import ValidationPlan
from pipeline.job.conclusion import conclude
from pipeline.job.graph import define_check
from pipeline.ledger.comparisons import compared_items
from pipeline.ledger.loads import Load, Validated, find_load, note_validated
from pipeline.ledger.totals import Totals
from pipeline.outcome.outcome import Outcome, Run, begin_run
from pipeline.outcome.progress import shown_progress
from pipeline.outcome.terminal import print_outcome
from pipeline.places.storage import OutputFolder
from pipeline.postcheck.requests.check import check_requests, send_requests
from pipeline.postcheck.requests.request import Request
from pipeline.postcheck.requests.terminal import print_request
from pipeline.postcheck.sql_checks import pick_spot_checks, refuse_script_file, run_script, write_script
from pipeline.records.kinds import RecordKind
from pipeline.source.chunks import plan_splits
from pipeline.source.data_file import DataFileRefused
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target
from transforms.table import Table


@dataclass(frozen=True, slots=True)
class ValidateOptions:
    """What `validate` was asked for."""

    check: CheckOptions
    repair: bool
    show_values: bool
    requests: Path | None = None
    """A file of requests to the application, sent when all is compared."""

    @property
    def settings(self) -> dict[str, object]:
        """For the report: no secret, and nothing that may hold one."""
        return {
            **self.check.settings,
            "repair": self.repair,
            "show_values": self.show_values,
            "requests": str(self.requests) if self.requests else "none",
        }


def validate(options: ValidateOptions, console: Console) -> tuple[OutputFolder, Run]:
    """Compare all exports, run the SQL checks, then send the requests; returns the run's folder, and what came of it.

    Raises `Refused` before anything is done, with every problem that there is; `Stopped` when it ended early.
    """
    run_id, started_at = new_run_id(), datetime.now(UTC)
    begun, requests = _find_all(options, run_id)
    database = options.check.database
    with Session(database) as session:
        run = begin_run("validate", run_id, started_at, session, options.settings, [load.plan.table for load in begun])
    run_folder = options.check.output / run_id
    run_folder.make()
    outcomes = []
    for load in begun:
        plan = ValidationPlan(load.plan, repair=options.repair, show_values=options.show_values)
        outcome = validate_table(load, plan, options.check, run_folder, console)
        outcomes.append(outcome)
        print_outcome(console, outcome, "validate")
        if outcome.may_go_on and not outcome.warnings:
            with Session(database) as session:
                session.transact(lambda cursor, load=load: note_validated(cursor, load.plan.load.load_id, Validated.FULL))  # type: ignore[misc]
    whole = [load for load, outcome in zip(begun, outcomes, strict=True) if not outcome.problems]
    targets = {None, *(load.plan.load.target_table for load in begun)}
    checks = {"sql": [check for check in run_script(database, map(pick_spot_checks, whole)) if check.table in targets]}
    if requests is not None:
        checks["requests"] = [result.as_check for result in send_requests(requests, database, partial(print_request, console))]
    return run_folder, run.with_outcomes(outcomes, checks=checks)


def _find_all(options: ValidateOptions, run_id: str) -> tuple[list[BegunLoad], list[Request] | None]:
    """The loads and the requests. Raises `Refused` with what is wrong with either."""
    requests, of_requests = check_requests(options.requests, options.check.database) if options.requests else (None, [])
    try:
        begun = find_begun_loads(options.check, run_id, find_load, partial(_problems, repair=options.repair))
    except Refused as refused:
        raise Refused([*refused.problems, *of_requests]) from None
    if of_requests:
        raise Refused(of_requests)
    return begun, requests


def emit_script(options: CheckOptions, path: Path) -> int:
    """Write the SQL checks with rows of the exports in them; returns how many rows those are.

    Raises `Refused` before anything is written, with every problem that there is; `Stopped`.
    """
    refuse_script_file(path)
    begun = find_begun_loads(options, new_run_id(), find_load, partial(_problems, repair=False))
    try:
        spot_checks = [pick_spot_checks(load) for load in begun]
    except DataFileRefused as refused:
        raise Refused([str(refused)]) from None
    write_script(path, spot_checks)
    return sum(len(one.rows) for one in spot_checks)


def _problems(_cursor: Cursor, table: Table, target: Target, load: Load, *, repair: bool) -> Iterator[str]:
    if load.rollback_started_at is not None:
        yield f"{table.target}: a rollback of its load was begun; finish it: run ddb2pg rollback with --yes"
    if repair and "INSERT" not in target.privileges:
        yield f"{table.target}: --repair inserts rows, but this role may not; let its owner GRANT INSERT ON {table.target}"


def validate_table(load: BegunLoad, plan: ValidationPlan, options: CheckOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    """Compare one table, and add up what was found."""
    folder = run_folder / RecordKind.MISMATCHES / load.plan.table.source
    started = time.monotonic()
    try:
        compare_chunks(load, plan, options, folder, console)
        with Session(options.database) as session:
            return session.transact(lambda cursor: conclude(cursor, load, plan, folder, time.monotonic() - started))
    finally:
        forget(plan.load_plan)


def compare_chunks(load: BegunLoad, plan: ValidationPlan, options: CheckOptions, folder: OutputFolder, console: Console) -> None:
    """Run the job that compares every chunk of an export; what it finds is in the ledger, and in files of the folder."""
    splits = plan_splits(load.export.data_files, load.plan.load.split_size)
    if not splits:
        return
    define = partial(define_check, splits=splits, plan=plan, folder=folder)

    def compared(cursor: Cursor) -> Totals:
        items, mismatches = compared_items(cursor, plan.comparing)
        return Totals(items=items, dead_letters=mismatches)

    with shown_progress(console, options.database, load.plan.load, 0, read=compared, found="mismatches"):
        run_pipeline(
            define, options.beam_arguments, worker_count(load.export.usual_items(load.export.items), len(splits)), plan.load_plan.job_name
        )
