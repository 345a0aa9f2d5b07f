"""The comparison of a load with its target: the visit that compares a chunk with its rows, and what its chunks add up to.

A chunk is converted again and compared with its rows, in one transaction; `--repair` inserts missing rows. When all chunks are compared the
target is looked at as a whole, for rows that no item accounts for.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Protocol

from rich.console import Console

from pipeline.console import counted_words
from pipeline.errors import Stopped
from pipeline.job.chunk import ConvertedLines, KnownChunk
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import Records, VisitedLoad, VisitPlan, record_folders
from pipeline.ledger.chunks import Totals, load_totals, refused_files
from pipeline.ledger.comparisons import (
    ComparedChunk,
    ComparedTotals,
    Comparing,
    ParentKey,
    Unaccounted,
    compared_items,
    compared_totals,
    count_target,
    find_unaccounted,
    forget_comparison,
    items_in_target,
    note_compared,
    rows_without_item,
    unaccounted_child_rows,
)
from pipeline.ledger.loads import note_writer
from pipeline.ledger.replays import count_all_replayed, replayed_mismatches
from pipeline.ledger.rollbacks import hold_open
from pipeline.options import JobOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict, filtered_part
from pipeline.outcome.progress import done_by_all
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles, count_records
from pipeline.records.kinds import KINDS, RecordKind
from pipeline.records.lines import Origin, Values, mismatch_batch, row_record
from pipeline.source.chunks import ItemAddress, plan_splits
from pipeline.target.compare import (
    NO_KEYS,
    Comparison,
    Mismatch,
    MismatchKind,
    compare_rows,
    find_keys,
    keys_of_staged,
    values_of_different,
)
from pipeline.target.rows import RefusedRow, Rows, drop_staged
from pipeline.target.session import Cursor, RetryLimit, Session
from pipeline.target.target import Target
from pipeline.target.write import WriteRows, families, insert_row_by_row, stop_if_diverted, ways_to_write
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

    def conclude(self, cursor: Cursor, load: BegunLoad, folder: OutputFolder, seconds: float) -> Outcome:
        return conclude(cursor, load, self, folder, seconds)


class CompareVisit:
    """Compares chunks. A chunk that is compared again in a run gives the first result."""

    def __init__(self, plan: CompareChunks) -> None:
        self._plan = plan
        self._load = load = plan.load_plan
        self._to_key = compile_key(load.with_defaults, load.target.key, migration_time=load.load.migration_microseconds)
        self._key_table = load.table.only(load.target.key)
        self.ways: Sequence[WriteRows | None] = ways_to_write(load.target, load.table) if plan.repair else [None]

    def prepare(self, chunk: KnownChunk) -> Records | None:
        if chunk.committed is not None:
            _ = chunk.as_committed
        return None

    def work(self, cursor: Cursor, chunk: KnownChunk, way: WriteRows | None) -> tuple[Sequence[Mismatch], Values]:
        """Compare, write missing rows if there is a way, and record the result."""
        if chunk.committed is None:
            not_loaded = [Mismatch(number, MismatchKind.NOT_LOADED) for number in chunk.item_numbers]
            no_keys = [NO_KEYS] * len(self._load.table.children)
            compared = ComparedChunk(len(chunk.lines), not_loaded, child_keys=no_keys)
            return note_compared(cursor, self._plan.comparing, chunk.key, compared), {}
        converted = chunk.as_committed
        compared, values = self.compare(cursor, converted, self.keys_without_row(chunk, converted), way)
        return note_compared(cursor, self._plan.comparing, chunk.key, replace(compared, items=len(chunk.lines))), values

    def compare(self, cursor: Cursor, converted: ConvertedLines, keys: Rows, way: WriteRows | None = None) -> tuple[ComparedChunk, Values]:
        """Compare the rows that lines convert to, write missing ones if there is a way, and look for the keys of those that are no rows."""
        target, table, seed, rows = self._load.target, self._load.table, self._plan.seed, converted.loaded_rows
        comparison = compare_rows(cursor, target, table, rows, seed)
        missing, refused = comparison.missing, list[RefusedRow]()
        if way is not None and missing:
            hold_open(cursor, self._load.load.load_id)
            note_writer(cursor, self._load.load)
            refused = way(cursor, target, table, rows.only(missing))
            stop_if_diverted(cursor, target, refused)
            drop_staged(cursor)
            comparison = compare_rows(cursor, target, table, rows, seed)
        # Both are looked for at once: an item is one or the other.
        found = find_keys(cursor, target, self._key_table, keys, seed)
        filtered = converted.filtered
        mismatches = _after_repair(missing, comparison, refused)
        different = {(mismatch.item_number, column) for mismatch in mismatches for column in mismatch.columns}
        both = values_of_different(cursor, target, different) if self._plan.show_values else {}
        values = {place: _as_json(*of_both) for place, of_both in both.items()}
        of_children = self._compare_children(cursor, rows, is_repaired=way is not None)
        values |= {place: rows for one in of_children for place, rows in one.values.items()}
        compared = ComparedChunk(
            len(rows.item_numbers) + len(converted.refusals) + len(filtered),
            _with_children(mismatches, of_children),
            comparison.found_keys,
            child_keys=[one.found_keys for one in of_children],
            refused_keys={number: key for number, key in found.items() if number not in filtered},
            filtered_keys={number: key for number, key in found.items() if number in filtered},
        )
        return compared, values

    def _compare_children(self, cursor: Cursor, rows: Rows, *, is_repaired: bool) -> list[_OfChild]:
        """Compare the rows of each child; where a repair is asked for, first insert those that are missing and whose item has its row."""
        compared = []
        for target, table, of_child in families(self._load.target, self._load.table, rows):
            drop_staged(cursor)
            numbered = of_child.numbered
            comparison = compare_rows(cursor, target, table, numbered, self._plan.seed)
            missing = comparison.missing
            if is_repaired and missing:
                hold_open(cursor, self._load.load.load_id)
                note_writer(cursor, self._load.load)
                refused = insert_row_by_row(cursor, target, table, numbered.only(missing))
                stop_if_diverted(cursor, self._load.target, refused)
                drop_staged(cursor)
                comparison = compare_rows(cursor, target, table, numbered, self._plan.seed)
            compared.append(
                _OfChild(
                    comparison.found_keys,
                    unequal_columns(table.target, of_child.owners, comparison),
                    frozenset(of_child.owners[number] for number in missing - comparison.missing),
                    _values_of_children(cursor, target, table.target, of_child.owners, comparison) if self._plan.show_values else {},
                )
            )
        return compared

    def records(self, chunk: KnownChunk, way: WriteRows | None, done: tuple[Sequence[Mismatch], Values]) -> Records:  # noqa: ARG002
        return {RecordKind.MISMATCHES: mismatch_batch(self._load.origin, chunk.chunk, self._load.table.key, *done).records}

    def keys_without_row(self, chunk: KnownChunk, converted: ConvertedLines) -> Rows:
        """The keys alone of items that are no rows, dead letters and filtered, as far as they can be read."""
        return self.keys_of(chunk, sorted((*converted.refusals, *converted.filtered)))

    def keys_of(self, chunk: KnownChunk, item_numbers: Iterable[int]) -> Rows:
        return Rows.of((number, self._to_key(chunk.line(number))) for number in item_numbers)


@dataclass(frozen=True, slots=True)
class _OfChild:
    """What was found of the rows of one child, by item."""

    found_keys: str
    different: Mapping[int, tuple[str, ...]]
    """What of them is missing or different, by item: `order_line` where a row is missing, `order_line.sku` where a column differs."""
    repaired: frozenset[int]
    values: Values
    """Where they are asked for, by item and what `different` says of it."""


def _as_json(of_export: Any, of_target: Any) -> dict[str, Any]:
    return {"export": of_export, "target": of_target}


def _values_of_children(cursor: Cursor, target: Target, name: str, owners: Sequence[int], comparison: Comparison) -> Values:
    """By item and `order_line.sku` each row that differs there, by item and `order_line` each that is missing; a row by its key."""
    different = {(number, column) for number, columns in comparison.different.items() for column in columns}
    keys = keys_of_staged(cursor, target, comparison.missing | comparison.different.keys())
    values: dict[tuple[int, str], list[Any]] = {}
    for number in sorted(comparison.missing):
        values.setdefault((owners[number], name), []).append({"row": keys[number]})
    for (number, column), of_both in sorted(values_of_different(cursor, target, different).items()):
        values.setdefault((owners[number], f"{name}.{column}"), []).append({"row": keys[number], **_as_json(*of_both)})
    return values


def changed_columns(target: str, owners: Sequence[int], comparison: Comparison) -> dict[int, tuple[str, ...]]:
    """By item the columns that differ in its child rows: `order_line.sku`."""
    return _by_item((owners[number], f"{target}.{column}") for number, columns in comparison.different.items() for column in columns)


def unequal_columns(target: str, owners: Sequence[int], comparison: Comparison) -> dict[int, tuple[str, ...]]:
    """The same, with the target alone where a row is missing."""
    missing = ((owners[number], target) for number in comparison.missing)
    changed = ((item, name) for item, names in changed_columns(target, owners, comparison).items() for name in names)
    return _by_item([*missing, *changed])


def _by_item(pairs: Iterable[tuple[int, str]]) -> dict[int, tuple[str, ...]]:
    names: dict[int, set[str]] = {}
    for number, name in pairs:
        names.setdefault(number, set()).add(name)
    return {number: tuple(sorted(of_item)) for number, of_item in names.items()}


def with_columns(mismatches: Sequence[Mismatch], different: Mapping[int, tuple[str, ...]]) -> list[Mismatch]:
    """The mismatches of items' own rows with what is not equal in rows of their children; an item without its row is missing, no more."""
    by_number = {mismatch.item_number: mismatch for mismatch in mismatches}
    for number, columns in different.items():
        own = by_number.get(number)
        if own is None or own.kind is not MismatchKind.MISSING:
            by_number[number] = Mismatch(number, MismatchKind.DIFFERENT, (*(own.columns if own else ()), *columns))
    return sorted(by_number.values(), key=lambda mismatch: mismatch.item_number)


