"""The loads of a command: found in the ledger, and checked that the same rows can be made again."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from pipeline.definitions.find import for_replay, record_folder
from pipeline.errors import Refused
from pipeline.job.plan import BegunLoad, LoadPlan, folder_of_load
from pipeline.job.replay import GivenLoad, LoadKey
from pipeline.ledger.loads import Load, find_load, is_ledger_ours, ledger_exists, version_problems
from pipeline.ledger.replays import ChunkRoom, chunk_rooms, is_key_another, replayed_numbers
from pipeline.ledger.windows import has_windows
from pipeline.options import CheckOptions, ReplayOptions
from pipeline.preflight.exports import (
    FilterOptions,
    Planned,
    changed_findings,
    find_exports,
    ledger_findings,
    output_findings,
    replaced_findings,
    with_filters,
)
from pipeline.preflight.findings import problems_in
from pipeline.preflight.targets import target_findings
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
        refusal = [*problems, *_ledger_problems(cursor)]
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


def find_given_loads(cursor: Cursor, loads: Iterable[GivenLoad], options: ReplayOptions, run_id: str) -> dict[LoadKey, LoadPlan]:
    """The loads of dead letters, in the order of the tables: rows of a later one may refer to those of an earlier one.

    Raises `Refused` with all problems.
    """
    refusal = list(_ledger_problems(cursor))
    if refusal:
        raise Refused(refusal)
    plans, tables = {}, options.tables
    for given, table in sorted(((given, _table_of(given.key, tables)) for given in loads), key=lambda pair: _place(pair[1], tables)):
        key = given.key
        if table is None:
            refusal.append(f"{key.source_table!r}: there is no definition of this table; give it with --tables, as to migrate")
            continue
        target = find_target_of(cursor, table)
        load = find_load(cursor, key.export_id, key.target_table)
        if target is None or target.qualified != key.target_table:
            refusal.append(f"{table.target}: is not the table {key.target_table!r} that the load was into, or not on the search path")
        elif load is None:
            refusal.append(f"{table.target}: the ledger knows no load of export {key.export_id!r} into it; is it the right database?")
        elif absent := _absent_children(target, table):
            refusal.extend(absent)
        else:
            plans[key] = _plan(load, for_replay(table, tables), target, options, run_id)
            refusal.extend(problems_in(target_findings(cursor, table, target)))
            for child, child_target in zip(table.child_tables, target.children, strict=True):
                refusal.extend(problems_in(target_findings(cursor, child, child_target, is_child=True)))
            refusal.extend(problems_in(replaced_findings(cursor, table, target, load)))
            refusal.extend(problems_in(ledger_findings(cursor, table, load)))
            refusal.extend(f"{table.target}: {problem}" for problem in _replay_problems(cursor, plans[key], given))
    if refusal:
        raise Refused(refusal)
    return plans


def _ledger_problems(cursor: Cursor) -> Iterator[str]:
    if not ledger_exists(cursor):
        yield "no load was ever started in this database; is it the right one?"
    elif not is_ledger_ours(cursor):
        yield "the ledger, the schema ddb2pg, belongs to another role than this one; connect as the role that loaded"
    else:
        yield from version_problems(cursor)


def _plan(load: Load, table: Table, target: Target, options: CheckOptions | ReplayOptions, run_id: str) -> LoadPlan:
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
    if absent := _absent_children(target, table):
        return absent
    load = find(cursor, export.export_id, target.qualified)
    if load is None:
        of_export = f"of export {export.export_id} " if for_export is None else ""
        return [f"{table.target}: the ledger knows no load {of_export}into it"]
    if for_export is not None:
        load = for_export(load, export)
    problems = list(_load_problems(cursor, options, table, export, target, load))
    return problems or BegunLoad(export, _plan(load, table, target, options, run_id))


def _absent_children(target: Target, table: Table) -> list[str]:
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


# -- of dead letters -----------------------------------------------------------------------------------------------------------------------


def _table_of(key: LoadKey, tables: Sequence[Table]) -> Table | None:
    """The definition of the load: of several with one source, the one with its target."""
    of_source = [table for table in tables if table.source == key.source_table]
    into_target = [table for table in of_source if table.target.rpartition(".")[2] == key.target_table.rpartition(".")[2]]
    return next(iter(into_target or of_source), None)


def _place(table: Table | None, tables: Sequence[Table]) -> int:
    return len(tables) if table is None else tables.index(table)


def _replay_problems(cursor: Cursor, plan: LoadPlan, given: GivenLoad) -> Iterator[str]:
    if plan.load.rollback_started_at is not None:
        yield ROLLBACK_BEGAN
    if plan.load.link or has_windows(cursor, plan.load):
        yield (
            "windows are applied to it, and these dead letters may be of a state that has passed: write the items again in DynamoDB, and "
            "they come with the next window (docs/windows.md)"
        )
    if not has_key_of_items(plan.target, plan.table):
        yield "has no primary key or unique index of columns that the definition fills, so rows could not be matched with items"
    if plan.target.hides_rows:
        yield "row security applies to this role; bring them in as the table's owner, or as a role with BYPASSRLS"
    for data_file, numbers in sorted(given.numbers.items()):
        rooms = chunk_rooms(cursor, plan.load.load_id, data_file)
        yield from _room_problems(data_file, rooms, numbers | replayed_numbers(cursor, plan.load.load_id, data_file))


def _room_problems(data_file: str, rooms: Sequence[ChunkRoom], numbers: set[int]) -> Iterator[str]:
    """No more items may become rows than were refused: mixed-up item numbers would load others twice."""
    first_items = [room.first_item for room in rooms]
    places = Counter(bisect.bisect_right(first_items, number) - 1 for number in numbers)
    outside = sum(_room_of(rooms, first_items, number) is None for number in numbers)
    if outside:
        yield f"{outside:,} items of {data_file!r} are not in the ledger: finish the load, or fix their item numbers"
        return
    for place, count in sorted(places.items()):
        room = rooms[place]
        if count > room.dead_letters:
            yield (
                f"{data_file!r}, items {room.first_item:,} to {room.first_item + room.items - 1:,}: {room.dead_letters:,} of them were "
                f"refused, but {count:,} are given or were brought in before; item numbers must be as the load wrote them"
            )


def _room_of(rooms: Sequence[ChunkRoom], first_items: Sequence[int], number: int) -> ChunkRoom | None:
    place = bisect.bisect_right(first_items, number) - 1
    return rooms[place] if place >= 0 and number < rooms[place].first_item + rooms[place].items else None
