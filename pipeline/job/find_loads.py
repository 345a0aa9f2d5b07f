"""The loads of a command: found in the ledger, and checked that the same rows can be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pipeline.definitions.find import record_folder
from pipeline.errors import Refused
from pipeline.job.plan import BegunLoad, LoadPlan, folder_of_load
from pipeline.ledger.loads import Load, is_ledger_ours, ledger_exists, version_problems
from pipeline.ledger.replays import is_key_another
from pipeline.ledger.windows import has_windows
from pipeline.options import CheckOptions, ReplayOptions
from pipeline.preflight.exports import (
    FilterOptions,
    Planned,
    changed_findings,
    find_exports,
    output_findings,
    with_filters,
)
from pipeline.preflight.findings import problems_in
from pipeline.source.manifest import Export
from pipeline.target.connection import why_not_connected
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, find_target_of, has_key_of_items
from transforms.table import Table

FOLLOWED: Final = (
    "windows were applied after the load of this export, so the target is as of a later time than that, and {command} cannot tell what is "
    "the export's and what is theirs (docs/windows.md)"
)
ROLLBACK_BEGAN = "a rollback of its load was begun; finish it: run ddb2pg rollback with --yes"

FindLoad = Callable[[Cursor, str, str], Load | None]
"""By export id and target."""
ForExport = Callable[[Load, Export], Load]
"""A load as if another export were its own."""
ProblemsOf = Callable[[Cursor, Table, Target, Load], Iterator[str]]
"""Problems for this command, besides those that are problems for every command."""


def find_begun_loads(
    options: CheckOptions,
    run_id: str,
    find: FindLoad,
    problems_of: ProblemsOf,
    for_export: ForExport | None = None,
    *,
    takes_windows: bool = False,
    beside_windows: bool = False,
    filters: FilterOptions | None = None,
) -> list[BegunLoad]:
    """The load of each given full export, in the order of the tables.

    With `takes_windows` also that of each window of tables of which no full export is given; with `beside_windows` windows may be given
    beside their full export. DynamoDB is asked about their filters where `filters` is given. Raises `Refused` with all problems.
    """
    found = find_exports(options.exports, options.tables, options.storage, takes_windows=takes_windows or beside_windows)
    planned, findings, windows = with_filters(found, filters) if filters else found
    full = {of_export.table.target for of_export in planned}
    alone = [one for one in windows if one.table.target not in full]
    problems = [*problems_in(findings), *problems_in(output_findings(options.output))]
    if takes_windows:
        of_changes = [Planned(one.table, export) for one in alone for export in one.exports]
        planned = sorted([*planned, *of_changes], key=lambda of_export: options.tables.index(of_export.table))
    else:
        problems += [f"{one.table.target}: windows are given, and not the full export that they follow; give it as well" for one in alone]
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([*problems, sentence])

    def work(cursor: Cursor) -> list[BegunLoad]:
        refusal = [*problems, *ledger_problems(cursor)]
        if refusal:
            raise Refused(refusal)
        begun: list[BegunLoad] = []
        for of_export in planned:
            load = _find(cursor, options, run_id, of_export.table, of_export.export, find, for_export)
            if isinstance(load, BegunLoad):
                begun.append(load)
                refusal.extend(problems_of(cursor, of_export.table, load.plan.target, load.plan.load))
            else:
                refusal.extend(load)
        if refusal:
            raise Refused(refusal)
        return begun

    with Session(options.database) as session:
        return session.transact(work)


def ledger_problems(cursor: Cursor) -> Iterator[str]:
    if not ledger_exists(cursor):
        yield "no load was ever started in this database; is it the right one?"
    elif not is_ledger_ours(cursor):
        yield "the ledger, the schema ddb2pg, belongs to another role than this one; connect as the role that loaded"
    else:
        yield from version_problems(cursor)


def plan_of(load: Load, table: Table, target: Target, options: CheckOptions | ReplayOptions, run_id: str) -> LoadPlan:
    folder = folder_of_load(load, record_folder(table, options.tables))
    return LoadPlan(load, table, target, options.database, run_id, folder, options.storage)


# -- of exports ----------------------------------------------------------------------------------------------------------------------------


def _find(
    cursor: Cursor, options: CheckOptions, run_id: str, table: Table, export: Export, find: FindLoad, for_export: ForExport | None
) -> BegunLoad | list[str]:
    """The load, or what is wrong with it."""
    target = find_target_of(cursor, table)
    if target is None:
        return [f"{table.target}: there is no such table on the search path"]
    if absent := absent_children(target, table):
        return absent
    load = find(cursor, export.export_id, target.qualified)
    if load is None:
        of_export = f"of export {export.export_id} " if for_export is None else ""
        return [f"{table.target}: the ledger knows no load {of_export}into it"]
    if for_export is not None:
        load = for_export(load, export)
    problems = list(_load_problems(cursor, options, table, export, target, load))
    return problems or BegunLoad(export, plan_of(load, table, target, options, run_id))


def absent_children(target: Target, table: Table) -> list[str]:
    """Which tables of child rows are not there."""
    if len(target.children) == len(table.children):
        return []
    return [f"{table.target}: a table of its child rows is not on the search path: {' or '.join(child.target for child in table.children)}"]


def followed_problems(cursor: Cursor, table: Table, load: Load, command: str) -> Iterator[str]:
    """Whether windows came after a load, for a command that knows its export alone."""
    if has_windows(cursor, load):
        yield f"{table.target}: {FOLLOWED.format(command=command)}"


def _load_problems(cursor: Cursor, options: CheckOptions, table: Table, export: Export, target: Target, load: Load) -> Iterator[str]:
    for one, of_table in zip((target, *target.children), (table, *table.child_tables), strict=True):
        if "SELECT" not in one.privileges:
            yield f"{of_table.target}: this role may not SELECT; let its owner GRANT SELECT ON {of_table.target}"
    if not has_key_of_items(target, table):
        yield f"{table.target}: has no primary key or unique index of columns that the load fills, so rows cannot be matched with items"
    if is_key_another(cursor, load.load_id, target):
        yield (
            f"{table.target}: dead letters were replayed while another key than ({', '.join(target.key)}) told of which item a row is, so "
            "their rows cannot be found; change the primary key, or the unique index, back"
        )
    yield from problems_in(changed_findings(export, table, load, options.unmapped))
