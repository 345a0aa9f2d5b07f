"""A target as PostgreSQL describes it: the database, a table in it, what this role may do with that, and which tables refer to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.session import Cursor
from transforms.table import Table

# As PostgreSQL writes a default that it would evaluate without calling a function of anybody: another may have effects (nextval), or
# another value in each row (now).
_LITERAL: Final = r"(?:'(?:[^'\\]|'')*'|-?[0-9.]+|true|false|NULL)"
_CONSTANT: Final = re.compile(rf"""(?:{_LITERAL}|\({_LITERAL}\))(?:::[\w ".\[\]]+(?:\([0-9, ]+\))?)?""")


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """Which database it is, for people: never its URL, which holds a password and may hold more. `host` is a folder for a socket."""

    host: str | None
    port: int
    name: str
    user: str
    server_version: str


def describe_database(cursor: Cursor) -> DatabaseFacts:
    info = cursor.connection.info
    return DatabaseFacts(info.host, info.port, info.dbname, info.user, info.parameter_status("server_version"))


# -- a table -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TargetColumn:
    name: str
    type: str
    base_type: str
    """The type below a domain, without a length or precision."""
    is_limited: bool
    """Whether a length or precision was given: varchar(10), timestamp(3)."""
    is_not_null: bool
    default: str | None
    """The expression that fills it in, of the column or of its domain; not of an identity or a generated column."""
    fills_itself: bool
    """Whether it is an identity or generated."""
    is_generated: bool
    """Whether no value may be given for it."""

    @property
    def is_filled(self) -> bool:
        """Whether a row that gives no value for it has one."""
        return self.default is not None or self.fills_itself

    @property
    def constant_default(self) -> str | None:
        """The value of every row that gives none, as an expression of SQL; None where that is no constant."""
        if self.fills_itself:
            return None
        default = self.default or "NULL"
        return default if _CONSTANT.fullmatch(default) else None


@dataclass(frozen=True, slots=True)
class Target:
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
    has_heirs: bool = False
    """Whether tables that are no partitions inherit from it: a query of it sees their rows, too."""
    privileges: frozenset[str] = frozenset()
    """Of SELECT, INSERT, UPDATE and DELETE those that this role has."""

    @property
    def qualified(self) -> str:
        """The name for people and for the ledger."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


_FIND: Final = """
    SELECT c.oid, n.nspname, c.relname,
           -- Bits of tgtype: for each row, before, insert.
           EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid IN (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))
                   AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 7 = 7),
           row_security_active(c.oid),
           EXISTS (SELECT 1 FROM pg_inherits JOIN pg_class heir ON heir.oid = inhrelid WHERE inhparent = c.oid AND NOT heir.relispartition),
           ARRAY(SELECT p.name FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p (name) WHERE has_table_privilege(c.oid, p.name))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
"""

_KIND: Final = """
    SELECT CASE WHEN relpersistence = 't' THEN 'temporary table, which only the session that made it can use'
                ELSE CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                                  WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'index' END END
    FROM pg_class WHERE oid = to_regclass(%s)
"""

_COLUMNS: Final = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod),
           format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END, NULL),
           a.atttypmod <> -1 OR t.typtypmod <> -1,
           a.attnotnull OR t.typnotnull,
           CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0)) END,
           a.attidentity <> '' OR a.attgenerated <> '',
           a.attidentity = 'a' OR a.attgenerated <> ''
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
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
    row = cursor.fetchone()
    if row is None:
        return None
    oid, schema, name, has_before_trigger, has_row_security, has_heirs, privileges = row
    cursor.execute(_PRIMARY_KEY, [oid])
    key, is_deferrable, key_names = cursor.fetchone() or ((), False, ())
    return Target(
        oid,
        schema,
        name,
        _find_columns(cursor, oid),
        tuple(key),
        tuple(key_names),
        is_deferrable,
        has_before_trigger,
        has_row_security,
        has_heirs,
        frozenset(privileges),
    )


def kind_of_relation(cursor: Cursor, name: str) -> str | None:
    """What has the name of a target and is none, in words; None where nothing has it."""
    cursor.execute(_KIND, [name])
    row = cursor.fetchone()
    return None if row is None else row[0]


def _find_columns(cursor: Cursor, oid: int) -> tuple[TargetColumn, ...]:
    cursor.execute(_COLUMNS, [oid])
    return tuple(TargetColumn(*row) for row in cursor.fetchall())


def has_rows(cursor: Cursor, target: Target) -> bool:
    """Whether the table holds any row that this role can see."""
    cursor.execute(sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(target.identifier))
    return bool(cursor.fetchone()[0])


def count_rows(cursor: Cursor, target: Target) -> int:
    """All rows that this role can see."""
    cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(target.identifier))
    return int(cursor.fetchone()[0])


# -- row security --------------------------------------------------------------------------------------------------------------------------

# `sql/validate_migration.sql`, which must stand alone, has the same expression. How PostgreSQL words a policy's condition depends on the
# search path, so both fix it.
_ROW_SECURITY: Final = """
    SELECT jsonb_build_object(
               'enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity,
               'policies', coalesce(jsonb_agg(jsonb_build_object(
                   'name', p.polname, 'command', p.polcmd, 'permissive', p.polpermissive,
                   'roles', (SELECT jsonb_agg(CASE role WHEN 0 THEN 'public' ELSE pg_get_userbyid(role)::text END ORDER BY role)
                             FROM unnest(p.polroles) role),
                   'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)
               ) ORDER BY p.polname) FILTER (WHERE p.oid IS NOT NULL), '[]'))::text
    FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
    WHERE c.oid = %s GROUP BY c.oid, c.relrowsecurity, c.relforcerowsecurity
