"""A target table against its definition: columns, types, rights, the primary key."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.preflight.defaults import default_findings
from pipeline.preflight.findings import Code, Finding, fact, problem, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target, TargetColumn
from transforms.table import Column, LaterOf, Table

# Types that hold every value of ours exactly as it is. varchar(n) is not one: PostgreSQL cuts trailing spaces in silence.
_FITTING_TYPES = {
    "text": ("text", "character varying"),
}


def target_findings(cursor: Cursor, table: Table, target: Target | None) -> Iterator[Finding]:
    """Of one target table."""
    name = table.target
    if target is None:
        yield problem(Code.NO_TABLE, "there is no such table on the search path; create it first", name)
        return
    columns = {column.name: column for column in target.columns}
    for wanted in table.columns:
        if wanted.name not in columns:
            yield problem(Code.NO_COLUMN, f"has no column {wanted.name} ({wanted.pg_type.name}); add it", name)
        else:
            yield from _column_problems(name, wanted, columns[wanted.name])
    for column in target.columns:
        if column.is_not_null and not column.is_filled and column.name not in table.column_names:
            sentence = f"column {column.name} is NOT NULL without a default, but no attribute feeds it; give it a default"
            yield problem(Code.COLUMN_NOT_FED, sentence, name)
    if not {"SELECT", "INSERT"} <= target.privileges:
        sentence = f"this role may not INSERT and SELECT; let its owner GRANT SELECT, INSERT ON {name}"
        yield problem(Code.NO_PRIVILEGE, sentence, name)
    yield from default_findings(cursor, table, target)
    yield from _primary_key_findings(table, target)


def _column_problems(name: str, wanted: Column, column: TargetColumn) -> Iterator[Finding]:
    sql_type = wanted.pg_type.name
    if column.base_type not in _FITTING_TYPES.get(sql_type, (sql_type,)) or column.is_limited:
        sentence = f"column {wanted.name} is of type {column.type}, but must be {sql_type}; change it with ALTER TABLE"
        yield problem(Code.WRONG_TYPE, sentence, name)
    if column.is_generated:
        sentence = f"column {wanted.name} is generated and takes no value; leave it out of the definition or make it plain"
        yield problem(Code.GENERATED_COLUMN, sentence, name)
    if column.is_not_null and wanted.is_nullable:
        yield problem(Code.NOT_NULL, f"column {wanted.name} is NOT NULL, but its attribute may be missing; drop NOT NULL", name)


# -- the primary key -----------------------------------------------------------------------------------------------------------------------


def _primary_key_findings(table: Table, target: Target) -> Iterator[Finding]:
    name, key = table.target, target.primary_key
    ours = _columns_of_key(table)
    if not key:
        add = f"; ALTER TABLE {name} ADD PRIMARY KEY ({', '.join(ours)})" if ours else ""
        sentence = f"has no primary key, so a row that is there twice is no conflict, and chunks with bad rows go in row by row{add}"
        yield warning(Code.NO_PRIMARY_KEY, sentence, name)
        return
    shown = f"primary key ({', '.join(key)})"
    strangers = [column for column in key if column not in table.column_names]
    if strangers:
        yield warning(
            Code.PRIMARY_KEY_DIFFERS,
            f"{shown}: no attribute feeds {', '.join(strangers)}, so items with one DynamoDB key are no conflict, and chunks with bad rows "
            "go in row by row; make the key of columns that the definition feeds",
            name,
        )
    elif not set(key) <= set(ours):
        yield warning(
            Code.PRIMARY_KEY_DIFFERS,
            f"{shown}, but DynamoDB's key {_attributes(table)} is in {', '.join(ours) or 'no column'}: whether items conflict is another "
            "question than in DynamoDB; make sure that this is meant",
            name,
        )
    elif set(key) < set(ours):
        meant = f"{shown}; DynamoDB's key {_attributes(table)} has more: items that share {', '.join(key)} are one row and dead letters"
        yield fact(Code.PRIMARY_KEY, meant, name)
    else:
        yield fact(Code.PRIMARY_KEY, f"{shown}, as in DynamoDB", name)
    if target.is_deferrable:
        sentence = f"{shown} is deferrable, so chunks with bad rows go in row by row; make it NOT DEFERRABLE for the load"
        yield warning(Code.PRIMARY_KEY_DEFERRABLE, sentence, name)


def _attributes(table: Table) -> str:
    return f"({', '.join(table.key)})"


def _columns_of_key(table: Table) -> list[str]:
    """The columns that the attributes of DynamoDB's key feed, in its order."""
    fed = [(attribute, column.name) for column in table.columns for attribute in _attributes_of(column)]
    return [column for key in table.key for attribute, column in fed if attribute == key]


def _attributes_of(column: Column) -> tuple[str, ...]:
    match column.attribute:
        case LaterOf(first, second):
            return (first, second)
        case None:
            return ()
        case attribute:
            return (attribute,)
