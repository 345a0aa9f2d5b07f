"""Any history of a table, cut into a full export and windows by AWS's rules: the target equals the table after every window."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.histories import BEGIN, SECOND, History, Item, Operation, histories, write_history
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.plain_windows import Migration
from tests.postgres_server import Database, Server
from tests.strategies import examples

pytestmark = pytest.mark.usefixtures("plain_visits")

KEYS: list[Item] = [{"id": {"S": uuid(number)}} for number in range(1, 7)]
VIEWS = st.sampled_from(["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
PROPERTY = settings(deadline=None, max_examples=examples(25), suppress_health_check=list(HealthCheck))


def items_of(key: Item) -> st.SearchStrategy[Item]:
    """Few, so that some of a key are equal."""
    return st.builds(lambda name, kind: {**key, "name": {"S": name}, **({"kind": {"S": kind}} if kind else {})}, NAMES, NAMES | st.none())


NAMES = st.sampled_from(["a", "b"])


@pytest.fixture(scope="module")
def database(server: Server) -> Database:
    database = server.new_database(with_targets=False)
    database.execute(PLAIN)
    return database


def rows(database: Database) -> set[tuple[Any, ...]]:
    return set(database.query("SELECT id::text, name, kind FROM thing"))


def table_at(history: History, second: int) -> set[tuple[Any, ...]]:
    """The rows of its items, made without our conversion."""
    return {(item["id"]["S"], item["name"]["S"], item["kind"]["S"] if "kind" in item else None) for item in history.items_at(second)}


@PROPERTY
@given(history=histories(KEYS, items_of), view=VIEWS, chance=st.integers(0, 2**32).map(Random))
def test_the_target_is_the_table_after_every_window(database: Database, history: History, view: str, chance: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        migration = Migration(database, Path(folder), THING)
        migration.clear("thing")
        full, windows = write_history(Path(folder), "things", history, view=view, chance=chance)
        assert migration.run(full).exit_code == 0
        assert rows(database) == table_at(history, history.cuts[0])
        for number, window in enumerate(windows):
            report = migration.run(window)
            assert report.exit_code == 0
            assert rows(database) == table_at(history, history.cuts[number + 1])
            [counts] = report.windows
            assert sum(counts.values()) == len(history.records(number, view))
        everything = [full, *windows]
        chance.shuffle(everything)
        before = migration.everything()
        assert migration.run(*everything).exit_code == 0
        assert migration.everything() == before


@PROPERTY
@given(history=histories(KEYS, items_of), view=VIEWS, chance=st.integers(0, 2**32).map(Random))
def test_given_at_once_in_any_order_they_are_applied_in_theirs(database: Database, history: History, view: str, chance: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        migration = Migration(database, Path(folder), THING)
        migration.clear("thing")
        full, windows = write_history(Path(folder), "things", history, view=view, chance=chance)
        given_exports = [full, *windows, *windows[:1]]
        chance.shuffle(given_exports)
        assert migration.run(*given_exports).exit_code == 0
        assert rows(database) == table_at(history, history.cuts[-1])


@settings(PROPERTY, max_examples=8)
@given(history=histories(KEYS, items_of), chance=st.integers(0, 2**32).map(Random))
def test_taken_back_one_after_the_other_the_target_is_the_table_before_each(database: Database, history: History, chance: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        migration = Migration(database, Path(folder), THING)
        migration.clear("thing")
        full, windows = write_history(Path(folder), "things", history, chance=chance)
        assert migration.run(full, *windows).exit_code == 0
        for number in reversed(range(len(windows))):
            report = migration.roll_back(windows[number])
            assert report.exit_code == 0
            assert rows(database) == table_at(history, history.cuts[number])
            [counts] = report.windows
            assert sum(counts.values()) == len(history.records(number))
        assert migration.run(*windows).exit_code == 0
        assert rows(database) == table_at(history, history.cuts[-1])


# -- unique values -------------------------------------------------------------------------------------------------------------------------

UNIQUE = "CREATE TABLE thing (id uuid PRIMARY KEY, name text UNIQUE, kind text, parent uuid, data jsonb)"
MANY: list[Item] = [{"id": {"S": uuid(number)}} for number in range(1, 9)]


@st.composite
def histories_of_unique_names(draw: st.DrawFn) -> History:
    """At each cut some of the keys have an item, and no two of them one name: names stay, move, and go around."""
    cuts = [BEGIN + number * 1_000 for number in range(4)]
    operations: list[Operation] = []
    named: dict[int, str] = {}
    for cut in cuts:
        names = draw(st.permutations("abcdefgh"))
        now = {number: names[number] for number in draw(st.sets(st.integers(0, 7)))}
        for number in sorted(named.keys() | now.keys()):
            if named.get(number) != now.get(number):
                item = {**MANY[number], "name": {"S": now[number]}} if number in now else None
                operations.append(Operation((cut - 10) * SECOND, MANY[number], item))
        named = now
    return History(operations, cuts)


@pytest.fixture(scope="module")
def unique(server: Server) -> Database:
    database = server.new_database(with_targets=False)
    database.execute(UNIQUE)
    return database


@settings(PROPERTY, max_examples=examples(20))
@given(history=histories_of_unique_names(), view=VIEWS, chance=st.integers(0, 2**32).map(Random))
def test_unique_values_may_move_in_any_way(unique: Database, history: History, view: str, chance: Random) -> None:
    """Whatever files and chunks the records are in, none is a dead letter."""
    with tempfile.TemporaryDirectory() as folder:
        migration = Migration(unique, Path(folder), THING, chunk_items=2, split_items=3)
        migration.clear("thing")
        full, windows = write_history(Path(folder), "things", history, view=view, chance=chance)
        assert migration.run(full, *windows).exit_code == 0
        assert rows(unique) == table_at(history, history.cuts[-1])
