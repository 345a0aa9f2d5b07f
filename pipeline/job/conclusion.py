"""What a run of validate found in one table, added up; and the rows of the target that no item accounts for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.job.begun_loads import BegunLoad
from pipeline.job.compare_chunk import ValidationPlan
from pipeline.job.loading import LoadPlan
from pipeline.ledger.comparisons import (
    ComparedTotals,
    compared_totals,
    count_target,
    dead_letters_in_target,
    find_unaccounted,
    rows_without_item,
)
from pipeline.ledger.keys import ItemKey
from pipeline.ledger.replays import count_all_replayed, replayed_mismatches
from pipeline.ledger.totals import load_totals, refused_files
from pipeline.outcome.check_results import ValidationResult
from pipeline.places.output import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, count_records
from pipeline.records.lines import row_record
from pipeline.source.chunks import ItemAddress
from pipeline.target.mismatch import MismatchKind
from pipeline.target.session import Cursor

MOST_ROWS: Final = 1_000
"""Rows without an item that are listed; all are counted."""
_ROWS_FILE: Final = "rows-of-the-target"
_REPLAYED_FILE: Final = "replayed"
_BATCH: Final = 10_000


def conclude(cursor: Cursor, load: BegunLoad, plan: ValidationPlan, folder: OutputFolder, seconds: float) -> ValidationResult:
    """Add up what is in the ledger, look at the target as a whole, and see that all records are in the files."""
    # Counting a large table takes what it takes.
    cursor.execute("SET LOCAL statement_timeout = 0")
    compared = compared_totals(cursor, plan.comparing)
    problems = list(_problems_of_files(cursor, load, compared))
    mismatches = Counter(compared.kinds)
    listed = 0
    of_replayed = [] if problems else list(replayed_mismatches(cursor, load.plan.load.load_id, load.plan.target))
    mismatches.update(kind.value for _, kind in of_replayed)
    _tell_replayed(load.plan, of_replayed, folder)
    target_rows, is_accounted = count_target(cursor, plan.comparing, load.plan.target)
    if not problems and not is_accounted:
        of_rows, listed = _tell_unaccounted(cursor, load, plan, folder)
        mismatches.update(of_rows)
    expected = sum(mismatches.values()) - mismatches.get(MismatchKind.ROW_WITHOUT_ITEM, 0) + listed
    written = count_records(folder)
    replayed = count_all_replayed(cursor, load.plan.load.load_id)
    if not problems and written != expected:
        problems.append(f"{folder}: holds {written:,} records, but {expected:,} were found; run the same command again")
    return ValidationResult(
        source_table=load.plan.table.source,
        target_table=load.plan.load.target_table,
        export_id=load.export.export_id,
        manifest_items=load.export.items,
        compared_items=compared.items,
        dead_letters=load_totals(cursor, load.plan.load.load_id).dead_letters,
        equal_rows=compared.found - compared.kinds.get(MismatchKind.DIFFERENT, 0) + replayed - len(of_replayed),
        target_rows=target_rows,
        mismatches=dict(mismatches),
        columns=compared.columns,
        listed_rows_without_item=listed,
        sees_all_rows=not load.plan.target.has_row_security,
        seconds=seconds,
        problems=tuple(problems),
    )


def _tell_replayed(plan: LoadPlan, mismatches: Sequence[tuple[ItemKey, MismatchKind]], folder: OutputFolder) -> None:
    """The records of rows that were brought in later and are not as they were written: which columns, nobody knows."""
    records = tuple(row_record(plan.origin, ItemAddress(key.data_file, key.item_number), kind, {}) for key, kind in mismatches)
    RecordFiles(folder).write(RecordBatch(_REPLAYED_FILE, records, is_last=True))


def _problems_of_files(cursor: Cursor, load: BegunLoad, compared: ComparedTotals) -> Iterator[str]:
    refused = refused_files(cursor, load.plan.load.load_id, load.plan.run_id)
    yield from refused
    if not refused and compared.items != load.export.items:
        yield f"the manifest has {load.export.items:,} items, but {compared.items:,} were compared; run the same command again"


def _tell_unaccounted(cursor: Cursor, load: BegunLoad, plan: ValidationPlan, folder: OutputFolder) -> tuple[dict[str, int], int]:
    """Write the records of rows that no loaded item accounts for; how many there are by kind, and how many of the last are listed."""
    find_unaccounted(cursor, plan.comparing, load.plan.target)
    origin = load.plan.origin
    files = RecordFiles(folder)
    dead_letters = 0
    batch: list[bytes] = []
    for data_file, number, primary_key in dead_letters_in_target(cursor):
        batch.append(row_record(origin, ItemAddress(data_file, number), MismatchKind.DEAD_LETTER_IN_TARGET, primary_key))
        dead_letters += 1
        if len(batch) == _BATCH:
            files.write(RecordBatch(_ROWS_FILE, tuple(batch), is_last=False))
            batch.clear()
    rows, listed = rows_without_item(cursor, MOST_ROWS)
    batch += [row_record(origin, None, MismatchKind.ROW_WITHOUT_ITEM, primary_key) for primary_key in listed]
    files.write(RecordBatch(_ROWS_FILE, tuple(batch), is_last=True))
    counts = {MismatchKind.DEAD_LETTER_IN_TARGET.value: dead_letters, MismatchKind.ROW_WITHOUT_ITEM.value: rows}
    return {kind: count for kind, count in counts.items() if count}, len(listed)
