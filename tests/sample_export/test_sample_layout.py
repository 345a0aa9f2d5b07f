"""A sample export lies and reads like one of AWS's."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from sample_export import SOURCE_TABLES, SampleExport, write_sample_exports
from tests.sample_export.written_export import bytes_below, manifest_entries

# The fields of a real full export of 2024, in their order (`reference/facts.md` B.2 and B.3).
SUMMARY_FIELDS = [
    "version", "exportArn", "startTime", "endTime", "tableArn", "tableId", "exportTime", "s3Bucket", "s3Prefix", "s3SseAlgorithm",
    "s3SseKmsKeyId", "manifestFilesS3Key", "billedSizeBytes", "itemCount", "outputFormat",
]  # fmt: skip
FILE_FIELDS = ["itemCount", "md5Checksum", "etag", "dataFileS3Key"]

ITEMS, PER_FILE = 700, 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layout")


@pytest.fixture(scope="module")
def exports(root: Path) -> list[SampleExport]:
    return write_sample_exports(root, items=ITEMS, faulty=0.1, odd=0.1, items_per_file=PER_FILE)


def test_folder_holds_what_aws_writes(root: Path, exports: list[SampleExport]) -> None:
    """`<table>/AWSDynamoDB/<ExportId>/` holds `_started`, both manifests with their side files, and `data/`; nothing else lies there."""
    for export in exports:
        names = {path.name for path in export.folder.iterdir()}
        assert names == {"_started", "manifest-summary.json", "manifest-summary.md5", "manifest-files.json", "manifest-files.md5", "data"}
        assert (export.folder / "_started").read_bytes() == b""
        assert re.fullmatch(r"0\d{13}-[0-9a-f]{8}", export.folder.name)
        assert export.folder == root / export.source_table / "AWSDynamoDB" / export.folder.name
        assert all(re.fullmatch(r"[a-z2-7]{26}\.json\.gz", path.name) for path in (export.folder / "data").iterdir())


def test_summary_has_the_fields_of_a_real_export(root: Path, exports: list[SampleExport]) -> None:
    """The summary is one compact line with AWS's fields in AWS's order, and its keys resolve from the root."""
    for export in exports:
        content = (export.folder / "manifest-summary.json").read_bytes()
        summary = json.loads(content)
        assert list(summary) == SUMMARY_FIELDS
        assert content == json.dumps(summary, separators=(",", ":")).encode()
        assert summary["itemCount"] == ITEMS == export.items
        assert summary["s3Prefix"] == export.source_table == summary["tableArn"].rpartition("/")[2]
        assert summary["exportArn"] == f"{summary['tableArn']}/export/{export.folder.name}"
        assert root / summary["manifestFilesS3Key"] == export.folder / "manifest-files.json"


def test_side_files_hold_the_md5_of_the_manifests(exports: list[SampleExport]) -> None:
    """A side file is the base64 MD5 of its manifest's exact bytes, 24 characters and no newline; only the files manifest ends with one."""
    for export in exports:
        for name in ("manifest-summary", "manifest-files"):
            content = (export.folder / f"{name}.json").read_bytes()
            assert (export.folder / f"{name}.md5").read_bytes() == base64.b64encode(hashlib.md5(content).digest())
            assert content.endswith(b"\n") == (name == "manifest-files")


def test_entries_describe_their_data_files(root: Path, exports: list[SampleExport]) -> None:
    """MD5, ETag and count of every entry are those of the bytes, and the counts sum up to the summary's."""
    for export in exports:
        entries = manifest_entries(export)
        assert export.data_files == len(entries) == len(list((export.folder / "data").iterdir()))
        for entry in entries:
            compressed = (root / entry["dataFileS3Key"]).read_bytes()
            md5 = hashlib.md5(compressed)
            assert list(entry) == FILE_FIELDS
            assert entry["md5Checksum"] == base64.b64encode(md5.digest()).decode()
            assert entry["etag"] == f"{hashlib.md5(md5.digest()).hexdigest()}-1"
            assert entry["itemCount"] == gzip.decompress(compressed).count(b"\n")
            assert compressed[4:8] == bytes(4), "gzip's header must not hold a time"
        assert sum(entry["itemCount"] for entry in entries) == ITEMS


def test_one_data_file_is_the_empty_gzip(root: Path, exports: list[SampleExport]) -> None:
    """Exactly one data file holds no item, as 20 bytes of valid gzip."""
    for export in exports:
        empty = [root / entry["dataFileS3Key"] for entry in manifest_entries(export) if entry["itemCount"] == 0]
        assert [path.stat().st_size for path in empty] == [20]
        assert gzip.decompress(empty[0].read_bytes()) == b""


def test_nothing_else_is_left_behind(root: Path, exports: list[SampleExport]) -> None:
    """Beside the exports there is the truth and no part of it that was only needed on the way."""
    outside = {name for name in bytes_below(root) if "/AWSDynamoDB/" not in name}
    assert outside == {f"truth/{table}.jsonl" for table in SOURCE_TABLES} | {f"truth/planted/{table}.jsonl" for table in SOURCE_TABLES}
    assert [export.truth for export in exports] == [root / "truth" / f"{table}.jsonl" for table in SOURCE_TABLES]


def test_a_used_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A table's folder that holds something stops everything before a byte is written."""
    (tmp_path / SOURCE_TABLES[1]).mkdir()
    (tmp_path / SOURCE_TABLES[1] / "old").write_bytes(b"x")
    with pytest.raises(FileExistsError, match=SOURCE_TABLES[1]):
        write_sample_exports(tmp_path, items=10)
    assert bytes_below(tmp_path) == {f"{SOURCE_TABLES[1]}/old": b"x"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"items": -1},
        {"faulty": 1.1},
        {"odd": -0.1},
        {"items_per_file": 0},
        {"processes": 0},
        {"tables": ["users"]},
        {"tables": SOURCE_TABLES[:1] * 2},
    ],
)
def test_arguments_without_sense_are_refused(tmp_path: Path, arguments: dict[str, object]) -> None:
    """A ValueError says what cannot be, and nothing is written."""
    with pytest.raises(ValueError, match=r"\.$"):
        write_sample_exports(tmp_path, **arguments)  # type: ignore[arg-type]
    assert not bytes_below(tmp_path)


def test_no_items_is_an_export_too(tmp_path: Path) -> None:
    """With 0 items there is the empty data file, complete manifests and an empty truth."""
    for export in write_sample_exports(tmp_path, items=0, faulty=1, odd=1):
        assert [entry["itemCount"] for entry in manifest_entries(export)] == [0]
        assert export.truth.read_bytes() == b""
