"""Histories that would leave a row that nobody is told of: each was a fault once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Refused, Stopped
from pipeline.ledger.rollbacks import hold_open
from pipeline.outcome.verdict import ExitCode
from pipeline.target.fates import Conflicts
from pipeline.target.session import Cursor, Session
from tests.faults.jobs import wait_until
from tests.histories import BEGIN, SECOND, History, Operation, write_history
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.pipeline.windows.test_windows import BAD, HOUR, ORDER_TABLES, ORDERS, Chain, order
from tests.plain_windows import Migration
from tests.postgres_server import Database
from transforms.rules import Text, Uuid
from transforms.table import Column, Missing, Table

pytestmark = pytest.mark.usefixtures("plain_visits")


PEOPLE = Table(
    "people",
    "person",
    ("id",),
    (Column("email", "email", Text(), Missing.REFUSED), Column("id", "id", Uuid()), Column("name", "name", Text())),
)
PERSON = "CREATE TABLE person (email text PRIMARY KEY, id uuid, name text CHECK (name <> 'refused'))"


def person(email: str, name: Any = "n") -> dict[str, Any]:
    return {"email": {"S": email}, "name": {"S": name} if isinstance(name, str) else {"N": "1"}}


def people(database: Database) -> set[tuple[str, int, str]]:
    return {(email, int(key[-12:], 16), name) for email, key, name in database.query("SELECT email, id::text, name FROM person")}


def test_the_row_of_another_item_is_not_deleted_for_an_outdated_one(bare: Database, tmp_path: Path) -> None:
    """1 takes the key of 2, is a dead letter, and is deleted then: the row at that key is 2's all the time."""
    bare.execute(PERSON)
    chain = Chain(bare, tmp_path, {1: person("a"), 2: person("b")}, {1: person("b")}, {1: None}, table=PEOPLE)
    chain.begin()
    assert chain.run(1).exit_code == 3
    report = chain.run(2)
    assert ("b", 2, "n") in people(bare)
    assert report.exit_code == 3 or people(bare) == {("b", 2, "n")}


def test_the_row_of_another_item_is_not_overwritten_for_an_outdated_one(bare: Database, tmp_path: Path) -> None:
    bare.execute(PERSON)
    chain = Chain(bare, tmp_path, {1: person("a"), 2: person("b")}, {1: person("b", BAD)}, {1: person("b", "other")}, table=PEOPLE)
    chain.begin()
    assert chain.run(1).exit_code == 3
    assert chain.run(2).exit_code == 3
    assert ("b", 2, "n") in people(bare)


@pytest.mark.parametrize("bad", [BAD, "refused"])
def test_an_outdated_row_whose_key_has_changed_is_told(bare: Database, tmp_path: Path, bad: Any) -> None:
    bare.execute(PERSON)
    chain = Chain(bare, tmp_path, {1: person("a")}, {1: person("b", bad)}, {1: person("b", "good")}, {2: person("c")}, table=PEOPLE)
    chain.begin()
    assert chain.run(1).exit_code == 3
    assert chain.run(2).exit_code == 3 or people(bare) == {("b", 1, "good")}
    assert chain.run(3).exit_code == 3 or people(bare) == {("b", 1, "good"), ("c", 2, "n")}


LOSSY = Table("people", "person", ("id", "at"), (Column("id", "id", Uuid(), Missing.REFUSED), Column("name", "name", Text())))


def test_of_two_items_with_equal_rows_one_is_not_deleted_for_the_other(bare: Database, tmp_path: Path) -> None:
    bare.execute("CREATE TABLE person (id uuid PRIMARY KEY, name text)")
    first, second = ({"id": {"S": uuid(1)}, "at": {"N": str(at)}} for at in (1, 2))
    operations = [Operation((BEGIN - 10) * SECOND, key, {**key, "name": {"S": "n"}}) for key in (first, second)]
    operations.append(Operation((BEGIN + HOUR - 10) * SECOND, second, None))
    full, [window] = write_history(tmp_path, "people", History(operations, [BEGIN, BEGIN + HOUR]))
    migration = Migration(bare, tmp_path, LOSSY)
    try:
        migration.run(full)
        report = migration.run(window)
    except Refused:
        return
    assert (report.exit_code, bare.value("SELECT count(*) FROM person")) == (3, 1)


