"""A target as PostgreSQL describes it: the database, a table in it, what this role may do with that, and which tables refer to it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import psycopg2
from psycopg2 import sql

from pipeline.errors import Refused
from pipeline.target.rows import HEADER
from pipeline.target.session import Cursor
from pipeline.target.sqlstate import Fault, fault_of
from transforms.table import Column, Defaults, Table
from transforms.types import CHARACTER, NULL, TRUE, PgType, split_row

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


# What a type is limited to, as `format_type` has it: varchar(40), numeric(10,2), timestamp(3) with time zone, interval year to month.
_LIMIT: Final = re.compile(r" ?\(([-0-9, ]+)\)")


@dataclass(frozen=True, slots=True)
class FoundType:
    """A type of the database."""

    type: str
    """As `format_type` spells it, with its length or precision."""
    oid: int
    base_type: str
    """The type below a domain, without a length or precision."""
    base_oid: int
    limited_base: str
    """The type below a domain, with its length or precision."""
    is_enum: bool
    """Whether the type below a domain is one."""

    @property
    def is_limited(self) -> bool:
        """Whether a length or precision was given: varchar(10), timestamp(3)."""
        return self.limited_base != self.base_type

    @property
    def modifier(self) -> tuple[int, ...] | None:
        """The length, or precision and scale; none where none was given; None where it is something else (`interval year to month`)."""
        limit = _LIMIT.search(self.limited_base)
        if _LIMIT.sub("", self.limited_base) != self.base_type:
            return None
        return tuple(int(number) for number in limit[1].split(",")) if limit else ()


@dataclass(frozen=True, slots=True)
class TargetColumn(FoundType):
    name: str
    is_not_null: bool
    default: str | None
    """The expression that fills it in, of the column or of its domain; not of an identity or a generated column."""
    fills_itself: bool
    """Whether it is an identity or generated."""
    is_generated: bool
    """Whether no value may be given for it."""
    is_identity: bool
    sequence: str | None
    """Which its default takes numbers from, as `regclass` spells it: of an identity or a serial column."""

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
    has_insert_trigger: bool
    """Whether any trigger runs for what is inserted, in a partition, too."""
    has_row_security: bool
    """Whether row security applies to this role: COPY refuses such a table."""
    has_heirs: bool = False
    """Whether tables that are no partitions inherit from it: a query of it sees their rows, too."""
    privileges: frozenset[str] = frozenset()
    """Of SELECT, INSERT, UPDATE and DELETE those that this role has."""
    key: tuple[str, ...] = ()
    """The columns that tell of which item a row is: those of the primary key, or of a unique index where the definition does not fill all
    of the primary key's (`find_target`); none where there is neither."""
    key_name: str = ""
    """The name of that constraint or index; a partition's own has another."""
    children: tuple[Target, ...] = ()
    """The targets of child rows, in the order of the definition's children."""

    @property
    def hides_rows(self) -> bool:
        """Whether row security may hide rows of it, or of its children's tables, from this role."""
        return any(one.has_row_security for one in (self, *self.children))

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
           EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid IN (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))
                   AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 4 = 4),
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

# Of a type and its limit what is below its domains, of which there may be several, one below the other: `below`.
_BELOW_DOMAINS: Final = """
    CROSS JOIN LATERAL (
        WITH RECURSIVE step AS (
            SELECT {type} AS oid, {limit} AS limited, false AS is_not_null
            UNION ALL
            SELECT t.typbasetype, CASE WHEN step.limited = -1 THEN t.typtypmod ELSE step.limited END, step.is_not_null OR t.typnotnull
            FROM step JOIN pg_type t ON t.oid = step.oid AND t.typtype = 'd'
        )
        SELECT step.oid, step.limited, t.typtype, (SELECT bool_or(is_not_null) FROM step) AS is_not_null
        FROM step JOIN pg_type t ON t.oid = step.oid AND t.typtype <> 'd'
    ) below
"""

_FOUND_TYPE: Final = """
    format_type({type}, {limit}), {type}, format_type(below.oid, NULL), below.oid, format_type(below.oid, nullif(below.limited, -1)),
    below.typtype = 'e'
"""

