"""Streams: how far each shard of a chain's stream is applied, what became of its records, and what is set aside.

All of it is written in the transactions of the rows. Each of them takes the stream's row first and counts its `version` up, so of two
followers of one stream at once the one that comes second sees that the stream is not as it knew it, and nothing of its own is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from psycopg2.extras import Json

from pipeline.ledger.changes import AppliedCounts
from pipeline.target.session import Cursor
from transforms.lines import View


@dataclass(frozen=True, slots=True)
class StreamCounts(AppliedCounts):
    """What became of the records that were read: each is in one of these, but for `overwritten`."""

    skipped: int = 0
    """Older than the end of the chain, so in the target already."""
    compacted: int = 0
    """Made one with a later record of their item."""

    def plus(self, other: StreamCounts) -> StreamCounts:
        mine, others = asdict(self), asdict(other)
        return StreamCounts(**{name: mine[name] + others[name] for name in mine})


_COUNTS: Final = tuple(field.name for field in fields(StreamCounts))


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream of a chain as the ledger has it."""

    chain: int
    stream_id: int
    """In the tables in which a load has its id."""
    arn: str
    from_time: datetime
    """The end of the chain when the stream was begun."""
    view: View
    begun_at: datetime
    settled_at: datetime | None
    """When the records around `from_time` were applied, some of which the target had already; None before."""
    version: int
    read: int
    counts: StreamCounts
    dead_letter_codes: Mapping[str, int]
    notice_codes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ShardState:
    """A shard of a stream."""

    shard_id: str
    parent: str | None
    position: str | None
    """The sequence number up to which its records are applied or set aside; None before the first."""
    is_done: bool
    """Read to its end, after which it gets no more records."""
    reached: datetime
    """It has no unread record that is older."""


@dataclass(frozen=True, slots=True)
class AsideState:
    """Where to read again what is set aside: the records of an item from this one on."""

    item_number: int
    shard_id: str
    sequence: str
    item_hash: int


@dataclass(frozen=True, slots=True)
class StreamStep:
    """What a transaction changes."""

    read: int
    counts: StreamCounts
    """What is added; of `set_aside` also what is taken away."""
    dead_letter_codes: Mapping[str, int]
    notice_codes: Mapping[str, int]
    shards: Iterable[ShardState] = ()
    is_settled: bool = False


class Moved(Exception):
    """Somebody else has written of this stream since its state was read; nothing of this transaction may be."""


_COLUMNS: Final = (
    "chain, stream_id, stream_arn, from_time, view, begun_at, settled_at, version, dead_letter_codes, notice_codes, read, "
    + ", ".join(_COUNTS)
)


def find_stream(cursor: Cursor, chain: int) -> StreamState | None:
    """The stream that was begun for a chain."""
    cursor.execute(f"SELECT {_COLUMNS} FROM ddb2pg.stream WHERE chain = %s", [chain])
    row = cursor.fetchone()
    return None if row is None else _state(row)


def _state(row: tuple[Any, ...]) -> StreamState:
    chain, stream_id, arn, from_time, view, begun_at, settled_at, version, dead_letter_codes, notice_codes, read, *counts = row
    of_records = StreamCounts(**dict(zip(_COUNTS, counts, strict=True)))
    since = from_time.astimezone(UTC)
    return StreamState(
        chain, stream_id, arn, since, View(view), begun_at, settled_at, version, read, of_records, dead_letter_codes, notice_codes
    )


def begin_stream(cursor: Cursor, chain: int, arn: str, from_time: datetime, view: View) -> StreamState:
    """Begin the stream of a chain that has none."""
    cursor.execute(
        "INSERT INTO ddb2pg.stream (chain, stream_id, stream_arn, from_time, view) "
        "VALUES (%s, nextval(pg_get_serial_sequence('ddb2pg.load', 'load_id')), %s, %s, %s) "
        f"RETURNING {_COLUMNS}",
        [chain, arn, from_time, view.value],
    )
    return _state(cursor.fetchone())


