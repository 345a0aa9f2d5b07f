"""One data file: gzip of JSON lines, checked as a whole, then read in parts.

Checking comes first because a count that does not hold would otherwise be known only when most rows are committed. It tells where the
parts begin and end, and what they are made of: bytes are counted in the decompressed content, and each part has its CRC-32, so that who
reads a part knows that it is the one that was checked without reading the rest of the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from isal import isal_zlib

from pipeline.export import streams
from pipeline.export.manifest import DataFile
from pipeline.export.streams import Hashed, Region, decompressed, skip, split_lines
from pipeline.storage import ChangedFile, Storage

_DAMAGED: Final[Any] = (EOFError, OSError, isal_zlib.error)


class DataFileRefused(Exception):
    """The file is not what the manifest says. The sentence names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive lines of a data file. Bytes are those of the decompressed content, from 0; `crc` is theirs."""

    first_item: int
    items: int
    first_byte: int
    end_byte: int
    crc: int


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A data file that was what its manifest says: the version of it that was, and its parts."""

    version: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A data file of which no manifest says anything. `md5` is base64, of the bytes as they are kept."""

    items: int
    md5: str


def check_file(data_file: DataFile, first_items: Sequence[int], storage: Storage) -> CheckedFile:
    """Compare a data file with its manifest, and find the parts that begin with `first_items` (the first is 0).

    Blank lines at the end are not items; elsewhere they are (bad ones). Raises `DataFileRefused`, `StorageFailed`.
    """
    with _opened(data_file.uri, None, storage) as (raw, version):
        hashed = Hashed(raw)
        try:
            content = _Content(hashed, first_items)
        except _DAMAGED:
            # Damage, most likely, is why the MD5 is another.
            hashed.read_rest()
            if hashed.md5 == data_file.md5:
                raise
        hashed.read_rest()
        if hashed.md5 != data_file.md5:
            message = f"{data_file.uri}: its MD5 is not the manifest's; it was changed, unpacked or cut short. Copy the file again"
            raise DataFileRefused(message)
    if content.items != data_file.items:
        message = (
            f"{data_file.uri}: holds {content.items:,} items, but the manifest says {data_file.items:,}; the export is not consistent. "
            "Export again"
        )
        raise DataFileRefused(message)
    return CheckedFile(version, tuple(content.parts))


def count_file(uri: str, storage: Storage) -> Counted:
    """What a manifest would say of a data file. Raises `DataFileRefused`, `StorageFailed`."""
    with _opened(uri, None, storage) as (raw, _):
        hashed = Hashed(raw)
        content = _Content(hashed, (0,))
        hashed.read_rest()
    return Counted(content.items, hashed.md5)


def read_lines(uri: str, storage: Storage) -> Iterator[bytes]:
    """All lines of a file that nobody checked, blank ones at the end included. Raises `DataFileRefused`, `StorageFailed`."""
    with _opened(uri, None, storage) as (raw, _), decompressed(raw) as stream:
        yield from split_lines(iter(lambda: stream.read(streams.BLOCK), b""))


def read_part(data_file: DataFile, version: str, part: Part, storage: Storage) -> Iterator[bytes]:
    r"""The lines of a part, without their `\n`.

    Raises `StorageFailed`, and `DataFileRefused` if the file has changed since it was checked: mostly before the first line, at the
    latest in place of the end of the lines, so that a caller who waits for the end never takes the last of them.
    """
    with _opened(data_file.uri, version, storage) as (raw, _), decompressed(raw) as stream:
        skip(stream, part.first_byte)
        region = Region(stream, part.end_byte - part.first_byte)
        lines = 0
        for line in split_lines(region.blocks()):
            if lines < part.items:
                yield line
            lines += 1
        if region.crc != part.crc or lines < part.items:
            raise DataFileRefused(_changed(data_file.uri))


def _changed(uri: str) -> str:
    return (
        f"{uri}: was changed after it was checked, so rows of it may be wrong; copy the file again and begin the load anew "
        "(docs/how-it-works.md, Begin anew)"
    )


# -- checking ------------------------------------------------------------------------------------------------------------------------------


class _Content:
    """How many items the decompressed content has, and where the parts are that begin with `first_items`; read in one pass."""

    def __init__(self, raw: BinaryIO | Hashed, first_items: Sequence[int]) -> None:
        self.items = 0
        self.parts: list[Part] = []
        self._first_items = list(first_items)
        self._line_ends = 0
        self._first_byte = self._crc = 0
        offset = line = 0
        with decompressed(raw) as stream:
            while block := stream.read(streams.BLOCK):
                self._add(block, offset)
                offset += len(block)
                end = block.rfind(b"\n")
                line = line + len(block) if end < 0 else len(block) - end - 1
                if line > streams.LONGEST_LINE:
                    raise EOFError
        self._end_part(offset, self.items)

    def _add(self, block: bytes, offset: int) -> None:
        line_ends = block.count(b"\n")
        begun = 0
        while len(self.parts) + 1 < len(self._first_items) and self._first_items[len(self.parts) + 1] <= self._line_ends + line_ends:
            first_item = self._first_items[len(self.parts) + 1]
            end = _end_of_line(block, first_item - self._line_ends)
            self._crc = isal_zlib.crc32(block[begun:end], self._crc)
            self._end_part(offset + end, first_item)
            begun = end
        self._crc = isal_zlib.crc32(block[begun:] if begun else block, self._crc)
        content = len(block.rstrip())
        if content:
            self.items = self._line_ends + line_ends - block.count(b"\n", content) + 1
        self._line_ends += line_ends

    def _end_part(self, end_byte: int, end_item: int) -> None:
        first_item = self._first_items[len(self.parts)]
        self.parts.append(Part(first_item, end_item - first_item, self._first_byte, end_byte, self._crc))
        self._first_byte, self._crc = end_byte, 0


def _end_of_line(block: bytes, number: int) -> int:
    """Where the line after the `number`-th end of a line begins."""
    return len(block) - len(block.split(b"\n", number)[number]) if number else 0


# -- reading -------------------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(uri: str, version: str | None, storage: Storage) -> Iterator[tuple[BinaryIO, str]]:
    """The file's bytes and its version; damage that is found while they are read is told as `DataFileRefused`."""
    try:
        raw, found = storage.open(uri, version)
        with raw:
            yield raw, found
    except FileNotFoundError:
        message = f"{uri}: the data file is missing and cannot be read; copy it again"
        raise DataFileRefused(message) from None
    except ChangedFile:
        message = _changed(uri) if version else f"{uri}: was changed while it was checked; run the same command again when it is whole"
        raise DataFileRefused(message) from None
    except _DAMAGED:
        message = f"{uri}: cannot be read, or is not whole, sound gzip of lines; copy the file again"
        raise DataFileRefused(message) from None
