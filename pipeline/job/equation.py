"""The equation that a load must satisfy before it is called finished.

    manifest itemCount = items read = rows + dead letters + filtered, for every data file and for the table

and the ledger agrees with the rows in the target, and with the dead letters and notices in the files of the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.console import counted_in_words
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.ledger.changes import AppliedCounts, applied_totals, count_outdated
from pipeline.ledger.chunks import (
    Totals,
    child_totals,
    code_counts,
    file_totals,
    filter_reasons,
    load_totals,
    refused_files,
    source_totals,
    taken_counts,
)
from pipeline.ledger.history import loading_runs
from pipeline.ledger.loads import Load, Validated, finish_load
from pipeline.ledger.rollbacks import has_rollback_begun, rollback_totals
from pipeline.ledger.window_rollbacks import swept_rows, window_rollback_totals
from pipeline.ledger.windows import chain_of
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict, filtered_part
from pipeline.places.storage import OutputFolder
from pipeline.preflight.exports import BEGIN_ANEW
from pipeline.records.files import count_records
from pipeline.records.kinds import RecordKind
from pipeline.source.bare import is_bare
from pipeline.source.manifest import Export
from pipeline.source.windows import shown_time
from pipeline.target.session import Cursor
from pipeline.target.target import count_rows
from transforms.where import IGNORED

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
    problems = problems_of_files(cursor, plan, export)
    if has_rollback_begun(cursor, plan.load.load_id):
        problems.append("a rollback of this load was begun; finish it: run ddb2pg rollback with --yes")
    if not problems and totals.items != export.items:
        problems.append(f"the manifest has {export.items:,} items, but {totals.items:,} were read")
    if target_rows < totals.rows and not plan.target.has_row_security:
        problems.append(
            f"{plan.table.target} holds {target_rows:,} rows, fewer than the {totals.rows:,} that were loaded: "
            f"rows were deleted since; {BEGIN_ANEW.format(table=plan.table.target, export=export.export_id)}"
        )
    child_rows = child_totals(cursor, plan.load.load_id, len(plan.table.children))
    problems += _problems_of_children(cursor, plan, child_rows)
    if run_folder is not None and not problems:
        problems += problems_of_records(plan, totals, run_folder)
    if not problems and run_folder is not None:
        finish_load(cursor, plan.load)
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
        problems=tuple(shortened(problems)),
        warnings=() if export.has_manifest else (NO_MANIFEST,),
        tallies={
            **tallies_of(cursor, plan.load.load_id, totals),
            **child_tally([child.target for child in plan.table.children], child_rows),
        },
        target_rows=target_rows,
        done_now=totals.items - loaded_before,
        seconds=seconds,
        runs=loading_runs(cursor, plan.load.load_id),
    )


def parts_of_load(totals: Totals, items: int, lost_words: str = "not accounted for") -> Iterator[Part]:
    yield Part("rows", "rows", totals.rows, PartKind.GOOD)
    yield Part("dead_letters", "dead letters", totals.dead_letters, PartKind.REVIEW)
    yield from filtered_part(totals.filtered)
    if totals.items < items:
        yield Part("lost", lost_words, items - totals.items, PartKind.LOST)


def parts_of_window(counts: AppliedCounts, records: int) -> Iterator[Part]:
    """What became of the records of a window."""
    for name in ("inserted", "updated", "unchanged", "deleted", "absent"):
        yield Part(name, name, getattr(counts, name), PartKind.GOOD)
    yield from filtered_part(counts.filtered)
    yield Part("conflicts", "conflicts", counts.conflicts, PartKind.REVIEW)
    yield Part("dead_letters", "dead letters", counts.dead_letters, PartKind.REVIEW)
    if counts.records - counts.set_aside < records:
        yield Part("lost", "not applied", records - counts.records + counts.set_aside, PartKind.LOST)


def check_source(cursor: Cursor, loads: Sequence[BegunLoad]) -> Check:
    """Whether every item of a source went to at least one table, is ignored on purpose, or is a dead letter, in every data file.

    `loads` are all those of the source's definitions, each proved: the first has a dead letter (`no_table`) of each item that none takes.
    """
    first, load_ids = loads[0], [load.plan.load.load_id for load in loads]
    files = list(source_totals(cursor, load_ids, IGNORED))
    items, ignored = sum(of_file.items for of_file in files), sum(of_file.ignored for of_file in files)
    totals = [load_totals(cursor, load.plan.load.load_id) for load in loads]
    parts = [f"{total.taken:,} for {load.plan.table.target}" for load, total in zip(loads, totals, strict=True)]
    if ignored:
        parts.append(f"{ignored:,} ignored by the definitions")
    left = sum(max(0, of_file.items - of_file.taken - of_file.ignored) for of_file in files)
    name = "every item went to a table, is ignored by the definitions, or is a dead letter"
    detail = f"of {items:,} items of {first.plan.table.source}: {', '.join(parts)}"
    taken_by = taken_counts(cursor, load_ids)
    if taken_by and sum(taken_by) == items:
        # Counted item by item, so that one that two tables took cannot stand for one that none took.
        by_none, by_one, *by_several = taken_by
        detail += f"; {by_one:,} went to one table, {sum(by_several):,} to several, {by_none:,} to none"
        left = max(left, abs(by_none - sum(of_file.ignored_at_first for of_file in files)))
    if left:
        return Check(name, Verdict.FAIL, f"{detail}; {left:,} went nowhere: roll these loads back, and begin anew (docs/rollback.md)")
    return Check(name, Verdict.PASS, detail)


def tallies_of(cursor: Cursor, load_id: int, totals: Totals) -> dict[str, dict[str, int]]:
    dead_letter_codes, notice_codes = code_counts(cursor, load_id)
    return {
        "totals": dataclasses.asdict(totals),
        "dead_letter_codes": dead_letter_codes,
        "filter_reasons": filter_reasons(cursor, load_id),
        "notice_codes": notice_codes,
    }


def child_tally(targets: Sequence[str], child_rows: Sequence[int]) -> dict[str, dict[str, int]]:
    """Rows by child target; nothing of a table without children."""
    return {"child_rows": dict(zip(targets, child_rows, strict=True))} if targets else {}


def _problems_of_children(cursor: Cursor, plan: LoadPlan, child_rows: Sequence[int]) -> Iterator[str]:
    for target, loaded in zip(plan.target.children, child_rows, strict=True):
        rows = count_rows(cursor, target)
        if rows < loaded and not target.has_row_security:
            yield (
                f"{target.qualified} holds {rows:,} rows, fewer than the {loaded:,} that were loaded: rows were deleted since; "
                f"{BEGIN_ANEW.format(table=target.qualified, export=plan.load.export_id)}"
            )


def problems_of_records(plan: LoadPlan, totals: Totals, run_folder: OutputFolder) -> Iterator[str]:
    for kind, expected in ((RecordKind.DEAD_LETTERS, totals.dead_letters), (RecordKind.NOTICES, totals.notices)):
        written = count_records(run_folder / kind / plan.folder)
        if written != expected:
            yield f"{run_folder / kind}: holds {written:,} records, but the ledger knows {expected:,}; run the same command again"


def problems_of_files(cursor: Cursor, plan: LoadPlan, export: Export) -> list[str]:
    refused = refused_files(cursor, plan.load.load_id, plan.run_id)
    done = dict(file_totals(cursor, plan.load.load_id))
    missing = []
    for data_file in export.data_files:
        totals = done.get(data_file.name, Totals())
        if totals.items == data_file.items and totals.is_clean and data_file.items:
            # With nothing left to do or to tell of it, the file was read for the other loads of the reading.
            refused.pop(data_file.name, None)
        elif totals.items != data_file.items and data_file.name not in refused:
            missing.append(f"{data_file.uri}: the manifest has {data_file.items:,} items, but {totals.items:,} were read")
    return [*refused.values(), *missing]


def shortened(problems: Sequence[str]) -> Iterator[str]:
    yield from problems[:_MOST_PROBLEMS]
    if len(problems) > _MOST_PROBLEMS:
        yield f"... and {len(problems) - _MOST_PROBLEMS:,} more like these"


# -- what the ledger alone knows -----------------------------------------------------------------------------------------------------------

_VALIDATED: Final = {Validated.QUICK: "a sample of rows", Validated.FULL: "every row"}


def outcome_so_far(cursor: Cursor, load: Load) -> Outcome:
    """The outcome of a load so far, finished or not; the target is not checked."""
    totals = load_totals(cursor, load.load_id)
    counts = applied_totals(cursor, load.load_id) if load.link else None
    state, is_at_its_end = _state_of(load)
    is_whole = is_at_its_end and totals.items == load.manifest_items
    manifest = " (no manifest)" if is_bare(load.export_id) else ""
    lines = [f"export {load.export_id}{manifest}, load {load.load_id}, begun {load.started_at:%Y-%m-%d %H:%M} UTC"]
    outdated = count_outdated(cursor, load.chain, load.load_id if load.link else None)
    lines += _lines_of_chain(cursor, load, outdated)
    if totals.notices:
        lines.append(counted_in_words(totals.notices, "notice"))
    if load.rollback_started_at:
        lines.append(_taken_back(cursor, load))
    if is_whole:
        lines.append(state)
    return Outcome(
        source_table=load.source_table,
        target_table=load.target_table,
        export_id=load.export_id,
        counted="record" if load.link else "item",
        total=load.manifest_items,
        total_words="counted in the data files" if manifest else "in the manifest",
        seen=totals.items,
        seen_words="read",
        parts=tuple(parts_of_window(counts, load.manifest_items) if counts else parts_of_load(totals, load.manifest_items, "not loaded")),
        problems=() if is_whole else (state,),
        checks=tuple(Check("load", Verdict.FACT, line) for line in lines),
        tallies={**tallies_of(cursor, load.load_id, totals), **_children_so_far(cursor, load)},
        done_now=totals.items,
        window=load.link.number if load.link else None,
        changes_from=load.link.window.from_time if load.link else None,
        changes_to=load.link.window.to_time if load.link else None,
        outdated=outdated if load.link else 0,
    )


def _taken_back(cursor: Cursor, load: Load) -> str:
    swept = swept_rows(cursor, load.chain)
    if swept is not None:
        return f"with its whole chain: {swept:,} rows deleted"
    if load.link:
        of_window = window_rollback_totals(cursor, load.load_id)
        counts = of_window.counts
        return f"of {of_window.records:,} records {counts.changed:,} taken back, {counts.idle:,} did nothing, {of_window.kept:,} left"
    totals = rollback_totals(cursor, load.load_id)
    return f"of {totals.rows:,} rows {totals.deleted:,} deleted, {totals.gone:,} gone before, {totals.kept:,} left"


def _lines_of_chain(cursor: Cursor, load: Load, outdated: int) -> Iterator[str]:
    """Of a window its place; of a load that windows follow, how far these are."""
    if load.link:
        window = load.link.window
        yield f"window {load.link.number} after load {load.link.chain}, {shown_time(window.from_time)} to {shown_time(window.to_time)}"
    elif (chain := chain_of(cursor, load.target_table)) and chain.full == load and chain.windows and chain.end:
        begun = ", another one is begun" if chain.begun else ""
        yield f"{counted_in_words(len(chain.applied), 'window')} applied after it, up to {shown_time(chain.end)}{begun}"
    if outdated:
        yield f"{counted_in_words(outdated, 'row')} of the target older than the item: later records are dead letters"


def _children_so_far(cursor: Cursor, load: Load) -> dict[str, dict[str, int]]:
    targets = [child.target_table for child in load.children]
    return child_tally(targets, child_totals(cursor, load.load_id, len(targets)))


def _state_of(load: Load) -> tuple[str, bool]:
    """In words, and whether nothing is left to do."""
    if load.rolled_back_at:
        return f"rolled back {load.rolled_back_at:%Y-%m-%d %H:%M} UTC", True
    if load.rollback_started_at:
        return "rollback begun: run rollback --yes again to finish it", False
    if load.link and not load.finished_at:
        return "not applied to its end: run migrate again to go on", False
    if not load.finished_at:
        return "unfinished: run migrate again to go on", False
    validated = f", {_VALIDATED[load.validated]} compared {load.validated_at:%Y-%m-%d %H:%M} UTC" if load.validated else ", not validated"
    if load.validated_as_of:
        validated += f" with a fresh export as of {shown_time(load.validated_as_of)}"
    return f"{'applied' if load.link else 'finished'} {load.finished_at:%Y-%m-%d %H:%M} UTC{validated}", True
