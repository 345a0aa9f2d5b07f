"""Any history of a table, over any tree of shards: the target equals the table when its stream is drained, whoever was killed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.stream import apply as stream_apply
from pipeline.stream.begin import Streams
from tests.histories import BEGIN, Item
from tests.pipeline.stream.streamed import MARGIN, Lab, use_keys
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.plain_windows import use_plain_visits
from tests.postgres_server import Database, Server
from tests.stream_server import FakeStream, StreamServer
from transforms.table import Table
from transforms.tables.medzen import MEETING_AUDIT

# A seed is no smaller for being another one.
PROPERTY = settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
CHANCE = st.integers(0, 2**32).map(Random)


class Killed(BaseException):
    """In place of a signal."""


@pytest.fixture(autouse=True, scope="module")
def _plain() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_plain_visits(patch)
        use_keys(patch)
        patch.setattr("pipeline.stream.begin._PAUSE", 0)
        yield


@pytest.fixture(scope="module")
def server_of_streams() -> Iterator[StreamServer]:
    """One, because a client of it is made once."""
    with StreamServer() as server:
        yield server


def database_with(server: Server, statement: str) -> Database:
    database = server.new_database(with_targets=False)
    database.execute(statement)
    return database


class Model:
    """Writes of a table by chance, before its export, in the seconds around it and after it, while followers come and go."""

    def __init__(self, lab: Lab, chance: Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab, self.chance = lab, chance
        self.followers: list[Streams] = []
        self.kills = 0
        self._may_kill(monkeypatch)

    def _may_kill(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before a commit, and after it, before anybody knows of it."""
        note, take = stream_apply.note_step, stream_apply.StreamApplier._take

        def note_or_die(*given: Any) -> Any:
            after = note(*given)
            self._die()
            return after

        def take_or_die(applier: Any, committed: Any) -> Any:
            self._die()
            return take(applier, committed)

        monkeypatch.setattr(stream_apply, "note_step", note_or_die)
        monkeypatch.setattr(stream_apply.StreamApplier, "_take", take_or_die)

    def _die(self) -> None:
        if self.kills and self.chance.random() < 0.1:
            self.kills -= 1
            raise Killed

    def writes(self, count: int, write: Any, seconds: int) -> None:
        stream = self.lab.stream()
        for _ in range(count):
            self.lab.set_time(stream.now + self.chance.randint(0, seconds))
            stream.late = self.chance.choice([0, 0, 0, 1, 3])
            write(stream)
            if self.chance.random() < 0.08:
                stream.split(self.chance)

    def follow(self) -> None:
        """One of two followers takes a step, or one is killed, or begins."""
        chance = self.chance
        if len(self.followers) < 2 and (not self.followers or chance.random() < 0.3):
            self.followers.append(self.lab.open())
        follower = chance.choice(self.followers)
        try:
            follower.step()
        except Killed:
            self.followers.remove(follower)
            follower.__exit__(None, None, None)

    def run(self, write: Any) -> None:
        stream, chance = self.lab.stream(), self.chance
        self.lab.set_time(BEGIN - 200)
        self.writes(chance.randint(0, 30), write, 10)
        self.lab.set_time(min(stream.now, BEGIN - 1))
        self.writes(chance.randint(0, 10), write, 0)
        self.lab.load()
        self.lab.set_time(BEGIN)
        self.kills = 4
        for _ in range(chance.randint(2, 12)):
            self.writes(chance.randint(0, 6), write, chance.choice([1, 10]))
            for _ in range(chance.randint(0, 4)):
                self.follow()
        self.kills = 0
        for follower in self.followers:
            follower.__exit__(None, None, None)
        self.lab.drain()


def model_of(
    database: Database,
    server: StreamServer,
    table: Table,
    targets: str,
    chance: Random,
    run: Any,
    *,
    view: str = "NEW_AND_OLD_IMAGES",
    page: int = 1000,
) -> Lab:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        server.streams = {table.source: FakeStream(table.source, table.key, BEGIN - 3600, view=view)}
        server.page, server.chance, server.calls_left = page, Random(chance.random()), 3_000
        lab = Lab(database, Path(folder), server, table)
        lab.migration.clear(targets)
        Model(lab, chance, patch).run(run)
        assert not lab.dead_letters()
        assert lab.state().counts.set_aside == 0
        assert database.value("SELECT count(*) FROM ddb2pg.stream_aside") == 0
    return lab


