"""One data file with its part of the truth: independent of all other files, so that processes can share the work."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import BinaryIO

from sample_export.audit import sound_event
from sample_export.draft import Draft
from sample_export.fields import FIELDS
from sample_export.manifests import WrittenFile
from sample_export.notes import sound_note
from sample_export.planting import planting
from sample_export.sessions import sound_session
from sample_export.settings import AUDIT, NOTES, SESSIONS, DataFile, Settings
from sample_export.world import World, world

# What Java's GZIPOutputStream, and so AWS, writes for no items at all.
EMPTY_GZIP = bytes.fromhex("1f8b0800000000000000") + b"\x03\x00" + bytes(8)

_LINES_AT_ONCE = 256

_SOUND: dict[str, Callable[[World, Random, int], Draft]] = {
    SESSIONS: sound_session,
    NOTES: sound_note,
    AUDIT: sound_event,
}


class _Gzip:
    """Compresses as it writes, with the MD5 of what it wrote. zlib's gzip header has no name and no time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        self._md5 = hashlib.md5()
        self.size = 0

    def write(self, content: bytes) -> None:
        self.size += len(content)
        self._put(self._compressor.compress(content))

    def finish(self) -> bytes:
        self._put(self._compressor.flush())
        return self._md5.digest()

    def _put(self, compressed: bytes) -> None:
        self._md5.update(compressed)
        self._stream.write(compressed)


class _LineSink:
    """Joins lines before it writes them: fewer, larger writes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        if len(self._lines) == _LINES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self._write(b"\n".join(self._lines) + b"\n")
            self._lines.clear()


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a data file and what is told about it go: a folder, and two files of its own."""

    data: Path
    truth: Path
    planted: Path


def write_data_file(settings: Settings, table: str, data_file: DataFile, outputs: Outputs) -> WrittenFile:
    """Write the items, a line of truth for each, and a line of what was planted for those that were changed."""
    with (
        (outputs.data / data_file.name).open("wb") as stream,
        outputs.truth.open("wb") as truth,
        outputs.planted.open("wb") as planted,
    ):
        if data_file.count == 0:
            stream.write(EMPTY_GZIP)
            return WrittenFile(data_file.name, 0, hashlib.md5(EMPTY_GZIP).digest(), 0)
        gzip = _Gzip(stream)
        _write_items(settings, table, data_file, [_LineSink(write) for write in (gzip.write, truth.write, planted.write)])
        return WrittenFile(data_file.name, data_file.count, gzip.finish(), gzip.size)


def _write_items(settings: Settings, table: str, data_file: DataFile, sinks: Sequence[_LineSink]) -> None:
    data, truth, planted = sinks
    for item_number, draft in enumerate(_drafts(settings, table, data_file)):
        data.write(draft.to_line())
        truth.write(draft.to_truth(data_file.name, item_number))
        if draft.planted:
            planted.write(draft.to_planted(data_file.name, item_number))
    for sink in sinks:
        sink.flush()


def _drafts(settings: Settings, table: str, data_file: DataFile) -> Iterator[Draft]:
    everyone = world(settings.seed, settings.items)
    random = settings.random("items", table, data_file.first)
    sound = _SOUND[table]
    plan = planting(settings, table)
    orders = _attribute_orders(settings, table)
    faulty = _numbered(random, data_file, settings.faulty_before)
    odd = _numbered(random, data_file, settings.odd_before)
    for position in range(data_file.count):
        draft = sound(everyone, random, data_file.first + position)
        if position in faulty or position in odd:
            draft.is_last = position == data_file.count - 1
            if position in faulty:
                plan.plant_fault(draft, random, faulty[position])
            if position in odd:
                plan.plant_oddity(draft, random, odd[position])
            draft.shuffle_attributes(random)
        else:
            order = orders[int(random.random() * len(orders))]
            present = draft.attributes
            draft.attributes = {name: present[name] for name in order if name in present}
        yield draft


def _numbered(random: Random, data_file: DataFile, before: Callable[[int], int]) -> dict[int, int]:
    """Positions in the file, by chance, and their numbers in the table: as many as the share asks for between its items."""
    first, end = before(data_file.first), before(data_file.first + data_file.count)
    positions = sorted(random.sample(range(data_file.count), end - first))
    return dict(zip(positions, range(first, end), strict=True))


def _attribute_orders(settings: Settings, table: str) -> list[list[str]]:
    """Some orders of all the attributes of a table: DynamoDB keeps none."""
    names = sorted({field.attribute.partition(".")[0] for field in FIELDS[table]})
    random = settings.random("attribute orders", table)
    return [random.sample(names, len(names)) for _ in range(64)]