_COLUMNS: Final = f"""
    SELECT {_FOUND_TYPE.format(type="a.atttypid", limit="a.atttypmod")}, a.attname,
           a.attnotnull OR below.is_not_null,
           CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0)) END,
           a.attidentity <> '' OR a.attgenerated <> '',
           a.attidentity = 'a' OR a.attgenerated <> '',
           a.attidentity <> '',
           (SELECT s.oid::regclass::text FROM pg_depend p JOIN pg_class s ON s.oid = p.objid AND s.relkind = 'S'
            WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.deptype IN ('a', 'i')
              AND (p.refobjid, p.refobjsubid) = (a.attrelid, a.attnum) LIMIT 1)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid {_BELOW_DOMAINS.format(type="a.atttypid", limit="a.atttypmod")}
    LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""

_TYPE: Final = f"""
    SELECT {_FOUND_TYPE.format(type="named.oid", limit="-1")}
    FROM (SELECT to_regtype(%s)::oid AS oid) named {_BELOW_DOMAINS.format(type="named.oid", limit="-1")}
"""

_PRIMARY_KEY: Final = """
    SELECT array_agg(a.attname ORDER BY k.place), con.condeferrable,
           (SELECT array_agg(p.conname) FROM pg_constraint p
            WHERE p.contype = 'p' AND p.conrelid IN (SELECT con.conrelid UNION SELECT relid FROM pg_partition_tree(con.conrelid))),
           con.conname
    FROM pg_constraint con
    CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum
    WHERE con.conrelid = %s AND con.contype = 'p'
    GROUP BY con.oid
"""

# Not those of some rows or of expressions, nor those that are looked at when the transaction ends.
_UNIQUE_KEYS: Final = """
    SELECT array_agg(a.attname::text ORDER BY k.place), coalesce(array_agg(a.attname::text) FILTER (WHERE a.attnotnull), '{}'), c.relname
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
      AND k.place <= i.indnkeyatts
    GROUP BY c.oid, c.relname
