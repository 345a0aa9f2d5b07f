"""The last window of a chain is taken back: the target is as before it, but for rows that somebody has changed since."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from pipeline.errors import Refused, Stopped
from pipeline.job.visit import VisitedLoad, visit_plainly
from pipeline.ledger.applied import applied_tables
from pipeline.source.chunks import Split
from pipeline.target.fates import Conflicts
from pipeline.target.session import Session
from sample_export import ChainSettings, SampleChain, rows_after, write_any_chains, write_sample_chains
from tests.command_line import CommandLine
from tests.faults.jobs import wait_until
from tests.histories import Item
from tests.pipeline.target.made_loads import uuid
from tests.pipeline.windows.test_windows import BAD, ORDER_TABLES, ORDERS, UNIQUE, Chain, State, order
from tests.plain_windows import Migration, Report
from tests.postgres_server import Database
from tests.processes import kill_group
from tests.truth import row_differences
from transforms.rules import Text, Uuid
from transforms.table import Column, Missing, Table
from transforms.tables.medzen import TABLES

EXAMPLES = Path(__file__).parents[3] / "examples"


pytestmark = pytest.mark.usefixtures("plain_visits")


def parts(report: Report) -> dict[str, int]:
    [found] = report.windows
    return dict(found)


# -- there and back ------------------------------------------------------------------------------------------------------------------------


def test_every_kind_of_change_is_taken_back(thing: Database, tmp_path: Path) -> None:
    """And the window can be applied again, and taken back again."""
    chain = Chain(
        thing,
        tmp_path,
        {1: "a", 2: "a", 3: "a", 4: "a"},
        {1: "b", 3: None},
        {1: "c", 2: None, 3: "again", 4: "a", 5: "new", 6: BAD},
    )
    chain.begin()
    chain.run(1)
    before = chain.names()
    assert chain.run(2).exit_code == 3
    after = chain.names()

    for _ in range(2):
        report = chain.migration.roll_back(chain.windows[1])
        assert report.exit_code == 0
        assert parts(report) == {"put_back": 1, "removed": 2, "inserted_again": 1, "idle": 2}
        assert chain.names() == before
        again = chain.migration.roll_back(chain.windows[1])
        assert (again.exit_code, parts(again)) == (0, parts(report))
        assert chain.run(2).windows == [{"inserted": 2, "updated": 1, "unchanged": 1, "deleted": 1, "dead_letters": 1}]
        assert chain.names() == after


SAMPLE = ChainSettings(windows=2, items=80, changes=80, faulty=0.1, odd=0.1, seed=5, items_per_file=40, view="NEW_AND_OLD_IMAGES")


def assert_there_and_back(migration: Migration, chains: Sequence[SampleChain], names: Sequence[tuple[str, Table]], root: Path) -> None:
    """Window after window is applied, taken back, and applied again, with the truth after each step.

    A row that was outdated before a window that wrote it is of no image: it stays as the window made it, and is told.
    """
    migration.run(*(chain.full.folder for chain in chains))
    for number in range(1, SAMPLE.windows + 1):
        windows = [chain.windows[number - 1] for chain in chains]
        assert migration.run(*windows).exit_code in (0, 3)
        report = migration.roll_back(*windows)
        told = {table["target_table"]: table for table in report.tables}
        for name, table in names:
            before, after = rows_after(root, name, number - 1), rows_after(root, name, number)
            lost = {key for key, one in before.items() if one.is_outdated and (key not in after or not after[key].is_outdated)}
            kept = [after[key].row for key in lost if key in after]
            rows = [one.row for key, one in before.items() if key not in lost]
            assert row_differences(table, [*rows, *kept], migration.database) == ([], [])
            assert told[f"public.{table.target}"]["kept"] == ({"not_known": len(lost)} if lost else {})
            assert outdated(migration.database, table) == sum(one.is_outdated for one in before.values())
        assert migration.run(*windows).exit_code in (0, 3)
        for name, table in names:
            after = rows_after(root, name, number)
            assert row_differences(table, [one.row for one in after.values()], migration.database) == ([], [])
            assert outdated(migration.database, table) == sum(one.is_outdated for one in after.values())


def outdated(database: Database, table: Table) -> int:
    return int(
        database.value(
            "SELECT count(*) FROM ddb2pg.outdated o JOIN ddb2pg.load l USING (load_id) WHERE superseded_by IS NULL AND target_table = %s",
            f"public.{table.target}",
        )
    )


def test_the_three_tables_before_each_window(database: Database, tmp_path: Path) -> None:
    """The audit log's rows are found by old images alone."""
    chains = write_sample_chains(tmp_path, SAMPLE)
    assert_there_and_back(Migration(database, tmp_path, *TABLES), chains, [(table.source, table) for table in TABLES], tmp_path)


