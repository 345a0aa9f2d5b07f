"""What windows do in the hard cases: rows of somebody else, values that move, dead letters that leave old rows, two runs at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.validate import validate
from pipeline.errors import Refused, Stopped
from pipeline.job.visit import visit_plainly
from pipeline.ledger.applied import applied_tables
from pipeline.ledger.rollbacks import begin_rollbacks
from pipeline.options import ValidateOptions
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.records.files import RecordFiles
from pipeline.replay.find_given import find_given_loads
from pipeline.replay.given import gather
from pipeline.target.fates import Conflicts
from pipeline.target.session import Session
from tests.histories import BEGIN, SECOND, History, Item, Operation, write_history
from tests.made_options import made_options
from tests.pipeline.target.made_loads import THING, uuid
from tests.plain_windows import Migration, Report, run_plainly
from tests.postgres_server import Database
from transforms.rules import Text, Uuid
from transforms.sources import POSITION, Parent
from transforms.table import Child, Column, Missing, Table
from transforms.tables.medzen import TABLES

HOUR = 3600
State = Mapping[int, Any]
"""The attributes of items by number; None is no item any more, an item that is not named stays as it is."""


pytestmark = pytest.mark.usefixtures("plain_visits")


class Chain:
    """A table as of several times: its full export at the first, and the windows between them."""

    def __init__(self, database: Database, folder: Path, *states: State, table: Table = THING, view: str = "NEW_AND_OLD_IMAGES") -> None:
        self.database = database
        cuts = [BEGIN + number * HOUR for number in range(len(states))]
        operations = [
            Operation((cut - 10) * SECOND, key_of(number), None if item is None else {**key_of(number), **attributes(item)})
            for cut, state in zip(cuts, states, strict=True)
            for number, item in state.items()
        ]
        self.history = History(operations, cuts)
        self.full, self.windows = write_history(folder, table.source, self.history, view=view)
        self.migration = Migration(database, folder, table)

    def run(self, window: int, **others: Any) -> Report:
        """Apply a window, by its number from 1."""
        return self.migration.run(self.windows[window - 1], **others)

    def begin(self) -> Report:
        return self.migration.run(self.full)

    def names(self) -> dict[int, str]:
        return {int(key[-12:], 16): name for key, name in self.database.query("SELECT id::text, name FROM thing")}

    def outdated(self) -> int:
        return int(self.database.value("SELECT count(*) FROM ddb2pg.outdated WHERE superseded_by IS NULL"))


def key_of(number: int) -> Item:
    return {"id": {"S": uuid(number)}}


def attributes(item: Any) -> Item:
    """A text is a name."""
    return {"name": {"S": item}} if isinstance(item, str) else item


# -- rows of somebody else -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def changed(thing: Database, tmp_path: Path) -> Chain:
    """Of three items that a window changes the application has changed one, deleted one's row, and made one's row itself."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a", 3: "a"}, {1: "b", 2: None, 3: "b", 4: "b", 5: "b"}, {1: "c", 4: "c", 5: "c"})
    chain.begin()
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(1))
    thing.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(2))
    thing.execute("INSERT INTO thing (id, name) VALUES (%s, 'theirs')", uuid(4))
    return chain


def test_a_row_of_somebody_else_stops_a_window(changed: Chain) -> None:
    """And nothing of its chunk is written; the same again with an answer goes on."""
    before = changed.names()
    with pytest.raises(Stopped, match="--conflicts=keep"):
        changed.run(1)
    assert {key: name for key, name in changed.names().items() if name == "theirs"} == {1: "theirs", 2: "theirs", 4: "theirs"}
    assert before.keys() - changed.names().keys() == set()
    assert changed.run(1, conflicts=Conflicts.KEEP).exit_code == 3


def test_it_is_kept_and_listed(changed: Chain) -> None:
    report = changed.run(1, conflicts=Conflicts.KEEP)
    assert (report.exit_code, report.windows) == (3, [{"inserted": 1, "updated": 1, "conflicts": 3}])
    assert changed.names() == {1: "theirs", 2: "theirs", 3: "b", 4: "theirs", 5: "b"}
    listed = list(report.dead_letters())
    assert [code for code, _ in listed] == ["row_changed_by_others"] * 3
    assert {json.loads(line)["Keys"]["id"]["S"] for _, line in listed} == {uuid(1), uuid(2), uuid(4)}
    assert changed.run(2, conflicts=Conflicts.KEEP).windows == [{"updated": 1, "conflicts": 2}]


