"""The bytes of a data file as they come: hashed, decompressed, skipped, split into lines. Nothing is held but a block."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from isal import igzip, isal_zlib

BLOCK: Final = 1 << 20
"""Bytes that are read at a time."""
CELL: Final = 1 << 20
"""Bytes of content that are compared before a line of them is given out."""
# An item of DynamoDB has at most 400 KB, as typed JSON up to eight times that; parsed, a line was seen to take 26 times its size.
LONGEST_LINE: Final = 16 << 20


class Cells:
    """The CRC-32 of every so many bytes of a content that comes in blocks of any size, as 4 bytes each."""

    def __init__(self) -> None:
        self._crcs = bytearray()
        self._crc = 0
        self._left = CELL

    def add(self, block: bytes) -> None:
        begin = 0
        while begin < len(block):
            some = block[begin : begin + self._left]
            self._crc = isal_zlib.crc32(some, self._crc)
            self._left -= len(some)
            begin += len(some)
            if not self._left:
                self._end()

    def finish(self) -> bytes:
        """All of them; the last cell may be short."""
        if self._left < CELL:
            self._end()
        return bytes(self._crcs)

    def _end(self) -> None:
        self._crcs += self._crc.to_bytes(4, "big")
        self._crc, self._left = 0, CELL


class Hashed(io.RawIOBase):
    """A stream that keeps the MD5 of what was read."""

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

    def read_rest(self) -> None:
        """Read to the end, so that the rest is hashed, too."""
        while self.read(BLOCK):
            pass

    @property
    def md5(self) -> str:
        """Of what was read so far, in base64."""
        return base64.b64encode(self._digest.digest()).decode()


@contextlib.contextmanager
def decompressed(raw: BinaryIO | Hashed) -> Iterator[BinaryIO]:
    """The content: of all members of a gzip, or the bytes as they are. What it reads stays open."""
    buffered = io.BufferedReader(cast("io.RawIOBase", raw), BLOCK)
    try:
        start = buffered.read(2)
        joined = io.BufferedReader(_Joined(start, buffered), BLOCK)
        # An object of zero bytes is no gzip, but is as empty as one; of one byte, it may be a gzip that was cut.
        if not start or not b"\x1f\x8b".startswith(start):
            yield joined
        else:
            with igzip.open(joined, "rb") as stream:
                yield cast("BinaryIO", stream)
    finally:
        buffered.detach()  # else it would close what it reads


class _Joined(io.RawIOBase):
    """Bytes that were read already, and the stream that they came from."""

    def __init__(self, start: bytes, stream: io.BufferedIOBase) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._start:
            return self._stream.readinto1(buffer)
        count = min(len(buffer), len(self._start))
        buffer[:count], self._start = self._start[:count], self._start[count:]
        return count


def skip(stream: BinaryIO, bytes_: int) -> None:
    """Read so many bytes for nothing. Raises `EOFError`."""
    while bytes_:
        block = stream.read(min(bytes_, BLOCK))
        if not block:
            raise EOFError
        bytes_ -= len(block)


class OtherContent(Exception):
    """What is read is not what was checked."""


def checked_cells(stream: BinaryIO, size: int, crcs: bytes) -> Iterator[bytes]:
    """So many bytes of a stream, cell by cell, each once its CRC-32 is found to be right. Raises `OtherContent`, `EOFError`."""
    for number in range(0, len(crcs), 4):
        cell = _read_exactly(stream, min(CELL, size))
        if isal_zlib.crc32(cell) != int.from_bytes(crcs[number : number + 4], "big"):
            raise OtherContent
        size -= len(cell)
        yield cell


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    cell = stream.read(size)
    while len(cell) < size:
        more = stream.read(size - len(cell))
        if not more:
            raise EOFError
        cell += more
    return cell


def split_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    r"""Lines without their `\n`. Raises `EOFError` for one that has no end within reason."""
    return itertools.chain.from_iterable(lists_of_lines(blocks))


def lists_of_lines(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """The same, those of each block in a list."""
    rest = b""
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        # The check stops at its own block's end: what has passed it must pass here.
        if len(rest) > LONGEST_LINE + BLOCK:
            raise EOFError
        yield lines
    if rest:
        yield [rest]