"""


def read_row_security(cursor: Cursor, target: Target) -> str:
    """`{"enabled", "forced", "policies": [{"name", "command", "permissive", "roles", "using", "check"}]}`, as the text of a jsonb."""
    cursor.execute("SELECT current_setting('search_path')")
    search_path = cursor.fetchone()[0]
    cursor.execute("SELECT set_config('search_path', 'pg_catalog', true)")
    cursor.execute(_ROW_SECURITY, [target.oid])
    row_security: str = cursor.fetchone()[0]
    cursor.execute("SELECT set_config('search_path', %s, true)", [search_path])
    return row_security


# -- foreign keys that refer to it: deleting a row of it may be refused, or delete and change rows of others ------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of another table, or of the target itself."""

    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]
    """Its column, and that of the target."""
    is_cascading: bool
    """Whether deleting a row would delete those that refer to it (CASCADE), or change them (SET NULL, SET DEFAULT)."""
    sees_all_rows: bool
    """Whether this role may read all rows that refer to the target."""

    @property
    def qualified(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def is_used(self) -> sql.Composable:
        """Whether another row refers to a row of `target`."""
        same = sql.SQL(" AND ").join(
            sql.SQL("referring.{} = target.{}").format(sql.Identifier(theirs), sql.Identifier(ours)) for theirs, ours in self.columns
        )
        return sql.SQL(
            "EXISTS (SELECT FROM {} AS referring WHERE {} AND (referring.tableoid, referring.ctid) <> (target.tableoid, target.ctid))"
        ).format(sql.Identifier(self.schema, self.name), same)


# Of a partitioned table the key is that of the whole, not the copies that its partitions have of it. A target may be whole or a partition.
_REFERENCES: Final = """
    SELECT n.nspname, c.relname,
           (SELECT array_agg(ARRAY[theirs.attname, ours.attname]::text[] ORDER BY k.place)
            FROM unnest(con.conkey, con.confkey) WITH ORDINALITY AS k (theirs, ours, place)
            JOIN pg_attribute theirs ON theirs.attrelid = con.conrelid AND theirs.attnum = k.theirs
            JOIN pg_attribute ours ON ours.attrelid = con.confrelid AND ours.attnum = k.ours),
           con.confdeltype IN ('c', 'n', 'd'),
           has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)
    FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE con.contype = 'f' AND con.conparentid = 0
      AND con.confrelid IN (SELECT %(target)s::oid UNION SELECT relid FROM pg_partition_tree(%(target)s::oid)
                            UNION SELECT relid FROM pg_partition_ancestors(%(target)s::oid))
    ORDER BY 1, 2, con.conname
"""


def find_references(cursor: Cursor, target: Target) -> list[Reference]:
    """All foreign keys that refer to the target."""
    cursor.execute(_REFERENCES, {"target": target.oid})
    return [
        Reference(schema, name, tuple((theirs, ours) for theirs, ours in columns), is_cascading, sees_all)
        for schema, name, columns, is_cascading, sees_all in cursor.fetchall()
    ]


# -- columns that the load does not fill --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FurtherColumn:
    """A column beside those of the definition, and whether a row of `target` has a value of somebody else in it."""

    name: str
    is_written: sql.Composable


def find_further_columns(cursor: Cursor, target: Target, table: Table, written_by: str | None) -> list[FurtherColumn]:
    """The columns beside those of the definition in which it can be seen whether somebody has written into them since.

    The load leaves its default in such a column, or NULL. Another value was written by somebody else, unless the row is still the very
    version that the chunk's own transaction wrote: then a trigger filled it in. A default that is no constant (`now()`, `nextval(...)`,
    an identity) shows nothing, so its column is not checked.

    `written_by` is that transaction, as `xmin` says it; None where it is not known.
    """
    return [
        FurtherColumn(column.name, _is_written(column.name, column.type, column.constant_default, written_by))
        for column in _find_columns(cursor, target.oid)
        if column.name not in table.column_names and column.constant_default is not None
    ]


def _is_written(name: str, type_name: str, default: str, written_by: str | None) -> sql.Composable:
    # As text, because some types have no equality.
    form = '(target.{}::text COLLATE "C" IS DISTINCT FROM CAST({} AS {})::text COLLATE "C" AND target.xmin::text IS DISTINCT FROM {})'
    return sql.SQL(form).format(sql.Identifier(name), sql.SQL(default), sql.SQL(type_name), sql.Literal(written_by))
