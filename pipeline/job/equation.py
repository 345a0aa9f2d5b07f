"""The equation that a load must satisfy before it is called finished.

    manifest itemCount = items read = rows + dead letters, for every data file and for the table

and the ledger agrees with the rows in the target, and with the dead letters and notices in the files of the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.job.plan import LoadPlan
from pipeline.ledger.chunks import Totals, code_counts, file_totals, load_totals, refused_files
from pipeline.ledger.history import loading_runs
from pipeline.ledger.loads import Load, Validated, finish_load
from pipeline.ledger.rollbacks import has_rollback_begun, rollback_totals
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict
from pipeline.places.storage import OutputFolder
from pipeline.preflight.exports import BEGIN_ANEW
from pipeline.records.files import count_records
from pipeline.records.kinds import RecordKind
from pipeline.source.bare import is_bare
from pipeline.source.manifest import Export
from pipeline.target.session import Cursor
from pipeline.target.target import count_rows

_MOST_PROBLEMS: Final = 20  # of one table, in words; the rest as a number
NO_MANIFEST: Final = "there is no manifest: every item of these files is accounted for, but nothing proves that they are all of the table"


def prove(cursor: Cursor, plan: LoadPlan, export: Export, run_folder: OutputFolder | None, loaded_before: int, seconds: float) -> Outcome:
    """The equation, per file and for the table, from the ledger, the target, and the files of this run.

    Without a folder the files are not checked, as when other runs wrote them, and the load is not called finished.
    """
    totals = load_totals(cursor, plan.load.load_id)
    # Counting a large table may take long.
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
    return Outcome(
        source_table=plan.table.source,
        target_table=plan.load.target_table,
        export_id=export.export_id,
        counted="item",
        total=export.items,
        total_words="in the manifest" if export.has_manifest else "counted in the data files",
        seen=totals.items,
        seen_words="read",
        parts=tuple(parts_of_load(totals, export.items)),
        problems=tuple(_shortened(problems)),
        warnings=() if export.has_manifest else (NO_MANIFEST,),
        tallies={"totals": dataclasses.asdict(totals), "dead_letter_codes": dead_letter_codes, "notice_codes": notice_codes},
        target_rows=target_rows,
        done_now=totals.items - loaded_before,
        seconds=seconds,
        runs=loading_runs(cursor, plan.load.load_id),
    )


def parts_of_load(totals: Totals, items: int, lost_words: str = "not accounted for") -> Iterator[Part]:
    yield Part("rows", "rows", totals.rows, PartKind.GOOD)
    yield Part("dead_letters", "dead letters", totals.dead_letters, PartKind.REVIEW)
    if totals.items < items:
        yield Part("lost", lost_words, items - totals.items, PartKind.LOST)


def _problems_of_records(plan: LoadPlan, totals: Totals, run_folder: OutputFolder) -> Iterator[str]:
    for kind, expected in ((RecordKind.DEAD_LETTERS, totals.dead_letters), (RecordKind.NOTICES, totals.notices)):
        written = count_records(run_folder / kind / plan.folder)
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


# -- what the ledger alone knows -----------------------------------------------------------------------------------------------------------

_VALIDATED: Final = {Validated.QUICK: "a sample of rows", Validated.FULL: "every row"}


def outcome_so_far(cursor: Cursor, load: Load) -> Outcome:
    """The outcome of a load so far, finished or not; the target is not checked."""
    totals = load_totals(cursor, load.load_id)
    dead_letter_codes, notice_codes = code_counts(cursor, load.load_id)
    state, is_at_its_end = _state_of(load)
    is_whole = is_at_its_end and totals.items == load.manifest_items
    manifest = " (no manifest)" if is_bare(load.export_id) else ""
    lines = [f"export {load.export_id}{manifest}, load {load.load_id}, begun {load.started_at:%Y-%m-%d %H:%M} UTC"]
    if totals.notices:
        lines.append(f"{totals.notices:,} notices")
    if load.rollback_started_at:
        taken_back = rollback_totals(cursor, load.load_id)
        lines.append(
            f"of {taken_back.rows:,} rows {taken_back.deleted:,} deleted, {taken_back.gone:,} gone before, {taken_back.kept:,} left"
        )
    if is_whole:
        lines.append(state)
    return Outcome(
        source_table=load.source_table,
        target_table=load.target_table,
        export_id=load.export_id,
        counted="item",
        total=load.manifest_items,
        total_words="counted in the data files" if manifest else "in the manifest",
        seen=totals.items,
        seen_words="read",
        parts=tuple(parts_of_load(totals, load.manifest_items, "not loaded")),
        problems=() if is_whole else (state,),
        checks=tuple(Check("load", Verdict.FACT, line) for line in lines),
        tallies={"totals": dataclasses.asdict(totals), "dead_letter_codes": dead_letter_codes, "notice_codes": notice_codes},
        done_now=totals.items,
    )


def _state_of(load: Load) -> tuple[str, bool]:
    """In words, and whether nothing is left to do."""
    if load.rolled_back_at:
        return f"rolled back {load.rolled_back_at:%Y-%m-%d %H:%M} UTC", True
    if load.rollback_started_at:
        return "rollback begun: run rollback --yes again to finish it", False
    if not load.finished_at:
        return "unfinished: run migrate again to go on", False
    validated = f", {_VALIDATED[load.validated]} compared {load.validated_at:%Y-%m-%d %H:%M} UTC" if load.validated else ", not validated"
    return f"finished {load.finished_at:%Y-%m-%d %H:%M} UTC{validated}", True
