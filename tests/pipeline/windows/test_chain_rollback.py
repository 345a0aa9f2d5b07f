"""A whole chain is rolled back: what its transactions wrote goes, and rows of others stay."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Refused, Stopped
from pipeline.target import delete
from sample_export import ChainSettings, write_sample_chains
from tests.pipeline.target.made_loads import PLAIN, uuid
from tests.pipeline.windows.test_windows import BAD, ORDER_TABLES, ORDERS, Chain, order
from tests.plain_windows import Migration
from tests.postgres_server import Database
from transforms.tables.medzen import TABLES

pytestmark = pytest.mark.usefixtures("plain_visits")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a table of a test has several transactions."""
    monkeypatch.setattr("pipeline.target.delete._BLOCKS", 1)


@pytest.fixture
def applied(bare: Database, tmp_path: Path) -> Chain:
    """Three windows after a load, with all that a chain can have; rows of the application beside them."""
    bare.execute(PLAIN)
    before = dict.fromkeys(range(200), "a" * 100)
    chain = Chain(
        bare,
        tmp_path,
        {**before, 500: BAD},
        {**dict.fromkeys(range(50), "b"), **dict.fromkeys(range(50, 100))},
        {1: BAD, 51: "c", 501: "c"},
        {1: "d", 2: "theirs"},
    )
    chain.begin()
    for number in (1, 2, 3):
        chain.run(number)
    bare.execute("INSERT INTO thing (id, name) SELECT gen_random_uuid(), 'theirs' FROM generate_series(1, 7)")
    bare.execute("UPDATE thing SET kind = 'theirs' WHERE id IN (%s, %s)", uuid(2), uuid(150))
    return chain


def others(database: Database) -> list[Any]:
    return sorted(database.query("SELECT t::text FROM thing t WHERE name = 'theirs' OR kind = 'theirs'"))


def test_rows_of_others_stay_and_the_chain_is_closed(applied: Chain) -> None:
    database, theirs = applied.database, others(applied.database)
    assert len(theirs) == 9
    ours = database.value("SELECT count(*) FROM thing") - 9
    look = applied.migration.roll_back(applied.full, yes=False)
    assert told(look) == {"to_delete": ours, "others": 9}
    assert database.value("SELECT count(*) FROM thing") == ours + 9

    report = applied.migration.roll_back(applied.full)
    assert (report.exit_code, told(report)) == (0, {"deleted": ours, "others": 9})
    assert others(database) == theirs
    assert database.value("SELECT count(*) FROM thing") == 9
    assert database.value("SELECT count(*) FROM ddb2pg.load WHERE rolled_back_at IS NULL") == 0
    assert applied.outdated() == 0
    # It is told again, and nothing of another load is touched.
    assert told(applied.migration.roll_back(applied.full)) == {"deleted": ours, "others": 9}
    assert any("is not empty" in problem for problem in applied.migration.problems(applied.full))
    database.execute("TRUNCATE thing")
    applied.migration.run(applied.full)
    assert database.value("SELECT count(*) FROM thing") == 200
    for number in (1, 2, 3):
        applied.run(number)
    assert applied.names()[1] == "d"


def told(report: Any) -> dict[str, int]:
    [table] = report.tables
    return {part["name"]: part["count"] for part in table["parts"] if part["count"]}


