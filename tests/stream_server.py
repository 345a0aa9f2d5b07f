"""DynamoDB Streams for tests, over HTTP: shards that split, records that are trimmed, iterators that expire, answers without records.

What AWS documents: a shard's records are in order; a closed shard's children have the later records of its items; an answer may have no
records though there are more; a record is kept for 24 hours. moto's stream has one shard for ever.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from tests.json_server import JsonServer

Item = Mapping[str, Any]
ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/{}/stream/2026-01-01T00:00:00.000"


@dataclass
class FakeShard:
    shard_id: str
    parent: str | None
    slots: frozenset[int]
    """Of the hashes of keys."""
    first: int
    """Its first sequence number."""
    records: list[dict[str, Any]] = field(default_factory=list)
    trimmed: int = 0
    is_closed: bool = False


SLOTS = 16


class FakeStream:
    """A table's writes as its stream has them. `now` is the clock of the writes, in seconds since 1970."""

    def __init__(self, table: str, key: tuple[str, ...], now: int, *, view: str = "NEW_AND_OLD_IMAGES", table_id: str = "") -> None:
        self.table, self.key, self.now, self.view = table, key, now, view
        self.table_id = table_id or f"id-of-{table}"
        self.created = now - 86_400
        self.is_enabled = True
        self.arn = ARN.format(table)
        self.items: dict[str, Item] = {}
        self.shards: dict[str, FakeShard] = {}
        self.late = 0
        """Seconds by which records are later than their writes."""
        self._sequence = 10**20
        self._lock = threading.RLock()
        self._grow(None, frozenset(range(SLOTS)))

    def _grow(self, parent: str | None, slots: frozenset[int]) -> None:
        name = f"shardId-{len(self.shards):020d}-abcd"
        self._sequence += 1
        self.shards[name] = FakeShard(name, parent, slots, self._sequence)

    def write(self, item: Item) -> None:
        self._record(item, item)

    def delete(self, key: Item) -> None:
        self._record(key, None)

    def _record(self, item: Item, new: Item | None) -> None:
        with self._lock:
            keys = {name: item[name] for name in self.key}
            text = json.dumps(keys, sort_keys=True)
            old = self.items.get(text)
            if old is None and new is None:
                return
            if new is None:
                del self.items[text]
            else:
                self.items[text] = new
            # As AWS: a write that changes nothing gives no record.
            if old == new:
                return
            self._sequence += 1
            record = {"ApproximateCreationDateTime": self.now + self.late, "Keys": keys, "SequenceNumber": str(self._sequence)}
            if old is not None and self.view == "NEW_AND_OLD_IMAGES":
                record["OldImage"] = old
            if new is not None:
                record["NewImage"] = new
            name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
            shard = self.shard_of(item)
            shard.records.append({"eventName": name, "dynamodb": record})

    def shard_of(self, key: Item) -> FakeShard:
        """The open one that has an item's next record."""
        slot = sum(json.dumps({name: key[name] for name in self.key}, sort_keys=True).encode()) % SLOTS
        return next(shard for shard in self.open_shards if slot in shard.slots)

    @property
    def open_shards(self) -> list[FakeShard]:
        return [shard for shard in self.shards.values() if not shard.is_closed]

    def split(self, chance: Random) -> None:
        """Close a shard, which one or two others follow."""
        with self._lock:
            shard = chance.choice(self.open_shards)
            shard.is_closed = True
            slots = sorted(shard.slots)
            if len(slots) > 1 and chance.random() < 0.6:
                half = len(slots) // 2
                self._grow(shard.shard_id, frozenset(slots[:half]))
                self._grow(shard.shard_id, frozenset(slots[half:]))
            else:
                self._grow(shard.shard_id, shard.slots)

    def trim(self, shard_id: str, records: int) -> None:
        """So many of the oldest of a shard are gone."""
        self.shards[shard_id].trimmed = records

    def forget(self, shard_id: str) -> None:
        with self._lock:
            del self.shards[shard_id]


