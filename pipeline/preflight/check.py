"""All that can be known before a load, at once: the findings of exports, database and targets. Reads only, which the server sees to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.engines.arguments import WorkerLimit
from pipeline.errors import Refused
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
from pipeline.preflight.exports import Planned, find_exports, find_visible_load, load_findings, output_findings
from pipeline.preflight.findings import Code, Finding, Level, problem
from pipeline.preflight.sample import TableSample, estimate_bytes, sample_table
from pipeline.preflight.targets import target_findings
from pipeline.source.chunks import SplitSize, plan_splits
from pipeline.source.given import ExportArgument
from pipeline.target.connection import Link, Pooling, look_at_link
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, find_target
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
    def split_size(self) -> SplitSize: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def limit(self) -> WorkerLimit:
        """The option that lowers the number of workers."""

    def workers(self, items: int, splits: int, /) -> int | None:
        """How many so many items in so many splits get; None where only the runner knows."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be loaded, and all that was found: of exports and database first, then table by table."""

    planned: tuple[Planned, ...]
    findings: tuple[Finding, ...]


def check(options: PreflightOptions, *, with_estimate: bool = False) -> Checked:
    """Look at everything; `with_estimate` reads the first items of each export for their size. Raises `Stopped`."""
    planned, findings = find_exports(options.exports, options.tables, options.storage)
    findings.extend(output_findings(options.output))
    findings.extend(installation_findings())
    try:
        link = look_at_link(options.database, max((_workers(options, one) or 1 for one in planned), default=1) + PROGRESS)
    except Refused as refused:
        findings.extend(problem(Code.NOT_REACHABLE, sentence) for sentence in refused.problems)
        return Checked(tuple(planned), tuple(findings))
    findings.extend(link_findings(link))
    if link.pooling is not Pooling.STATEMENT:
        needed = estimate_bytes(planned, options.storage) if with_estimate else None

        def work(cursor: Cursor) -> list[Finding]:
            cursor.execute("SET TRANSACTION READ ONLY")
            looked_up = [_look_up(cursor, one) for one in planned]
            found = [
                *database_findings(cursor),
                *_connection_findings(cursor, options, looked_up, link),
                *_table_findings(cursor, options, looked_up),
            ]
            return [*found, *space_findings(cursor, needed)] if with_estimate else found

        with Session(options.database) as session:
            findings.extend(session.transact(work))
    return Checked(tuple(planned), tuple(findings))


def table_findings(cursor: Cursor, planned: Planned, target: Target | None, unmapped: Unmapped) -> Iterator[Finding]:
    """Of one target and the load into it: all that can forbid the load."""
    yield from target_findings(cursor, planned.table, target)
    yield from load_findings(cursor, planned.export, planned.table, target, unmapped)


@dataclass(frozen=True, slots=True)
class _LookedUp:
    """What the database has of a table that is to be loaded."""

    planned: Planned
    target: Target | None
    is_finished: bool


def _look_up(cursor: Cursor, planned: Planned) -> _LookedUp:
    target = find_target(cursor, planned.table.target)
    load = find_visible_load(cursor, planned.export, target)
    return _LookedUp(planned, target, load is not None and load.finished_at is not None)


def _table_findings(cursor: Cursor, options: PreflightOptions, looked_up: Sequence[_LookedUp]) -> Iterator[Finding]:
    oids = [one.target.oid if one.target else 0 for one in looked_up]
    for number, one in enumerate(looked_up):
        table, target = one.planned.table, one.target
        yield from table_findings(cursor, one.planned, target, options.unmapped)
        if target is None:
            continue
        others = (other.planned.table for other in looked_up[:number] if other.target and other.target.oid == target.oid)
        for other in (other for other in others if other is not table):  # two exports of one definition are told already
            sentence = f"is the same table as {other.target}, which another definition fills; a target takes one"
            yield problem(Code.SAME_TABLE, sentence, table.target)
        yield from row_security_findings(cursor, table, target)
        if not one.is_finished:
            yield from attachment_findings(cursor, table, target)
            yield from foreign_key_findings(cursor, table, target, earlier=oids[:number], later=oids[number + 1 :])


def _connection_findings(cursor: Cursor, options: PreflightOptions, looked_up: Sequence[_LookedUp], link: Link) -> Iterator[Finding]:
    """A load that is finished takes no worker."""
    workers = [_workers(options, one.planned) for one in looked_up if not one.is_finished]
    known = [number for number in workers if number is not None]
    yield from connection_findings(cursor, link, max(known, default=0) if len(known) == len(workers) else None, options.limit)


def _workers(options: PreflightOptions, planned: Planned) -> int | None:
    export = planned.export
    return options.workers(export.usual_items(export.items), len(plan_splits(export.data_files, options.split_size)))


# -- ddb2pg preflight ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """The schema of `preflight --json`. Holds no value of an item, unless `--show_values` asked for them in `samples`."""

    is_ready: bool
    """Whether `migrate` would start: there is no problem."""
    findings: tuple[Finding, ...]
    """Each has a level, a code (docs/preflight.md), a sentence, and a table or null."""
    samples: tuple[TableSample, ...]

    def of(self, level: Level) -> list[Finding]:
        return [finding for finding in self.findings if finding.level is level]


def make_report(options: PreflightOptions, sample: int, *, show_values: bool) -> PreflightReport:
    """Check everything, and convert the first `sample` items of each table. Raises `Stopped`."""
    checked = check(options, with_estimate=True)
    now = time.time_ns() // 1000
    samples = [
        sample_table(planned, sample, options.unmapped, options.storage, now, show_values=show_values)
        for planned in (checked.planned if sample else ())
    ]
    unusable = [problem(Code.EXPORT_UNUSABLE, one.problem, one.target_table) for one in samples if one.problem]
    findings = (*checked.findings, *unusable)
    return PreflightReport(not any(finding.level is Level.PROBLEM for finding in findings), findings, tuple(samples))
