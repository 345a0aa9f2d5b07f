"""Loads whose processes are killed, starved of memory, or told to end, at whatever they are: run again, they end at the truth."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.target import session as session_module
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.faults.conclusion import Conclude
from tests.faults.conftest import AUDIT
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.faults.jobs import Job, chunks, wait_until
from tests.handmade_export import write_export
from tests.postgres_proxy import PostgresProxy
from tests.postgres_server import Database
from tests.prepared_process import Running
from tests.processes import group_of, kill_group, workers_of
from transforms.tables.medzen import MEETING_AUDIT, TABLES

# Each chunk takes a while without taking time of a processor, so that there is something to cut short.
SLOW = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END'; " + "; ".join(
    f"CREATE TRIGGER slow BEFORE INSERT ON {table.target} FOR EACH STATEMENT EXECUTE FUNCTION slow()" for table in TABLES
)
QUICK = "DROP FUNCTION slow CASCADE"

ONE_WORKER, TWO_WORKERS = "--direct_num_workers=1", "--direct_num_workers=2"


def _is_loaded(database: Database) -> bool:
    """All three tables."""
    return bool(database.value("SELECT count(finished_at) = 3 FROM ddb2pg.load"))


def _start(run: CommandLine, export: Path, database: Database, workers: str, more: int) -> Running:
    """A load that has committed so many chunks more, and is not through."""
    until = chunks(database) + more
    process = run.start_migrate(export, "--chunk_items=5", "--dead_letter_format=parquet", "--validate=none", workers)
    wait_until(lambda: chunks(database) >= until or process.poll() is not None, every=0.05)
    assert process.poll() is None, process.communicate()
    return process


def _kill_a_worker(process: Running) -> str:
    """The run ends with an error."""
    # Each table has workers of its own.
    workers: list[int] = []
    wait_until(lambda: workers.extend(workers_of(process.pid)) or workers or process.poll() is not None, every=0.05)
    os.kill(workers[0], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 1, stderr
    assert "a worker process died" in stderr
    return stdout + stderr


def _kill_who_submitted(process: Running) -> str:
    """Nobody is left to ask the workers for anything: they end by themselves."""
    wait_until(lambda: workers_of(process.pid) or process.poll() is not None, every=0.05)
    process.kill()
    return "".join(process.communicate())


KILLS = {"SIGKILL of all processes": kill_group, "SIGKILL of one worker": _kill_a_worker, "SIGKILL of who submitted": _kill_who_submitted}


@pytest.mark.parametrize(
    ("kills", "items"), [(3, 400), pytest.param(100, 4_500, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["3", "100"]
)
def test_kills_of_one_load(tmp_path: Path, database: Database, run: CommandLine, conclude: Conclude, kills: int, items: int) -> None:
    """At random points of one load of three tables, resumed each time: no process is left, and the end is the truth."""
    export = tmp_path / "export"
    write_sample_exports(export, items=items, seed=92, faulty=0.05, odd=0.05, items_per_file=items // 4)
    database.execute(SLOW)
    chance = random.Random(kills)
    tried: Counter[str] = Counter()
    printed = ""
    while tried.total() < kills:
        kind = list(KILLS)[tried.total() % 3]
        # With one worker there is one process.
        workers = ONE_WORKER if kind == "SIGKILL of all processes" and tried.total() % 2 == 0 else TWO_WORKERS
        process = _start(run, export, database, workers, chance.randint(1, 6))
        printed += KILLS[kind](process)
        wait_until(lambda process=process: not group_of(process.pid), every=0.2)
        assert not _is_loaded(database), "the load was through: nothing was cut short"
        tried[kind] += 1

    database.execute(QUICK)
    last = run.migrate(export, "--dead_letter_format=parquet", ONE_WORKER)

    assert last.exit_code == 3, last.output
    for kind, times in tried.items():
        conclude(kind, times, export, database, run.run_folders[-1], printed + last.output, TABLES)


def test_runs_that_are_told_to_end_do_so(tmp_path: Path, database: Database, run: CommandLine, conclude: Conclude) -> None:
    """With a sentence, its own exit code, and no process left behind; the next one goes on."""
    export = tmp_path / "export"
    write_sample_exports(export, items=200, seed=93, faulty=0.05, odd=0.05, items_per_file=70)
    database.execute(SLOW)
    printed = ""
    told = [(signal.SIGTERM, 1, ONE_WORKER), (signal.SIGINT, 130, TWO_WORKERS)]
    for number, exit_code, workers in told:
        process = _start(run, export, database, workers, 5)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=300)

        assert process.returncode == exit_code, stderr
        assert "run the same command again" in stderr
        assert "bug" not in stderr
        wait_until(lambda process=process: not group_of(process.pid), every=0.2)
        assert not _is_loaded(database), "the load was through: nothing was cut short"
        printed += stdout + stderr

    database.execute(QUICK)
    last = run.migrate(export, ONE_WORKER)

    assert last.exit_code == 3, last.output
    conclude("SIGINT or SIGTERM during a load", len(told), export, database, run.run_folders[-1], printed + last.output, TABLES)


@pytest.fixture
def growing_export(tmp_path: Path) -> Path:
    """Each item larger than the one before, up to 2 MB, and the truth beside them."""
    (tmp_path / "export" / "truth").mkdir(parents=True)
    lines, truth = [], []
    for number in range(40):
        identity, session, text = f"00000000-0000-4000-8000-{number:012d}", f"11111111-0000-4000-8000-{number:012d}", "x" * 50_000 * number
        item = {"id": {"S": identity}, "sessionId": {"S": session}, "eventType": {"S": "CALL_JOINED"}, "timestamp": {"N": "1700000000000"}}
        lines.append(json.dumps({"Item": {**item, "eventData": {"S": text}}}).encode())
        times = "2023-11-14T22:13:20.000000Z"
        row = {
            "id": identity,
            "session_id": session,
            "event_type": "CALL_JOINED",
            "event_data": {"jsonb": json.dumps(text)},
            "created_at": times,
        }
        truth.append({"data_file": f"{number % 2:026d}.json.gz", "item_number": number // 2, "outcome": "row", "row": row, "notices": []})
    write_export(tmp_path / "export", AUDIT, [lines[::2], lines[1::2]])
    (tmp_path / "export" / "truth" / f"{AUDIT}.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in truth))
    return tmp_path / "export"


def test_a_worker_without_memory_ends_the_run(growing_export: Path, database: Database, run: CommandLine, conclude: Conclude) -> None:
    """It may take no byte more than it has already: an error and no hang, no process left, and the same command goes on."""
    with held_at(database, 4, COMMITTED, MEETING_AUDIT.target):
        process = run.start_migrate(growing_export, "--chunk_items=1", TWO_WORKERS)
        wait_until_held(database, process)
        for worker in workers_of(process.pid):
            subprocess.run(["prlimit", "--pid", str(worker), "--data=1000000:1000000"], check=True)

    stdout, stderr = process.communicate(timeout=300)

    assert process.returncode == 1, stderr
    assert "a worker process got no more memory" in stderr or "a worker process died" in stderr, stderr
    wait_until(lambda: not group_of(process.pid), every=0.2)
    assert chunks(database) < 40
    resumed = run.migrate(growing_export, ONE_WORKER)
    assert resumed.exit_code == 0, resumed.output
    conclude("worker that gets no more memory", 1, growing_export, database, run.run_folders[-1], stdout + stderr + resumed.output)


def test_a_worker_that_is_stopped_inside_a_copy_is_taken_over(
    audit_export: Path, database: Database, job: Job, run: CommandLine, conclude: Conclude, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP for longer than the limits, which are seconds here: a second run ends at the truth; so does the first, when it goes on."""
    stopped: list[float] = []

    def stops(message: bytes) -> bool:
        if b"COPY " in message and not stopped and chunks(database) >= 3:
            os.killpg(process.pid, signal.SIGSTOP)
            stopped.append(time.monotonic())
        return False

    monkeypatch.setattr(session_module, "_SETTINGS", session_module._SETTINGS.replace("lock_timeout = '1min'", "lock_timeout = '1s'"))
    monkeypatch.setattr(session_module, "_LONGEST_COPY", "3s")
    with PostgresProxy(database.url) as proxy:
        process = run.start_migrate(audit_export, "--chunk_items=20", ONE_WORKER, "--validate=none", DATABASE_URL=proxy.url)
        try:
            proxy.swallows = stops
            wait_until(lambda: stopped)
            wait_until(lambda: database.value(IN_A_COPY) == 1)

            exit_code = job.migrate(database.url, audit_export, "--validate=none")

            assert exit_code == 3, job.stderr
            assert group_of(process.pid)
            assert database.value(IN_A_COPY) == 0
            conclude("worker stopped inside a COPY, its load taken over", 1, audit_export, database, job.last_run, job.printed)
        finally:
            os.killpg(process.pid, signal.SIGCONT)
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 3, stderr
    conclude("worker stopped inside a COPY, going on later", 1, audit_export, database, run.run_folders[0], stdout + stderr)


IN_A_COPY = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientRead' AND query LIKE 'COPY%'"
