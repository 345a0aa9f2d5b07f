"""The gate of `migrate`: a loaded table is compared with its export before the next one is begun."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console

from pipeline.job.chunk import KnownChunks, convert_lines
from pipeline.job.compare import HIDDEN, CompareChunks, mismatches_of, validate_table
from pipeline.job.find_loads import has_key_of_items
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.ledger.loads import Validated, note_validated
from pipeline.options import JobOptions
from pipeline.outcome.outcome import Check, Outcome, Verdict
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordFiles
from pipeline.records.kinds import KINDS, RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.source.chunks import Chunk, plan_splits
from pipeline.source.data_file import DataFileRefused, read_lines
from pipeline.source.manifest import DataFile, spread
from pipeline.target.compare import compare_rows
from pipeline.target.mismatch import Mismatch, MismatchKind
from pipeline.target.session import Session

MOST_FILES: Final = 20
SAMPLE: Final = 2_000
_NO_SEED: Final = 0
_NAMES: Final = {
    Validated.QUICK: "a sample of rows is equal, and there are no others",
    Validated.FULL: "every item's row is equal",
}
_WAYS_OUT: Final = (
    "see {folder}; `ddb2pg validate` compares every item. Fix the rows, or what changes them, and run the same command again; "
    "--validate=none goes on without"
)


def pass_gate(
    load: BegunLoad, outcome: Outcome, asked: Validated, options: JobOptions, run_folder: OutputFolder, console: Console
) -> Outcome:
    """Compare a proved load with its export as `--validate` says, unless an earlier run did: the outcome with the result.

    An equal result is recorded in the ledger; mismatches go to the files that `validate` writes. Raises `Stopped`.
    """
    name = _NAMES[asked]
    if not has_key_of_items(load.plan.target, load.plan.table):
        detail = "rows are not compared: the primary key does not tell of which item they are"
        return replace(outcome, checks=(Check(name, Verdict.WARNING, detail),))
    if load.plan.load.is_validated(asked):
        return replace(outcome, checks=(Check(name, Verdict.PASS, "compared with the export by an earlier run"),))
    compared = _compare_all(load, options, run_folder, console) if asked is Validated.FULL else _compare_sample(load, outcome, run_folder)
    sees_all_rows = not load.plan.target.has_row_security
    if compared.is_equal and sees_all_rows:
        with Session(options.database) as session:
            session.transact(lambda cursor: note_validated(cursor, load.plan.load.load_id, asked))
    checks = [_check(name, compared, run_folder)]
    if not sees_all_rows:
        checks.append(Check("this role sees all rows", Verdict.WARNING, HIDDEN))
    tallies = {**outcome.tallies, "mismatches": compared.mismatches, "columns": compared.columns}
    return replace(outcome, checks=tuple(checks), tallies=tallies)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The result of a comparison: mismatches by kind, differing rows by column, and why it is not complete."""

    items: int
    mismatches: Mapping[str, int]
    columns: Mapping[str, int]
    problems: Sequence[str]

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


def _compare_all(load: BegunLoad, options: JobOptions, run_folder: OutputFolder, console: Console) -> _Compared:
    validation = validate_table(load, CompareChunks(load.plan), options, run_folder, console)
    # Rows that row security may only hide do not count: the role that loaded them need not see them.
    unseen = MismatchKind.MISSING if load.plan.target.has_row_security else None
    mismatches = {kind: count for kind, count in validation.tallies["mismatches"].items() if count and kind != unseen}
    return _Compared(validation.seen, mismatches, validation.tallies["columns"], validation.problems)


# -- a sample ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ComparedChunk:
    """The sample of one data file."""

    chunk: Chunk
    mismatches: tuple[Mismatch, ...]


def _compare_sample(load: BegunLoad, outcome: Outcome, run_folder: OutputFolder) -> _Compared:
    """The number of all rows, and the content of those from the beginnings of data files spread over the export."""
    plan = load.plan
    files = RecordFiles(run_folder / RecordKind.MISMATCHES / plan.folder)
    kinds, columns, problems = Counter[str](), Counter[str](), list[str]()
    items = 0
    sees_all_rows = not plan.target.has_row_security
    try:
        for compared in _compared_chunks(load):
            items += len(compared.chunk.lines)
            mismatches = [mismatch for mismatch in compared.mismatches if sees_all_rows or mismatch.kind is not MismatchKind.MISSING]
            kinds.update(mismatch.kind.value for mismatch in mismatches)
            columns.update(itertools.chain.from_iterable(mismatch.columns for mismatch in mismatches))
            files.write(mismatch_batch(plan.origin, compared.chunk, plan.table.key, mismatches))
    except (DataFileRefused, StorageFailed) as failed:
        problems.append(str(failed))
    more = outcome.target_rows - outcome.count("rows")
    if more > 0:
        kinds[MismatchKind.ROW_WITHOUT_ITEM.value] = more
    return _Compared(items, kinds, columns, problems)


def _compared_chunks(load: BegunLoad) -> Iterator[_ComparedChunk]:
    """The first lines of each sampled data file. Raises `DataFileRefused`, `StorageFailed`, `Stopped`."""
    plan = load.plan
    to_row = plan.row_maker()
    sampled = list(spread([data_file for data_file in load.export.data_files if data_file.items], MOST_FILES))
    with Session(plan.database) as session:
        known_chunks = KnownChunks(plan, session)
        for data_file in sampled:
            chunk = _beginning(data_file, -(-SAMPLE // len(sampled)), plan)
            committed = known_chunks.of(chunk).committed
            # A proved load has it, unless the file has other lines now.
            if committed is None:
                continue
            refused = {row.item_number for row in committed.refused}
            chunk = replace(chunk, lines=chunk.lines[: committed.items])
            loaded = convert_lines(chunk.lines, chunk.first_item, to_row).loaded_rows
            rows = loaded.only(number for number in loaded.item_numbers if number not in refused)
            comparison = session.transact(lambda cursor, rows=rows: compare_rows(cursor, plan.target, plan.table, rows, _NO_SEED))  # type: ignore[misc]
            yield _ComparedChunk(chunk, tuple(mismatches_of(comparison)))


def _beginning(data_file: DataFile, lines: int, plan: LoadPlan) -> Chunk:
    first = next(part for part in plan_splits([data_file], plan.load.split_size) if part.first_item == 0)
    return Chunk(first, 0, list(itertools.islice(read_lines(data_file.uri, plan.storage), min(lines, data_file.items))), is_last=True)
