"""A data file that changes under our hands: a copy that is still running, or that somebody starts again."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest

from pipeline.export.chunks import ChunkSize, Split, read_chunks
from pipeline.export.data_file import DataFileRefused
from pipeline.export.manifest import find_exports, read_export
from tests.handmade_export import write_export

# Of content that gzip cannot make small: the file is longer than what is read at a time.
OLD = [b'{"Item":{"n":{"S":"%s"}}}' % hashlib.sha512(b"%d" % number).hexdigest().encode() for number in range(40_000)]
NEW = [line.replace(b'"n"', b'"m"') for line in OLD]


@pytest.fixture
def split(tmp_path: Path) -> Split:
    write_export(tmp_path / "old", "t", [OLD])
    return Split(read_export(find_exports(str(tmp_path / "old"))[0]).data_files[0])


def _other_content(tmp_path: Path) -> bytes:
    folder = write_export(tmp_path / "new", "t", [NEW])
    return next((folder / "data").iterdir()).read_bytes()


def test_a_file_that_is_replaced_is_still_the_one_that_was_checked(tmp_path: Path, split: Split) -> None:
    """Copy tools write beside and rename: what was opened stays what it was."""
    chunks = read_chunks(split, ChunkSize(items=1_000))
    first = next(chunks)
    replacement = tmp_path / "replacement"
    replacement.write_bytes(_other_content(tmp_path))
    replacement.rename(split.data_file.uri)

    assert [line for chunk in itertools.chain([first], chunks) for line in chunk.lines] == OLD


def test_a_file_that_is_overwritten_is_refused_before_its_last_chunk(split: Split) -> None:
    """So it never looks done."""
    path = Path(split.data_file.uri)
    content = path.read_bytes()
    chunks = read_chunks(split, ChunkSize(items=1_000))
    read = [next(chunks)]
    with path.open("r+b") as stream:
        stream.seek(len(content) - 4)
        stream.write(b"\0\0\0\0")
    with pytest.raises(DataFileRefused):
        read.extend(chunks)

    assert not any(chunk.is_last for chunk in read)
    assert sum(len(chunk.lines) for chunk in read) < len(OLD)
