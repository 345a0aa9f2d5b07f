"""Rows out of the target again: those that are as the export makes them, and no others.

A chunk is tried in up to two ways, each a transaction of its own:

    delete_rows           one DELETE for all rows that are equal
    delete_row_by_row     a loop on the server, each row in a subtransaction: reports for each row what refuses it

Afterwards the rows are looked for: a row that a trigger or a policy kept was not deleted, even if the DELETE counted it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.compare import PLANNING, Mismatch, MismatchKind, compare_staged_rows, has_same_key, is_different
from pipeline.target.fates import is_of_chain
from pipeline.target.rows import (
    ITEM,
    KEPT,
    REFERENCED,
    STAGED_ROWS,
    UNSEEN,
    ChildRows,
    RefusedRow,
    Report,
    Rows,
    Staging,
    do_for_each,
    stage_owners,
    stage_parsed,
    stagings_of_child,
)
from pipeline.target.session import Cursor, RowsRefused
from pipeline.target.target import FurtherColumn, Reference, Target
from transforms.table import Table

_NO_SEED: Final = 0
_NO_ERROR: Final = "00000"
_ITEMS: Final = Staging("ddb2pg_items")


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
    refused = {report.item: report.refused_row() for report in reports if report.sqlstate is not None}
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
    lock_staged_rows(cursor, target)
    cursor.execute(
        sql.SQL("SELECT {item} FROM {staging} AS staged JOIN {target} AS target ON {has_key} WHERE {is_used}").format(
            item=ITEM,
            staging=STAGED_ROWS.identifier,
            target=target.identifier,
            has_key=has_same_key(target),
            is_used=sql.SQL(" OR ").join(reference.is_used for reference in references),
        )
    )
    return {row[0] for row in cursor.fetchall()}


def lock_staged_rows(cursor: Cursor, target: Target) -> None:
    """Let nobody change or delete the rows of the target with the keys of those that are staged, before this transaction ends.

    In the order of the key, so that two who lock rows do not wait for each other. Locking needs the right to UPDATE.
    """
    cursor.execute(
        sql.SQL(
            "SELECT count(*) FROM (SELECT FROM {staging} AS staged JOIN {target} AS target ON {has_key} ORDER BY {key} FOR UPDATE OF target"
            ") locked"
        ).format(
            staging=STAGED_ROWS.identifier,
            target=target.identifier,
            has_key=has_same_key(target),
            key=sql.SQL(", ").join(sql.SQL("staged.{}").format(sql.Identifier(name)) for name in target.key),
        )
    )


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


# -- items with child rows -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owned:
    """A target and its definition, and how it is seen that somebody uses a row of it, or changed one."""

    target: Target
    table: Table
    references: Sequence[Reference]
    further: Sequence[FurtherColumn]


def delete_items(cursor: Cursor, parent: Owned, children: Sequence[tuple[Owned, ChildRows]], rows: Rows) -> Deletion:
    """Delete the row of each item and its child rows, these first, in a subtransaction an item: all of them, or none.

    An item of which a row is not as the export makes it is left to the caller: none such may be given.
    """
    stage_rows(cursor, parent.table, rows)
    for number, (child, of_child) in enumerate(children):
        staging, owners = stagings_of_child(number)
        stage_parsed(cursor, staging, child.table, of_child.numbered)
        stage_owners(cursor, owners, of_child.owners)
    return delete_staged_items(cursor, parent, [child for child, _ in children], rows.item_numbers)


def delete_staged_items(cursor: Cursor, parent: Owned, children: Sequence[Owned], items: Sequence[int]) -> Deletion:
    """The same of rows that are in `STAGED_ROWS`, and child rows that are in the children's stagings. Items may be there without a row."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute(
        sql.SQL("CREATE TEMP TABLE {own} ON COMMIT DROP AS SELECT {item} FROM unnest({items}::bigint[]) AS given ({item})").format(
            own=_ITEMS.own_name, item=ITEM, items=sql.Literal(list(items))
        )
    )
    stagings = [stagings_of_child(number) for number in range(len(children))]
    for staging in (STAGED_ROWS, *(of_rows for of_rows, _ in stagings)):
        cursor.execute(sql.SQL("CREATE UNIQUE INDEX ON {table} ({item}); ANALYZE {table}").format(table=staging.identifier, item=ITEM))
    statements = []
    for child, (staging, owners) in zip(children, stagings, strict=True):
        of_item = sql.SQL("(SELECT s.* FROM {} owned JOIN {} s ON s.{} = owned.number WHERE owned.item = ddb2pg_number)").format(
            owners.identifier, staging.identifier, ITEM
        )
        count = sql.SQL("(SELECT count(*) FROM {} owned WHERE owned.item = ddb2pg_number)").format(owners.identifier)
        statements.append(_delete_of_item(child, of_item, count))
    of_item = sql.SQL("(SELECT s.* FROM {} s WHERE s.{} = ddb2pg_number)").format(STAGED_ROWS.identifier, ITEM)
    statements.append(_delete_of_item(parent, of_item, sql.SQL("(SELECT count(*) FROM {} s)").format(of_item)))
    statements.append(sql.SQL("PERFORM 1 WHERE ddb2pg_rows > 0"))
    cursor.execute(PLANNING)
    reports = do_for_each(cursor, _ITEMS, sql.SQL("; ").join(statements), report_if=sql.SQL("> 0"))
    deleted = frozenset(report.item for report in reports if report.sqlstate is None)
    kept = [_kept(report) for report in reports if report.sqlstate is not None]
    return Deletion(deleted, len(items) - len(deleted) - len(kept), tuple(kept))


