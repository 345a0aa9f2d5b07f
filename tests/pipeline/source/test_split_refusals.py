"""A data file that is not what its manifest says, or no longer what was checked, never passes for one that is."""

from __future__ import annotations

import contextlib
import gzip
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source import streams
from pipeline.source.chunks import Chunk, ChunkSize, SplitSize, plan_splits, read_chunks
from pipeline.source.data_file import DataFileRefused, check_file
from pipeline.source.manifest import DataFile
from tests.pipeline.source.made_data_files import (
    GZIP,
    PLAIN,
    PROPERTY,
    STORED,
    Content,
    Form,
    blocks,
    blocks_of,
    chunk_sizes,
    contents,
    forms,
    gzip_forms,
    overwrite_in_secret,
    split_sizes,
    write_file,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def refusal_of(file: DataFile, splits: SplitSize) -> str:
    with pytest.raises(DataFileRefused) as caught:
        check_file(file, splits.first_items(file.items), LOCAL_AND_AWS)
    assert str(caught.value).startswith(f"{file.uri}: ")
    assert refusal_of_reader(file) == str(caught.value)
    return str(caught.value)


def refusal_of_reader(file: DataFile) -> str:
    """The sentence for somebody who checks and reads a whole file at once, instead of its first chunk."""
    [split] = plan_splits([file], SplitSize(most=1))
    with pytest.raises(DataFileRefused) as caught:
        next(read_chunks(split, None, ChunkSize(1)))
    return str(caught.value)


# -- the check -----------------------------------------------------------------------------------------------------------------------------

a_count = st.integers(0, 60) | st.integers(-3, 3) | st.sampled_from([10**6, 2**31, 2**63, 2**64 - 1])


@PROPERTY
@given(content=contents, form=forms, splits=split_sizes, block=blocks, claimed=a_count, is_relative=st.booleans())
def test_any_other_count_is_refused(
    folder: Path, content: Content, form: Form, splits: SplitSize, block: int, claimed: int, is_relative: bool
) -> None:
    """More, fewer, none, more than there is in the world: by the check, with both counts, wherever the splits were to begin."""
    items = max(0, len(content.lines) + claimed if is_relative else claimed)
    assume(items != len(content.lines))
    file = write_file(folder, form(content.bytes), items)

    with blocks_of(block):
        message = refusal_of(file, splits)

    assert f"holds {len(content.lines):,} items" in message
    assert f"says {items:,};" in message


@PROPERTY
@given(content=contents, form=forms, splits=split_sizes, block=blocks, data=st.data())
def test_any_other_bytes_are_refused(
    folder: Path, content: Content, form: Form, splits: SplitSize, block: int, data: st.DataObject
) -> None:
    """A byte changed, dropped, or added anywhere, at the end of the file too: the manifest's MD5 is of all bytes."""
    sound = form(content.bytes)
    place = data.draw(st.integers(0, len(sound)))
    after = data.draw(st.sampled_from([sound[place:], sound[place + 1 :], b"\n" + sound[place:], b"", gzip.compress(b"")]))
    damaged = sound[:place] + after
    assume(damaged != sound)
    file = write_file(folder, damaged, len(content.lines), md5_of=sound)

    with blocks_of(block):
        assert "MD5" in refusal_of(file, splits)


@PROPERTY
@given(content=contents, form=gzip_forms, splits=split_sizes, block=blocks, place=st.floats(0, 1), bit=st.integers(0, 7))
def test_damage_that_the_md5_was_made_of_gives_no_other_items(
    folder: Path, content: Content, form: Form, splits: SplitSize, block: int, place: float, bit: int
) -> None:
    """Gzip's own sums find it; what they do not look at (a time, a comment) changes no line."""
    damaged = bytearray(form(content.bytes))
    damaged[min(int(place * len(damaged)), len(damaged) - 1)] ^= 1 << bit
    # Not gzip any more, but then the file is plain lines, which the manifest may well mean.
    assume(damaged[:2] == b"\x1f\x8b")
    file = write_file(folder, bytes(damaged), len(content.lines))

    with blocks_of(block), contextlib.suppress(DataFileRefused):
        checked = check_file(file, splits.first_items(file.items), LOCAL_AND_AWS)
        planned = sorted(plan_splits([file], splits), key=lambda split: split.part)
        chunks = [chunk for split in planned for chunk in read_chunks(split, checked, ChunkSize())]
        assert [line for chunk in chunks for line in chunk.lines] == content.lines


@given(content=contents, kept=st.floats(0, 1, exclude_max=True), level=st.sampled_from([0, 1, 9]))
@example(content=Content([b"x"], b""), kept=0.06, level=1)
@PROPERTY
def test_gzip_that_was_cut_before_its_md5_was_made_is_refused(folder: Path, content: Content, kept: float, level: int) -> None:
    """Anywhere inside its one member; what is left of an empty file at zero bytes is an empty file."""
    whole = gzip.compress(content.bytes, level)
    cut = whole[: int(kept * len(whole))]
    assume(cut or content.lines)

    refusal_of(write_file(folder, cut, len(content.lines)), SplitSize(3))


@pytest.mark.parametrize(
    "garbage", [b"\n", b"garbage", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08", b"PK\x03\x04", gzip.compress(b"x", mtime=0)[:-1]]
)
def test_what_follows_the_gzip_and_is_none_is_refused(folder: Path, garbage: bytes) -> None:
    """With an MD5 and a count that are right; nothing of a file is passed over."""
    refusal_of(write_file(folder, GZIP(b"a\nb\n") + garbage, 2), SplitSize(1))


# -- between the check and the reading -----------------------------------------------------------------------------------------------------


def read_until_refused(file: DataFile, splits: SplitSize, size: ChunkSize, other: bytes) -> dict[int, tuple[list[Chunk], bool]]:
    """What each split gives, and whether it came to its end, of a file that was overwritten in secret after the check."""
    checked = check_file(file, splits.first_items(file.items), LOCAL_AND_AWS)
    overwrite_in_secret(Path(file.uri), other)
    found = {}
    for split in plan_splits([file], splits):
        chunks: list[Chunk] = []
        is_done = False
        with contextlib.suppress(DataFileRefused):
            chunks.extend(read_chunks(split, checked, size))
            is_done = True
        found[split.part] = chunks, is_done
    return found


@st.composite
def _shuffled(draw: st.DrawFn) -> tuple[Content, bytes]:
    """A content, and other bytes as many: some changed (into ends of lines, too), two changed places, or the lines in another order."""
    content = draw(contents.filter(lambda content: len(content.bytes) > 1))
    old = content.bytes
    changed = bytearray(old)
    match draw(st.sampled_from(["bytes", "swap", "lines", "all"])):
        case "bytes":
            for place in draw(st.lists(st.integers(0, len(old) - 1), min_size=1, max_size=3)):
                changed[place] = draw(st.sampled_from(b"\n ab"))
        case "swap":
            one, other = draw(st.integers(0, len(old) - 1)), draw(st.integers(0, len(old) - 1))
            changed[one], changed[other] = changed[other], changed[one]
        case "lines":
            changed[:] = b"\n".join(draw(st.permutations(content.lines))) + content.end
        case "all":
            changed[:] = draw(st.sampled_from([b"\n", b"z"])) * len(old)
    return content, bytes(changed)


@PROPERTY
@given(contents=_shuffled(), form=st.sampled_from([PLAIN, STORED]), splits=split_sizes, chunks=chunk_sizes, block=blocks)
def test_no_split_of_content_that_changed_in_secret_looks_done(
    folder: Path, contents: tuple[Content, bytes], form: Form, splits: SplitSize, chunks: ChunkSize, block: int
) -> None:
    """Same size, same time: a split that comes to its end gave the lines that were checked, another one never its last chunk."""
    content, other = contents
    file = write_file(folder, form(content.bytes), len(content.lines))

    with blocks_of(block):
        found = read_until_refused(file, splits, chunks, form(other))

    for split in plan_splits([file], splits):
        given, is_done = found[split.part]
        if is_done:
            assert [line for chunk in given for line in chunk.lines] == content.lines[split.first_item : split.first_item + split.items]
        assert not split.items or any(chunk.is_last for chunk in given) == is_done
        # Where lines begin is not ours to say once the content has changed, but the numbers stay inside the split.
        assert all(chunk.first_item + len(chunk.lines) <= split.first_item + split.items for chunk in given)
    assert other == content.bytes or not all(is_done for _, is_done in found.values())


@pytest.mark.parametrize("form", [PLAIN, GZIP], ids=["plain", "gzip"])
@pytest.mark.parametrize("change", ["longer", "shorter", "touched", "gone"])
def test_another_version_is_refused_before_its_first_line(folder: Path, form: Form, change: str) -> None:
    """By every split, the first as well as the last; its size alone tells, or its time."""
    lines = [b"line %d" % number for number in range(20)]
    file = write_file(folder, form(b"\n".join(lines)), 20)
    splits = SplitSize(1, 4)
    checked = check_file(file, splits.first_items(20), LOCAL_AND_AWS)
    path = Path(file.uri)
    before = path.stat()
    match change:
        case "longer":
            path.write_bytes(path.read_bytes() + b"\n")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "shorter":
            path.write_bytes(path.read_bytes()[:-1])
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "touched":
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        case "gone":
            path.unlink()

    for split in plan_splits([file], splits):
        with pytest.raises(DataFileRefused, match="missing" if change == "gone" else "was changed after it was checked"):
            next(read_chunks(split, checked, ChunkSize(1)))


@PROPERTY
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), splits=split_sizes, block=st.sampled_from([2, 7, 16]))
@example([11, 32, 1], SplitSize(1, 3), 16)
def test_what_passes_the_check_can_be_read(folder: Path, sizes: list[int], splits: SplitSize, block: int) -> None:
    """A line that is too long for a reader is found by the check, not when the rows before it are in; wherever the blocks begin."""
    lines = [b"x" * size for size in sizes]
    file = write_file(folder, b"\n".join(lines), len(lines))

    with blocks_of(block), mock.patch.object(streams, "LONGEST_LINE", 20):
        try:
            checked = check_file(file, splits.first_items(file.items), LOCAL_AND_AWS)
        except DataFileRefused:
            return
        for split in plan_splits([file], splits):
            chunks = list(read_chunks(split, checked, ChunkSize()))
            assert [line for chunk in chunks for line in chunk.lines] == lines[split.first_item : split.first_item + split.items]