# -- by the key ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thing(server: Server) -> Database:
    return database_with(server, PLAIN)


@PROPERTY
@given(chance=CHANCE, view=st.sampled_from(["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]), page=st.sampled_from([1, 3, 1000]))
def test_the_target_is_the_table(thing: Database, server_of_streams: StreamServer, chance: Random, view: str, page: int) -> None:
    def write(stream: FakeStream) -> None:
        key: Item = {"id": {"S": uuid(chance.randint(1, 5))}}
        if chance.random() < 0.35:
            stream.delete(key)
        else:
            stream.write({**key, "name": {"S": chance.choice("abc")}})

    lab = model_of(thing, server_of_streams, THING, "thing", chance, write, view=view, page=page)
    expected = {(item["id"]["S"], item["name"]["S"]) for item in lab.stream().items.values()}
    assert set(thing.query("SELECT id::text, name FROM thing")) == expected


# -- by old images -------------------------------------------------------------------------------------------------------------------------

AUDIT = """
    CREATE TABLE video_call_audit_log (id uuid PRIMARY KEY, session_id uuid NOT NULL, event_type text NOT NULL, event_data jsonb,
                                       created_at timestamptz)
"""


@pytest.fixture(scope="module")
def audit(server: Server) -> Database:
    return database_with(server, AUDIT)


@PROPERTY
@given(chance=CHANCE, page=st.sampled_from([2, 1000]))
def test_rows_that_old_images_find(audit: Database, server_of_streams: StreamServer, chance: Random, page: int) -> None:
    """Its key in DynamoDB is `id` and `timestamp`, that of the target `id`: at any time one item has an id, and not always the same one."""

    def write(stream: FakeStream) -> None:
        number = chance.randint(1, 4)
        of_id = [item for item in stream.items.values() if item["id"]["S"] == uuid(number)]
        if of_id and chance.random() < 0.4:
            stream.delete(of_id[0])
            return
        millis = of_id[0]["timestamp"]["N"] if of_id else f"176722560{chance.randint(0, 2)}000"
        stream.write(
            {
                "id": {"S": uuid(number)},
                "timestamp": {"N": millis},
                "sessionId": {"S": uuid(chance.randint(7, 9))},
                "eventType": {"S": "CALL_JOINED"},
                "eventData": {"M": {"by": {"S": chance.choice("ab")}}},
            }
        )

    lab = model_of(audit, server_of_streams, MEETING_AUDIT, "video_call_audit_log", chance, write, page=page)
    expected = {
        (item["id"]["S"], item["sessionId"]["S"], item["eventData"]["M"]["by"]["S"], item["timestamp"]["N"])
        for item in lab.stream().items.values()
    }
    found = audit.query(
        "SELECT id::text, session_id::text, event_data ->> 'by', (extract(epoch FROM created_at) * 1000)::bigint::text "
        "FROM video_call_audit_log"
    )
    assert set(found) == expected


# -- unique values -------------------------------------------------------------------------------------------------------------------------

UNIQUE = "CREATE TABLE thing (id uuid PRIMARY KEY, name text UNIQUE, kind text, parent uuid, data jsonb)"


@pytest.fixture(scope="module")
def unique(server: Server) -> Database:
    return database_with(server, UNIQUE)


@PROPERTY
@given(chance=CHANCE, page=st.sampled_from([1, 2, 1000]))
def test_unique_values_that_move_between_shards(unique: Database, server_of_streams: StreamServer, chance: Random, page: int) -> None:
    """At any time no two items have one name, but an item that gives a name away and the one that takes it may be in two shards."""

    def write(stream: FakeStream) -> None:
        key: Item = {"id": {"S": uuid(chance.randint(1, 6))}}
        taken = {item["name"]["S"] for item in stream.items.values() if item["id"] != key["id"]}
        free = sorted(set("abcde") - taken)
        if not free or chance.random() < 0.35:
            stream.delete(key)
        else:
            stream.write({**key, "name": {"S": chance.choice(free)}})

    lab = model_of(unique, server_of_streams, THING, "thing", chance, write, page=page)
    expected = {(item["id"]["S"], item["name"]["S"]) for item in lab.stream().items.values()}
    assert set(unique.query("SELECT id::text, name FROM thing")) == expected


def test_the_margin_is_longer_than_a_record_is_late() -> None:
    """Else the model would ask for what cannot be."""
    assert MARGIN > 3
