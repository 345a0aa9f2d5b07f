"""The end of streams: after the application has stopped writing, all that it wrote is applied, and nothing of it is left to be read.

caught up    before the application stops: what is read is seconds old
quiet        nothing of it has come for some seconds: it has stopped
the end      each open shard has shown a heartbeat that was written after that. Without the right to write: each shard was asked again
and again, and gave nothing. That is the weaker proof, because DynamoDB does not say that a shard has no more records
equal        the items that were touched last are read from DynamoDB itself, consistently, and are compared with their rows
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from botocore import exceptions

from pipeline.errors import Stopped
from pipeline.places.aws import client, error_code, why
from pipeline.places.place import AwsSettings
from pipeline.stream.begin import Streams
from pipeline.stream.follow import StreamFollower, StreamProgress, Watch
from pipeline.stream.heartbeats import Heartbeats
from pipeline.stream.reader import as_base64
from pipeline.target.session import Session
from pipeline.windows.apply import ChangesOfChunks
from pipeline.windows.prove import compare_changes

_CAUGHT_UP: Final = timedelta(seconds=10)
_PAUSE: Final = 0.2  # seconds; a shard may be asked five times a second
_LONGEST_PROOF: Final = 120.0  # seconds for a heartbeat to be seen in every shard
_MOST_READ: Final = 100  # items of one BatchGetItem
_WRITES_GO_ON: Final = (
    "writes go on: in {waited:.0f} seconds there were no {quiet:.0f} seconds in which nothing was written; the last record is of {last}. "
    "What came is applied. Stop what writes, and give the same command again"
)
_NOT_SEEN: Final = (
    "of {count} open shards some have not shown a heartbeat within {seconds:.0f} seconds; the stream may be slow, so give the same command "
    "again"
)


@dataclass(frozen=True, slots=True)
class EndSettings:
    """How the end is proved."""

    aws: AwsSettings
    has_heartbeats: bool
    quiet: float
    """Seconds without a record of the application, after which it has stopped."""
    longest_wait: float
    """Seconds until then."""
    most_compared: int
    """Items of a table."""


@dataclass(frozen=True, slots=True)
class StreamsEnd:
    last_write: datetime | None
    """Of the application, by DynamoDB's clock, to the second; None where nothing was read since it was watched."""
    quiet_since: datetime
    """Since when nothing came, by our clock."""
    is_shown: bool
    """By heartbeats."""
    progress: Sequence[StreamProgress]


def catch_up(streams: Streams) -> None:
    """Step until what is read is seconds old. Raises `Stopped`."""
    while True:
        progress = streams.step()
        if all(one.is_settled and streams.now() - one.reached < _CAUGHT_UP for one in progress):
            return
        if not any(one.read for one in progress):
            time.sleep(_PAUSE)


def find_end(streams: Streams, settings: EndSettings) -> StreamsEnd:
    """Step until the application has stopped, and all that it wrote is applied. Raises `Stopped`."""
    heartbeats = {}
    if settings.has_heartbeats:
        sources = dict.fromkeys(_source(follower) for follower in streams.followers)
        heartbeats = {source: Heartbeats(settings.aws, source) for source in sources}
    began = time.monotonic()
    try:
        while True:
            quiet_since = _wait_until_quiet(streams, settings, began)
            before = _records(streams)
            if heartbeats:
                is_end = _show_heartbeats(streams, heartbeats, before)
            else:
                streams.drain(streams.now())
                is_end = _records(streams) == before
            if is_end and (progress := _settled(streams, before)) is not None:
                lasts = [_watch(follower).last_second for follower in streams.followers]
                last = datetime.fromtimestamp(max(lasts), UTC) if any(lasts) else None
                return StreamsEnd(last, quiet_since, bool(heartbeats), progress)
    finally:
        for of_table in heartbeats.values():
            of_table.delete()


def watch(streams: Streams) -> None:
    """Note from now on what is read."""
    for follower in streams.followers:
        follower.watch = Watch()


def _watch(follower: StreamFollower) -> Watch:
    if follower.watch is None:
        message = "the stream is not watched"
        raise ValueError(message)
    return follower.watch


def _source(follower: StreamFollower) -> str:
    return follower.changes.load_plan.table.source


def _records(streams: Streams) -> int:
    return sum(_watch(follower).records for follower in streams.followers)


def _wait_until_quiet(streams: Streams, settings: EndSettings, began: float) -> datetime:
    records, since, quiet_since = _records(streams), time.monotonic(), datetime.now(UTC)
    while time.monotonic() - since < settings.quiet:
        progress = streams.step()
        if _records(streams) != records:
            records, since, quiet_since = _records(streams), time.monotonic(), datetime.now(UTC)
        if time.monotonic() - began > settings.longest_wait:
            last = datetime.fromtimestamp(max(_watch(follower).last_second for follower in streams.followers), UTC)
            raise Stopped(_WRITES_GO_ON.format(waited=time.monotonic() - began, quiet=settings.quiet, last=last.isoformat()))
        if not any(one.read for one in progress):
            time.sleep(_PAUSE)
    return quiet_since