class StreamServer(JsonServer):
    """Answers the four calls and DescribeTable, of several streams."""

    def __init__(self, *streams: FakeStream, page: int = 1000, chance: Random | None = None) -> None:
        super().__init__()
        self.streams = {stream.table: stream for stream in streams}
        self.page = page
        self.chance = chance
        """Of answers without records, of iterators that expired, and of calls that are throttled."""
        self.read: list[str] = []
        """The shards of which records were asked for."""
        self.calls_left = 1_000_000
        """Then it answers no more: a follower that finds no end must not go on for ever."""
        self.is_read_only = False
        self.withheld: set[str] = set()
        """Shards that give no records for now, as one may that has some further on."""
        self.clock: Callable[[], float] = time.time
        self.before: Callable[[str, dict[str, Any]], None] = lambda *_: None

    def time(self) -> float:
        return self.clock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:  # noqa: ARG002
        asked = json.loads(body)
        operation = self._operation(asked)
        self.before(operation, asked)
        self.calls_left -= 1
        try:
            if self.calls_left < 0:
                raise _Fault("AccessDeniedException")
            return 200, getattr(self, f"_{operation}")(asked)
        except _Fault as fault:
            return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{fault.args[0]}", "message": "a message with a secret value"}

    @staticmethod
    def _operation(asked: Mapping[str, Any]) -> str:
        if "RequestItems" in asked:
            return "batch_get_item"
        if "TableName" in asked:
            return "put_item" if "Item" in asked else "delete_item" if "Key" in asked else "describe_table"
        if "ShardIteratorType" in asked:
            return "get_shard_iterator"
        return "get_records" if "ShardIterator" in asked else "describe_stream"

    def _of_arn(self, arn: str) -> FakeStream:
        found = next((stream for stream in self.streams.values() if stream.arn == arn), None)
        if found is None:
            raise _Fault("ResourceNotFoundException")
        return found

    def _describe_table(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        stream = self.streams.get(asked["TableName"])
        if stream is None:
            raise _Fault("ResourceNotFoundException")
        table = {"TableName": stream.table, "TableId": stream.table_id, "LatestStreamArn": stream.arn}
        table["KeySchema"] = [{"AttributeName": name, "KeyType": kind} for name, kind in zip(stream.key, ("HASH", "RANGE"), strict=False)]
        table["AttributeDefinitions"] = [{"AttributeName": name, "AttributeType": "S"} for name in stream.key]
        return {"Table": table}

    def _put_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._may_write(asked).write(asked["Item"])
        return {}

    def _delete_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._may_write(asked).delete(asked["Key"])
        return {}

    def _may_write(self, asked: Mapping[str, Any]) -> FakeStream:
        if self.is_read_only:
            raise _Fault("AccessDeniedException")
        return self.streams[asked["TableName"]]

    def _batch_get_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        ((table, wanted),) = asked["RequestItems"].items()
        stream = self.streams[table]
        texts = [json.dumps(key, sort_keys=True) for key in wanted["Keys"]]
        assert wanted["ConsistentRead"]
        return {"Responses": {table: [stream.items[text] for text in texts if text in stream.items]}, "UnprocessedKeys": {}}

    def _describe_stream(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        stream = self._of_arn(asked["StreamArn"])
        shards = list(stream.shards.values())
        after = asked.get("ExclusiveStartShardId")
        begin = 0 if after is None else [shard.shard_id for shard in shards].index(after) + 1
        page = shards[begin : begin + 2]
        answer: dict[str, Any] = {
            "StreamArn": stream.arn,
            "StreamStatus": "ENABLED" if stream.is_enabled else "DISABLED",
            "StreamViewType": stream.view,
            "CreationRequestDateTime": stream.created,
            "Shards": [{"ShardId": shard.shard_id, **({"ParentShardId": shard.parent} if shard.parent else {})} for shard in page],
        }
        if begin + 2 < len(shards):
            answer["LastEvaluatedShardId"] = page[-1].shard_id
        return {"StreamDescription": answer}

    def _get_shard_iterator(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        stream = self._of_arn(asked["StreamArn"])
        shard = stream.shards.get(asked["ShardId"])
        if shard is None:
            raise _Fault("ResourceNotFoundException")
        kind, place = asked["ShardIteratorType"], int(asked.get("SequenceNumber", 0))
        if kind == "TRIM_HORIZON":
            begin = shard.trimmed
        else:
            later = [number for number, record in enumerate(shard.records) if _sequence(record) >= place + (kind[:2] == "AF")]
            begin = later[0] if later else len(shard.records)
            if begin < shard.trimmed or (begin == len(shard.records) == shard.trimmed > 0):
                raise _Fault("TrimmedDataAccessException")
        return {"ShardIterator": f"{stream.table}|{shard.shard_id}|{begin}"}

    def _get_records(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        table, shard_id, begin = asked["ShardIterator"].split("|")
        stream = self.streams[table]
        self.read.append(shard_id)
        shard = stream.shards.get(shard_id)
        if shard is None:
            raise _Fault("ResourceNotFoundException")
        if self.chance and self.chance.random() < 0.05:
            raise _Fault("ExpiredIteratorException")
        if shard_id in self.withheld:
            return {"Records": [], "NextShardIterator": asked["ShardIterator"]}
        count = 0 if self.chance and self.chance.random() < 0.1 else min(self.page, asked.get("Limit", 1000))
        first = int(begin)
        if first < shard.trimmed:
            raise _Fault("TrimmedDataAccessException")
        is_closed = shard.is_closed
        records = shard.records[first : first + count]
        end = first + len(records)
        answer: dict[str, Any] = {"Records": records}
        if not (is_closed and end >= len(shard.records)):
            answer["NextShardIterator"] = f"{table}|{shard_id}|{end}"
        return answer


class _Fault(Exception):
    pass


def _sequence(record: Mapping[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def time_of(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)
