"""All that can be known before a load, at once: the findings of exports, database and targets. Only reads, which the server enforces."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pipeline.engines.arguments import WorkerLimit
from pipeline.errors import Refused
from pipeline.ledger.loads import Cut, Load
from pipeline.options import AskFilters
from pipeline.outcome.outcome import Check
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder, Storage
from pipeline.preflight.attachments import attachment_findings, foreign_key_findings, row_security_findings
from pipeline.preflight.database import (
    PROGRESS,
    connection_findings,
    database_findings,
    installation_findings,
    link_findings,
    space_findings,
)
from pipeline.preflight.exports import (
    Planned,
    PlannedWindows,
    find_exports,
    find_visible_load,
    load_findings,
    output_findings,
    with_filters,
)
from pipeline.preflight.findings import Code, problem
from pipeline.preflight.readings import ToRead, plan_readings, reading_findings
from pipeline.preflight.sample import TableSample, absent_findings, estimate_bytes, sample_table
from pipeline.preflight.targets import compiled_findings, taken_default_findings, target_findings
from pipeline.preflight.windows import window_findings
from pipeline.source.chunks import ChunkSize, SplitSize, plan_splits
from pipeline.source.given import ExportArgument
from pipeline.target.connection import Link, Pooling, look_at_link
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, evaluate_defaults, find_target, find_target_of, has_rows
from transforms.table import Table, Unmapped


class PreflightOptions(Protocol):
    """What a command's options must have to be checked."""

    @property
    def exports(self) -> Sequence[ExportArgument]: ...
    @property
    def database(self) -> DatabaseReference: ...
    @property
    def output(self) -> OutputFolder: ...
    @property
    def tables(self) -> Sequence[Table]: ...
    @property
    def unmapped(self) -> Unmapped: ...
    @property
    def chunk_size(self) -> ChunkSize: ...
    @property
    def split_size(self) -> SplitSize: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def aws(self) -> AwsSettings: ...
    @property
    def ask_filters(self) -> AskFilters: ...
    @property
    def limit(self) -> WorkerLimit:
        """The option that lowers the number of workers."""

    def workers(self, items: int, splits: int, /) -> int | None:
        """How many so many items in so many splits get; None where only the runner knows."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be loaded, and all that was found: of exports and database first, then table by table."""

    planned: tuple[Planned, ...]
    findings: tuple[Check, ...]
    windows: tuple[PlannedWindows, ...] = ()
    """To be applied after that, in no order."""
    with_defaults: Mapping[str, Table] = field(default_factory=dict)
    """By target the definitions as rows are made by them."""


def check(options: PreflightOptions, *, with_estimate: bool = False) -> Checked:
    """Look at everything; `with_estimate` reads the first items of each export for their size. Raises `Stopped`."""
    found = find_exports(options.exports, options.tables, options.storage, takes_windows=True)
    planned, findings, windows = with_filters(found, options)
    findings.extend(output_findings(options.output))
    findings.extend(installation_findings())
    try:
        link = look_at_link(options.database, max((_workers(options, one) or 1 for one in planned), default=1) + PROGRESS)
    except Refused as refused:
        findings.extend(problem(Code.NOT_REACHABLE, sentence) for sentence in refused.problems)
        return Checked(tuple(planned), tuple(findings), tuple(windows))
    findings.extend(link_findings(link))
    with_defaults: dict[str, Table] = {}
    if link.pooling is not Pooling.STATEMENT:
        needed = estimate_bytes(planned, options.storage) if with_estimate else None

        def work(cursor: Cursor) -> list[Check]:
            cursor.execute("SET TRANSACTION READ ONLY")
            looked_up = [_look_up(cursor, one) for one in planned]
            with_defaults.update({one.planned.table.target: _with_defaults(cursor, one) for one in looked_up})
            found = [
                *database_findings(cursor),
                *_connection_findings(cursor, options, looked_up, link),
                *_table_findings(cursor, options, looked_up),
                *_window_findings(cursor, options, planned, windows),
            ]
            return [*found, *space_findings(cursor, needed)] if with_estimate else found

        with Session(options.database) as session:
            findings.extend(session.transact(work))
    return Checked(tuple(planned), tuple(findings), tuple(windows), with_defaults)


def table_findings(cursor: Cursor, planned: Planned, target: Target | None, unmapped: Unmapped) -> Iterator[Check]:
    """Of one target and the load into it: all that can forbid the load."""
    yield from target_findings(cursor, planned.table, target)
    yield from load_findings(cursor, planned.export, planned.table, target, unmapped)
    load = find_visible_load(cursor, planned.export, target)
    if load is None:
        yield from taken_default_findings(cursor, planned.table, target)
    for child, child_target in _children(cursor, planned.table):
        yield from target_findings(cursor, child, child_target, is_child=True)
        if load is None:
            yield from taken_default_findings(cursor, child, child_target)
        if load is None and child_target is not None and "SELECT" in child_target.privileges and has_rows(cursor, child_target):
            yield problem(Code.NOT_EMPTY, "is not empty, and its rows are of no load that is known; empty the table", child.target)


def _children(cursor: Cursor, table: Table) -> list[tuple[Table, Target | None]]:
    """The tables of its child rows, each with its target; None where there is none."""
    return [(child, find_target(cursor, child.target, child)) for child in table.child_tables]


