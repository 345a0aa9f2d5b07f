"""Whether windows can be applied to a target: their place in its chain, how their changes find rows, and what that takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.console import counted_in_words
from pipeline.ledger.chunks import code_counts
from pipeline.ledger.loads import Load, find_load, ledger_exists
from pipeline.ledger.windows import Chain, OrderedWindows, chain_of, order_windows
from pipeline.outcome.outcome import Check
from pipeline.preflight.attachments import window_target_findings
from pipeline.preflight.exports import (
    PlannedWindows,
    definition_findings,
    is_ledger_readable,
    ledger_findings,
    replaced_findings,
)
from pipeline.preflight.findings import Code, fact, problem, warning
from pipeline.preflight.targets import target_findings
from pipeline.source.manifest import Export
from pipeline.source.windows import FEW_DAYS, KEPT, shown_time
from pipeline.target.session import Cursor
from pipeline.target.target import Target, find_target, is_key_filled
from transforms.changes import FindsBy, how_changes_find_rows
from transforms.lines import View
from transforms.rejects import ErrorCode
from transforms.rules import Uuid
from transforms.table import Table, Unmapped

CANNOT_BE_TAKEN_BACK: Final = (
    "a window of the view NEW_IMAGE cannot be taken back by ddb2pg rollback, because it does not hold what was there before it; one of "
    "NEW_AND_OLD_IMAGES can"
)


@dataclass(frozen=True, slots=True)
class LinkedWindows:
    """Windows of one target with their chain."""

    chain: Chain
    ordered: OrderedWindows


def link_windows(cursor: Cursor, planned: PlannedWindows, target: Target, full: Export | None) -> LinkedWindows | None:
    """The chain that the windows follow, and they in their order; None where there is none. `full` is the full export that is given, too.

    The ledger, if there is one, must be ours.
    """
    chain = chain_of(cursor, target.qualified) if ledger_exists(cursor) else None
    if chain is None and full is not None:
        time = datetime.fromisoformat(full.export_time) if full.export_time else None
        chain = Chain(full.export_id, time, full.table_id, None, filter=full.filter)
    elif chain is not None and chain.filter is None and full is not None and full.export_id == chain.export_id:
        # It was not known when its load began.
        chain = replace(chain, filter=full.filter)
    return None if chain is None else LinkedWindows(chain, order_windows(chain, planned.exports))


def window_findings(
    cursor: Cursor,
    planned: PlannedWindows,
    target: Target | None,
    full: Export | None,
    unmapped: Unmapped,
    own: Collection[str] = (),
) -> Iterator[Check]:
    """Of the windows of one target; of the load of `full`, where that is given too, and of its target other findings tell.

    `own` are the names of all tables that the run writes.
    """
    table, name = planned.table, planned.table.target
    if full is None:
        yield from target_findings(cursor, table, target)
        for child in table.child_tables:
            yield from target_findings(cursor, child, find_target(cursor, child.target, child), is_child=True)
    if target is None or "SELECT" not in target.privileges or (ledger_exists(cursor) and not is_ledger_readable(cursor)):
        return  # which is told already
    yield from right_findings(table, target)
    linked = link_windows(cursor, planned, target, full)
    if linked is None:
        sentence = (
            "no load of a full export into it was begun, and windows follow one; give that export as well, or first (docs/windows.md)"
        )
        yield problem(Code.NO_CHAIN, sentence, name)
        return
    yield from _key_findings(cursor, planned, target, linked.chain)
    yield from _child_key_findings(table, target)
    yield from (problem(Code.WINDOW_REFUSED, sentence, name) for sentence in linked.ordered.problems)
    if linked.ordered.pending:
        of_children = {child.qualified for child in target.children}
        for one, of_table in zip((target, *target.children), (table, *table.child_tables), strict=False):
            yield from window_target_findings(cursor, of_table, one, {*own, *of_children, target.qualified})
        yield from _next_window_findings(name, linked)
    without = [export for export in linked.ordered.pending if export.window and export.window.view is View.NEW_IMAGE]
    if without:
        yield fact(Code.WINDOW_CANNOT_BE_TAKEN_BACK, CANNOT_BE_TAKEN_BACK, name)
    if linked.chain.full is not None:
        yield from _chain_findings(cursor, table, target, linked.chain.full, full, unmapped)
    yield from _begun_findings(cursor, table, target, linked)
    if not linked.ordered.problems:
        yield fact(Code.WINDOWS, _in_words(linked), name)


def _next_window_findings(name: str, linked: LinkedWindows) -> Iterator[Check]:
    """Until when DynamoDB has the changes that the window after these must hold."""
    last = linked.ordered.pending[-1].window
    if last is None:
        return
    until = last.to_time + KEPT
    left = until - datetime.now(UTC)
    if left < timedelta(0):
        sentence = (
            f"the last of these windows ends at {shown_time(last.to_time)}, more than {KEPT.days} days ago, and point-in-time recovery "
            "keeps no more: what was written since cannot be exported as the next window. After these windows a new full export is needed"
        )
        yield warning(Code.NEXT_WINDOW, sentence, name)
        return
    sentence = (
        f"the next window begins at {shown_time(last.to_time)}, and can be had until {shown_time(until)} ({left.days} days from now), "
        f"where point-in-time recovery keeps {KEPT.days} days"
    )
    yield (warning if left < FEW_DAYS else fact)(Code.NEXT_WINDOW, sentence, name)


def _in_words(linked: LinkedWindows) -> str:
    pending, done = linked.ordered.pending, linked.ordered.done
    before = f"{counted_in_words(len(done), 'window')} of those given {'are' if len(done) > 1 else 'is'} applied already" if done else ""
    if not pending:
        return f"{before}: there is nothing to do"
    records = sum(export.items for export in pending)
    first, last = pending[0].window, pending[-1].window
    times = f"from {shown_time(first.from_time)} to {shown_time(last.to_time)}" if first and last else ""
    sentence = f"{counted_in_words(len(pending), 'window')} {times}, of {counted_in_words(records, 'record')}, to be applied in their order"
    return f"{sentence}; {before}" if before else sentence


def right_findings(table: Table, target: Target) -> Iterator[Check]:
    """What it takes to update and delete rows."""
    for one, of_table in zip((target, *target.children), (table, *table.child_tables), strict=False):
        missing = sorted({"UPDATE", "DELETE"} - one.privileges)
        if missing:
            rights = ", ".join(missing)
            sentence = f"windows update and delete rows, and this role may not {rights}; let its owner GRANT {rights} ON {of_table.target}"
            yield problem(Code.NO_PRIVILEGE, sentence, of_table.target)
        if one.has_row_security:
            sentence = (
                "row security applies to this role, so a window might not see rows that it changes; apply windows as the table's owner, or "
                "as a role with BYPASSRLS"
            )
            yield problem(Code.WINDOWS_NEED_ALL_ROWS, sentence, of_table.target)


def _key_findings(cursor: Cursor, planned: PlannedWindows, target: Target, chain: Chain) -> Iterator[Check]:
    """How the changes find their rows."""
    name = planned.table.target
    if not target.key:
        return  # which is told already
    try:
        finding = how_changes_find_rows(planned.table, target.key)
    except ValueError as error:
        yield problem(Code.CHANGES_FIND_NO_ROWS, str(error).removeprefix(f"{name}: "), name)
        return
    without = sorted({export.uri for export in planned.exports if export.window and export.window.view is View.NEW_IMAGE})
    if finding.by is FindsBy.OLD_IMAGES:
        if without:
            yield problem(Code.CHANGES_FIND_NO_ROWS, f"{finding.sentence.removeprefix(f'{name}: ')}; {', '.join(without)} have none", name)
        else:
            yield fact(Code.CHANGES_FIND_ROWS, "a change finds its row by the old image", name)
    elif without and has_shared_keys(cursor, chain):
        sentence = (
            f"items that have another key in DynamoDB share one in the target (dead letters of the code "
            f"{ErrorCode.PRIMARY_KEY_CONFLICT.value}), so keys alone do not tell whose row it is; such a table needs windows of the view "
            f"{View.NEW_AND_OLD_IMAGES.value}: begin anew with a full export, and windows of that view"
        )
        yield problem(Code.CHANGES_FIND_NO_ROWS, sentence, name)
    else:
        yield fact(Code.CHANGES_FIND_ROWS, "a change finds its row by the key", name)
        spelled = [column.name for column in planned.table.only(target.key).columns if isinstance(column.rule, Uuid)]
        if without and spelled:
            sentence = (
                f"{', '.join(spelled)}: a UUID can be written in small and in large letters, which are two keys in DynamoDB and one in the "
                f"target. If one is there in both, a change of either writes over the row of the other, and windows of the view "
                f"{View.NEW_IMAGE.value} do not show it; windows of {View.NEW_AND_OLD_IMAGES.value} do"
            )
            yield warning(Code.KEY_HAS_SPELLINGS, sentence, name)


def _child_key_findings(table: Table, target: Target) -> Iterator[Check]:
    """Child rows are compared with those of the item that was there before."""
    for child, of_table in zip(target.children, table.child_tables, strict=False):
        if not is_key_filled(child, of_table):
            sentence = (
                "has no primary key or unique index of columns that the definition fills, so the child rows of a changed item cannot be "
                "found; make one, as of the item's key and the position"
            )
            yield problem(Code.CHANGES_FIND_NO_ROWS, sentence, of_table.target)


def has_shared_keys(cursor: Cursor, chain: Chain) -> bool:
    """Whether two items had one key in the target so far, so that the old image must tell whose row it is."""
    loads = [chain.full, *chain.windows] if chain.full else []
    return any(ErrorCode.PRIMARY_KEY_CONFLICT.value in code_counts(cursor, load.load_id)[0] for load in loads)


def _chain_findings(cursor: Cursor, table: Table, target: Target, load: Load, full: Export | None, unmapped: Unmapped) -> Iterator[Check]:
    """Of the load that the windows follow."""
    if full is not None and load.export_id == full.export_id:
        return  # its own findings tell
    if load.rollback_started_at is not None:
        yield problem(
            Code.ROLLBACK_BEGUN, f"a rollback of its load {load.load_id} was begun; finish it first (ddb2pg rollback)", table.target
        )
    if load.finished_at is None:
        sentence = f"load {load.load_id} of export {load.export_id} is not finished, and windows follow it; give that export as well"
        yield problem(Code.LOAD_UNFINISHED, sentence, table.target)
    yield from definition_findings(table, load, unmapped)
    yield from replaced_findings(cursor, table, target, load)
    yield from ledger_findings(cursor, table, load)


def _begun_findings(cursor: Cursor, table: Table, target: Target, linked: LinkedWindows) -> Iterator[Check]:
    """Of windows that were begun: their manifests must be the same, and their rows in the ledger."""
    for window in linked.chain.windows:
        if window.rollback_started_at is not None:
            sentence = f"a rollback of window {window.export_id} was begun; finish it first: ddb2pg rollback with --yes"
            yield problem(Code.ROLLBACK_BEGUN, sentence, table.target)
    for export in linked.ordered.pending:
        load = find_load(cursor, export.export_id, target.qualified) if linked.chain.full else None
        if load is None:
            continue
        if load.export_digest != export.digest:
            sentence = f"{export.uri}: its manifest is not the one that window {export.export_id} was begun with; give that one"
            yield problem(Code.MANIFEST_CHANGED, sentence, table.target)
        yield from ledger_findings(cursor, table, load)
