"""What a stream does in the hard cases: what is refused, what is lost, whose row it is, what is set aside or dead, and what is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from rich.console import Console

from pipeline.commands.dead_letters import replay
from pipeline.errors import Refused, Stopped
from pipeline.ledger.windows import note_cut_over
from pipeline.options import ReplayOptions
from pipeline.places.storage import OutputFolder
from pipeline.stream.prove import streams_so_far
from pipeline.target.fates import Conflicts
from pipeline.target.session import Session
from tests.handmade_export import write_export
from tests.histories import BEGIN, History, Operation, write_window
from tests.pipeline.stream.streamed import MARGIN, PATIENCE, Lab, use_keys
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.plain_windows import use_plain_visits
from tests.postgres_server import Database
from tests.stream_server import FakeStream, StreamServer, time_of
from transforms.tables.medzen import MEETING_AUDIT

SECRET = "patient-0815"


@pytest.fixture(scope="module")
def stream_server() -> Iterator[StreamServer]:
    with StreamServer() as server:
        yield server


@pytest.fixture
def lab(bare: Database, tmp_path: Path, stream_server: StreamServer, monkeypatch: pytest.MonkeyPatch) -> Lab:
    use_plain_visits(monkeypatch)
    use_keys(monkeypatch)
    monkeypatch.setattr("pipeline.stream.begin._PAUSE", 0)
    stream_server.streams = {THING.source: FakeStream(THING.source, THING.key, BEGIN - 3600)}
    stream_server.page = 1000
    stream_server.before = lambda *_: None
    bare.execute(PLAIN)
    return Lab(bare, tmp_path, stream_server)


def thing(number: int, name: Any, **others: Any) -> dict[str, Any]:
    return {"id": {"S": uuid(number)}, "name": {"S": name} if isinstance(name, str) else name, **others}


def names(lab: Lab) -> dict[int, str]:
    return {int(key[-12:], 16): name for key, name in lab.database.query("SELECT id::text, name FROM thing")}


def loaded(lab: Lab, *items: dict[str, Any]) -> FakeStream:
    """As of `BEGIN` these were written; now it is long enough after it for anything."""
    stream = lab.stream()
    stream.now = BEGIN - 100
    for item in items:
        stream.write(item)
    lab.load()
    stream.now = BEGIN + MARGIN + 10
    return stream


# -- what is refused -----------------------------------------------------------------------------------------------------------------------


def young(stream: FakeStream) -> None:
    stream.created = BEGIN - MARGIN + 1


def old(stream: FakeStream) -> None:
    stream.now = BEGIN + 23 * 3600


def another(stream: FakeStream) -> None:
    stream.table_id = "another"


def off(stream: FakeStream) -> None:
    stream.is_enabled = False


def keys_only(stream: FakeStream) -> None:
    stream.view = "KEYS_ONLY"


def old_images(stream: FakeStream) -> None:
    stream.view = "OLD_IMAGE"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (young, "its stream was turned on at 2025-12-31T23:59:41Z.*export --incremental"),
        (old, "keeps the records of a stream for 24 hours only"),
        (another, "is not the one that export .* is of"),
        (off, "has no stream that is on"),
        (keys_only, "has the view KEYS_ONLY"),
        (old_images, "has the view OLD_IMAGE,"),
    ],
)
def test_what_cannot_be_followed_is_refused(lab: Lab, spoil: Callable[[FakeStream], None], sentence: str) -> None:
    spoil(loaded(lab, thing(1, "a")))
    before = lab.migration.everything()
    with pytest.raises(Refused, match=sentence):
        lab.open()
    assert lab.migration.everything() == before


def test_a_stream_of_new_images_does_not_find_rows_by_old_images(lab: Lab) -> None:
    lab.database.execute(
        "CREATE TABLE video_call_audit_log (id uuid PRIMARY KEY, session_id uuid NOT NULL, event_type text NOT NULL, event_data jsonb, "
        "created_at timestamptz)"
    )
    audit = FakeStream(MEETING_AUDIT.source, MEETING_AUDIT.key, BEGIN, view="NEW_IMAGE")
    lab.server.streams = {MEETING_AUDIT.source: audit}
    lab = Lab(lab.database, lab.folder / "audit", lab.server, MEETING_AUDIT)
    lab.load()
    with pytest.raises(Refused, match="found by old images"):
        lab.open()


def test_a_chain_with_a_stream_is_rolled_back_as_a_whole(lab: Lab) -> None:
    """What the stream wrote goes, too; and who follows it still stops."""
    stream = loaded(lab, thing(1, "a"), thing(2, "a"))
    lab.drain()
    stream.write(thing(1, "b"))
    stream.write(thing(3, "b"))
    lab.drain()
    assert names(lab) == {1: "b", 2: "a", 3: "b"}
    lab.database.execute("INSERT INTO thing (id, name) VALUES (%s, 'theirs')", uuid(9))
    follower = lab.open()
    stream.write(thing(4, "c"))
    report = lab.migration.roll_back(lab.folder)
    assert {part["name"]: part["count"] for part in report.tables[0]["parts"] if part["count"]} == {"deleted": 3, "others": 1}
    with follower, pytest.raises(Stopped, match="a rollback of this load was begun"):
        follower.drain(time_of(stream.now))
    assert names(lab) == {9: "theirs"}


def test_after_a_stream_was_begun_no_windows_may_follow(lab: Lab) -> None:
    loaded(lab, thing(1, "a"))
    lab.drain()
    history = History([Operation((BEGIN + 5) * 1_000_000, {"id": {"S": uuid(1)}}, thing(1, "b"))], [BEGIN])
    window = write_window(lab.folder, THING.source, history, BEGIN, BEGIN + 3600, tableId=lab.stream().table_id)
    [problem] = lab.migration.problems(window)
    assert "is followed since" in problem
    assert names(lab) == {1: "a"}


def test_a_follower_that_is_open_when_the_chain_is_cut_over_writes_no_more(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    lab.drain()
    with lab.opened(Conflicts.OVERWRITE) as streams:
        streams.step()
        with Session(lab.migration.reference) as session:
            session.transact(lambda cursor: note_cut_over(cursor, [lab.state().chain]))
        stream.write(thing(1, "late"))
        stream.write(thing(2, "late"))
        with pytest.raises(Stopped, match="was cut over meanwhile"):
            streams.step()
    assert names(lab) == {1: "a"}
    lab.drain()
    assert names(lab) == {1: "a"}
    assert lab.counts()["conflicts"] == 2


# -- what is lost --------------------------------------------------------------------------------------------------------------------------


def test_a_trimmed_position_stops_and_nothing_more_is_written(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    stream.write(thing(1, "b"))
    lab.drain()
    stream.write(thing(1, "c"))
    stream.write(thing(2, "c"))
    [shard] = stream.shards
    stream.trim(shard, len(stream.shards[shard].records))
    before = lab.migration.everything()
    with lab.opened() as streams, pytest.raises(Stopped, match="are gone, because DynamoDB keeps them for 24 hours"):
        streams.step()
    assert lab.migration.everything() == before


def test_a_shard_that_vanished_with_records_unread_stops(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    stream.write(thing(1, "b"))
    lab.drain()
    [shard] = stream.shards
    stream.split(Random(0))
    stream.forget(shard)
    with lab.opened() as streams, pytest.raises(Stopped, match=f"shard {shard} is not there any more"):
        streams.step()
    assert names(lab) == {1: "b"}


def test_a_follower_that_was_away_for_a_day_stops(lab: Lab) -> None:
    """Though all shards that it knew are there: others may have come and gone."""
    stream = loaded(lab, thing(1, "a"))
    lab.drain()
    stream.now += 24 * 3600
    with lab.opened() as streams, pytest.raises(Stopped, match="are gone"):
        streams.step()


def test_a_follower_that_was_away_before_it_had_written_anything_stops(lab: Lab) -> None:
    """The ledger knows no shard yet, and yet what came after the end of the chain may be gone."""
    stream = loaded(lab, thing(1, "a"))
    stream.now = BEGIN + 5
    with lab.opened() as streams:
        assert not any(progress.is_settled for progress in streams.step())
    stream.now += 60
    stream.write(thing(1, "lost"))
    [shard] = stream.shards
    stream.trim(shard, len(stream.shards[shard].records))
    stream.now += 24 * 3600
    with lab.opened() as streams, pytest.raises(Stopped, match="are gone"):
        streams.drain(time_of(stream.now))


def test_a_stream_that_is_turned_off_stops(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    with lab.opened() as streams:
        streams.step()
        stream.is_enabled = False
        stream.now += 61
        with pytest.raises(Stopped, match="was turned off"):
            streams.step()
    with pytest.raises(Refused, match="was turned off"):
        lab.open()


# -- what is there already -----------------------------------------------------------------------------------------------------------------


def test_nothing_is_written_before_every_shard_is_past_the_overlap(lab: Lab) -> None:
    """So an item never goes back to what it was before the end of the export."""
    stream = lab.stream()
    stream.now = BEGIN - 5
    stream.write(thing(1, "old"))
    stream.late = 10  # their records are newer than the export, and they are in it all the same
    stream.write(thing(1, "new"))
    stream.delete({"id": {"S": uuid(1)}})
    stream.write(thing(2, "a"))
    stream.write(thing(2, "b"))
    stream.late = 0
    lab.load()
    stream.now = BEGIN + 10
    with lab.opened() as streams:
        for _ in range(8):
            assert not any(progress.is_settled for progress in streams.step())
        assert names(lab) == {2: "b"}
    lab.drain()
    assert names(lab) == {2: "b"}
    assert lab.counts() == {"compacted": 3, "absent": 1, "unchanged": 1}


def test_a_shard_that_is_past_the_overlap_waits_for_the_others(lab: Lab) -> None:
    """Else a day of its records would be held in memory, while another one's are skipped."""
    stream = lab.stream()
    stream.split(Random(1))  # into two
    assert len(stream.open_shards) == 2
    behind, ahead = (
        [number for number in range(1, 60) if stream.shard_of({"id": {"S": uuid(number)}}) is one] for one in stream.open_shards
    )
    stream.now = BEGIN - 100
    for count in range(40):
        stream.write(thing(behind[0], f"{count}"))
    lab.load()
    stream.now = BEGIN + MARGIN + 10
    for count in range(100):
        stream.write(thing(ahead[0], f"{count}"))
    lab.server.page = 1
    with lab.opened() as streams:
        for _ in range(9):
            [progress] = streams.step()
            assert not progress.is_settled
        asked = lab.server.read.count(stream.shard_of({"id": {"S": uuid(ahead[0])}}).shard_id)
    assert asked <= 10
    lab.server.page = 1000
    lab.drain()
    assert names(lab) == {behind[0]: "39", ahead[0]: "99"}


