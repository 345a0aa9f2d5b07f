"""The fate of each record of a chunk of changes, decided by what is there; each row is locked before anything is written.

    its row is not there            inserted, or absent where it was to be deleted
    it is as the record has it      unchanged
    it is ours                      updated or deleted
    it is somebody else's           a conflict: left as it is, unless it is asked for otherwise

After the cut-over every record whose row is not as the record has it is a conflict, also where there is no row: the application may have
deleted it.

A row is ours where `xmin` names a transaction of the chain (`ddb2pg.writer`), or where the row is as the record's old image makes it:
whatever wrote it, nothing in it was changed. That is the second opinion; a table's rewrite changes `xmin`, for example. Where the key in
DynamoDB does not tell which row is an item's, the old image alone tells it: its row, and no other, is the item's.

Each row is found by its key's index, however many the target has. `apply.py` carries the fates out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from psycopg2 import sql

from pipeline.target.compare import PLANNING, find_keys, has_same_key, is_different, key_hash
from pipeline.target.rows import (
    ITEM,
    STAGED_ROWS,
    RefusedRow,
    Rows,
    Staging,
    names,
    numbers_in,
    stage_owners,
    stage_parsed,
    stagings_of_child,
)
from pipeline.target.session import Cursor
from pipeline.target.sqlstate import code_of
from pipeline.target.target import Reference, Target, find_further_columns
from transforms.rejects import ErrorCode
from transforms.table import Table

NEW: Final = Staging("ddb2pg_new")
"""The rows that the items of records have now."""
GONE: Final = Staging("ddb2pg_gone")
"""The keys of rows that are no item's any more."""
_OLD: Final = Staging("ddb2pg_old")


class Conflicts(StrEnum):
    """What to do with a record whose row is somebody else's."""

    STOP = "stop"
    KEEP = "keep"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class ChangedRows:
    """The records of a chunk, by item number; a record is in one or more of these, or does nothing."""

    new: Rows
    """The rows that their items have now, with their child rows."""
    gone: Rows
    """Keys, as rows of `table.only(target.key)`: of rows that are no item's any more."""
    old: Rows
    """The rows that their items had before."""
    first: Collection[int] = frozenset()
    """The items that were none of this table before; a row of ours at their key is another item's."""
    doubles: Collection[int] = frozenset()
    """The items of whose old row there is another item, one that has no row."""
    old_children: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """Of each child how many rows the items had before, where that is known."""


@dataclass(frozen=True, slots=True)
class Applying:
    """Into what changes are applied, and how."""

    target: Target
    table: Table
    chain: int
    """The load that the chain begins with."""
    load_id: int
    """Of the window."""
    child_keys: Sequence[Sequence[str]]
    """Of each child the columns that hold the parent's key, in its order."""
    references: Sequence[Reference]
    """The foreign keys of others by which deleting a row would delete or change theirs."""
    conflicts: Conflicts
    by_old_images: bool
    """Whether the old image alone tells which row is an item's."""
    child_references: Sequence[Sequence[Reference]] = ()
    """Of each child the same as `references`."""
    is_cut_over: bool = False
    """Whether every row is somebody else's by now: the application's."""


@dataclass(slots=True)
class Fates:
    """What is to become of each record that does something, by item number. Those that are refused are in no other."""

    inserted: set[int] = field(default_factory=set)
    updated: set[int] = field(default_factory=set)
    unchanged: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    """Of a record with a new row its old row, which has another key."""
    absent: set[int] = field(default_factory=set)
    overwritten: set[int] = field(default_factory=set)
    """Those of the others that take the place of somebody else's row."""
    otherwise: set[int] = field(default_factory=set)
    """Those of which there was another row before than the old image makes, or may have been."""
    conflicts: set[int] = field(default_factory=set)
    there: set[int] = field(default_factory=set)
    """Those of which there is a row, whatever their fate."""
    at_new: set[int] = field(default_factory=set)
    """Of these those whose row has the key that the record's new row has, and not one that goes."""
    refused: dict[int, RefusedRow] = field(default_factory=dict)

    def refuse(self, rows: Iterable[RefusedRow]) -> None:
        """Take records out of what is carried out."""
        for row in rows:
            self.refused.setdefault(row.item_number, row)
        for fate in (self.inserted, self.updated, self.unchanged, self.deleted, self.absent, self.overwritten, self.conflicts):
            fate.difference_update(self.refused)


