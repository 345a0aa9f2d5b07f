"""The comparison of a chain with its own exports: `validate` of a load that windows follow.

What the target must hold of an item is said by the last window that has a record of it, or else by the full export. So the windows are
compared first, the last one before the others, and each notes the items that it has a record of: what a later one has noted is passed over.
Then the full export is compared, without the items that any window has a record of. Every row must be of an item that was compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from pipeline.job.chunk import ConvertedLines, KnownChunk, stop_if_otherwise
from pipeline.job.compare import CompareChunks, CompareVisit, forget
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import Records, VisitedLoad, record_folders
from pipeline.ledger.changes import count_outdated
from pipeline.ledger.chunks import CommittedChunk, Totals, refused_files
from pipeline.ledger.comparisons import ComparedChunk, Comparing, compared_items, last_touched, note_compared, touched_items
from pipeline.ledger.replays import count_all_replayed
from pipeline.ledger.windows import Chain, chain_of
from pipeline.options import ValidateOptions
from pipeline.outcome.outcome import Check, Outcome, Verdict
from pipeline.places.storage import OutputFolder
from pipeline.preflight.exports import changed_findings
from pipeline.preflight.findings import problems_in
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import Values
from pipeline.source.chunks import plan_splits
from pipeline.source.manifest import Export
from pipeline.target.compare import Mismatch, MismatchKind
from pipeline.target.rows import Rows
from pipeline.target.session import Cursor, Session
from pipeline.windows.as_of import ComparedChain, conclude_chain, look_at_different
from pipeline.windows.changes import convert_changes, name_of_item
from transforms.changes import compile_changes
from transforms.table import Unmapped


@dataclass(frozen=True, slots=True)
class BegunChain:
    """A load, and the windows that were applied after it, in their order."""

    first: BegunLoad
    windows: Sequence[BegunLoad]


# -- the visit -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CompareOwn:
    """Compares the chunks of one export of a chain: that of the load that it begins with, or a window's."""

    chunks: CompareChunks
    chain: int
    kinds: Sequence[RecordKind] = (RecordKind.MISMATCHES,)
    refused: str = "PostgreSQL refused rows that it took when they were loaded"

    @property
    def load_plan(self) -> LoadPlan:
        return self.chunks.load_plan

    @property
    def comparing(self) -> Comparing:
        return Comparing(self.chain, self.load_plan.run_id, self.chunks.seed, is_of_chain=True)

    def visit(self, session: Session) -> CompareOwnVisit:  # noqa: ARG002 - it needs none of its own
        return CompareOwnVisit(self)