def test_rows_that_refer_to_child_rows_by_cascade_are_not_deleted(bare: Database, tmp_path: Path) -> None:
    bare.execute(ORDER_TABLES)
    chain = Chain(bare, tmp_path, {1: order("a", "x", "y")}, {1: order("b", "x", "y")}, table=ORDERS)
    chain.begin()
    bare.execute(
        "CREATE TABLE theirs (order_id uuid, position text, FOREIGN KEY (order_id, position) REFERENCES order_line ON DELETE CASCADE); "
        "INSERT INTO theirs VALUES (%s, '0')",
        uuid(1),
    )
    chain.run(1)
    assert bare.value("SELECT count(*) FROM theirs") == 1


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
@pytest.mark.parametrize("after", ["deleted", "inserted", "moved"])
def test_two_spellings_of_one_uuid(thing: Database, tmp_path: Path, view: str, after: str, request: pytest.FixtureRequest) -> None:
    """Two items of DynamoDB, and one row. New images alone cannot tell a new item from a change of that which has the row."""
    if view == "NEW_IMAGE" and after != "moved":
        request.applymarker(pytest.mark.xfail(strict=True, reason="docs/windows.md names it as a limit"))
    small, large = ({"id": {"S": spelled}} for spelled in (uuid(0xAB), uuid(0xAB).upper()))
    operations = [Operation((BEGIN - 10) * SECOND, small, {**small, "name": {"S": "small"}})]
    at = BEGIN + HOUR - 10
    operations += {
        "deleted": [],
        "inserted": [Operation(at * SECOND, large, {**large, "name": {"S": "large"}})],
        "moved": [Operation(at * SECOND, large, {**large, "name": {"S": "large"}}), Operation(at * SECOND, small, None)],
    }[after]
    cuts = [BEGIN, BEGIN + HOUR, BEGIN + 2 * HOUR]
    if after == "deleted":
        operations.append(Operation((BEGIN + HOUR - 20) * SECOND, large, {**large, "name": {"S": "small"}}))
        operations.append(Operation((BEGIN + 2 * HOUR - 10) * SECOND, large, None))
    full, windows = write_history(tmp_path, "things", History(operations, cuts), view=view, files=1)
    migration = Migration(thing, tmp_path, THING)
    codes = []
    for export in (full, *windows):
        try:
            codes.append(migration.run(export).exit_code)
        except Refused:
            codes.append(ExitCode.REFUSED)
    names = [name for (name,) in thing.query("SELECT name FROM thing")]
    assert 3 in codes or names == {"deleted": ["small"], "inserted": [], "moved": ["large"]}[after]


def test_what_the_application_wrote_beside_the_definition_is_not_deleted_in_silence(bare: Database, tmp_path: Path) -> None:
    bare.execute(PLAIN)
    bare.execute("ALTER TABLE thing ADD note text")
    chain = Chain(bare, tmp_path, {1: "a", 2: "a"}, {1: None, 2: "b"})
    chain.begin()
    bare.execute("UPDATE thing SET note = 'theirs'")
    report = chain.run(1, conflicts=Conflicts.KEEP)
    assert chain.names() == {1: "a", 2: "b"}
    assert report.windows == [{"updated": 1, "conflicts": 1}]


