"""The comparison of a chain with a fresh full export of its end: `validate --as_of`.

Such an export was never loaded. What the target must be as of its time follows from it alone, whatever way the rows came: so each item is
converted and compared with its row, and each row must have an item. The ledger is asked only for reasons: which rows windows are known to
have left older than their items, which items have no row because another item has their key, and which rows somebody else wrote.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from pipeline.console import counted_in_words
from pipeline.job.chunk import ConvertedLines, KnownChunk
from pipeline.job.compare import (
    CompareChunks,
    CompareVisit,
    check_of,
    comparison_outcome,
    problems_of_compared,
    record_child_rows,
    record_unaccounted,
)
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.job.visit import Records
from pipeline.ledger.changes import doubles_among, hash_row, outdated_items
from pipeline.ledger.comparisons import (
    ComparedChunk,
    Comparing,
    collect_outdated,
    compared_totals,
    count_target,
    find_unaccounted,
    note_compared,
)
from pipeline.ledger.loads import Load
from pipeline.ledger.replays import hash_seed
from pipeline.ledger.streams import StreamState, find_stream
from pipeline.ledger.windows import Chain, chain_of
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict, filtered_part
from pipeline.places.storage import OutputFolder
from pipeline.records.files import count_records
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import Origin, Values
from pipeline.source.manifest import WHOLE, Export
from pipeline.source.windows import shown_time
from pipeline.target.compare import Mismatch, MismatchKind
from pipeline.target.fates import SeenRow, look_again
from pipeline.target.rows import drop_staged
from pipeline.target.session import Cursor, Session
from pipeline.windows.changes import hash_of_item
from transforms.changes import how_changes_find_rows
from transforms.table import Table

# -- the visit -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CompareAsOf:
    """Compares the chunks of a fresh export; the load of its plan is `as_of_load`."""

    chunks: CompareChunks
    kinds: Sequence[RecordKind] = (RecordKind.MISMATCHES,)
    refused: str = "PostgreSQL refused to read rows of the export"

    @property
    def load_plan(self) -> LoadPlan:
        return self.chunks.load_plan

    @property
    def comparing(self) -> Comparing:
        return replace(self.chunks.comparing, is_of_chain=True)

    def visit(self, session: Session) -> CompareAsOfVisit:  # noqa: ARG002 - it needs none of its own
        return CompareAsOfVisit(self)

    def conclude(self, cursor: Cursor, load: BegunLoad, folder: OutputFolder, seconds: float) -> Outcome:
        compared = f"{load.export.items:,} items of a fresh export, as of {load.export.export_time}"
        return conclude_chain(cursor, load, ComparedChain(self.comparing, load.export.items, compared), folder, seconds)


class CompareAsOfVisit:
    """Compares chunks; what the ledger has of chunks with their names is of another export."""

    ways: Sequence[None] = (None,)

    def __init__(self, plan: CompareAsOf) -> None:
        self._plan = plan
        self._visit = CompareVisit(plan.chunks)
        self._known: _KnownRows | None = None

    def prepare(self, chunk: KnownChunk) -> Records | None:
        _ = chunk.converted
        return None

    def work(self, cursor: Cursor, chunk: KnownChunk, way: None) -> tuple[Sequence[Mismatch], Values]:
        converted = chunk.converted
        compared, values = self._visit.compare(cursor, converted, self._visit.keys_without_row(chunk, converted), way)
        return note_compared(cursor, self._plan.comparing, chunk.key, self._with_reasons(cursor, chunk, compared)), values

    def records(self, chunk: KnownChunk, way: None, done: tuple[Sequence[Mismatch], Values]) -> Records:
        return self._visit.records(chunk, way, done)

    def _with_reasons(self, cursor: Cursor, chunk: KnownChunk, compared: ComparedChunk) -> ComparedChunk:
        """Say of each row that differs why, as far as it is known."""
        converted = chunk.converted
        compared = replace(compared, dead_letters=len(converted.refusals), filtered=len(converted.filtered))
        different = [mismatch.item_number for mismatch in compared.mismatches if mismatch.kind is MismatchKind.DIFFERENT]
        if not different:
            return compared
        seen = look_at_different(cursor, self._plan.load_plan, converted, different, self._plan.comparing)
        doubles = self._doubles(cursor, converted, different)
        outdated = {number for number in different if self._is_outdated(cursor, chunk.line(number))}
        kinds = {
            number: MismatchKind.CHANGED_BY_OTHERS if seen[number].is_theirs else MismatchKind.OUTDATED
            for number in seen.keys() - doubles
            if seen[number].is_theirs or number in outdated
        }
        return _without_doubles(
            replace(
                compared,
                mismatches=[replace(one, kind=kinds.get(one.item_number, one.kind)) for one in compared.mismatches],
                outdated_keys=[seen[number].key for number, kind in kinds.items() if kind is MismatchKind.OUTDATED],
            ),
            {number: seen[number] for number in doubles & seen.keys()},
        )

    def _doubles(self, cursor: Cursor, converted: ConvertedLines, numbers: Sequence[int]) -> set[int]:
        """The items that are known to have no row, because another item's has their key."""
        plan, seed = self._plan.load_plan, self._known_rows(cursor).seed
        rows = converted.loaded_rows.only(numbers)
        hashes = {number: hash_row(plan.table, row, seed) for number, row in zip(rows.item_numbers, rows.encoded, strict=True)}
        doubles = doubles_among(cursor, plan.load.load_id, hashes.values())
        return {number for number, hashed in hashes.items() if hashed in doubles}

    def _is_outdated(self, cursor: Cursor, line: bytes) -> bool:
        known = self._known_rows(cursor)
        return bool(known.outdated) and hash_of_item(line, self._plan.load_plan.table.key, known.seed) in known.outdated

    def _known_rows(self, cursor: Cursor) -> _KnownRows:
        if self._known is None:
            chain = self._plan.load_plan.load.load_id
            self._known = _KnownRows(hash_seed(cursor, chain), outdated_items(cursor, chain))
        return self._known


