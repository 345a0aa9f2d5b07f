"""Columns of a target that the load does not fill: whether somebody has written into them since.

The load leaves its default in such a column, or NULL. Where another value is, somebody wrote it, unless the row is still the very version
that the chunk's own transaction wrote: then a trigger filled it in. A default that is no constant (`now()`, `nextval(...)`, an identity)
tells nothing, so its column is not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql

from pipeline.target.session import Cursor
from pipeline.target.target import Target
from transforms.table import Table


@dataclass(frozen=True, slots=True)
class FurtherColumn:
    """A column beside those of the definition, and whether a row of `target` has a value of somebody else in it."""

    name: str
    is_written: sql.Composable


# As PostgreSQL writes a default that it would evaluate without calling anything.
_CONSTANT: Final = re.compile(r"""\(?(?:'(?:[^'\\]|'')*'|-?[0-9.]+|true|false|NULL)\)?(?:::[\w ".\[\]]+(?:\([0-9, ]+\))?)?""")

_FIND: Final = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod),
           coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0), 'NULL')
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = '' AND a.attname <> ALL (%s)
    ORDER BY a.attnum
"""


def find_further_columns(cursor: Cursor, target: Target, table: Table, written_by: str | None) -> list[FurtherColumn]:
    """As far as they can be judged. `written_by` is the transaction that wrote the rows, as `xmin` says it; None where it is not known."""
    cursor.execute(_FIND, [target.oid, list(table.column_names)])
    return [
        FurtherColumn(name, _is_written(name, type_name, default, written_by))
        for name, type_name, default in cursor.fetchall()
        if _CONSTANT.fullmatch(default)
    ]


def _is_written(name: str, type_name: str, default: str, written_by: str | None) -> sql.Composable:
    # As text, because some types have no equality.
    form = '(target.{}::text COLLATE "C" IS DISTINCT FROM CAST({} AS {})::text COLLATE "C" AND target.xmin::text IS DISTINCT FROM {})'
    return sql.SQL(form).format(sql.Identifier(name), sql.SQL(default), sql.SQL(type_name), sql.Literal(written_by))