class CompareOwnVisit:
    """Compares chunks, without the items of which a later window has a record."""

    ways: Sequence[None] = (None,)

    def __init__(self, plan: CompareOwn) -> None:
        self._plan = plan
        self._visit = CompareVisit(plan.chunks)
        self._lines = _Changes(plan.load_plan) if plan.load_plan.load.link else _Items(self._visit)

    def prepare(self, chunk: KnownChunk) -> Records | None:
        if chunk.committed is not None:
            self._lines.convert(chunk, chunk.committed)
        return None

    def work(self, cursor: Cursor, chunk: KnownChunk, way: None) -> tuple[Sequence[Mismatch], Values]:  # noqa: ARG002 - there is one
        last = self._last(cursor, chunk)
        superseded = len(chunk.lines) - len(last)
        values: Values = {}
        if chunk.committed is None:
            no_keys = ["{}"] * len(self._plan.load_plan.table.children)
            compared = ComparedChunk(0, [Mismatch(number, MismatchKind.NOT_LOADED) for number in sorted(last)], child_keys=no_keys)
        else:
            converted = self._lines.convert(chunk, chunk.committed).only(last)
            without_row = sorted({*converted.refusals, *converted.filtered})
            compared, values = self._visit.compare(cursor, converted, self._lines.keys(chunk, without_row))
            compared = self._with_writers(cursor, converted, compared)
            compared = replace(
                compared,
                dead_letters=len(converted.refusals),
                filtered=len(converted.filtered),
                gone=len(last) - compared.items,
            )
        compared = replace(compared, items=len(chunk.lines), superseded=superseded)
        return note_compared(cursor, self._plan.comparing, replace(chunk.key, load_id=self._plan.chain), compared), values

    def records(self, chunk: KnownChunk, way: None, done: tuple[Sequence[Mismatch], Values]) -> Records:
        return self._visit.records(chunk, way, done)

    def _last(self, cursor: Cursor, chunk: KnownChunk) -> set[int]:
        """The numbers of the lines that have the last word of their item."""
        link, key = self._plan.load_plan.load.link, self._plan.load_plan.table.key
        seed, is_change = self._plan.chunks.seed, link is not None
        names = {number: name_of_item(chunk.line(number), key, seed, is_change=is_change) for number in chunk.item_numbers}
        known = {name for name in names.values() if name is not None}
        if link is None:
            later = touched_items(cursor, self._plan.comparing, known)
        else:
            later = known - last_touched(cursor, self._plan.comparing, link.number, known)
        return {number for number, name in names.items() if name not in later}

    def _with_writers(self, cursor: Cursor, converted: ConvertedLines, compared: ComparedChunk) -> ComparedChunk:
        different = [mismatch.item_number for mismatch in compared.mismatches if mismatch.kind is MismatchKind.DIFFERENT]
        if not different:
            return compared
        seen = look_at_different(cursor, self._plan.load_plan, converted, different, self._plan.comparing)
        kinds = {number: MismatchKind.CHANGED_BY_OTHERS for number, row in seen.items() if row.is_theirs}
        return replace(compared, mismatches=[replace(one, kind=kinds.get(one.item_number, one.kind)) for one in compared.mismatches])


class _Items:
    """The lines of a full export."""

    def __init__(self, visit: CompareVisit) -> None:
        self._visit = visit

    def convert(self, chunk: KnownChunk, committed: CommittedChunk) -> ConvertedLines:  # noqa: ARG002 - the chunk has it
        return chunk.as_committed

    def keys(self, chunk: KnownChunk, numbers: Sequence[int]) -> Rows:
        return self._visit.keys_of(chunk, numbers)


class _Changes:
    """The lines of a window: of an item that has a row its new row, of a dead letter and a filtered item nothing but the key."""

    def __init__(self, plan: LoadPlan) -> None:
        load = plan.load
        if load.link is None:
            message = "the load is of a full export"
            raise ValueError(message)
        self._children = len(plan.table.children)
        self._compiled = compile_changes(
            plan.with_defaults,
            key=plan.target.key,
            view=load.link.window.view,
            migration_time=load.migration_microseconds,
            unmapped=load.unmapped,
        )

    def convert(self, chunk: KnownChunk, committed: CommittedChunk) -> ConvertedLines:
        lines = ((number, chunk.line(number)) for number in chunk.item_numbers)
        changed = convert_changes(lines, self._compiled.to_change, self._children)
        stop_if_otherwise(chunk.key, changed.counts(committed.refused), committed)
        refusals = changed.refusals_with(committed.refused)
        rows = changed.changes.new.without(refusals)
        filtered = {number: reason for number, reason in changed.filtered.items() if number not in refusals}
        return ConvertedLines(rows, refusals, {}, filtered)

    def keys(self, chunk: KnownChunk, numbers: Sequence[int]) -> Rows:
        return Rows.of((number, self._compiled.key_of(chunk.line(number))) for number in numbers)


# -- of a whole chain ----------------------------------------------------------------------------------------------------------------------