@dataclass(frozen=True, slots=True)
class _KnownRows:
    """What the ledger has of a chain: the salt of its hashes, and those of items that have an outdated row."""

    seed: int
    outdated: set[int]


def look_at_different(
    cursor: Cursor, plan: LoadPlan, converted: ConvertedLines, numbers: Sequence[int], comparing: Comparing
) -> dict[int, SeenRow]:
    """The rows of a chain that differ, by the numbers of their items."""
    drop_staged(cursor)
    rows = replace(converted.loaded_rows.only(numbers), children=())
    return look_again(cursor, plan.target, plan.table, rows, comparing.load_id, comparing.seed)


def _without_doubles(compared: ComparedChunk, doubles: Mapping[int, SeenRow]) -> ComparedChunk:
    """The same with some items as dead letters: another item must account for the row that has their key."""
    if not doubles:
        return compared
    keys = Counter(row.key for row in doubles.values())
    found = Counter(map(int, filter(None, compared.found_keys.strip("{}").split(",")))) - keys
    return replace(
        compared,
        mismatches=[mismatch for mismatch in compared.mismatches if mismatch.item_number not in doubles],
        found_keys=f"{{{','.join(map(str, found.elements()))}}}",
        refused_keys={**compared.refused_keys, **{number: row.key for number, row in doubles.items()}},
        dead_letters=compared.dead_letters + len(doubles),
    )


# -- of a whole chain ----------------------------------------------------------------------------------------------------------------------

_DIFFERENT: Final = (MismatchKind.NOT_LOADED, MismatchKind.MISSING, MismatchKind.DIFFERENT, MismatchKind.CHANGED_BY_OTHERS)
_LATER: Final = "with a later record"
_OUTDATED: Final = (MismatchKind.OUTDATED, MismatchKind.OUTDATED_WITHOUT_ITEM)
_NOT_LISTED_WHOLE: Final = (MismatchKind.ROW_WITHOUT_ITEM, MismatchKind.ROW_OF_OTHERS, MismatchKind.OUTDATED_WITHOUT_ITEM)
_OF_ROWS: Final = (
    MismatchKind.DEAD_LETTER_IN_TARGET,
    MismatchKind.FILTERED_IN_TARGET,
    MismatchKind.ROW_WITHOUT_ITEM,
    MismatchKind.ROW_OF_OTHERS,
)


