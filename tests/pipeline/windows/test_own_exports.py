"""`validate` of a load that windows follow: the full export and all windows, each item by the last that has a record of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Stopped
from pipeline.ledger.loads import Validated
from tests.pipeline.target.made_loads import uuid
from tests.pipeline.windows.test_as_of import AsOf, applied, kinds, parts
from tests.pipeline.windows.test_windows import BAD, ORDER_TABLES, ORDERS, Chain, audit_chain, order
from tests.plain_windows import Report
from tests.postgres_server import Database

pytestmark = pytest.mark.usefixtures("plain_visits")


def compare(chain: Chain, **others: Any) -> Report:
    return chain.migration.validate(chain.full, *chain.windows, **others)


STATES: list[dict[int, Any]] = [
    dict.fromkeys(range(1, 13), "a"),
    {1: "b", 2: "b", 3: None, 4: None, 13: "b", 14: "b"},
    {2: "c", 4: "c", 13: None, 15: "c", 5: "c"},
]


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_all_of_a_chain_is_equal(thing: Database, tmp_path: Path, view: str) -> None:
    """Of 23 lines those of 6 items have a later record; two are deletions that nothing comes after."""
    chain = applied(Chain(thing, tmp_path, *STATES, view=view))
    report = compare(chain)
    assert (report.exit_code, report.mismatches()) == (0, [])
    assert parts(report) == {"equal": 13, "deleted": 2, "superseded": 8}
    counts = [check for check in json.loads((report.folder / "report.json").read_text())["checks"]["sql"] if check["name"] == "counts"]
    assert [(check["verdict"], check["detail"].partition(":")[0]) for check in counts] == [
        ("pass", "load 1"),
        ("pass", "window 1 after load 1"),
        ("pass", "window 2 after load 1"),
    ]
    ledger = AsOf(chain, tmp_path).ledger()
    assert ledger.full is not None
    assert (ledger.full.validated, ledger.full.validated_as_of, ledger.is_proved) == (Validated.FULL, None, False)
    assert thing.value("SELECT count(*) FROM ddb2pg.touched_item") + thing.value("SELECT count(*) FROM ddb2pg.compared_chunk") == 0


def test_every_planted_difference_is_found(thing: Database, tmp_path: Path) -> None:
    """In rows of the full export, of an earlier and of the last window; what is as an older record has it is different, too."""
    chain = applied(Chain(thing, tmp_path, *STATES))
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id = ANY (%s::uuid[])", [uuid(number) for number in (1, 6, 15)])
    thing.execute("DELETE FROM thing WHERE id = ANY (%s::uuid[])", [uuid(number) for number in (7, 14, 5)])
    ours = "INSERT INTO ddb2pg.writer (chain, load_id) VALUES (1, 2)"
    thing.execute(f"BEGIN; {ours}; UPDATE thing SET name = 'b' WHERE id = '{uuid(2)}'; COMMIT")
    thing.execute(f"BEGIN; {ours}; INSERT INTO thing (id, name) VALUES ('{uuid(3)}', 'a'), ('{uuid(13)}', 'b'); COMMIT")
    thing.execute("INSERT INTO thing (id) VALUES (%s)", uuid(99))
    report = compare(chain)
    assert report.exit_code == 3
    found = set()
    for one in report.mismatches():
        key = one["key"]["id"]["S"] if one["key"] else one["primary_key"]["id"]
        found.add((one["kind"], int(key[-12:], 16)))
    assert found == {
        *(("changed_by_others", number) for number in (1, 6, 15)),
        *(("missing", number) for number in (7, 14, 5)),
        ("different", 2),
        *(("row_without_item", number) for number in (3, 13)),
        ("row_of_others", 99),
    }
    exports = {one["export_id"] for one in report.mismatches()}
    assert exports == {chain.full.name, *(window.name for window in chain.windows)}


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_dead_letters_and_outdated_rows(thing: Database, tmp_path: Path, view: str) -> None:
    """A record that is a dead letter supersedes the item that has the row: that one is outdated, and is not equal."""
    states = [{1: "a", 2: BAD, 4: "a", 5: "a", 6: "a"}, {1: BAD, 3: BAD, 4: BAD, 5: BAD}, {4: "b", 5: None}]
    chain = applied(Chain(thing, tmp_path, *states, view=view))
    report = compare(chain)
    assert (report.exit_code, report.tables[0]["outdated"], kinds(report)) == (3, 1, {"outdated": 1})
    assert report.mismatches()[0]["export_id"] == chain.windows[0].name
    assert parts(report) == {"equal": 2, "dead_letters": 2, "outdated": 1, "deleted": 1, "superseded": 5}


def test_rows_that_old_images_find(database: Database, tmp_path: Path) -> None:
    """Of two events with one id, whose items are two: one is a dead letter as long as the other has the row."""
    migration, full, windows = audit_chain(
        database, tmp_path, [(1, 1, "CALL_STARTED"), (2, 1, "CALL_STARTED")], [(1, 2, "CALL_ENDED")], [(2, 1, "CALL_ENDED")]
    )
    migration.run(full)
    migration.run(*windows)
    report = migration.validate(full, *windows)
    assert (report.exit_code, parts(report)) == (0, {"equal": 2, "dead_letters": 1, "superseded": 1})


def test_child_rows(bare: Database, tmp_path: Path) -> None:
    bare.execute(ORDER_TABLES)
    states: list[dict[int, Any]] = [
        {1: order("a", "x", "y"), 2: order("b", "z"), 3: order("c", "w"), 4: order("d", "v")},
        {1: order("a", "y"), 3: None, 4: {"note": {"N": "1"}}},
    ]
    chain = applied(Chain(bare, tmp_path, *states, table=ORDERS))
    assert kinds(compare(chain)) == {"outdated": 1}
    bare.execute("DELETE FROM order_line WHERE order_id = %s", uuid(1))
    bare.execute("INSERT INTO order_line VALUES (%s, '7', 'theirs')", uuid(2))
    report = compare(chain)
    assert kinds(report) == {"outdated": 1, "different": 1, "row_of_others": 1}


def test_all_windows_must_be_given(thing: Database, tmp_path: Path) -> None:
    """Those that were applied; others are passed over. One that is applied in part is refused, as are replays and a repair."""
    chain = Chain(thing, tmp_path, *STATES)
    migration = chain.migration
    chain.begin()
    chain.run(1)
    assert compare(chain).exit_code == 0
    [sentence] = migration.problems(chain.full, run=migration.validate)
    assert f"window 1, export {chain.windows[0].name}, was applied after its load; give it as well" in sentence
    [sentence] = migration.problems(chain.windows[0], run=migration.validate)
    assert "windows are given, and not the full export that they follow" in sentence
    [sentence] = migration.problems(chain.full, chain.windows[0], run=lambda *exports: migration.validate(*exports, repair=True))
    assert "validate --repair cannot tell" in sentence
    thing.execute("UPDATE ddb2pg.load SET finished_at = NULL WHERE window_number = 1")
    [sentence, *_] = migration.problems(chain.full, chain.windows[0], run=migration.validate)
    assert "is not applied to its end" in sentence


def test_a_window_that_is_not_as_it_was_applied_stops_it(thing: Database, tmp_path: Path) -> None:
    """By what the ledger has of a chunk; another manifest is refused."""
    chain = applied(Chain(thing, tmp_path, *STATES))
    thing.execute("UPDATE ddb2pg.chunk SET notices = 1 WHERE load_id = 3")
    with pytest.raises(Stopped, match="was committed with other counts"):
        compare(chain)
    thing.execute("UPDATE ddb2pg.load SET export_digest = 'another' WHERE window_number = 2")
    [sentence] = chain.migration.problems(chain.full, *chain.windows, run=chain.migration.validate)
    assert "its manifest is not the one" in sentence