@dataclass(frozen=True, slots=True)
class Outdated:
    """Items that are known to have a row, whatever their old image says: it was left as it is by an earlier window."""

    at_new: Collection[int] = ()
    """Those whose row has the key that the record's new row has."""
    at_gone: Collection[int] = ()
    """Those whose row has a key that goes."""


def stage_changes(cursor: Cursor, applying: Applying, changes: ChangedRows, stage: Callable[..., Any]) -> list[RefusedRow]:
    """Stage all rows; returns those of which the server's parser refuses a value, where the way to stage them does."""
    target, table = applying.target, applying.table
    refused: list[RefusedRow] = list(stage(cursor, NEW, table, changes.new) or ())
    refused += stage(cursor, GONE, table.only(target.key), changes.gone) or ()
    for number, (child, of_child) in enumerate(zip(table.child_tables, changes.new.children, strict=True)):
        staging, owners = stagings_of_child(number)
        of_rows: list[RefusedRow] = list(stage(cursor, staging, child, of_child.numbered) or ())
        # Without it each item would be held against each row.
        cursor.execute(sql.SQL("CREATE INDEX ON {table} ({item}); ANALYZE {table}").format(table=staging.identifier, item=ITEM))
        refused += [RefusedRow(of_child.owners[row.item_number], row.code, row.sqlstate, row.constraint) for row in of_rows]
        stage_owners(cursor, owners, of_child.owners)
    return refused


# -- what is there -------------------------------------------------------------------------------------------------------------------------


def decide_fates(cursor: Cursor, applying: Applying, changes: ChangedRows, outdated: Outdated) -> Fates:
    """The fate of each record, with the rows that are there locked."""
    target, table = applying.target, applying.table
    numbers, moved = set(changes.new.item_numbers), set(changes.new.item_numbers) & set(changes.gone.item_numbers)
    fates = Fates()
    gone = _found(cursor, applying, GONE, sql.SQL("true"), "FOR UPDATE")
    new = _found(cursor, applying, NEW, is_different(table), "FOR NO KEY UPDATE", changes.first)
    if applying.by_old_images:
        # `xmin` tells whether a row is ours; the old image alone, whether it is this item's.
        before = _as_before(cursor, applying, changes.old)
        mine_new = (new.all & before - moved) | ((new.same | new.ours) & set(outdated.at_new))
        mine_gone = (gone.all & before) | (gone.ours & set(outdated.at_gone))
        mine_gone -= _written_beside(cursor, applying, gone.theirs & mine_gone)
        owned = mine_new | mine_gone
        fates.at_new = set(mine_new)
        theirs = (new.theirs - mine_new) | (gone.theirs - mine_gone)
        # With a double, the row that would go may be the other item's.
        refused = _other_items(target, (new.all - mine_new - theirs) | (mine_gone & before & set(changes.doubles)))
    else:
        theirs = new.theirs | gone.theirs
        as_before = _as_before(cursor, applying, changes.old.only(theirs)) if theirs else set[int]()
        theirs -= as_before - _written_beside(cursor, applying, gone.theirs & as_before)
        # A window has one record of an item, so a row that it has written is another item's; two keys may be one for PostgreSQL, as a
        # UUID in small and in large letters.
        others = (new.ours & set(changes.first)) - set(outdated.at_new)
        written = (new.taken | gone.taken) - others
        # But not if it is as before: then a trigger has written it, beside the definition's columns.
        written -= _as_before(cursor, applying, changes.old.only(written)) if written else set()
        taken = written | others
        mine_new, mine_gone, refused = new.all - theirs - taken, gone.all - theirs - taken, _other_items(target, taken)
        # Whether it was a trigger, new images do not tell, so the row may be outdated.
        owned = (new.all | gone.all) - others
        fates.at_new = set(new.all)
    fates.there = owned
    of_children = _children_there(cursor, applying, changes)
    if applying.is_cut_over:
        equal = new.same - of_children.unlike
        fates.conflicts = (numbers - equal) | gone.all
        fates.unchanged = equal - fates.conflicts
        fates.absent = set(changes.gone.item_numbers) - numbers - fates.conflicts
        return fates
    theirs |= of_children.theirs
    if applying.conflicts is Conflicts.OVERWRITE:
        fates.overwritten = set(theirs)
        mine_new, mine_gone, theirs = mine_new | (new.all & theirs), mine_gone | (gone.all & theirs), set()
    equal = new.same - of_children.unlike
    fates.conflicts = theirs
    fates.inserted = numbers - new.all - theirs
    fates.updated = mine_new - equal - theirs
    fates.unchanged = (mine_new & equal) - theirs
    fates.deleted = mine_gone - theirs
    fates.absent = set(changes.gone.item_numbers) - mine_gone - moved - theirs
    fates.refuse([*refused, *_with_one_key(cursor, applying, changes)])
    fates.refuse(_with_one_row(cursor, applying, fates))
    fates.refuse(_referenced(cursor, applying, fates.deleted))
    fates.refuse(_with_referenced_children(cursor, applying, fates))
    fates.otherwise = of_children.not_as_before(fates) | _same_of_others(cursor, applying, changes, fates.updated & new.same)
    return fates