def _with_children(mismatches: Sequence[Mismatch], of_children: Sequence[_OfChild]) -> list[Mismatch]:
    for of_child in of_children:
        mismatches = with_columns(mismatches, of_child.different)
        known = {mismatch.item_number for mismatch in mismatches}
        mismatches = [*mismatches, *(Mismatch(number, MismatchKind.REPAIRED) for number in of_child.repaired - known)]
    return sorted(mismatches, key=lambda mismatch: mismatch.item_number)


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
_CHILD_FILE: Final = "child-rows-of-the-target"
_BATCH: Final = 10_000
_WITHOUT_EQUAL_ROW: Final = (MismatchKind.NOT_LOADED, MismatchKind.MISSING, MismatchKind.DIFFERENT)
_OF_ITEMS: Final = (*_WITHOUT_EQUAL_ROW, MismatchKind.REPAIRED)
_OF_ROWS: Final = (MismatchKind.DEAD_LETTER_IN_TARGET, MismatchKind.FILTERED_IN_TARGET, MismatchKind.ROW_WITHOUT_ITEM)
HIDDEN: Final = (
    "row security applies to this role, so it may not see all rows; validate as the table's owner, or as a role with BYPASSRLS, to see them"
)


class ComparePlan(VisitPlan, Protocol):
    """All that is needed to compare the chunks of a load, and to add up what was found."""

    @property
    def comparing(self) -> Comparing: ...

    def conclude(self, cursor: Cursor, load: BegunLoad, folder: OutputFolder, seconds: float) -> Outcome:
        """When all chunks are compared; `folder` has the mismatches."""


