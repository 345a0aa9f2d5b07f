"""`migrate`: check everything, then load table after table, and go on only when the last one is proved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from pipeline.checks.equation import prove
from pipeline.checks.preflight import database_problems, load_problems, target_problems
from pipeline.engine import run_pipeline, worker_count
from pipeline.errors import Refused
from pipeline.export.chunks import ChunkSize, Split, SplitSize, plan_splits
from pipeline.export.given import ExportArgument
from pipeline.export.manifest import Export
from pipeline.given_tables import find_exports, new_run_id
from pipeline.job import define_pipeline
from pipeline.loading import LoadPlan
from pipeline.postgres import ledger
from pipeline.postgres.database_url import DatabaseReference
from pipeline.postgres.ledger import Load, Totals
from pipeline.postgres.session import Cursor, Session, why_not_connected
from pipeline.postgres.target import Target, find_target
from pipeline.report.progress import shown_progress
from pipeline.report.result import TableResult
from pipeline.report.terminal import print_result
from pipeline.storage import Storage
from transforms.table import Table, Unmapped


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    """What `migrate` was asked for."""

    exports: Sequence[ExportArgument]
    database: DatabaseReference
    output: Path
    tables: Sequence[Table]
    unmapped: Unmapped
    chunk_size: ChunkSize
    split_size: SplitSize
    storage: Storage
    beam_arguments: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One table, checked and entered in the ledger."""

    export: Export
    plan: LoadPlan


def migrate(options: MigrateOptions, console: Console) -> tuple[Path, list[TableResult]]:
    """Load all exports; returns the run's folder and the results, the last of which is not proved if the run ended there.

    Raises `Refused` before anything is written, with every problem that there is; `Stopped` when a load ended early.
    """
    run_id = new_run_id()
    exports, problems = find_exports(options.exports, options.tables, options.output, options.storage)
    prepared = _prepare(options, exports, run_id, problems)
    given = {table.source for table, _ in exports}
    for source in (table.source for table in options.tables if table.source not in given):
        console.print(f"no export was given for {source}", highlight=False)
    run_folder = options.output / run_id
    run_folder.mkdir(parents=True)
    results = []
    for table in prepared:
        results.append(_load_table(table, options, run_folder, console))
        print_result(console, results[-1])
        if not results[-1].is_proved:
            break
    return run_folder, results


# -- before anything is written ------------------------------------------------------------------------------------------------------------


def _prepare(options: MigrateOptions, exports: Sequence[tuple[Table, Export]], run_id: str, before: list[str]) -> list[_Prepared]:
    """Check the database and enter the loads in the ledger, in one transaction: at any problem, also one from before, nothing is there."""
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([*before, sentence])

    def work(cursor: Cursor) -> list[_Prepared]:
        ledger.bring_up_to_date(cursor)
        problems = [*before, *database_problems(cursor)]
        targets = [find_target(cursor, table.target) for table, _ in exports]
        for (table, export), target in zip(exports, targets, strict=True):
            problems.extend(target_problems(cursor, table, target))
            problems.extend(load_problems(cursor, export, table, target, options.unmapped))
        if problems:
            raise Refused(problems)
        ledger.create(cursor)
        return [
            _enter(cursor, options, run_id, table, export, target)
            for (table, export), target in zip(exports, targets, strict=True)
            if target is not None
        ]

    with Session(options.database) as session:
        return session.transact(work)


def _enter(cursor: Cursor, options: MigrateOptions, run_id: str, table: Table, export: Export, target: Target) -> _Prepared:
    """Find or start the load. Another run may have started it since we looked: under the ledger's lock, look again."""
    problems = list(load_problems(cursor, export, table, target, options.unmapped))
    if problems:
        raise Refused(problems)
    load = ledger.find_load(cursor, export.export_id, target.qualified)
    load = load or ledger.start_load(cursor, export, table, target.qualified, options.chunk_size, options.unmapped, options.split_size)
    return _Prepared(export, LoadPlan(load, table, target, options.database, run_id, options.storage))


# -- one table -----------------------------------------------------------------------------------------------------------------------------


def _load_table(prepared: _Prepared, options: MigrateOptions, run_folder: Path, console: Console) -> TableResult:
    plan = prepared.plan
    started = time.monotonic()
    with Session(options.database) as session:
        before = session.transact(lambda cursor: dict(ledger.file_totals(cursor, plan.load.load_id)))
    loaded_before = sum(totals.items for totals in before.values())
    splits = _splits_to_do(prepared.export, plan.load, before)
    if splits:
        items = sum(split.items for split in splits)
        define = partial(define_pipeline, splits=splits, plan=plan, run_folder=run_folder)
        with shown_progress(console, options.database, plan.load, loaded_before):
            run_pipeline(define, options.beam_arguments, worker_count(items, len(splits)))
    with Session(options.database) as session:
        return session.transact(lambda cursor: prove(cursor, plan, prepared.export, run_folder, loaded_before, time.monotonic() - started))


def _splits_to_do(export: Export, load: Load, done: dict[str, Totals]) -> list[Split]:
    """Every data file but those that are in the target whole, with nothing to tell of them."""

    def is_done(name: str, items: int) -> bool:
        totals = done.get(name, Totals())
        # An empty file is done when it has been seen to be empty, which only a finished load says.
        return totals.items == items and totals.is_clean and (items > 0 or load.finished_at is not None)

    to_do = [data_file for data_file in export.data_files if not is_done(data_file.name, data_file.items)]
    return plan_splits(to_do, load.split_size)
