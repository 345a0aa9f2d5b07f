"""The equation that a window must satisfy before it is called applied.

    manifest itemCount = records read = inserted + updated + unchanged + deleted + absent + filtered + conflicts + dead letters

for every data file and for the window; and the ledger agrees with the dead letters and notices in the files of the run. Then its own
records are compared with the target: rows must equal their new images, and rows of deleted items must be gone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pipeline.console import counted_words
from pipeline.errors import Stopped
from pipeline.job.chunk import KnownChunk, KnownChunks
from pipeline.job.compare import mismatches_of, unequal_columns, with_columns
from pipeline.job.equation import parts_of_window, problems_of_files, problems_of_records, shortened, tallies_of
from pipeline.job.gate import MOST_FILES, SAMPLE, beginning
from pipeline.job.plan import read_splits
from pipeline.ledger.changes import applied_totals, count_outdated
from pipeline.ledger.chunks import load_totals
from pipeline.ledger.history import loading_runs
from pipeline.ledger.loads import Validated, finish_load, note_validated
from pipeline.ledger.windows import is_followed
from pipeline.outcome.outcome import Check, Outcome, Verdict
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordFiles
from pipeline.records.kinds import KINDS, RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.source.chunks import Chunk, plan_splits
from pipeline.source.data_file import DataFileRefused
from pipeline.source.manifest import Export, spread
from pipeline.target.compare import Mismatch, MismatchKind, compare_rows
from pipeline.target.fates import find_rows
from pipeline.target.rows import drop_staged
from pipeline.target.session import Cursor, Session
from pipeline.target.target import count_rows
from pipeline.target.write import families
from pipeline.windows.apply import ApplyChunks, ChangesOfChunks
from pipeline.windows.changes import ChangedLines

_NO_SEED: Final = 0
OUTDATED: Final = (
    "{count:,} rows of the target are older than their items, because later records of these are dead letters; an item that is written "
    "again in DynamoDB comes with the next window (docs/windows.md)"
)


def prove_window(
    cursor: Cursor, changes: ApplyChunks, export: Export, run_folder: OutputFolder, applied_before: int, seconds: float
) -> Outcome:
    """The equation, per file and for the window, from the ledger and the files of this run."""
    plan = changes.load_plan
    load_id = plan.load.load_id
    counts, totals = applied_totals(cursor, load_id), load_totals(cursor, load_id)
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    problems = problems_of_files(cursor, plan, export)
    if not problems and not counts.records == totals.items == export.items:
        problems.append(f"the manifest has {export.items:,} records, but {counts.records:,} were applied and {totals.items:,} were read")
    if counts.set_aside:
        problems.append(f"{counts.set_aside:,} records are set aside, and not settled; run the same command again")
    if not problems:
        problems += problems_of_records(plan, totals, run_folder)
    if not problems:
        finish_load(cursor, plan.load)
    outdated = count_outdated(cursor, plan.load.chain)
    checks = [Check("rows are up to date", Verdict.WARNING, OUTDATED.format(count=outdated))] if outdated else []
    if counts.overwritten:
        sentence = f"{counts.overwritten:,} rows of somebody else were overwritten, as --conflicts says"
        checks.append(Check("somebody else's rows", Verdict.WARNING, sentence))
    return Outcome(
        source_table=plan.table.source,
        target_table=plan.load.target_table,
        export_id=export.export_id,
        counted="record",
        total=export.items,
        total_words="in the manifest",
        seen=totals.items,
        seen_words="read",
        parts=tuple(parts_of_window(counts, export.items)),
        problems=tuple(shortened(problems)),
        checks=tuple(checks),
        tallies={**tallies_of(cursor, load_id, totals), "applied": dataclasses.asdict(counts)},
        target_rows=count_rows(cursor, plan.target),
        done_now=totals.items - applied_before,
        seconds=seconds,
        runs=loading_runs(cursor, load_id),
        window=changes.link.number,
        changes_from=changes.link.window.from_time,
        changes_to=changes.link.window.to_time,
        outdated=outdated,
    )


# -- the window's own records --------------------------------------------------------------------------------------------------------------

_NAMES: Final = {Validated.QUICK: "record comparison (sample)", Validated.FULL: "record comparison (every record)"}


def compare_window(changes: ApplyChunks, export: Export, outcome: Outcome, asked: Validated, run_folder: OutputFolder) -> Outcome:
    """Compare records of a window that is proved with the target: the outcome with the result. Raises `Stopped`."""
    plan = changes.load_plan
    files = RecordFiles(run_folder / RecordKind.MISMATCHES / plan.folder)
    kinds, columns, problems, records = Counter[str](), Counter[str](), list[str](), 0
    try:
        for compared in _compared(changes, export, asked):
            records += len(compared.chunk.lines)
            kinds.update(mismatch.kind.value for mismatch in compared.mismatches)
            columns.update(itertools.chain.from_iterable(mismatch.columns for mismatch in compared.mismatches))
            files.write(mismatch_batch(plan.origin, compared.chunk, plan.table.key, compared.mismatches))
    except (DataFileRefused, StorageFailed) as failed:
        problems.append(str(failed))
    detail = f"{records:,} records were compared with the target: {'NOT equal' if kinds or problems else 'equal'}"
    with Session(plan.database) as session:
        if (kinds or problems) and session.transact(lambda cursor: is_followed(cursor, plan.load)):
            detail = "its records were not compared: another run has gone on with the next window meanwhile"
            return replace(outcome, checks=(*outcome.checks, Check(_NAMES[asked], Verdict.FACT, detail)))
    differences = [f"{counted_words(count, KINDS[MismatchKind(kind)].words)} ({kind})" for kind, count in kinds.items()]
    if differences or problems:
        way_out = f"see {run_folder / RecordKind.MISMATCHES}. Fix the rows, or what changes them; --validate=none goes on without"
        check = Check(_NAMES[asked], Verdict.FAIL, "; ".join([detail, *differences, *problems, way_out]))
    else:
        check = Check(_NAMES[asked], Verdict.PASS, detail)
        with Session(plan.database) as session:
            session.transact(lambda cursor: note_validated(cursor, plan.load.load_id, asked))
    tallies = {**outcome.tallies, "mismatches": dict(kinds), "columns": dict(columns)}
    return replace(outcome, checks=(*outcome.checks, check), tallies=tallies)


@dataclass(frozen=True, slots=True)
class _ComparedChunk:
    chunk: Chunk
    mismatches: Sequence[Mismatch]


def _compared(changes: ApplyChunks, export: Export, asked: Validated) -> Iterator[_ComparedChunk]:
    """All chunks, or the beginnings of data files spread over the window. Raises `DataFileRefused`, `StorageFailed`, `Stopped`."""
    plan = changes.load_plan
    with Session(plan.database) as session:
        known_chunks, of_chunks = KnownChunks(plan, session), ChangesOfChunks(changes, session)
        for chunk in _chunks(changes, export, asked):
            known = known_chunks.of(chunk)
            if known.committed is None:
                continue
            known = known_chunks.of(replace(chunk, lines=chunk.lines[: known.committed.items]))
            mismatches = session.transact(partial(_compare, of_chunks=of_chunks, chunk=known))
            yield _ComparedChunk(known.chunk, mismatches)


def _chunks(changes: ApplyChunks, export: Export, asked: Validated) -> Iterator[Chunk]:
    plan = changes.load_plan
    if asked is Validated.QUICK:
        sampled = spread(export.data_files, MOST_FILES)
        for data_file in sampled:
            yield beginning(data_file, -(-SAMPLE // len(sampled)), plan)
        return
    for data_file in export.data_files:
        yield from read_splits(plan_splits([data_file], plan.load.split_size), plan)


def _compare(cursor: Cursor, of_chunks: ChangesOfChunks, chunk: KnownChunk) -> list[Mismatch]:
    """Of the records that were applied those whose row is missing or different, or there though it should be gone."""
    if chunk.committed is None:
        message = "the chunk is not committed"
        raise Stopped(message)
    lines = of_chunks.convert(chunk, chunk.item_numbers)
    return compare_changes(cursor, of_chunks, lines, {row.item_number for row in chunk.committed.refused})


def compare_changes(cursor: Cursor, of_chunks: ChangesOfChunks, lines: ChangedLines, refused: Collection[int]) -> list[Mismatch]:
    """Of changes that were not refused those whose row is missing or different, or there though it should be gone."""
    plan = of_chunks.plan
    rows = lines.changes.new.without(refused)
    comparison = compare_rows(cursor, plan.target, plan.table, rows, _NO_SEED)
    mismatches = mismatches_of(comparison)
    for target, table, of_child in families(plan.target, plan.table, rows):
        drop_staged(cursor)
        of_rows = compare_rows(cursor, target, table, of_child.numbered, _NO_SEED)
        mismatches = with_columns(mismatches, unequal_columns(table.target, of_child.owners, of_rows))
    gone = lines.changes.gone.without({*refused, *lines.changes.new.item_numbers})
    there = find_rows(cursor, of_chunks.applying, gone, lines.changes.old.only(gone.item_numbers)) if gone else set()
    mismatches += [Mismatch(number, MismatchKind.DELETED_IN_TARGET) for number in there]
    return sorted(mismatches, key=lambda mismatch: mismatch.item_number)