def validate_tables(
    loads: Sequence[BegunLoad], plans: Sequence[ComparePlan], options: JobOptions, run_folder: OutputFolder, console: Console
) -> Iterator[Outcome]:
    """Compare every chunk of loads in one reading of their export, and add up the results of each, in their order. Raises `Stopped`."""
    visited = [VisitedLoad(plan, record_folders(run_folder, plan)) for plan in plans]
    started = time.monotonic()

    def compared(cursor: Cursor) -> Totals:
        return done_by_all([compared_items(cursor, plan.comparing) for plan in plans])

    try:
        splits = plan_splits(loads[0].export.data_files, loads[0].plan.load.split_size)
        run_visits(visited, splits, loads[0].export, options, console, read=compared, counted="mismatches")
        seconds = time.monotonic() - started
        for load, plan, of_load in zip(loads, plans, visited, strict=True):
            with Session(load.plan.database) as session:
                folder = of_load.folders[RecordKind.MISMATCHES]
                yield session.transact(partial(plan.conclude, load=load, folder=folder, seconds=seconds))
    finally:
        for plan in plans:
            forget(plan.load_plan)


def conclude(cursor: Cursor, load: BegunLoad, plan: CompareChunks, folder: OutputFolder, seconds: float) -> Outcome:
    """Add up what is in the ledger, look at the target as a whole, and see that all records are in the files."""
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    compared = compared_totals(cursor, plan.comparing)
    problems = list(problems_of_compared(cursor, load, compared))
    mismatches = Counter(compared.kinds)
    listed = 0
    of_replayed = [] if problems else list(replayed_mismatches(cursor, load.plan.load.load_id, load.plan.target))
    mismatches.update(kind.value for _, kind in of_replayed)
    record_replayed(load.plan, of_replayed, folder)
    target_rows, is_accounted = count_target(cursor, plan.comparing, load.plan.target)
    if not problems and not is_accounted:
        find_unaccounted(cursor, plan.comparing, load.plan.target)
        of_rows, listed = record_unaccounted(cursor, load, folder)
        mismatches.update(of_rows)
    if not problems:
        of_children, listed_of_children = record_child_rows(cursor, load, plan.comparing, folder)
        mismatches.update(of_children)
        listed += listed_of_children
    expected = sum(mismatches.values()) - mismatches.get(MismatchKind.ROW_WITHOUT_ITEM, 0) + listed
    written = count_records(folder)
    replayed = count_all_replayed(cursor, load.plan.load.load_id)
    if not problems and written != expected:
        problems.append(f"{folder}: holds {written:,} records, but {expected:,} were found; run the same command again")
    totals = load_totals(cursor, load.plan.load.load_id)
    equal = compared.rows - compared.kinds.get(MismatchKind.DIFFERENT, 0) + replayed - len(of_replayed)
    different = sum(mismatches[kind] for kind in _WITHOUT_EQUAL_ROW)
    if not problems and equal + different + totals.dead_letters + totals.filtered != compared.items:
        filtered = f", {totals.filtered:,} filtered" if totals.filtered else ""
        problems.append(
            f"of {compared.items:,} items {equal:,} are equal, {different:,} missing or different, {totals.dead_letters:,} dead "
            f"letters{filtered}: was the load changed while it was compared? Run the same command again"
        )
    parts = [
        Part("equal", "equal rows", equal, PartKind.GOOD),
        # Reported by the run that loaded them.
        Part("dead_letters", "dead letters", totals.dead_letters, PartKind.BEFORE),
        *filtered_part(totals.filtered),
        Part("different", "missing or different", different, PartKind.DIFFERENT),
    ]
    checks = (
        Check(
            "every item was compared",
            Verdict.FAIL if problems else Verdict.PASS,
            f"{compared.items:,} of {load.export.items:,} items were compared",
        ),
        check_of("every item's row is there and equal", f"{equal:,} rows are as the export makes them", mismatches, _OF_ITEMS, problems),
        check_of("every row has its item", f"{target_rows:,} rows in the target", mismatches, _OF_ROWS, problems),
    )
    return comparison_outcome(
        load,
        compared,
        total=load.export.items,
        parts=parts,
        problems=problems,
        checks=checks,
        mismatches=mismatches,
        listed=listed,
        target_rows=target_rows,
        seconds=seconds,
    )


