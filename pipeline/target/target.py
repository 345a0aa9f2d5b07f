"""What the database says of a target table: columns, primary key, whether row security applies to us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.session import Cursor


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One column."""

    name: str
    type: str
    base_type: str
    """The type below a domain, without a length or precision."""
    is_limited: bool
    """Whether a length or precision was given: varchar(10), timestamp(3)."""
    is_not_null: bool
    is_filled: bool
    """Whether a default, an identity or a generation expression fills it in."""
    is_generated: bool
    """Whether it takes no value from us."""


@dataclass(frozen=True, slots=True)
class Target:
    """A table that rows are written to."""

    oid: int
    schema: str
    name: str
    columns: tuple[TargetColumn, ...]
    primary_key: tuple[str, ...]
    primary_key_names: tuple[str, ...]
    """The names of that constraint: each partition's has its own."""
    is_deferrable: bool
    """Whether the primary key may be: ON CONFLICT refuses such a key."""
    has_before_trigger: bool
    """Whether a trigger may change a row, or keep it out, before it is inserted."""
    has_row_security: bool
    """Whether row security applies to this role: COPY refuses such a table."""

    @property
    def qualified(self) -> str:
        """The name for people and for the ledger."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """The name for statements."""
        return sql.Identifier(self.schema, self.name)


_FIND: Final = """
    SELECT c.oid, n.nspname, c.relname, row_security_active(c.oid),
           -- Bits of tgtype: for each row, before, insert.
           EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid IN (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))
                   AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 7 = 7)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p')
"""

_COLUMNS: Final = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod),
           format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END, NULL),
           a.atttypmod <> -1 OR t.typtypmod <> -1,
           a.attnotnull OR t.typnotnull,
           a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '',
           a.attidentity = 'a' OR a.attgenerated <> ''
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""

_PRIMARY_KEY: Final = """
    SELECT array_agg(a.attname ORDER BY k.place), con.condeferrable,
           (SELECT array_agg(p.conname) FROM pg_constraint p
            WHERE p.contype = 'p' AND p.conrelid IN (SELECT con.conrelid UNION SELECT relid FROM pg_partition_tree(con.conrelid)))
    FROM pg_constraint con
    CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum
    WHERE con.conrelid = %s AND con.contype = 'p'
    GROUP BY con.oid
"""


def find_target(cursor: Cursor, name: str) -> Target | None:
    """The table of that name on the search path (or `schema.name`); None when there is none."""
    cursor.execute(_FIND, [name])
    found = cursor.fetchone()
    if found is None:
        return None
    oid, schema, name, has_row_security, has_before_trigger = found
    cursor.execute(_COLUMNS, [oid])
    columns = tuple(TargetColumn(*row) for row in cursor.fetchall())
    cursor.execute(_PRIMARY_KEY, [oid])
    key, is_deferrable, key_names = cursor.fetchone() or ((), False, ())
    return Target(oid, schema, name, columns, tuple(key), tuple(key_names), is_deferrable, has_before_trigger, has_row_security)


def may_read(cursor: Cursor, target: Target) -> bool:
    """Whether this role may SELECT from the table."""
    cursor.execute("SELECT has_table_privilege(%s, 'SELECT')", [target.oid])
    return bool(cursor.fetchone()[0])


def may_insert(cursor: Cursor, target: Target) -> bool:
    """Whether this role may INSERT into the table."""
    cursor.execute("SELECT has_table_privilege(%s, 'INSERT')", [target.oid])
    return bool(cursor.fetchone()[0])


def may_delete(cursor: Cursor, target: Target) -> bool:
    """Whether this role may DELETE from the table."""
    cursor.execute("SELECT has_table_privilege(%s, 'DELETE')", [target.oid])
    return bool(cursor.fetchone()[0])


def may_lock(cursor: Cursor, target: Target) -> bool:
    """Whether this role may SELECT ... FOR UPDATE from the table."""
    cursor.execute("SELECT has_table_privilege(%s, 'UPDATE')", [target.oid])
    return bool(cursor.fetchone()[0])


def has_heirs(cursor: Cursor, target: Target) -> bool:
    """Whether tables that are no partitions inherit from it: a query of it sees their rows, too."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = %s AND NOT c.relispartition)",
        [target.oid],
    )
    return bool(cursor.fetchone()[0])


def has_rows(cursor: Cursor, target: Target) -> bool:
    """Whether the table holds any row that this role can see."""
    cursor.execute(sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(target.identifier))
    return bool(cursor.fetchone()[0])


def count_rows(cursor: Cursor, target: Target) -> int:
    """All rows that this role can see."""
    cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(target.identifier))
    return int(cursor.fetchone()[0])