def test_three_tables_of_one_source_before_each_window(bare: Database, tmp_path: Path) -> None:
    """With conditions: an item that belonged to a table comes back into it."""
    bare.execute((EXAMPLES / "orders.sql").read_text())
    tables = find_tables(str(EXAMPLES / "orders.py"))
    chains = write_any_chains(tmp_path, **describe(tables), settings=SAMPLE)
    names = [(f"App--{table.target}", table) for table in tables]
    assert_there_and_back(Migration(bare, tmp_path, *tables), chains, names, tmp_path)


def test_child_rows_are_put_back_with_their_item(bare: Database, tmp_path: Path) -> None:
    """With values that are unique moving between child rows of several items."""
    bare.execute(ORDER_TABLES)
    chain = Chain(
        bare,
        tmp_path,
        {1: order("a", "x", "y"), 2: order("b", "z"), 3: order("c", "w"), 4: order("d", "v"), 5: order("e")},
        {1: order("a", "y"), 2: order("bb", "z"), 3: None, 4: order("d", "v"), 5: order("e", "x"), 6: order("f", "w", "u")},
        table=ORDERS,
    )
    chain.begin()
    before = everything_in(bare, "orders", "order_line")
    chain.run(1)
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (0, {"put_back": 3, "removed": 1, "inserted_again": 1, "idle": 1})
    assert everything_in(bare, "orders", "order_line") == before


def everything_in(database: Database, *tables: str) -> list[Any]:
    return [sorted(database.query(f"SELECT t::text FROM {table} t")) for table in tables]


@pytest.mark.parametrize(
    "after",
    [
        {1: "b", 2: "z"},
        {1: "b", 2: None},
        {1: "b", 2: "c", 3: "d", 4: "a"},
        {1: "b", 2: "a"},
        {1: "b", 2: "c", 3: "a"},
        {1: None, 2: "a", 5: "b"},
    ],
    ids=["moved", "of one that is deleted", "in a row", "swapped", "in a circle", "of an inserted one"],
)
def test_unique_values_move_back(bare: Database, tmp_path: Path, after: State) -> None:
    bare.execute(UNIQUE)
    chain = Chain(bare, tmp_path, {1: "a", 2: "b", 3: "c"}, after)
    chain.begin()
    chain.run(1)
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, report.kept()) == (0, [])
    assert chain.names() == {1: "a", 2: "b", 3: "c"}
    assert chain.run(1).exit_code == 0


PEOPLE = Table(
    "people",
    "person",
    ("id",),
    (Column("email", "email", Text(), Missing.REFUSED), Column("id", "id", Uuid()), Column("name", "name", Text())),
)


def person(email: str, name: str = "n") -> Item:
    return {"email": {"S": email}, "name": {"S": name}}


def test_rows_move_back_to_their_keys(bare: Database, tmp_path: Path) -> None:
    """Where old images tell whose a row is: keys that others have taken since are taken back in turn."""
    bare.execute("CREATE TABLE person (email text PRIMARY KEY, id uuid, name text)")
    states = {1: person("a"), 2: person("b"), 3: person("c")}, {1: person("b"), 2: person("c"), 3: person("d"), 4: person("a")}
    chain = Chain(bare, tmp_path, *states, table=PEOPLE)
    chain.begin()
    before = everything_in(bare, "person")
    assert chain.run(1).exit_code == 0
    after = everything_in(bare, "person")
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (0, {"put_back": 3, "removed": 1})
    assert everything_in(bare, "person") == before
    assert chain.run(1).exit_code == 0
    assert everything_in(bare, "person") == after


