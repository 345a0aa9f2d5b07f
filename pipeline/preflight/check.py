"""All that can be known before a load, at once: the findings of exports, database and targets. Reads only, which the server sees to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.engines.submission import USUAL_LIMIT, WorkerLimit
from pipeline.errors import Refused
from pipeline.places import Storage
from pipeline.places.output import OutputFolder
from pipeline.preflight.attachments import attachment_findings
from pipeline.preflight.connections import PROGRESS, connection_findings, link_findings
from pipeline.preflight.database import database_findings
from pipeline.preflight.exports import Planned, find_exports, output_findings
from pipeline.preflight.findings import Code, Finding, problem
from pipeline.preflight.foreign_keys import foreign_key_findings
from pipeline.preflight.installation import installation_findings
from pipeline.preflight.loads import find_visible_load, load_findings
from pipeline.preflight.row_security import row_security_findings
from pipeline.preflight.space import estimate_bytes, space_findings
from pipeline.preflight.targets import target_findings
from pipeline.source.chunks import SplitSize, plan_splits
from pipeline.source.given import ExportArgument
from pipeline.target.database_url import DatabaseReference
from pipeline.target.link import Link, Pooling, look_at_link
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, find_target
from transforms.table import Table, Unmapped


@dataclass(frozen=True, slots=True)
class PreflightRequest:
    """What a run is asked for, as far as it can be checked."""

    exports: Sequence[ExportArgument]
    database: DatabaseReference
    output: OutputFolder
    tables: Sequence[Table]
    unmapped: Unmapped
    split_size: SplitSize
    storage: Storage
    workers: Callable[[int, int], int | None]
    """How many workers so many items in so many splits get; None where only the runner knows."""
    limit: WorkerLimit = USUAL_LIMIT


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be loaded, and all that was found."""

    planned: tuple[Planned, ...]
    findings: tuple[Finding, ...]


def check(request: PreflightRequest, *, with_estimate: bool = False) -> Checked:
    """Look at everything; `with_estimate` reads the first items of each export for their size. Raises `Stopped`."""
    planned, findings = find_exports(request.exports, request.tables, request.storage)
    findings.extend(output_findings(request.output))
    findings.extend(installation_findings())
    try:
        link = look_at_link(request.database, _most_workers(request, planned) + PROGRESS)
    except Refused as refused:
        findings.extend(problem(Code.NOT_REACHABLE, sentence) for sentence in refused.problems)
        return Checked(tuple(planned), tuple(findings))
    findings.extend(link_findings(link))
    if link.pooling is not Pooling.STATEMENT:
        needed = estimate_bytes(planned, request.storage) if with_estimate else None

        def work(cursor: Cursor) -> list[Finding]:
            cursor.execute("SET TRANSACTION READ ONLY")
            looked_up = [_look_up(cursor, one) for one in planned]
            found = [
                *database_findings(cursor),
                *_connection_findings(cursor, request, looked_up, link),
                *_table_findings(cursor, request, looked_up),
            ]
            return [*found, *space_findings(cursor, needed)] if with_estimate else found

        with Session(request.database) as session:
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


def _table_findings(cursor: Cursor, request: PreflightRequest, looked_up: Sequence[_LookedUp]) -> Iterator[Finding]:
    oids = [one.target.oid if one.target else 0 for one in looked_up]
    for number, one in enumerate(looked_up):
        table, target = one.planned.table, one.target
        yield from table_findings(cursor, one.planned, target, request.unmapped)
        if target is None:
            continue
        yield from row_security_findings(cursor, table, target)
        if not one.is_finished:
            yield from attachment_findings(cursor, table, target)
            yield from foreign_key_findings(cursor, table, target, earlier=oids[:number], later=oids[number + 1 :])


# -- connections ---------------------------------------------------------------------------------------------------------------------------


def _connection_findings(cursor: Cursor, request: PreflightRequest, looked_up: Sequence[_LookedUp], link: Link) -> Iterator[Finding]:
    """A load that is finished takes no worker."""
    workers = [_workers(request, one.planned) for one in looked_up if not one.is_finished]
    known = [number for number in workers if number is not None]
    yield from connection_findings(cursor, link, max(known, default=0) if len(known) == len(workers) else None, request.limit)


def _most_workers(request: PreflightRequest, planned: Sequence[Planned]) -> int:
    return max((_workers(request, one) or 1 for one in planned), default=1)


def _workers(request: PreflightRequest, planned: Planned) -> int | None:
    return request.workers(
        planned.export.usual_items(planned.export.items), len(plan_splits(planned.export.data_files, request.split_size))
    )
