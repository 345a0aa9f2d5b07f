"""Migrations on a Flink cluster with two TaskManagers, undisturbed and disturbed: the same end as on one machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main
from tests.command_line import CommandLine
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.faults.jobs import chunks
from tests.flink.cluster import Cluster, wait_until
from tests.flink.conftest import AUDIT, BUCKET, CHUNKS, DATABASE_OF_WORKERS, LARGE
from tests.handmade_export import write_export
from tests.pipeline.made_readings import TARGETS, assert_one_reading, definitions, lines
from tests.pipeline.order_lines import TARGETS as ORDER_TARGETS
from tests.pipeline.order_lines import lines_in, planted_lines, write_definition
from tests.pipeline.test_orders import app, assert_truth
from tests.postgres_server import Database
from tests.truth import assert_equals_truth, records
from transforms.tables.medzen import MEETING_AUDIT

# The parts of the cluster may have to be fetched and built first.
pytestmark = pytest.mark.timeout(3600)

IN_S3 = f"s3://{BUCKET}/large/{AUDIT}"


def _finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and output."""
    stdout, stderr = process.communicate(timeout=1200)
    return process.returncode, stdout + stderr


def _last_run(output: Path) -> Path:
    return max(output.iterdir())


def _items_of_workers(database: Database) -> list[int]:
    return [items for (items,) in database.query("SELECT sum(items) FROM ddb2pg.chunk GROUP BY worker ORDER BY 1")]


