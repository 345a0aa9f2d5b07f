"""What a target table is, against its definition: columns, types, rights, defaults, the primary key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.preflight.findings import Code, Finding, Level, Question, ask, fact, problem, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target, TargetColumn, kind_of_relation
from transforms.rejects import ValueRefused
from transforms.table import Column, Otherwise, Table
from transforms.types import DefaultCheck, field_to_text

_UNLOGGED: Final = Question(
    Level.WARNING,
    Code.UNLOGGED,
    """
    SELECT array_agg(oid::regclass::text ORDER BY 1) AS names FROM pg_class
    WHERE relpersistence = 'u' AND oid IN (SELECT %(oid)s UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid))
    """,
    "unlogged table{s} {names}: empty after a crash of the server, whatever was proved before; ALTER TABLE ... SET LOGGED before the load",
)


def target_findings(cursor: Cursor, table: Table, target: Target | None) -> Iterator[Finding]:
    """Of one target table; None where there is none."""
    name = table.target
    if target is None:
        kind = kind_of_relation(cursor, name)
        is_else = f"is a {kind}; rows go into a table only: name one, or create it" if kind else None
        yield problem(Code.NO_TABLE, is_else or "there is no such table on the search path; create it first", name)
        return
    columns = {column.name: column for column in target.columns}
    for wanted in table.columns:
        if wanted.name in columns:
            yield from _column_problems(name, wanted, columns[wanted.name])
        else:
            yield problem(Code.NO_COLUMN, f"has no column {wanted.name} ({wanted.pg_type}); add it", name)
    for column in target.columns:
        if column.is_not_null and not column.is_filled and column.name not in table.column_names:
            sentence = f"column {column.name} is NOT NULL without a default, but no attribute feeds it; give it a default"
            yield problem(Code.COLUMN_NOT_FED, sentence, name)
    if not {"SELECT", "INSERT"} <= target.privileges:
        sentence = f"this role may not INSERT and SELECT; let its owner GRANT SELECT, INSERT ON {name}"
        yield problem(Code.NO_PRIVILEGE, sentence, name)
    for wanted in table.columns:
        if wanted.name in columns:
            yield from _default_findings(cursor, name, wanted, columns[wanted.name])
    yield from _primary_key_findings(table, target)
    yield from ask(cursor, [_UNLOGGED], {"oid": target.oid}, name)


def _column_problems(name: str, wanted: Column, column: TargetColumn) -> Iterator[Finding]:
    if column.is_limited or not wanted.pg_type.may_go_into(column.base_type):
        sentence = f"column {wanted.name} is of type {column.type}, but must be {wanted.pg_type}; change it with ALTER TABLE"
        yield problem(Code.WRONG_TYPE, sentence, name)
    if column.is_generated:
        sentence = f"column {wanted.name} is generated and takes no value; leave it out of the definition or make it plain"
        yield problem(Code.GENERATED_COLUMN, sentence, name)
    if column.is_not_null and wanted.is_nullable:
        yield problem(Code.NOT_NULL, f"column {wanted.name} is NOT NULL, but its attribute may be missing; drop NOT NULL", name)


# -- defaults: rows of the application should get what rows of the load get ---------------------------------------------------------------


def _default_findings(cursor: Cursor, name: str, wanted: Column, column: TargetColumn) -> Iterator[Finding]:
    """Where a missing attribute counts as some content (`Otherwise`), that is what the column should have for its default."""
    content, pg_type = _filled_in(wanted), wanted.pg_type
    if content is None or pg_type.default_check is DefaultCheck.NONE or not pg_type.may_go_into(column.base_type):
        return
    if column.default is None:
        is_right = pg_type.default_check is DefaultCheck.IF_THERE_IS_ONE
    else:
        is_right = column.constant_default is not None and _is_equal(cursor, column.constant_default, content, pg_type.name)
    if not is_right:
        has = f"has the default {column.default}" if column.default else "has no default"
        sentence = (
            f"column {wanted.name} {has}, but the definition fills in {content!r} for a missing attribute: rows of the application "
            "would differ from those of the load; SET DEFAULT on the column, or change the definition"
        )
        yield warning(Code.DEFAULT_DIFFERS, sentence, name)


def _filled_in(column: Column) -> str | None:
    """What the column gets where its attribute is missing, as text; None where that is not the definition's to say."""
    if not isinstance(column.missing, Otherwise):
        return None
    try:
        return field_to_text(column.conversion.encoder("")(column.missing.content, []), column.pg_type)
    except ValueRefused:
        return None


def _is_equal(cursor: Cursor, default: str, content: str, type_name: str) -> bool:
    cursor.execute(f"SELECT ({default.replace('%', '%%')})::{type_name} IS NOT DISTINCT FROM %s::{type_name}", [content])
    return bool(cursor.fetchone()[0])


# -- the primary key -----------------------------------------------------------------------------------------------------------------------


def _primary_key_findings(table: Table, target: Target) -> Iterator[Finding]:
    name, key, fed = table.target, target.primary_key, table.key_columns
    if not key:
        add = f"; ALTER TABLE {name} ADD PRIMARY KEY ({', '.join(fed)})" if fed else ""
        sentence = f"has no primary key, so a row that is there twice is no conflict, and chunks with bad rows go in row by row{add}"
        yield warning(Code.NO_PRIMARY_KEY, sentence, name)
        return
    shown, dynamodbs = f"primary key ({', '.join(key)})", f"DynamoDB's key ({', '.join(table.key)})"
    not_fed = [column for column in key if column not in table.column_names]
    if not_fed:
        sentence = (
            f"{shown}: no attribute feeds {', '.join(not_fed)}, so items with one DynamoDB key are no conflict, and chunks with bad rows "
            "go in row by row; make the key of columns that the definition feeds"
        )
        yield warning(Code.PRIMARY_KEY_DIFFERS, sentence, name)
    elif not set(key) <= set(fed):
        sentence = (
            f"{shown}, but {dynamodbs} is in {', '.join(fed) or 'no column'}: whether items conflict is another question than in DynamoDB; "
            "make sure that this is meant"
        )
        yield warning(Code.PRIMARY_KEY_DIFFERS, sentence, name)
    elif set(key) < set(fed):
        sentence = f"{shown}; {dynamodbs} has more: items that share {', '.join(key)} are one row and dead letters"
        yield fact(Code.PRIMARY_KEY, sentence, name)
    else:
        yield fact(Code.PRIMARY_KEY, f"{shown}, as in DynamoDB", name)
    if target.is_deferrable:
        sentence = f"{shown} is deferrable, so chunks with bad rows go in row by row; make it NOT DEFERRABLE for the load"
        yield warning(Code.PRIMARY_KEY_DEFERRABLE, sentence, name)
