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

from tests.peak_memory import peak_mb
from tests.pipeline.export.made_exports import base64_md5

MIB = 1 << 20

# Check, read and convert a data file as a load does; prints how many items became rows, or the first word of what refused it.
READ = """
import sys
from pipeline.export.chunks import ChunkSize, SplitSize, plan_splits, read_chunks
from pipeline.export.data_file import DataFileRefused, check_file
from pipeline.export.manifest import DataFile
from pipeline.loading import convert_chunk
from pipeline.storage import LOCAL_AND_AWS
from transforms.compilation import compile_table
from transforms.tables import MEETING_AUDIT
path, md5, items = sys.argv[1], sys.argv[2], int(sys.argv[3])
data_file = DataFile("bomb.json.gz", path, items, md5)
to_row = compile_table(MEETING_AUDIT, migration_time=0)
try:
    checked = check_file(data_file, SplitSize(most=1).first_items(items), LOCAL_AND_AWS)
    chunks = read_chunks(plan_splits([data_file], SplitSize(most=1))[0], checked, ChunkSize(), LOCAL_AND_AWS)
    print(sum(len(convert_chunk(chunk, to_row).rows.item_numbers) for chunk in chunks), "rows")
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
    [(b"\n" * MIB, 0, "0 rows"), (b"x" * MIB, 1, "refused"), (b"{}\n" * (MIB // 3), 400 * (MIB // 3), "refused")],
    ids=["blank lines", "one line without an end", "more items than were said"],
)
def test_a_gzip_bomb_takes_little_memory(tmp_path: Path, block: bytes, items: int, expected: str) -> None:
    """400 MiB from less than one."""
    path = tmp_path / "bomb.json.gz"
    blocks = 400 if items < 2 else 401
    _write_bomb(path, (block for _ in range(blocks)))
    assert path.stat().st_size < 2 * MIB

    printed, peak = _read(path, items)

    assert printed == expected
    assert peak < 200
    print(f"{blocks} MiB from {path.stat().st_size >> 10} KiB: {peak} MiB")


def _audit_line(event_data: object) -> bytes:
    item = {
        "id": {"S": "00000000-0000-4000-8000-000000000001"},
        "sessionId": {"S": "00000000-0000-4000-8000-00000000abcd"},
        "eventType": {"S": "CALL_JOINED"},
        "timestamp": {"N": "1700000000000"},
        "eventData": event_data,
    }
    return json.dumps({"Item": item}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "event_data",
    [
        {"L": [{"NULL": True}] * 200_000},
        {"M": {f"attribute {number}": {"S": ""} for number in range(100_000)}},
        {"S": "\u0001" * 400_000},
    ],
    ids=["200,000 nothings", "100,000 attributes", "400 KB of escapes"],
)
def test_the_largest_items_take_little_memory(tmp_path: Path, event_data: object) -> None:
    """As large as DynamoDB's 400 KB can become in an export, twenty of them."""
    path = tmp_path / "large.json.gz"
    path.write_bytes(gzip.compress(b"\n".join([_audit_line(event_data)] * 20)))

    printed, peak = _read(path, 20)

    assert printed == "20 rows"
    assert peak < 500
    print(f"20 lines of {len(_audit_line(event_data)) / MIB:.1f} MiB: {peak} MiB")


def test_a_line_that_no_item_of_dynamodb_can_be_is_not_taken_apart(tmp_path: Path) -> None:
    """Millions of small things in one line would take a hundred times its size."""
    path = tmp_path / "long.json.gz"
    path.write_bytes(gzip.compress(_audit_line({"L": [{"NULL": True}] * 2_000_000})))

    printed, peak = _read(path, 1)

    assert printed == "refused"
    assert peak < 200