def test_it_is_overwritten_and_counted(changed: Chain) -> None:
    report = changed.run(1, conflicts=Conflicts.OVERWRITE)
    assert (report.exit_code, report.windows) == (0, [{"inserted": 1, "updated": 3, "deleted": 1}])
    assert report.tables[0]["applied"]["overwritten"] == 3
    assert changed.names() == {1: "b", 3: "b", 4: "b", 5: "b"}
    assert changed.run(2).exit_code == 0


def test_a_row_that_is_as_the_window_has_it_is_no_conflict(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a"}, {1: "b"})
    chain.begin()
    thing.execute("UPDATE thing SET name = 'b'")
    assert chain.run(1).windows == [{"unchanged": 1}]


def test_rows_that_a_replay_or_a_repair_wrote_are_ours(thing: Database, tmp_path: Path) -> None:
    """As those of `validate --repair`: their transactions are in the ledger, too."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a"}, {1: "b"}, view="NEW_IMAGE")
    chain.begin()
    thing.execute("DELETE FROM thing WHERE id = %s", uuid(1))
    _validate(chain, repair=True)
    assert chain.names() == {1: "a", 2: "a"}
    assert chain.run(1).windows == [{"updated": 1}]


def test_rows_of_a_chunk_that_went_in_one_by_one_are_ours(bare: Database, tmp_path: Path) -> None:
    """Where PostgreSQL refuses a row of a chunk, the others are written in subtransactions first, whose numbers nobody knows."""
    bare.execute("CREATE TABLE thing (id uuid PRIMARY KEY, name text CHECK (name <> 'bad'), kind text, parent uuid, data jsonb)")
    before = {number: "bad" if number % 4 == 0 else "a" for number in range(24)}
    chain = Chain(bare, tmp_path, before, dict.fromkeys(range(24), "b"), view="NEW_IMAGE")
    assert chain.begin().exit_code == 3
    assert chain.run(1).windows == [{"inserted": 6, "updated": 18}]


def _validate(chain: Chain, *, repair: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.job.compare.run_visits", run_plainly)
        options = made_options(
            ValidateOptions,
            [chain.full],
            chain.migration.reference,
            chain.migration.output,
            tables=chain.migration.tables,
            repair=repair,
        )
        validate(options, Console(quiet=True))


# -- values that move between rows ---------------------------------------------------------------------------------------------------------

UNIQUE = "CREATE TABLE thing (id uuid PRIMARY KEY, name text UNIQUE, kind text, parent uuid, data jsonb)"


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
@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_unique_values_may_move(bare: Database, tmp_path: Path, after: State, view: str) -> None:
    """Whatever chunks they are in: a chunk here has four records, and each of several files its own."""
    bare.execute(UNIQUE)
    chain = Chain(bare, tmp_path, {1: "a", 2: "b", 3: "c"}, after, view=view)
    chain.begin()
    report = chain.run(1)
    assert (report.exit_code, list(report.dead_letters())) == (0, [])
    assert chain.names() == {key: name for key, name in {1: "a", 2: "b", 3: "c", **after}.items() if name is not None}


def test_a_value_that_two_rows_have_is_a_dead_letter(bare: Database, tmp_path: Path) -> None:
    """It is told after all others were tried; the older row stays, and is counted."""
    bare.execute(UNIQUE)
    chain = Chain(bare, tmp_path, {1: "a", 2: "b", 3: "c", 4: "d"}, {1: "b", 3: "d", 4: "c"}, {1: "e"})
    chain.begin()
    report = chain.run(1)
    assert (report.exit_code, report.windows) == (3, [{"updated": 2, "dead_letters": 1}])
    assert [code for code, _ in report.dead_letters()] == ["unique_conflict"]
    assert chain.names() == {1: "a", 2: "b", 3: "d", 4: "c"}
    assert chain.outdated() == 1
    assert chain.run(2).exit_code == 0
    assert (chain.names()[1], chain.outdated()) == ("e", 0)


# -- dead letters that leave old rows ------------------------------------------------------------------------------------------------------

BAD = {"name": {"N": "1"}}


@pytest.mark.parametrize("view", ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_an_outdated_row_is_told_until_its_item_is_good_again(thing: Database, tmp_path: Path, view: str) -> None:
    chain = Chain(thing, tmp_path, {1: "a", 2: "a", 3: "a"}, {1: BAD, 2: BAD, 4: BAD}, {3: "b"}, {1: "c", 2: None}, view=view)
    assert chain.begin().exit_code == 0
    report = chain.run(1)
    assert (report.exit_code, report.windows, chain.outdated()) == (3, [{"dead_letters": 3}], 2)
    assert report.tables[0]["outdated"] == 2
    # A later window that has nothing of them tells of them, too.
    report = chain.run(2)
    assert (report.exit_code, report.tables[0]["outdated"]) == (3, 2)
    report = chain.run(3)
    assert (report.exit_code, report.tables[0]["outdated"]) == (0, 0)
    assert chain.names() == {1: "c", 3: "b"}


def test_a_dead_letter_is_told_again_by_a_run_again(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a"}, {1: BAD, 2: "b"})
    chain.begin()
    first = list(chain.run(1).dead_letters())
    assert [code for code, _ in first] == ["wrong_type"]
    thing.execute("UPDATE ddb2pg.load SET finished_at = NULL WHERE chain IS NOT NULL")
    assert list(chain.run(1).dead_letters()) == first


# -- what the rest of the program does with a chain ----------------------------------------------------------------------------------------


def test_a_load_that_windows_follow_is_nothing_to_do(thing: Database, tmp_path: Path) -> None:
    """Though the target has fewer rows than were loaded."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a"}, {1: None})
    chain.begin()
    chain.run(1)
    before = chain.migration.everything()
    assert chain.migration.run(chain.full).exit_code == 0
    assert chain.migration.everything() == before