def test_a_key_that_another_item_has_since_is_free_by_then(bare: Database, tmp_path: Path) -> None:
    """Which a look knows, too, other than of a row of somebody else."""
    bare.execute("CREATE TABLE person (email text PRIMARY KEY, id uuid, name text)")
    chain = Chain(bare, tmp_path, {1: person("a"), 2: person("b")}, {1: None, 2: None, 3: person("a", "m")}, table=PEOPLE)
    chain.begin()
    chain.run(1)
    bare.execute("INSERT INTO person (email) VALUES ('b')")
    look = chain.migration.roll_back(chain.windows[0], yes=False)
    assert (parts(look), look.kept()) == ({"to_removed": 1, "to_inserted_again": 1, "kept": 1}, [("different", [])])
    report = chain.migration.roll_back(chain.windows[0])
    assert (parts(report), report.kept()) == ({"removed": 1, "inserted_again": 1, "kept": 1}, [("different", [])])


@pytest.mark.parametrize("children_first", [False, True])
def test_parents_and_children_in_tables_of_their_own(bare: Database, tmp_path: Path, children_first: bool) -> None:
    """Of two tables, taken back together, in whichever order they are given."""
    columns = (Column("id", "id", Uuid(), Missing.REFUSED), Column("name", "name", Text()), Column("parent", "parent", Uuid()))
    parents, children = (Table(f"{name}s", name, ("id",), columns) for name in ("parent", "child"))
    bare.execute(
        "CREATE TABLE parent (id uuid PRIMARY KEY, name text, parent uuid);"
        "CREATE TABLE child (id uuid PRIMARY KEY, name text, parent uuid REFERENCES parent)"
    )
    of_parents = Chain(bare, tmp_path / "p", {1: "a", 2: "a"}, {1: None, 3: "b"}, table=parents)

    def child(parent: int) -> Item:
        return {"name": {"S": "c"}, "parent": {"S": uuid(parent)}}

    of_children = Chain(bare, tmp_path / "c", {1: child(1), 2: child(2)}, {1: None, 2: child(3), 3: child(3)}, table=children)
    migration = Migration(bare, tmp_path, parents, children)
    migration.run(of_parents.full, of_children.full)
    before = everything_in(bare, "parent", "child")
    windows = [of_parents.windows[0], of_children.windows[0]]
    migration.run(*windows)
    report = migration.roll_back(*(reversed(windows) if children_first else windows))
    assert report.exit_code == 0
    assert everything_in(bare, "parent", "child") == before


# -- what is left --------------------------------------------------------------------------------------------------------------------------


def test_rows_that_somebody_has_changed_since_are_left_and_listed(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, dict.fromkeys(range(1, 7), "a"), {1: "b", 2: "b", 3: None, 4: None, 5: "b", 7: "b", 8: "b", 9: "b"})
    chain.begin()
    chain.run(1)
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id IN (%s, %s)", uuid(1), uuid(7))
    thing.execute("DELETE FROM thing WHERE id IN (%s, %s)", uuid(2), uuid(8))
    thing.execute("INSERT INTO thing (id, name) VALUES (%s, 'theirs')", uuid(3))
    # Changed, and changed back: nothing of it is theirs.
    thing.execute("UPDATE thing SET kind = 'theirs' WHERE id = %s", uuid(5))
    thing.execute("UPDATE thing SET kind = NULL WHERE id = %s", uuid(5))

    look = chain.migration.roll_back(chain.windows[0], yes=False)
    before = chain.names()
    assert look.exit_code == 3
    assert parts(look) == {"to_put_back": 1, "to_removed": 1, "to_inserted_again": 1, "idle": 1, "kept": 4}
    assert chain.names() == before

    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (3, {"put_back": 1, "removed": 1, "inserted_again": 1, "idle": 1, "kept": 4})
    assert sorted(report.kept()) == [("different", []), ("different", ["name"]), ("different", ["name"]), ("missing", [])]
    assert chain.names() == {1: "theirs", 3: "theirs", 4: "a", 5: "a", 6: "a", 7: "theirs"}
    # They are somebody else's for the window, too, when it comes again.
    assert chain.run(1, conflicts=Conflicts.KEEP).windows == [{"inserted": 3, "updated": 1, "deleted": 1, "conflicts": 3}]