def compare_own_exports(chain: BegunChain, options: ValidateOptions, run_folder: OutputFolder, console: Console) -> Outcome:
    """Compare every export of a chain, and add up the results. Raises `Stopped`."""
    first = chain.first
    chunks = CompareChunks(first.plan, show_values=options.show_values)
    started = time.monotonic()
    exports = [*reversed(chain.windows), first]
    plans = [CompareOwn(replace(chunks, load_plan=load.plan), first.plan.load.load_id) for load in exports]
    folders = record_folders(run_folder, plans[-1])

    def compared(cursor: Cursor) -> Totals:
        return compared_items(cursor, plans[-1].comparing)

    try:
        done = 0
        for load, plan in zip(exports, plans, strict=True):
            splits = plan_splits(load.export.data_files, load.plan.load.split_size)
            visited = [VisitedLoad(plan, folders)]
            run_visits(visited, splits, load.export, options, console, done_before=done, read=compared, counted="mismatches")
            done += load.export.items
        seconds = time.monotonic() - started
        with Session(first.plan.database) as session:
            folder = folders[RecordKind.MISMATCHES]
            return session.transact(partial(_conclude, chain=chain, comparing=plans[-1].comparing, folder=folder, seconds=seconds))
    finally:
        forget(first.plan)


def _conclude(cursor: Cursor, chain: BegunChain, comparing: Comparing, folder: OutputFolder, seconds: float) -> Outcome:
    loads = [chain.first, *chain.windows]
    problems = [
        problem for window in chain.windows for problem in refused_files(cursor, window.plan.load.load_id, comparing.run_id).values()
    ]
    lines = sum(load.export.items for load in loads)
    origins = {data_file.name: window.plan.origin for window in chain.windows for data_file in window.export.data_files}
    words = f"{lines:,} items of the full export and records of {len(chain.windows)} windows"
    compared = ComparedChain(comparing, lines, words, problems, origins, counted="line")
    outcome = conclude_chain(cursor, chain.first, compared, folder, seconds)
    known = count_outdated(cursor, chain.first.plan.load.load_id)
    if outcome.problems or outcome.outdated >= known:
        return outcome
    detail = f"{known:,} rows are outdated by the ledger, and {outcome.outdated:,} were found: look at the dead letters of the windows"
    return replace(outcome, checks=(*outcome.checks, Check("outdated rows are found", Verdict.FAIL, detail)))


# -- which windows they are ----------------------------------------------------------------------------------------------------------------


def find_windows(cursor: Cursor, first: BegunLoad, given: Sequence[Export], unmapped: Unmapped | None) -> Iterator[BegunLoad | str]:
    """The windows that were applied after a load, in their order, and what is wrong."""
    table = first.plan.table
    chain = chain_of(cursor, first.plan.load.target_table)
    if chain is None:
        yield f"{table.target}: several loads into it were begun, so its windows cannot be told"
        return
    yield from (f"{table.target}: {sentence}" for sentence in _problems_of_chain(cursor, chain, first.plan.load.load_id))
    by_id: Mapping[str, Export] = {export.export_id: export for export in given}
    for load in chain.applied:
        export = by_id.get(load.export_id)
        if load.link is None:
            continue
        if export is None:
            yield (
                f"{table.target}: window {load.link.number}, export {load.export_id}, was applied after its load; give it as well, and all "
                "other windows. Or export the table again as of the end of the last one, and compare with that (--as_of)"
            )
            continue
        yield from problems_in(changed_findings(export, table, load, unmapped))
        yield BegunLoad(export, replace(first.plan, load=load))


def _problems_of_chain(cursor: Cursor, chain: Chain, load_id: int) -> Iterator[str]:
    if chain.begun and chain.begun.link:
        number, export_id = chain.begun.link.number, chain.begun.export_id
        yield f"window {number}, export {export_id}, is not applied to its end; run migrate with it again first"
    if taken_back := next((load.link for load in chain.windows if load.link and load.rollback_started_at), None):
        yield f"a rollback of window {taken_back.number} was begun; finish it: run ddb2pg rollback with --yes"
    if chain.stream is not None:
        yield "its stream is followed, and what it brought is in no export; compare with a fresh export (--as_of)"
    if count_all_replayed(cursor, load_id):
        yield (
            "dead letters of its load were replayed before the windows, so its exports do not say what the rows must be; compare with a "
            "fresh export (--as_of)"
        )