"""


def find_target(cursor: Cursor, name: str, table: Table | None = None) -> Target | None:
    """The table of that name on the search path (or `schema.name`); None when there is none.

    Rows are identified by the primary key. With a definition whose columns do not fill all of that (an identity, a UUID by default), by a
    unique index of columns that it fills and that are never NULL: of DynamoDB's key, if there is one, else of the fewest columns.
    """
    cursor.execute(_FIND, [name])
    row = cursor.fetchone()
    if row is None:
        return None
    oid, schema, name, has_before_trigger, has_insert_trigger, has_row_security, has_heirs, privileges = row
    cursor.execute(_PRIMARY_KEY, [oid])
    primary_key, is_deferrable, key_names, key_name = cursor.fetchone() or ((), False, (), "")
    key = tuple(primary_key)
    if table is not None and not (key and set(key) <= set(table.column_names)):
        key, key_name = _find_unique_key(cursor, oid, table)
    return Target(
        oid,
        schema,
        name,
        _find_columns(cursor, oid),
        tuple(primary_key),
        tuple(key_names),
        is_deferrable,
        has_before_trigger,
        has_insert_trigger,
        has_row_security,
        has_heirs,
        frozenset(privileges),
        key,
        key_name,
    )


def find_target_of(cursor: Cursor, table: Table) -> Target | None:
    """The target of a definition with those of its children; of children without a target, which preflight names, it has none."""
    target = find_target(cursor, table.target, table)
    if target is None or not table.children:
        return target
    children = [find_target(cursor, child.target, child) for child in table.child_tables]
    return replace(target, children=tuple(child for child in children if child is not None))


def _find_unique_key(cursor: Cursor, oid: int, table: Table) -> tuple[tuple[str, ...], str]:
    """The columns and the name of the unique index that identifies rows of the definition; none where no index does."""
    filled = {column.name for column in table.columns}
    never_null = {column.name for column in table.columns if not column.is_nullable}
    cursor.execute(_UNIQUE_KEYS, [oid])
    usable = [
        (tuple(columns), name)
        for columns, not_null, name in cursor.fetchall()
        if set(columns) <= filled and set(columns) <= never_null.union(not_null)
    ]
    return min(usable, key=lambda one: (set(one[0]) != set(table.key_columns), len(one[0]), one), default=((), ""))


def has_key_of_items(target: Target, table: Table) -> bool:
    """Whether rows can be matched with items: there is a primary key or a unique index, and the load fills its columns; so for children."""
    of_all = zip((target, *target.children), (table, *table.child_tables), strict=True)
    return all(is_key_filled(one, of_table) for one, of_table in of_all)


def is_key_filled(target: Target, table: Table) -> bool:
    """Whether it has a primary key or a unique index, and the load fills its columns."""
    return bool(target.key) and set(target.key) <= set(table.column_names)


def kind_of_relation(cursor: Cursor, name: str) -> str | None:
    """What has the name of a target and is none, in words; None where nothing has it."""
    cursor.execute(_KIND, [name])
    row = cursor.fetchone()
    return None if row is None else row[0]


def name_of_table(cursor: Cursor, oid: int) -> str | None:
    """What a table is called now; None where it was dropped."""
    cursor.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s", [oid]
    )
    row = cursor.fetchone()
    return None if row is None else row[0]


def _find_columns(cursor: Cursor, oid: int) -> tuple[TargetColumn, ...]:
    cursor.execute(_COLUMNS, [oid])
    return tuple(TargetColumn(*row) for row in cursor.fetchall())


def find_type(cursor: Cursor, name: str) -> FoundType | None:
    """The type of that name, spelled as SQL does; None where the database has none, or it is no name of one."""
    cursor.execute("SAVEPOINT ddb2pg_type")
    try:
        cursor.execute(_TYPE, [name])
        row = cursor.fetchone()
    except psycopg2.ProgrammingError:
        # Older servers refuse what is no name.
        cursor.execute("ROLLBACK TO SAVEPOINT ddb2pg_type; RELEASE SAVEPOINT ddb2pg_type")
        return None
    cursor.execute("RELEASE SAVEPOINT ddb2pg_type")
    return FoundType(*row) if row else None


def enum_labels(cursor: Cursor, oid: int) -> list[str]:
    """The labels of an enum, in their order."""
    cursor.execute("SELECT enumlabel FROM pg_enum WHERE enumtypid = %s ORDER BY enumsortorder", [oid])
    return [row[0] for row in cursor.fetchall()]


def refuses_longer(cursor: Cursor, column: FoundType) -> bool:
    """Whether a column with a limit refuses what is beyond it, and does not cut or round: bits, and the types of extensions."""
    if column.base_type.removesuffix("[]") in ("bit", "bit varying"):
        return True
    cursor.execute("SELECT typnamespace <> 'pg_catalog'::regnamespace FROM pg_type WHERE oid = %s", [column.base_oid])
    return bool(cursor.fetchone()[0])


def is_constant(cursor: Cursor, default: str, content: str, pg_type: PgType) -> bool:
    """Whether a constant default, an expression of SQL, is the value that this text is."""
    forms = (sql.SQL(f"({default})"), sql.Literal(content))
    both = [sql.SQL("CAST({} AS {})").format(form, sql.SQL(pg_type.staged_type)) for form in forms]
    cursor.execute(sql.SQL("SELECT NOT ({})").format(sql.SQL(pg_type.is_distinct).format(*both)))
    return bool(cursor.fetchone()[0])


# -- values of defaults ------------------------------------------------------------------------------------------------------------------


# PostgreSQL makes one query of a query and what it selects from, unless that has a volatile function in what it yields.
_IS_STABLE: Final = "EXPLAIN (FORMAT JSON) SELECT one.value, one.value FROM (SELECT {} AS value FROM generate_series(1, 2)) one"
_NOT_ONE_QUERY: Final = "Subquery Scan"
_EVALUATE: Final = """
    COPY (SELECT {field}, {is_cut}, {is_other} FROM (SELECT {default} AS raw, CAST({default} AS {type}) AS value) one)
    TO STDOUT (FORMAT BINARY)