def _show_heartbeats(streams: Streams, heartbeats: Mapping[str, Heartbeats], before: int) -> bool:
    """Write heartbeats until every open shard has shown one of them; False where the application has written meanwhile.

    The shards are listed once more after that: one that was new must show one, too.
    """
    written: dict[str, set[str]] = {source: set() for source in heartbeats}
    is_listed_again, began = False, time.monotonic()
    while True:
        missing = {follower.table: _not_shown(follower, written[_source(follower)]) for follower in streams.followers}
        if not any(missing.values()):
            if is_listed_again:
                return True
            is_listed_again = True
            for follower in streams.followers:
                follower.list_again()
        for follower in streams.followers:
            source = _source(follower)
            if missing[follower.table] and written[source] <= _all_shown(follower):
                written[source] |= heartbeats[source].write(2 * len(missing[follower.table]) + 1)
        progress = streams.step()
        if _records(streams) != before:
            return False
        if time.monotonic() - began > _LONGEST_PROOF:
            shards = sum(len(follower.open_shards) for follower in streams.followers)
            raise Stopped(_NOT_SEEN.format(count=shards, seconds=_LONGEST_PROOF))
        if not any(one.read for one in progress):
            time.sleep(_PAUSE)


def _not_shown(follower: StreamFollower, written: set[str]) -> set[str]:
    shown = _watch(follower).shown
    return {shard for shard in follower.open_shards if not written & shown.get(shard, set())}


def _all_shown(follower: StreamFollower) -> set[str]:
    return set().union(*_watch(follower).shown.values())


def _settled(streams: Streams, before: int) -> list[StreamProgress] | None:
    """When nothing is set aside any more; None where the application has written meanwhile."""
    while True:
        progress = streams.step()
        if _records(streams) != before:
            return None
        if not any(one.set_aside for one in progress):
            return progress
        time.sleep(_PAUSE)


# -- DynamoDB itself -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ComparedItems:
    """Items that were touched last, as DynamoDB has them now, held against their rows."""

    items: int
    different: int
    not_compared: int
    """They are no rows by the definition, or were deleted and no key tells their row."""


def compare_last(follower: StreamFollower, settings: EndSettings) -> ComparedItems:
    """Read the last items consistently, and compare them. Their values go nowhere. Raises `Stopped`."""
    keys = list(_watch(follower).recent)[-settings.most_compared :]
    lines = _Lines(list(_lines(keys, _source(follower), settings.aws)))
    changes, left_out = follower.changes, 0
    with Session(changes.load_plan.database) as session:
        of_chunks = ChangesOfChunks(changes, session)
        numbers = list(range(len(lines.all)))
        if of_chunks.applying.by_old_images:
            numbers = [number for number in numbers if b',"NewImage":' in lines.all[number]]
            left_out = len(lines.all) - len(numbers)
        converted = of_chunks.convert(lines, numbers)
        different = session.transact(lambda cursor: compare_changes(cursor, of_chunks, converted, ()))
    left_out += len(converted.refusals)
    return ComparedItems(len(lines.all) - left_out, len({mismatch.item_number for mismatch in different}), left_out)


@dataclass(frozen=True, slots=True)
class _Lines:
    all: Sequence[bytes]

    def line(self, number: int) -> bytes:
        return self.all[number]


def _lines(keys: Sequence[bytes], table: str, aws: AwsSettings) -> Iterator[bytes]:
    """Each item as a change that has brought it to what it is now."""
    dynamodb = client("dynamodb", aws)
    for first in range(0, len(keys), _MOST_READ):
        some = keys[first : first + _MOST_READ]
        found = {_canonical(item, some): item for item in _read(dynamodb, table, [_of_boto(key) for key in some])}
        for key in some:
            item = found.get(key)
            new = b"" if item is None else b',"NewImage":%b' % orjson.dumps(item, as_base64)
            yield b'{"Metadata":{"WriteTimestampMicros":{"N":"0"}},"Keys":%b%b}' % (key, new)


def _canonical(item: Mapping[str, Any], some: Sequence[bytes]) -> bytes:
    """The item's key as records have it."""
    names = orjson.loads(some[0]).keys()
    return orjson.dumps({name: item[name] for name in names}, as_base64, orjson.OPT_SORT_KEYS)


def _of_boto(key: bytes) -> dict[str, Any]:
    attributes = orjson.loads(key)
    return {name: {"B": base64.b64decode(value["B"])} if "B" in value else value for name, value in attributes.items()}


def _read(dynamodb: Any, table: str, keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    asked: dict[str, Any] = {table: {"Keys": list(keys), "ConsistentRead": True}}
    items: list[dict[str, Any]] = []
    while asked:
        try:
            answer = dynamodb.batch_get_item(RequestItems=asked)
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            sentence = why(error) or f"DynamoDB refuses BatchGetItem ({error_code(error) or type(error).__name__})"
            message = f"{table}: {sentence}; allow these credentials dynamodb:BatchGetItem on the table"
            raise Stopped(message) from None
        items += answer["Responses"].get(table, [])
        asked = answer.get("UnprocessedKeys") or {}
    return items
