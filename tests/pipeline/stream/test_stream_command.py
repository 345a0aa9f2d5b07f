"""`ddb2pg follow --stream` as a user runs it, and followers that are killed while a table is written to, against moto's stream."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.aws_server import REGION, AwsServer, environment
from tests.command_line import CommandLine
from tests.faults.jobs import wait_until
from tests.handmade_export import write_export
from tests.pipeline.stream.stream_process import TABLE_ID, opened
from tests.pipeline.stream.streamed import use_keys
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.plain_windows import Migration, use_plain_visits
from tests.postgres_server import Database
from tests.stream_server import FakeStream, StreamServer, time_of

SECRET = "patient-0815"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, bare: Database) -> None:
    use_plain_visits(monkeypatch)
    bare.execute(PLAIN)


def item(number: int, name: str) -> dict[str, Any]:
    return {"id": {"S": uuid(number)}, "name": {"S": name}}


def names(database: Database) -> dict[int, str]:
    return {int(key[-12:], 16): name for key, name in database.query("SELECT id::text, name FROM thing")}


def load(database: Database, folder: Path, items: list[Mapping[str, Any]], second: int, table_id: str) -> None:
    export = write_export(
        folder,
        THING.source,
        [[json.dumps({"Item": one}).encode() for one in items]],
        tableId=table_id,
        exportTime=f"{time_of(second):%Y-%m-%dT%H:%M:%S}.000Z",
    )
    assert Migration(database, folder, THING).run(export).exit_code == 0


# -- the command ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stream() -> FakeStream:
    """An hour old; its table was exported ten minutes ago."""
    stream = FakeStream(THING.source, THING.key, int(time.time()) - 3600)
    stream.now = int(time.time()) - 1_800
    stream.write(item(1, "a"))
    stream.write(item(2, "a"))
    return stream


@pytest.fixture
def follow(stream: FakeStream, bare: Database, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    load(bare, tmp_path, list(stream.items.values()), int(time.time()) - 600, stream.table_id)
    (tmp_path / "things.py").write_text("from tests.pipeline.target.made_loads import THING\n\nTABLES = [THING]\n")
    run = CommandLine(bare.url, tmp_path)
    with StreamServer(stream) as server:
        aws = environment(server.url)

        def follow(*more: str, starts: bool = False) -> Any:
            given = ["follow", "--stream", "--tables", tmp_path / "things.py", "--output", run.output, *more]
            return run.start(*given, **aws) if starts else run(*given, **aws)

        yield follow


def test_it_goes_on_after_a_kill_and_ends_with_once(follow: Callable[..., Any], stream: FakeStream, bare: Database, tmp_path: Path) -> None:
    stream.now = int(time.time())
    stream.write(item(1, f"{SECRET}-b"))
    running = follow(starts=True)
    wait_until(lambda: names(bare) == {1: f"{SECRET}-b", 2: "a"})
    stream.write(item(3, "c"))
    wait_until(lambda: names(bare).get(3) == "c")
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    stream.split(Random(0))
    stream.delete({"id": {"S": uuid(2)}})
    stream.write({"id": {"S": uuid(4)}, "name": {"NS": [SECRET]}})
    ended = follow("--once")
    assert (ended.exit_code, names(bare)) == (3, {1: f"{SECRET}-b", 3: "c"})
    assert "6 records of the stream = 6 accounted for" in " ".join(ended.output.split())
    report = json.loads(max(tmp_path.glob("out/*/report.json")).read_text())
    [table] = report["tables"]
    assert {part["name"]: part["count"] for part in table["parts"] if part["count"]} == {
        "skipped": 2,
        "updated": 1,
        "inserted": 1,
        "deleted": 1,
        "dead_letters": 1,
    }
    status = CommandLine(bare.url, tmp_path)("status")
    assert "the stream after" in status.output
    told = [ended.output, status.output, *(path.read_text() for path in tmp_path.glob("out/*/report.*"))]
    assert not [text for text in told if SECRET in text]


def test_windows_need_a_place_to_be_exported_to(bare: Database, tmp_path: Path, stream: FakeStream) -> None:
    load(bare, tmp_path, [], int(time.time()) - 600, stream.table_id)
    (tmp_path / "things.py").write_text("from tests.pipeline.target.made_loads import THING\n\nTABLES = [THING]\n")
    refused = CommandLine(bare.url, tmp_path)("follow", "--tables", tmp_path / "things.py")
    assert (refused.exit_code, "--to is missing" in refused.output) == (2, True)


# -- moto ----------------------------------------------------------------------------------------------------------------------------------


class Writer(threading.Thread):
    """Puts and deletes items until it is told to stop."""

    def __init__(self, dynamodb: Any, seed: int) -> None:
        super().__init__()
        self._dynamodb, self._chance = dynamodb, Random(seed)
        self._is_told = threading.Event()
        self.writes = 0

    def run(self) -> None:
        while not self._is_told.is_set():
            self.write()

    def write(self) -> None:
        number = self._chance.randint(1, 40)
        if self._chance.random() < 0.3:
            self._dynamodb.delete_item(TableName=THING.source, Key={"id": {"S": uuid(number)}})
        else:
            self._dynamodb.put_item(TableName=THING.source, Item=item(number, f"name {self._chance.randint(1, 10**6)}"))
        self.writes += 1

    def stop(self) -> None:
        self._is_told.set()
        self.join()


@pytest.fixture
def table(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    use_keys(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.endpoint_url)
    monkeypatch.setenv("AWS_REGION", REGION)
    dynamodb = aws_server.client("dynamodb")
    dynamodb.create_table(
        TableName=THING.source,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    yield dynamodb
    dynamodb.delete_table(TableName=THING.source)


def test_it_says_at_once_that_nothing_is_written_yet(stream: FakeStream, bare: Database, tmp_path: Path) -> None:
    """After an export of just now, for 2 minutes: silence would look like a command that hangs."""
    load(bare, tmp_path, list(stream.items.values()), int(time.time()) - 5, stream.table_id)
    (tmp_path / "things.py").write_text("from tests.pipeline.target.made_loads import THING\n\nTABLES = [THING]\n")
    run = CommandLine(bare.url, tmp_path)
    with StreamServer(stream) as server:
        running = run.start("follow", "--stream", "--tables", tmp_path / "things.py", "--output", run.output, **environment(server.url))
        wait_until(lambda: "nothing is written before" in running.printed() or running.poll() is not None)
        assert running.poll() is None
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def items_of(dynamodb: Any) -> list[Mapping[str, Any]]:
    return list(dynamodb.scan(TableName=THING.source)["Items"])


def test_followers_that_are_killed_under_load_lose_nothing(
    table: Any, bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Item by item; now and then two follow at once."""
    monkeypatch.setenv("DATABASE_URL", bare.url)
    before = Writer(table, 1)
    created = table.describe_table(TableName=THING.source)["Table"]["CreationDateTime"]
    for _ in range(60):
        before.write()
    # The export is as of a whole second that is over, and after which nothing was written yet.
    second = int(max(datetime.now(UTC), created).timestamp()) + 2
    wait_until(lambda: time.time() > second)
    load(bare, tmp_path, items_of(table), second, TABLE_ID)
    folder = str(tmp_path / "stream")
    writer = Writer(table, 2)
    writer.start()
    followers: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(4):
            followers.append(subprocess.Popen([sys.executable, "-m", "tests.pipeline.stream.stream_process", folder]))
            read = read_so_far(bare)
            wait_until(lambda read=read: read_so_far(bare) > read)
            if number % 2:
                kill(followers)
    finally:
        writer.stop()
        kill(followers)
    assert writer.writes
    with opened(folder) as streams:
        [progress] = streams.drain(datetime.now(UTC))
    assert progress.set_aside == 0
    expected = {one["id"]["S"]: one["name"]["S"] for one in items_of(table)}
    assert dict(bare.query("SELECT id::text, name FROM thing")) == expected
    assert not list(tmp_path.glob("stream/dead_letters/*/*"))


def read_so_far(database: Database) -> int:
    with contextlib.suppress(Exception):  # no ledger, or no stream in it yet
        return int(database.value("SELECT coalesce(max(read), 0) FROM ddb2pg.stream"))
    return 0


def kill(followers: list[subprocess.Popen[bytes]]) -> None:
    for follower in followers:
        follower.kill()
        follower.wait()
    followers.clear()
