"""Whole migrations of data files in four splits each: the same truth, whoever reads which of them, and however often it was broken off."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.faults.jobs import chunks
from tests.pipeline.source.made_exports import EXPORT_ID, MadeExport
from tests.postgres_server import Database
from tests.processes import kill_group
from tests.truth import assert_equals_truth, records, records_in
from transforms.tables.medzen import SOAP_NOTES, VIDEO_SESSIONS

TABLES = [VIDEO_SESSIONS, SOAP_NOTES]
AUDIT = "medzen-meeting-audit"
ITEMS, PER_FILE, PER_CHUNK = 1_100, 400, 30
SIZES = (f"--split_items={PER_FILE // 4}", "--most_splits=4", f"--chunk_items={PER_CHUNK}")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables in three data files each and some empty ones, faulty and unusual in every split."""
    root = tmp_path_factory.mktemp("splits") / "export"
    tables = [table.source for table in TABLES]
    write_sample_exports(root, items=ITEMS, seed=11, faulty=0.15, odd=0.15, items_per_file=PER_FILE, tables=tables)
    return root


def _expected_chunks(export: Path, source: str, per_chunk: int) -> list[tuple[str, int, int]]:
    """By the rule in the docs: four splits a file, chunks of so many items from the beginning of each; lines are short here."""
    expected = []
    for path in export.glob(f"{source}/AWSDynamoDB/*/data/*"):
        items = gzip.decompress(path.read_bytes()).rstrip().count(b"\n") + 1 if len(path.read_bytes()) > 20 else 0
        splits = min(4, items // (PER_FILE // 4)) or 1
        borders = [items * number // splits for number in range(splits + 1)]
        for first, end in pairwise(borders):
            expected += [(path.name, begin, min(per_chunk, end - begin)) for begin in range(first, end, per_chunk)]
    return sorted(expected)


def _ledger_chunks(database: Database, source: str) -> list[tuple[str, int, int]]:
    found = database.query(
        "SELECT data_file, first_item, items FROM ddb2pg.chunk JOIN ddb2pg.load USING (load_id) WHERE source_table = %s", source
    )
    return sorted((name, first, items) for name, first, items in found)


@pytest.mark.parametrize("options", [("--direct_num_workers=1",), ("--direct_num_workers=2",), ("--direct_runner_bundle_repeat=1",)])
def test_four_splits_a_file_end_at_the_truth(export: Path, database: Database, run: CommandLine, options: tuple[str, ...]) -> None:
    """With one worker and two, and where each bundle runs twice; in the chunks that the docs say, each split with files of its own."""
    finished = run.migrate(export, *SIZES, *options)

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(export, database, run.run_folders[0], TABLES)
    for table in TABLES:
        assert _ledger_chunks(database, table.source) == _expected_chunks(export, table.source, PER_CHUNK)
        _assert_a_file_a_split(run.run_folders[0] / "dead_letters" / table.source, ITEMS)
    assert not list(run.output.rglob("*.part"))


def _assert_a_file_a_split(folder: Path, items: int) -> None:
    """Whatever the files are called: no two splits in one, no split in two."""
    splits_of = {
        path.name: {(record["data_file"], record["item_number"] // (PER_FILE // 4)) for record in records_in(path)}
        for path in folder.glob("*.jsonl.gz")
    }
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert max(Counter(split for splits in splits_of.values() for split in splits).values()) == 1
    assert len(splits_of) == items // (PER_FILE // 4)


def test_killed_and_resumed_with_other_sizes_it_keeps_its_own(export: Path, database: Database, run: CommandLine) -> None:
    """SIGKILL to all processes, then the same command with other sizes and workers, killed again: nothing lost or twice, no other chunk."""
    tries = [
        (*SIZES, "--direct_num_workers=2"),
        ("--split_items=150", "--most_splits=2", "--chunk_items=7", "--direct_num_workers=1"),
        ("--split_items=1000000", "--chunk_bytes=2000", "--direct_num_workers=2"),
    ]
    chance = random.Random(1)
    for options in tries[:-1]:
        with held_at(database, chunks(database) + chance.randint(3, 12), COMMITTED, *(table.target for table in TABLES)):
            process = run.start_migrate(export, *options)
            wait_until_held(database, process)
            kill_group(process)

    last = run.migrate(export, *tries[-1])

    assert last.exit_code == 3, last.output
    assert_equals_truth(export, database, run.run_folders[-1], TABLES)
    assert _ledger_chunks(database, TABLES[0].source) == _expected_chunks(export, TABLES[0].source, PER_CHUNK)


def test_a_damaged_file_keeps_all_its_splits_out_and_no_other(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Its last byte only, which the readers of its first splits would never come to; mended, the same command goes on to the truth."""
    root = tmp_path / "export"
    write_sample_exports(root, items=1_200, seed=12, faulty=0.1, odd=0.1, items_per_file=PER_FILE, tables=[VIDEO_SESSIONS.source])
    path = max(root.glob("*/AWSDynamoDB/*/data/*"), key=lambda path: path.stat().st_size)
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))

    damaged = run.migrate(root, *SIZES, "--direct_num_workers=2")

    assert damaged.exit_code == 1, damaged.output
    assert "NOT PROVED" in damaged.stdout
    assert str(path) in damaged.stdout
    assert database.query("SELECT data_file = %s, sum(items) FROM ddb2pg.chunk GROUP BY 1", path.name) == [(False, 800)]
    rows = database.value("SELECT sum(rows) FROM ddb2pg.chunk")
    assert database.value("SELECT count(*) FROM video_call_sessions") == rows
    dead_letters = records(run.run_folders[0] / "dead_letters" / VIDEO_SESSIONS.source)
    assert path.name not in {record["data_file"] for record in dead_letters}
    path.write_bytes(sound)
    mended = run.migrate(root, *SIZES, "--direct_num_workers=1")
    assert mended.exit_code == 3, mended.output
    assert_equals_truth(root, database, run.run_folders[-1], [VIDEO_SESSIONS])


def _audit_line(number: int, word: str) -> bytes:
    item = {
        "id": {"S": f"00000000-0000-4000-8000-{number:012d}"},
        "sessionId": {"S": "00000000-0000-4000-8000-00000000abcd"},
        "eventType": {"S": word},
        "timestamp": {"N": "1700000000000"},
    }
    return json.dumps({"Item": item}).encode()


def _audit_export(folder: Path, contents: list[tuple[bytes, int]]) -> Path:
    made = MadeExport(folder / "AWSDynamoDB" / EXPORT_ID)
    made.folder.mkdir(parents=True)
    for number, (content, items) in enumerate(contents):
        made.add_file(f"file{number}.json.gz", content, items)
    arn = f"arn:aws:dynamodb:eu-central-1:123456789012:table/{AUDIT}"
    return made.seal(tableArn=arn, exportArn=f"{arn}/export/{EXPORT_ID}")


def test_a_file_that_is_overwritten_between_check_and_reading_is_not_proved(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Sound gzip, of the same size, under the same time: only the sum of a split tells. The chunk with the change is not committed."""
    old = b"".join(_audit_line(number, "OLD") + b"\n" for number in range(400))
    new = old.replace(_audit_line(395, "OLD"), _audit_line(395, "NEW"))
    other = b"".join(_audit_line(number, "OLD") + b"\n" for number in range(400, 450))
    folder = _audit_export(tmp_path / "export", [(gzip.compress(old, 0, mtime=0), 400), (gzip.compress(other), 50)])
    path = folder / "data" / "file0.json.gz"
    (tmp_path / "new").write_bytes(gzip.compress(new, 0, mtime=0))
    thief = tmp_path / "thief_tables.py"
    thief.write_text(
        "import os, pathlib\n"
        "from pipeline.job import graph\n"
        "from transforms.tables.medzen import TABLES\n"
        "check = graph.check_data_file\n"
        f"path, new = pathlib.Path({str(path)!r}), pathlib.Path({str(tmp_path / 'new')!r})\n"
        "def check_and_overwrite(data_file, plan):\n"
        "    found = check(data_file, plan)\n"
        "    if data_file.uri == str(path):\n"
        "        times = path.stat()\n"
        "        path.write_bytes(new.read_bytes())\n"
        "        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))\n"
        "    return found\n"
        "graph.check_data_file = check_and_overwrite\n"
    )

    finished = run.migrate(folder, *SIZES, "--tables", thief, "--direct_num_workers=1")

    assert finished.exit_code == 1, finished.output
    assert path.read_bytes() == (tmp_path / "new").read_bytes()
    assert f"{path}: was changed after it was checked" in finished.stdout
    assert "NOT PROVED" in finished.stdout
    assert database.query("SELECT DISTINCT event_type FROM video_call_audit_log") == [("OLD",)]
    committed = [first for (first,) in database.query("SELECT first_item FROM ddb2pg.chunk WHERE data_file = %s ORDER BY 1", path.name)]
    assert [first for first in committed if first < 300] == [begin + first for begin in (0, 100, 200) for first in (0, 30, 60, 90)]
    assert 390 not in committed
    assert database.value("SELECT sum(items) FROM ddb2pg.chunk WHERE data_file <> %s", path.name) == 50
    assert database.value("SELECT finished_at IS NULL FROM ddb2pg.load")


def test_a_count_that_no_file_can_have_is_told_as_any_other_that_does_not_hold(
    tmp_path: Path, database: Database, run: CommandLine
) -> None:
    """The file or its manifest is named, none of it loaded, and no bug of ours is found."""
    lines = b"".join(_audit_line(number, "OLD") + b"\n" for number in range(10))
    folder = _audit_export(tmp_path / "export", [(gzip.compress(lines), 2**63)])

    finished = run.migrate(folder, "--direct_num_workers=1")

    assert finished.exit_code in (1, 2), finished.output
    assert "bug" not in finished.output
    assert str(folder) in finished.output
    assert database.value("SELECT count(*) FROM video_call_audit_log") == 0


def test_few_but_large_items_get_worker_processes_too(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """By what AWS says of their bytes, so many that two workers are worth their start; by their number they would get one."""
    write_sample_exports(tmp_path / "export", items=2_000, seed=17, items_per_file=500, tables=[AUDIT])
    [summary] = (tmp_path / "export").rglob("manifest-summary.json")
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "billedSizeBytes": 2_000 * 100_000}))
    summary.with_suffix(".md5").unlink()

    finished = run.migrate(tmp_path / "export", "--chunk_items=50")

    assert finished.exit_code in (0, 3), finished.output
    assert database.value("SELECT count(DISTINCT worker) FROM ddb2pg.chunk") == min(4, len(os.sched_getaffinity(0)))
