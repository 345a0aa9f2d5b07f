"""The gate of `migrate`: a loaded table is compared with its export before the next one is begun."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from rich.console import Console

from pipeline.job.chunk import KnownChunk, KnownChunks
from pipeline.job.compare import HIDDEN, CompareChunks, mismatches_of, unequal_columns, validate_tables, with_columns
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.ledger.loads import Validated, note_validated
from pipeline.options import JobOptions
from pipeline.outcome.outcome import Check, Outcome, Verdict
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.columns import ColumnSample, CountColumns
from pipeline.records.files import RecordFiles
from pipeline.records.kinds import KINDS, RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.source.chunks import Chunk, plan_splits
from pipeline.source.data_file import DataFileRefused, read_lines
from pipeline.source.manifest import DataFile, spread
from pipeline.target.compare import Mismatch, MismatchKind, compare_rows
from pipeline.target.session import Session
from pipeline.target.target import count_rows, has_key_of_items
from pipeline.target.write import families

MOST_FILES: Final = 20
SAMPLE: Final = 2_000
_NO_SEED: Final = 0
_NAMES: Final = {
    Validated.QUICK: "row comparison (sample)",
    Validated.FULL: "row comparison (every item)",
}
_WAYS_OUT: Final = (
    "see {folder}; `ddb2pg validate` compares every item. Fix the rows, or what changes them, and run the same command again; "
    "--validate=none goes on without"
)


def pass_gates(
    proved: Sequence[tuple[BegunLoad, Outcome]], asked: Validated, options: JobOptions, run_folder: OutputFolder, console: Console
) -> Iterator[Outcome]:
    """Compare loads of one reading, which are proved, with their export as `--validate` says, unless an earlier run did.

    Gives the outcome of each with the result, in their order. Every item is compared in one reading for all of them. An equal result is
    recorded in the ledger; mismatches go to the files that `validate` writes. Raises `Stopped`.
    """
    settled = [_settled(load, outcome, asked) for load, outcome in proved]
    to_compare = [load for (load, _), outcome in zip(proved, settled, strict=True) if outcome is None]
    of_all = iter(_compare_all(to_compare, options, run_folder, console) if asked is Validated.FULL and to_compare else [])
    for (load, outcome), before in zip(proved, settled, strict=True):
        if before is not None:
            yield before
            continue
        compared = next(of_all) if asked is Validated.FULL else _compare_sample(load, outcome, run_folder)
        yield _with_result(load, outcome, compared, asked, run_folder)


def _settled(load: BegunLoad, outcome: Outcome, asked: Validated) -> Outcome | None:
    """The outcome of a load that is not compared now, with the reason; None of one that is."""
    if not has_key_of_items(load.plan.target, load.plan.table):
        detail = "rows are not compared: no primary key or unique index tells of which item they are"
        return replace(outcome, checks=(*outcome.checks, Check(_NAMES[asked], Verdict.WARNING, detail)))
    if load.plan.load.is_validated(asked):
        detail = "compared with the export by an earlier run"
        return replace(outcome, checks=(*outcome.checks, Check(_NAMES[asked], Verdict.PASS, detail)))
    return None


def _with_result(load: BegunLoad, outcome: Outcome, compared: _Compared, asked: Validated, run_folder: OutputFolder) -> Outcome:
    sees_all_rows = not load.plan.target.hides_rows
    if compared.is_equal and sees_all_rows:
        with Session(load.plan.database) as session:
            session.transact(partial(note_validated, load_id=load.plan.load.load_id, validated=asked))
    checks = [*outcome.checks, _check(_NAMES[asked], compared, run_folder)]
    if not sees_all_rows:
        checks.append(Check("this role sees all rows", Verdict.WARNING, HIDDEN))
    tallies = {**outcome.tallies, "mismatches": compared.mismatches, "columns": compared.columns}
    return replace(outcome, checks=tuple(checks), tallies=tallies, sample=compared.sample)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The result of a comparison: mismatches by kind, differing rows by column, and why it is not complete."""

    items: int
    mismatches: Mapping[str, int]
    columns: Mapping[str, int]
    problems: Sequence[str]
    sample: ColumnSample | None

    @property
    def is_equal(self) -> bool:
        return not self.mismatches and not self.problems


def _check(name: str, compared: _Compared, run_folder: OutputFolder) -> Check:
    detail = f"{compared.items:,} items were compared with the target: {'equal' if compared.is_equal else 'NOT equal'}"
    if compared.is_equal:
        return Check(name, Verdict.PASS, detail)
    differences = [f"{count:,} {KINDS[MismatchKind(kind)].words} ({kind})" for kind, count in compared.mismatches.items()]
    ways_out = _WAYS_OUT.format(folder=run_folder / RecordKind.MISMATCHES)
    return Check(name, Verdict.FAIL, "; ".join([detail, *differences, *compared.problems, ways_out]))


def _compare_all(loads: Sequence[BegunLoad], options: JobOptions, run_folder: OutputFolder, console: Console) -> list[_Compared]:
    """Every item, in one reading of the export."""
    validations = validate_tables(loads, [CompareChunks(load.plan) for load in loads], options, run_folder, console)
    return [_of_validation(load, validation) for load, validation in zip(loads, validations, strict=True)]


def _of_validation(load: BegunLoad, validation: Outcome) -> _Compared:
    # Rows that row security may only hide do not count: the role that loaded them need not see them.
    unseen = MismatchKind.MISSING if load.plan.target.hides_rows else None
    mismatches = {kind: count for kind, count in validation.tallies["mismatches"].items() if count and kind != unseen}
    return _Compared(validation.seen, mismatches, validation.tallies["columns"], validation.problems, _sample_columns(load, validation))


