"""The loads of dead letters: found in the ledger, and checked that these items were refused, and may be brought in now."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pipeline.definitions.find import for_replay
from pipeline.errors import Refused
from pipeline.job.find_loads import ROLLBACK_BEGAN, absent_children, ledger_problems, plan_of
from pipeline.job.plan import LoadPlan
from pipeline.ledger.loads import find_load
from pipeline.ledger.replays import ChunkRoom, chunk_rooms, replayed_numbers
from pipeline.ledger.windows import has_windows
from pipeline.options import ReplayOptions
from pipeline.preflight.exports import ledger_findings, replaced_findings
from pipeline.preflight.findings import problems_in
from pipeline.preflight.targets import target_findings
from pipeline.replay.given import GivenLoad, LoadKey
from pipeline.target.session import Cursor
from pipeline.target.target import find_target_of, has_key_of_items
from transforms.table import Table


def find_given_loads(cursor: Cursor, loads: Iterable[GivenLoad], options: ReplayOptions, run_id: str) -> dict[LoadKey, LoadPlan]:
    """The loads of dead letters, in the order of the tables: rows of a later one may refer to those of an earlier one.

    Raises `Refused` with all problems.
    """
    refusal = list(ledger_problems(cursor))
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
        elif absent := absent_children(target, table):
            refusal.extend(absent)
        else:
            plans[key] = plan_of(load, for_replay(table, tables), target, options, run_id)
            refusal.extend(problems_in(target_findings(cursor, table, target)))
            for child, child_target in zip(table.child_tables, target.children, strict=True):
                refusal.extend(problems_in(target_findings(cursor, child, child_target, is_child=True)))
            refusal.extend(problems_in(replaced_findings(cursor, table, target, load)))
            refusal.extend(problems_in(ledger_findings(cursor, table, load)))
            refusal.extend(f"{table.target}: {problem}" for problem in _replay_problems(cursor, plans[key], given))
    if refusal:
        raise Refused(refusal)
    return plans


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