def test_validate_of_it_is_refused(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a", 2: "a"}, {1: None})
    chain.begin()
    chain.run(1)
    with pytest.raises(Refused, match="windows were applied after"):
        _validate(chain, repair=True)
    # Its own rows alone cannot be rolled back, only those of the chain.
    with Session(chain.migration.reference) as session, pytest.raises(Stopped, match="windows or a stream after this load were begun"):
        session.transact(lambda cursor: begin_rollbacks(cursor, [1]))


def test_dead_letters_of_a_chain_are_not_replayed(thing: Database, tmp_path: Path) -> None:
    """Neither those of a window, nor those of the load: a newer record may have passed them."""
    chain = Chain(thing, tmp_path, {1: "a", 2: BAD}, {1: BAD, 2: None})
    before = chain.begin()
    after = chain.run(1)
    options: Any = SimpleNamespace(tables=(THING,), database=chain.migration.reference, storage=LOCAL_AND_AWS)
    for folder in (before.folder, after.folder):
        loads = gather([str(path) for path in sorted(folder.glob("dead_letters/*/*"))], LOCAL_AND_AWS).values()
        with Session(chain.migration.reference) as session, pytest.raises(Refused, match="write the items again in DynamoDB"):
            session.transact(partial(find_given_loads, loads=loads, options=options, run_id="run"))


def test_the_next_window_to_ask_for_begins_where_the_last_one_ends(thing: Database, tmp_path: Path) -> None:
    """For `export --incremental`."""
    chain = Chain(thing, tmp_path, {1: "a"}, {1: "b"}, {1: "c"})
    chain.begin()
    with Session(chain.migration.reference) as session:
        for number in range(3):
            end = session.transact(lambda cursor: applied_tables(cursor, ["things"]))["things"].end
            assert end.timestamp() == chain.history.cuts[number]
            if number < 2:
                chain.run(number + 1)


def test_no_value_of_a_change_is_told(bare: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Only the target and the dead letters hold any: of refused, conflicting and moving values, and where a window stops."""
    bare.execute(UNIQUE)
    secret = "planted value"
    bad = {"name": {"N": "1"}, "kind": {"S": secret}}
    chain = Chain(
        bare, tmp_path, {1: f"{secret} 1", 2: f"{secret} 2", 3: "c"}, {1: f"{secret} 2", 2: f"{secret} 1", 3: f"{secret} 4", 4: bad}
    )
    chain.begin()
    bare.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(3))
    with pytest.raises(Stopped) as stopped:
        chain.run(1)
    report = chain.run(1, conflicts=Conflicts.KEEP)
    assert report.windows == [{"updated": 2, "conflicts": 1, "dead_letters": 1}]
    assert sum(secret in line for _, line in report.dead_letters()) == 2
    told = [*capfd.readouterr(), str(stopped.value), *((report.folder / name).read_text() for name in ("report.json", "report.html"))]
    ledger = [str(rows) for name, rows in chain.migration.everything() if name.startswith("ddb2pg.")]
    assert not [text for text in (*told, *ledger) if secret in text]


# -- empty windows, and records that change nothing ----------------------------------------------------------------------------------------


def test_an_empty_window_moves_the_time_on(thing: Database, tmp_path: Path) -> None:
    chain = Chain(thing, tmp_path, {1: "a"}, {}, {1: "b"})
    chain.begin()
    assert chain.migration.problems(chain.windows[1])
    report = chain.run(1)
    assert (report.exit_code, report.windows) == (0, [{}])
    assert chain.run(2).windows == [{"updated": 1}]


def test_records_of_rows_that_are_not_there(thing: Database, tmp_path: Path) -> None:
    """The application deleted them: a change inserts the row again, a deletion has nothing to do."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a", 3: "a"}, {1: "b", 2: None, 3: "a"})
    chain.begin()
    thing.execute("DELETE FROM thing WHERE id <> %s", uuid(3))
    assert chain.run(1).windows == [{"inserted": 1, "unchanged": 1, "absent": 1}]
    assert chain.names() == {1: "b", 3: "a"}


