"""Data files that are not what the manifest says: named, none of their rows committed, the others loaded, and resumable when mended."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.postgres_server import Database
from tests.truth import assert_equals_truth
from transforms.tables.medzen import VIDEO_SESSIONS

TABLE = "medzen-video-sessions"


def _change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _add_a_line(path: Path) -> None:
    """One line more than `itemCount`, with an MD5 that is right: only the count can tell."""
    lines = gzip.decompress(path.read_bytes())
    _replace(path, lines + lines.split(b"\n")[0] + b"\n")


def _drop_a_line(path: Path) -> None:
    _replace(path, gzip.decompress(path.read_bytes()).split(b"\n", 1)[1])


def _replace(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content))
    manifest = path.parent.parent / "manifest-files.json"
    entries = [json.loads(line) for line in manifest.read_text().splitlines()]
    for entry in entries:
        if entry["dataFileS3Key"].endswith(path.name):
            entry["md5Checksum"] = base64.b64encode(hashlib.md5(path.read_bytes()).digest()).decode()
    manifest.write_text("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries))
    (path.parent.parent / "manifest-files.md5").unlink()


@pytest.mark.parametrize("damage", [_change_a_byte, _cut_short, _empty, _add_a_line, _drop_a_line])
def test_a_damaged_file_is_named_and_none_of_it_is_loaded(
    tmp_path: Path, database: Database, run: CommandLine, damage: Callable[[Path], None]
) -> None:
    """Exit 1 and the file's name; no row of it in the target; everything of the other files is."""
    export = write_sample_exports(tmp_path / "export", items=1_000, faulty=0, odd=0, tables=[TABLE], items_per_file=250)[0]
    path = max((export.folder / "data").iterdir(), key=lambda path: path.stat().st_size)
    damage(path)

    finished = run.migrate(export.folder, "--chunk_items=10")

    assert finished.exit_code == 1, finished.output
    assert path.name in finished.output
    assert "NOT PROVED" in finished.stdout
    assert database.value("SELECT count(*) FROM ddb2pg.chunk WHERE data_file = %s", path.name) == 0
    assert database.value("SELECT count(*) FROM video_call_sessions") == 750
    assert database.value("SELECT finished_at IS NULL FROM ddb2pg.load")


def test_a_mended_file_is_loaded_by_the_same_command(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """After the file was copied again, the next run loads what is missing and proves it all."""
    export = write_sample_exports(tmp_path / "export", items=1_000, faulty=0, odd=0, tables=[TABLE], items_per_file=250)[0]
    path = max((export.folder / "data").iterdir(), key=lambda path: path.stat().st_size)
    sound = path.read_bytes()
    _change_a_byte(path)
    assert run.migrate(export.folder).exit_code == 1
    path.write_bytes(sound)

    finished = run.migrate(export.folder)

    assert finished.exit_code == 0, finished.output
    assert "250 items loaded" in finished.stdout
    assert database.value("SELECT count(*) FROM video_call_sessions") == 1_000


def test_an_empty_file_that_is_not_empty_is_refused(tmp_path: Path, run: CommandLine) -> None:
    """A file with `itemCount` 0 is looked into all the same: items nobody counted would be lost."""
    export = write_sample_exports(tmp_path / "export", items=500, faulty=0, odd=0, tables=[TABLE])[0]
    path = min((export.folder / "data").iterdir(), key=lambda path: path.stat().st_size)
    _replace(path, b'{"Item":{"id":{"S":"one item"}}}\n')

    finished = run.migrate(export.folder)

    assert finished.exit_code == 1
    assert path.name in finished.output


def test_missing_files_are_all_named_before_anything_is_written(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Exit 2, each missing file named, and no ledger made."""
    export = write_sample_exports(tmp_path / "export", items=1_000, faulty=0, odd=0, tables=[TABLE], items_per_file=250)[0]
    missing = sorted((export.folder / "data").iterdir())[:2]
    for path in missing:
        path.unlink()

    finished = run.migrate(export.folder)

    assert finished.exit_code == 2
    assert all(path.name in finished.stderr for path in missing)
    assert database.value("SELECT to_regclass('ddb2pg.load')") is None


def test_an_unfinished_export_is_refused(tmp_path: Path, run: CommandLine) -> None:
    """`_started` without a summary: the export is still running, or failed."""
    export = write_sample_exports(tmp_path / "export", items=100, tables=[TABLE])[0]
    (export.folder / "manifest-summary.json").unlink()

    finished = run.migrate(export.folder)

    assert finished.exit_code == 2
    assert "not finished" in finished.stderr
    assert str(export.folder) in finished.stderr


def test_an_output_folder_that_cannot_be_written_stops_the_run(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """A dead letter that is nowhere is a lost item: the run fails with a sentence, and the next one has them all."""
    write_sample_exports(tmp_path / "export", items=400, faulty=0.5, odd=0, tables=[TABLE], items_per_file=100)
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", full], check=False, capture_output=True)
    if not os.path.ismount(full):
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        failed = run("migrate", "--export", tmp_path / "export", "--output", full, "--chunk_items=50")
    finally:
        subprocess.run(["umount", full], check=True)

    assert failed.exit_code == 1, failed.output
    assert "No space left on device" in failed.stderr
    assert "--output" in failed.stderr
    assert run.migrate(tmp_path / "export").exit_code == 3
    assert_equals_truth(tmp_path / "export", database, run.run_folders[0], [VIDEO_SESSIONS])


def test_records_that_vanish_are_missed(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """The run counts its files before it says that every item is accounted for."""
    write_sample_exports(tmp_path / "export", items=400, faulty=0.5, odd=0, tables=[TABLE], items_per_file=400)
    thief = tmp_path / "thief_tables.py"
    thief.write_text(
        "from pipeline.records import files\n"
        "from transforms.tables.medzen import TABLES\n"
        "write = files.RecordFiles.write\n"
        "def write_less(self, batch):\n"
        "    write(self, files.RecordBatch(batch.split, batch.records[1:], batch.is_last))\n"
        "files.RecordFiles.write = write_less\n"
    )

    finished = run.migrate(tmp_path / "export", "--tables", thief, "--direct_num_workers=1")

    assert finished.exit_code == 1, finished.output
    assert "NOT PROVED" in finished.stdout
    assert "but the ledger knows 200" in finished.stdout
    assert database.value("SELECT finished_at IS NULL FROM ddb2pg.load")


def test_an_output_that_is_no_folder_is_refused(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Before anything is written."""
    write_sample_exports(tmp_path / "export", items=50, tables=[TABLE])
    (tmp_path / "file").write_text("not a folder")

    finished = run("migrate", "--export", tmp_path / "export", "--output", tmp_path / "file" / "out")

    assert finished.exit_code == 2, finished.output
    assert "--output" in finished.stderr
    assert database.value("SELECT to_regclass('ddb2pg.load') IS NULL")