def _same_of_others(cursor: Cursor, applying: Applying, changes: ChangedRows, items: Collection[int]) -> set[int]:
    """Of items whose row is as it should be, and child rows are not: those whose row somebody else has made so."""
    old = changes.old.only(items)
    return set(old.item_numbers) - _as_before(cursor, applying, old) if old else set()


@dataclass(frozen=True, slots=True)
class _Found:
    """Items whose row is there: it is as it should be, or else it is ours, or somebody else's."""

    same: set[int]
    ours: set[int]
    theirs: set[int]
    taken: set[int]
    """Of ours those that this very window has written."""

    @property
    def all(self) -> set[int]:
        return self.same | self.ours | self.theirs


def _found(cursor: Cursor, applying: Applying, staging: Staging, differs: sql.Composable, lock: str, first: Collection[int] = ()) -> _Found:
    """Of the first ones it is looked whose row it is also where that is as it should be, unless this window has written it."""
    cursor.execute(
        sql.SQL(PLANNING + _FIND.replace("{lock}", lock)).format(
            item=ITEM,
            differs=differs,
            written_by=_written_by(applying),
            first=numbers_in(first),
            staging=staging.identifier,
            target=applying.target.identifier,
            has_key=has_same_key(applying.target),
            key=sql.SQL(", ").join(sql.SQL("staged.{}").format(sql.Identifier(name)) for name in applying.target.key),
        )
    )
    return _Found(*map(set, cursor.fetchone()))


# In the order of the key, so that two who lock rows do not wait for each other. A chunk's rows have few writers, so each of these is looked
# for once, however many rows it wrote.
_FIND: Final = """
    WITH locked AS MATERIALIZED (
        SELECT {item}, target.xmin AS xmin, {differs} AS differs FROM {staging} AS staged JOIN {target} AS target ON {has_key}
        ORDER BY {key} {lock} OF target
    ), asked AS MATERIALIZED (
        SELECT {item}, differs, CASE WHEN differs OR {item} = ANY ({first}) THEN xmin END AS xmin FROM locked
    ), writer AS MATERIALIZED (
        SELECT xmin, {written_by} AS is_this FROM (SELECT DISTINCT xmin FROM asked WHERE xmin IS NOT NULL) AS target
    ), found AS (
        SELECT {item}, differs, coalesce(xmin IN (SELECT xmin FROM writer WHERE is_this IS NOT NULL), false) AS is_known,
               coalesce(xmin IN (SELECT xmin FROM writer WHERE is_this), false) AS is_taken
        FROM asked
    )
    SELECT coalesce(array_agg({item}) FILTER (WHERE NOT differs), '{{}}'),
           coalesce(array_agg({item}) FILTER (WHERE is_known AND (differs OR NOT is_taken)), '{{}}'),
           coalesce(array_agg({item}) FILTER (WHERE differs AND NOT is_known), '{{}}'),
           coalesce(array_agg({item}) FILTER (WHERE differs AND is_taken), '{{}}')
    FROM found
"""


