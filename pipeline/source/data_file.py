"""One data file: gzip of JSON lines, checked as a whole, then read: at once where one reader takes it whole, or in parts.

Checking comes first because a wrong count would otherwise be found only when most rows are committed. It tells where the
parts begin and end, and what they are made of: bytes are counted in the decompressed content, and every MiB of a part has its CRC-32, so
that nobody who reads a part is given a line that was not checked, although the rest of the file is not read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from isal import isal_zlib

from pipeline.places.place import ChangedFile
from pipeline.places.storage import Storage
from pipeline.source import streams
from pipeline.source.manifest import DataFile
from pipeline.source.streams import Cells, Hashed, Held, OtherContent, checked_cells, decompressed, skip, split_blocks
from transforms.native.lines import count_line_ends

_DAMAGED: Final[Any] = (EOFError, OSError, isal_zlib.error)


class DataFileRefused(Exception):
    """The file is not what the manifest says. The sentence names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive lines of a data file. Bytes are those of the decompressed content, from 0; `crcs` are of each MiB of them."""

    items: int
    first_byte: int
    end_byte: int
    crcs: bytes


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
    content = _Content(first_items)
    for _ in _checked_blocks(data_file, content, storage):
        pass
    return CheckedFile(content.version, tuple(content.parts))


def read_whole(data_file: DataFile, storage: Storage) -> Iterator[list[bytes]]:
    r"""The lines of a data file in lists, without their `\n`, read and compared with the manifest at the same time.

    What it gave counts for nothing unless it comes to its end: where the file is not what the manifest says, that is found last. Raises
    what `check_file` does.
    """
    yield from _first_items(split_blocks(_checked_blocks(data_file, _Content((0,)), storage)), data_file.items)


def count_file(uri: str, storage: Storage) -> Counted:
    """What a manifest would say of a data file. Raises `DataFileRefused`, `StorageFailed`."""
    with _opened(uri, None, storage) as (raw, _):
        hashed = Hashed(raw)
        content = _Content((0,))
        for _ in content.blocks(hashed):
            pass
        hashed.read_rest()
    return Counted(content.items, hashed.md5)


def read_lines(uri: str, storage: Storage) -> Iterator[bytes]:
    """All lines of an unchecked file, blank ones at the end included. Raises `DataFileRefused`, `StorageFailed`."""
    with _opened(uri, None, storage) as (raw, _), decompressed(raw) as stream:
        for lines in split_blocks(iter(lambda: stream.read(streams.BLOCK), b"")):
            yield from lines


def read_part(data_file: DataFile, version: str, part: Part, storage: Storage) -> Iterator[bytes]:
    r"""The lines of a part, without their `\n`; raises as `read_part_in_lists` does."""
    for lines in read_part_in_lists(data_file, version, part, storage):
        yield from lines


def read_part_in_lists(data_file: DataFile, version: str, part: Part, storage: Storage) -> Iterator[list[bytes]]:
    r"""The lines of a part, without their `\n`, in lists of as many as come at a time.

    Raises `StorageFailed`, and `DataFileRefused` if the file has changed since it was checked, before any line that was not.
    """
    with _opened(data_file.uri, version, storage) as (raw, _), decompressed(raw) as stream:
        skip(stream, part.first_byte)
        yield from _first_items(split_blocks(checked_cells(stream, part.end_byte - part.first_byte, part.crcs)), part.items)


def check_and_read(data_file: DataFile, storage: Storage) -> Iterator[list[bytes]]:
    """The lines of a whole file that was not checked, in such lists, the first of them once all of it was.

    What was checked is kept and given, so it is decompressed once, unless it is too large for that: then it is read again, as a part.
    Raises `StorageFailed`, and `DataFileRefused` as the check and the reading do.
    """
    held, content = Held(), _Content((0,))
    for block in _checked_blocks(data_file, content, storage):
        held.add(block)
    if held.is_whole:
        yield from _first_items(split_blocks(held.give()), data_file.items)
    else:
        yield from read_part_in_lists(data_file, content.version, content.parts[0], storage)


def _first_items(lists: Iterator[list[bytes]], items: int) -> Iterator[list[bytes]]:
    """So many lines. What is left is a blank end, or has changed: either way the end comes after it."""
    for lines in lists:
        if items:
            yield lines[:items]
            items -= min(items, len(lines))


# -- checking ------------------------------------------------------------------------------------------------------------------------------


def _checked_blocks(data_file: DataFile, content: _Content, storage: Storage) -> Iterator[bytes]:
    """The decompressed content, compared with the manifest when all of it was read."""
    with _opened(data_file.uri, None, storage) as (raw, content.version):
        hashed = Hashed(raw)
        try:
            yield from content.blocks(hashed)
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


class _Content:
    """How many items the decompressed content has, and where the parts are that begin with `first_items`; found in one pass."""

    def __init__(self, first_items: Sequence[int]) -> None:
        self.items = 0
        self.parts: list[Part] = []
        self.version = ""
        """Of the file."""
        self._first_items = list(first_items)
        self._line_ends = 0
        self._first_byte = 0
        self._cells = Cells()

    def blocks(self, raw: BinaryIO | Hashed) -> Iterator[bytes]:
        """The content, block by block; at its end all is known."""
        offset = line = 0
        with decompressed(raw) as stream:
            while block := stream.read(streams.BLOCK):
                self._add(block, offset)
                offset += len(block)
                end = block.rfind(b"\n")
                line = line + len(block) if end < 0 else len(block) - end - 1
                if line > streams.LONGEST_LINE:
                    raise EOFError
                yield block
        self._end_part(offset, self.items)

    def _add(self, block: bytes, offset: int) -> None:
        line_ends = count_line_ends(block)
        begun = 0
        while len(self.parts) + 1 < len(self._first_items) and self._first_items[len(self.parts) + 1] <= self._line_ends + line_ends:
            first_item = self._first_items[len(self.parts) + 1]
            end = _end_of_line(block, first_item - self._line_ends)
            self._cells.add(block[begun:end])
            self._end_part(offset + end, first_item)
            begun = end
        self._cells.add(block[begun:] if begun else block)
        content = len(block.rstrip())
        if content:
            self.items = self._line_ends + line_ends - block.count(b"\n", content) + 1
        self._line_ends += line_ends

    def _end_part(self, end_byte: int, end_item: int) -> None:
        first_item = self._first_items[len(self.parts)]
        self.parts.append(Part(end_item - first_item, self._first_byte, end_byte, self._cells.finish()))
        self._first_byte, self._cells = end_byte, Cells()


def _end_of_line(block: bytes, number: int) -> int:
    """Where the line after the `number`-th end of a line begins."""
    return len(block) - len(block.split(b"\n", number)[number]) if number else 0


# -- reading -------------------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(uri: str, version: str | None, storage: Storage) -> Iterator[tuple[BinaryIO, str]]:
    """The file's bytes and its version; damage that is found while they are read is raised as `DataFileRefused`."""
    try:
        raw, found_version = storage.open(uri, version)
        with raw:
            yield raw, found_version
    except FileNotFoundError:
        message = f"{uri}: the data file is missing and cannot be read; copy it again"
        raise DataFileRefused(message) from None
    except (ChangedFile, OtherContent):
        when = "after it was checked" if version else "while it was checked"
        message = f"{uri}: was changed {when}; what was loaded of it before is right. When it is whole, run the same command again"
        raise DataFileRefused(message) from None
    except _DAMAGED:
        # A file that has passed its check was sound then.
        message = f"{uri}: cannot be read{' any more' if version else ''}, or is not whole, sound gzip of lines; copy the file again"
        raise DataFileRefused(message) from None
