"""`cutover --stream`: the end of the streams is proved while the application writes until it is told to stop, or does not stop."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.cutover import cutover
from pipeline.options import CutoverOptions
from pipeline.outcome.verdict import verdict
from pipeline.places.storage import OutputFolder
from pipeline.stream import begin
from tests.aws_server import REGION, AwsServer, environment
from tests.command_line import CommandLine, Finished
from tests.faults.jobs import wait_until
from tests.handmade_export import write_export
from tests.pipeline.stream.stream_process import TABLE_ID, TIMES
from tests.pipeline.stream.streamed import use_keys
from tests.pipeline.target.made_loads import PLAIN, THING, uuid
from tests.plain_windows import Migration, use_plain_visits
from tests.postgres_server import Database
from tests.prepared_process import Running
from tests.stream_server import FakeStream, StreamServer, time_of

_STOP = "Stop the writes to DynamoDB now"


class Living:
    """A table with a stream of several shards, exported ten minutes ago and loaded; and commands against it."""

    def __init__(self, server: StreamServer, database: Database, folder: Path) -> None:
        self.server, self.database = server, database
        self.stream = server.streams[THING.source]
        self.run = CommandLine(database.url, folder)
        (folder / "things.py").write_text("from tests.pipeline.target.made_loads import THING\n\nTABLES = [THING]\n")
        self.common = ["--tables", str(folder / "things.py"), "--output", str(self.run.output)]
        self.environment = environment(server.url)

    def put(self, number: int, name: str) -> None:
        self.stream.now = int(time.time())
        self.stream.write({"id": {"S": uuid(number)}, "name": {"S": name}})

    def start(self, *arguments: str) -> Running:
        return self.run.start("cutover", "--stream", "--quiet_seconds", "1", *self.common, *arguments, **self.environment)

    def follow(self) -> Finished:
        return self.run("follow", "--stream", "--once", *self.common, **self.environment)

    def assert_same(self) -> None:
        """As the table is; and none of our own items is left in it."""
        expected = {item["id"]["S"]: item["name"]["S"] for item in self.stream.items.values()}
        assert dict(self.database.query("SELECT id::text, name FROM thing")) == expected

    def is_cut_over(self) -> bool:
        return bool(self.database.value("SELECT count(cut_over_at) FROM ddb2pg.load"))


@pytest.fixture
def living(bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Living]:
    use_plain_visits(monkeypatch)
    bare.execute(PLAIN)
    stream = FakeStream(THING.source, THING.key, int(time.time()) - 3600)
    for _ in range(3):
        stream.split(Random(3))
    stream.now = int(time.time()) - 1800
    for number in range(1, 9):
        stream.write({"id": {"S": uuid(number)}, "name": {"S": "a"}})
    second = int(time.time()) - 600
    lines = [json.dumps({"Item": item}).encode() for item in stream.items.values()]
    time_ = f"{time_of(second):%Y-%m-%dT%H:%M:%S}.000Z"
    export = write_export(tmp_path, THING.source, [lines], tableId=stream.table_id, exportTime=time_)
    assert Migration(bare, tmp_path, THING).run(export).exit_code == 0
    with StreamServer(stream) as server:
        yield Living(server, bare, tmp_path)


class Writer(threading.Thread):
    """Writes until it is told to stop; then it says when it did."""

    def __init__(self, living: Living, is_told: Callable[[], bool]) -> None:
        super().__init__()
        self._living, self._is_told, self.writes = living, is_told, 0

    def run(self) -> None:
        chance = Random(7)
        while not self._is_told():
            self._living.put(chance.randint(1, 40), f"name {chance.randint(1, 10**6)}")
            self.writes += 1
            time.sleep(0.002)  # some hundred writes a second


def test_a_writer_that_stops_when_it_is_told(living: Living) -> None:
    """Item by item; in each of the shards a heartbeat was seen, and none is left."""
    assert len(living.stream.open_shards) > 1
    puts = []
    living.server.before = lambda operation, asked: puts.append(asked["Item"]) if operation == "put_item" else None
    command = living.start("--heartbeat", "--json")
    writer = Writer(living, lambda: _STOP in command_output(command) or command.poll() is not None)
    writer.start()
    stdout, stderr = command.communicate(120)
    writer.join()
    assert command.returncode == 0, stdout + stderr
    told = json.loads(stdout)
    assert told["cut_over"]["stop_seconds"] > 0
    checks = {check["name"]: check["verdict"] for check in told["checks"]["cutover"]}
    assert (checks["writes_stopped"], checks["recent_items"]) == ("pass", "pass")
    assert writer.writes
    assert len(puts) >= len(living.stream.open_shards)
    living.assert_same()
    assert living.is_cut_over()


def command_output(command: Running) -> str:
    """With `--json` people read standard error."""
    return command.printed("stderr") + command.printed()


def test_a_writer_that_does_not_stop_is_refused(living: Living) -> None:
    is_over = threading.Event()
    writer = Writer(living, is_over.is_set)
    writer.start()
    try:
        command = living.start("--heartbeat", "--stop_within", "4")
        stdout, stderr = command.communicate(120)
    finally:
        is_over.set()
        writer.join()
    assert command.returncode == 1, stdout + stderr
    assert "writes go on: in " in stderr
    assert not living.is_cut_over()
    again = living.start("--heartbeat")
    stdout, stderr = again.communicate(120)
    assert again.returncode == 0, stdout + stderr
    living.assert_same()


def test_a_record_that_is_slow_to_come_is_waited_for(living: Living) -> None:
    """A shard answers with nothing for a while, though there is something: only a heartbeat tells."""
    living.put(1, "before")
    assert living.follow().exit_code == 0
    shards = {shard.shard_id for shard in living.stream.open_shards}
    living.server.withheld |= shards
    living.put(2, "slow")
    puts: list[str] = []
    living.server.before = lambda operation, _: puts.append(operation) if operation == "put_item" else None
    command = living.start("--heartbeat")
    wait_until(lambda: puts)
    asked = living.server.calls_left
    wait_until(lambda: living.server.calls_left < asked - 10 * len(shards))
    assert command.poll() is None
    living.server.withheld.clear()
    stdout, stderr = command.communicate(120)
    assert command.returncode == 0, stdout + stderr
    assert living.database.value("SELECT name FROM thing WHERE id = %s", uuid(2)) == "slow"
    living.assert_same()


def test_without_the_right_to_write_it_says_that_the_proof_is_weaker(living: Living) -> None:
    living.server.is_read_only = True
    deletes: list[str] = []
    living.server.before = lambda operation, _: deletes.append(operation) if operation == "delete_item" else None
    refused = living.start("--heartbeat")
    _, stderr = refused.communicate(120)
    assert refused.returncode == 1
    assert "allow these credentials dynamodb:PutItem, or leave out --heartbeat" in stderr
    assert not deletes
    living.put(3, "last")
    command = living.start()
    stdout, stderr = command.communicate(120)
    assert command.returncode == 0, stdout + stderr
    assert "--heartbeat is the better proof" in stdout
    living.assert_same()


def test_an_item_that_is_not_as_its_row_is_not_safe(living: Living) -> None:
    """As DynamoDB has it now, whatever the stream said. No value is told."""
    command = living.start("--heartbeat")
    wait_until(lambda: _STOP in command_output(command) or command.poll() is not None)
    living.put(4, "in the stream")
    (text,) = [text for text in living.stream.items if uuid(4) in text]
    living.stream.items[text] = {**living.stream.items[text], "name": {"S": "patient-0815"}}
    stdout, stderr = command.communicate(120)
    assert command.returncode == 1, stdout + stderr
    assert "items that were touched last 1 are not as their rows" in stdout
    assert "NOT SAFE to switch" in stdout
    assert "patient-0815" not in stdout + stderr
    assert not living.is_cut_over()


def test_what_comes_after_the_cut_over_is_listed_and_never_written(living: Living) -> None:
    command = living.start("--heartbeat")
    stdout, stderr = command.communicate(120)
    assert command.returncode == 0, stdout + stderr
    before = living.database.query("SELECT * FROM thing ORDER BY id")
    living.put(1, "late")
    living.put(30, "late")
    ended = living.follow()
    assert ended.exit_code == 3, ended.output
    assert "2 conflicts" in ended.output
    assert living.database.query("SELECT * FROM thing ORDER BY id") == before


def test_one_way_must_be_chosen(living: Living) -> None:
    def refused(*arguments: Any) -> str:
        finished = living.run("cutover", *living.common, *arguments)
        assert finished.exit_code == 2
        return finished.stderr

    assert "or --stream, which says when to stop it" in refused("--check", "--stream")
    assert "--heartbeat is for --stream" in refused("--check", "--heartbeat")


# -- moto: boto3 on both sides -------------------------------------------------------------------------------------------------------------


class Heard(io.StringIO):
    """What is printed, with something done when the writes are to be stopped."""

    def __init__(self, when_told: Callable[[], None]) -> None:
        super().__init__()
        self._when_told = when_told

    def write(self, text: str) -> int:
        if _STOP in text:
            self._when_told()
        return super().write(text)


def test_a_switch_under_load_over_http(aws_server: AwsServer, bare: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 writes into moto's table up to the moment when it is told to stop; the rows are the table, item by item."""
    use_plain_visits(monkeypatch)
    use_keys(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.endpoint_url)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("DATABASE_URL", bare.url)
    # moto tells no TableId, and its table is not old enough for the usual margin.
    find = begin.find_streams
    monkeypatch.setattr(begin, "find_streams", lambda *given: (replace((found := find(*given))[0], table_id=TABLE_ID), found[1]))
    monkeypatch.setattr(begin, "StreamSettings", partial(begin.StreamSettings, times=TIMES))
    bare.execute(PLAIN)
    dynamodb = aws_server.client("dynamodb")
    dynamodb.create_table(
        TableName=THING.source,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    created = dynamodb.describe_table(TableName=THING.source)["Table"]["CreationDateTime"]
    second = int(max(datetime.now(UTC), created).timestamp()) + 2
    wait_until(lambda: time.time() > second)
    export = write_export(tmp_path, THING.source, [[]], tableId=TABLE_ID, exportTime=f"{time_of(second):%Y-%m-%dT%H:%M:%S}.000Z")
    assert Migration(bare, tmp_path, THING).run(export).exit_code == 0
    is_told = threading.Event()
    counts: list[int] = []
    began, seconds = time.monotonic(), 0.0

    def write(seed: int) -> None:
        chance, own, count = Random(seed), aws_server.client("dynamodb"), 0
        while not is_told.is_set():
            key = {"id": {"S": uuid(chance.randint(1, 200))}}
            if chance.random() < 0.2:
                own.delete_item(TableName=THING.source, Key=key)
            else:
                own.put_item(TableName=THING.source, Item={**key, "name": {"S": f"name {chance.randint(1, 10**6)}"}})
            count += 1
        counts.append(count)
        nonlocal seconds
        seconds = time.monotonic() - began

    writers = [threading.Thread(target=write, args=[seed]) for seed in range(3)]
    for writer in writers:
        writer.start()
    options = CutoverOptions(table=(), stream=True, heartbeat=True, quiet_seconds=2, output_given=OutputFolder(str(tmp_path / "out")))
    vars(options)["tables"] = [THING]
    heard = Heard(is_told.set)
    try:
        run = cutover(options, Console(file=heard, width=300))
    finally:
        is_told.set()
        for writer in writers:
            writer.join()
    items = dynamodb.scan(TableName=THING.source)["Items"]
    dynamodb.delete_table(TableName=THING.source)
    assert verdict(run).sentence == "Safe to switch", heard.getvalue()
    assert dict(bare.query("SELECT id::text, name FROM thing")) == {item["id"]["S"]: item["name"]["S"] for item in items}
    assert "safe to switch since" in heard.getvalue()
    stop = run.results["cut_over"].stop_seconds
    print(f"{sum(counts) / seconds:.0f} writes a second, a stop of {stop} seconds")
