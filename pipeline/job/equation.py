"""The equation that a load must satisfy before it is called finished.

    manifest itemCount = items read = rows + dead letters, for every data file and for the table

and what the ledger says is really there: the rows in the target, the dead letters and notices in the files of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.job.loading import LoadPlan
from pipeline.ledger.history import loading_runs
from pipeline.ledger.loads import finish_load
from pipeline.ledger.rollbacks import has_rollback_begun
from pipeline.ledger.totals import Totals, code_counts, file_totals, load_totals, refused_files
from pipeline.outcome.result import TableResult
from pipeline.places.output import OutputFolder
from pipeline.preflight.exports import BEGIN_ANEW
from pipeline.records.files import count_records
from pipeline.records.kinds import RecordKind
from pipeline.source.manifest import Export
from pipeline.target.session import Cursor
from pipeline.target.target import count_rows

_MOST_PROBLEMS: Final = 20  # of one table, in words; the rest as a number


def prove(
    cursor: Cursor, plan: LoadPlan, export: Export, run_folder: OutputFolder | None, loaded_before: int, seconds: float
) -> TableResult:
    """The equation, per file and for the table, from the ledger, the target, and the files of this run.

    Without a folder those are not looked at, as when other runs wrote them, and the load is not called finished.
    """
    totals = load_totals(cursor, plan.load.load_id)
    # Counting a large table takes what it takes.
    cursor.execute("SET LOCAL statement_timeout = 0")
    target_rows = count_rows(cursor, plan.target)
    problems = _problems_of_files(cursor, plan, export)
    if has_rollback_begun(cursor, plan.load.load_id):
        problems.append("a rollback of this load was begun; finish it: run ddb2pg rollback with --yes")
    if not problems and totals.items != export.items:
        problems.append(f"the manifest has {export.items:,} items, but {totals.items:,} were read")
    if target_rows < totals.rows and not plan.target.has_row_security:
        problems.append(
            f"{plan.table.target} holds {target_rows:,} rows, fewer than the {totals.rows:,} that were loaded: "
            f"rows were deleted since; {BEGIN_ANEW.format(table=plan.table.target, export=export.export_id)}"
        )
    if run_folder is not None and not problems:
        problems += _problems_of_records(plan, totals, run_folder)
    if not problems and run_folder is not None:
        finish_load(cursor, plan.load)
    dead_letter_codes, notice_codes = code_counts(cursor, plan.load.load_id)
    return TableResult(
        source_table=plan.table.source,
        target_table=plan.load.target_table,
        export_id=export.export_id,
        manifest_items=export.items,
        has_manifest=export.has_manifest,
        totals=totals,
        target_rows=target_rows,
        dead_letter_codes=dead_letter_codes,
        notice_codes=notice_codes,
        loaded_now=totals.items - loaded_before,
        seconds=seconds,
        problems=tuple(_shortened(problems)),
        runs=loading_runs(cursor, plan.load.load_id),
    )


def _problems_of_records(plan: LoadPlan, totals: Totals, run_folder: OutputFolder) -> Iterator[str]:
    for kind, expected in ((RecordKind.DEAD_LETTERS, totals.dead_letters), (RecordKind.NOTICES, totals.notices)):
        written = count_records(run_folder / kind / plan.table.source)
        if written != expected:
            yield f"{run_folder / kind}: holds {written:,} records, but the ledger knows {expected:,}; run the same command again"


def _problems_of_files(cursor: Cursor, plan: LoadPlan, export: Export) -> list[str]:
    problems = refused_files(cursor, plan.load.load_id, plan.run_id)
    done = dict(file_totals(cursor, plan.load.load_id))
    for data_file in export.data_files:
        items = done.pop(data_file.name, Totals()).items
        if items != data_file.items and not any(problem.startswith(f"{data_file.uri}:") for problem in problems):
            problems.append(f"{data_file.uri}: the manifest has {data_file.items:,} items, but {items:,} were read")
    return problems


def _shortened(problems: Sequence[str]) -> Iterator[str]:
    yield from problems[:_MOST_PROBLEMS]
    if len(problems) > _MOST_PROBLEMS:
        yield f"... and {len(problems) - _MOST_PROBLEMS:,} more like these"
