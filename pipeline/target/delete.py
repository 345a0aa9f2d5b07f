"""Rows out of the target again: those that are as the export makes them, and no others.

A chunk is tried in up to two ways, each a transaction of its own:

    delete_rows           one DELETE for all rows that are equal
    delete_row_by_row     a loop on the server, each row in a subtransaction: reports for each row what refuses it

Afterwards the rows are looked for: a row that a trigger or a policy kept was not deleted, even if the DELETE counted it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.compare import PLANNING, STAGED_ROWS, compare_staged_rows, has_same_key, is_different
from pipeline.target.mismatch import Mismatch, MismatchKind
from pipeline.target.rows import ITEM, RefusedRow, Rows, do_for_each, stage_parsed
from pipeline.target.session import Cursor
from pipeline.target.sqlstate import code_of
from pipeline.target.target import FurtherColumn, Reference, Target
from transforms.table import Table

_NO_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of rows: each is in one of the three."""

    deleted_items: frozenset[int]
    gone: int
    kept: tuple[Mismatch, ...]

    @property
    def deleted(self) -> int:
        return len(self.deleted_items)


DeleteRows = Callable[[Cursor, Target, Table, Sequence[int], Sequence[Reference], Sequence[FurtherColumn]], Deletion]
"""Of rows that are in `STAGED_ROWS`, by their item numbers."""


def stage_rows(cursor: Cursor, table: Table, rows: Rows) -> None:
    """Stage rows as the export makes them, for one of the ways."""
    stage_parsed(cursor, STAGED_ROWS, table, rows)


def delete_rows(
    cursor: Cursor,
    target: Target,
    table: Table,
    items: Sequence[int],
    references: Sequence[Reference],
    further: Sequence[FurtherColumn],
) -> Deletion:
    """Delete all rows that are equal, in one statement; raises where PostgreSQL refuses one of them."""
    if not items:
        return Deletion(frozenset(), 0, ())
    referenced = _lock_referenced(cursor, target, references)
    cursor.execute(sql.SQL(PLANNING + "{} RETURNING {}").format(_delete(target, table, further, referenced, sql.SQL("true")), ITEM))
    said_deleted = {row[0] for row in cursor.fetchall()}
    # What waits for the end of the transaction comes now: a trigger may put a row in again.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return _deletion(cursor, target, table, further, items, said_deleted, referenced, {})


def delete_row_by_row(
    cursor: Cursor,
    target: Target,
    table: Table,
    items: Sequence[int],
    references: Sequence[Reference],
    further: Sequence[FurtherColumn],
) -> Deletion:
    """Delete each equal row in a subtransaction, in the file's order, all in one statement."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute(
        sql.SQL("CREATE UNIQUE INDEX ON {staging} ({item}); ANALYZE {staging}").format(staging=STAGED_ROWS.identifier, item=ITEM)
    )
    referenced = _lock_referenced(cursor, target, references)
    cursor.execute(PLANNING)
    delete = _delete(target, table, further, referenced, sql.SQL("staged.{} = ddb2pg_number").format(ITEM))
    reports = do_for_each(cursor, STAGED_ROWS, delete, report_if=sql.SQL("> 0"))
    deleted = {report.item for report in reports if report.sqlstate is None}
    refused = {
        report.item: RefusedRow(report.item, code_of(report.sqlstate, report.violated, ()), report.sqlstate, report.violated)
        for report in reports
        if report.sqlstate is not None
    }
    return _deletion(cursor, target, table, further, items, deleted, referenced, refused)


WAYS_TO_DELETE: Final[Sequence[DeleteRows]] = (delete_rows, delete_row_by_row)
"""In the order in which they are tried."""


def _delete(target: Target, table: Table, further: Sequence[FurtherColumn], but: set[int], condition: sql.Composable) -> sql.Composable:
    """Of the rows that are equal, those that meet the condition, but for some items."""
    return sql.SQL(
        "DELETE FROM {target} AS target USING {staging} AS staged "
        "WHERE {condition} AND {has_key} AND NOT {is_different} AND {item} <> ALL ({but}::bigint[])"
    ).format(
        target=target.identifier,
        staging=STAGED_ROWS.identifier,
        condition=condition,
        has_key=has_same_key(target),
        is_different=is_different(table, further),
        item=ITEM,
        but=sql.Literal(sorted(but)),
    )


def _lock_referenced(cursor: Cursor, target: Target, references: Sequence[Reference]) -> set[int]:
    """Items whose row others refer to such that deleting it would delete or change theirs.

    The rows are locked first, so that no new row can refer to them: the statements that follow see all rows that do.
    """
    if not references:
        return set()
    parts = {
        "item": ITEM,
        "staging": STAGED_ROWS.identifier,
        "target": target.identifier,
        "has_key": has_same_key(target),
        "is_used": sql.SQL(" OR ").join(reference.is_used for reference in references),
    }
    joined = "FROM {staging} AS staged JOIN {target} AS target ON {has_key}"
    cursor.execute(sql.SQL(f"SELECT count(*) FROM (SELECT {joined} FOR UPDATE OF target) locked").format(**parts))
    cursor.execute(sql.SQL(f"SELECT {{item}} {joined} WHERE {{is_used}}").format(**parts))
    return {row[0] for row in cursor.fetchall()}


def _deletion(
    cursor: Cursor,
    target: Target,
    table: Table,
    further: Sequence[FurtherColumn],
    items: Sequence[int],
    said_deleted: set[int],
    referenced: set[int],
    refused: dict[int, RefusedRow],
) -> Deletion:
    """What is true after the DELETE: of each row whether it is there, and why."""
    after = compare_staged_rows(cursor, target, table, _NO_SEED, further)
    kept = []
    for number in items:
        if number in after.missing:
            if target.has_row_security and number not in said_deleted:
                kept.append(Mismatch(number, MismatchKind.NOT_SEEN))
        elif number in after.different:
            kept.append(Mismatch(number, MismatchKind.DIFFERENT, after.different[number]))
        elif number in refused:
            kept.append(Mismatch(number, MismatchKind.REFUSED, refused=refused[number]))
        else:
            kept.append(Mismatch(number, MismatchKind.REFERENCED if number in referenced else MismatchKind.NOT_DELETED))
    deleted = after.missing & said_deleted
    return Deletion(deleted, len(items) - len(deleted) - len(kept), tuple(kept))
