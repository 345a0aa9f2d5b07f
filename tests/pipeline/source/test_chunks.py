"""Chunks: every line exactly once, in order, cut at places that depend on nothing but the file and the size."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.source.chunks import Chunk, ChunkSize, Split, SplitSize, plan_splits
from pipeline.source.manifest import DataFile
from tests.pipeline.source.made_exports import base64_md5
from tests.pipeline.source.read_splits import chunks_of_file

LINES = st.lists(st.binary(max_size=30).map(lambda content: content.replace(b"\n", b"-")), max_size=60).map(
    # A blank end is not items; that is for test_data_file.py.
    lambda lines: [*lines, b"end"] if lines and not lines[-1].strip() else lines
)
SIZES = st.builds(ChunkSize, items=st.integers(1, 70), bytes=st.integers(1, 500))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def chunks_of(folder: Path, lines: list[bytes], size: ChunkSize, *, end: bytes = b"\n") -> list[Chunk]:
    content = gzip.compress(b"\n".join(lines) + end if lines else b"", 1, mtime=0)
    path = folder / "some.json.gz"
    path.write_bytes(content)
    return chunks_of_file(DataFile(path.name, str(path), len(lines), base64_md5(content)), size)


@given(lines=LINES, size=SIZES)
def test_every_line_exactly_once_and_in_order(folder: Path, lines: list[bytes], size: ChunkSize) -> None:
    """Each line stands at its number, whatever the size of the chunks."""
    chunks = chunks_of(folder, lines, size)

    assert [line for chunk in chunks for line in chunk.lines] == lines
    assert all(lines[chunk.first_item : chunk.first_item + len(chunk.lines)] == chunk.lines for chunk in chunks)


@given(lines=LINES, size=SIZES)
def test_a_chunk_is_bounded_by_items_and_bytes_and_is_no_smaller_than_it_must_be(folder: Path, lines: list[bytes], size: ChunkSize) -> None:
    """At most so many items, and so many bytes unless a line alone has more; the next line would have gone beyond."""
    chunks = chunks_of(folder, lines, size)

    for chunk in chunks:
        assert 1 <= len(chunk.lines) <= size.items
        assert len(chunk.lines) == 1 or sum(map(len, chunk.lines)) <= size.bytes
    for chunk, following in pairwise(chunks):
        together = [*chunk.lines, following.lines[0]]
        assert len(together) > size.items or sum(map(len, together)) > size.bytes


@given(lines=LINES, size=SIZES)
def test_the_last_chunk_says_so_and_no_other(folder: Path, lines: list[bytes], size: ChunkSize) -> None:
    """`is_last` ends a split's files of dead letters: exactly one, or none of an empty file."""
    flags = [chunk.is_last for chunk in chunks_of(folder, lines, size)]

    assert flags == [False] * (len(flags) - 1) + [True] * bool(lines)


@given(lines=LINES, size=SIZES, end=st.sampled_from([b"", b"\n", b"\n\n"]))
def test_boundaries_are_the_same_every_time(folder: Path, lines: list[bytes], size: ChunkSize, end: bytes) -> None:
    """A load is resumed by its chunks' first items: they may not depend on chance, nor on the newline at the end."""
    first = [(chunk.first_item, chunk.lines) for chunk in chunks_of(folder, lines, size)]

    assert [(chunk.first_item, chunk.lines) for chunk in chunks_of(folder, lines, size, end=end)] == first


def test_blank_lines_at_the_end_change_nothing_of_the_last_chunk(folder: Path) -> None:
    """They come after the last item, even where a chunk is full: no chunk of nothing follows."""
    chunks = chunks_of(folder, [b"a", b"b"], ChunkSize(items=2), end=b"\n\n \n")

    assert [(chunk.lines, chunk.is_last) for chunk in chunks] == [([b"a", b"b"], True)]


# -- splits --------------------------------------------------------------------------------------------------------------------------------


def planned(*named: tuple[str, int]) -> list[Split]:
    return plan_splits((DataFile(name, f"/somewhere/{name}", items, "") for name, items in named), SplitSize())


def test_the_largest_comes_first() -> None:
    """Ties are broken by name, so that a plan does not depend on the manifest's order."""
    splits = planned(("b.json.gz", 5), ("a.json.gz", 5), ("c.json.gz", 9), ("d.json.gz", 0))

    assert [split.data_file.name[0] for split in splits] == ["c", "a", "b", "d"]


@pytest.mark.parametrize("names", [("part.0.json.gz", "part.1.json.gz"), ("a.json.gz", "a.json"), (".a.gz", ".b.gz"), ("a.gz", "A.gz")])
def test_the_name_of_a_split_is_its_own(names: tuple[str, ...]) -> None:
    """Dead letters are kept in a file of that name: two splits of one name would overwrite each other's."""
    assert len({split.name for split in planned(*((name, 1) for name in names))}) == len(names)