# -- a sample ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ComparedChunk:
    """The sample of one data file."""

    chunk: Chunk
    items: int
    """Without those that are not for this table."""
    mismatches: tuple[Mismatch, ...]


def _sample_columns(load: BegunLoad, outcome: Outcome) -> ColumnSample | None:
    """What the columns got, where the sample is not compared; None where it cannot be read. Raises `Stopped`."""
    columns = CountColumns(load.plan.table)
    with contextlib.suppress(DataFileRefused, StorageFailed), Session(load.plan.database) as session:
        for chunk in _sampled_chunks(load, _lines_to_read(outcome), session):
            _count_columns(columns, chunk)
    return columns.result()


def _compare_sample(load: BegunLoad, outcome: Outcome, run_folder: OutputFolder) -> _Compared:
    """The number of all rows, and the content of those from the beginnings of data files spread over the export."""
    plan = load.plan
    files = RecordFiles(run_folder / RecordKind.MISMATCHES / plan.folder)
    kinds, columns, problems = Counter[str](), Counter[str](), list[str]()
    items, sample = 0, CountColumns(plan.table)
    sees_all_rows = not plan.target.hides_rows
    try:
        for compared in _compared_chunks(load, _lines_to_read(outcome), sample):
            items += compared.items
            mismatches = [mismatch for mismatch in compared.mismatches if sees_all_rows or mismatch.kind is not MismatchKind.MISSING]
            kinds.update(mismatch.kind.value for mismatch in mismatches)
            columns.update(itertools.chain.from_iterable(mismatch.columns for mismatch in mismatches))
            files.write(mismatch_batch(plan.origin, compared.chunk, plan.table.key, mismatches))
    except (DataFileRefused, StorageFailed) as failed:
        problems.append(str(failed))
    more = max(0, outcome.target_rows - outcome.count("rows"))
    with Session(plan.database) as session:
        for child, target in zip(plan.table.children, plan.target.children, strict=True):
            more += max(0, session.transact(partial(count_rows, target=target)) - outcome.tallies["child_rows"][child.target])
    if more > 0:
        kinds[MismatchKind.ROW_WITHOUT_ITEM.value] = more
    return _Compared(items, kinds, columns, problems, sample.result())


def _lines_to_read(outcome: Outcome) -> int:
    """So many that as many items as are asked for are for this table, if they are spread evenly."""
    taken = outcome.total - outcome.count("filtered")
    return SAMPLE * outcome.total // taken if taken else SAMPLE


def _sampled_chunks(load: BegunLoad, lines: int, session: Session) -> Iterator[KnownChunk]:
    """The first lines of each sampled data file. Raises `DataFileRefused`, `StorageFailed`, `Stopped`."""
    plan = load.plan
    sampled = spread(load.export.data_files, MOST_FILES)
    known_chunks = KnownChunks(plan, session)
    for data_file in sampled:
        chunk = beginning(data_file, -(-lines // len(sampled)), plan)
        committed = known_chunks.of(chunk).committed
        # A proved load has it, unless the file has other lines now.
        if committed is not None:
            yield known_chunks.of(replace(chunk, lines=chunk.lines[: committed.items]))


def _count_columns(columns: CountColumns, chunk: KnownChunk) -> None:
    """Take in every second line of a chunk that is for the table: the others would say the same, and take as long again."""
    converted = chunk.converted.without(chunk.committed.refused if chunk.committed else ())
    rows = dict(zip(converted.loaded_rows.item_numbers, converted.loaded_rows.encoded, strict=True))
    for number in chunk.item_numbers[::2]:
        if number not in converted.filtered:
            refusal = converted.refusals.get(number)
            refused = {error.column for error in refusal.errors} if refusal else ()
            columns.add(chunk.line(number), rows.get(number), refused)


def _compared_chunks(load: BegunLoad, lines: int, columns: CountColumns) -> Iterator[_ComparedChunk]:
    """Those of the sample; `columns` takes in what their columns got. Raises `DataFileRefused`, `StorageFailed`, `Stopped`."""
    plan = load.plan
    with Session(plan.database) as session:
        for known in _sampled_chunks(load, lines, session):
            chunk = known.chunk
            _count_columns(columns, known)
            converted = known.converted.without(known.committed.refused if known.committed else ())
            rows = converted.loaded_rows
            comparison = session.transact(lambda cursor, rows=rows: compare_rows(cursor, plan.target, plan.table, rows, _NO_SEED))  # type: ignore[misc]
            mismatches = mismatches_of(comparison)
            for target, table, of_child in families(plan.target, plan.table, rows):
                of_rows = session.transact(partial(compare_rows, target=target, table=table, rows=of_child.numbered, seed=_NO_SEED))
                mismatches = with_columns(mismatches, unequal_columns(table.target, of_child.owners, of_rows))
            yield _ComparedChunk(chunk, len(chunk.lines) - len(converted.filtered), tuple(mismatches))


def beginning(data_file: DataFile, lines: int, plan: LoadPlan) -> Chunk:
    """The first lines of a data file, or some more or fewer."""
    first = next(part for part in plan_splits([data_file], plan.load.split_size) if part.first_item == 0)
    return Chunk(first, 0, list(itertools.islice(read_lines(data_file.uri, plan.storage), min(lines, data_file.items))), is_last=True)
