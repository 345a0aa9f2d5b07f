"""Whole migrations of data files without manifests: everything is loaded, and it is said what that does not prove."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.source.made_exports import OF_A_WINDOW, gzip_of_items, make_export
from tests.postgres_server import Database
from tests.truth import assert_equals_truth
from transforms.tables.medzen import VIDEO_SESSIONS

pytestmark = pytest.mark.plain

TABLE = VIDEO_SESSIONS.source
SIZES = ("--split_items=100", "--most_splits=4", "--chunk_items=30", "--direct_num_workers=1")
MARK = b"PATIENT-SECRET"


def _reports(run: CommandLine) -> list[dict[str, object]]:
    found = [json.loads((folder / "report.json").read_bytes())["tables"] for folder in run.run_folders]
    return [table for [table] in found]


def test_all_of_it_is_loaded_once_and_nothing_is_claimed_of_the_rest(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Resumed from a copy there is nothing to do; with a file more it is another export, and two must not mix."""
    root = tmp_path / "export"
    export = write_sample_exports(root, items=900, seed=21, faulty=0.1, odd=0.1, items_per_file=400, tables=[TABLE])[0]
    bare = shutil.copytree(export.folder / "data", tmp_path / "bare")

    first = run.migrate(f"{TABLE}={bare}", *SIZES)

    assert first.exit_code == 3, first.output
    assert "no manifest" in first.stdout
    assert_equals_truth(root, database, run.run_folders[0], [VIDEO_SESSIONS])

    copy = shutil.copytree(bare, tmp_path / "elsewhere" / "data")
    again = run.migrate(f"{TABLE}={copy.parent}", *SIZES)

    assert again.exit_code == 3, again.output
    assert "nothing to do" in again.stdout
    assert "no manifest" in again.stdout
    assert_equals_truth(root, database, run.run_folders[1], [VIDEO_SESSIONS])
    assert [(report["total_words"], report["total"]) for report in _reports(run)] == [("counted in the data files", 900)] * 2
    status = run("status")
    assert "no manifest" in status.stdout

    (copy / "more.json.gz").write_bytes(gzip_of_items(1))
    ledger = database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item")
    refused = run.migrate(f"{TABLE}={copy.parent}", *SIZES)

    assert refused.exit_code == 2, refused.output
    assert "two exports must not mix" in refused.stderr
    assert database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item") == ledger
    assert database.value("SELECT count(*) FROM ddb2pg.load") == 1

    with_manifest = run.migrate(export.folder, *SIZES)

    assert with_manifest.exit_code == 2, with_manifest.output
    assert "two exports must not mix" in with_manifest.stderr


def test_an_export_says_that_it_has_its_manifest(tmp_path: Path, run: CommandLine) -> None:
    """Its `data/` with a name means the export itself: its counts are proved."""
    export = write_sample_exports(tmp_path / "export", items=50, seed=22, faulty=0, odd=0, tables=[TABLE])[0]

    finished = run.migrate(f"{TABLE}={export.folder / 'data'}")

    assert finished.exit_code == 0, finished.output
    assert "no manifest" not in finished.output
    assert [report["total_words"] for report in _reports(run)] == ["in the manifest"]


def test_every_refusal_is_told_at_once_and_nothing_is_written(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Exit 2, a sentence for each, no ledger, no folder of a run, and no word of an item."""
    content = gzip.compress(b'{"Item":{"id":{"S":"%s"}}}\n' % MARK)
    folders = {}
    for name, files in {
        "nameless": {"a.json.gz": content},
        "damaged": {"a.json.gz": content, "cut.json.gz": content[:-1]},
        "twins": {"a.json.gz": content, "a.json": gzip.decompress(content)},
        "others": {"a.json.gz": content, "letter.txt": MARK},
        "ion": {"a.json.gz": gzip.compress(b'$ion_1_0 {Item:{id:"%s"}}' % MARK)},
        "changes": {"a.json.gz": gzip.compress(b'{"Metadata":{},"Keys":{"id":{"S":"%s"}}}' % MARK)},
        "several/one": {"a.json.gz": content},
        "several/two": {"a.json.gz": content},
        "empty": {},
    }.items():
        folders[name] = tmp_path / "given" / name
        folders[name].mkdir(parents=True)
        for file, bytes_ in files.items():
            (folders[name] / file).write_bytes(bytes_)
    started = make_export(tmp_path / "given" / "started", 3).folder
    make_export(tmp_path / "given" / "incremental", 3).seal(**OF_A_WINDOW)
    in_ion = make_export(tmp_path / "given" / "in_ion", 3).seal(outputFormat="ION")
    wrong_side_file = make_export(tmp_path / "given" / "side", 3).seal()
    (wrong_side_file / "manifest-files.md5").write_text("AAAAAAAAAAAAAAAAAAAAAA==")
    named = ["damaged", "twins", "others", "ion", "changes", "several", "empty", "started", "incremental", "in_ion", "side"]
    given = [str(folders["nameless"]), *(f"{TABLE}={tmp_path / 'given' / name}" for name in named)]

    finished = run("migrate", *(word for uri in given for word in ("--export", uri)), "--output", run.output)

    assert finished.exit_code == 2, finished.output
    for part in (
        f"{folders['nameless']}",
        f"{folders['damaged']}/cut.json.gz",
        f"{folders['twins']}/a.json.gz",
        f"{folders['others']}/letter.txt",
        f"{folders['ion']}/a.json.gz: is in Amazon Ion",
        f"{folders['changes']}/a.json.gz: is of an incremental export",
        f"{folders['several/one']}",
        f"{folders['several/two']}",
        f"{folders['empty']}",
        f"{started}: the export is not finished",
        "no load of a full export into it was begun, and windows follow one",
        f"{in_ion}: is in Amazon Ion",
        f"{wrong_side_file}/manifest-files.md5",
    ):
        assert part in finished.stderr, part
    assert finished.stderr.count("\n  - ") == len(given)
    assert MARK.decode() not in finished.output
    assert database.value("SELECT to_regnamespace('ddb2pg') IS NULL")
    assert database.value("SELECT count(*) FROM video_call_sessions") == 0
    assert not run.output.exists()
