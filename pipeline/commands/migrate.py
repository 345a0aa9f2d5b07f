"""`migrate`: check everything, then load table after table, and go on only when the last one is proved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from rich.console import Console

from pipeline.commands.run_id import new_run_id
from pipeline.engines.arguments import WorkerLimit, option_names
from pipeline.engines.runners import planned_workers, prepare_workers, worker_count, worker_limit
from pipeline.errors import Refused
from pipeline.job.begun_loads import BegunLoad, CheckOptions
from pipeline.job.equation import prove
from pipeline.job.gate import pass_gate
from pipeline.job.guard import stop_if_exceeded
from pipeline.job.loading import LoadPlan
from pipeline.job.threshold import USUAL, Threshold
from pipeline.ledger.loads import Load, Validated, create_ledger, find_load, start_load
from pipeline.ledger.totals import Totals, file_totals, load_totals
from pipeline.outcome.outcome import Outcome, Run
from pipeline.outcome.progress import shown_progress
from pipeline.outcome.terminal import print_outcome
from pipeline.places.storage import OutputFolder, Storage
from pipeline.preflight.check import check, table_findings
from pipeline.preflight.exports import Planned
from pipeline.preflight.findings import Finding, problems_in
from pipeline.preflight.terminal import print_warnings
from pipeline.records.kinds import RecordFormat
from pipeline.source.chunks import ChunkSize, Split, SplitSize, plan_splits
from pipeline.source.given import ExportArgument
from pipeline.source.manifest import Export
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, Session
from pipeline.target.target import DatabaseFacts, Target, describe_database, find_target, read_row_security
from transforms.table import Table, Unmapped


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    """What `migrate` was asked for."""

    exports: Sequence[ExportArgument]
    database: DatabaseReference
    output: OutputFolder
    tables: Sequence[Table]
    unmapped: Unmapped
    chunk_size: ChunkSize
    split_size: SplitSize
    storage: Storage
    beam_arguments: Sequence[str]
    dead_letter_format: RecordFormat = RecordFormat.JSONL
    threshold: Threshold = USUAL
    """Of dead letters."""
    gate: Validated | None = Validated.QUICK
    """How thoroughly a table that is loaded is held against its export."""

    @property
    def check(self) -> CheckOptions:
        """What of it the gate is asked for."""
        return CheckOptions(self.exports, self.database, self.output, self.tables, self.unmapped, self.storage, self.beam_arguments)

    @property
    def limit(self) -> WorkerLimit:
        """The option that lowers the number of workers."""
        return worker_limit(self.beam_arguments)

    def workers(self, items: int, splits: int, /) -> int | None:
        """How many so many items in so many splits get; None where only the runner knows."""
        return planned_workers(self.beam_arguments, items, splits)

    @property
    def settings(self) -> dict[str, object]:
        """For the report: no secret, and nothing that may hold one."""
        return {
            "exports": [argument.uri for argument in self.exports],
            "output": str(self.output),
            "unmapped": self.unmapped,
            "chunk_items": self.chunk_size.items,
            "chunk_bytes": self.chunk_size.bytes,
            "split_items": self.split_size.items,
            "most_splits": self.split_size.most,
            "dead_letter_format": self.dead_letter_format,
            "max_dead_letters": str(self.threshold),
            "validate": self.gate or "none",
            "beam_options": option_names(self.beam_arguments),
        }


def migrate(options: MigrateOptions, console: Console) -> tuple[OutputFolder, Run]:
    """Load all exports; returns the run's folder, and what came of it: it ends at the first table that may not go on.

    Raises `Refused` before anything is written, with every problem that there is; `Stopped` when a load ended early. Warnings of the
    preflight are printed; `ddb2pg preflight` shows the facts, too.
    """
    run_id, started_at = new_run_id(), datetime.now(UTC)
    prepared, database, findings = begin(options, run_id, console)
    run_folder = options.output / run_id
    run_folder.make()
    tables = [load.plan.table for load in prepared]
    outcomes = []
    for load in prepared:
        outcomes.append(_load_table(load, options, run_folder, console))
        print_outcome(console, outcomes[-1], "migrate")
        if not outcomes[-1].may_go_on:
            break
    return run_folder, Run(
        command="migrate",
        run_id=run_id,
        started_at=started_at,
        database=database,
        settings=options.settings,
        attributes={table.source: table.paths for table in tables},
        outcomes=tuple(outcomes),
        checks={"preflight": [finding.as_check for finding in findings]},
        not_begun=tuple(table.source for table in tables[len(outcomes) :]),
    )


def begin(options: MigrateOptions, run_id: str, console: Console) -> tuple[list[BegunLoad], DatabaseFacts, Sequence[Finding]]:
    """Check everything, and enter the loads of all exports in the ledger. Raises `Refused`, `Stopped`."""
    checked = check(options)
    problems = problems_in(checked.findings)
    if problems:
        raise Refused(problems)
    print_warnings(console, checked.findings)
    prepared, database = _prepare(options, checked.planned, run_id)
    largest = max((one.export.usual_items(one.export.items) for one in prepared if one.plan.load.finished_at is None), default=0)
    prepare_workers(options.beam_arguments, largest, options.split_size.most, "pipeline.job.graph")
    return prepared, database, checked.findings


# -- before anything is written ------------------------------------------------------------------------------------------------------------


def _prepare(options: MigrateOptions, planned: Sequence[Planned], run_id: str) -> tuple[list[BegunLoad], DatabaseFacts]:
    """Enter the loads in the ledger, all or none.

    Somebody may have changed a target or started a load since we looked: under the ledger's lock, look again.
    """

    def work(cursor: Cursor) -> tuple[list[BegunLoad], DatabaseFacts]:
        create_ledger(cursor)
        targets = [(one, find_target(cursor, one.table.target)) for one in planned]
        problems = problems_in(finding for one, target in targets for finding in table_findings(cursor, one, target, options.unmapped))
        if problems:
            raise Refused(problems)
        prepared = [_enter(cursor, options, run_id, one, target) for one, target in targets if target is not None]
        return prepared, describe_database(cursor)

    with Session(options.database) as session:
        return session.transact(work)


def _enter(cursor: Cursor, options: MigrateOptions, run_id: str, planned: Planned, target: Target) -> BegunLoad:
    """Find or start the load."""
    table, export = planned.table, planned.export
    load = find_load(cursor, export.export_id, target.qualified)
    if load is None:
        row_security = read_row_security(cursor, target)
        load = start_load(cursor, export, table, target.qualified, options.chunk_size, options.unmapped, options.split_size, row_security)
    return BegunLoad(export, LoadPlan(load, table, target, options.database, run_id, options.storage, options.threshold))


# -- one table -----------------------------------------------------------------------------------------------------------------------------


def _load_table(prepared: BegunLoad, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    plan = prepared.plan
    started = time.monotonic()
    with Session(options.database) as session:
        before = session.transact(lambda cursor: committed_before(cursor, plan))
        loaded_before = sum(totals.items for totals in before.values())
        splits = splits_to_do(prepared.export, plan.load, before)
        if splits:
            session.close()  # the workers load, and may need every connection there is
            _run_load(prepared, splits, loaded_before, options, run_folder, console)
        outcome = session.transact(
            lambda cursor: prove(cursor, plan, prepared.export, run_folder, loaded_before, time.monotonic() - started)
        )
    return held_against_export(prepared, outcome, options, run_folder, console)


def held_against_export(load: BegunLoad, outcome: Outcome, options: MigrateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    """The outcome with what the gate found, if it is asked for and the load is proved. Raises `Stopped`."""
    if outcome.problems or options.gate is None:
        return outcome
    return pass_gate(load, outcome, options.gate, options.check, run_folder, console)


def _run_load(
    prepared: BegunLoad, splits: Sequence[Split], loaded_before: int, options: MigrateOptions, run_folder: OutputFolder, console: Console
) -> None:
    """The job. Beam takes a second to import, and a load that is finished does without."""
    from pipeline.engines.run import run_pipeline  # noqa: PLC0415
    from pipeline.job.graph import define_pipeline  # noqa: PLC0415

    plan = prepared.plan
    items = sum(split.items for split in splits)
    define = partial(define_pipeline, splits=splits, plan=plan, run_folder=run_folder, record_format=options.dead_letter_format)
    with shown_progress(console, options.database, plan.load, loaded_before):
        run_pipeline(define, options.beam_arguments, worker_count(prepared.export.usual_items(items), len(splits)), plan.job_name)


def committed_before(cursor: Cursor, plan: LoadPlan) -> dict[str, Totals]:
    """Of each data file. Raises `Stopped` if those have too many dead letters for the load to go on."""
    stop_if_exceeded(cursor, plan.threshold, plan.load, load_totals(cursor, plan.load.load_id))
    return dict(file_totals(cursor, plan.load.load_id))


def splits_to_do(export: Export, load: Load, done: dict[str, Totals]) -> list[Split]:
    """Every data file but those that are in the target whole, with nothing to tell of them."""

    def is_done(name: str, items: int) -> bool:
        totals = done.get(name, Totals())
        # An empty file is done when it has been seen to be empty, which only a finished load says.
        return totals.items == items and totals.is_clean and (items > 0 or load.finished_at is not None)

    to_do = [data_file for data_file in export.data_files if not is_done(data_file.name, data_file.items)]
    return plan_splits(to_do, load.split_size)
