"""Follows the stream of one table: which shards are read when, and what is done with what they hold.

    parents first     a shard is read when the one that it follows is read to its end, so an item's records come in their order
    a batch           what one round of answers holds, of all shards: one transaction (`apply.py`), with the shards' positions
    the overlap       nothing is written before every shard is past the end of the chain and a margin; then all of that time is one batch
    set aside         what PostgreSQL refuses because of other rows is tried again with every step. Later records of the item join it. When
                      every shard is past the time of all that is set aside, and it is refused even so, it is a dead letter

What is in memory only can be read again: the ledger says from where. So it may be killed at any point, and two may follow at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.errors import Stopped
from pipeline.ledger.replays import hash_seed
from pipeline.ledger.streams import (
    AsideState,
    Moved,
    ShardState,
    StreamState,
    asides_of,
    find_stream,
    shards_of,
)
from pipeline.stream.apply import Batch, Committed, StreamApplier
from pipeline.stream.changes import Changes, ItemChange
from pipeline.stream.heartbeats import heartbeat_of
from pipeline.stream.reader import KEPT, ListedStream, ReadShard, StreamReader, StreamRecord, Trimmed
from pipeline.target.apply import apply_one_by_one
from pipeline.target.session import Cursor, Session
from pipeline.windows.apply import ApplyChunks
from pipeline.windows.changes import item_hash

_LIST_EVERY: Final = timedelta(minutes=1)
_MOST_ANSWERS: Final = 10
"""Of all shards in one step, so that a transaction does not become too large."""
_READERS: Final = 8
_EMPTY_ANSWERS: Final = 5
"""In a row, after which a shard is taken to have no more records for now. One says nothing: the records may be further on."""
_APPEARS_WITHIN: Final = timedelta(seconds=1)
"""A write is in the stream at most so long after it."""
_NOT_KEPT: Final = KEPT - timedelta(minutes=1)
_BEGIN_ANEW: Final = (
    "{table}: records of its stream that were not applied are gone, because DynamoDB keeps them for 24 hours. What they changed is lost to "
    "this target, and nothing was written after the gap. Begin anew: ddb2pg export, and load that export into an empty target"
)
_VANISHED: Final = "{table}: shard {shard} is not there any more, and it was not read to its end"
_TURNED_OFF: Final = (
    "{table}: its stream was turned off, so what changes now is in no stream. If it is turned on again, that is another stream, and begins "
    "later. Begin anew: turn the stream on, ddb2pg export, and load that export into an empty target"
)


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """How exact clocks are taken to be."""

    margin: timedelta = timedelta(minutes=2)
    """Around the end of the chain: what is older is in the exports for sure, what is newer is not."""
    patience: timedelta = timedelta(seconds=10)
    """What is set aside is a dead letter when all shards are past its time by so much."""


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """Where a stream is after a step."""

    read: int
    """Records that the step read."""
    reached: datetime
    """All that changed before is applied, or set aside, or a dead letter. Not exact to the second before `is_settled`."""
    is_settled: bool
    """Whether the time around the end of the chain is past in every shard. Before that nothing is written."""
    state: StreamState

    @property
    def set_aside(self) -> int:
        return self.state.counts.set_aside


_MOST_RECENT: Final = 10_000


@dataclass(slots=True)
class Watch:
    """What a follower has read since somebody watches it."""

    records: int = 0
    """Of the application."""
    last_second: int = 0
    """Of its last record, since 1970."""
    recent: dict[bytes, None] = field(default_factory=dict)
    """The keys of its last records, the last one at the end."""
    shown: dict[str, set[str]] = field(default_factory=dict)
    """By shard the heartbeats that it has shown."""

    def note(self, shard_id: str, record: StreamRecord, heartbeat: str | None) -> None:
        if heartbeat is not None:
            self.shown.setdefault(shard_id, set()).add(heartbeat)
            return
        self.records += 1
        self.last_second = max(self.last_second, record.second)
        self.recent.pop(record.keys, None)
        self.recent[record.keys] = None
        if len(self.recent) > _MOST_RECENT:
            del self.recent[next(iter(self.recent))]


@dataclass(slots=True)
class _Shard:
    shard_id: str
    parent: str | None
    position: str | None
    is_done: bool
    reached: datetime
    empty_answers: deque[datetime] = field(default_factory=lambda: deque(maxlen=_EMPTY_ANSWERS))
    """When the last ones were asked for that had no records, since one that had some."""
    is_changed: bool = False
    has_ended: bool = False
    """Read to its end since shards were listed: those that follow it may not be known yet."""

    @property
    def state(self) -> ShardState:
        return ShardState(self.shard_id, self.parent, self.position, self.is_done, self.reached)


class StreamFollower:
    """Of one target. After `Stopped` a new one must be made, or `step` called again: it begins with what the ledger has."""

    def __init__(
        self,
        changes: ApplyChunks,
        reader: StreamReader,
        make_applier: Callable[[StreamState, Session], StreamApplier],
        times: StreamTimes,
        clock: Callable[[], datetime],
    ) -> None:
        self.changes = changes
        self._reader = reader
        self._make_applier = make_applier
        self._times = times
        self._clock = clock
        self._session = Session(changes.load_plan.database)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="StreamReader")
        self._applier: StreamApplier | None = None
        self._shards: dict[str, _Shard] = {}
        self._asides: dict[bytes, ItemChange] = {}
        self._pending = Changes()
        self._listed_at: datetime | None = None
        self.watch: Watch | None = None
        self._has_begun = False
        self.read_before = 0
        """What was read when this began."""

    @property
    def table(self) -> str:
        return self.changes.load_plan.table.target

    def close(self) -> None:
        self._pool.shutdown()
        self._session.close()

    @property
    def reached(self) -> datetime:
        """No shard has an unread record that is older."""
        unread = [shard.reached for shard in self._shards.values() if shard.has_ended or not shard.is_done]
        return min(unread) if unread else max((shard.reached for shard in self._shards.values()), default=self._begin)

    @property
    def open_shards(self) -> set[str]:
        """Those that were not read to their end, of all that were listed."""
        return {shard.shard_id for shard in self._shards.values() if not shard.is_done}

    def list_again(self) -> None:
        """Let the next step find the shards that are new."""
        self._listed_at = None

    @property
    def _begin(self) -> datetime:
        return self.changes.link.window.from_time - self._times.margin

    @property
    def _end_of_overlap(self) -> datetime:
        return self.changes.link.window.from_time + self._times.margin

    # -- a step ----------------------------------------------------------------------------------------------------------------------------

    def step(self) -> StreamProgress:
        """Read what there is now, and apply it. Raises `Stopped`."""
        applier = self._opened()
        try:
            self._list_shards()
            read = self._read()
            if applier.state.settled_at is not None:
                self._commit(applier)
            elif self._is_past_overlap():
                self._commit(applier, is_settled=True)
        except Moved:
            applier, read = self._opened_again(), 0
        except Trimmed:
            self._applier = None
            raise Stopped(_BEGIN_ANEW.format(table=self.table)) from None
        except BaseException:
            self._applier = None
            raise
        return StreamProgress(read, self.reached, applier.state.settled_at is not None, applier.state)

    def has_new_asides(self, reached: datetime) -> bool:
        """Whether what an item that is set aside waits for may not be read yet."""
        return len(self._due(reached)) < len(self._asides)

    def _due(self, reached: datetime) -> set[int]:
        """The numbers of what is set aside although all that it may wait for was read."""
        return {one.number for one in self._asides.values() if _time(one.second) + self._times.patience < reached}

    def settle(self, reached: datetime, may_give_up: Callable[[], bool]) -> StreamProgress:
        """Try what is set aside again; what is refused even so is a dead letter if all streams have `reached` a later time.

        And if it `may_give_up`, which is asked then: an item may wait for another that is set aside itself, and is newer. Raises `Stopped`.
        """
        applier = self._opened()
        try:
            while self._asides:
                before = len(self._asides)
                self._retry(applier)
                if not self._asides or len(self._asides) < before:
                    continue
                if not self._due(reached):
                    break
                self._take_settled(applier.exchange(self._batch_of_asides()))
                if len(self._asides) < before:
                    continue  # what was exchanged may make room for others, in any order
                if not may_give_up():
                    break
                self._retry(applier, self._due(reached))
        except Moved:
            applier = self._opened_again()
        except BaseException:
            self._applier = None
            raise
        return StreamProgress(0, self.reached, applier.state.settled_at is not None, applier.state)

    def _is_past_overlap(self) -> bool:
        is_complete = bool(self._shards) and self._listed_at is not None
        return is_complete and all(shard.is_done or self._is_past(shard) for shard in self._shards.values())

    def _is_past(self, shard: _Shard) -> bool:
        """Whether what is unread of a shard is newer than the overlap; also where it follows one of which that is so."""
        parent = self._shards.get(shard.parent or "")
        return shard.reached > self._end_of_overlap or (parent is not None and not parent.is_done and self._is_past(parent))

    def _retry(self, applier: StreamApplier, last: Iterable[int] = ()) -> None:
        if self._asides:
            self._take_settled(applier.apply(self._batch_of_asides(last), (apply_one_by_one,)))

    def _batch_of_asides(self, last: Iterable[int] = ()) -> Batch:
        asides = sorted(self._asides.values(), key=lambda one: one.number)
        return Batch(asides, retried=[one.number for one in asides], last=frozenset(last))

    def _take_settled(self, committed: Committed | None) -> None:
        if committed is not None:
            self._asides = {keys: one for keys, one in self._asides.items() if one.number in committed.set_aside}

    # -- reading ---------------------------------------------------------------------------------------------------------------------------

    def _read(self) -> int:
        """One round of answers of all shards that may be read; the records."""
        ready = [shard for shard in self._shards.values() if self._is_ready(shard)]
        most = max(1, _MOST_ANSWERS // max(1, len(ready)))
        asked_at = self._clock()
        answers = list(self._pool.map(lambda shard: self._answers(shard, most), ready))
        for shard, of_shard in zip(ready, answers, strict=True):
            for answer in of_shard:
                self._take(shard, answer, asked_at)
        return sum(len(answer.records) for of_shard in answers for answer in of_shard)

    def _is_ready(self, shard: _Shard) -> bool:
        if shard.is_done or (not self._is_settled and self._is_past(shard)):
            # What comes after the overlap is not held in memory while other shards are read up to there.
            return False
        parent = self._shards.get(shard.parent or "")
        return parent is None or parent.is_done

    @property
    def _is_settled(self) -> bool:
        return self._applier is not None and self._applier.state.settled_at is not None

    def _answers(self, shard: _Shard, most: int) -> list[ReadShard]:
        answers: list[ReadShard] = []
        after = shard.position
        while len(answers) < most and not (answers and (answers[-1].is_end or not answers[-1].records)):
            answers.append(self._reader.read(shard.shard_id, after))
            after = answers[-1].records[-1].sequence if answers[-1].records else after
        return answers

    def _take(self, shard: _Shard, answer: ReadShard, asked_at: datetime) -> None:
        for record in answer.records:
            self._take_record(shard.shard_id, record)
        if answer.records:
            shard.position = answer.records[-1].sequence
            shard.reached = max(shard.reached, _time(answer.records[-1].second))
            shard.is_changed = True
            shard.empty_answers.clear()
        elif not answer.is_end:
            # Of one that is closed nobody knows since when: those that follow it may have older records than this answer.
            shard.empty_answers.append(asked_at)
            if len(shard.empty_answers) == _EMPTY_ANSWERS:
                # All of them must be later than what they are to show, also of a shard that has long been quiet.
                shard.reached = max(shard.reached, shard.empty_answers[0] - _APPEARS_WITHIN)
        if answer.is_end:
            shard.is_done = shard.is_changed = shard.has_ended = True
            self._listed_at = None  # there may be shards that follow it
            for child in self._shards.values():
                if child.parent == shard.shard_id:
                    child.reached = max(child.reached, shard.reached)

    def _take_record(self, shard_id: str, record: StreamRecord) -> None:
        time = _time(record.second)
        heartbeat = heartbeat_of(record)
        if self.watch is not None:
            self.watch.note(shard_id, record, heartbeat)
        number = (self._applier.state.read if self._applier else 0) + self._pending.read
        if time < self._begin or heartbeat is not None:
            self._pending.read += 1
            self._pending.skipped += 1
        else:
            self._pending.add(shard_id, record, number, is_around=time <= self._end_of_overlap)

    # -- applying --------------------------------------------------------------------------------------------------------------------------

    def _commit(self, applier: StreamApplier, *, is_settled: bool = False) -> None:
        """All that was read, in one transaction."""
        changed = [shard for shard in self._shards.values() if shard.is_changed]
        if not (changed or is_settled):
            return
        to_apply: list[ItemChange] = []
        dropped: list[int] = []
        compacted = 0
        for keys, change in self._pending.of_items.items():
            aside = self._asides.get(keys)
            if aside is not None:
                aside.join(change)
                compacted += change.records
                if aside.does_nothing:
                    compacted += 1
                    dropped.append(aside.number)
            elif change.does_nothing:
                compacted += change.records
            else:
                compacted += change.records - 1
                to_apply.append(change)
        shards = [shard.state for shard in changed]
        batch = Batch(to_apply, self._pending.read, self._pending.skipped, compacted, shards, dropped=dropped, is_settled=is_settled)
        committed = applier.apply(batch)
        self._asides = {keys: one for keys, one in self._asides.items() if one.number not in dropped}
        self._asides |= {change.keys: change for change in to_apply if change.number in committed.set_aside}
        self._pending = Changes()
        for shard in changed:
            shard.is_changed = False

    # -- shards ----------------------------------------------------------------------------------------------------------------------------

    def _list_shards(self) -> None:
        """Find new shards, every minute and when one was read to its end. Raises `Stopped` where something was lost."""
        now = self._clock()
        if self._listed_at is not None and now - self._listed_at < _LIST_EVERY:
            return
        reached = self.reached
        listed = self._reader.describe()
        if not listed.is_enabled:
            raise Stopped(_TURNED_OFF.format(table=self.table))
        # Also where no shard is known yet: what came since the end of the chain may be gone.
        if now - reached > _NOT_KEPT:
            raise Stopped(_BEGIN_ANEW.format(table=self.table))
        self._check_all_there(listed)
        for shard in listed.shards:
            if shard.shard_id not in self._shards:
                parent = self._shards.get(shard.parent or "")
                since = parent.reached if parent else reached
                self._shards[shard.shard_id] = _Shard(shard.shard_id, shard.parent, None, is_done=False, reached=since)
        for known in self._shards.values():
            known.has_ended = False
            # How far each is, so that one that goes on later knows whether anything may be gone.
            known.is_changed = known.is_changed or not known.is_done
        self._listed_at = now

    def _check_all_there(self, listed: ListedStream) -> None:
        there = {shard.shard_id for shard in listed.shards}
        for shard in self._shards.values():
            if not shard.is_done and shard.shard_id not in there:
                vanished = _VANISHED.format(table=self.table, shard=shard.shard_id)
                raise Stopped(f"{vanished}. {_BEGIN_ANEW.format(table=self.table)}")

    # -- what the ledger has ---------------------------------------------------------------------------------------------------------------

    def _opened(self) -> StreamApplier:
        """Go on from what the ledger has, where what is known is not that any more."""
        if self._applier is not None:
            return self._applier
        state, shards, asides = self._session.transact(self._read_ledger, of_one_snapshot=True)
        self._shards = {one.shard_id: _Shard(one.shard_id, one.parent, one.position, one.is_done, one.reached) for one in shards}
        self._pending = Changes()
        self._listed_at = None
        try:
            self._asides = self._read_asides(asides, hash_seed_of(self._session, state.chain)) if asides else {}
        except Trimmed:
            raise Stopped(_BEGIN_ANEW.format(table=self.table)) from None
        if not self._has_begun:
            self._has_begun, self.read_before = True, state.read
        self._applier = self._make_applier(state, self._session)
        return self._applier

    def _opened_again(self) -> StreamApplier:
        """Another follower of this stream was first: what was read here is read again, from where that one is."""
        self._applier = None
        return self._opened()

    def _read_ledger(self, cursor: Cursor) -> tuple[StreamState, list[ShardState], list[AsideState]]:
        chain = self.changes.link.chain
        state = find_stream(cursor, chain)
        if state is None or state.stream_id != self.changes.load_plan.load.load_id:
            message = f"{self.table}: its stream is not in the ledger any more; nothing was written"
            raise Stopped(message)
        return state, shards_of(cursor, chain), asides_of(cursor, chain)

    def _read_asides(self, asides: Sequence[AsideState], seed: int) -> dict[bytes, ItemChange]:
        """Read again what is set aside: all records of its items, from the first one that was not applied up to where each shard is."""
        of_hash = {aside.item_hash: aside for aside in asides}
        begins: dict[str, list[str]] = {}
        for aside in asides:
            begins.setdefault(aside.shard_id, []).append(aside.sequence)
        found: dict[bytes, ItemChange] = {}
        key = self.changes.load_plan.table.key
        for shard in self._with_descendants(begins):
            begin = min(begins[shard.shard_id], key=int) if shard.shard_id in begins else None
            for record in self._reader.read_again(shard.shard_id, begin, None if shard.is_done else shard.position):
                known = of_hash.get(item_hash(b'{"Keys":%b}' % record.keys, key, seed) or 0)
                if known is None or (shard.shard_id == known.shard_id and int(record.sequence) < int(known.sequence)):
                    continue
                is_around = self._begin <= _time(record.second) <= self._end_of_overlap
                if record.keys in found:
                    found[record.keys].follow(record, is_around=is_around)
                elif shard.shard_id == known.shard_id:
                    found[record.keys] = ItemChange(
                        known.item_number,
                        known.shard_id,
                        known.sequence,
                        record.keys,
                        record.second,
                        record.is_first,
                        [record.old, record.new],
                        is_around,
                    )
        if len(found) != len(asides):
            raise Trimmed
        return found

    def _with_descendants(self, shard_ids: Iterable[str]) -> list[_Shard]:
        """Shards that were read, and those that follow them, each after the one that it follows."""
        wanted = set(shard_ids)
        ordered: list[_Shard] = []
        left = list(self._shards.values())
        while left:
            done = {shard.shard_id for shard in self._shards.values()} - {shard.shard_id for shard in left}
            ready = [shard for shard in left if shard.parent in done or shard.parent not in self._shards]
            for shard in ready:
                if shard.shard_id in wanted or shard.parent in wanted:
                    wanted.add(shard.shard_id)
                    if shard.position is not None or shard.is_done:
                        ordered.append(shard)
            left = [shard for shard in left if shard not in ready]
        return ordered


def hash_seed_of(session: Session, chain: int) -> int:
    """What salts the hashes of a chain."""
    return session.transact(lambda cursor: hash_seed(cursor, chain))


def _time(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
