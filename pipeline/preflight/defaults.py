"""Defaults of a target's columns against the definition: rows of the application should get what rows of the load get.

A definition implies a default where a missing attribute counts as some content (`Otherwise`). For a plain content the column should have
it; an empty JSON object is the load's way of having no SQL NULL, so there a default may be missing, but not be another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipeline.preflight.fields import field_to_text
from pipeline.preflight.findings import Code, Finding, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target
from transforms.rejects import ValueRefused
from transforms.table import Column, Otherwise, Table

# What PostgreSQL evaluates without calling anything: other defaults may have effects (nextval).
_CONSTANT: Final = re.compile(r"(?:'(?:[^'\\]|'')*'(?:::[a-z ]+)?|true|false|NULL(?:::[a-z ]+)?)")
_COMPARED: Final = {"text": ("text", "character varying"), "boolean": ("boolean",), "uuid": ("uuid",), "jsonb": ("jsonb",)}

_DEFAULTS: Final = """
    SELECT a.attname, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE a.attrelid = %s AND a.attgenerated = '' AND NOT a.attisdropped
"""


def default_findings(cursor: Cursor, table: Table, target: Target) -> Iterator[Finding]:
    """The columns whose default is not what the definition fills in."""
    cursor.execute(_DEFAULTS, [target.oid])
    defaults = dict(cursor.fetchall())
    types = {column.name: column.base_type for column in target.columns}
    for column in table.columns:
        sql_type, default, wanted = column.pg_type.name, defaults.get(column.name), _filled_in(column)
        if wanted is None or types.get(column.name) not in _COMPARED.get(sql_type, ()):
            continue
        if default is None and sql_type == "jsonb":
            continue
        if default is None or not _is_equal(cursor, default, wanted, sql_type):
            has = f"has the default {default}" if default else "has no default"
            sentence = (
                f"column {column.name} {has}, but the definition fills in {wanted!r} for a missing attribute: rows of the application "
                "would differ from those of the load; SET DEFAULT on the column, or change the definition"
            )
            yield warning(Code.DEFAULT_DIFFERS, sentence, table.target)


def _filled_in(column: Column) -> str | None:
    """What the column gets where its attribute is missing, as text; None where that is not the definition's to say."""
    if not isinstance(column.missing, Otherwise):
        return None
    try:
        return field_to_text(column.conversion.encoder("")(column.missing.content, []), column.pg_type.name)
    except ValueRefused:
        return None


def _is_equal(cursor: Cursor, default: str, wanted: str, sql_type: str) -> bool:
    if not _CONSTANT.fullmatch(default):
        return False
    cursor.execute(f"SELECT ({default.replace('%', '%%')})::{sql_type} IS NOT DISTINCT FROM %s::{sql_type}", [wanted])
    return bool(cursor.fetchone()[0])
