"""What DynamoDB Streams is asked, and its answers as values; what it refuses, as sentences. Nothing here decides what is read next.

The API: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html. A stream is made of
shards, each of which has its records in order. A shard is closed after some hours, or split, and others follow it: of one item all records
in a shard are older than those in the shards that follow it. Records are kept for 24 hours.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, cast

import orjson
from botocore import exceptions

from pipeline.errors import Refused, RefusedForNow, Stopped, StoppedForNow
from pipeline.logs import tell_waiting
from pipeline.places.aws import client, error_code, why
from pipeline.places.place import AwsSettings

KEPT: Final = timedelta(hours=24)
"""Of a record; after that it may be gone at any time."""
MOST_RECORDS: Final = 1_000
"""Of one answer; DynamoDB gives no more than that, and no more than 1 MB."""
_NOT_TOLD: Final = timedelta(seconds=2)
"""By so much clocks may differ without its being seen: an answer tells a whole second, and takes some time."""
_RETRIED_FOR: Final = 120.0  # seconds
_LONGEST_WAIT: Final = 10.0
_TRIMMED: Final = "TrimmedDataAccessException"
_EXPIRED: Final = "ExpiredIteratorException"
_GONE: Final = "ResourceNotFoundException"
_PASSING: Final = {
    "InternalServerError",
    "InternalServerErrorException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
}


class StreamRecord(NamedTuple):
    """What one write did to one item."""

    sequence: str
    """Its place in its shard: a number that grows."""
    second: int
    """When the record was made, in seconds since 1970, rounded down. Not before the write."""
    is_first: bool
    """Whether there was no item of this key before."""
    keys: bytes
    """The attributes of the key as JSON, always in the same order."""
    old: bytes | None
    """The item before, as JSON; None where there was none, or the view has it not."""
    new: bytes | None
    """The item after it; None where it was deleted."""


@dataclass(frozen=True, slots=True)
class ListedShard:
    shard_id: str
    parent: str | None
    """May be gone already."""


@dataclass(frozen=True, slots=True)
class StreamedTable:
    """A table, and its stream if it ever had one."""

    name: str
    table_id: str | None
    stream_arn: str | None
    ahead: timedelta
    """Of our clock is DynamoDB's by so much; AWS takes signatures up to five minutes off."""


@dataclass(frozen=True, slots=True)
class ListedStream:
    arn: str
    is_enabled: bool
    view: str
    """As DynamoDB names it: NEW_IMAGE, KEYS_ONLY ..."""
    created: datetime
    shards: Sequence[ListedShard]


@dataclass(frozen=True, slots=True)
class ReadShard:
    """An answer. One without records does not say that there are none: it may be of a part of the shard that has none."""

    records: Sequence[StreamRecord]
    is_end: bool
    """Whether the shard is closed, and this was the rest of it."""


class Trimmed(Exception):
    """What was to be read is gone: it is older than 24 hours."""


class StreamReader:
    """Asks about one stream. May be used by several threads, of which each reads other shards."""

    def __init__(self, aws: AwsSettings, arn: str) -> None:
        self._calls = _Calls(aws)
        self._arn = arn
        self._iterators: dict[str, tuple[str | None, str]] = {}
        """By shard: after which record, and the iterator that goes on there."""

    def describe(self) -> ListedStream:
        """With all shards that there are. Raises `Stopped`."""
        return self._calls.describe_stream(self._arn)

    def read(self, shard_id: str, after: str | None) -> ReadShard:
        """The next records of a shard after a sequence number, or from its first one. Raises `Trimmed`, `Stopped`."""
        known = self._iterators.get(shard_id)
        iterator = known[1] if known and known[0] == after else self._calls.iterator(self._arn, shard_id, after=after)
        answer = self._calls.records(iterator)
        while answer is None:
            answer = self._calls.records(self._calls.iterator(self._arn, shard_id, after=after))
        records, following = answer
        if following is None:
            self._iterators.pop(shard_id, None)
        else:
            self._iterators[shard_id] = (records[-1].sequence if records else after), following
        return ReadShard(records, following is None)

    def read_again(self, shard_id: str, begin: str | None, end: str | None) -> list[StreamRecord]:
        """The records of a shard from one on, or from its first, up to one of which it is known that it is there, or to the shard's end."""
        iterator = self._calls.iterator(self._arn, shard_id, at=begin)
        found: list[StreamRecord] = []
        while True:
            answer = self._calls.records(iterator)
            if answer is None:
                iterator = self._calls.iterator(self._arn, shard_id, after=found[-1].sequence if found else None, at=begin)
                continue
            records, following = answer
            found += records if end is None else [record for record in records if int(record.sequence) <= int(end)]
            if following is None or (end is not None and records and int(records[-1].sequence) >= int(end)):
                return found
            iterator = following


def find_streams(aws: AwsSettings, table: str, clock: Callable[[], datetime]) -> tuple[StreamedTable, ListedStream | None]:
    """A table and its latest stream, with no shard read. Raises `Refused`."""
    try:
        calls = _Calls(aws)
        streamed = calls.describe_table(table, clock)
        return streamed, calls.describe_stream(streamed.stream_arn) if streamed.stream_arn else None
    except Stopped as stopped:
        raise (RefusedForNow if isinstance(stopped, StoppedForNow) else Refused)([f"{table}: {stopped}"]) from None