def is_ours(chain: int) -> sql.Composable:
    """Whether a transaction of the chain wrote a row of `target`."""
    return sql.SQL("{} IS NOT NULL").format(sql.SQL(_WRITTEN_BY).format(chain=sql.Literal(chain), load_id=sql.Literal(chain)))


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A row that is there."""

    key: int
    """Its `key_hash`."""
    is_theirs: bool
    """Whether no transaction of the chain wrote it."""


def look_again(cursor: Cursor, target: Target, table: Table, rows: Rows, chain: int, seed: int) -> dict[int, SeenRow]:
    """Of rows that were compared and differ who wrote those that are there, by item number."""
    stage_parsed(cursor, STAGED_ROWS, table, rows)
    cursor.execute(
        sql.SQL(PLANNING + "SELECT {item}, {hash}, NOT ({is_ours}) FROM {staging} AS staged JOIN {target} AS target ON {has_key}").format(
            item=ITEM,
            hash=key_hash(target, seed),
            is_ours=is_ours(chain),
            staging=STAGED_ROWS.identifier,
            target=target.identifier,
            has_key=has_same_key(target),
        )
    )
    return {number: SeenRow(key, is_theirs) for number, key, is_theirs in cursor.fetchall()}


def _written_by(applying: Applying) -> sql.Composable:
    """Whether this very window wrote a row of `target`; null where no transaction of the chain did, so that it is not ours."""
    return sql.SQL(_WRITTEN_BY).format(chain=sql.Literal(applying.chain), load_id=sql.Literal(applying.load_id))


def is_of_chain(chain: int) -> sql.Composable:
    """Whether a transaction of a chain wrote a row of `target`, and nobody since."""
    return sql.SQL(f"({_WRITTEN_BY} IS NOT NULL)").format(chain=sql.Literal(chain), load_id=sql.Literal(chain))


# Transactions are numbered with 32 bits in a row, so those of two thousand million transactions ago are not ours any more.
_WRITTEN_BY: Final = """(
    SELECT bool_or(writer.load_id = {load_id}) FROM ddb2pg.writer
    WHERE writer.xid::xid = target.xmin AND writer.chain = {chain} AND writer.ledger_oid = 'ddb2pg.load'::regclass
        AND writer.xid > (SELECT greatest(0, pg_current_xact_id()::text::numeric - 2147483647)::text::xid8)
)"""


def _as_before(cursor: Cursor, applying: Applying, old: Rows) -> set[int]:
    """The items whose row is as the old image makes it."""
    if not old:
        return set()
    unparsed = Staging(f"{_OLD.name}_unparsed")
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(_OLD.identifier, unparsed.identifier))
    stage_parsed(cursor, _OLD, applying.table, old)
    cursor.execute(
        sql.SQL(PLANNING + "SELECT {item} FROM {old} AS staged JOIN {target} AS target ON {has_key} WHERE NOT {differs}").format(
            item=ITEM,
            old=_OLD.identifier,
            target=applying.target.identifier,
            has_key=has_same_key(applying.target),
            differs=is_different(applying.table),
        )
    )
    return {row[0] for row in cursor.fetchall()}


def _written_beside(cursor: Cursor, applying: Applying, items: Collection[int]) -> set[int]:
    """Of rows that are as before and would go those with values of somebody else in columns beside the definition's: they are theirs."""
    further = find_further_columns(cursor, applying.target, applying.table, None) if items else []
    if not further:
        return set()
    cursor.execute(
        sql.SQL(
            PLANNING
            + "SELECT {item} FROM {gone} AS staged JOIN {target} AS target ON {has_key} WHERE {item} = ANY ({items}) AND ({written})"
        ).format(
            item=ITEM,
            gone=GONE.identifier,
            target=applying.target.identifier,
            has_key=has_same_key(applying.target),
            items=numbers_in(items),
            written=sql.SQL(" OR ").join(column.is_written for column in further),
        )
    )
    return {row[0] for row in cursor.fetchall()}