def comparison_outcome(
    load: BegunLoad,
    compared: ComparedTotals,
    *,
    total: int,
    parts: Sequence[Part],
    problems: Sequence[str],
    checks: Sequence[Check],
    mismatches: Mapping[str, int],
    listed: int,
    target_rows: int,
    seconds: float,
    counted: str = "item",
    outdated: int = 0,
) -> Outcome:
    """Of a load or a chain that was compared; what was not is a part of its own. `listed` are the rows without item in the files."""
    lost = total - compared.items
    return Outcome(
        source_table=load.plan.table.source,
        target_table=load.plan.load.target_table,
        export_id=load.export.export_id,
        counted=counted,
        total=total,
        total_words="in the manifest" if load.export.has_manifest else "counted in the data files",
        seen=compared.items,
        seen_words="compared",
        parts=(*parts, *([Part("lost", "not compared", lost, PartKind.LOST)] if lost > 0 else [])),
        problems=tuple(problems),
        warnings=(f"{HIDDEN}: those that it hides count as missing, or are not seen at all",) if load.plan.target.hides_rows else (),
        checks=tuple(checks),
        tallies={"mismatches": dict(mismatches), "columns": compared.columns, "listed": {MismatchKind.ROW_WITHOUT_ITEM.value: listed}},
        target_rows=target_rows,
        done_now=compared.items,
        seconds=seconds,
        outdated=outdated,
    )