class _Calls:
    """Each tried again for two minutes where what it failed for passes. Raises `Stopped`."""

    def __init__(self, aws: AwsSettings) -> None:
        try:
            self._dynamodb = client("dynamodb", aws)
            self._streams = client("dynamodbstreams", aws)
        except (exceptions.BotoCoreError, RuntimeError) as error:
            raise Stopped(why(error) or f"{type(error).__name__}") from None

    def describe_table(self, name: str, clock: Callable[[], datetime]) -> StreamedTable:
        answer = self._ask(self._dynamodb, "describe_table", TableName=name)
        ahead, table = _ahead(answer, clock()), answer["Table"]
        return StreamedTable(table["TableName"], table.get("TableId"), table.get("LatestStreamArn"), ahead)

    def describe_stream(self, arn: str) -> ListedStream:
        shards: list[ListedShard] = []
        page: dict[str, str] = {}
        while True:
            stream = self._ask(self._streams, "describe_stream", StreamArn=arn, **page)["StreamDescription"]
            shards += [ListedShard(shard["ShardId"], shard.get("ParentShardId")) for shard in stream.get("Shards", ())]
            if not stream.get("LastEvaluatedShardId"):
                break
            page = {"ExclusiveStartShardId": stream["LastEvaluatedShardId"]}
        created = stream["CreationRequestDateTime"].astimezone(UTC)
        return ListedStream(arn, stream.get("StreamStatus") == "ENABLED", stream["StreamViewType"], created, shards)

    def iterator(self, arn: str, shard_id: str, *, after: str | None = None, at: str | None = None) -> str:
        where: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        elif at is not None:
            where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": at}
        return str(self._ask(self._streams, "get_shard_iterator", StreamArn=arn, ShardId=shard_id, **where)["ShardIterator"])

    def records(self, iterator: str) -> tuple[list[StreamRecord], str | None] | None:
        """The records, and the iterator of what follows, if the shard is not at its end; None where the iterator is too old."""
        try:
            answer = self._ask(self._streams, "get_records", ShardIterator=iterator, Limit=MOST_RECORDS)
        except _Expired:
            return None
        return [stream_record(record) for record in answer["Records"]], answer.get("NextShardIterator")

    def _ask(self, service: Any, operation: str, **parameters: Any) -> dict[str, Any]:
        began, failures = time.monotonic(), 0
        while True:
            try:
                return cast("dict[str, Any]", getattr(service, operation)(**parameters))
            except (exceptions.ClientError, exceptions.BotoCoreError, RuntimeError) as error:
                code = error_code(error)
                if code == _EXPIRED:
                    raise _Expired from None
                if code == _TRIMMED:
                    raise Trimmed from None
                failures += 1
                is_passing = _is_passing(error)
                if not is_passing or time.monotonic() - began > _RETRIED_FOR:
                    sentence = _sentence(error, service.meta.method_to_api_mapping[operation])
                    raise (StoppedForNow if is_passing else Stopped)(sentence) from None
                tell_waiting(f"DynamoDB Streams does not answer ({code or type(error).__name__})")
            time.sleep(min(_LONGEST_WAIT, 0.1 * 2 ** min(failures, 10)))


class _Expired(Exception):
    """An iterator is older than 15 minutes."""


def _ahead(answer: Mapping[str, Any], now: datetime) -> timedelta:
    """By how much the clock of who answers is ahead of one that is at `now`, rounded down."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    ahead = parsedate_to_datetime(told) - now if told else timedelta(0)
    return ahead if abs(ahead) > _NOT_TOLD else timedelta(0)


def _is_passing(error: Exception) -> bool:
    if isinstance(error, exceptions.ClientError):
        return error_code(error) in _PASSING or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError) and not isinstance(error, exceptions.SSLError)


def _sentence(error: Exception, action: str) -> str:
    """Without DynamoDB's own words, which may be about what was asked for."""
    code = error_code(error)
    if sentence := why(error):
        return sentence
    if code in ("AccessDeniedException", "AccessDenied", "UnauthorizedException"):
        return f"access is denied; allow these credentials dynamodb:{action} on the table and its stream (table/NAME/stream/*)"
    if code == _GONE:
        return (
            "the table, its stream or a shard of that is not there (any more): the stream was turned off, or the table deleted, or the "
            "region is wrong. What changed since the last record that was applied is in no stream; begin anew with a full export, and "
            "a target of its own"
        )
    return f"DynamoDB Streams refuses {action} ({code or type(error).__name__})"


def stream_record(answered: Mapping[str, Any]) -> StreamRecord:
    """A record as boto3 has it, in which binary values are bytes."""
    record = answered["dynamodb"]
    old, new = record.get("OldImage"), record.get("NewImage")
    return StreamRecord(
        record["SequenceNumber"],
        math.floor(record["ApproximateCreationDateTime"].timestamp()),
        answered["eventName"] == "INSERT",
        orjson.dumps(record["Keys"], as_base64, orjson.OPT_SORT_KEYS),
        None if old is None else orjson.dumps(old, as_base64),
        None if new is None else orjson.dumps(new, as_base64),
    )


def as_base64(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError
