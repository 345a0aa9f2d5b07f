"""The comparison of a load with its target: the visit that compares a chunk with its rows, and what its chunks add up to.

A chunk is converted again and compared with its rows, in one transaction; `--repair` inserts missing rows. When all chunks are compared the
target is looked at as a whole, for rows that no item accounts for.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console

from pipeline.errors import Stopped
from pipeline.job.chunk import KnownChunk
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import Records, record_folders
from pipeline.ledger.chunks import Totals, load_totals, refused_files
from pipeline.ledger.comparisons import (
    ComparedChunk,
    ComparedTotals,
    Comparing,
    compared_items,
    compared_totals,
    count_target,
    dead_letters_in_target,
    find_unaccounted,
    forget_comparison,
    note_compared,
    rows_without_item,
)
from pipeline.ledger.replays import count_all_replayed, replayed_mismatches
from pipeline.ledger.rollbacks import hold_open
from pipeline.options import JobOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, count_records
from pipeline.records.kinds import KINDS, RecordKind
from pipeline.records.lines import Values, mismatch_batch, row_record
from pipeline.source.chunks import ItemAddress, plan_splits
from pipeline.target.compare import Comparison, compare_rows, compare_staged_rows, find_keys, values_of_different
from pipeline.target.mismatch import Mismatch, MismatchKind
from pipeline.target.rows import RefusedRow, Rows
from pipeline.target.session import Cursor, RetryLimit, Session
from pipeline.target.write import WriteRows, ways_to_write
from transforms.compile import compile_key


@dataclass(frozen=True, slots=True)
class CompareChunks:
    load_plan: LoadPlan
    seed: int = field(default_factory=lambda: secrets.randbits(62))
    """Salts the hashes of keys; of this run alone."""
    repair: bool = False
    show_values: bool = False
    kinds: Sequence[RecordKind] = (RecordKind.MISMATCHES,)
    refused: str = "PostgreSQL refused rows that it took when they were loaded"

    @property
    def comparing(self) -> Comparing:
        return Comparing(self.load_plan.load.load_id, self.load_plan.run_id, self.seed)

    def visit(self, session: Session) -> CompareVisit:  # noqa: ARG002 - it needs none of its own
        return CompareVisit(self)


class CompareVisit:
    """Compares chunks. A chunk that is compared again in a run gives the first result."""

    def __init__(self, plan: CompareChunks) -> None:
        self._plan = plan
        self._load = load = plan.load_plan
        self._to_key = compile_key(load.table, load.target.primary_key)
        self._key_table = load.table.only(load.target.primary_key)
        self.ways: Sequence[WriteRows | None] = ways_to_write(load.target, load.table) if plan.repair else [None]

    def prepare(self, chunk: KnownChunk) -> Records | None:
        if chunk.committed is not None:
            _ = chunk.as_committed
        return None

    def work(self, cursor: Cursor, chunk: KnownChunk, way: WriteRows | None) -> tuple[Sequence[Mismatch], Values]:
        """Compare, write missing rows if there is a way, and record the result."""
        if chunk.committed is None:
            not_loaded = [Mismatch(number, MismatchKind.NOT_LOADED) for number in chunk.item_numbers]
            return note_compared(cursor, self._plan.comparing, chunk.key, ComparedChunk(len(chunk.lines), not_loaded)), {}
        target, table, seed, rows = self._load.target, self._load.table, self._plan.seed, chunk.as_committed.loaded_rows
        comparison = compare_rows(cursor, target, table, rows, seed)
        missing, refused = comparison.missing, list[RefusedRow]()
        if way is not None and missing:
            hold_open(cursor, chunk.key.load_id)
            refused = way(cursor, target, table, rows.only(missing))
            comparison = compare_staged_rows(cursor, target, table, seed)
        refused_keys = find_keys(cursor, target, self._key_table, self._keys_of_refused(chunk), seed)
        compared = ComparedChunk(len(chunk.lines), _after_repair(missing, comparison, refused), comparison.found_keys, refused_keys)
        mismatches = note_compared(cursor, self._plan.comparing, chunk.key, compared)
        if not self._plan.show_values:
            return mismatches, {}
        different = {(mismatch.item_number, column) for mismatch in mismatches for column in mismatch.columns}
        return mismatches, values_of_different(cursor, target, different)

    def records(self, chunk: KnownChunk, way: WriteRows | None, done: tuple[Sequence[Mismatch], Values]) -> Records:  # noqa: ARG002
        return {RecordKind.MISMATCHES: mismatch_batch(self._load.origin, chunk.chunk, self._load.table.key, *done).records}

    def _keys_of_refused(self, chunk: KnownChunk) -> Rows:
        """The keys alone of dead letters, as far as they can be read."""
        keys = [(number, self._to_key(chunk.line(number))) for number in sorted(chunk.as_committed.refusals)]
        return Rows([number for number, key in keys if key is not None], [key for _, key in keys if key is not None])


def mismatches_of(comparison: Comparison, refused: Sequence[RefusedRow] = ()) -> list[Mismatch]:
    """In the order of the items; `refused` is why some rows are still missing."""
    by_number = {row.item_number: row for row in refused}
    mismatches = [Mismatch(number, MismatchKind.MISSING, refused=by_number.get(number)) for number in comparison.missing]
    mismatches += [Mismatch(number, MismatchKind.DIFFERENT, columns) for number, columns in comparison.different.items()]
    return sorted(mismatches, key=lambda mismatch: mismatch.item_number)


def _after_repair(missing: frozenset[int], now: Comparison, refused: Sequence[RefusedRow]) -> list[Mismatch]:
    """`missing` is before a repair, `now` after it."""
    repaired = [Mismatch(number, MismatchKind.REPAIRED) for number in missing - now.missing - now.different.keys()]
    return sorted([*mismatches_of(now, refused), *repaired], key=lambda mismatch: mismatch.item_number)


def forget(plan: LoadPlan) -> None:
    """Delete a run's entries for compared chunks from the ledger; if that fails, a later run does it."""
    comparing = Comparing(plan.load.load_id, plan.run_id, seed=0)
    with contextlib.suppress(Stopped), Session(plan.database, RetryLimit(seconds=1.0)) as session:
        session.transact(lambda cursor: forget_comparison(cursor, comparing))


