"""The parts of an export that flow through the job.

Split    what one worker takes at a time: a run of items of one data file. What crosses the shuffle
Chunk    what one transaction loads: some thousands of consecutive lines. Its boundaries depend on nothing but the file and the load's
         settings, so that every run of a load cuts the same chunks

An ItemAddress is what records, the ledger and people call one of its items by.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from pipeline.places.storage import LOCAL_AND_AWS, Storage
from pipeline.source.data_file import CheckedFile, check_and_read, read_part_in_lists
from pipeline.source.manifest import DataFile

CHUNK_ITEMS: Final = 5_000
CHUNK_BYTES: Final = 8 << 20
SPLIT_ITEMS: Final = 50_000
MOST_SPLITS: Final = 4


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """A chunk ends at so many items, or before the line that would take it beyond so many bytes; a line alone may be longer."""

    items: int = CHUNK_ITEMS
    bytes: int = CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class SplitSize:
    """A data file is cut into splits of at least so many items, but into no more than `most`.

    Gzip cannot be entered in the middle: who reads the last of n splits decompresses the n - 1 before it for nothing. Four cost some
    seven per cent of converting and loading (benchmarks/), forty would cost more than they bring.
    """

    items: int = SPLIT_ITEMS
    most: int = MOST_SPLITS

    def first_items(self, items: int) -> list[int]:
        """Where the splits of a file of so many items begin."""
        splits = max(1, min(self.most, items // self.items))
        return [items * number // splits for number in range(splits)]


@dataclass(frozen=True, slots=True)
class Split:
    """One of the parts of a data file; `part` counts them from 0."""

    data_file: DataFile
    part: int
    first_item: int
    items: int

    @property
    def is_whole_file(self) -> bool:
        return self.items == self.data_file.items

    @property
    def name(self) -> str:
        """Unique in the export, and fit for a file's name."""
        # No data file's name has an @.
        return self.data_file.name if self.is_whole_file else f"{self.data_file.name}@{self.first_item:09d}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines of one data file; `first_item` is the number of the first, from 0 in the file."""

    split: Split
    first_item: int
    lines: list[bytes]
    is_last: bool
    """Whether it is the last of its split."""


@dataclass(frozen=True, slots=True)
class ItemAddress:
    """An item's place in its export; `item_number` counts from 0 in the data file."""

    data_file: str
    item_number: int


def plan_splits(data_files: Iterable[DataFile], size: SplitSize) -> list[Split]:
    """The splits of data files, largest first: the engine deals them out, and a large one at the end would keep one worker alone."""
    splits = [split for data_file in data_files for split in _splits_of(data_file, size)]
    return sorted(splits, key=lambda split: (-split.items, split.data_file.name, split.part))


def data_files_of(splits: Iterable[Split]) -> list[DataFile]:
    """Each data file of some splits once, in their order."""
    return list({split.data_file.name: split.data_file for split in splits}.values())


def _splits_of(data_file: DataFile, size: SplitSize) -> Iterator[Split]:
    first_items = size.first_items(data_file.items)
    for part, (first, end) in enumerate(zip(first_items, [*first_items[1:], data_file.items], strict=True)):
        yield Split(data_file, part, first, end - first)


def read_chunks(split: Split, checked: CheckedFile | None, size: ChunkSize, storage: Storage = LOCAL_AND_AWS) -> Iterator[Chunk]:
    """The chunks of a split. Without `checked` the split must be a whole file, which is checked before its first chunk.

    Raises what `check_and_read` and `read_part_in_lists` do, in place of the last chunk at the latest.
    """
    if checked is not None:
        lists = read_part_in_lists(split.data_file, checked.version, checked.parts[split.part], storage)
    elif split.is_whole_file:
        lists = check_and_read(split.data_file, storage)
    else:
        message = f"{split.name}: is a part of a file that was not checked"
        raise ValueError(message)
    first_item = split.first_item
    for lines in _cut(lists, size):
        end_item = first_item + len(lines)
        yield Chunk(split, first_item, lines, is_last=end_item == split.first_item + split.items)
        first_item = end_item


def _cut(lists: Iterable[list[bytes]], size: ChunkSize) -> Iterator[list[bytes]]:
    """The same lines in lists of that size; the last comes when the lines have come to their end, so never when that is an error."""
    chunk: list[bytes] = []
    room = size.bytes
    for lines in lists:
        begin = 0
        while begin < len(lines):
            some = lines[begin : begin + size.items - len(chunk)]
            some_bytes = sum(map(len, some))
            if some_bytes > room:
                some = some[: bisect_right(list(accumulate(map(len, some))), room)] or lines[begin : begin + (not chunk)]
                some_bytes = sum(map(len, some))
            if some:
                chunk += some
                room -= some_bytes
                begin += len(some)
            else:
                yield chunk
                chunk, room = [], size.bytes
    if chunk:
        yield chunk