def test_an_export_in_s3_is_loaded_by_both_task_managers(
    flink: Cluster,
    large_export: Path,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """24,000 faulty items: equal to the truth, half of them by each TaskManager, and to be watched from elsewhere meanwhile."""
    with held_at(database, 6, COMMITTED, MEETING_AUDIT.target):
        process = flink.submit(database.url, "--export", IN_S3, "--output", tmp_path / "out", CHUNKS)
        wait_until_held(database, process)
        monkeypatch.setenv("DATABASE_URL", database.url)
        assert main(["status", "--json"]) == 0
    [load] = json.loads(capsys.readouterr().out)["tables"]
    exit_code, output = _finished(process)

    assert exit_code == 3, output
    assert 0 < load["totals"]["items"] < LARGE
    assert f"{AUDIT}: " in output, "no progress was shown"
    assert_equals_truth(large_export, database, _last_run(tmp_path / "out"), [MEETING_AUDIT])
    items = _items_of_workers(database)
    print("items per worker:", items)
    assert len(items) == 2
    assert min(items) > 0.8 * max(items)


def test_tables_of_one_export_are_loaded_in_one_reading(flink: Cluster, database: Database, tmp_path: Path) -> None:
    """Rows of each, and the records of each in its own folders."""
    database.execute(TARGETS)
    database.execute("ALTER TABLE customer ADD CHECK (id::text !~ '[13]$'); ALTER TABLE everything ADD CHECK (id::text !~ '[13]$')")
    export = write_export(tmp_path / "export", "App", lines())
    tables = definitions(tmp_path, "CUSTOMER, ORDER, EVERYTHING")

    exit_code, output = _finished(flink.submit(database.url, "--export", export, "--output", tmp_path / "out", tables, "--chunk_items=10"))

    assert exit_code == 3, output
    assert_one_reading(database, chunks=8, loads=3)
    folders = [(_last_run(tmp_path / "out") / "dead_letters" / f"App--{table}") for table in ("customer", "everything")]
    assert [{record["target_table"] for record in records(folder)} for folder in folders] == [{"public.customer"}, {"public.everything"}]
    assert [len(list(records(folder))) for folder in folders] == [10, 10]


def test_orders_end_where_they_were_planted(flink: Cluster, database: Database, tmp_path: Path) -> None:
    """A single-table design with faults, three targets and a child table: a definition of the user's own travels with the job."""
    made = app(6_000, seed=7, files=8)
    export = write_export(tmp_path / "export", "App", made.files)
    tables = write_definition(tmp_path)
    database.execute(ORDER_TARGETS)

    exit_code, output = _finished(flink.submit(database.url, "--export", export, "--output", tmp_path / "out", "--chunk_items=150", tables))

    assert exit_code == 3, output
    assert_truth(made, database, _last_run(tmp_path / "out"))
    assert lines_in(database) == planted_lines(made)
    validated = CommandLine(database.url, tmp_path).validate(export, tables)
    assert validated.exit_code == 0, validated.output


def test_a_killed_task_manager_changes_nothing(flink: Cluster, large_export: Path, database: Database, tmp_path: Path) -> None:
    """Half-way one of the two is killed: the other does the rest, and up.sh brings the lost one back."""
    with held_at(database, 20, COMMITTED, MEETING_AUDIT.target):
        process = flink.submit(database.url, "--export", IN_S3, "--output", tmp_path / "out", CHUNKS)
        wait_until_held(database, process)
        flink.kill_task_manager(2)
    exit_code, output = _finished(process)

    assert exit_code == 3, output
    job = flink.newest_job
    assert job["state"] == "FINISHED"
    assert flink.failures(job["jid"]) >= 1
    assert_equals_truth(large_export, database, _last_run(tmp_path / "out"), [MEETING_AUDIT])
    flink.up()
    assert flink.ask("overview")["taskmanagers"] == 2


def test_a_killed_python_worker_changes_nothing(flink: Cluster, small_export: Path, database: Database, tmp_path: Path) -> None:
    """Flink begins the job again, and what is committed is not done twice; every row is then compared on Flink, too."""
    with held_at(database, 40, COMMITTED, MEETING_AUDIT.target):
        process = flink.submit(database.url, "--export", small_export, "--output", tmp_path / "out", "--chunk_items=50", "--validate=full")
        wait_until_held(database, process)
        os.kill(int(database.value("SELECT worker FROM ddb2pg.chunk LIMIT 1").rpartition(":")[2]), signal.SIGKILL)
    exit_code, output = _finished(process)

    assert exit_code == 3, output
    assert "items were compared with the target: equal" in output
    assert_equals_truth(small_export, database, _last_run(tmp_path / "out"), [MEETING_AUDIT])


def test_ctrl_c_leaves_the_job_going(flink: Cluster, small_export: Path, database: Database, tmp_path: Path) -> None:
    """It says where the job is and how to end it; the same command later proves the whole."""
    arguments = ["--export", small_export, "--output", tmp_path / "out", "--chunk_items=50"]
    with held_at(database, 10, COMMITTED, MEETING_AUDIT.target):
        process = flink.submit(database.url, *arguments)
        wait_until_held(database, process)
        os.killpg(process.pid, signal.SIGINT)
        exit_code, output = _finished(process)

    assert exit_code == 130, output
    job_id = flink.newest_job["jid"]
    assert f"http://{flink.address}/#/job/running/{job_id}/overview" in output
    assert f"jobs/{job_id}?mode=cancel" in output
    wait_until(lambda: flink.newest_job["state"] not in ("RUNNING", "RESTARTING"))
    assert flink.newest_job["state"] == "FINISHED"
    assert chunks(database) == 80
    exit_code, output = _finished(flink.submit(database.url, *arguments))
    assert exit_code == 3, output
    assert_equals_truth(small_export, database, _last_run(tmp_path / "out"), [MEETING_AUDIT])


@pytest.mark.soak  # a minute and more, for the cluster tries three times; below the command line it is in test_worker_session.py
def test_a_worker_with_another_database_writes_nothing(flink: Cluster, small_export: Path, database: Database, tmp_path: Path) -> None:
    """The reference means one database here and another one there: the worker notices, and its sentence arrives."""
    options = ["--export", small_export, "--output", tmp_path / "out", "--runner=FlinkRunner", f"--flink_master={flink.address}"]

    finished = subprocess.run(
        [sys.executable, "-m", "pipeline", "migrate", *options, f"--database_secret=env:{DATABASE_OF_WORKERS}"],
        env={**os.environ, DATABASE_OF_WORKERS: database.url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "a worker's database is not the one in which the load of medzen-meeting-audit was begun" in finished.stderr
    assert chunks(database) == 0
