"""The loads that the given dead letters are of: what must hold before one of them is brought in."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from pipeline.errors import Refused
from pipeline.job.begun_loads import has_key_of_items
from pipeline.job.given_items import LoadKey, read_items
from pipeline.job.loading import LoadPlan
from pipeline.ledger.loads import find_load, is_ledger_ours, ledger_exists, refuse_other_version
from pipeline.ledger.replays import ChunkRoom, chunk_rooms, replayed_numbers
from pipeline.places.storage import Storage
from pipeline.preflight.findings import problems_in
from pipeline.preflight.targets import target_findings
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor
from pipeline.target.target import Target, find_target
from transforms.table import Table

_MOST_PROBLEMS: Final = 20


@dataclass(slots=True)
class GivenLoad:
    """Which items of one load are given."""

    key: LoadKey
    numbers: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By data file."""
    uris: list[str] = field(default_factory=list)
    """The files of dead letters that they are in."""

    @property
    def items(self) -> int:
        """How many."""
        return sum(map(len, self.numbers.values()))


def gather(uris: Sequence[str], storage: Storage) -> dict[LoadKey, GivenLoad]:
    """What some files give, by load. Raises `Refused` with what is wrong with them."""
    loads: dict[LoadKey, GivenLoad] = {}
    problems: list[str] = []
    for uri in uris:
        of_file: set[LoadKey] = set()
        for item in read_items([uri], storage):
            if isinstance(item, str):
                problems.append(f"{uri}: {item}")
                continue
            of_file.add(item.load)
            numbers = loads.setdefault(item.load, GivenLoad(item.load)).numbers[item.key.data_file]
            if item.key.item_number in numbers:
                problems.append(f"{uri}: item {item.key.item_number:,} of {item.key.data_file!r} is given twice; which one counts?")
            numbers.add(item.key.item_number)
        for key in of_file:
            loads[key].uris.append(uri)
    for source, count in Counter(key.source_table for key in loads).items():
        if count > 1:
            problems.append(f"{source!r}: dead letters of {count} loads are given; bring in one after the other")
    if not loads and not problems:
        problems.append("there is no dead letter in it: nothing to bring in")
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        raise Refused([*islice(problems, _MOST_PROBLEMS), *([f"and {more:,} more like these"] if more > 0 else [])])
    return loads


def find_plans(
    cursor: Cursor, loads: Iterable[GivenLoad], tables: Sequence[Table], run_id: str, database: DatabaseReference, storage: Storage
) -> dict[LoadKey, LoadPlan]:
    """How each load's items are brought in, in the order of the tables: rows of a later one may refer to those of an earlier one.

    Raises `Refused` with every problem that there is.
    """
    by_source = {table.source: table for table in tables}
    places = {source: place for place, source in enumerate(by_source)}
    plans = {}
    problems: list[str] = []
    if not ledger_exists(cursor):
        raise Refused(["no load was ever started in this database; is it the right one?"])
    if not is_ledger_ours(cursor):
        raise Refused(["the ledger, the schema ddb2pg, belongs to another role than this one; connect as the role that loaded"])
    refuse_other_version(cursor)
    for given in sorted(loads, key=lambda load: places.get(load.key.source_table, len(places))):
        key = given.key
        table = by_source.get(key.source_table)
        target = find_target(cursor, table.target) if table else None
        load = find_load(cursor, key.export_id, key.target_table)
        if table is None:
            problems.append(f"{key.source_table!r}: there is no definition of this table; give it with --tables, as to migrate")
        elif target is None or target.qualified != key.target_table:
            problems.append(f"{table.target}: is not the table {key.target_table!r} that the load was into, or not on the search path")
        elif load is None:
            problems.append(f"{table.target}: the ledger knows no load of export {key.export_id!r} into it; is it the right database?")
        else:
            plan = LoadPlan(load, table, target, database, run_id, storage)
            problems.extend(problems_in(target_findings(cursor, table, target)))
            problems.extend(f"{table.target}: {problem}" for problem in _problems(cursor, plan, target, given))
            plans[key] = plan
    if problems:
        raise Refused(problems)
    return plans


def _problems(cursor: Cursor, plan: LoadPlan, target: Target, given: GivenLoad) -> Iterator[str]:
    if plan.load.rollback_started_at is not None:
        yield "a rollback of its load was begun; finish it: run ddb2pg rollback with --yes"
    if not has_key_of_items(target, plan.table):
        yield "has no primary key of columns that the definition fills, so a row could not be told to be that of an item"
    if target.has_row_security:
        yield "row security applies to this role; bring them in as the table's owner, or as a role with BYPASSRLS"
    for data_file, numbers in sorted(given.numbers.items()):
        rooms = chunk_rooms(cursor, plan.load.load_id, data_file)
        brought_in = replayed_numbers(cursor, plan.load.load_id, data_file)
        yield from _problems_of_file(data_file, rooms, numbers | brought_in)


def _problems_of_file(data_file: str, rooms: Sequence[ChunkRoom], numbers: set[int]) -> Iterator[str]:
    """No more items may become rows than were refused: who mixes up numbers would load others twice."""
    first_items = [room.first_item for room in rooms]
    places = Counter(bisect.bisect_right(first_items, number) - 1 for number in numbers)
    outside = sum(number < 0 or _room_of(rooms, first_items, number) is None for number in numbers)
    if outside:
        yield f"{outside:,} items of {data_file!r} are not in the ledger: finish the load, or mend their item numbers"
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
