"""The gate of `migrate`: a table that is loaded is held against its export before the next one is begun."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console

from pipeline.job.begun_loads import BegunLoad, CheckOptions, has_key_of_items
from pipeline.job.compare_chunk import ValidationPlan, mismatches_of
from pipeline.job.loading import CommittedChunks, LoadPlan, convert_chunk
from pipeline.ledger.loads import Validated, note_validated
from pipeline.outcome.check_results import GateResult
from pipeline.outcome.result import TableResult
from pipeline.places import StorageFailed
from pipeline.places.output import OutputFolder
from pipeline.records.files import RecordFiles
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import mismatch_batch
from pipeline.source.chunks import Chunk, plan_splits
from pipeline.source.data_file import DataFileRefused, read_lines
from pipeline.source.manifest import DataFile, spread
from pipeline.target.compare import compare_rows
from pipeline.target.mismatch import Mismatch, MismatchKind
from pipeline.target.session import Session
from transforms.compile import compile_table

MOST_FILES: Final = 20
SAMPLE: Final = 2_000
_NO_SEED: Final = 0


def pass_gate(
    load: BegunLoad, result: TableResult, asked: Validated, options: CheckOptions, run_folder: OutputFolder, console: Console
) -> GateResult:
    """Compare a proved load with its export as thoroughly as is asked, unless an earlier run did; what holds is noted in the ledger.

    Mismatches go to the files that `validate` writes. Raises `Stopped`.
    """
    if not has_key_of_items(load.plan.target, load.plan.table):
        return GateResult(asked, 0, {}, {}, sees_all_rows=True, is_comparable=False)
    if load.plan.load.is_validated(asked):
        return GateResult(asked, 0, {}, {}, sees_all_rows=True, is_of_before=True)
    is_full = asked is Validated.FULL
    gate = _compare_all(load, options, run_folder, console) if is_full else _compare_sample(load, result, run_folder)
    if gate.holds and gate.sees_all_rows:
        with Session(options.database) as session:
            session.transact(lambda cursor: note_validated(cursor, load.plan.load.load_id, asked))
    return gate


def _compare_all(load: BegunLoad, options: CheckOptions, run_folder: OutputFolder, console: Console) -> GateResult:
    from pipeline.commands.validate import validate_table  # noqa: PLC0415 - its job takes long to import

    found = validate_table(load, ValidationPlan(load.plan), options, run_folder, console)
    mismatches = _seen(found.mismatches, sees_all_rows=found.sees_all_rows)
    return GateResult(Validated.FULL, found.compared_items, mismatches, found.columns, found.sees_all_rows, problems=found.problems)


def _seen(mismatches: Mapping[str, int], *, sees_all_rows: bool) -> dict[str, int]:
    """Without the rows that row security may only hide: the role that loaded them need not see them."""
    return {kind: count for kind, count in mismatches.items() if count and (sees_all_rows or kind != MismatchKind.MISSING)}


# -- a sample ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Compared:
    """The sample of one data file."""

    chunk: Chunk
    mismatches: tuple[Mismatch, ...]


def _compare_sample(load: BegunLoad, result: TableResult, run_folder: OutputFolder) -> GateResult:
    """The number of all rows, and the content of those from the beginnings of data files spread over the export."""
    plan = load.plan
    files = RecordFiles(run_folder / RecordKind.MISMATCHES / plan.table.source)
    kinds, columns, problems = Counter[str](), Counter[str](), list[str]()
    items = 0
    sees_all_rows = not plan.target.has_row_security
    try:
        for compared in _compared(load):
            items += len(compared.chunk.lines)
            told = [one for one in compared.mismatches if sees_all_rows or one.kind is not MismatchKind.MISSING]
            kinds.update(one.kind.value for one in told)
            columns.update(itertools.chain.from_iterable(one.columns for one in told))
            files.write(mismatch_batch(plan.origin, compared.chunk, plan.table.key, told))
    except (DataFileRefused, StorageFailed) as failed:
        problems.append(str(failed))
    more = result.target_rows - result.totals.rows
    if more > 0:
        kinds[MismatchKind.ROW_WITHOUT_ITEM.value] = more
    return GateResult(Validated.QUICK, items, kinds, columns, sees_all_rows, problems=tuple(problems))


def _compared(load: BegunLoad) -> Iterator[_Compared]:
    """The first lines of each sampled data file. Raises `DataFileRefused`, `StorageFailed`, `Stopped`."""
    plan = load.plan
    to_row = compile_table(plan.table, migration_time=plan.load.migration_microseconds, unmapped=plan.load.unmapped)
    sampled = list(spread([data_file for data_file in load.export.data_files if data_file.items], MOST_FILES))
    with Session(plan.database) as session:
        committed_chunks = CommittedChunks(plan.load, session)
        for data_file in sampled:
            chunk = _beginning(data_file, -(-SAMPLE // len(sampled)), plan)
            committed = committed_chunks.find(chunk)
            # Of a load that is proved it is there; what is read may be less of it, or more.
            if committed is None:
                continue
            refused = {row.item_number for row in committed.refused}
            chunk = replace(chunk, lines=chunk.lines[: committed.items])
            loaded = convert_chunk(chunk, to_row).loaded_rows
            rows = loaded.only(number for number in loaded.item_numbers if number not in refused)
            found = session.transact(lambda cursor, rows=rows: compare_rows(cursor, plan.target, plan.table, rows, _NO_SEED))  # type: ignore[misc]
            yield _Compared(chunk, tuple(mismatches_of(found)))


def _beginning(data_file: DataFile, lines: int, plan: LoadPlan) -> Chunk:
    first = next(part for part in plan_splits([data_file], plan.load.split_size) if part.first_item == 0)
    return Chunk(first, 0, list(itertools.islice(read_lines(data_file.uri, plan.storage), min(lines, data_file.items))), is_last=True)