"""
# An assignment refuses what is too long, and these casts cut it.
_CUT_BY_CASTS: Final = ("character varying", "character", "bit varying", "bit")
_IS_CUT: Final = 'rtrim(raw::text) COLLATE "C" IS DISTINCT FROM rtrim(value::text) COLLATE "C"'


def evaluate_defaults(cursor: Cursor, table: Table, target: Target) -> list[Defaults]:
    """What the columns of a definition, and then of each child, have for their DEFAULT now. Raises `Refused` where one is of no use."""
    family = zip((table, *table.child_tables), (target, *target.children), strict=True)
    return [dict(_evaluated(cursor, of_table, one)) for of_table, one in family]


def _evaluated(cursor: Cursor, table: Table, target: Target) -> Iterator[tuple[str, bytes]]:
    columns = {column.name: column for column in target.columns}
    for column in table.columns:
        if column.takes_default:
            yield column.name, evaluate_default(cursor, column, columns[column.name])


def evaluate_default(cursor: Cursor, wanted: Column, column: TargetColumn) -> bytes:
    """The value that a column's DEFAULT has now, as the field of a row; the types must fit.

    Raises `Refused` with what is so, and what to do, where it is not one value for all rows.
    """
    default, pg_type = column.default, wanted.pg_type
    if column.fills_itself or default is None:
        raise Refused([_NO_DEFAULT[column.fills_itself]])
    cursor.execute("SAVEPOINT ddb2pg_default")
    try:
        expression = sql.SQL(f"({default})")
        cursor.execute(sql.SQL(_IS_STABLE).format(expression))
        is_volatile = _NOT_ONE_QUERY in str(cursor.fetchone()[0])
        copied = [] if is_volatile else _copied(cursor, _query_of_default(expression, column, pg_type))
    except psycopg2.Error as error:
        if fault_of(error.pgcode) is Fault.TRANSIENT:
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT ddb2pg_default; RELEASE SAVEPOINT ddb2pg_default")
        raise Refused([f"its DEFAULT {default} cannot be evaluated (SQLSTATE {error.pgcode}); see that this role may INSERT it"]) from None
    cursor.execute("RELEASE SAVEPOINT ddb2pg_default")
    if is_volatile:
        raise Refused([_volatile(column, default)])
    field, is_cut, is_other = copied
    if field == NULL:
        raise Refused([f"its DEFAULT {default} is NULL now; write Missing.NULL"])
    if TRUE in (is_cut, is_other):
        raise Refused([f"its DEFAULT {default} is no value of {column.type if is_cut == TRUE else pg_type}; change one of the two"])
    return field


def _query_of_default(expression: sql.Composable, column: TargetColumn, pg_type: PgType) -> sql.Composable:
    if pg_type.copies_directly:
        # As text it has no spaces at its end, as a rule makes it.
        staged = "text" if pg_type.name == CHARACTER.name else pg_type.staged_type
    else:
        staged = pg_type.unparsed_type or pg_type.staged_type
    field = sql.SQL("CAST(value AS {})").format(sql.SQL(staged))
    again = sql.SQL("CAST({} AS {})").format(field, sql.SQL(column.type))
    return sql.SQL(_EVALUATE).format(
        field=field,
        is_cut=sql.SQL(_IS_CUT if column.base_type.removesuffix("[]") in _CUT_BY_CASTS else "false"),
        is_other=sql.SQL(pg_type.is_distinct).format(sql.SQL("value"), again),
        default=expression,
        type=sql.SQL(column.type),
    )


def _copied(cursor: Cursor, statement: sql.Composable) -> list[bytes]:
    """The fields of the one row that it copies."""
    copied = io.BytesIO()
    cursor.copy_expert(statement, copied)
    # Between the header with the number of fields, two bytes, and the trailer, two more.
    return list(split_row(copied.getvalue()[len(HEADER) + 2 : -2]))


_NO_DEFAULT: Final = {
    True: "it is an identity or generated, and has another value in each row; leave the column out, and every row gets one",
    False: "it has no DEFAULT; write Missing.NULL, or ALTER COLUMN ... SET DEFAULT",
}


def _volatile(column: TargetColumn, default: str) -> str:
    instead = "take a value that can be made again from the item"
    if column.sequence or "nextval(" in default:
        instead = "leave the column out, and every row gets a number"
    elif column.base_type == "uuid":
        instead = "write UuidV5 of the item's key, or leave the column out"
    elif column.base_type.startswith(("timestamp", "date", "time")):
        instead = "write Missing.MIGRATION_TIME, or ALTER COLUMN ... SET DEFAULT now()"
    return (
        f"its DEFAULT {default} has another value for each row (it is VOLATILE), and nothing could tell later whether a row is as it was "
        f"loaded; {instead}"
    )


def quoted(cursor: Cursor, name: str) -> str:
    """A name as SQL spells it, in quotes where it needs them."""
    cursor.execute("SELECT quote_ident(%s)", [name])
    return str(cursor.fetchone()[0])


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