def find_rows(cursor: Cursor, applying: Applying, keys: Rows, old: Rows) -> set[int]:
    """The items that have a row, by their keys, or by their old images where those alone tell it; PostgreSQL may refuse to read a key."""
    if applying.by_old_images:
        return _as_before(cursor, applying, old)
    return set(find_keys(cursor, applying.target, applying.table.only(applying.target.key), keys, 0))


def _with_one_key(cursor: Cursor, applying: Applying, changes: ChangedRows) -> list[RefusedRow]:
    """The items of which two or more make one key: nobody knows which of them is the row."""
    if not changes.new:
        return []
    cursor.execute(
        sql.SQL("SELECT unnest(array_agg({item})) FROM {new} GROUP BY {key} HAVING count(*) > 1").format(
            item=ITEM, new=NEW.identifier, key=names(applying.target.key)
        )
    )
    return _other_items(applying.target, {row[0] for row in cursor.fetchall()})


def _with_one_row(cursor: Cursor, applying: Applying, fates: Fates) -> list[RefusedRow]:
    """The items of which one writes the row that another deletes: nobody knows whose it is."""
    kept = (fates.updated | fates.unchanged) - fates.deleted
    if not kept or not fates.deleted:
        return []
    cursor.execute(
        sql.SQL(
            _AMONG_STAGED + "SELECT staged.{item}, target.{item} FROM {gone} AS staged JOIN {new} AS target ON {has_key} "
            "WHERE staged.{item} <> target.{item}"
        ).format(item=ITEM, gone=GONE.identifier, new=NEW.identifier, has_key=has_same_key(applying.target))
    )
    pairs = [(gone, new) for gone, new in cursor.fetchall() if gone in fates.deleted and new in kept]
    return _other_items(applying.target, {item for pair in pairs for item in pair})


# No key of staged rows has an index: without a hash each would be held against each. `PLANNING` of the next statement ends it.
_AMONG_STAGED: Final = "SET LOCAL enable_hashjoin = on;"


def _other_items(target: Target, items: Iterable[int]) -> list[RefusedRow]:
    """Refusals of items whose key is that of another item's row."""
    code = code_of("23505", target.key_name, target.primary_key_names)
    return [RefusedRow(number, code, "23505", target.key_name) for number in sorted(items)]


def _referenced(cursor: Cursor, applying: Applying, deleted: Collection[int]) -> list[RefusedRow]:
    """Of rows that are to go, those that others refer to such that theirs would go or change with them: refused, as PostgreSQL would."""
    if not applying.references or not deleted:
        return []
    cursor.execute(
        sql.SQL(
            PLANNING + "SELECT {item} FROM {gone} AS staged JOIN {target} AS target ON {has_key} WHERE {item} = ANY ({items}) AND ({used})"
        ).format(
            item=ITEM,
            gone=GONE.identifier,
            target=applying.target.identifier,
            has_key=has_same_key(applying.target),
            items=numbers_in(deleted),
            used=_any_used(applying.references),
        )
    )
    return [_referred_to(number) for (number,) in cursor.fetchall()]


def _any_used(references: Iterable[Reference]) -> sql.Composable:
    """Whether another row refers to a row of `target`; so it may be where this role does not see all rows that could."""
    return sql.SQL(" OR ").join(reference.is_used if reference.sees_all_rows else sql.SQL("true") for reference in references)


def _referred_to(number: int) -> RefusedRow:
    return RefusedRow(number, ErrorCode.FOREIGN_KEY_VIOLATION, "23503", None)


