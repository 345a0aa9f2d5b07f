"""Records of a stream made one for each item: as a line of a window has what happened to an item from one time to another.

The item before the first of them, and the item after the last, say all that the target must know. An item that was inserted and deleted
by them needs no line at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.source.chunks import ItemAddress
from pipeline.stream.reader import StreamRecord


@dataclass(slots=True)
class ItemChange:
    """All records of one item that are not applied yet."""

    number: int
    """Of its first record in the stream, as we count them from 0."""
    shard_id: str
    sequence: str
    """Where its first record is."""
    keys: bytes
    second: int
    """Of its last record."""
    is_first: bool
    """Whether there was no item before the first record."""
    states: list[bytes | None]
    """The item before the first record and after the last one; around the end of the chain, also in between."""
    is_around: bool
    """Whether the target may have some of it already: its records are of the time around the end of the chain."""
    records: int = 1

    @property
    def new(self) -> bytes | None:
        return self.states[-1]

    @property
    def does_nothing(self) -> bool:
        """The item came and went."""
        return self.is_first and self.new is None and not self.is_around

    def follow(self, record: StreamRecord, *, is_around: bool) -> None:
        """Take the next record of the item."""
        if is_around or self.is_around:
            self.states.append(record.new)
        else:
            self.states[-1] = record.new
        self.second = record.second
        self.records += 1

    def join(self, later: ItemChange) -> None:
        """Take what follows."""
        if self.is_around:
            self.states += later.states[1:]
        else:
            self.states[-1] = later.new
        self.second = later.second
        self.records += later.records

    def line(self, old: bytes | None) -> bytes:
        """As a line of an incremental export, with the item before."""
        parts = [b'{"Metadata":{"WriteTimestampMicros":{"N":"%d"}},"Keys":%b' % (self.second * 1_000_000, self.keys)]
        if old is not None:
            parts.append(b',"OldImage":%b' % old)
        if self.new is not None:
            parts.append(b',"NewImage":%b' % self.new)
        return b"".join(parts) + b"}"


@dataclass(slots=True)
class Changes:
    """Records that were read and are not applied yet, one for each item."""

    of_items: dict[bytes, ItemChange] = field(default_factory=dict)
    """By the keys."""
    read: int = 0
    skipped: int = 0
    """Of these those that are not needed."""

    def add(self, shard_id: str, record: StreamRecord, number: int, *, is_around: bool) -> None:
        """The next record of an item."""
        self.read += 1
        before = self.of_items.get(record.keys)
        if before is not None:
            before.follow(record, is_around=is_around)
            return
        self.of_items[record.keys] = ItemChange(
            number, shard_id, record.sequence, record.keys, record.second, record.is_first, [record.old, record.new], is_around
        )


class ChangedItems:
    """Items with their lines, by their numbers."""

    def __init__(self, changes: Iterable[ItemChange], old: Mapping[int, bytes | None]) -> None:
        self._changes = {change.number: change for change in changes}
        self._lines = {number: change.line(old[number]) for number, change in self._changes.items()}

    @property
    def numbers(self) -> Iterable[int]:
        return self._changes.keys()

    def change(self, number: int) -> ItemChange:
        return self._changes[number]

    def line(self, number: int) -> bytes:
        return self._lines[number]

    def address(self, number: int) -> ItemAddress:
        return ItemAddress(self._changes[number].shard_id, number)
