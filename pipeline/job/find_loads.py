"""The loads of a command: found in the ledger, and checked that the same rows can be made again."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.definitions import record_folder
from pipeline.errors import Refused
from pipeline.job.plan import BegunLoad, LoadPlan
from pipeline.job.replay import GivenLoad, LoadKey
from pipeline.ledger.loads import Load, find_load, is_ledger_ours, ledger_exists, version_problems
from pipeline.ledger.replays import ChunkRoom, chunk_rooms, is_key_another, replayed_numbers
from pipeline.options import CheckOptions, ReplayOptions
from pipeline.preflight.exports import changed_findings, find_exports, output_findings
from pipeline.preflight.findings import problems_in
from pipeline.preflight.targets import target_findings
from pipeline.source.manifest import Export
from pipeline.target.connection import why_not_connected
from pipeline.target.session import Cursor, Session
from pipeline.target.target import Target, find_target
from transforms.table import Table

ROLLBACK_BEGAN = "a rollback of its load was begun; finish it: run ddb2pg rollback with --yes"

FindLoad = Callable[[Cursor, str, str], Load | None]
"""By export id and target."""
ProblemsOf = Callable[[Cursor, Table, Target, Load], Iterator[str]]
"""Problems for this command, besides those that are problems for every command."""


def find_begun_loads(options: CheckOptions, run_id: str, find: FindLoad, problems_of: ProblemsOf) -> list[BegunLoad]:
    """The load of each given export, in the order of the tables. Raises `Refused` with all problems."""
    planned, findings = find_exports(options.exports, options.tables, options.storage)
    problems = [*problems_in(findings), *problems_in(output_findings(options.output))]
    sentence = why_not_connected(options.database)
    if sentence:
        raise Refused([*problems, sentence])

    def work(cursor: Cursor) -> list[BegunLoad]:
        refusal = [*problems, *_ledger_problems(cursor)]
        if refusal:
            raise Refused(refusal)
        begun: list[BegunLoad] = []
        for of_export in planned:
            load = _find(cursor, options, run_id, of_export.table, of_export.export, find)
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
        target = find_target(cursor, table.target)
        load = find_load(cursor, key.export_id, key.target_table)
        if target is None or target.qualified != key.target_table:
            refusal.append(f"{table.target}: is not the table {key.target_table!r} that the load was into, or not on the search path")
        elif load is None:
            refusal.append(f"{table.target}: the ledger knows no load of export {key.export_id!r} into it; is it the right database?")
        else:
            plans[key] = _plan(load, table, target, options, run_id)
            refusal.extend(problems_in(target_findings(cursor, table, target)))
            refusal.extend(f"{table.target}: {problem}" for problem in _replay_problems(cursor, plans[key], given))
    if refusal:
        raise Refused(refusal)
    return plans


def has_key_of_items(target: Target, table: Table) -> bool:
    """Whether rows can be matched with items: there is a primary key, and the load fills its columns."""
    return bool(target.primary_key) and set(target.primary_key) <= set(table.column_names)


def _ledger_problems(cursor: Cursor) -> Iterator[str]:
    if not ledger_exists(cursor):
        yield "no load was ever started in this database; is it the right one?"
    elif not is_ledger_ours(cursor):
        yield "the ledger, the schema ddb2pg, belongs to another role than this one; connect as the role that loaded"
    else:
        yield from version_problems(cursor)


def _plan(load: Load, table: Table, target: Target, options: CheckOptions | ReplayOptions, run_id: str) -> LoadPlan:
    folder = record_folder(table, options.tables)
    return LoadPlan(load, table, target, options.database, run_id, options.storage, shared_folder=folder)


# -- of exports ----------------------------------------------------------------------------------------------------------------------------


def _find(cursor: Cursor, options: CheckOptions, run_id: str, table: Table, export: Export, find: FindLoad) -> BegunLoad | list[str]:
    """The load, or what is wrong with it."""
    target = find_target(cursor, table.target)
    if target is None:
        return [f"{table.target}: there is no such table on the search path"]
    load = find(cursor, export.export_id, target.qualified)
    if load is None:
        return [f"{table.target}: the ledger knows no load of export {export.export_id} into it"]
    problems = list(_load_problems(cursor, options, table, export, target, load))
    return problems or BegunLoad(export, _plan(load, table, target, options, run_id))


def _load_problems(cursor: Cursor, options: CheckOptions, table: Table, export: Export, target: Target, load: Load) -> Iterator[str]:
    if "SELECT" not in target.privileges:
        yield f"{table.target}: this role may not SELECT; let its owner GRANT SELECT ON {table.target}"
    if not has_key_of_items(target, table):
        yield f"{table.target}: has no primary key of columns that the load fills, so rows cannot be matched with items"
    if is_key_another(cursor, load.load_id, target):
        yield (
            f"{table.target}: its primary key is not the one that it had when dead letters were replayed, so their rows cannot be found; "
            "change it back"
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
    if not has_key_of_items(plan.target, plan.table):
        yield "has no primary key of columns that the definition fills, so rows could not be matched with items"
    if plan.target.has_row_security:
        yield "row security applies to this role; bring them in as the table's owner, or as a role with BYPASSRLS"
    for data_file, numbers in sorted(given.numbers.items()):
        rooms = chunk_rooms(cursor, plan.load.load_id, data_file)
        yield from _room_problems(data_file, rooms, numbers | replayed_numbers(cursor, plan.load.load_id, data_file))


def _room_problems(data_file: str, rooms: Sequence[ChunkRoom], numbers: set[int]) -> Iterator[str]:
    """No more items may become rows than were refused: mixed-up item numbers would load others twice."""
    first_items = [room.first_item for room in rooms]
    places = Counter(bisect.bisect_right(first_items, number) - 1 for number in numbers)
    outside = sum(number < 0 or _room_of(rooms, first_items, number) is None for number in numbers)
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
