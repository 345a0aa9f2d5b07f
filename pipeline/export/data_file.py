"""One data file: gzip of JSON lines, checked against the manifest, read as a stream."""

from __future__ import annotations

import base64
import contextlib
import hashlib
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


def check_data_file(data_file: DataFile) -> None:
    """Read the whole file once and compare it with the manifest; raises `DataFileRefused`.

    That comes before any of its rows is written: a count that does not hold would be known only when most rows are committed. It costs some
    five per cent of converting and loading the file.
    """
    try:
        md5 = _md5_of(data_file.uri)
    except OSError as error:
        message = f"{data_file.uri}: cannot be read ({error.strerror}); copy the file again"
        raise DataFileRefused(message) from None
    if md5 != data_file.md5:
        message = f"{data_file.uri}: its MD5 is not the manifest's; it was changed or cut short. Copy the file again"
        raise DataFileRefused(message)
    items = _count_items(data_file)
    if items != data_file.items:
        message = (
            f"{data_file.uri}: holds {items:,} items, but the manifest says {data_file.items:,}; the export is not consistent. Export again"
        )
        raise DataFileRefused(message)


def read_lines(data_file: DataFile) -> Iterator[bytes]:
    r"""The items' lines, without their `\n`, in order. Blank lines at the end are not items; elsewhere they are (bad ones).

    Raises `DataFileRefused` when the gzip is damaged, cut short, or a line has no end within reason.
    """
    with _stream_of(data_file) as stream:
        yield from _without_blank_end(_lines(stream))


def _count_items(data_file: DataFile) -> int:
    """How many lines `read_lines` has, some four times as fast."""
    items = line_ends = 0
    with _stream_of(data_file) as stream:
        while block := stream.read(_BLOCK):
            content = block.rstrip()
            if content:
                items = line_ends + content.count(b"\n") + 1
            line_ends += block.count(b"\n")
    return items


@contextlib.contextmanager
def _stream_of(data_file: DataFile) -> Iterator[BinaryIO]:
    """The decompressed content; raises `DataFileRefused` when that turns out to be damaged."""
    try:
        with files.open_file(data_file.uri) as compressed, _decompressed(compressed) as stream:
            yield stream
    except _DAMAGED:
        message = f"{data_file.uri}: is not whole, sound gzip of lines; copy the file again"
        raise DataFileRefused(message) from None


def _md5_of(uri: str) -> str:
    digest = hashlib.md5()
    with files.open_file(uri) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()


def _decompressed(compressed: BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    magic = compressed.read(2)
    compressed.seek(0)
    # An object of zero bytes is no gzip, but is as empty as one.
    if magic != b"\x1f\x8b":
        return contextlib.nullcontext(compressed)
    return cast("contextlib.AbstractContextManager[BinaryIO]", igzip.open(compressed, "rb"))


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