def lock_stream(cursor: Cursor, state: StreamState, writer: str) -> bool:
    """Take the stream's row to the end of this transaction, which calls itself `writer`; False where it was committed before.

    A commit may have succeeded although its answer was lost. Raises `Moved`.
    """
    cursor.execute("SELECT version, writer FROM ddb2pg.stream WHERE chain = %s FOR UPDATE", [state.chain])
    row = cursor.fetchone()
    if row == (state.version + 1, writer):
        return False
    if row is None or row[0] != state.version:
        raise Moved
    return True


def note_step(cursor: Cursor, state: StreamState, writer: str, step: StreamStep) -> StreamState:
    """Write what a transaction changes; the state after it."""
    dead_letter_codes = _added(state.dead_letter_codes, step.dead_letter_codes)
    notice_codes = _added(state.notice_codes, step.notice_codes)
    after = replace(
        state,
        version=state.version + 1,
        read=state.read + step.read,
        counts=state.counts.plus(step.counts),
        dead_letter_codes=dead_letter_codes,
        notice_codes=notice_codes,
    )
    cursor.execute(
        f"""
        UPDATE ddb2pg.stream SET (version, writer, read, dead_letter_codes, notice_codes, {", ".join(_COUNTS)})
            = ROW (%s, %s, %s, %s, %s, {", ".join(["%s"] * len(_COUNTS))}),
            settled_at = CASE WHEN %s THEN coalesce(settled_at, now()) ELSE settled_at END
        WHERE chain = %s RETURNING settled_at
        """,
        [
            *(after.version, writer, after.read, Json(dict(dead_letter_codes)), Json(dict(notice_codes))),
            *(getattr(after.counts, name) for name in _COUNTS),
            *(step.is_settled, state.chain),
        ],
    )
    settled_at = cursor.fetchone()[0]
    note_shards(cursor, state.chain, step.shards)
    return replace(after, settled_at=settled_at)


def _added(before: Mapping[str, int], more: Mapping[str, int]) -> Mapping[str, int]:
    return {code: count for code in {**before, **more} if (count := before.get(code, 0) + more.get(code, 0))}


def shards_of(cursor: Cursor, chain: int) -> list[ShardState]:
    """All shards of a stream that were seen."""
    cursor.execute("SELECT shard_id, parent, position, is_done, reached FROM ddb2pg.shard WHERE chain = %s ORDER BY shard_id", [chain])
    return [ShardState(*row) for row in cursor.fetchall()]


def note_shards(cursor: Cursor, chain: int, shards: Iterable[ShardState]) -> None:
    """New ones, and how far others are now."""
    for shard in shards:
        cursor.execute(
            """
            INSERT INTO ddb2pg.shard (chain, shard_id, parent, position, is_done, reached) VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (chain, shard_id) DO UPDATE
            SET (position, is_done, reached) = (excluded.position, excluded.is_done, excluded.reached)
            """,
            [chain, shard.shard_id, shard.parent, shard.position, shard.is_done, shard.reached],
        )


def asides_of(cursor: Cursor, chain: int) -> list[AsideState]:
    """All that is set aside, in order."""
    cursor.execute(
        "SELECT item_number, shard_id, sequence, item_hash FROM ddb2pg.stream_aside WHERE chain = %s ORDER BY item_number", [chain]
    )
    return [AsideState(*row) for row in cursor.fetchall()]


def note_asides(cursor: Cursor, chain: int, new: Iterable[AsideState], settled: Collection[int]) -> None:
    """What is set aside from now on, and the item numbers of what is not any more."""
    if settled:
        cursor.execute("DELETE FROM ddb2pg.stream_aside WHERE chain = %s AND item_number = ANY (%s)", [chain, list(settled)])
    for aside in new:
        cursor.execute(
            "INSERT INTO ddb2pg.stream_aside (chain, item_number, shard_id, sequence, item_hash) VALUES (%s, %s, %s, %s, %s)",
            [chain, aside.item_number, aside.shard_id, aside.sequence, aside.item_hash],
        )
