"""Foreign keys of a target: a row must find its partner when its chunk is committed, whatever is loaded later."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.preflight.findings import Code, Finding, problem, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target
from transforms.table import Table

# A constraint that is NOT ENFORCED (PostgreSQL 18) is one in name only.
_FOREIGN_KEYS: Final = """
    SELECT con.conname, con.confrelid, con.confrelid::regclass::text, array_agg(a.attname::text ORDER BY k.place),
           has_table_privilege(con.confrelid, 'SELECT') AND NOT row_security_active(con.confrelid)
    FROM pg_constraint con
    CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum
    WHERE con.conrelid = %s AND con.contype = 'f' AND pg_get_constraintdef(con.oid) NOT LIKE '%%NOT ENFORCED'
    GROUP BY con.oid
    ORDER BY con.conname
"""


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    name: str
    referred_oid: int
    referred: str
    """The other table, quoted where it must be."""
    columns: tuple[str, ...]
    is_referred_visible: bool


def foreign_key_findings(
    cursor: Cursor, table: Table, target: Target, earlier: Collection[int], later: Collection[int]
) -> Iterator[Finding]:
    """`earlier` and `later` are the oids of the targets that this run loads before and after this one."""
    cursor.execute(_FOREIGN_KEYS, [target.oid])
    for row in cursor.fetchall():
        key = _ForeignKey(row[0], row[1], row[2], tuple(row[3]), row[4])
        if set(key.columns) <= set(table.column_names):
            yield _finding(cursor, table, target, key, earlier, later)


def _finding(cursor: Cursor, table: Table, target: Target, key: _ForeignKey, earlier: Collection[int], later: Collection[int]) -> Finding:
    shown = f"foreign key {key.name} ({', '.join(key.columns)}) to {key.referred}"
    drop = "drop it for the load, and add it again afterwards"
    if key.referred_oid == target.oid:
        sentence = f"{shown}, itself: a row that refers to one of a later chunk becomes a dead letter; {drop}"
        return warning(Code.FOREIGN_KEY_TO_ITSELF, sentence, table.target)
    if key.referred_oid in later:
        sentence = f"{shown}, which is loaded later: each row that refers to it would become a dead letter; {drop}"
        return problem(Code.FOREIGN_KEY_UNMET, sentence, table.target)
    if key.referred_oid not in earlier and key.is_referred_visible and _is_empty(cursor, key):
        sentence = f"{shown}, which is empty: each row that refers to it would become a dead letter; fill that table first, or {drop}"
        # Where none of the columns may be NULL that is every row.
        nullable = {column.name for column in table.columns if column.is_nullable}
        made = warning if nullable & set(key.columns) else problem
        return made(Code.FOREIGN_KEY_UNMET, sentence, table.target)
    sentence = f"{shown}: each row is looked up there, which slows the load, and one without its partner becomes a dead letter"
    return warning(Code.FOREIGN_KEY, sentence, table.target)


def _is_empty(cursor: Cursor, key: _ForeignKey) -> bool:
    cursor.execute(f"SELECT NOT EXISTS (SELECT 1 FROM {key.referred})")
    return bool(cursor.fetchone()[0])
