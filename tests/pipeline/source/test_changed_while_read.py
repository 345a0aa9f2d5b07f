"""A data file that changes under our hands: a copy that is still running, or that somebody starts again."""

from __future__ import annotations

import hashlib
import itertools
import os
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import pytest

from pipeline.places.storage import LOCAL_AND_AWS, Storage
from pipeline.source import streams
from pipeline.source.chunks import ChunkSize, Split, SplitSize, plan_splits, read_chunks
from pipeline.source.data_file import CheckedFile, DataFileRefused, check_file
from tests.handmade_export import write_export
from tests.pipeline.source.made_data_files import overwrite_in_secret
from tests.pipeline.source.read_splits import read_exports

# Of content that gzip cannot make small: the file is longer than what is read at a time.
OLD = [b'{"Item":{"n":{"S":"%s"}}}' % hashlib.sha512(b"%d" % number).hexdigest().encode() for number in range(40_000)]
NEW = [line.replace(b'"n"', b'"m"') for line in OLD]


Checked = tuple[Split, CheckedFile]


@pytest.fixture(params=[1, 3], ids=["whole", "last of three"])
def checked(tmp_path: Path, request: pytest.FixtureRequest) -> Checked:
    """The last split of a file that was checked."""
    write_export(tmp_path / "old", "t", [OLD])
    data_file = read_exports(tmp_path / "old")[0].data_files[0]
    size = SplitSize(items=10, most=request.param)
    split = max(plan_splits([data_file], size), key=lambda split: split.part)
    return split, check_file(data_file, size.first_items(len(OLD)), LOCAL_AND_AWS)


def _other_content(tmp_path: Path) -> bytes:
    folder = write_export(tmp_path / "new", "t", [NEW])
    return next((folder / "data").iterdir()).read_bytes()


def _replace(tmp_path: Path, uri: str) -> None:
    replacement = tmp_path / "replacement"
    replacement.write_bytes(_other_content(tmp_path))
    replacement.rename(uri)


def test_a_file_that_is_replaced_after_the_check_is_refused_at_once(tmp_path: Path, checked: Checked) -> None:
    """Not one line of it is given."""
    _replace(tmp_path, checked[0].data_file.uri)

    with pytest.raises(DataFileRefused, match="was changed after it was checked"):
        next(read_chunks(*checked, ChunkSize(items=1)))


def test_a_file_that_is_replaced_while_it_is_read_is_still_the_one_that_was_checked(tmp_path: Path, checked: Checked) -> None:
    """Copy tools write beside and rename: what was opened stays what it was."""
    chunks = read_chunks(*checked, ChunkSize(items=1_000))
    first = next(chunks)
    _replace(tmp_path, checked[0].data_file.uri)

    assert [line for chunk in itertools.chain([first], chunks) for line in chunk.lines] == OLD[checked[0].first_item :]


@pytest.mark.parametrize("position", [12, 0.5, 0.8, -12])
def test_a_file_that_is_overwritten_in_secret_is_refused_before_its_last_chunk(checked: Checked, position: float) -> None:
    """Same size, same time: only its content tells. No line of another content is given out, and it never looks done."""
    split, found = checked
    path = Path(split.data_file.uri)
    times = path.stat()
    changed = bytearray(path.read_bytes())
    changed[int(position * len(changed)) if isinstance(position, float) else position] ^= 0x20
    with path.open("r+b") as stream:
        stream.write(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    read = []
    with pytest.raises(DataFileRefused):
        read.extend(read_chunks(split, found, ChunkSize(items=1_000)))

    assert not any(chunk.is_last for chunk in read)
    lines = [line for chunk in read for line in chunk.lines]
    assert lines == OLD[split.first_item : split.first_item + len(lines)]


class _Overwritten(Storage):
    """A place where somebody overwrites a file in secret before it is read again in the version that was checked."""

    def open(self, uri: str, version: str | None = None) -> tuple[BinaryIO, str]:
        if version is not None:
            path = Path(uri)
            changed = bytearray(path.read_bytes())
            changed[len(changed) // 2] ^= 0x20
            overwrite_in_secret(path, bytes(changed))
        return super().open(uri, version)


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_whole_file_that_is_overwritten_after_its_check_gives_what_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool
) -> None:
    """What was kept of the check is given. A file that was too large for that is read again, and refused before its last chunk."""
    write_export(tmp_path / "old", "t", [OLD])
    data_file = read_exports(tmp_path / "old")[0].data_files[0]
    [split] = plan_splits([data_file], SplitSize(most=1))
    size = sum(map(len, OLD)) + len(OLD)
    monkeypatch.setattr(streams, "MOST_HELD", size if is_kept else size - 1)
    lines = []
    with nullcontext() if is_kept else pytest.raises(DataFileRefused, match=r"was changed after it was checked|cannot be read any more"):
        for chunk in read_chunks(split, None, ChunkSize(items=1_000), _Overwritten()):
            lines += chunk.lines

    assert lines == (OLD if is_kept else OLD[: len(lines)])
    assert is_kept or len(lines) < len(OLD)


def test_a_part_of_a_file_that_was_not_checked_is_not_read(tmp_path: Path) -> None:
    """Only who takes a whole file can check it."""
    write_export(tmp_path / "old", "t", [OLD])
    data_file = read_exports(tmp_path / "old")[0].data_files[0]

    with pytest.raises(ValueError, match="not checked"):
        next(read_chunks(plan_splits([data_file], SplitSize(items=10, most=2))[0], None, ChunkSize()))


def test_a_split_does_not_care_about_what_comes_after_it(tmp_path: Path) -> None:
    """It reads to its own end: the rest is read, and refused, by who has the last one."""
    write_export(tmp_path / "old", "t", [OLD])
    data_file = read_exports(tmp_path / "old")[0].data_files[0]
    size = SplitSize(items=10, most=4)
    found = check_file(data_file, size.first_items(len(OLD)), LOCAL_AND_AWS)
    first = min(plan_splits([data_file], size), key=lambda split: split.part)

    assert [line for chunk in read_chunks(first, found, ChunkSize()) for line in chunk.lines] == OLD[:10_000]
