"""Dead letters that were brought in later, taken back: known by their hashes, for the export does not have what they became."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.errors import Stopped
from pipeline.job.loading import LoadPlan
from pipeline.ledger.keys import ItemKey
from pipeline.ledger.replays import DELETED, GONE, items_to_take_back, note_taken_back, stage_replayed
from pipeline.target.delete import WAYS_TO_DELETE, DeleteRows
from pipeline.target.mismatch import MismatchKind
from pipeline.target.session import Cursor, RowsRefused, Session
from pipeline.target.target import Reference


@dataclass(frozen=True, slots=True)
class FoundReplayed:
    """What a rollback would come upon: those that it would delete, those that are gone, and those that were changed since."""

    deletable: int = 0
    gone: int = 0
    changed: Sequence[ItemKey] = field(default=())


def take_back(session: Session, plan: LoadPlan, references: Sequence[Reference]) -> None:
    """Delete the rows that are as they were written, in one transaction with what the ledger says of them. Raises `Stopped`."""
    for way in WAYS_TO_DELETE:
        try:
            session.transact(lambda cursor, way=way: _take_back_in(cursor, way, plan, references))  # type: ignore[misc]
        except RowsRefused as refused:
            sqlstate = refused.sqlstate
        else:
            return
    message = f"{plan.table.target}: PostgreSQL refused to delete rows that were brought in later, though one by one (SQLSTATE {sqlstate})"
    raise Stopped(message)


def _take_back_in(cursor: Cursor, way: DeleteRows, plan: LoadPlan, references: Sequence[Reference]) -> None:
    load_id = plan.load.load_id
    items = items_to_take_back(cursor, load_id)
    if not items:
        return
    # All of them at once, looked for in the whole table.
    cursor.execute("SET LOCAL statement_timeout = 0")
    equal, changed = stage_replayed(cursor, load_id, plan.target, plan.table, items)
    # The hash is of all columns, so it tells of those that the definition does not fill, too.
    done = way(cursor, plan.target, plan.table, sorted(equal), references, ())
    outcomes = dict.fromkeys(range(len(items)), GONE)
    outcomes.update(dict.fromkeys(done.deleted_items, DELETED))
    outcomes.update(dict.fromkeys(changed, MismatchKind.DIFFERENT.value))
    outcomes.update({one.item_number: one.kind.value for one in done.kept})
    note_taken_back(cursor, load_id, {items[number]: outcome for number, outcome in outcomes.items()})


def look(cursor: Cursor, plan: LoadPlan) -> FoundReplayed:
    """What is not taken back yet; changes nothing."""
    items = items_to_take_back(cursor, plan.load.load_id)
    if not items:
        return FoundReplayed()
    equal, changed = stage_replayed(cursor, plan.load.load_id, plan.target, plan.table, items)
    return FoundReplayed(len(equal), len(items) - len(equal) - len(changed), [items[number] for number in sorted(changed)])
