"""What a run of validate found in one table, added up; and the rows of the target that no item accounts for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, count_records
from pipeline.records.kinds import KINDS
from pipeline.records.lines import row_record
from pipeline.source.chunks import ItemAddress
from pipeline.target.mismatch import MismatchKind
from pipeline.target.session import Cursor

MOST_ROWS: Final = 1_000
"""Rows without an item that are listed; all are counted."""
_ROWS_FILE: Final = "rows-of-the-target"
_REPLAYED_FILE: Final = "replayed"
_BATCH: Final = 10_000
_WITHOUT_EQUAL_ROW: Final = (MismatchKind.NOT_LOADED, MismatchKind.MISSING, MismatchKind.DIFFERENT)
_OF_ITEMS: Final = (*_WITHOUT_EQUAL_ROW, MismatchKind.REPAIRED)
_OF_ROWS: Final = (MismatchKind.DEAD_LETTER_IN_TARGET, MismatchKind.ROW_WITHOUT_ITEM)
HIDDEN: Final = (
    "row security applies to this role, so it may not see all rows; validate as the table's owner, or as a role with BYPASSRLS, to see them"
)


def conclude(cursor: Cursor, load: BegunLoad, plan: ValidationPlan, folder: OutputFolder, seconds: float) -> Outcome:
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
    dead_letters = load_totals(cursor, load.plan.load.load_id).dead_letters
    equal = compared.found - compared.kinds.get(MismatchKind.DIFFERENT, 0) + replayed - len(of_replayed)
    different = sum(mismatches[kind] for kind in _WITHOUT_EQUAL_ROW)
    if not problems and equal + different + dead_letters != compared.items:
        problems.append(
            f"of {compared.items:,} items {equal:,} are equal, {different:,} missing or different, {dead_letters:,} dead letters: "
            "was the load changed while it was compared? Run the same command again"
        )
    parts = [
        Part("equal", "equal rows", equal, PartKind.GOOD),
        # Told by the run that loaded them.
        Part("dead_letters", "dead letters", dead_letters, PartKind.BEFORE),
        Part("different", "missing or different", different, PartKind.DIFFERENT),
    ]
    if compared.items < load.export.items:
        parts.append(Part("lost", "not compared", load.export.items - compared.items, PartKind.LOST))
    checks = (
        Check(
            "every item was compared",
            Verdict.FAIL if problems else Verdict.PASS,
            f"{compared.items:,} of {load.export.items:,} items were compared",
        ),
        _check("every item's row is there and equal", f"{equal:,} rows are as the export makes them", mismatches, _OF_ITEMS, problems),
        _check("every row has its item", f"{target_rows:,} rows in the target", mismatches, _OF_ROWS, problems),
    )
    return Outcome(
        source_table=load.plan.table.source,
        target_table=load.plan.load.target_table,
        export_id=load.export.export_id,
        counted="item",
        total=load.export.items,
        total_words="in the manifest" if load.export.has_manifest else "counted in the data files",
        seen=compared.items,
        seen_words="compared",
        parts=tuple(parts),
        problems=tuple(problems),
        warnings=(f"{HIDDEN}: those that it hides count as missing, or are not seen at all",) if load.plan.target.has_row_security else (),
        checks=checks,
        tallies={"mismatches": dict(mismatches), "columns": compared.columns, "listed": {MismatchKind.ROW_WITHOUT_ITEM.value: listed}},
        target_rows=target_rows,
        done_now=compared.items,
        seconds=seconds,
    )


def _check(name: str, sound: str, mismatches: Mapping[str, int], kinds: Sequence[MismatchKind], problems: Sequence[str]) -> Check:
    """Whether there are no mismatches of these kinds."""
    found = [f"{mismatches[kind]:,} {KINDS[kind].words} ({kind})" for kind in kinds if mismatches.get(kind)]
    is_sound = not problems and not any(mismatches.get(kind) for kind in kinds if kind is not MismatchKind.REPAIRED)
    return Check(name, Verdict.PASS if is_sound else Verdict.FAIL, "; ".join([sound, *found]))


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