@dataclass(frozen=True, slots=True)
class ComparedChain:
    """What a chain was compared with."""

    comparing: Comparing
    lines: int
    """In all manifests."""
    words: str
    problems: Sequence[str] = ()
    """Of exports other than the load's."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """As `record_unaccounted` has them."""
    counted: str = "item"


def conclude_chain(cursor: Cursor, load: BegunLoad, chain: ComparedChain, folder: OutputFolder, seconds: float) -> Outcome:
    """Add up what is in the ledger, look at the target as a whole, and see that all records are in the files."""
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    compared = compared_totals(cursor, chain.comparing)
    problems = [*problems_of_compared(cursor, load, compared, chain.lines), *chain.problems]
    mismatches = Counter(compared.kinds)
    target_rows, is_accounted = count_target(cursor, chain.comparing, load.plan.target)
    listed = 0
    if not problems and (load.plan.target.children or not is_accounted):
        find_unaccounted(cursor, chain.comparing, load.plan.target)
        of_rows, listed_rows = record_unaccounted(cursor, load, folder, chain.origins)
        collect_outdated(cursor, chain.comparing)
        of_children, listed_children = record_child_rows(cursor, load, chain.comparing, folder, _parent_keys(cursor, load))
        mismatches += of_rows + of_children
        listed = listed_rows + listed_children
    expected = sum(mismatches.values()) - sum(mismatches[kind] for kind in _NOT_LISTED_WHOLE) + listed
    written = count_records(folder)
    if not problems and written != expected:
        problems.append(f"{folder}: holds {written:,} records, but {expected:,} were found; run the same command again")
    # Of dead letters the rows are found when all items are compared; of others they are among those that were found.
    outdated_rows = Counter(compared.kinds)[MismatchKind.OUTDATED]
    outdated_dead = mismatches[MismatchKind.OUTDATED] - outdated_rows
    unequal = sum(mismatches[kind] for kind in _DIFFERENT)
    there = (
        sum(mismatches[kind] for kind in (MismatchKind.DIFFERENT, MismatchKind.CHANGED_BY_OTHERS, MismatchKind.OUTDATED)) - outdated_dead
    )
    equal = compared.rows - there
    dead_letters = compared.dead_letters - outdated_dead
    others = compared.dead_letters + compared.filtered + compared.gone + compared.superseded
    if not problems and equal + unequal + outdated_rows + others != compared.items:
        problems.append(
            f"of {compared.items:,} {chain.counted}s {equal:,} are equal, {unequal:,} missing or different, {outdated_rows:,} outdated, "
            f"{others:,} no rows: did somebody write while it was compared? Run the same command again"
        )
    parts = [
        Part("equal", "equal rows", equal, PartKind.GOOD),
        # Reported by the runs that loaded and applied them.
        Part("dead_letters", "dead letters", dead_letters, PartKind.BEFORE),
        *filtered_part(compared.filtered),
        *(
            Part(*part, PartKind.GOOD)
            for part in (("deleted", "deleted", compared.gone), ("superseded", _LATER, compared.superseded))
            if part[2]
        ),
        Part("outdated", "outdated", outdated_rows + outdated_dead, PartKind.DIFFERENT),
        Part("different", "missing or different", unequal, PartKind.DIFFERENT),
    ]
    outdated = sum(mismatches[kind] for kind in _OUTDATED)
    checks = (
        Check(
            "every item was compared",
            Verdict.FAIL if problems else Verdict.PASS,
            f"{chain.words}: {compared.items:,} {chain.counted}s were compared",
        ),
        check_of("every item's row is there and equal", f"{equal:,} rows are as the export makes them", mismatches, _DIFFERENT, problems),
        check_of("rows are up to date", _older(outdated), mismatches, _OUTDATED, problems),
        check_of("every row has its item", f"{target_rows:,} rows in the target", mismatches, _OF_ROWS, problems),
        *_checks_of_stream(cursor, load),
    )
    return comparison_outcome(
        load,
        compared,
        counted=chain.counted,
        total=chain.lines,
        parts=parts,
        problems=problems,
        checks=checks,
        mismatches=mismatches,
        listed=listed,
        target_rows=target_rows,
        seconds=seconds,
        outdated=outdated,
    )


def _checks_of_stream(cursor: Cursor, load: BegunLoad) -> Iterator[Check]:
    stream = find_stream(cursor, load.plan.load.load_id)
    if stream is not None:
        sentence = (
            f"its stream is followed since {shown_time(stream.begun_at)}: a difference is also what was written in DynamoDB before "
            f"{load.export.export_time} and has not come yet, and what was written after it and has come. Where the writes are stopped, "
            "and nothing comes any more, there is neither"
        )
        yield Check("the stream", Verdict.FACT, sentence)


def _parent_keys(cursor: Cursor, load: BegunLoad) -> Sequence[Sequence[str]] | None:
    """The columns of each child that name its parent's row; None before the first window, when no row is outdated."""
    chain = chain_of(cursor, load.plan.load.target_table)
    if chain is None or not chain.windows:
        return None
    return how_changes_find_rows(load.plan.table, load.plan.target.key).child_keys