def _kept(report: Report) -> Mismatch:
    if report.sqlstate == KEPT:
        return Mismatch(report.item, MismatchKind.NOT_DELETED)
    if report.sqlstate == UNSEEN:
        return Mismatch(report.item, MismatchKind.NOT_SEEN)
    if report.sqlstate == REFERENCED:
        return Mismatch(report.item, MismatchKind.REFERENCED)
    return Mismatch(report.item, MismatchKind.REFUSED, refused=report.refused_row())


def _delete_of_item(owned: Owned, of_item: sql.Composable, count: sql.Composable) -> sql.Composable:
    """Delete the rows of one item in one target; raises where others use one, where one is there afterwards, or where one is not seen.

    `count` is how many rows the item had.
    """
    is_used = sql.SQL(" OR ").join(reference.is_used for reference in owned.references) if owned.references else sql.SQL("false")
    statements = [_LOCK_OF_ITEM] * bool(owned.references) + [_DELETE_OF_ITEM] + [_EXPECT_ALL] * owned.target.has_row_security
    return sql.SQL("; ".join(statements)).format(
        target=owned.target.identifier,
        of_item=of_item,
        has_key=has_same_key(owned.target),
        is_different=is_different(owned.table, owned.further),
        is_used=is_used,
        kept=sql.Literal(KEPT),
        referenced=sql.Literal(REFERENCED),
        count=count,
        unseen=sql.Literal(UNSEEN),
    )


# So that no new row can refer to it. Locking needs the right to UPDATE.
_LOCK_OF_ITEM: Final = """
    PERFORM 1 FROM {of_item} AS staged JOIN {target} AS target ON {has_key} FOR UPDATE OF target
"""
_DELETE_OF_ITEM: Final = """
    IF EXISTS (SELECT FROM {of_item} AS staged JOIN {target} AS target ON {has_key} WHERE {is_used}) THEN
        RAISE SQLSTATE {referenced};
    END IF;
    DELETE FROM {target} AS target USING {of_item} AS staged WHERE {has_key} AND NOT {is_different};
    GET DIAGNOSTICS ddb2pg_rows = ROW_COUNT;
    IF EXISTS (SELECT FROM {of_item} AS staged JOIN {target} AS target ON {has_key}) THEN RAISE SQLSTATE {kept}; END IF
"""
_EXPECT_ALL: Final = "IF ddb2pg_rows <> {count} THEN RAISE SQLSTATE {unseen}; END IF"


# -- all rows of a chain -------------------------------------------------------------------------------------------------------------------
#
# By the transactions that wrote them, as `xmin` has it: nobody has written such a row since, so the exports need not be read.