@pytest.mark.parametrize("shards", [1, 2])
def test_the_end_of_a_shard_says_nothing_of_those_that_follow_it(lab: Lab, shards: int) -> None:
    """A quiet shard was closed a while ago: what it has given since was nothing, and its children have records of that time."""
    stream = loaded(lab, thing(1, "a"))
    while len(stream.open_shards) < shards:
        stream.split(Random(3))
    before = {shard.shard_id for shard in stream.shards.values() if shard.is_closed}
    with lab.opened() as streams:
        stream.now += 60
        for _ in range(12):
            streams.step()
        stream.split(Random(0))
        [closed] = {shard.shard_id for shard in stream.shards.values() if shard.is_closed} - before
        late = {number: "late" for number in range(2, 20) if stream.shard_of(thing(number, "late")).parent == closed}
        for number, name in late.items():
            stream.write(thing(number, name))
        stream.now += 30
        streams.drain(time_of(stream.now - 10))
        assert late
        assert names(lab) == {1: "a", **late}


def test_one_answer_without_records_says_nothing_after_a_long_quiet_time(lab: Lab) -> None:
    """A shard that gave nothing for a minute may give nothing once more, though there is something by now."""
    stream = loaded(lab, thing(1, "a"))
    with lab.opened() as streams:
        stream.now += 60
        for _ in range(12):
            streams.step()
        stream.write(thing(2, "b"))
        stream.now += 30
        lab.server.withheld = set(stream.shards)
        [progress] = streams.step()
        lab.server.withheld = set()
        assert progress.reached < time_of(stream.now - 30)
        streams.drain(time_of(stream.now - 10))
        assert names(lab) == {1: "a", 2: "b"}