# -- of a whole load ----------------------------------------------------------------------------------------------------------------------

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


def validate_table(load: BegunLoad, plan: CompareChunks, options: JobOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    """Compare every chunk of a load, and add up the results. Raises `Stopped`."""
    [folder] = record_folders(run_folder, plan).values()
    started = time.monotonic()

    def compared(cursor: Cursor) -> Totals:
        items, mismatches = compared_items(cursor, plan.comparing)
        return Totals(items=items, dead_letters=mismatches)

    try:
        splits = plan_splits(load.export.data_files, load.plan.load.split_size)
        run_visits(plan, splits, load.export, options, record_folders(run_folder, plan), console, read=compared, counted="mismatches")
        with Session(load.plan.database) as session:
            return session.transact(lambda cursor: conclude(cursor, load, plan, folder, time.monotonic() - started))
    finally:
        forget(plan.load_plan)


def conclude(cursor: Cursor, load: BegunLoad, plan: CompareChunks, folder: OutputFolder, seconds: float) -> Outcome:
    """Add up what is in the ledger, look at the target as a whole, and see that all records are in the files."""
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    compared = compared_totals(cursor, plan.comparing)
    problems = list(_problems_of_files(cursor, load, compared))
    mismatches = Counter(compared.kinds)
    listed = 0
    of_replayed = [] if problems else list(replayed_mismatches(cursor, load.plan.load.load_id, load.plan.target))
    mismatches.update(kind.value for _, kind in of_replayed)
    _record_replayed(load.plan, of_replayed, folder)
    target_rows, is_accounted = count_target(cursor, plan.comparing, load.plan.target)
    if not problems and not is_accounted:
        of_rows, listed = _record_unaccounted(cursor, load, plan, folder)
        mismatches.update(of_rows)
    expected = sum(mismatches.values()) - mismatches.get(MismatchKind.ROW_WITHOUT_ITEM, 0) + listed
    written = count_records(folder)
    replayed = count_all_replayed(cursor, load.plan.load.load_id)
    if not problems and written != expected:
        problems.append(f"{folder}: holds {written:,} records, but {expected:,} were found; run the same command again")
    dead_letters = load_totals(cursor, load.plan.load.load_id).dead_letters
    equal = compared.rows - compared.kinds.get(MismatchKind.DIFFERENT, 0) + replayed - len(of_replayed)
    different = sum(mismatches[kind] for kind in _WITHOUT_EQUAL_ROW)
    if not problems and equal + different + dead_letters != compared.items:
        problems.append(
            f"of {compared.items:,} items {equal:,} are equal, {different:,} missing or different, {dead_letters:,} dead letters: "
            "was the load changed while it was compared? Run the same command again"
        )
    parts = [
        Part("equal", "equal rows", equal, PartKind.GOOD),
        # Reported by the run that loaded them.
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
    differences = [f"{mismatches[kind]:,} {KINDS[kind].words} ({kind})" for kind in kinds if mismatches.get(kind)]
    is_sound = not problems and not any(mismatches.get(kind) for kind in kinds if kind is not MismatchKind.REPAIRED)
    return Check(name, Verdict.PASS if is_sound else Verdict.FAIL, "; ".join([sound, *differences]))


def _record_replayed(plan: LoadPlan, mismatches: Sequence[tuple[ItemAddress, MismatchKind]], folder: OutputFolder) -> None:
    """Write the records of replayed rows that changed since; the columns that changed are not known."""
    records = tuple(row_record(plan.origin, ItemAddress(key.data_file, key.item_number), kind, {}) for key, kind in mismatches)
    RecordFiles(folder).write(RecordBatch(_REPLAYED_FILE, records, is_last=True))


def _problems_of_files(cursor: Cursor, load: BegunLoad, compared: ComparedTotals) -> Iterator[str]:
    refused = refused_files(cursor, load.plan.load.load_id, load.plan.run_id)
    yield from refused
    if not refused and compared.items != load.export.items:
        yield f"the manifest has {load.export.items:,} items, but {compared.items:,} were compared; run the same command again"


def _record_unaccounted(cursor: Cursor, load: BegunLoad, plan: CompareChunks, folder: OutputFolder) -> tuple[dict[str, int], int]:
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
