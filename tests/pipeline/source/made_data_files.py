"""Data files of known lines, in every form that a data file may have on a disk."""

from __future__ import annotations

import gzip
import io
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pipeline.places.storage import LOCAL_AND_AWS, Storage
from pipeline.source import streams
from pipeline.source.chunks import Chunk, ChunkSize, SplitSize, plan_splits, read_chunks
from pipeline.source.data_file import check_file
from pipeline.source.manifest import DataFile
from tests.pipeline.source.made_exports import base64_md5
from tests.strategies import examples

PROPERTY = settings(deadline=None, max_examples=examples(150), database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

_numbers = itertools.count()


@dataclass(frozen=True)
class Content:
    """Lines, the truth of every test here, and how their file ends after the last of them."""

    lines: list[bytes]
    end: bytes

    @property
    def bytes(self) -> bytes:
        return b"\n".join(self.lines) + self.end


@dataclass(frozen=True)
class Form:
    """How content is kept: plain, or in gzip members of these levels that end at these shares of the content."""

    members: tuple[tuple[int, float], ...] | None

    def __call__(self, content: bytes) -> bytes:
        if self.members is None:
            return content
        ends = [*sorted(round(share * len(content)) for _, share in self.members[1:]), len(content)]
        parts = itertools.pairwise([0, *ends])
        return b"".join(
            gzip.compress(content[begin:end], level, mtime=0) for (level, _), (begin, end) in zip(self.members, parts, strict=True)
        )


PLAIN = Form(None)
GZIP = Form(((9, 1.0),))
STORED = Form(((0, 1.0),))

_a_line = st.lists(st.sampled_from([b"a", b"\r", b" ", b"\t", b"\x00", b"\xff", b"\x1c", b"{}", b"long" * 5]), max_size=6).map(b"".join)
# Blank lines at the end are no items: the last line is one that is not, and what comes after it is the end.
_lines = st.tuples(st.lists(_a_line, max_size=40), _a_line).map(lambda parts: [*parts[0], b"x" + parts[1]])
_blank_end = st.lists(st.sampled_from([b"\n", b" ", b"\r", b"\t\n"]), max_size=4).map(lambda parts: b"\n" + b"".join(parts))
contents = st.one_of(
    st.builds(Content, _lines, st.just(b"") | st.just(b"\n") | _blank_end),
    st.builds(Content, st.just([]), st.just(b"") | _blank_end),
)
members = st.lists(st.tuples(st.sampled_from([0, 1, 9]), st.floats(0, 1)), min_size=1, max_size=5).map(tuple)
forms = st.just(PLAIN) | st.builds(Form, members)
gzip_forms = st.builds(Form, members)
split_sizes = st.builds(SplitSize, items=st.integers(1, 50), most=st.integers(1, 7))
chunk_sizes = st.builds(ChunkSize, items=st.integers(1, 45), bytes=st.integers(1, 200))
blocks = st.sampled_from([2, 3, 7, 16, 1 << 20])


def write_file(folder: Path, kept: bytes, items: int, *, md5_of: bytes | None = None) -> DataFile:
    """A data file that no other example has, as a manifest would name it; `md5_of` is the content that the manifest means."""
    path = folder / f"{next(_numbers):06d}.json.gz"
    path.write_bytes(kept)
    return DataFile(path.name, str(path), items, base64_md5(kept if md5_of is None else md5_of), len(kept))


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Reading goes in blocks of so many bytes meanwhile, so that short content has borders of blocks everywhere."""
    with mock.patch.object(streams, "BLOCK", size):
        yield


def overwrite_in_secret(path: Path, content: bytes) -> None:
    """Other content under the same size and the same time."""
    before = path.stat()
    assert len(content) == before.st_size
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def chunks_by_split(file: DataFile, splits: SplitSize, size: ChunkSize, storage: Storage = LOCAL_AND_AWS) -> dict[int, list[Chunk]]:
    """The chunks of each split, by the split's number, each read by itself, the last split first.

    Of a whole file they must be the same where it is checked and read at once, whether or not it is small enough to be kept meanwhile.
    """
    checked = check_file(file, splits.first_items(file.items), storage)
    planned = sorted(plan_splits([file], splits), key=lambda split: -split.part)
    found = {split.part: list(read_chunks(split, checked, size, storage)) for split in planned}
    for split in planned:
        for most in (streams.MOST_HELD, file.bytes or 0, 0) if split.is_whole_file else ():
            with mock.patch.object(streams, "MOST_HELD", most):
                assert list(read_chunks(split, None, size, storage)) == found[split.part]
    return found


class HaltingStorage:
    """A place whose streams give few bytes at a time, as a network may."""

    def __init__(self, most: int) -> None:
        self._most = most

    def open(self, uri: str, version: str | None = None) -> tuple[BinaryIO, str]:
        stream, found = LOCAL_AND_AWS.open(uri, version)
        return cast("BinaryIO", _Halting(stream, self._most)), found


class _Halting(io.RawIOBase):
    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream = stream
        self._most = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(min(len(buffer), self._most))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()