@dataclass(frozen=True, slots=True)
class _LookedUp:
    """What the database has of a table that is to be loaded."""

    planned: Planned
    target: Target | None
    children: Sequence[tuple[Table, Target | None]]
    load: Load | None
    """Where there is a ledger that we may read."""

    @property
    def is_finished(self) -> bool:
        return self.load is not None and self.load.finished_at is not None

    @property
    def family(self) -> list[tuple[Table, Target]]:
        """The table and those of its child rows, as far as they are there, in the order in which an item's rows are written."""
        all_of_it = [(self.planned.table, self.target), *self.children]
        return [(table, target) for table, target in all_of_it if target is not None]


def _look_up(cursor: Cursor, planned: Planned) -> _LookedUp:
    target = find_target_of(cursor, planned.table)
    return _LookedUp(planned, target, _children(cursor, planned.table), find_visible_load(cursor, planned.export, target))


def _with_defaults(cursor: Cursor, looked_up: _LookedUp) -> Table:
    """With those that the load has, or would begin with; with NULL for them where they cannot be told, which is a finding."""
    table, load = looked_up.planned.table, looked_up.load
    try:
        if load is not None:
            return load.with_defaults(table)
        return table.with_defaults(evaluate_defaults(cursor, table, looked_up.target)) if looked_up.target else table.with_any_defaults
    except (Refused, LookupError, ValueError):
        return table.with_any_defaults


def _table_findings(cursor: Cursor, options: PreflightOptions, looked_up: Sequence[_LookedUp]) -> Iterator[Check]:
    written = [target.oid for one in looked_up for _, target in one.family]
    seen: dict[int, Table] = {}
    number = 0
    for one in looked_up:
        yield from compiled_findings(one.planned.table)
        yield from table_findings(cursor, one.planned, one.target, options.unmapped)
        for table, target in one.family:
            other = seen.setdefault(target.oid, table)
            if other != table:  # two exports of one definition are told already
                sentence = f"is the same table as {other.target}, which another definition fills; a target takes one"
                yield problem(Code.SAME_TABLE, sentence, table.target)
            yield from row_security_findings(cursor, table, target)
            if not one.is_finished:
                yield from attachment_findings(cursor, table, target)
                yield from foreign_key_findings(cursor, table, target, earlier=written[:number], later=written[number + 1 :])
            number += 1
    yield from _reading_findings(cursor, options, looked_up)


def _reading_findings(cursor: Cursor, options: PreflightOptions, looked_up: Sequence[_LookedUp]) -> Iterator[Check]:
    to_read = []
    for one in looked_up:
        if one.target is not None:
            export = one.planned.export
            cut = one.load.cut if one.load else Cut(export.export_id, export.digest, options.split_size, options.chunk_size)
            to_read.append(ToRead(one.planned.table.target, one.target, cut, one.is_finished))
    yield from reading_findings(plan_readings(cursor, to_read), to_read)


def _window_findings(
    cursor: Cursor, options: PreflightOptions, planned: Sequence[Planned], windows: Sequence[PlannedWindows]
) -> Iterator[Check]:
    targets = [find_target_of(cursor, of_table.table) for of_table in windows]
    own = {one.qualified for target in targets if target for one in (target, *target.children)}
    for of_table, target in zip(windows, targets, strict=True):
        full = next((one.export for one in planned if one.table is of_table.table), None)
        yield from window_findings(cursor, of_table, target, full, options.unmapped, own)


def _connection_findings(cursor: Cursor, options: PreflightOptions, looked_up: Sequence[_LookedUp], link: Link) -> Iterator[Check]:
    """A load that is finished takes no worker."""
    workers = [_workers(options, one.planned) for one in looked_up if not one.is_finished]
    known = [number for number in workers if number is not None]
    yield from connection_findings(cursor, link, max(known, default=0) if len(known) == len(workers) else None, options.limit)


def _workers(options: PreflightOptions, planned: Planned) -> int | None:
    export = planned.export
    return options.workers(export.usual_items(export.items), len(plan_splits(export.data_files, options.split_size)))


# -- ddb2pg preflight ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckedWithSample:
    """Holds no value of an item, unless `--show_values` asked for them in `samples`."""

    findings: tuple[Check, ...]
    samples: tuple[TableSample, ...]


def check_with_sample(options: PreflightOptions, sample: int, *, show_values: bool) -> CheckedWithSample:
    """Check everything, and convert the first `sample` items of each table. Raises `Stopped`."""
    checked = check(options, with_estimate=True)
    now = time.time_ns() // 1000
    samples = [
        sample_table(_as_loaded(planned, checked), sample, options.unmapped, options.storage, now, show_values=show_values)
        for planned in (checked.planned if sample else ())
    ]
    unusable = [problem(Code.EXPORT_UNUSABLE, one.problem, one.target_table) for one in samples if one.problem]
    absent = [finding for planned in checked.planned for finding in absent_findings(planned, options.storage)]
    return CheckedWithSample((*checked.findings, *unusable, *absent), tuple(samples))


def _as_loaded(planned: Planned, checked: Checked) -> Planned:
    return replace(planned, table=checked.with_defaults.get(planned.table.target, planned.table.with_any_defaults))