# -- which export may be compared ----------------------------------------------------------------------------------------------------------


def as_of_load(full: Load, export: Export) -> Load:
    """The load that a chain begins with, as if the fresh export were its export. It is nowhere in the ledger."""
    return replace(
        full,
        export_id=export.export_id,
        export_digest=export.digest,
        manifest_items=export.items,
        export_time=datetime.fromisoformat(export.export_time) if export.export_time else None,
        table_id=export.table_id,
        filter=export.filter,
    )


def find_first_load(cursor: Cursor, export_id: str, target_table: str) -> Load | None:  # noqa: ARG001 - any export is compared with it
    """The load that the chain into a target begins with."""
    chain = chain_of(cursor, target_table)
    return None if chain is None else chain.full


def as_of_problems(cursor: Cursor, table: Table, load: Load) -> Iterator[str]:
    """Why a full export is not one of the end of what is applied, with the export to ask for; `load` is `as_of_load`."""
    chain = chain_of(cursor, load.target_table)
    if chain is None:
        return
    problems = list(_problems_of_chain(chain, table, load))
    if not problems and chain.stream is not None:
        problems += _problems_of_stream(chain.stream, load.export_time)
    yield from (f"{table.target}: {sentence}" for sentence in problems)


def _problems_of_chain(chain: Chain, table: Table, fresh: Load) -> Iterator[str]:
    begun, end = chain.begun, chain.end
    if chain.full is None or chain.full.finished_at is None:
        yield f"its load {fresh.load_id} is not finished, so nothing can be held against it yet; run migrate again"
    elif taken_back := next((load.link for load in chain.windows if load.link and load.rollback_started_at), None):
        yield f"a rollback of window {taken_back.number} was begun; finish it: run ddb2pg rollback with --yes"
    elif begun and begun.link:
        yield f"window {begun.link.number}, export {begun.export_id}, is not applied to its end; run migrate with it again first"
    elif chain.table_id is not None and fresh.table_id is not None and fresh.table_id != chain.table_id:
        yield (
            f"export {fresh.export_id} is of another table than export {chain.export_id}: of one that was deleted and made again under its "
            "name, or restored"
        )
    elif chain.filters and fresh.filter not in (None, chain.filters[0]):
        yield (
            f"export {fresh.export_id} was made {'without a filter' if fresh.filter == WHOLE else 'with a filter'}, and what is applied "
            f"{'without any' if chain.filters[0] == WHOLE else 'with another one'}; export the table in the same way"
        )
    elif end is None:
        yield f"export {chain.export_id} does not say as of what time it is, so no other can be of the same time"
    elif chain.stream is None and fresh.export_time != end:
        applied = f" and {counted_in_words(len(chain.applied), 'window')} after it" if chain.windows else ""
        yield (
            f"export {fresh.export_id} is as of {_shown(fresh.export_time)}, and what is applied, load {fresh.load_id}{applied}, ends at "
            f"{_shown(end)}. {_export_to_ask_for(table, end)}"
        )


def _problems_of_stream(stream: StreamState, time: datetime | None) -> Iterator[str]:
    """A stream has no end that an export could be as of: any later time than that of its beginning will do."""
    if stream.settled_at is None:
        yield "its stream is not applied to the end of its beginning; go on with ddb2pg follow --stream"
    elif time is None or time < stream.from_time:
        yield (
            f"the export is as of {_shown(time)}, and its stream is applied from {_shown(stream.from_time)} on. Stop the writes, follow "
            "the stream until nothing comes any more, and export the table as of a time after the last write"
        )


def _export_to_ask_for(table: Table, end: datetime) -> str:
    if end.microsecond:
        return "That is no whole second, so DynamoDB cannot be asked for it: leave out --as_of, and give the export that was loaded"
    return f"Ask for the export with: ddb2pg export {shlex.quote(table.source)} --to s3://BUCKET/PREFIX --export_time {shown_time(end)}"


def _shown(time: datetime | None) -> str:
    if time is None:
        return "an unknown time"
    return time.astimezone(UTC).isoformat() if time.microsecond else shown_time(time)


def _older(count: int) -> str:
    return "1 row is older than its item" if count == 1 else f"{count:,} rows are older than their items"