def test_what_a_record_did_not_do_is_not_taken_back(thing: Database, tmp_path: Path) -> None:
    """The row was as the record has it already, was gone already, or was somebody else's: whatever the old image is."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a", 3: "a", 4: "a"}, {1: "b", 2: None, 3: "b", 4: None})
    chain.begin()
    thing.execute("UPDATE thing SET name = 'b' WHERE id = %s", uuid(1))
    thing.execute("DELETE FROM thing WHERE id = %s", uuid(2))
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id IN (%s, %s)", uuid(3), uuid(4))
    assert chain.run(1, conflicts=Conflicts.KEEP).windows == [{"unchanged": 1, "absent": 1, "conflicts": 2}]
    before = chain.names()
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (0, {"idle": 4})
    assert chain.names() == before == {1: "b", 3: "theirs", 4: "theirs"}


def test_an_item_of_which_a_child_row_was_changed_is_left_whole(bare: Database, tmp_path: Path) -> None:
    bare.execute(ORDER_TABLES)
    first = {number: order("a", f"x{number}") for number in range(1, 5)}
    chain = Chain(
        bare, tmp_path, first, {**{number: order("b", f"y{number}") for number in range(1, 5)}, 5: order("b", "y5")}, table=ORDERS
    )
    chain.begin()
    chain.run(1)
    bare.execute("UPDATE order_line SET sku = 'theirs' WHERE order_id = %s", uuid(1))
    bare.execute("DELETE FROM order_line WHERE order_id = %s", uuid(2))
    bare.execute("INSERT INTO order_line VALUES (%s, '7', 'theirs too'), (%s, '7', 'and this')", uuid(3), uuid(5))
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (3, {"put_back": 1, "kept": 4})
    notes = {int(key[-12:], 16): note for key, note in bare.query("SELECT id::text, note FROM orders")}
    assert notes == {1: "b", 2: "b", 3: "b", 4: "a", 5: "b"}
    assert bare.value("SELECT count(*) FROM order_line") == 1 + 0 + 2 + 1 + 2


def test_an_item_that_somebody_had_changed_before_the_window_is_left(bare: Database, tmp_path: Path) -> None:
    """Nothing of theirs stood in the window's way: the row was as the record has it, or a child row was gone. No image has that."""
    bare.execute(ORDER_TABLES)
    first = {number: order("a", f"x{number}", f"y{number}") for number in range(1, 5)}
    last = {1: order("b", "z1"), 2: order("b", "z2"), 3: None, 4: order("a", "z4")}
    chain = Chain(bare, tmp_path, first, last, table=ORDERS)
    chain.begin()
    bare.execute("UPDATE orders SET note = 'b' WHERE id = %s", uuid(1))
    bare.execute("DELETE FROM order_line WHERE order_id IN (%s, %s) AND position = '1'", uuid(2), uuid(3))
    assert chain.run(1).windows == [{"updated": 3, "deleted": 1}]
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (3, {"put_back": 1, "kept": 3})
    assert report.kept() == [("not_known", [])] * 3
    assert bare.query("SELECT sku FROM order_line ORDER BY sku") == [("x4",), ("y4",), ("z1",), ("z2",)]