@pytest.mark.parametrize("seconds", [-180, 180])
def test_a_clock_that_is_wrong_by_minutes(lab: Lab, seconds: int) -> None:
    """A record that is minutes newer than our clock says nothing of those that were written before we began."""
    stream = loaded(lab, thing(1, "a"))
    lab.server.page = 2
    for number in range(2, 42):
        stream.now += 1
        stream.write(thing(number, "a"))
    with lab.open(lag=timedelta(seconds=seconds)) as streams:
        ticks = itertools.count(100)
        lab.server.clock = lambda: stream.now + next(ticks) / 10
        streams.drain(streams.now())
        assert len(names(lab)) == 41


def test_what_is_older_than_the_windows_is_skipped(lab: Lab) -> None:
    loaded(lab, thing(1, "a"), thing(2, "a"))
    lab.drain()
    assert lab.counts() == {"skipped": 2}


def test_records_of_one_item_become_one(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    for name in "bcd":
        stream.write(thing(1, name))
    stream.write(thing(2, "a"))
    stream.delete({"id": {"S": uuid(2)}})
    lab.drain()
    assert lab.counts() == {"skipped": 1, "compacted": 4, "updated": 1}
    assert names(lab) == {1: "d"}


def test_binary_values_and_sets_become_what_an_export_has(lab: Lab) -> None:
    data = {"M": {"b": {"B": "AAEC"}, "bs": {"BS": ["AAEC", "/w=="]}, "ns": {"NS": ["1", "2.50"]}, "l": {"L": [{"B": "AA=="}]}}}
    stream = loaded(lab)
    stream.write(thing(1, "a", data=data))
    lab.drain()
    by_stream = lab.database.value("SELECT data FROM thing")
    lab.migration.clear("thing")
    stream.now = BEGIN - 1
    lab.folder = lab.folder / "again"
    lab.load()
    assert lab.database.value("SELECT data FROM thing") == by_stream


def test_a_follower_that_comes_second_does_not_tell_what_it_has_not_applied(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    lab.drain()
    with lab.opened() as first, lab.opened() as second:
        for _ in range(6):
            first.step()
        for _ in range(2):
            second.step()
        stream.now += 5
        stream.write(thing(1, "b"))
        first.step()
        first.step()
        stream.now += 5
        stream.write(thing(1, "c"))
        [progress] = second.step()
        assert (names(lab), progress.read) == ({1: "b"}, 0)
        assert progress.reached < time_of(stream.now)
        second.step()
        assert names(lab) == {1: "c"}


# -- rows of somebody else -----------------------------------------------------------------------------------------------------------------


def test_rows_of_somebody_else(lab: Lab) -> None:
    """Stop, and nothing of the batch is written; keep, and they are listed; overwrite, when their item changes again."""
    stream = loaded(lab, thing(1, "a"), thing(2, "a"))
    lab.drain()
    lab.database.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(1))
    stream.write(thing(1, "b"))
    stream.write(thing(2, "b"))
    with lab.opened() as streams, pytest.raises(Stopped, match="--conflicts=keep"):
        streams.step()
    assert names(lab) == {1: "theirs", 2: "a"}
    lab.drain(Conflicts.KEEP)
    assert names(lab) == {1: "theirs", 2: "b"}
    assert [code for code, _, _ in lab.dead_letters()] == ["row_changed_by_others"]
    assert lab.counts()["conflicts"] == 1
    stream.write(thing(1, "c"))
    lab.drain(Conflicts.OVERWRITE)
    assert names(lab) == {1: "c", 2: "b"}
    assert lab.counts()["overwritten"] == 1


# -- dead letters and what is set aside ----------------------------------------------------------------------------------------------------


def test_a_dead_letter_leaves_an_outdated_row_until_a_later_record(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    stream.write(thing(1, {"N": "1"}))
    lab.drain()
    assert (names(lab), lab.outdated()) == ({1: "a"}, 1)
    [(code, data_file, line)] = lab.dead_letters()
    assert (code, data_file) == ("wrong_type", next(iter(stream.shards)))
    assert '"NewImage"' in line
    stream.write(thing(1, {"N": "2"}))
    lab.drain()
    assert (names(lab), lab.outdated()) == ({1: "a"}, 1)
    stream.write(thing(1, "good"))
    lab.drain()
    assert (names(lab), lab.outdated()) == ({1: "good"}, 0)
    assert lab.counts()["dead_letters"] == 2


def test_an_outdated_row_of_old_images_is_found_by_a_later_record(lab: Lab) -> None:
    lab.database.execute(
        "CREATE TABLE video_call_audit_log (id uuid PRIMARY KEY, session_id uuid NOT NULL, event_type text NOT NULL, event_data jsonb, "
        "created_at timestamptz)"
    )

    def event(session: Any) -> dict[str, Any]:
        return {"id": {"S": uuid(1)}, "timestamp": {"N": "1767225600000"}, "sessionId": session, "eventType": {"S": "CALL_JOINED"}}

    lab.server.streams = {MEETING_AUDIT.source: FakeStream(MEETING_AUDIT.source, MEETING_AUDIT.key, BEGIN - 3600)}
    lab = Lab(lab.database, lab.folder / "audit", lab.server, MEETING_AUDIT)
    stream = loaded(lab, event({"S": uuid(7)}))
    stream.write(event({"S": "no uuid"}))
    lab.drain()
    assert lab.outdated() == 1
    stream.write(event({"S": uuid(8)}))
    lab.drain()
    assert lab.outdated() == 0
    assert lab.database.query("SELECT session_id::text FROM video_call_audit_log") == [(uuid(8),)]


UNIQUE = "CREATE UNIQUE INDEX ON thing (name)"


def taken(lab: Lab) -> FakeStream:
    """An item has a name that the row of somebody else has, so it waits."""
    lab.database.execute(UNIQUE)
    stream = loaded(lab, thing(1, "a"))
    lab.database.execute("INSERT INTO thing (id, name) VALUES (%s, 'b')", uuid(9))
    stream.write(thing(1, "b"))
    return stream


def test_what_is_set_aside_is_read_again_after_a_kill(lab: Lab) -> None:
    """With what came after it, and the ledger holds no value of it."""
    stream = taken(lab)
    with lab.opened() as streams:
        for _ in range(8):
            streams.step()
        assert lab.counts()["set_aside"] == 1
    assert names(lab)[1] == "a"
    stream.split(Random(0))
    stream.write(thing(1, "b", kind={"S": "later"}))
    with lab.opened() as streams:
        for _ in range(3):
            streams.step()
        assert lab.counts() == {"skipped": 1, "compacted": 1, "set_aside": 1}
    lab.database.execute("DELETE FROM thing WHERE id = %s", uuid(9))
    lab.drain()
    assert lab.database.query("SELECT name, kind FROM thing") == [("b", "later")]
    assert lab.counts() == {"skipped": 1, "compacted": 1, "updated": 1}


def test_what_is_set_aside_for_ever_is_a_dead_letter(lab: Lab) -> None:
    stream = taken(lab)
    stream.now += PATIENCE + 10
    lab.drain()
    assert [code for code, _, _ in lab.dead_letters()] == ["unique_conflict"]
    assert (names(lab)[1], lab.outdated(), lab.counts()["dead_letters"]) == ("a", 1, 1)
    stream.write(thing(1, "c"))
    lab.drain()
    assert (names(lab)[1], lab.outdated()) == ("c", 0)


def test_what_waits_for_something_newer_that_waits_is_no_dead_letter(lab: Lab) -> None:
    """Item 2 waits for a name of item 1, which waits itself, and changed again only now."""
    stream = taken(lab)
    stream.write(thing(2, "a"))
    stream.now += PATIENCE + 10
    stream.write(thing(1, "b", kind={"S": "later"}))
    with lab.opened() as streams:
        for _ in range(8):
            streams.step()
    assert lab.counts()["set_aside"] == 2
    lab.database.execute("DELETE FROM thing WHERE id = %s", uuid(9))
    lab.drain()
    assert names(lab) == {1: "b", 2: "a"}
    assert not lab.dead_letters()


def test_what_came_and_went_while_it_was_set_aside_waits_no_more(lab: Lab) -> None:
    """Though nothing else is applied with it; the next follower would find it again, and count it twice."""
    lab.database.execute(UNIQUE)
    stream = loaded(lab, thing(1, "a"))
    stream.write(thing(2, "a"))
    with lab.opened() as streams:
        for _ in range(8):
            streams.step()
        assert lab.counts()["set_aside"] == 1
        stream.delete({"id": {"S": uuid(2)}})
        for _ in range(3):
            streams.step()
    assert lab.database.value("SELECT count(*) FROM ddb2pg.stream_aside") == 0
    lab.drain()
    assert names(lab) == {1: "a"}
    assert "set_aside" not in lab.counts()


def test_unique_values_that_go_around(lab: Lab) -> None:
    lab.database.execute(UNIQUE)
    stream = loaded(lab, thing(1, "a"), thing(2, "b"))
    stream.items = {}  # a transaction of DynamoDB writes both
    before = [thing(1, "a"), thing(2, "b")]
    for item in before:
        stream.items[f'{{"id": {{"S": "{item["id"]["S"]}"}}}}'] = item
    stream.write(thing(1, "b"))
    stream.write(thing(2, "a"))
    lab.drain()
    assert names(lab) == {1: "b", 2: "a"}
    assert not lab.dead_letters()


def test_a_row_waits_for_that_of_another_table(lab: Lab) -> None:
    """A child comes before its parent: it is no dead letter while the parent's stream is behind, and one when that is past its time."""
    owners = replace(THING, source="owners", target="owner", columns=THING.columns[:2])
    lab.database.execute("CREATE TABLE owner (id uuid PRIMARY KEY, name text)")
    lab.database.execute("ALTER TABLE thing ADD FOREIGN KEY (parent) REFERENCES owner")
    lab.server.streams["owners"] = FakeStream("owners", owners.key, BEGIN - 3600)
    lab = Lab(lab.database, lab.folder / "two", lab.server, owners, THING)
    lab.load()
    things, parents = lab.stream(THING), lab.stream(owners)
    lab.set_time(BEGIN + MARGIN + 10)
    things.write(thing(1, "a", parent={"S": uuid(8)}))
    things.write(thing(2, "a", parent={"S": uuid(9)}))
    with lab.opened() as streams:
        for _ in range(8):
            streams.step()
        things.now += PATIENCE + 10
        things.write(thing(3, "a"))  # its own stream is past its time
        streams.step()
        assert names(lab) == {3: "a"}
        parents.write({"id": {"S": uuid(8)}, "name": {"S": "p"}})
        streams.step()
        streams.step()
        assert names(lab) == {1: "a", 3: "a"}
        assert not lab.dead_letters()
    lab.set_time(things.now)
    lab.drain()
    assert names(lab) == {1: "a", 3: "a"}
    assert [code for code, _, _ in lab.dead_letters()] == ["foreign_key_violation"]


def test_dead_letters_of_a_stream_are_not_replayed(lab: Lab) -> None:
    """Newer records may have passed them."""
    stream = loaded(lab, thing(1, "a"))
    stream.write(thing(1, {"N": "1"}))
    lab.drain()
    options = ReplayOptions(
        folder=str(lab.folder / "stream-out" / "run-1"),
        database_secret=lab.migration.reference.text,
        output_given=OutputFolder(str(lab.folder / "replayed")),
    )
    vars(options)["tables"] = lab.tables
    before = lab.migration.everything()
    with pytest.raises(Refused):
        replay(options, Console(quiet=True))
    assert lab.migration.everything() == before


# -- what is told --------------------------------------------------------------------------------------------------------------------------


def test_no_value_is_told(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    """Of what is applied, refused, set aside and in conflict."""
    lab.database.execute(UNIQUE)
    stream = loaded(lab, thing(1, f"{SECRET}-1"), thing(2, f"{SECRET}-2"))
    lab.database.execute("INSERT INTO thing (id, name) VALUES (%s, %s)", uuid(9), f"{SECRET}-9")
    stream.write(thing(1, {"SS": [SECRET]}))
    stream.write(thing(2, f"{SECRET}-9"))
    stream.write(thing(3, f"{SECRET}-3"))
    with lab.opened() as streams:
        for _ in range(8):
            streams.step()
    rows = [text for table, of_table in lab.migration.everything() if table.startswith("ddb2pg.") for (text,) in of_table]
    assert any("aside" in table and of_table for table, of_table in lab.migration.everything())
    lab.database.execute("UPDATE thing SET name = 'x' WHERE id = %s", uuid(3))
    stream.write(thing(3, f"{SECRET}-4"))
    with pytest.raises(Stopped) as stopped:
        lab.drain()
    with Session(lab.migration.reference) as session:
        [outcome] = session.transact(streams_so_far)
    told = [*rows, str(stopped.value), repr(outcome), *capfd.readouterr()]
    assert not [text for text in told if SECRET in text or uuid(1) in text]


def test_the_outcome_adds_up(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"), thing(2, "a"))
    stream.write(thing(1, "b"))
    stream.delete({"id": {"S": uuid(2)}})
    stream.write(thing(3, {"N": "1"}))
    lab.drain()
    with Session(lab.migration.reference) as session:
        [outcome] = session.transact(streams_so_far)
    assert {part.name: part.count for part in outcome.parts if part.count} == {"skipped": 2, "updated": 1, "deleted": 1, "dead_letters": 1}
    assert (outcome.total, outcome.seen, outcome.problems) == (5, 5, ())
    assert outcome.needs_review


def test_throttled_and_expired_calls_are_repeated(lab: Lab) -> None:
    stream = loaded(lab, thing(1, "a"))
    lab.server.chance = Random(3)
    lab.server.page = 1
    for number in range(40):
        stream.write(thing(number, "b"))
    lab.drain()
    lab.server.chance = None
    assert names(lab) == dict.fromkeys(range(40), "b")
    assert timedelta(0) < time_of(stream.now) - lab.state().from_time


# -- the proof -----------------------------------------------------------------------------------------------------------------------------


def test_it_is_proved_by_a_fresh_export_of_any_later_time(lab: Lab) -> None:
    """What was written after that, and has come, is a difference; so it is of a time when no writes go on."""
    stream = loaded(lab, thing(1, "a"), thing(2, "a"))
    lab.drain()
    before = stream.now
    lab.stream().write(thing(1, "b"))
    stream.write(thing(3, "b"))
    lab.drain()

    def compare(second: int, *items: dict[str, Any]) -> Any:
        time = f"{time_of(second):%Y-%m-%dT%H:%M:%S}.000Z"
        lines = [orjson.dumps({"Item": item}) for item in items]
        folder = lab.folder / f"fresh-{len(list(lab.folder.glob('fresh-*')))}"
        export = write_export(folder, THING.source, [lines], "01800000000000-0123abcd", tableId=stream.table_id, exportTime=time)
        return lab.migration.validate(export, as_of=True)

    report = compare(before + 2, *stream.items.values())
    assert (report.exit_code, report.mismatches()) == (0, [])
    report = compare(before, thing(1, "a"), thing(2, "a"))
    assert (report.exit_code, sorted(one["kind"] for one in report.mismatches())) == (3, ["different", "row_without_item"])
    assert "what was written after it and has come" in report.tables[0]["checks"][-1]["detail"]
    with pytest.raises(Refused, match="Stop the writes"):
        compare(BEGIN - 1, thing(1, "a"))
    [full] = [path.parent for path in lab.folder.glob("things/**/manifest-summary.json")]
    with pytest.raises(Refused, match="its stream is followed, and what it brought is in no export"):
        lab.migration.validate(full)
