"""Loads that are broken off, repeated, or run twice at once all end at the same truth."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.postgres_server import Database
from tests.processes import group_of, workers_of
from tests.truth import assert_equals_truth, records


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faulty and unusual, in many small chunks once --chunk_items=50 cuts it."""
    root = tmp_path_factory.mktemp("resume") / "export"
    write_sample_exports(root, items=3_000, seed=7, faulty=0.05, odd=0.1, items_per_file=700)
    return root


def _wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)  # between two looks, not for a state


def _chunks(database: Database) -> int:
    """Chunks committed so far."""
    if database.value("SELECT to_regclass('ddb2pg.chunk') IS NULL"):
        return 0
    return int(database.value("SELECT count(*) FROM ddb2pg.chunk"))


def _kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the command and every process that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_second_run_writes_nothing_and_tells_all(export: Path, database: Database, run: CommandLine) -> None:
    """The same command again: same exit code, no row written, no chunk, and dead letters and notices as complete as the first time."""
    first = run.migrate(export)
    written = database.query("SELECT xmin::text, count(*) FROM video_call_sessions GROUP BY 1 ORDER BY 1")
    chunks = database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item")

    second = run.migrate(export)

    assert (first.exit_code, second.exit_code) == (3, 3), second.output
    assert "nothing to do" in second.stdout
    assert database.query("SELECT xmin::text, count(*) FROM video_call_sessions GROUP BY 1 ORDER BY 1") == written
    assert database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item") == chunks
    for folder in run.run_folders:
        assert_equals_truth(export, database, folder)


def test_a_finished_clean_load_is_not_even_read_again(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """With nothing to tell, the second run opens no data file."""
    write_sample_exports(tmp_path / "export", items=500, seed=8, faulty=0, odd=0)
    assert run.migrate(tmp_path / "export").exit_code == 0
    for path in (tmp_path / "export").glob("*/AWSDynamoDB/*/data/*"):
        path.write_bytes(b"no gzip at all")

    again = run.migrate(tmp_path / "export")

    assert again.exit_code == 0, again.output
    assert database.value("SELECT count(*) FROM video_call_sessions") == 500


@pytest.mark.parametrize(("workers", "record_format"), [(1, "jsonl"), (2, "parquet")])
def test_killed_again_and_again_it_ends_at_the_truth(
    export: Path, database: Database, run: CommandLine, workers: int, record_format: str
) -> None:
    """SIGKILL to all processes at random points of the load, each time run again: nothing lost, nothing twice."""
    options = ("--chunk_items=50", f"--direct_num_workers={workers}", f"--dead_letter_format={record_format}")
    chance = random.Random(workers)
    kills = 0
    for _ in range(5):
        process = run.start_migrate(export, *options)
        until = _chunks(database) + chance.randint(1, 40)
        _wait_until(lambda until=until, process=process: _chunks(database) >= until or process.poll() is not None)
        kills += process.poll() is None
        _kill_group(process)

    last = run.migrate(export, *options)

    assert kills >= 3
    assert last.exit_code == 3, last.output
    assert_equals_truth(export, database, run.run_folders[-1])


@pytest.mark.parametrize("workers", [1, 2])
def test_two_runs_at_once_end_at_the_truth(export: Path, database: Database, run: CommandLine, workers: int) -> None:
    """Two of the same command side by side: every chunk once, and both know all dead letters."""
    options = ("--chunk_items=50", f"--direct_num_workers={workers}")
    both = [run.start_migrate(export, *options) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in both]

    assert [process.returncode for process in both] == [3, 3], outputs
    for folder in run.run_folders:
        assert_equals_truth(export, database, folder)


def test_every_bundle_run_twice_changes_nothing(export: Path, database: Database, run: CommandLine) -> None:
    """Runners may run a bundle again, whole, after it was done: the rows are there once, and so are the records in the files."""
    finished = run.migrate(export, "--chunk_items=50", "--direct_runner_bundle_repeat=1")

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(export, database, run.run_folders[0])


def test_a_worker_that_dies_ends_the_run(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """One worker process killed: the run ends with an error within ten seconds, leaves no process behind, and can be resumed."""
    export = tmp_path / "export"
    write_sample_exports(export, items=6_000, seed=9, faulty=0.01, odd=0.02, items_per_file=1_000)
    process = run.start_migrate(export, "--chunk_items=20", "--direct_num_workers=2")
    _wait_until(lambda: _chunks(database) >= 5)
    worker = workers_of(process.pid)[0]

    os.kill(worker, signal.SIGKILL)
    died = time.monotonic()
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 1
    assert time.monotonic() - died < 10
    assert "a worker process died" in stderr
    _wait_until(lambda: not group_of(process.pid), seconds=10)
    resumed = run.migrate(export, "--chunk_items=20", "--direct_num_workers=2")
    assert resumed.exit_code == 3, resumed.output
    assert_equals_truth(export, database, run.run_folders[-1])


@pytest.mark.parametrize(("workers", "number", "exit_code"), [(1, signal.SIGINT, 130), (2, signal.SIGINT, 130), (2, signal.SIGTERM, 1)])
def test_a_run_that_is_told_to_end_does_so_and_can_be_resumed(
    export: Path, database: Database, run: CommandLine, workers: int, number: signal.Signals, exit_code: int
) -> None:
    """Within seconds, with a sentence, its own exit code, and no process left behind."""
    options = ("--chunk_items=20", f"--direct_num_workers={workers}")
    process = run.start_migrate(export, *options)
    _wait_until(lambda: _chunks(database) >= 5)

    process.send_signal(number)
    sent = time.monotonic()
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == exit_code, stderr
    assert time.monotonic() - sent < 10
    assert "run the same command again" in stderr
    assert "bug" not in stderr
    _wait_until(lambda: not group_of(process.pid), seconds=10)
    assert run.migrate(export, *options).exit_code == 3
    assert_equals_truth(export, database, run.run_folders[-1])


def test_records_of_a_refused_run_are_not_left_half(export: Path, run: CommandLine) -> None:
    """Files of dead letters are whole or not there: none has the name of a whole one unless it is."""
    run.migrate(export)

    assert list(records(run.run_folders[0] / "dead_letters" / "medzen-soap-notes"))
    assert not list(run.output.rglob("*.part"))
