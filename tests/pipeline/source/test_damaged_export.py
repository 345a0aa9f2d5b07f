"""A whole migration of an export with one data file that is not what its manifest says."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.source.made_exports import base64_md5
from tests.postgres_server import Database

TABLE = "medzen-meeting-audit"


def change_one_byte(path: Path, _entry: dict[str, Any]) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path, _entry: dict[str, Any]) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def add_a_line(path: Path, entry: dict[str, Any]) -> None:
    """With an MD5 that is right, so that only the count lies."""
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content + content.partition(b"\n")[0] + b"\n"))
    entry["md5Checksum"] = base64_md5(path.read_bytes())


@pytest.mark.parametrize("damage", [change_one_byte, cut_short, add_a_line])
def test_no_row_of_the_damaged_file_is_committed_and_the_mended_export_goes_on(
    tmp_path: Path, database: Database, run: CommandLine, damage: Callable[[Path, dict[str, Any]], None]
) -> None:
    """Exit code 1 and the file's name; the other files are in. Mended, the same command loads the rest and ends with 0."""
    write_sample_exports(tmp_path / "export", items=60, faulty=0, odd=0, seed=3, tables=[TABLE], items_per_file=20)
    [folder] = (tmp_path / "export" / TABLE / "AWSDynamoDB").iterdir()
    manifest = (folder / "manifest-files.json").read_bytes()
    entries = [json.loads(line) for line in manifest.splitlines()]
    entry = next(entry for entry in entries if entry["itemCount"])
    path = folder / "data" / entry["dataFileS3Key"].rpartition("/")[2]
    sound = path.read_bytes()
    ids = [json.loads(line)["Item"]["id"]["S"] for line in gzip.decompress(sound).splitlines()]
    damage(path, entry)
    write_manifest(folder, b"".join(json.dumps(each).encode() + b"\n" for each in entries))

    finished = run.migrate(folder, "--chunk_items=5")

    assert finished.exit_code == 1, finished.output
    assert str(path) in finished.output
    assert database.value("SELECT count(*) FROM video_call_audit_log") == 40
    assert database.value("SELECT count(*) FROM video_call_audit_log WHERE id::text = ANY (%s)", ids) == 0
    if damage is not add_a_line:  # there the manifest is the one at fault, and a new export another load
        path.write_bytes(sound)
        finished = run.migrate(folder)
        assert finished.exit_code == 0, finished.output
        assert database.value("SELECT count(*) FROM video_call_audit_log") == 60


def write_manifest(folder: Path, content: bytes) -> None:
    (folder / "manifest-files.json").write_bytes(content)
    (folder / "manifest-files.md5").write_text(base64_md5(content))
