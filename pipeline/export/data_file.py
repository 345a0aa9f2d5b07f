"""One data file: gzip of JSON lines, checked against the manifest, read as a stream."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from isal import igzip, isal_zlib

from pipeline.export import files
from pipeline.export.manifest import DataFile

_BLOCK: Final = 1 << 20
_DAMAGED: Final[Any] = (EOFError, OSError, isal_zlib.error)
# DynamoDB's items have at most 400 KB; as typed JSON some times that.
_LONGEST_LINE: Final = 64 << 20


class DataFileRefused(Exception):
    """The file is not what the manifest says. The sentence names the file and what to do."""


def read_lines(data_file: DataFile) -> Iterator[bytes]:
    r"""The items' lines, without their `\n`, in order. Blank lines at the end are not items; elsewhere they are (bad ones).

    Raises `DataFileRefused` when the gzip is damaged, cut short, or a line has no end within reason.
    """
    with _opened(data_file) as raw, _decompressed(raw) as stream:
        yield from _without_blank_end(_lines(stream))


def read_checked_lines(data_file: DataFile) -> Iterator[bytes]:
    """The lines of a file that is what the manifest says; raises `DataFileRefused`.

    The file is compared as a whole before the first line: a count that does not hold would be known only when most rows are committed.
    That costs some ten per cent of converting and loading it. What is read then is hashed again, from the same open file: should it have
    been changed in between, the end of the lines is an error, so that the caller's last chunk, at least, is never committed.
    """
    with _opened(data_file) as raw:
        _check(data_file, raw)
        raw.seek(0)
        hashed = _Hashed(raw)
        with _decompressed(hashed) as stream:
            yield from _without_blank_end(_lines(stream))
        hashed.read_rest()
        if hashed.md5 != data_file.md5:
            message = (
                f"{data_file.uri}: was changed while it was read, so rows of it may be wrong; copy the file again and begin the load anew "
                "(docs/how-it-works.md, Begin anew)"
            )
            raise DataFileRefused(message)


class _Hashed(io.RawIOBase):
    """A stream that keeps the MD5 of what was read since its start."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.md5()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._digest.update(block)
        return len(block)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Back to the start, where what was read is forgotten; nobody asks for anything else."""
        self._digest = hashlib.md5()
        return self._stream.seek(offset, whence)

    def read_rest(self) -> None:
        while self.read(_BLOCK):
            pass

    @property
    def md5(self) -> str:
        return base64.b64encode(self._digest.digest()).decode()


def _check(data_file: DataFile, raw: BinaryIO) -> None:
    hashed = _Hashed(raw)
    hashed.read_rest()
    if hashed.md5 != data_file.md5:
        message = f"{data_file.uri}: its MD5 is not the manifest's; it was changed or cut short. Copy the file again"
        raise DataFileRefused(message)
    raw.seek(0)
    items = _count_items(raw)
    if items != data_file.items:
        message = (
            f"{data_file.uri}: holds {items:,} items, but the manifest says {data_file.items:,}; the export is not consistent. Export again"
        )
        raise DataFileRefused(message)


def _count_items(raw: BinaryIO) -> int:
    """How many lines `read_lines` has, some four times as fast."""
    items = line_ends = 0
    with _decompressed(raw) as stream:
        while block := stream.read(_BLOCK):
            content = block.rstrip()
            if content:
                items = line_ends + content.count(b"\n") + 1
            line_ends += block.count(b"\n")
    return items


@contextlib.contextmanager
def _opened(data_file: DataFile) -> Iterator[BinaryIO]:
    """The file's bytes; damage that is found while they are read is told as `DataFileRefused`."""
    try:
        with files.open_file(data_file.uri) as raw:
            yield raw
    except FileNotFoundError:
        message = f"{data_file.uri}: the data file is missing and cannot be read; copy it again"
        raise DataFileRefused(message) from None
    except _DAMAGED:
        message = f"{data_file.uri}: cannot be read, or is not whole, sound gzip of lines; copy the file again"
        raise DataFileRefused(message) from None


def _decompressed(raw: BinaryIO | _Hashed) -> contextlib.AbstractContextManager[BinaryIO]:
    magic = raw.read(2)
    raw.seek(0)
    # An object of zero bytes is no gzip, but is as empty as one.
    if magic != b"\x1f\x8b":
        return cast("contextlib.AbstractContextManager[BinaryIO]", contextlib.nullcontext(raw))
    return cast("contextlib.AbstractContextManager[BinaryIO]", igzip.open(raw, "rb"))


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(_BLOCK):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LONGEST_LINE:
            raise EOFError
        yield from lines
    if rest:
        yield rest


def _without_blank_end(lines: Iterator[bytes]) -> Iterator[bytes]:
    blank: list[bytes] = []
    for line in lines:
        if not line or line.isspace():
            blank.append(line)
            continue
        if blank:
            yield from blank
            blank.clear()
        yield line
