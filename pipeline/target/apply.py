"""The changes of a window, applied to the target: a chunk of them at a time, in one transaction.

`fates.py` decides what is to become of each record, and locks its row. That is carried out in up to two ways, each a transaction of its
own with the chunk's ledger row first:

    apply_at_once     one DELETE, one UPDATE, one INSERT: all or nothing
    apply_one_by_one  a loop on the server, each record in a subtransaction: reports for each record what it violates

All child rows of a record's item are replaced with its row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.compare import PLANNING, has_same_key
from pipeline.target.fates import GONE, NEW, Applying, ChangedRows, Fates, Outdated, decide_fates, of_parent, stage_changes
from pipeline.target.rows import (
    ITEM,
    KEPT,
    RefusedRow,
    Staging,
    do_for_each,
    names,
    numbers_in,
    stage_parsed,
    stage_what_parses,
    stagings_of_child,
)
from pipeline.target.session import Cursor, RowsRefused
from pipeline.target.target import find_references
from transforms.rejects import ErrorCode
from transforms.table import Table

_ITEMS: Final = Staging("ddb2pg_items")
_NO_ERROR: Final = "00000"

SET_ASIDE: Final = ("23503", "23505", "23P01")
"""What other rows may be the reason of: a record that was refused so is tried again when all of its window was."""

ApplyChanges = Callable[[Cursor, Applying, ChangedRows, Outdated], Fates]
_NONE: Final = Outdated()


def apply_at_once(cursor: Cursor, applying: Applying, changes: ChangedRows, outdated: Outdated = _NONE) -> Fates:
    """Carry all of it out in a few statements; raises where PostgreSQL refuses a row."""
    stage_changes(cursor, applying, changes, stage_parsed)
    fates = decide_fates(cursor, applying, changes, outdated)
    for step in _steps(applying, changes, fates):
        _execute(cursor, step)
    return fates


def _execute(cursor: Cursor, step: _Step) -> None:
    """Carry a step out for all of its items."""
    cursor.execute(sql.SQL(PLANNING + "{}").format(step.of(sql.SQL("= ANY ({})").format(numbers_in(step.items)))))
    if step.rows is not None and cursor.rowcount != step.rows:
        # A trigger that returns NULL keeps a row out, or back, without an error.
        raise RowsRefused(_NO_ERROR)


def apply_one_by_one(cursor: Cursor, applying: Applying, changes: ChangedRows, outdated: Outdated = _NONE) -> Fates:
    """Carry each record out by itself, in the file's order; refuses each for what it violates itself."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    unparsed = stage_changes(cursor, applying, changes, stage_what_parses)
    fates = decide_fates(cursor, applying, changes, outdated)
    fates.refuse(unparsed)
    _list_items(cursor, fates.inserted | fates.updated | fates.deleted)
    indexes = "CREATE UNIQUE INDEX ON {new} ({item}); CREATE UNIQUE INDEX ON {gone} ({item}); ANALYZE {new}; ANALYZE {gone};"
    cursor.execute(sql.SQL(indexes + PLANNING).format(new=NEW.identifier, gone=GONE.identifier, item=ITEM))
    steps = [
        sql.SQL(_STEP_OF_ITEM).format(
            items=numbers_in(step.items),
            statement=step.of(sql.SQL("= ddb2pg_number")),
            expected=step.expected or sql.SQL("ddb2pg_rows"),
            kept=sql.Literal(KEPT),
        )
        for step in _steps(applying, changes, fates)
    ]
    if steps:
        keys = [name for one in (applying.target, *applying.target.children) for name in one.primary_key_names]
        reports = do_for_each(cursor, _ITEMS, sql.SQL("; ").join(steps), report_if=sql.SQL("< 0"), is_repeated=True)
        fates.refuse(report.refused_row(keys) for report in reports)
    return fates


def _list_items(cursor: Cursor, items: Iterable[int]) -> None:
    """For a loop on the server."""
    cursor.execute(
        sql.SQL(
            "DROP TABLE IF EXISTS {items}; CREATE TEMP TABLE {own} ON COMMIT DROP AS SELECT {item} FROM unnest({numbers}) AS given ({item})"
        ).format(own=_ITEMS.own_name, items=_ITEMS.identifier, item=ITEM, numbers=numbers_in(items))
    )


WAYS_TO_APPLY: Final[Sequence[ApplyChanges]] = (apply_at_once, apply_one_by_one)
"""In the order in which they are tried."""

_STEP_OF_ITEM: Final = """
    IF ddb2pg_number = ANY ({items}) THEN
        {statement};
        GET DIAGNOSTICS ddb2pg_rows = ROW_COUNT;
        IF ddb2pg_rows <> {expected} THEN RAISE SQLSTATE {kept}; END IF;
    END IF
"""


# -- the statements ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Step:
    """A statement for some items; `{which}` in it is which of them."""

    statement: str
    items: Collection[int]
    parts: Mapping[str, sql.Composable]
    rows: int | None
    """How many rows it writes; None where any number will do."""
    expected: sql.Composable | None
    """The same for one item, `ddb2pg_number`."""

    def of(self, which: sql.Composable) -> sql.Composable:
        return sql.SQL(self.statement).format(which=which, **self.parts)


