"""What must hold of a target before anything is written: all problems of all tables, each with what to do."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.export.manifest import Export
from pipeline.postgres import ledger
from pipeline.postgres.session import Cursor
from pipeline.postgres.target import Target, TargetColumn, has_rows, may_insert, may_read
from transforms.table import Column, Table, Unmapped

# Types that hold every value of ours exactly as it is. varchar(n) is not one: PostgreSQL cuts trailing spaces in silence.
_FITTING_TYPES = {
    "text": ("text", "character varying"),
}


BEGIN_ANEW = "to begin anew empty {table} and delete export {export} from the ledger (docs/how-it-works.md, Begin anew)"


def database_problems(cursor: Cursor) -> Iterator[str]:
    """Of the database and the role, whatever the tables."""
    cursor.execute("SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_setting('default_transaction_read_only')")
    encoding, is_standby, is_read_only = cursor.fetchone()
    if encoding != "UTF8":
        yield f"the database's encoding is {encoding}, which cannot hold every text; create it with ENCODING 'UTF8'"
    if is_standby or is_read_only == "on":
        yield "the database is read-only (a standby, or default_transaction_read_only); use the primary server"
    cursor.execute(
        "SELECT current_user, has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMP')"
    )
    role, may_create, may_make_temp_tables = cursor.fetchone()
    if not may_make_temp_tables:
        yield f"the role {role} may not make temporary tables, through which bad rows are isolated; let the owner GRANT TEMP ON DATABASE"
    if ledger.exists(cursor):
        if not ledger.is_ours(cursor):
            yield f"the ledger, the schema ddb2pg, belongs to another role than {role}; connect as the role that loaded before"
    elif not may_create:
        yield (
            f"the role {role} may not create the schema ddb2pg, where the ledger is kept; "
            f"let its owner run: GRANT CREATE ON DATABASE ... TO {role}"
        )


def target_problems(cursor: Cursor, table: Table, target: Target | None) -> Iterator[str]:
    """Of one target table against its definition."""
    if target is None:
        yield f"{table.target}: there is no such table on the search path; create it first"
        return
    columns = {column.name: column for column in target.columns}
    for wanted in table.columns:
        if wanted.name not in columns:
            yield f"{table.target}: has no column {wanted.name} ({wanted.conversion.sql_type}); add it"
        else:
            yield from _column_problems(table, wanted, columns[wanted.name])
    for column in target.columns:
        if column.is_not_null and not column.is_filled and column.name not in table.column_names:
            yield f"{table.target}: column {column.name} is NOT NULL without a default, but no attribute feeds it; give it a default"
    if not may_read(cursor, target) or not may_insert(cursor, target):
        yield f"{table.target}: this role may not INSERT and SELECT; let its owner GRANT SELECT, INSERT ON {table.target}"


def _column_problems(table: Table, wanted: Column, column: TargetColumn) -> Iterator[str]:
    sql_type = wanted.conversion.sql_type
    if column.base_type not in _FITTING_TYPES.get(sql_type, (sql_type,)) or column.is_limited:
        yield f"{table.target}: column {wanted.name} is of type {column.type}, but must be {sql_type}; change it with ALTER TABLE"
    if column.is_generated:
        yield f"{table.target}: column {wanted.name} is generated and takes no value; leave it out of the definition or make it plain"
    if column.is_not_null and wanted.is_nullable:
        yield f"{table.target}: column {wanted.name} is NOT NULL, but its attribute may be missing; drop NOT NULL"


def load_problems(cursor: Cursor, export: Export, table: Table, target: Target | None, unmapped: Unmapped) -> Iterator[str]:
    """Of the load that is to be started or resumed; what cannot be looked at is a problem of the target or the ledger already."""
    if target is None or not may_read(cursor, target) or (ledger.exists(cursor) and not ledger.is_ours(cursor)):
        return
    has_ledger = ledger.exists(cursor)
    others = ledger.other_loads(cursor, export.export_id, target.qualified) if has_ledger else []
    for other in others:
        yield (
            f"{table.target}: a load of another export, {other}, was begun into it, and two exports must not mix. Go on with that one, or "
            f"{BEGIN_ANEW.format(table=table.target, export=other)}"
        )
    load = ledger.find_load(cursor, export.export_id, target.qualified) if has_ledger else None
    if load is None:
        if not others and has_rows(cursor, target):
            yield (
                f"{table.target}: is not empty, and the ledger knows no load of export {export.export_id} into it; "
                "empty the table, or give the export that was loaded before"
            )
        return
    if load.export_digest != export.digest:
        yield f"{export.uri}: its manifest is not the one that the load of export {export.export_id} was begun with; use that one"
    if load.definition != table.fingerprint:
        yield (
            f"{table.target}: the definition of {table.source} has changed since its load began. Go back to the one that it was begun "
            f"with and finish it, or {BEGIN_ANEW.format(table=table.target, export=export.export_id)}"
        )
    if load.unmapped is not unmapped:
        yield f"{table.target}: its load was begun with --unmapped={load.unmapped.value}; give the same again"