# -- child rows ----------------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _ChildrenThere:
    """Items of which a child row is somebody else's, and those of which the child rows are not those of the record."""

    theirs: set[int] = field(default_factory=set)
    unlike: set[int] = field(default_factory=set)
    there: set[int] = field(default_factory=set)
    """Items of which there is a child row."""
    fewer: set[int] = field(default_factory=set)
    """Items with other numbers of child rows than their old image makes. As all of them are ours, somebody has deleted some."""

    def not_as_before(self, fates: Fates) -> set[int]:
        return (self.fewer & (fates.updated | fates.deleted)) | (self.there & fates.inserted - fates.deleted)


def _children_there(cursor: Cursor, applying: Applying, changes: ChangedRows) -> _ChildrenThere:
    there = _ChildrenThere()
    for number, (target, table) in enumerate(zip(applying.target.children, applying.table.child_tables, strict=True)):
        staging, owners = stagings_of_child(number)
        all_there: Counter[int] = Counter()
        for parents in (NEW, GONE):
            cursor.execute(
                sql.SQL(PLANNING + _FIND_CHILDREN).format(
                    item=ITEM,
                    written_by=_written_by(applying),
                    parents=parents.identifier,
                    target=target.identifier,
                    of_parent=of_parent(applying, number),
                )
            )
            for item, count, are_ours in (found := cursor.fetchall()):
                all_there[item] += count
                if not are_ours:
                    there.theirs.add(item)
            if parents is NEW:
                counts = {item: count for item, count, _ in found}
        cursor.execute(
            sql.SQL(PLANNING + _COUNT_EQUAL_CHILDREN).format(
                item=ITEM,
                owners=owners.identifier,
                staging=staging.identifier,
                target=target.identifier,
                has_key=has_same_key(target),
                differs=is_different(table),
            )
        )
        equal: Mapping[int, tuple[int, int]] = {item: (rows, same) for item, rows, same in cursor.fetchall()}
        for item in changes.new.item_numbers:
            rows, same = equal.get(item, (0, 0))
            if not rows == same == counts.get(item, 0):
                there.unlike.add(item)
        there.there.update(all_there)
        there.fewer.update(item for item, before in changes.old_children.items() if all_there[item] != before[number])
    return there


def _with_referenced_children(cursor: Cursor, applying: Applying, fates: Fates) -> list[RefusedRow]:
    """The same of items of which child rows are to go: they are replaced with every change of their item."""
    refused = []
    for number, references in enumerate(applying.child_references):
        for parents, items in ((NEW, fates.inserted | fates.updated), (GONE, fates.deleted)):
            if not references or not items:
                continue
            cursor.execute(
                sql.SQL(
                    PLANNING + "SELECT DISTINCT {item} FROM {parents} AS staged JOIN {target} AS target ON {of_parent} "
                    "WHERE {item} = ANY ({items}) AND ({used})"
                ).format(
                    item=ITEM,
                    parents=parents.identifier,
                    target=applying.target.children[number].identifier,
                    of_parent=of_parent(applying, number),
                    items=numbers_in(items),
                    used=_any_used(references),
                )
            )
            refused += [_referred_to(item) for (item,) in cursor.fetchall()]
    return refused


_FIND_CHILDREN: Final = """
    SELECT {item}, count(*), bool_and({written_by} IS NOT NULL) FROM (
        SELECT {item}, target.xmin AS xmin FROM {parents} AS staged JOIN {target} AS target ON {of_parent} FOR UPDATE OF target
    ) AS target GROUP BY {item}
"""
_COUNT_EQUAL_CHILDREN: Final = """
    SELECT owned.item, count(*), count(*) FILTER (WHERE NOT {differs})
    FROM {owners} owned JOIN {staging} AS staged ON staged.{item} = owned.number LEFT JOIN {target} AS target ON {has_key}
    GROUP BY owned.item
"""


def of_parent(applying: Applying, child: int) -> sql.Composable:
    """Whether a row of a child, `target`, is of the item with a key of `staged`."""
    pairs = zip(applying.child_keys[child], applying.target.key, strict=True)
    return sql.SQL(" AND ").join(
        sql.SQL("target.{} = staged.{}").format(sql.Identifier(of_child), sql.Identifier(name)) for of_child, name in pairs
    )
