"""Rows into the target, and the isolation of those that PostgreSQL refuses.

A chunk is tried in up to four ways, each a transaction of its own with the chunk's ledger row first. Nearly all end with the first.

    copy_rows             COPY straight into the target: all or nothing
    copy_new_rows         the same without the rows whose keys are there, or come twice in the chunk: they are conflicts
    insert_new_rows       through a temp table: INSERT ... ON CONFLICT on the key; what was not inserted is a conflict. A handful of
                          statements, whether one row conflicts or all
    insert_row_by_row     a loop on the server, each row in a subtransaction: reports for each row what it violates, in one statement; then
                          the others once more, without subtransactions, so that the chunk's transaction is the one that wrote them

A table with children has two ways, in each of which an item's row and its child rows are written together, or none of them:

    copy_with_children    COPY into the target, and into that of each child: all or nothing
    insert_item_by_item   a loop on the server, each item in a subtransaction: reports for each item what it, or one of its rows, violates

The next way is for rows that the one before could not settle, which PostgreSQL reports with a SQLSTATE of rows (`sqlstate.py`). The key is
the primary key, or the unique index that tells of which item a row is (`Target.key`). A column of a type that COPY cannot fill leaves the
ways without a temp table out: there its values are parsed on the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from psycopg2 import sql

from pipeline.errors import Stopped
from pipeline.target.compare import PLANNING, has_same_key
from pipeline.target.rows import (
    COPY_BLOCK,
    ITEM,
    KEPT,
    STAGED_FOR_WRITING,
    ChildRows,
    RefusedRow,
    Rows,
    Staging,
    copy_stream,
    do_for_each,
    fields_of,
    names,
    parsed_columns,
    stage_owners,
    stage_parsed,
    stage_unparsed,
    stagings_of_child,
    unparsed_values,
)
from pipeline.target.session import Cursor, RowsRefused
from pipeline.target.sqlstate import code_of
from pipeline.target.target import Target, has_key_of_items
from transforms.table import Table

WriteRows = Callable[[Cursor, Target, Table, Rows], list[RefusedRow]]

_NO_ERROR: Final = "00000"
_KEYS: Final = Staging("ddb2pg_keys")


def ways_to_write(target: Target, table: Table) -> Sequence[WriteRows]:
    """The ways for this target, in the order in which they are tried."""
    if table.children:
        is_copied = not any(one.has_row_security for one in (target, *target.children)) and all(
            column.pg_type.copies_directly for one in (table, *table.child_tables) for column in one.columns
        )
        return [copy_with_children, insert_item_by_item] if is_copied else [insert_item_by_item]
    ways: list[WriteRows] = [insert_row_by_row]
    is_deferrable = target.is_deferrable and target.key == target.primary_key
    takes_copy = not target.has_row_security and all(column.pg_type.copies_directly for column in table.columns)
    # With such a trigger, the keys do not show which of several rows with one key was inserted.
    if has_key_of_items(target, table) and not is_deferrable and not target.has_before_trigger:
        ways.insert(0, insert_new_rows)
        if takes_copy:
            ways.insert(0, copy_new_rows)
    if takes_copy:
        ways.insert(0, copy_rows)
    return ways


def copy_rows(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """COPY straight into the target; raises where one row is refused."""
    if rows:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(target.identifier, names(table.column_names))
        cursor.copy_expert(statement, copy_stream(rows, len(table.columns)), COPY_BLOCK)
        if cursor.rowcount != len(rows):
            # A trigger that returns NULL keeps a row out without an error; the last way finds out which.
            raise RowsRefused(_NO_ERROR)
    return []


def copy_new_rows(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """COPY the rows whose keys are new, the first in the file's order of those that share one; the others are refused as conflicts.

    A key that another session is just inserting is not seen, nor one of this chunk that is equal though it is written in another way. Both
    make COPY raise.
    """
    positions = [table.column_names.index(name) for name in target.key]
    keys = fields_of(rows, positions)
    doubles = _doubles(keys)
    stage_parsed(cursor, _KEYS, table.only(target.key), keys.without(doubles) if doubles else keys)
    cursor.execute(
        sql.SQL(PLANNING + _FIND_CONFLICTS).format(
            item=ITEM, staging=_KEYS.identifier, target=target.identifier, has_key=has_same_key(target)
        )
    )
    conflicts = sorted([*doubles, *(row[0] for row in cursor.fetchall())])
    copy_rows(cursor, target, table, rows.without(conflicts) if conflicts else rows)
    return _conflicts(target, conflicts)


def _doubles(keys: Rows) -> list[int]:
    """The items with the very key of one before them."""
    known: set[bytes] = set()
    doubles = []
    for number, key in zip(keys.item_numbers, keys.encoded, strict=True):
        if key in known:
            doubles.append(number)
        known.add(key)
    return doubles


_FIND_CONFLICTS: Final = "SELECT {item} FROM {staging} AS staged WHERE EXISTS (SELECT FROM {target} AS target WHERE {has_key})"


def _conflicts(target: Target, numbers: Sequence[int]) -> list[RefusedRow]:
    code = code_of("23505", target.key_name, target.primary_key_names)
    return [RefusedRow(number, code, "23505", target.key_name) for number in numbers]


# -- through a temp table ------------------------------------------------------------------------------------------------------------------


def insert_new_rows(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """Insert every row whose key is new, in the file's order; the others are refused as conflicts."""
    stage_unparsed(cursor, STAGED_FOR_WRITING, table, rows)
    keys = table.only(target.key)
    parts = {
        "target": target.identifier,
        "columns": names(table.column_names),
        "values": unparsed_values(table),
        "staging": STAGED_FOR_WRITING.identifier,
        "item": ITEM,
        "key": names(target.key),
        "keys": parsed_columns(keys),
    }
    cursor.execute(sql.SQL(_INSERT_NEW).format(**parts))
    conflicts = [row[0] for row in cursor.fetchall()]
    # As a literal: with parameters, psycopg2 would take a % in a column's name for another.
    cursor.execute(sql.SQL(_COUNT_UNEXPLAINED).format(conflicts=sql.Literal(conflicts), **parts))
    if cursor.fetchone()[0]:
        # Neither inserted nor there before, as far as this role can see. The last way decides row by row.
        raise RowsRefused(_NO_ERROR)
    return _conflicts(target, conflicts)