@pytest.mark.parametrize("body", ["RETURN NULL", "RAISE EXCEPTION 'no'"])
def test_rows_that_cannot_be_exchanged_do_not_stop_a_window(bare: Database, tmp_path: Path, body: str) -> None:
    bare.execute("CREATE TABLE thing (id uuid PRIMARY KEY, name text UNIQUE, kind text, parent uuid, data jsonb)")
    bare.execute(
        f"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$; "
        "CREATE TRIGGER keep BEFORE DELETE ON thing FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    chain = Chain(bare, tmp_path, {1: "a", 2: "b"}, {1: "b", 2: "a", 3: "c"})
    chain.begin()
    report = chain.run(1)
    assert report.exit_code == 3
    assert chain.names() == {1: "a", 2: "b", 3: "c"}
    assert chain.outdated() == 2


def test_generated_identity(bare: Database, tmp_path: Path) -> None:
    bare.execute(
        "CREATE TABLE person (id uuid PRIMARY KEY, name text, n integer GENERATED ALWAYS AS IDENTITY, "
        "m text GENERATED ALWAYS AS (upper(name)) STORED)"
    )
    table = Table("people", "person", ("id",), (Column("id", "id", Uuid(), Missing.REFUSED), Column("name", "name", Text())))
    chain = Chain(bare, tmp_path, {1: "a", 2: "b"}, {1: "b", 2: None, 3: "c"}, table=table)
    chain.begin()
    assert chain.run(1).exit_code == 0
    assert sorted(bare.query("SELECT name, m FROM person")) == [("b", "B"), ("c", "C")]


def test_deferred_constraints(bare: Database, tmp_path: Path) -> None:
    bare.execute(
        "CREATE TABLE thing (id uuid PRIMARY KEY, name text UNIQUE DEFERRABLE INITIALLY DEFERRED, kind text, "
        "parent uuid REFERENCES thing DEFERRABLE INITIALLY DEFERRED, data jsonb)"
    )
    chain = Chain(bare, tmp_path, {1: "a", 2: "b", 3: "c"}, {1: "b", 2: "a", 3: "b", 4: {"parent": {"S": uuid(9)}}})
    chain.begin()
    report = chain.run(1)
    assert (report.exit_code, report.windows) == (3, [{"updated": 2, "dead_letters": 2}])
    assert chain.names() == {1: "b", 2: "a", 3: "c"}


def test_another_full_export(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a", 2: "b", 3: "c"}, {1: None}, {1: None, 2: "z"})
    chain.begin()
    chain.run(1)
    later = History(chain.history.operations, [BEGIN + HOUR, BEGIN + 2 * HOUR])
    full, _ = write_history(tmp_path / "x", "things", later)
    assert chain.migration.problems(full)


def test_an_outdated_row_that_is_right_again_is_no_dead_letter(bare: Database, tmp_path: Path) -> None:
    bare.execute(PERSON)
    chain = Chain(bare, tmp_path, {1: person("a")}, {1: person("a", BAD)}, {1: person("a")}, table=PEOPLE)
    chain.begin()
    assert chain.run(1).exit_code == 3
    assert (chain.run(2).windows, chain.outdated()) == ([{"unchanged": 1}], 0)


def test_no_row_of_the_full_export_is_written_once_a_window_was_begun(thing: Database, tmp_path: Path) -> None:
    """By a replay or a repair that began before: its item may be deleted since. The window waits for what is being written."""
    chain = Chain(thing, tmp_path, {1: "a"}, {1: None})
    chain.begin()
    load_id = int(thing.value("SELECT load_id FROM ddb2pg.load"))
    window = threading.Thread(target=chain.run, args=(1,))

    def write(cursor: Cursor) -> None:
        hold_open(cursor, load_id)
        window.start()
        wait_until(
            lambda: thing.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") or not window.is_alive()
        )
        assert thing.value("SELECT count(*) FROM ddb2pg.load") == 1

    with Session(chain.migration.reference) as session:
        session.transact(write)
        window.join(300)
        assert thing.value("SELECT count(*) FROM ddb2pg.load WHERE finished_at IS NOT NULL") == 2
        with pytest.raises(Stopped, match="windows or a stream that follow"):
            session.transact(lambda cursor: hold_open(cursor, load_id))


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_rows_that_a_trigger_has_written_within_the_window_are_applied_or_told(bare: Database, tmp_path: Path, view: str) -> None:
    """They look as another item's that this window wrote."""
    bare.execute(PLAIN)
    bare.execute(
        "ALTER TABLE thing ADD touched integer DEFAULT 0; CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF pg_trigger_depth() < 2 THEN UPDATE thing SET touched = touched + 1 WHERE id <> NEW.id; END IF; RETURN NULL; END $$; "
        "CREATE TRIGGER touch AFTER UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION touch()"
    )
    items = range(1, 9)
    chain = Chain(bare, tmp_path, dict.fromkeys(items, "a"), dict.fromkeys(items, "b"), view=view)
    chain.begin()
    bare.execute("SET session_replication_role = replica; UPDATE thing SET touched = 0 WHERE id IN (%s, %s)", uuid(7), uuid(8))
    report = chain.run(1, conflicts=Conflicts.OVERWRITE)
    stale = [number for number, name in chain.names().items() if name == "a"]
    assert (report.exit_code, chain.outdated()) == (3 if stale else 0, len(stale))
    assert view == "NEW_IMAGE" or not stale
