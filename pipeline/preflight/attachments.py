"""What hangs on a target and has its hand in every row: triggers, rules, indexes, checks, foreign keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from pipeline.preflight.findings import Code, Finding, fact, problem, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target
from transforms.table import Table

# Enabled triggers on INSERT; bits of tgtype: for each row 1, before 2. Those of a partition fire as well.
_TRIGGERS: Final = """
    SELECT t.tgname, t.tgtype & 3 = 3
    FROM pg_trigger t
    WHERE t.tgrelid IN (SELECT %(oid)s UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid))
      AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN ('O', 'A') AND t.tgtype & 4 = 4
    ORDER BY 1
"""

_RULES: Final = "SELECT rulename FROM pg_rewrite WHERE ev_class = %s AND ev_type IN ('2', '3') AND ev_enabled IN ('O', 'A') ORDER BY 1"

_INDEXES: Final = """
    SELECT c.relname, i.indisunique OR i.indisexclusion
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = %s AND NOT i.indisprimary
    ORDER BY 1
"""

_CHECKS: Final = "SELECT conname FROM pg_constraint WHERE conrelid = %s AND contype = 'c' ORDER BY 1"


def attachment_findings(cursor: Cursor, table: Table, target: Target) -> Iterator[Finding]:
    """All but foreign keys."""
    yield from _trigger_findings(cursor, table, target)
    yield from _index_findings(cursor, table, target)
    checks = _names(cursor, _CHECKS, target)
    if checks:
        yield fact(Code.CHECKS, f"{_these('check constraint', checks)}; a row that breaks one is a dead letter", table.target)


def _trigger_findings(cursor: Cursor, table: Table, target: Target) -> Iterator[Finding]:
    cursor.execute(_TRIGGERS, {"oid": target.oid})
    triggers = cursor.fetchall()
    before = [name for name, is_before_rows in triggers if is_before_rows]
    others = [name for name, is_before_rows in triggers if not is_before_rows]
    if before:
        sentence = (
            f"{_these('trigger', before)}, before each row: may change rows or keep them out, which slows the load, and a chunk with a bad "
            f"row goes in row by row; unless it is needed, ALTER TABLE {table.target} DISABLE TRIGGER for the load"
        )
        yield warning(Code.TRIGGERS_BEFORE_ROWS, sentence, table.target)
    if others:
        sentence = (
            f"{_these('trigger', others)}: runs for what is loaded, which slows it and may do what is meant for the application only; "
            f"unless it is needed, ALTER TABLE {table.target} DISABLE TRIGGER for the load"
        )
        yield warning(Code.TRIGGERS, sentence, table.target)
    rules = _names(cursor, _RULES, target)
    if rules:
        sentence = (
            f"{_these('rule', rules)} on INSERT or UPDATE: COPY passes over rules, and INSERT ... ON CONFLICT refuses them; "
            "drop it for the load"
        )
        yield problem(Code.INSERT_RULES, sentence, table.target)


def _index_findings(cursor: Cursor, table: Table, target: Target) -> Iterator[Finding]:
    cursor.execute(_INDEXES, [target.oid])
    indexes = cursor.fetchall()
    unique = [name for name, is_unique in indexes if is_unique]
    others = [name for name, is_unique in indexes if not is_unique]
    if unique:
        sentence = (
            f"{_these('unique index', unique)} beside the primary key: of items with equal values one is a row, the others are dead letters"
        )
        yield warning(Code.UNIQUE_INDEXES, sentence, table.target)
    if others:
        sentence = f"{_these('secondary index', others)}: slows the load; for a large table drop it, and create it again after the load"
        yield warning(Code.INDEXES, sentence, table.target)


def _names(cursor: Cursor, statement: str, target: Target) -> list[str]:
    cursor.execute(statement, [target.oid])
    return [row[0] for row in cursor.fetchall()]


def _these(what: str, names: Collection[str]) -> str:
    """As `trigger a`, `triggers a, b`, `secondary indexes a, b`."""
    plural = "" if len(names) == 1 else "es" if what.endswith("x") else "s"
    return f"{what}{plural} {', '.join(names)}"
