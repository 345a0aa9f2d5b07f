"""The rollback of a whole chain: every row that its full load or one of its windows wrote, and nobody since, is deleted.

Which rows these are `xmin` tells, so no export is read: the target is swept page by page, a transaction for some pages. Rows of others
stay, also those that were the chain's and that somebody has changed: nothing tells them apart. A sweep that was killed begins at the first
page again, and finds what is left.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pipeline.job.plan import LoadPlan
from pipeline.job.visit import try_ways
from pipeline.ledger.rollbacks import HOLD_OPEN
from pipeline.ledger.window_rollbacks import finish_chain_rollback, note_swept, swept_rows
from pipeline.options import RollbackOptions
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Verdict
from pipeline.places.storage import OutputFolder
from pipeline.records.files import RecordBatch, RecordFiles
from pipeline.records.kinds import RecordKind
from pipeline.records.lines import row_record
from pipeline.rollback.roll_back import rollback_outcome
from pipeline.target.delete import WAYS_TO_SWEEP, Blocks, OfChain, SweepRows, Swept, blocks_of, count_of_chain, rows_left_of_chain
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Reference, Target, find_references
from transforms.changes import how_changes_find_rows

_MOST_LISTED: Final = 1_000
"""Of the rows that are left; all are counted."""
_FILE: Final = "rows-of-the-target"
_OTHERS: Final = "{count:,} rows are somebody else's, or were changed since, and stay; they keep another load out until the table is empty"


@dataclass(frozen=True, slots=True)
class _Chain:
    """What is swept: the target, and the tables of child rows for what has no item there."""

    own: OfChain
    children: Sequence[OfChain]


def sweep_chain(plan: LoadPlan, options: RollbackOptions, run_folder: OutputFolder) -> Outcome:
    """Delete the rows of a chain whose rollback is begun, and close it; without --yes, or of a closed one, only look. Raises `Stopped`."""
    started = time.monotonic()
    with Session(options.database) as session:
        chain = session.transact(partial(_chain_of, plan=plan))
        before = session.transact(partial(swept_rows, load_id=plan.load.load_id)) or 0
        is_closed = plan.load.rolled_back_at is not None
        children = 0
        if options.yes and not is_closed:
            children = _sweep(session, plan, chain)
        return session.transact(
            partial(
                _conclude, plan=plan, chain=chain, before=before, options=options, folder=run_folder, children=children, started=started
            )
        )


def _chain_of(cursor: Cursor, plan: LoadPlan) -> _Chain:
    target, chain = plan.target, plan.load.chain
    own = {child.qualified for child in target.children}

    def cascading(of_rows: Target) -> tuple[Reference, ...]:
        return tuple(one for one in find_references(cursor, of_rows) if one.is_cascading and one.qualified not in own)

    child_keys = how_changes_find_rows(plan.table, target.key).child_keys
    references = [cascading(child) for child in target.children]
    return _Chain(
        OfChain(target, chain, cascading(target), child_keys, references),
        [
            OfChain(child, chain, of_child, without=target, without_by=names)
            for child, of_child, names in zip(target.children, references, child_keys, strict=True)
        ],
    )


def _sweep(session: Session, plan: LoadPlan, chain: _Chain) -> int:
    """Sweep as often as it helps: rows may wait for others of their own table. Returns how many child rows were deleted."""
    children = 0
    while True:
        of_pass = _sweep_once(session, plan, chain.own)
        of_children = sum((_sweep_once(session, plan, one, is_counted=False) for one in chain.children), Swept())
        children += of_pass.child_rows + of_children.deleted
        if not of_pass.deleted or not of_pass.kept:
            return children


def _sweep_once(session: Session, plan: LoadPlan, of_chain: OfChain, *, is_counted: bool = True) -> Swept:
    swept = Swept()
    for blocks in session.transact(partial(blocks_of, target=of_chain.target)):
        swept += _sweep_blocks(session, plan, of_chain, blocks, is_counted=is_counted)
    return swept


def _sweep_blocks(session: Session, plan: LoadPlan, of_chain: OfChain, blocks: Blocks, *, is_counted: bool) -> Swept:
    load_id = plan.load.load_id

    def work(cursor: Cursor, way: SweepRows) -> Swept:
        cursor.execute(HOLD_OPEN, [load_id])
        swept = way(cursor, of_chain, blocks)
        if is_counted:
            note_swept(cursor, load_id, swept.deleted)
        return swept

    return try_ways(session, WAYS_TO_SWEEP, work, f"{of_chain.target.qualified}: PostgreSQL refused to delete rows, though one by one")[1]


def _conclude(
    cursor: Cursor,
    plan: LoadPlan,
    chain: _Chain,
    before: int,
    options: RollbackOptions,
    folder: OutputFolder,
    children: int,
    started: float,
) -> Outcome:
    # Counting a large table may take long.
    cursor.execute("SET LOCAL statement_timeout = 0")
    is_closed = plan.load.rolled_back_at is not None
    is_dry = not options.yes and not is_closed
    left = count_of_chain(cursor, chain.own)
    ours, others = left.ours, left.others
    deleted = swept_rows(cursor, plan.load.load_id) or 0
    kinds = Counter[str]()
    if not is_dry:
        if not is_closed:
            finish_chain_rollback(cursor, plan.load.load_id)
        rows_left = list(rows_left_of_chain(cursor, chain.own)) if ours else []
        kinds.update(row.kind.value for row in rows_left)
        records = (row_record(plan.origin, None, row.kind, row.key) for row in rows_left[:_MOST_LISTED])
        RecordFiles(folder / RecordKind.DISCREPANCIES / plan.folder).write(RecordBatch(_FILE, tuple(records), is_last=True))
    would_delete = ours if is_dry else 0
    kept = 0 if is_dry else ours
    return rollback_outcome(
        plan,
        counted="row",
        total=deleted + ours + others,
        total_words="found",
        seen=deleted + ours + others,
        parts=_parts(deleted, would_delete, kept, others, is_dry=is_dry),
        warnings=(_OTHERS.format(count=others),) if others and not is_dry else (),
        checks=_checks(cursor, chain, children, is_dry=is_dry),
        kept=kinds,
        target_rows=ours + others,
        done_now=would_delete if is_dry else deleted - before,
        started=started,
    )


def _parts(deleted: int, would_delete: int, kept: int, others: int, *, is_dry: bool) -> Iterator[Part]:
    if is_dry:
        yield Part("to_delete", "would be deleted", would_delete, PartKind.GOOD)
    if deleted or not is_dry:
        yield Part("deleted", "are deleted already" if is_dry else "deleted", deleted, PartKind.BEFORE if is_dry else PartKind.GOOD)
    yield Part("kept", "left", kept, PartKind.DIFFERENT)
    yield Part("others", "somebody else's", others, PartKind.BEFORE)


def _checks(cursor: Cursor, chain: _Chain, children: int, *, is_dry: bool) -> Iterator[Check]:
    yield Check("chain", Verdict.FACT, "the load and all windows that follow it: whatever their transactions wrote, and nobody since")
    if children:
        yield Check("child rows", Verdict.FACT, f"{children:,} child rows went with them")
    for one in chain.children:
        of_child = count_of_chain(cursor, one)
        would = f"{of_child.ours:,} rows are the chain's" if is_dry else f"{of_child.ours:,} rows of the chain are left"
        if of_child.ours or of_child.others:
            yield Check("child rows", Verdict.FACT, f"{one.target.qualified}: {would}, {of_child.others:,} are somebody else's")