_INSERT_NEW: Final = """
    WITH inserted AS (
        INSERT INTO {target} ({columns}) SELECT {values} FROM {staging} AS staged ORDER BY {item}
        ON CONFLICT ({key}) DO NOTHING
        RETURNING {key}, true AS ddb2pg_is_new
    ), numbered AS (
        SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {item}) AS ddb2pg_turn
        FROM (SELECT {item}, {keys} FROM {staging} AS staged) AS parsed
    )
    SELECT {item} FROM numbered LEFT JOIN inserted USING ({key})
    WHERE ddb2pg_turn > 1 OR ddb2pg_is_new IS NULL
    ORDER BY {item}
"""

_COUNT_UNEXPLAINED: Final = """
    WITH staged AS (SELECT {item}, {keys} FROM {staging} AS staged WHERE {item} = ANY ({conflicts}::bigint[]))
    SELECT count(*) FROM staged WHERE ({key}) NOT IN (SELECT {key} FROM {target} JOIN staged USING ({key}))
"""


def insert_row_by_row(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """Insert each row in a subtransaction, in the file's order, all in one statement; refuses each row for what it violates itself."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    stage_unparsed(cursor, STAGED_FOR_WRITING, table, rows)
    insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS staged WHERE staged.{} = ddb2pg_number").format(
        target.identifier, names(table.column_names), unparsed_values(table), STAGED_FOR_WRITING.identifier, ITEM
    )
    return [
        report.refused_row(target.primary_key_names)
        # A trigger that returns NULL keeps a row out without an error.
        for report in do_for_each(cursor, STAGED_FOR_WRITING, insert, report_if=sql.SQL("= 0"), undo_reported=True, is_repeated=True)
    ]


# -- with child rows -----------------------------------------------------------------------------------------------------------------------


def copy_with_children(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """COPY the items' rows, then those of each child; raises where one row is refused."""
    copy_rows(cursor, target, table, rows)
    for child_target, child_table, child_rows in families(target, table, rows):
        copy_rows(cursor, child_target, child_table, child_rows.numbered)
    return []


def families(target: Target, table: Table, rows: Rows) -> list[tuple[Target, Table, ChildRows]]:
    """Each child of the table: its target, its definition, and its rows."""
    # Where no item is a row, nothing says how many children there are.
    children = rows.children or [ChildRows([], [])] * len(target.children)
    return list(zip(target.children, table.child_tables, children, strict=True))


def insert_item_by_item(cursor: Cursor, target: Target, table: Table, rows: Rows) -> list[RefusedRow]:
    """Insert each item's row and its child rows in one subtransaction, in the file's order, all in one statement.

    Refuses an item for what its row, or the first of its child rows that violates something, violates.
    """
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    stage_unparsed(cursor, STAGED_FOR_WRITING, table, rows)
    statements = [
        sql.SQL(_INSERT_ITEM).format(
            target=target.identifier,
            columns=names(table.column_names),
            values=unparsed_values(table),
            staging=STAGED_FOR_WRITING.identifier,
            item=ITEM,
            kept=sql.Literal(KEPT),
        )
    ]
    for number, (child_target, child_table, child_rows) in enumerate(families(target, table, rows)):
        staging, owners = stagings_of_child(number)
        stage_unparsed(cursor, staging, child_table, child_rows.numbered)
        stage_owners(cursor, owners, child_rows.owners)
        statements.append(
            sql.SQL(_INSERT_CHILDREN).format(
                target=child_target.identifier,
                columns=names(child_table.column_names),
                values=unparsed_values(child_table),
                staging=staging.identifier,
                owners=owners.identifier,
                item=ITEM,
                kept=sql.Literal(KEPT),
            )
        )
    keys = [name for one in (target, *target.children) for name in one.primary_key_names]
    return [
        report.refused_row(keys)
        # Neither the item's row nor a child's may be kept out without an error, as by a trigger that returns NULL.
        for report in do_for_each(cursor, STAGED_FOR_WRITING, sql.SQL("; ").join(statements), report_if=sql.SQL("< 0"), is_repeated=True)
    ]


_INSERT_ITEM: Final = """
    INSERT INTO {target} ({columns}) SELECT {values} FROM {staging} AS staged WHERE staged.{item} = ddb2pg_number;
    GET DIAGNOSTICS ddb2pg_rows = ROW_COUNT;
    IF ddb2pg_rows <> 1 THEN RAISE SQLSTATE {kept}; END IF
"""
_INSERT_CHILDREN: Final = """
    INSERT INTO {target} ({columns})
        SELECT {values} FROM {owners} owned JOIN {staging} AS staged ON staged.{item} = owned.number
        WHERE owned.item = ddb2pg_number ORDER BY owned.number;
    GET DIAGNOSTICS ddb2pg_rows = ROW_COUNT;
    IF ddb2pg_rows <> (SELECT count(*) FROM {owners} owned WHERE owned.item = ddb2pg_number) THEN RAISE SQLSTATE {kept}; END IF
"""


# -- triggers that put rows elsewhere ------------------------------------------------------------------------------------------------------


def stop_if_diverted(cursor: Cursor, target: Target, refused: Sequence[RefusedRow]) -> None:
    """Raise `Stopped` if a trigger took rows of this transaction out of the target again, or kept rows out and wrote into other tables.

    Otherwise those rows would be told as loaded, or as dead letters, and be somewhere else. `refused` is what the way returned. The targets
    of child rows belong to the target: what an item put there is not elsewhere.
    """
    family = (target, *target.children)
    if not any(one.has_insert_trigger for one in family):
        return
    # Deferred triggers run now, while it can be seen what they do.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    is_kept_out = any(row.sqlstate is None for row in refused)
    cursor.execute(_DIVERTED, {"targets": [one.oid for one in family], "is_kept_out": is_kept_out})
    deleted, others, triggers, tables = cursor.fetchone()
    if deleted or others:
        what = f"takes {deleted:,} of its rows out again" if deleted else f"keeps rows out and writes into {', '.join(others)}"
        plural = "s" if len(triggers) > 1 else ""
        remedy = "; ".join(f"ALTER TABLE {one.qualified} DISABLE TRIGGER" for one in family if one.oid in tables) or "disable it"
        message = (
            f"{target.qualified}: of trigger{plural} {', '.join(triggers)} one {what}, so those rows would be elsewhere; nothing of this "
            f"chunk was written. {remedy} for the load, then run the same command again"
        )
        raise Stopped(message)


# PostgreSQL counts what a transaction did, in subtransactions that were undone, too. Of other tables those
# count that are neither ours nor PostgreSQL's own, whose oids are below 16384.
_DIVERTED: Final = """
    WITH tree AS (
        SELECT root, root AS oid FROM unnest(%(targets)s::oid[]) root
        UNION SELECT root, relid FROM unnest(%(targets)s::oid[]) root CROSS JOIN LATERAL pg_partition_tree(root)
    ), active AS (
        SELECT tgname::text AS name, root FROM pg_trigger JOIN tree ON tree.oid = tgrelid
        WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 4 = 4
    )
    SELECT (SELECT coalesce(sum(pg_stat_get_xact_tuples_deleted(oid)), 0) FROM (SELECT DISTINCT oid FROM tree) one),
           CASE WHEN %(is_kept_out)s THEN
               (SELECT array_agg(c.oid::regclass::text ORDER BY c.oid) FROM pg_class c
                WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid >= 16384 AND c.oid NOT IN (SELECT oid FROM tree)
                  AND c.relnamespace IS DISTINCT FROM to_regnamespace('ddb2pg') AND pg_stat_get_xact_tuples_inserted(c.oid) > 0) END,
           (SELECT array_agg(DISTINCT name) FROM active), (SELECT array_agg(DISTINCT root::bigint) FROM active)
"""