@dataclass(frozen=True, slots=True)
class OfChain:
    """A target with rows that transactions of a chain wrote."""

    target: Target
    chain: int
    references: Sequence[Reference]
    """The foreign keys of others by which deleting a row would delete or change theirs."""
    child_keys: Sequence[Sequence[str]] = ()
    """Of each child the columns that hold the key of the item's row, in its order."""
    child_references: Sequence[Sequence[Reference]] = ()
    """Of each child the same as `references`."""
    without: Target | None = None
    """Of the table of child rows: the target of their items. Only rows that have no item there are deleted."""
    without_by: Sequence[str] = ()
    """The columns that hold the key of that."""

    @property
    def is_ours(self) -> sql.Composable:
        """Whether a row of `target` is to be deleted, as far as nobody refers to it."""
        if self.without is None:
            return is_of_chain(self.chain)
        pairs = zip(self.without.key, self.without_by, strict=True)
        return sql.SQL("({} AND NOT EXISTS (SELECT FROM {} AS item WHERE {}))").format(
            is_of_chain(self.chain),
            self.without.identifier,
            sql.SQL(" AND ").join(sql.SQL("item.{} = target.{}").format(sql.Identifier(key), sql.Identifier(name)) for key, name in pairs),
        )

    @property
    def is_held(self) -> sql.Composable:
        """Whether rows of others would go or change with a row, `target`, or a child row of its item, `staged`, is somebody else's."""
        conditions = [reference.is_used for reference in self.references]
        for number, child in enumerate(self.target.children):
            of_item, references = self.of_item(number), self.child_references[number]
            is_held = sql.SQL(" OR ").join(
                [sql.SQL("NOT {}").format(is_of_chain(self.chain)), *(reference.is_used for reference in references)]
            )
            conditions.append(sql.SQL("EXISTS (SELECT FROM {} AS target WHERE {} AND ({}))").format(child.identifier, of_item, is_held))
        return sql.SQL(" OR ").join(conditions) if conditions else sql.SQL("false")

    def of_item(self, child: int) -> sql.Composable:
        """Whether a child row, `target`, is of the item with the key of `staged`."""
        pairs = zip(self.child_keys[child], self.target.key, strict=True)
        return sql.SQL(" AND ").join(
            sql.SQL("target.{} = staged.{}").format(sql.Identifier(name), sql.Identifier(key)) for name, key in pairs
        )


@dataclass(frozen=True, slots=True)
class Blocks:
    """Some pages of a table, or of a partition."""

    table: sql.Identifier
    first: int
    end: int
    """Not one of them any more."""


_BLOCKS: Final = 256
"""Of a transaction: 2 MB of rows."""