_ONE: Final = sql.SQL("1")
_DELETE: Final = "DELETE FROM {target} AS target USING {staging} AS staged WHERE {has_key} AND staged.{item} {which}"
_UPDATE: Final = (
    "UPDATE {target} AS target SET ({columns}) = ROW ({values}) FROM {staging} AS staged WHERE {has_key} AND staged.{item} {which}"
)
_INSERT: Final = "INSERT INTO {target} ({columns}) SELECT {values} FROM {staging} AS staged WHERE staged.{item} {which} ORDER BY {key}"
_INSERT_CHILDREN: Final = (
    "INSERT INTO {target} ({columns}) SELECT {values} FROM {owners} owned JOIN {staging} AS staged ON staged.{item} = owned.number "
    "WHERE owned.item {which} ORDER BY owned.number"
)
_COUNT_CHILDREN: Final = "(SELECT count(*) FROM {} owned WHERE owned.item = ddb2pg_number)"


def _steps(applying: Applying, changes: ChangedRows, fates: Fates) -> list[_Step]:
    """In an order in which a child row is never without its parent."""
    target, table = applying.target, applying.table
    own = {
        "target": target.identifier,
        "has_key": has_same_key(target),
        "item": ITEM,
        "key": names(target.key),
        "columns": names(table.column_names),
        "values": _values(table),
    }
    new, gone = {**own, "staging": NEW.identifier}, {**own, "staging": GONE.identifier}
    written = fates.inserted | fates.updated
    steps = []
    for number, child in enumerate(target.children):
        of_child = {"target": child.identifier, "has_key": of_parent(applying, number), "item": ITEM}
        steps += [
            _Step(_DELETE, fates.deleted, {**of_child, "staging": GONE.identifier}, None, None),
            _Step(_DELETE, written, {**of_child, "staging": NEW.identifier}, None, None),
        ]
    # The columns of the key are equal already.
    others = [name for name in table.column_names if name not in target.key]
    steps.append(_Step(_DELETE, fates.deleted, gone, len(fates.deleted), _ONE))
    if others:
        changed = {**new, "columns": names(others), "values": _values(table.only(others))}
        steps.append(_Step(_UPDATE, fates.updated, changed, len(fates.updated), _ONE))
    steps.append(_Step(_INSERT, fates.inserted, new, len(fates.inserted), _ONE))
    for number, (child, child_table) in enumerate(zip(target.children, table.child_tables, strict=True)):
        staging, owners = stagings_of_child(number)
        of_rows = {
            "target": child.identifier,
            "columns": names(child_table.column_names),
            "values": _values(child_table),
            "staging": staging.identifier,
            "owners": owners.identifier,
            "item": ITEM,
        }
        count = sum(owner in written for owner in changes.new.children[number].owners)
        steps.append(_Step(_INSERT_CHILDREN, written, of_rows, count, sql.SQL(_COUNT_CHILDREN).format(owners.identifier)))
    return [step for step in steps if step.items]


def _values(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("staged.{}").format(sql.Identifier(name)) for name in table.column_names)


# -- values that rows give each other ------------------------------------------------------------------------------------------------------


def may_exchange(cursor: Cursor, applying: Applying) -> bool:
    """Whether a row may be deleted and inserted again in the place of an update: nobody refers to it, and nothing in it is others'."""
    columns = {column.name for column in applying.target.columns if not column.is_generated}
    return columns <= set(applying.table.column_names) and not applying.table.children and not find_references(cursor, applying.target)


def apply_exchanging(cursor: Cursor, applying: Applying, changes: ChangedRows, outdated: Outdated = _NONE) -> Fates:
    """Write rows whose unique values go around among them, so that none can be first: all are deleted, and inserted again.

    Those that are refused even so are left as they are. Only where `may_exchange`.
    """
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    unparsed = stage_changes(cursor, applying, changes, stage_what_parses)
    fates = decide_fates(cursor, applying, changes, outdated)
    fates.refuse([*unparsed, *(RefusedRow(number, ErrorCode.UNIQUE_CONFLICT, "23505", None) for number in fates.deleted)])
    own = {"target": applying.target.identifier, "staging": NEW.identifier, "item": ITEM, "has_key": has_same_key(applying.target)}
    insert = {"columns": names(applying.table.column_names), "values": _values(applying.table), "key": names(applying.target.key)}
    while written := fates.inserted | fates.updated:
        delete = _Step(_DELETE, fates.updated, own, len(fates.updated), None)
        cursor.execute("SAVEPOINT ddb2pg_exchange")
        _execute(cursor, delete)
        _list_items(cursor, written)
        one = _Step(_INSERT, written, {**own, **insert}, len(written), None)
        reports = do_for_each(cursor, _ITEMS, one.of(sql.SQL("= ddb2pg_number")), report_if=sql.SQL("= 0"), undo_reported=True)
        cursor.execute("ROLLBACK TO SAVEPOINT ddb2pg_exchange; RELEASE SAVEPOINT ddb2pg_exchange")
        if not reports:
            _execute(cursor, delete)
            _execute(cursor, one)
            break
        fates.refuse(report.refused_row(applying.target.primary_key_names) for report in reports)
    return fates