def check_of(name: str, sound: str, mismatches: Mapping[str, int], kinds: Sequence[MismatchKind], problems: Sequence[str]) -> Check:
    """Whether there are no mismatches of these kinds."""
    differences = [f"{counted_words(mismatches[kind], KINDS[kind].words)} ({kind})" for kind in kinds if mismatches.get(kind)]
    is_sound = not problems and not any(mismatches.get(kind) for kind in kinds if kind is not MismatchKind.REPAIRED)
    return Check(name, Verdict.PASS if is_sound else Verdict.FAIL, "; ".join([sound, *differences]))


def record_replayed(plan: LoadPlan, mismatches: Sequence[tuple[ItemAddress, MismatchKind]], folder: OutputFolder) -> None:
    """Write the records of replayed rows that are not as they were written; the columns that differ are not known."""
    records = tuple(row_record(plan.origin, address, kind, {}) for address, kind in mismatches)
    RecordFiles(folder).write(RecordBatch(_REPLAYED_FILE, records, is_last=True))


def problems_of_compared(cursor: Cursor, load: BegunLoad, compared: ComparedTotals, lines: int | None = None) -> Iterator[str]:
    """`lines` are all that there are to compare, where these are more than the items of the load's export."""
    refused, expected = refused_files(cursor, load.plan.load.load_id, load.plan.run_id), load.export.items if lines is None else lines
    yield from refused.values()
    if not refused and compared.items != expected:
        yield f"the manifest has {expected:,} items, but {compared.items:,} were compared; run the same command again"


def record_child_rows(
    cursor: Cursor, load: BegunLoad, comparing: Comparing, folder: OutputFolder, parent_keys: Sequence[Sequence[str]] | None = None
) -> tuple[Counter[str], int]:
    """Write the records of child rows that no item accounts for; how many there are by kind, and how many of them are listed.

    `parent_keys` are the columns of each child that name its parent's row: with them, those of outdated rows are left out.
    """
    files = RecordFiles(folder)
    counts, listed = Counter[str](), 0
    for number, target in enumerate(load.plan.target.children):
        origin = replace(load.plan.origin, target_table=target.qualified)
        parent = None if parent_keys is None else ParentKey(load.plan.target, parent_keys[number])
        records = []
        for rows in unaccounted_child_rows(cursor, comparing, target, number, MOST_ROWS, parent):
            counts[_kind_of(rows).value] += rows.rows
            records += [row_record(origin, None, _kind_of(rows), primary_key) for primary_key in rows.keys]
        files.write(RecordBatch(f"{_CHILD_FILE}-{number}", tuple(records), is_last=True))
        listed += len(records)
    return counts, listed


def record_unaccounted(
    cursor: Cursor, load: BegunLoad, folder: OutputFolder, origins: Mapping[str, Origin] | None = None
) -> tuple[Counter[str], int]:
    """Write the records of rows that no loaded item accounts for; how many there are by kind, and how many without item are listed.

    After `find_unaccounted`. Of a chain `origins` has those of data files of other exports than the load's, and a dead letter's row that is
    ours is an older one of its item.
    """
    origin = load.plan.origin
    files = RecordFiles(folder)
    counts = Counter[str]()
    batch: list[bytes] = []
    for one in items_in_target(cursor):
        of_dead = MismatchKind.OUTDATED if origins is not None and not one.is_theirs else MismatchKind.DEAD_LETTER_IN_TARGET
        kind = MismatchKind.FILTERED_IN_TARGET if one.is_filtered else of_dead
        of_file = (origins or {}).get(one.data_file, origin)
        batch.append(row_record(of_file, ItemAddress(one.data_file, one.item_number), kind, one.primary_key))
        counts[kind.value] += 1
        if len(batch) == _BATCH:
            files.write(RecordBatch(_ROWS_FILE, tuple(batch), is_last=False))
            batch.clear()
    listed = 0
    for rows in rows_without_item(cursor, MOST_ROWS):
        batch += [row_record(origin, None, _kind_of(rows), primary_key) for primary_key in rows.keys]
        counts[_kind_of(rows).value] += rows.rows
        listed += len(rows.keys)
    files.write(RecordBatch(_ROWS_FILE, tuple(batch), is_last=True))
    return counts, listed


def _kind_of(rows: Unaccounted) -> MismatchKind:
    if rows.is_theirs:
        return MismatchKind.ROW_OF_OTHERS
    return MismatchKind.OUTDATED_WITHOUT_ITEM if rows.is_outdated else MismatchKind.ROW_WITHOUT_ITEM