def test_one_that_is_stopped_goes_on(applied: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no window is applied before it is finished."""
    ours = applied.database.value("SELECT count(*) FROM thing") - 9
    calls = 0

    def stopping(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Stopped("killed")
        return delete.sweep_rows(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.windows.sweep.WAYS_TO_SWEEP", [stopping])
        with pytest.raises(Stopped, match="killed"):
            applied.migration.roll_back(applied.full)
    assert 9 < applied.database.value("SELECT count(*) FROM thing") < ours + 9
    for given in (applied.full, applied.windows[2]):
        assert any("was begun; finish it first" in problem for problem in applied.migration.problems(given))
    assert told(applied.migration.roll_back(applied.full)) == {"deleted": ours, "others": 9}


def test_two_at_once_delete_each_row_once(applied: Chain, tmp_path: Path) -> None:
    ours = applied.database.value("SELECT count(*) FROM thing") - 9
    runs = [Migration(applied.database, tmp_path / str(number), *applied.migration.tables) for number in range(2)]
    threads = [threading.Thread(target=partial(one.roll_back, applied.full)) for one in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(applied.migration.roll_back(applied.full)) == {"deleted": ours, "others": 9}


def test_rows_that_others_refer_to_are_left_and_listed(applied: Chain) -> None:
    """By CASCADE, so that theirs would go, and otherwise; the others of their pages go all the same."""
    database = applied.database
    ours = database.value("SELECT count(*) FROM thing") - 9
    database.execute("CREATE TABLE theirs (thing uuid REFERENCES thing ON DELETE CASCADE); INSERT INTO theirs VALUES (%s)", uuid(3))
    database.execute("CREATE TABLE too (thing uuid REFERENCES thing); INSERT INTO too VALUES (%s)", uuid(4))
    # It is told again once the chain is closed.
    for is_to_do in (True, False):
        report = applied.migration.roll_back(applied.full, yes=is_to_do)
        assert (report.exit_code, told(report)) == (3, {"deleted": ours - 2, "kept": 2, "others": 9})
        assert sorted(kind for kind, _ in report.kept()) == ["referenced", "refused"]
    assert database.value("SELECT count(*) FROM theirs") == 1


def test_an_item_goes_with_its_child_rows_or_not_at_all(bare: Database, tmp_path: Path) -> None:
    bare.execute(ORDER_TABLES)
    states = {number: order("a", f"x{number}", f"y{number}") for number in range(1, 5)}
    chain = Chain(bare, tmp_path, states, {1: order("b", "x1"), 4: None}, table=ORDERS)
    chain.begin()
    chain.run(1)
    bare.execute("UPDATE order_line SET sku = 'theirs' WHERE order_id = %s AND position = '0'", uuid(2))
    bare.execute("INSERT INTO orders VALUES (%s, 'theirs'); INSERT INTO order_line VALUES (%s, '0', 'z')", uuid(9), uuid(9))
    report = chain.migration.roll_back(chain.full)
    assert (report.exit_code, told(report)) == (3, {"deleted": 2, "kept": 1, "others": 1})
    assert report.kept() == [("referenced", [])]
    left = {(int(key[-12:], 16), place) for key, place in bare.query("SELECT order_id::text, position FROM order_line")}
    assert left == {(2, "0"), (2, "1"), (9, "0")}


def test_rows_that_refer_to_others_of_their_own_table_go_in_passes(bare: Database, tmp_path: Path) -> None:
    bare.execute(PLAIN)
    items = {number: {"name": {"S": "a" * 500}, **({"parent": {"S": uuid(number - 1)}} if number else {})} for number in range(60)}
    chain = Chain(bare, tmp_path, items, {70: "b"})
    chain.begin()
    chain.run(1)
    bare.execute("ALTER TABLE thing ADD FOREIGN KEY (parent) REFERENCES thing")
    assert told(chain.migration.roll_back(chain.full)) == {"deleted": 61}
    assert bare.value("SELECT count(*) FROM thing") == 0


def test_a_database_that_was_restored_is_refused(applied: Chain) -> None:
    """Its transactions have other numbers: a row may have that of one which wrote something else here."""
    applied.database.execute("UPDATE ddb2pg.writer SET ledger_oid = 1")
    before = applied.migration.everything()
    with pytest.raises(Refused, match="restored from a dump"):
        applied.migration.roll_back(applied.full)
    assert applied.migration.everything() == before


def test_the_three_tables_are_as_before_the_migration(database: Database, tmp_path: Path) -> None:
    settings = ChainSettings(windows=2, items=60, changes=60, faulty=0.05, odd=0.1, seed=5, items_per_file=40, view="NEW_AND_OLD_IMAGES")
    chains = write_sample_chains(tmp_path, settings)
    migration = Migration(database, tmp_path, *TABLES)
    migration.run(*(folder for chain in chains for folder in (chain.full.folder, *chain.windows)))
    report = migration.roll_back(tmp_path)
    assert report.exit_code == 0
    for table in TABLES:
        assert database.value(f"SELECT count(*) FROM {table.target}") == 0
    assert migration.run(*(chain.full.folder for chain in chains)).exit_code == 3
