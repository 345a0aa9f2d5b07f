"""A data file that is not what the manifest says is refused before its first line is given, and named."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.source.data_file import DataFileRefused, check_and_read, check_file
from pipeline.source.manifest import DataFile
from tests.pipeline.source.made_exports import base64_md5, gzip_of_items, item_line
from tests.pipeline.source.read_splits import lines_of_file


def data_file(folder: Path, content: bytes, items: int, *, md5_of: bytes | None = None) -> DataFile:
    """A file on disk, and what a manifest says of it; `md5_of` is the content that the manifest means."""
    path = folder / "some.json.gz"
    path.write_bytes(content)
    return DataFile(path.name, str(path), items, base64_md5(content if md5_of is None else md5_of))


def lines_of(file: DataFile) -> list[bytes]:
    return lines_of_file(file)


def refusal_of(file: DataFile) -> str:
    """The sentence; it comes from the check, before anything is read."""
    with pytest.raises(DataFileRefused) as caught:
        check_file(file, [0], LOCAL_AND_AWS)
    assert str(caught.value).startswith(f"{file.uri}: ")
    with pytest.raises(DataFileRefused, match=f"^{re.escape(str(caught.value))}$"):
        next(check_and_read(file, LOCAL_AND_AWS))
    return str(caught.value)


def lines(count: int) -> list[bytes]:
    return [item_line(number) for number in range(count)]


# -- bytes ---------------------------------------------------------------------------------------------------------------------------------

WHOLE = gzip_of_items(300)
POSITIONS = {
    "magic": 0,
    "method": 2,
    "flags": 3,
    "time": 4,
    "first block": 12,
    "middle": len(WHOLE) // 2,
    "end": -12,
    "crc": -6,
    "length": -1,
}


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS.keys())
def test_one_byte_changed_anywhere_is_refused(tmp_path: Path, position: int) -> None:
    """The MD5 is of all bytes, those that do not change the content included."""
    changed = bytearray(WHOLE)
    changed[position] ^= 0x10

    assert "MD5" in refusal_of(data_file(tmp_path, bytes(changed), 300, md5_of=WHOLE))


@pytest.mark.parametrize("position", [POSITIONS[name] for name in ("method", "middle", "end", "crc", "length")])
def test_damaged_gzip_is_refused_whatever_its_md5(tmp_path: Path, position: int) -> None:
    """A file that was damaged before its MD5 was taken is found out by gzip's own sums."""
    changed = bytearray(WHOLE)
    changed[position] ^= 0x10

    assert "gzip" in refusal_of(data_file(tmp_path, bytes(changed), 300))


@pytest.mark.parametrize("kept", [0, 1, 5, 100, len(WHOLE) // 2, len(WHOLE) - 8, len(WHOLE) - 1])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    """By its MD5; and where that was taken of the cut file, by its gzip or its count."""
    assert "MD5" in refusal_of(data_file(tmp_path, WHOLE[:kept], 300, md5_of=WHOLE))
    refusal_of(data_file(tmp_path, WHOLE[:kept], 300))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that goes between the check of the manifest and its reading is named like any other."""
    file = data_file(tmp_path, WHOLE, 300)
    Path(file.uri).unlink()

    assert "cannot be read" in refusal_of(file)


def test_a_second_gzip_member_that_is_damaged_is_refused(tmp_path: Path) -> None:
    """Whatever follows the first member is not passed over."""
    content = gzip_of_items(3) + b"\x1e" + gzip_of_items(2, first=3)[1:]

    refusal_of(data_file(tmp_path, content, 5))


# -- counts --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [299, 301, 0, 600])
def test_a_count_that_does_not_hold_is_refused(tmp_path: Path, items: int) -> None:
    """One line more or fewer than the manifest says, with an MD5 that is right: found before the first chunk."""
    message = refusal_of(data_file(tmp_path, WHOLE, items))

    assert "holds 300 items" in message
    assert f"says {items}" in message


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0), gzip.compress(b"\n", mtime=0), gzip.compress(b"\r\n\n \n", mtime=0)])
def test_an_empty_file_has_no_items(tmp_path: Path, content: bytes) -> None:
    """Zero bytes, gzip of nothing, and blank lines alone are all an empty data file; and no file of one item."""
    assert lines_of(data_file(tmp_path, content, 0)) == []
    assert "holds 0 items" in refusal_of(data_file(tmp_path, content, 1))


# -- forms of a sound file -----------------------------------------------------------------------------------------------------------------


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    """Also where a member ends in the midst of a line."""
    content = b"\n".join(lines(300))
    members = b"".join(gzip.compress(part) for part in (content[:1000], b"", content[1000:1001], content[1001:]))

    assert lines_of(data_file(tmp_path, members, 300)) == lines(300)


def test_an_uncompressed_file_is_read(tmp_path: Path) -> None:
    """Some people unpack an export."""
    assert lines_of(data_file(tmp_path, b"\n".join(lines(300)) + b"\n", 300)) == lines(300)


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n\n", b"\n \t\n\r\n"])
def test_the_end_of_the_file_is_not_an_item(tmp_path: Path, end: bytes) -> None:
    """With a newline at the end, without one, and with blank lines: the same items."""
    assert lines_of(data_file(tmp_path, gzip.compress(b"\n".join(lines(3)) + end), 3)) == lines(3)


def test_a_blank_line_in_the_middle_is_an_item(tmp_path: Path) -> None:
    """It keeps its number and becomes a dead letter: item numbers are line numbers."""
    first, second = lines(2)
    content = gzip.compress(b"\n".join([b"", first, b"", b" ", second]) + b"\n")

    assert lines_of(data_file(tmp_path, content, 5)) == [b"", first, b"", b" ", second]


def test_crlf_line_ends_make_no_items_of_their_own(tmp_path: Path) -> None:
    """A line keeps its carriage return, which JSON takes for white space."""
    content = gzip.compress(b"\r\n".join(lines(3)) + b"\r\n")

    assert lines_of(data_file(tmp_path, content, 3)) == [line + b"\r" for line in lines(3)]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    """Carriage returns, form feeds and Unicode's line ends inside a line are not ends."""
    odd = '{"Item":{"id":{"S":"a\u2028b\u2029c\u0085d"}}}'.encode() + b"\x0b\x0c\x1c\r "

    assert lines_of(data_file(tmp_path, gzip.compress(odd + b"\n" + odd), 2)) == [odd, odd]


def test_lines_longer_than_a_block_come_whole(tmp_path: Path) -> None:
    """Lines of megabytes, among short ones."""
    long = [b"x" * size for size in (3, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20, 7)]

    assert lines_of(data_file(tmp_path, gzip.compress(b"\n".join(long), 1), len(long))) == long