# -- kills, doubles, two at once -----------------------------------------------------------------------------------------------------------

MANY = dict.fromkeys(range(40), "a")
LATER = {number: "b" if number % 3 else None for number in range(50)}


@pytest.fixture
def many(thing: Database, tmp_path: Path) -> Chain:
    chain = Chain(thing, tmp_path, MANY, LATER, dict.fromkeys(range(5, 50, 5), "c"))
    chain.begin()
    return chain


def many_names() -> dict[int, str]:
    names = {number: "b" for number in range(50) if number % 3}
    return {**names, **dict.fromkeys(range(5, 50, 5), "c")}


def test_a_window_that_was_killed_goes_on(many: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def run_some(loads: Any, splits: Any, *arguments: Any, **named: Any) -> None:
        run_plainly(loads, splits[:2], *arguments, **named)
        raise Killed

    monkeypatch.setattr("pipeline.windows.run.run_visits", run_some)
    with pytest.raises(Killed):
        many.run(1)
    assert 0 < len([name for name in many.names().values() if name == "b"]) < 33
    assert many.database.value("SELECT count(*) FROM ddb2pg.load WHERE finished_at IS NULL") == 1
    assert many.migration.problems(many.windows[1])
    monkeypatch.setattr("pipeline.windows.run.run_visits", run_plainly)
    assert many.migration.run(*many.windows).exit_code == 0
    assert many.names() == many_names()


def test_every_chunk_may_be_visited_twice(many: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_twice(loads: Any, splits: Any, *arguments: Any, **named: Any) -> None:
        run_plainly(loads, splits, *arguments, **named)
        run_plainly(loads, splits, *arguments, **named)

    monkeypatch.setattr("pipeline.windows.run.run_visits", run_twice)
    report = many.migration.run(*many.windows)
    assert report.exit_code == 0
    assert report.windows == [{"inserted": 7, "updated": 26, "deleted": 14}, {"inserted": 3, "updated": 6}]
    assert many.names() == many_names()


def test_every_chunk_may_be_visited_by_two_at_once(many: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of which has looked into the ledger before the other's chunk was there: the claim in the chunk's transaction decides."""

    def visit_twice(loads: Any, splits: Any, *_: Any, **__: Any) -> None:
        files = {kind: RecordFiles(folder) for kind, folder in loads[0].folders.items()}
        plans = [load.plan for load in loads]
        for batches, _again in zip(visit_plainly(splits, *plans), visit_plainly(splits, *plans), strict=True):
            for kind, batch in batches.items():
                files[kind].write(batch)

    monkeypatch.setattr("pipeline.windows.run.run_visits", visit_twice)
    report = many.migration.run(*many.windows)
    assert report.exit_code == 0
    assert report.windows == [{"inserted": 7, "updated": 26, "deleted": 14}, {"inserted": 3, "updated": 6}]
    assert many.names() == many_names()


def test_two_runs_at_once(many: Chain) -> None:
    """Each with all windows; between them every record is applied once."""
    reports: list[Report | BaseException] = []

    def run(output: Path) -> None:
        migration = Migration(many.database, output, THING)
        try:
            reports.append(migration.run(*many.windows))
        except BaseException as error:  # noqa: BLE001 - told below
            reports.append(error)

    threads = [threading.Thread(target=run, args=(many.migration.output / str(number),)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [report.exit_code for report in reports if isinstance(report, Report)] == [0, 0], reports
    assert many.names() == many_names()
    assert many.database.value("SELECT count(*) FROM ddb2pg.load WHERE chain IS NOT NULL") == 2


# -- by old images: the audit table --------------------------------------------------------------------------------------------------------

AUDIT = next(table for table in TABLES if table.target == "video_call_audit_log")


def event(number: int, at: int, kind: str) -> tuple[Item, Item]:
    """Key and item of an audit event."""
    key: Item = {"id": {"S": uuid(number)}, "timestamp": {"N": str(1_700_000_000_000 + at)}}
    return key, {
        **key,
        "sessionId": {"S": uuid(900)},
        "userId": {"S": uuid(901)},
        "eventType": {"S": kind},
        "createdAt": {"N": str(1_700_000_000_000 + at)},
    }


def audit_chain(database: Database, folder: Path, *states: list[tuple[int, int, str | None]]) -> tuple[Migration, Path, list[Path]]:
    cuts = [BEGIN + number * HOUR for number in range(len(states))]
    operations = []
    for cut, state in zip(cuts, states, strict=True):
        for number, at, kind in state:
            key, item = event(number, at, kind or "")
            operations.append(Operation((cut - 10) * SECOND, key, None if kind is None else item))
    full, windows = write_history(folder, AUDIT.source, History(operations, cuts))
    return Migration(database, folder, AUDIT), full, windows


def kinds(database: Database) -> dict[int, str]:
    return {int(key[-12:], 16): kind for key, kind in database.query("SELECT id::text, event_type FROM video_call_audit_log")}


def test_of_two_events_with_one_id_the_row_stays_its_item_s(database: Database, tmp_path: Path) -> None:
    """The second is a dead letter of the load, and its changes and its deletion do not touch the first's row."""
    migration, full, windows = audit_chain(
        database,
        tmp_path,
        [(1, 1, "CALL_STARTED"), (2, 1, "CALL_STARTED")],
        [(1, 2, "CALL_ENDED")],
        [(1, 2, "USER_JOINED"), (2, 1, "USER_JOINED")],
        [(1, 2, None), (1, 1, "USER_LEFT")],
    )
    assert migration.run(full).exit_code == 0
    assert [code for code, _ in migration.run(windows[0]).dead_letters()] == ["primary_key_conflict"]
    assert migration.run(windows[1]).windows == [{"updated": 1, "dead_letters": 1}]
    assert kinds(database) == {1: "CALL_STARTED", 2: "USER_JOINED"}
    assert migration.run(windows[2]).windows == [{"updated": 1, "absent": 1}]
    assert kinds(database) == {1: "USER_LEFT", 2: "USER_JOINED"}


def test_an_event_that_was_bad_for_a_window_is_found_again(database: Database, tmp_path: Path) -> None:
    """Its old image is of the bad state, which no row ever had; that its row is outdated is in the ledger."""
    migration, full, windows = audit_chain(
        database, tmp_path, [(1, 1, "CALL_STARTED"), (2, 1, "CALL_STARTED")], [(1, 1, ""), (2, 1, "")], [(1, 1, "CALL_ENDED"), (2, 1, None)]
    )
    migration.run(full)
    report = migration.run(windows[0])
    assert (report.windows, report.tables[0]["outdated"]) == ([{"dead_letters": 2}], 2)
    report = migration.run(windows[1])
    assert (report.windows, report.tables[0]["outdated"]) == ([{"updated": 1, "deleted": 1}], 0)
    assert kinds(database) == {1: "CALL_ENDED"}


# -- child rows, and rows that refer to each other -----------------------------------------------------------------------------------------

ORDERS = Table(
    "orders",
    "orders",
    ("id",),
    (Column("id", "id", Uuid(), Missing.REFUSED), Column("note", "note", Text())),
    children=(
        Child(
            "lines",
            "order_line",
            (
                Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED),
                Column(POSITION, "position", Text(tags=("N",)), Missing.REFUSED),
                Column("sku", "sku", Text(), Missing.REFUSED),
            ),
        ),
    ),
)
ORDER_TABLES = """
    CREATE TABLE orders (id uuid PRIMARY KEY, note text);
    CREATE TABLE order_line (order_id uuid REFERENCES orders, position text, sku text UNIQUE, PRIMARY KEY (order_id, position))
"""


def order(note: str, *skus: str) -> Item:
    return {"note": {"S": note}, "lines": {"L": [{"M": {"sku": {"S": sku}}} for sku in skus]}}


def test_child_rows_are_replaced_with_their_item(bare: Database, tmp_path: Path) -> None:
    bare.execute(ORDER_TABLES)
    chain = Chain(
        bare,
        tmp_path,
        {1: order("a", "x", "y"), 2: order("b", "z"), 3: order("c", "w"), 4: order("d", "v"), 5: order("e")},
        {1: order("a", "y"), 2: order("bb", "z"), 3: None, 4: order("d", "v"), 5: order("e", "x"), 6: order("f", "w", "u")},
        table=ORDERS,
    )
    assert chain.begin().exit_code == 0
    report = chain.run(1)
    assert (report.exit_code, report.windows) == (0, [{"inserted": 1, "updated": 3, "unchanged": 1, "deleted": 1}])
    lines = {(int(key[-12:], 16), place, sku) for key, place, sku in bare.query("SELECT order_id::text, position, sku FROM order_line")}
    assert lines == {(1, "0", "y"), (2, "0", "z"), (4, "0", "v"), (5, "0", "x"), (6, "0", "w"), (6, "1", "u")}


def test_child_rows_that_went_in_item_by_item_are_ours(bare: Database, tmp_path: Path) -> None:
    """As rows without children: one item of each chunk breaks a check."""
    bare.execute(ORDER_TABLES)
    bare.execute("ALTER TABLE order_line ADD CHECK (sku <> 'bad')")
    before = {number: order("a", "bad" if number % 4 == 0 else f"x{number}") for number in range(12)}
    chain = Chain(bare, tmp_path, before, {number: order("b", f"y{number}") for number in range(12)}, table=ORDERS, view="NEW_IMAGE")
    assert chain.begin().exit_code == 3
    assert chain.run(1).windows == [{"inserted": 3, "updated": 9}]


def test_a_child_row_of_somebody_else_is_a_conflict(bare: Database, tmp_path: Path) -> None:
    bare.execute(ORDER_TABLES)
    chain = Chain(bare, tmp_path, {1: order("a", "x"), 2: order("b", "y")}, {1: order("aa", "x"), 2: None}, table=ORDERS)
    chain.begin()
    bare.execute("INSERT INTO order_line VALUES (%s, '7', 'theirs'), (%s, '7', 'theirs too')", uuid(1), uuid(2))
    report = chain.run(1, conflicts=Conflicts.KEEP)
    assert report.windows == [{"conflicts": 2}]
    assert bare.value("SELECT count(*) FROM order_line") == 4


def test_a_row_that_others_refer_to_by_cascade_is_kept(thing: Database, tmp_path: Path) -> None:
    """Deleting it would delete theirs."""
    chain = Chain(thing, tmp_path, {1: "a", 2: "a"}, {1: None, 2: None})
    chain.begin()
    thing.execute("CREATE TABLE theirs (thing uuid REFERENCES thing ON DELETE CASCADE); INSERT INTO theirs VALUES (%s)", uuid(1))
    report = chain.run(1)
    assert (report.exit_code, report.windows) == (3, [{"deleted": 1, "dead_letters": 1}])
    assert [code for code, _ in report.dead_letters()] == ["foreign_key_violation"]
    assert (chain.names(), chain.outdated(), thing.value("SELECT count(*) FROM theirs")) == ({1: "a"}, 1, 1)


PARENTS = Table("parents", "parent", ("id",), (Column("id", "id", Uuid(), Missing.REFUSED),))


def test_rows_of_two_tables_may_come_and_go_together(bare: Database, tmp_path: Path) -> None:
    """The parents are applied first, so one that goes waits until what refers to it is gone."""
    bare.execute("CREATE TABLE parent (id uuid PRIMARY KEY)")
    bare.execute("CREATE TABLE thing (id uuid PRIMARY KEY, name text, kind text, parent uuid REFERENCES parent, data jsonb)")
    of_parent = {number: {"parent": {"S": uuid(number)}} for number in (1, 2, 3)}
    parents = Chain(bare, tmp_path / "parents", {1: {}, 2: {}}, {1: None, 3: {}}, table=PARENTS)
    things = Chain(bare, tmp_path / "things", {11: of_parent[1], 12: of_parent[2]}, {11: None, 13: of_parent[3]})
    migration = Migration(bare, tmp_path, PARENTS, THING)
    report = migration.run(parents.full, things.full, *parents.windows, *things.windows)
    assert (report.exit_code, list(report.dead_letters())) == (0, [])
    assert {int(key[-12:], 16) for (key,) in bare.query("SELECT id::text FROM parent")} == {2, 3}
    assert things.names().keys() == {12, 13}
