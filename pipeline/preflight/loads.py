"""The load that is to be started or resumed: begun on an empty target, and gone on with only as it was begun."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.ledger.loads import Load, find_load, is_ledger_ours, ledger_exists, other_loads
from pipeline.ledger.totals import load_totals
from pipeline.preflight.findings import Code, Finding, fact, problem
from pipeline.source.manifest import Export
from pipeline.target.session import Cursor
from pipeline.target.target import Target, has_rows
from transforms.table import Table, Unmapped

BEGIN_ANEW: Final = "to begin anew roll export {export} back (ddb2pg rollback) and see that {table} is empty (docs/rollback.md)"


def load_findings(cursor: Cursor, export: Export, table: Table, target: Target | None, unmapped: Unmapped) -> Iterator[Finding]:
    """What cannot be looked at is a problem of the target or the ledger already."""
    if target is None or "SELECT" not in target.privileges:
        return
    has_ledger = ledger_exists(cursor)
    # An older version's ledger is brought up to date by migrate, which then looks again.
    if has_ledger and not _may_look(cursor):
        return
    name = table.target
    load = find_load(cursor, export.export_id, target.qualified) if has_ledger else None
    others = other_loads(cursor, export.export_id, target.qualified) if has_ledger else []
    for other in others:
        begin_anew = BEGIN_ANEW.format(table=name, export=other)
        sentence = (
            f"a load of another export, {other}, was begun into it, and two exports must not mix. Go on with that one, or {begin_anew}"
        )
        yield problem(Code.ANOTHER_EXPORT, sentence, name)
    if load is not None:
        yield from _begun_findings(cursor, export, table, load, unmapped)
    elif not others and has_rows(cursor, target):
        sentence = (
            f"is not empty, and the ledger knows no load of export {export.export_id} into it; "
            "empty the table, or give the export that was loaded before"
        )
        yield problem(Code.NOT_EMPTY, sentence, name)
    elif not others:
        yield fact(Code.EMPTY, "is empty, as far as this role sees" if target.has_row_security else "is empty", name)


def find_visible_load(cursor: Cursor, export: Export, target: Target | None) -> Load | None:
    """The load, where there is a ledger that this role may read."""
    if target is None or not ledger_exists(cursor) or not _may_look(cursor):
        return None
    return find_load(cursor, export.export_id, target.qualified)


def _may_look(cursor: Cursor) -> bool:
    return is_ledger_ours(cursor)


def _begun_findings(cursor: Cursor, export: Export, table: Table, load: Load, unmapped: Unmapped) -> Iterator[Finding]:
    name = table.target
    if load.rollback_started_at is not None:
        sentence = f"a rollback of its load was begun; finish it first: ddb2pg rollback --export {export.uri} --yes"
        yield problem(Code.ROLLBACK_BEGUN, sentence, name)
        return
    if load.export_digest != export.digest:
        sentence = f"{export.uri}: its manifest is not the one that the load of export {export.export_id} was begun with; use that one"
        yield problem(Code.MANIFEST_CHANGED, sentence, name)
    if load.definition != table.fingerprint:
        begin_anew = BEGIN_ANEW.format(table=name, export=export.export_id)
        sentence = (
            f"the definition of {table.source} has changed since its load began. Go back to the one that it was begun with and finish it, "
            f"or {begin_anew}"
        )
        yield problem(Code.DEFINITION_CHANGED, sentence, name)
    if load.unmapped is not unmapped:
        sentence = f"its load was begun with --unmapped={load.unmapped.value}; give the same again"
        yield problem(Code.UNMAPPED_CHANGED, sentence, name)
    totals = load_totals(cursor, load.load_id)
    begun = f"load {load.load_id} of this export, begun {load.started_at:%Y-%m-%d %H:%M} UTC"
    if load.finished_at is not None:
        yield fact(Code.FINISHED, f"{begun}, is finished: there is nothing to do", name)
    else:
        yield fact(Code.RESUMES, f"{begun}, has {totals.items:,} of {load.manifest_items:,} items; migrate goes on with it", name)
