"""Foreign keys that refer to a target: deleting a row of it may be refused, or delete and change rows of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.session import Cursor
from pipeline.target.target import Target


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
        """The name for people."""
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
_FIND: Final = """
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
    cursor.execute(_FIND, {"target": target.oid})
    return [
        Reference(schema, name, tuple((theirs, ours) for theirs, ours in columns), is_cascading, sees_all)
        for schema, name, columns, is_cascading, sees_all in cursor.fetchall()
    ]
