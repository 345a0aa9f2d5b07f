"""A table with a stream, its full export loaded, and followers of it within this process."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.ledger.streams import find_stream
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import RecordFormat
from pipeline.stream.begin import Streams, StreamSettings, open_streams
from pipeline.stream.follow import StreamTimes
from pipeline.target.fates import Conflicts
from pipeline.target.session import Session
from tests.aws_server import environment
from tests.handmade_export import write_export
from tests.histories import BEGIN
from tests.pipeline.target.made_loads import THING
from tests.plain_windows import Migration
from tests.postgres_server import Database
from tests.stream_server import FakeStream, StreamServer, time_of
from transforms.table import Table

MARGIN = 20
PATIENCE = 5


class Lab:
    """Streams whose tables were exported as of `BEGIN`, which is `now` of each until it is moved."""

    def __init__(self, database: Database, folder: Path, server: StreamServer, *tables: Table) -> None:
        self.database = database
        self.folder = folder
        self.server = server
        self.tables = tables or (THING,)
        self.migration = Migration(database, folder, *self.tables)
        self.runs = 0
        server.clock = lambda: min(self.stream(table).now for table in self.tables)

    def stream(self, table: Table | None = None) -> FakeStream:
        return self.server.streams[(table or self.tables[0]).source]

    def load(self) -> None:
        """The full exports of what the tables hold now, as of `BEGIN`."""
        exports = []
        for table in self.tables:
            stream = self.stream(table)
            lines = [orjson.dumps({"Item": item}) for item in stream.items.values()]
            exports.append(
                write_export(
                    self.folder, table.source, [lines], tableId=stream.table_id, exportTime=f"{time_of(BEGIN):%Y-%m-%dT%H:%M:%S}.000Z"
                )
            )
        report = self.migration.run(*exports)
        assert report.exit_code == 0, list(report.dead_letters())

    def set_time(self, second: int) -> None:
        for stream in self.server.streams.values():
            stream.now = second

    def open(self, conflicts: Conflicts = Conflicts.STOP, *, margin: int = MARGIN, lag: timedelta = timedelta(0)) -> Streams:
        self.runs += 1
        settings = StreamSettings(
            self.migration.reference,
            AwsSettings(self.server.url, "eu-central-1"),
            conflicts,
            RecordFormat.JSONL,
            f"run-{self.runs}",
            OutputFolder(str(self.folder / "stream-out" / f"run-{self.runs}")),
            StreamTimes(timedelta(seconds=margin), timedelta(seconds=PATIENCE)),
            lambda: time_of(self.server.clock()) + lag,
        )
        settings.run_folder.make()
        return open_streams(self.tables, self.tables, settings)

    @contextmanager
    def opened(self, conflicts: Conflicts = Conflicts.STOP) -> Iterator[Streams]:
        with self.open(conflicts) as streams:
            yield streams

    def drain(self, conflicts: Conflicts = Conflicts.STOP) -> None:
        """Let time pass, and apply all."""
        until = self.stream().now
        self.set_time(until + max(2 * MARGIN, PATIENCE) + 10)
        with self.open(conflicts) as streams:
            streams.drain(time_of(until + MARGIN))

    def state(self) -> Any:
        with Session(self.migration.reference) as session:
            chain = self.database.value("SELECT chain FROM ddb2pg.stream ORDER BY chain LIMIT 1")
            return session.transact(lambda cursor: find_stream(cursor, chain))

    def counts(self) -> dict[str, int]:
        """What became of records, without what did not come."""
        counts = self.state().counts
        return {name: getattr(counts, name) for name in counts.__dataclass_fields__ if getattr(counts, name)}

    def outdated(self) -> int:
        return int(self.database.value("SELECT count(*) FROM ddb2pg.outdated WHERE superseded_by IS NULL"))

    def dead_letters(self) -> list[tuple[str, str, str]]:
        """Code, data file and line of each, of all runs."""
        return [
            (record["errors"][0]["code"], record["data_file"], record["item"])
            for path in sorted(self.folder.glob("stream-out/*/dead_letters/*/*"))
            for record in map(orjson.loads, gzip.decompress(path.read_bytes()).splitlines())
        ]


def use_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that the server takes, as any."""
    for name, value in environment("http://127.0.0.1:1").items():
        if name != "AWS_ENDPOINT_URL":
            monkeypatch.setenv(name, value)


def put(stream: FakeStream, *items: Mapping[str, Any]) -> None:
    for item in items:
        stream.write(item)


def names(database: Database) -> Sequence[tuple[Any, ...]]:
    return database.query("SELECT id::text, name FROM thing ORDER BY id")
