"""How many changes of a stream one process applies a second: from a record as boto3 gives it to a committed row.

    .test-venv/bin/python benchmarks/stream.py [--changes 100000] [--rows 100000] [--shards 4] [--rounds 3]

The records are made beforehand and handed over in answers of 1,000, as GetRecords gives them at most, so neither AWS nor the network is
measured. 60 % of them are updates, 20 % inserts and 20 % deletes, each of another item.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.server import BenchmarkServer
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import RecordFormat
from pipeline.stream import begin
from pipeline.stream.begin import StreamSettings, open_streams
from pipeline.stream.reader import ListedShard, ListedStream, ReadShard, StreamedTable, stream_record
from pipeline.target.fates import Conflicts
from tests.handmade_export import write_export
from tests.plain_windows import Migration, use_plain_visits
from tests.postgres_server import Database
from transforms.tables.medzen import VIDEO_SESSIONS

_ID = "00000000-0000-4000-8000-000000000000"
_ANSWER = 1_000


def main() -> None:
    """The median of some rounds, each into a table of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rates = []
    server = BenchmarkServer()
    try:
        with pytest.MonkeyPatch.context() as patch:
            use_plain_visits(patch)
            for _ in range(arguments.rounds):
                with tempfile.TemporaryDirectory(prefix="ddb2pg-bench-") as folder:
                    rates.append(_round(Path(folder), server.fresh_database(), arguments, patch))
                print(f"{rates[-1]:,.0f} changes/s", flush=True)
    finally:
        server.stop()
    print(f"median {statistics.median(rates):,.0f} changes/s")


def _round(folder: Path, database: Database, arguments: argparse.Namespace, patch: pytest.MonkeyPatch) -> float:
    chance, second = Random(1), int(time.time()) - 3_600
    items = [_item(number, chance) for number in range(arguments.rows)]
    migration = Migration(database, folder, VIDEO_SESSIONS, chunk_items=5_000, split_items=1_000_000)
    lines = [orjson.dumps({"Item": item}) for item in items]
    at = datetime.fromtimestamp(second, UTC).isoformat()
    report = migration.run(write_export(folder, VIDEO_SESSIONS.source, [lines], tableId=_ID, exportTime=at))
    if report.exit_code:
        sys.exit("the table was not loaded")
    fed = _Fed(list(_records(items, arguments.changes, second + 600, chance)), arguments.shards)
    listed = ListedStream("arn", True, "NEW_AND_OLD_IMAGES", datetime.fromtimestamp(second - 3_600, UTC), fed.shards)
    patch.setattr(begin, "find_streams", lambda *_: (StreamedTable(VIDEO_SESSIONS.source, _ID, "arn", timedelta()), listed))
    patch.setattr(begin, "StreamReader", lambda *_: fed)
    fed.listed = listed
    settings = StreamSettings(
        migration.reference, AwsSettings(), Conflicts.STOP, RecordFormat.JSONL, "run", OutputFolder(str(folder / "stream"))
    )
    with open_streams([VIDEO_SESSIONS], [VIDEO_SESSIONS], settings) as streams:
        began, of_cpu, read = time.monotonic(), time.process_time(), 0
        while read < arguments.changes:
            [progress] = streams.step()
            read += progress.read
        seconds, of_cpu = time.monotonic() - began, time.process_time() - of_cpu
    print(f"{of_cpu / arguments.changes * 1e6:.0f} us of CPU in this process a change", flush=True)
    counts = progress.state.counts
    if counts.inserted + counts.updated + counts.deleted != arguments.changes:
        sys.exit(f"not all were applied: {counts}")
    return arguments.changes / seconds


def _item(number: int, chance: Random) -> dict[str, Any]:
    def uuid(kind: int) -> dict[str, str]:
        return {"S": f"00000000-0000-4000-8{kind:03d}-{number:012x}"}

    def time_of_day() -> dict[str, str]:
        return {"N": str(1_700_000_000_000 + chance.randrange(10**9))}

    return {
        "id": uuid(0),
        "appointmentId": uuid(1),
        "providerId": uuid(2),
        "patientId": uuid(3),
        "status": {"S": chance.choice(["INITIATED", "ACTIVE"])},
        "startTime": time_of_day(),
        "endTime": time_of_day(),
        "joinUrl": {"S": f"https://example.org/meetings/{number:032x}"},
        "mediaRegion": {"S": "eu-central-1"},
        "transcriptionEnabled": {"BOOL": True},
        "transcriptLanguage": {"S": "de-DE"},
        "createdAt": time_of_day(),
        "updatedAt": time_of_day(),
    }


def _records(items: Sequence[dict[str, Any]], count: int, second: int, chance: Random) -> Iterator[dict[str, Any]]:
    """As boto3 has them."""
    there = chance.sample(range(len(items)), min(len(items), count))
    for number in range(count):
        kind = chance.choice(["update"] * 3 + ["insert", "delete"]) if there else "insert"
        old = items[there.pop()] if kind != "insert" else None
        new = {**old, "status": {"S": "COMPLETED"}, "mediaRegion": {"S": "us-east-1"}} if old else _item(len(items) + number, chance)
        record = {
            "ApproximateCreationDateTime": datetime.fromtimestamp(second, UTC),
            "Keys": {"id": (old or new)["id"]},
            "SequenceNumber": str(10**20 + number),
            **({"OldImage": old} if old else {}),
            **({"NewImage": new} if kind != "delete" else {}),
        }
        yield {"eventName": {"insert": "INSERT", "update": "MODIFY", "delete": "REMOVE"}[kind], "dynamodb": record}


class _Fed:
    """In place of a `StreamReader`."""

    def __init__(self, records: Sequence[dict[str, Any]], shards: int) -> None:
        self.shards = [ListedShard(f"shard-{number}", None) for number in range(shards)]
        self._records = {shard.shard_id: records[number::shards] for number, shard in enumerate(self.shards)}
        self._at = dict.fromkeys(self._records, 0)
        self.listed: ListedStream

    def describe(self) -> ListedStream:
        return self.listed

    def read(self, shard_id: str, _after: str | None) -> ReadShard:
        begin_at = self._at[shard_id]
        self._at[shard_id] += _ANSWER
        return ReadShard([stream_record(record) for record in self._records[shard_id][begin_at : begin_at + _ANSWER]], is_end=False)


if __name__ == "__main__":
    main()