def blocks_of(cursor: Cursor, target: Target) -> list[Blocks]:
    """All pages that a target, or its partitions, have now. What is written later is nobody's but others'."""
    cursor.execute(
        """
        SELECT n.nspname, c.relname, (pg_relation_size(c.oid) / current_setting('block_size')::integer)::bigint
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.oid IN (SELECT %(oid)s::oid UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid)) ORDER BY c.oid
        """,
        {"oid": target.oid},
    )
    return [
        Blocks(sql.Identifier(schema, name), first, first + _BLOCKS)
        for schema, name, pages in cursor.fetchall()
        for first in range(0, pages, _BLOCKS)
    ]


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows of a chain were deleted in some pages, with how many child rows, and how many are kept."""

    deleted: int = 0
    child_rows: int = 0
    kept: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(self.deleted + other.deleted, self.child_rows + other.child_rows, self.kept + other.kept)


SweepRows = Callable[[Cursor, OfChain, Blocks], Swept]


def sweep_rows(cursor: Cursor, of_chain: OfChain, blocks: Blocks) -> Swept:
    """Delete the rows of a chain that are in some pages, with their child rows; raises where PostgreSQL refuses one."""
    rows, held = _stage_places(cursor, of_chain, blocks)
    *of_children, parent = _sweep_statements(of_chain, blocks, sql.SQL("true"))
    child_rows = 0
    for statement in of_children:
        cursor.execute(sql.SQL(PLANNING + "{}").format(statement))
        child_rows += cursor.rowcount
    cursor.execute(parent)
    if cursor.rowcount != rows:
        # A trigger that returns NULL keeps a row without an error.
        raise RowsRefused(_NO_ERROR)
    return Swept(rows, child_rows, held)


def sweep_row_by_row(cursor: Cursor, of_chain: OfChain, blocks: Blocks) -> Swept:
    """The same, each item in a subtransaction: those that PostgreSQL refuses are kept, with their child rows."""
    rows, held = _stage_places(cursor, of_chain, blocks)
    children = [child.identifier for child in of_chain.target.children]
    before = _count(cursor, children)
    statements = sql.SQL("; ").join(_sweep_statements(of_chain, blocks, sql.SQL("staged.{} = ddb2pg_number").format(ITEM)))
    cursor.execute(PLANNING)
    refused = len(do_for_each(cursor, _ITEMS, statements, report_if=sql.SQL("= 0"), undo_reported=True))
    return Swept(rows - refused, before - _count(cursor, children), held + refused)


WAYS_TO_SWEEP: Final[Sequence[SweepRows]] = (sweep_rows, sweep_row_by_row)
"""In the order in which they are tried."""


def _stage_places(cursor: Cursor, of_chain: OfChain, blocks: Blocks) -> tuple[int, int]:
    """Lock the rows, and list where they are, but for those that are held: how many there are of both."""
    target = of_chain.target
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    parts = {
        "item": ITEM,
        "own": _ITEMS.own_name,
        "places": _ITEMS.identifier,
        "table": blocks.table,
        "key": sql.SQL(", ").join(sql.SQL("target.{}").format(sql.Identifier(name)) for name in target.key),
        "first": sql.Literal(f"({blocks.first},0)"),
        "end": sql.Literal(f"({blocks.end},0)"),
        "is_ours": of_chain.is_ours,
        "is_held": of_chain.is_held,
    }
    cursor.execute(
        sql.SQL(
            "CREATE TEMP TABLE {own} ON COMMIT DROP AS SELECT row_number() OVER () AS {item}, locked.* FROM ("
            "SELECT target.ctid AS ddb2pg_place, {key} FROM ONLY {table} AS target "
            "WHERE target.ctid >= {first}::tid AND target.ctid < {end}::tid AND {is_ours} FOR UPDATE OF target) locked"
        ).format(**parts)
    )
    rows = cursor.rowcount
    # Once the rows are locked, no new row can refer to them.
    cursor.execute(
        sql.SQL(
            PLANNING + "DELETE FROM {places} AS staged USING ONLY {table} AS target WHERE target.ctid = staged.ddb2pg_place AND ({is_held})"
        ).format(**parts)
    )
    return rows - cursor.rowcount, cursor.rowcount


def _sweep_statements(of_chain: OfChain, blocks: Blocks, which: sql.Composable) -> list[sql.Composable]:
    """For some of the places: child rows first."""
    delete = "DELETE FROM {target} AS target USING {places} AS staged WHERE {which} AND {is_same}"
    statements: list[sql.Composable] = [
        sql.SQL(f"{delete} AND {{is_ours}}").format(
            target=child.identifier,
            places=_ITEMS.identifier,
            which=which,
            is_same=of_chain.of_item(number),
            is_ours=is_of_chain(of_chain.chain),
        )
        for number, child in enumerate(of_chain.target.children)
    ]
    is_same = sql.SQL("target.ctid = staged.ddb2pg_place")
    own = sql.SQL(delete.replace("FROM {target}", "FROM ONLY {target}"))
    return [*statements, own.format(target=blocks.table, places=_ITEMS.identifier, which=which, is_same=is_same)]


def _count(cursor: Cursor, tables: Sequence[sql.Identifier]) -> int:
    counts = 0
    for table in tables:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(table))
        counts += cursor.fetchone()[0]
    return counts


@dataclass(frozen=True, slots=True)
class RowsLeft:
    """What a table holds: rows of a chain, and those of others."""

    ours: int
    others: int


def count_of_chain(cursor: Cursor, of_chain: OfChain) -> RowsLeft:
    cursor.execute(
        sql.SQL("SELECT count(*) FILTER (WHERE {is_ours}), count(*) FROM {table} AS target").format(
            is_ours=is_of_chain(of_chain.chain), table=of_chain.target.identifier
        )
    )
    ours, rows = cursor.fetchone()
    return RowsLeft(ours, rows - ours)


@dataclass(frozen=True, slots=True)
class RowLeft:
    """A row of a chain that was not deleted, by its key as text: others refer to it, or use its child rows, or PostgreSQL refused."""

    kind: MismatchKind
    key: Mapping[str, str]


def rows_left_of_chain(cursor: Cursor, of_chain: OfChain) -> Iterator[RowLeft]:
    names = of_chain.target.key
    cursor.execute(
        sql.SQL(
            "SELECT {is_held}, {key} FROM {table} AS target CROSS JOIN LATERAL (SELECT target.*) AS staged "
            "WHERE {is_ours} ORDER BY target.ctid"
        ).format(
            is_held=of_chain.is_held,
            key=sql.SQL(", ").join(sql.SQL("target.{}::text").format(sql.Identifier(name)) for name in names),
            table=of_chain.target.identifier,
            is_ours=is_of_chain(of_chain.chain),
        )
    )
    for is_held, *key in cursor:
        yield RowLeft(MismatchKind.REFERENCED if is_held else MismatchKind.REFUSED, dict(zip(names, key, strict=True)))
