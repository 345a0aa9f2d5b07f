"""The bytes of a data file as they come: hashed, decompressed, skipped, split into lines. Nothing is held but a block."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from isal import igzip, isal_zlib

BLOCK: Final = 1 << 20
"""Bytes that are read at a time."""
# DynamoDB's items have at most 400 KB; as typed JSON some times that.
LONGEST_LINE: Final = 64 << 20


class Hashed(io.RawIOBase):
    """A stream that keeps the MD5 of what was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.md5()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As `io.RawIOBase` has it."""
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._digest.update(block)
        return len(block)

    def read_rest(self) -> None:
        """Hash what nobody asked for, too."""
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
        # An object of zero bytes is no gzip, but is as empty as one.
        if start != b"\x1f\x8b":
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


class Region:
    """So many bytes of a stream, with their CRC-32."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size
        self.crc = 0

    def blocks(self) -> Iterator[bytes]:
        """All of it; raises `EOFError` where the stream ends first."""
        while self._left:
            block = self._stream.read(min(self._left, BLOCK))
            if not block:
                raise EOFError
            self._left -= len(block)
            self.crc = isal_zlib.crc32(block, self.crc)
            yield block


def split_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    r"""Lines without their `\n`. Raises `EOFError` for one that has no end within reason."""
    rest = b""
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        # The check stops at its own block's end: what has passed it must pass here.
        if len(rest) > LONGEST_LINE + BLOCK:
            raise EOFError
        yield from lines
    if rest:
        yield rest
