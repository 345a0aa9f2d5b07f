"""The parts of an export that flow through the job.

Split    what one worker takes at a time: a run of items of one data file. What crosses the shuffle
Chunk    what one transaction loads: some thousands of consecutive lines. Its boundaries depend on nothing but the file and the load's
         settings, so that every run of a load cuts the same chunks
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.export.data_file import read_checked_lines
from pipeline.export.manifest import DataFile

CHUNK_ITEMS: Final = 5_000
CHUNK_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """A chunk ends at so many items, or before the line that would take it beyond so many bytes; a line alone may be longer."""

    items: int = CHUNK_ITEMS
    bytes: int = CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Split:
    """One data file, whole."""

    data_file: DataFile

    @property
    def name(self) -> str:
        """Unique in the export, and fit for a file's name."""
        return self.data_file.name


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines of one data file; `first_item` is the number of the first, from 0 in the file."""

    split: Split
    first_item: int
    lines: list[bytes]
    is_last: bool
    """Whether it is the last of its split."""


def plan_splits(data_files: Iterable[DataFile]) -> list[Split]:
    """One split a data file, largest first: the engine deals them out, and a large one at the end would keep one worker alone."""
    return [Split(data_file) for data_file in sorted(data_files, key=lambda data_file: (-data_file.items, data_file.name))]


def read_chunks(split: Split, size: ChunkSize) -> Iterator[Chunk]:
    """The chunks of a split, after its file has been checked as a whole; raises `DataFileRefused`."""
    first_item = 0
    waiting: list[bytes] | None = None
    for lines in _cut(read_checked_lines(split.data_file), size):
        if waiting is not None:
            yield Chunk(split, first_item, waiting, is_last=False)
            first_item += len(waiting)
        waiting = lines
    if waiting is not None:
        yield Chunk(split, first_item, waiting, is_last=True)


def _cut(lines: Iterator[bytes], size: ChunkSize) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    bytes_ = 0
    for line in lines:
        if chunk and (len(chunk) == size.items or bytes_ + len(line) > size.bytes):
            yield chunk
            chunk, bytes_ = [], 0
        chunk.append(line)
        bytes_ += len(line)
    if chunk:
        yield chunk