def test_what_no_image_has_is_left_and_listed(thing: Database, tmp_path: Path) -> None:
    """An older row than the old image's, and a row of somebody else that was asked to be overwritten."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a", 3: "a", 4: "a"}, {1: BAD, 2: BAD}, {1: "c", 2: None, 3: "c", 4: "c"})
    chain.begin()
    chain.run(1)
    assert chain.outdated() == 2
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(3))
    chain.run(2, conflicts=Conflicts.OVERWRITE)
    assert chain.outdated() == 0
    report = chain.migration.roll_back(chain.windows[1])
    assert (report.exit_code, parts(report)) == (3, {"put_back": 1, "kept": 3})
    assert [kind for kind, _ in report.kept()] == ["not_known"] * 3
    assert chain.names() == {1: "c", 3: "c", 4: "a"}
    assert chain.outdated() == 2
    assert chain.run(2).exit_code == 0
    assert (chain.names(), chain.outdated()) == ({1: "c", 3: "c", 4: "c"}, 0)


def test_the_rows_that_a_window_left_outdated_are_so_no_more(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a", 2: "a"}, {1: BAD, 2: "b"})
    chain.begin()
    assert (chain.run(1).exit_code, chain.outdated()) == (3, 1)
    assert chain.migration.roll_back(chain.windows[0]).exit_code == 0
    assert (chain.names(), chain.outdated()) == ({1: "a", 2: "a"}, 0)


def test_a_row_that_others_refer_to_is_left(thing: Database, tmp_path: Path) -> None:
    """By CASCADE, so that theirs would go with it, and otherwise, so that PostgreSQL refuses it."""
    chain = Chain(thing, tmp_path, {}, {1: "b", 2: "b", 3: "b"})
    chain.begin()
    chain.run(1)
    thing.execute("CREATE TABLE theirs (thing uuid REFERENCES thing ON DELETE CASCADE); INSERT INTO theirs VALUES (%s)", uuid(1))
    thing.execute("CREATE TABLE too (thing uuid REFERENCES thing); INSERT INTO too VALUES (%s)", uuid(2))
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (3, {"removed": 1, "kept": 2})
    assert sorted(kind for kind, _ in report.kept()) == ["referenced", "refused"]
    assert chain.names() == {1: "b", 2: "b"}
    assert thing.value("SELECT count(*) FROM theirs") == 1


# -- stops, and who is kept out ------------------------------------------------------------------------------------------------------------


def stopping_after(chunks: Iterator[int]) -> Any:
    """In place of `run_visits`: stops in the middle, as if it was killed, when so many chunks were visited."""

    def run(loads: Sequence[VisitedLoad], splits: Sequence[Split], *_others: object, **_further: object) -> None:
        for _ in visit_plainly(splits, *(load.plan for load in loads)):
            if next(chunks) == 0:
                raise Stopped("killed")

    return run


def test_one_that_is_stopped_anywhere_goes_on(thing: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {**dict.fromkeys(range(20), "b"), **dict.fromkeys(range(20, 30)), **dict.fromkeys(range(30, 45), "b")}
    chain = Chain(thing, tmp_path, dict.fromkeys(range(30), "a"), changed)
    chain.begin()
    chain.run(1)
    stops = 0
    while stops < 4:
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.windows.roll_back.run_visits", stopping_after(itertools.count(-2)))
            with pytest.raises(Stopped, match="killed"):
                chain.migration.roll_back(chain.windows[0])
        stops += 1
    left = thing.value("SELECT count(*) FROM ddb2pg.chunk WHERE rolled_back_at IS NOT NULL AND load_id = 2")
    assert 0 < left < thing.value("SELECT count(*) FROM ddb2pg.chunk WHERE load_id = 2")
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (0, {"put_back": 20, "removed": 15, "inserted_again": 10})
    assert chain.names() == dict.fromkeys(range(30), "a")


def test_a_command_that_is_killed_goes_on(thing: Database, tmp_path: Path) -> None:
    """A real job, of two workers, killed at any time."""
    before, after = dict.fromkeys(range(160), "a"), {**dict.fromkeys(range(120), "b"), **dict.fromkeys(range(120, 160))}
    chain = Chain(thing, tmp_path, before, after)
    chain.migration.run(chain.full, chain.windows[0])
    definition = tmp_path / "definition.py"
    definition.write_text("from tests.pipeline.target.made_loads import THING\n\nTABLES = (THING,)\n")
    run = CommandLine(thing.url, tmp_path / "killed")
    command = ("rollback", "--export", chain.windows[0], "--output", run.output, "--tables", definition, "--yes", "--direct_num_workers=2")
    killed = run.start(*command)
    wait_until(lambda: killed.poll() is not None or thing.value("SELECT count(*) FROM ddb2pg.chunk WHERE rolled_back_at IS NOT NULL") > 0)
    kill_group(killed)
    finished = run(*command)
    assert finished.exit_code == 0, finished.output
    assert "120 put back + 0 deleted + 40 inserted again" in finished.output
    assert chain.names() == before


def test_meanwhile_no_window_is_applied_or_asked_for(thing: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain(thing, tmp_path, {1: "a"}, {1: "b"}, {1: "c"})
    chain.begin()
    chain.run(1)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.windows.roll_back.run_visits", stopping_after(itertools.count()))
        with pytest.raises(Stopped, match="killed"):
            chain.migration.roll_back(chain.windows[0])
    for window in chain.windows:
        assert any("was begun; finish it first" in problem for problem in chain.migration.problems(window))
    with Session(chain.migration.reference) as session, pytest.raises(Refused, match="finish it first"):
        session.transact(lambda cursor: applied_tables(cursor, ["things"]))
    chain.migration.roll_back(chain.windows[0])
    with Session(chain.migration.reference) as session:
        end = session.transact(lambda cursor: applied_tables(cursor, ["things"]))["things"].end
    assert end.timestamp() == chain.history.cuts[0]
    assert chain.migration.run(*chain.windows).exit_code == 0
    assert chain.names() == {1: "c"}


def test_a_window_that_was_not_applied_to_its_end_is_taken_back(thing: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain(thing, tmp_path, dict.fromkeys(range(20), "a"), dict.fromkeys(range(20), "b"))
    chain.begin()
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.windows.run.run_visits", stopping_after(itertools.count(-2)))
        with pytest.raises(Stopped, match="killed"):
            chain.run(1)
    assert set(chain.names().values()) == {"a", "b"}
    assert chain.migration.roll_back(chain.windows[0]).exit_code == 0
    assert chain.names() == dict.fromkeys(range(20), "a")
    assert chain.run(1).windows == [{"updated": 20}]


def test_only_the_last_window_is_taken_back(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a"}, {1: "b"}, {1: "c"})
    chain.begin()
    chain.run(1)
    chain.run(2)
    before = chain.migration.everything()
    for given in ([chain.windows[0]], chain.windows):
        with pytest.raises(Refused, match=r"window 2 .* is the next"):
            chain.migration.roll_back(*given)
    assert chain.migration.everything() == before
    for number in (2, 1):
        assert chain.migration.roll_back(chain.windows[number - 1]).exit_code == 0
    assert chain.names() == {1: "a"}


def test_new_images_alone_take_nothing_back(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a"}, {1: "b"}, view="NEW_IMAGE")
    chain.begin()
    chain.run(1)
    before = chain.migration.everything()
    with pytest.raises(Refused, match="cannot be taken back"):
        chain.migration.roll_back(chain.windows[0])
    assert chain.migration.everything() == before


def test_of_two_rollbacks_at_once_each_record_is_taken_back_once(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, dict.fromkeys(range(30), "a"), {**dict.fromkeys(range(30), "b"), **dict.fromkeys(range(30, 40), "b")})
    chain.begin()
    chain.run(1)
    # Each of them has an output folder of its own.
    others = [Migration(thing, tmp_path / str(number), *chain.migration.tables) for number in range(2)]
    threads = [threading.Thread(target=partial(other.roll_back, chain.windows[0])) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = chain.migration.roll_back(chain.windows[0])
    assert (report.exit_code, parts(report)) == (0, {"put_back": 30, "removed": 10})
    assert chain.names() == dict.fromkeys(range(30), "a")
