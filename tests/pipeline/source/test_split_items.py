"""Every item in one split and one chunk, at its own number, wherever lines, blocks, gzip members and splits begin and end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.places.storage import Storage
from pipeline.source.chunks import Chunk, ChunkSize, SplitSize, plan_splits
from pipeline.source.manifest import DataFile
from tests.pipeline.source.made_data_files import (
    GZIP,
    PLAIN,
    PROPERTY,
    STORED,
    Content,
    Form,
    HaltingStorage,
    blocks,
    blocks_of,
    chunk_sizes,
    chunks_by_split,
    contents,
    forms,
    split_sizes,
    write_file,
)

MIB = 1 << 20


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def assert_every_item_once(found: dict[int, list[Chunk]], lines: list[bytes]) -> None:
    """Splits, in the order of their numbers, hold all lines; each chunk those at its numbers; the last chunk of each split says so."""
    chunks = [chunk for _, chunks in sorted(found.items()) for chunk in chunks]
    assert [line for chunk in chunks for line in chunk.lines] == lines
    assert [chunk.first_item for chunk in chunks] == [sum(len(before.lines) for before in chunks[:n]) for n in range(len(chunks))]
    for of_split in found.values():
        assert [chunk.is_last for chunk in of_split] == [False] * (len(of_split) - 1) + [True] * bool(of_split)
        for chunk in of_split:
            split = chunk.split
            assert split.first_item <= chunk.first_item
            assert chunk.first_item + len(chunk.lines) <= split.first_item + split.items
        assert not of_split or sum(len(chunk.lines) for chunk in of_split) == of_split[0].split.items


@PROPERTY
@given(content=contents, form=forms, splits=split_sizes, chunks=chunk_sizes, block=blocks)
@example(Content([b"a", b"", b"", b"b"], b""), PLAIN, SplitSize(1, 4), ChunkSize(1, 1), 2)
@example(Content([b"", b"", b"", b"a"], b"\n\n\n"), Form(((0, 0.0), (0, 0.5), (0, 0.5))), SplitSize(1, 4), ChunkSize(9, 1), 2)
@example(Content([b"a" * 30, b"b", b"c" * 30], b"\n"), GZIP, SplitSize(1, 4), ChunkSize(9, 9), 7)
def test_every_item_once_at_its_own_number(
    folder: Path, content: Content, form: Form, splits: SplitSize, chunks: ChunkSize, block: int
) -> None:
    """Whatever the lines, the form, the sizes and the blocks."""
    file = write_file(folder, form(content.bytes), len(content.lines))

    with blocks_of(block):
        assert_every_item_once(chunks_by_split(file, splits, chunks), content.lines)


@PROPERTY
@given(content=contents, splits=split_sizes, chunks=chunk_sizes)
def test_every_item_once_byte_by_byte(folder: Path, content: Content, splits: SplitSize, chunks: ChunkSize) -> None:
    """Each byte a block of its own: every place in a line is a border."""
    file = write_file(folder, content.bytes, len(content.lines))

    with blocks_of(1):
        assert_every_item_once(chunks_by_split(file, splits, chunks), content.lines)


@given(items=st.integers(0, 10_000_000), size=st.builds(SplitSize, st.integers(1, 1_000_000), st.integers(1, 9)))
def test_splits_are_as_many_as_their_size_allows_and_cover_the_file(items: int, size: SplitSize) -> None:
    """At most `most`, none smaller than asked for unless it is the whole file, none empty but that of an empty file; all items, once."""
    splits = sorted(plan_splits([DataFile("f", "f", items, "")], size), key=lambda split: split.part)

    assert [split.part for split in splits] == list(range(len(splits)))
    assert [split.first_item for split in splits] == [sum(other.items for other in splits[:n]) for n in range(len(splits))]
    assert sum(split.items for split in splits) == items
    assert len(splits) == max(1, min(size.most, items // size.items))
    assert len(splits) == 1 or min(split.items for split in splits) >= size.items
    assert [split.is_whole_file for split in splits] == [len(splits) == 1] * len(splits)


@PROPERTY
@given(content=contents, form=forms, splits=split_sizes, chunks=chunk_sizes, block=blocks, end=st.sampled_from([b"", b"\n", b"\n\n \n"]))
def test_borders_depend_on_the_lines_and_the_sizes_alone(
    folder: Path, content: Content, form: Form, splits: SplitSize, chunks: ChunkSize, block: int, end: bytes
) -> None:
    """Gzip or not, other members, other blocks, another end: the same chunks, for the ledger knows them by their numbers."""
    file = write_file(folder, form(Content(content.lines, end if content.lines else b"").bytes), len(content.lines))
    with blocks_of(block):
        found = chunks_by_split(file, splits, chunks)

    borders = [(chunk.first_item, len(chunk.lines)) for _, of_split in sorted(found.items()) for chunk in of_split]
    assert borders == list(expected_borders(content.lines, splits, chunks))


def expected_borders(lines: list[bytes], splits: SplitSize, chunks: ChunkSize) -> Iterator[tuple[int, int]]:
    """The rule, spelled out: first item and items of each chunk."""
    begins = splits.first_items(len(lines))
    first = 0
    for number in range(1, len(lines) + 1):
        is_full = number - first == chunks.items
        is_heavy = sum(map(len, lines[first : number + 1])) > chunks.bytes
        if number == len(lines) or number in begins or is_full or is_heavy:
            yield first, number - first
            first = number


@pytest.mark.parametrize(
    ("items", "size", "begins"),
    [
        (0, SplitSize(), [0]),
        (10, SplitSize(1, 4), [0, 2, 5, 7]),
        (11, SplitSize(5, 4), [0, 5]),
        (199_999, SplitSize(), [0, 66_666, 133_332]),
        (1_000_001, SplitSize(), [0, 250_000, 500_000, 750_000]),
    ],
)
def test_where_splits_begin_is_for_ever(items: int, size: SplitSize, begins: list[int]) -> None:
    """A load that another version of this code began finds its chunks in the ledger by these numbers."""
    assert size.first_items(items) == begins


# -- real blocks ---------------------------------------------------------------------------------------------------------------------------


SOME_MEMBERS = Form(((0, 0.0), (0, 0.25), (1, 0.5), (0, 0.5)))


@pytest.mark.parametrize("form", [PLAIN, GZIP, STORED, SOME_MEMBERS], ids=["plain", "gzip", "stored", "members"])
@pytest.mark.parametrize("beyond", [-2, -1, 0, 1, 2])
def test_splits_that_begin_around_a_border_of_blocks(folder: Path, form: Form, beyond: int) -> None:
    """A split begins so many bytes beyond each multiple of the 1 MiB that is read at a time."""
    lines = [bytes([65 + number]) * (MIB - 1 + (beyond if number == 0 else 0)) for number in range(4)]

    found = chunks_by_split(write_file(folder, form(b"\n".join(lines) + b"\n"), 4), SplitSize(1, 4), ChunkSize())

    assert len(found) == 4
    assert_every_item_once(found, lines)


@pytest.mark.parametrize("form", [PLAIN, GZIP, STORED], ids=["plain", "gzip", "stored"])
def test_lines_longer_than_a_block_among_short_ones(folder: Path, form: Form) -> None:
    """Lines of several blocks, whole, first, last and in the middle of a split."""
    lines = [b"L" * (3 * MIB), b"", b"s", b"M" * MIB, b"N" * (2 * MIB + 1), b"\r", b"s", b"O" * (2 * MIB - 1)]

    for most in (1, 2, 4, 8):
        found = chunks_by_split(write_file(folder, form(b"\n".join(lines)), len(lines)), SplitSize(1, most), ChunkSize(3))
        assert len(found) == most
        assert_every_item_once(found, lines)


# -- streams that give what they have ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [PLAIN, GZIP, Form(((0, 0.0), (9, 0.4), (1, 0.4)))], ids=["plain", "gzip", "members"])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_stream_that_gives_few_bytes_at_a_time_is_read_as_any_other(folder: Path, form: Form, most: int) -> None:
    """A raw stream may return fewer bytes than it was asked for, from a network above all; the first of them may be one alone."""
    lines = [b"line %d" % number for number in range(20)]
    file = write_file(folder, form(b"\n".join(lines) + b"\n"), 20)

    storage = cast("Storage", cast("Any", HaltingStorage(most)))

    assert_every_item_once(chunks_by_split(file, SplitSize(1, 4), ChunkSize(3), storage), lines)
