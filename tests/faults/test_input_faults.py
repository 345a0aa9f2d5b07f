"""Data files that are made to take all memory: refused, or read, with little of it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.faults.conclusion import Conclude
from tests.peak_memory import peak_mb
from tests.pipeline.source.made_exports import base64_md5

MIB = 1 << 20

# Check, read and convert a data file as a load does; prints how many items became rows, or the first word of what refused it.
READ = """
import sys
from pipeline.source.chunks import ChunkSize, SplitSize, plan_splits, read_chunks
from pipeline.source.data_file import DataFileRefused, check_file
from pipeline.source.manifest import DataFile
from pipeline.job.chunk import convert_lines
from pipeline.places.storage import LOCAL_AND_AWS
from transforms.compile import compile_table
from transforms.tables.medzen import MEETING_AUDIT
path, md5, items = sys.argv[1], sys.argv[2], int(sys.argv[3])
data_file = DataFile("bomb.json.gz", path, items, md5)
to_row = compile_table(MEETING_AUDIT, migration_time=0)
try:
    checked = check_file(data_file, SplitSize(most=1).first_items(items), LOCAL_AND_AWS)
    chunks = read_chunks(plan_splits([data_file], SplitSize(most=1))[0], checked, ChunkSize(), LOCAL_AND_AWS)
    print(sum(len(convert_lines(chunk.lines, chunk.first_item, to_row).rows.item_numbers) for chunk in chunks), "rows")
except DataFileRefused:
    print("refused")
"""


def _write_bomb(path: Path, blocks: Iterable[bytes]) -> None:
    """Without holding it here, either."""
    compressing = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as stream:
        for block in blocks:
            stream.write(compressing.compress(block))
        stream.write(compressing.flush())


def _read(path: Path, items: int) -> tuple[str, int]:
    """What was printed, and the peak of memory in MiB."""
    process = subprocess.Popen(
        [sys.executable, "-c", READ, str(path), base64_md5(path.read_bytes()), str(items)], stdout=subprocess.PIPE, text=True
    )
    peak = peak_mb(process)
    return process.communicate()[0].strip(), peak


@pytest.mark.parametrize(
    ("block", "items", "expected"),
    [(b"\n" * MIB, 0, "0 rows"), (b"x" * MIB, 1, "refused"), (b"{}\n" * (MIB // 3), 1, "refused")],
    ids=["blank lines", "one line without an end", "more items than were said"],
)
@pytest.mark.parametrize("size", [200, pytest.param(2_000, marks=pytest.mark.soak)])
def test_a_gzip_bomb_takes_little_memory(tmp_path: Path, conclude: Conclude, block: bytes, items: int, expected: str, size: int) -> None:
    """So many MiB from a thousandth of it."""
    path = tmp_path / "bomb.json.gz"
    # A blank line costs no memory, but as much time as any other.
    size = size // 5 if expected == "0 rows" else size
    _write_bomb(path, (block for _ in range(size)))
    assert path.stat().st_size < size << 10

    printed, peak = _read(path, items)

    assert printed == expected
    assert peak < 120
    conclude.note("gzip bomb", 1, items)


def _audit_line(event_data: bytes) -> bytes:
    item = {"id": {"S": "00000000-0000-4000-8000-000000000001"}, "sessionId": {"S": "00000000-0000-4000-8000-00000000abcd"}}
    sound = json.dumps({"Item": {**item, "eventType": {"S": "CALL_JOINED"}, "timestamp": {"N": "1700000000000"}}}).encode()
    return sound[:-2] + b',"eventData":' + event_data + b"}}"


@pytest.mark.parametrize(
    "event_data",
    [
        b'{"L":[' + b",".join([b'{"NULL":true}'] * 200_000) + b"]}",
        b'{"M":{' + b",".join(b'"attribute %d":{"S":""}' % number for number in range(100_000)) + b"}}",
        b'{"S":"' + b"\\u0001" * 400_000 + b'"}',
    ],
    ids=["200,000 nothings", "100,000 attributes", "400 KB of escapes"],
)
def test_the_largest_items_take_little_memory_and_time(tmp_path: Path, conclude: Conclude, event_data: bytes) -> None:
    """As large as DynamoDB's 400 KB can become in an export, ten of them."""
    path = tmp_path / "large.json.gz"
    path.write_bytes(gzip.compress(b"\n".join([_audit_line(event_data)] * 10), 1))

    printed, peak = _read(path, 10)

    assert printed == "10 rows"
    assert peak < 400
    conclude.note("largest item", 10, 10)


@pytest.mark.parametrize(("depth", "expected"), [(32, "2 rows"), (400, "0 rows"), (1_000_000, "0 rows")])
def test_deep_nesting_takes_little_memory_and_time(tmp_path: Path, conclude: Conclude, depth: int, expected: str) -> None:
    """DynamoDB's own 32 levels are rows, what is far beyond them are dead letters."""
    path = tmp_path / "deep.json.gz"
    value = b'{"L":[' * depth + b'{"NULL":true}' + b"]}" * depth
    path.write_bytes(gzip.compress(b"\n".join([_audit_line(value)] * 2), 1))

    printed, peak = _read(path, 2)

    assert printed == expected
    assert peak < 400
    conclude.note(f"nesting of {depth:,} levels", 2, 2)


def test_a_line_that_no_item_of_dynamodb_can_be_is_not_taken_apart(tmp_path: Path, conclude: Conclude) -> None:
    """Millions of small things in one line take many times its size."""
    path = tmp_path / "long.json.gz"
    path.write_bytes(gzip.compress(_audit_line(b'{"L":[' + b",".join([b'{"NULL":true}'] * 2_000_000) + b"]}"), 1))

    printed, peak = _read(path, 1)

    assert printed == "refused"
    assert peak < 200
    conclude.note("line of 28 MB", 1, 1)
