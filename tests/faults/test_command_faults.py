"""Validations, replays and commands that wait for PostgreSQL, killed or told to end: each held against a twin that nobody touched."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.faults.conclusion import Conclude
from tests.faults.conftest import AUDIT
from tests.faults.gate import COMPARED, held_at, wait_until_held
from tests.faults.jobs import Job, wait_until
from tests.pipeline.planted import report_of
from tests.postgres_server import Database, Server
from tests.prepared_process import Running
from tests.processes import group_of, kill_group
from tests.truth import records
from transforms.tables.medzen import MEETING_AUDIT

TARGET = MEETING_AUDIT.target
ROWS = f"SELECT t::text FROM {TARGET} t ORDER BY 1"


class Twins:
    """Two databases in the same state, each with an output folder of its own: what happens to the first is held against the second."""

    def __init__(self, server: Server, folder: Path, job: Job) -> None:
        self.databases = [server.new_database() for _ in range(2)]
        self.runs = [CommandLine(database.url, folder / str(number)) for number, database in enumerate(self.databases)]
        self._job = job

    def __call__(self, *arguments: str | Path) -> list[int]:
        """The same command for both."""
        return [self.command(number, *arguments) for number in range(2)]

    def command(self, number: int, *arguments: str | Path) -> int:
        return self._job(self.databases[number].url, *arguments, "--output", self.runs[number].output)

    def execute(self, statement: str) -> None:
        for database in self.databases:
            database.execute(statement)


@pytest.fixture
def twins(server: Server, tmp_path: Path, job: Job) -> Twins:
    return Twins(server, tmp_path, job)


def test_a_validation_that_is_killed_is_done_again(twins: Twins, audit_export: Path, conclude: Conclude) -> None:
    """In the middle, twice: then it finds what its twin finds, and has changed nothing."""
    assert twins("migrate", "--export", audit_export, "--chunk_items=4", "--direct_num_workers=1") == [3, 3]
    twins.execute(f"UPDATE {TARGET} SET event_type = 'X' WHERE id IN (SELECT id FROM {TARGET} ORDER BY id LIMIT 3)")
    twins.execute(f"DELETE FROM {TARGET} WHERE id IN (SELECT id FROM {TARGET} ORDER BY id DESC LIMIT 2)")
    database = twins.databases[0]
    for _ in range(2):
        with held_at(database, database.value(f"SELECT count(*) FROM {COMPARED}") + 5, COMPARED, COMPARED):
            process = twins.runs[0].start("validate", "--export", audit_export, "--output", twins.runs[0].output, "--direct_num_workers=1")
            wait_until_held(database, process)
            kill_group(process)

    assert twins("validate", "--export", audit_export, "--direct_num_workers=1") == [3, 3]

    found = [report_of(run.run_folders[-1])["tables"][0] for run in twins.runs]
    assert found[0]["mismatches"] == found[1]["mismatches"] == {"different": 3, "missing": 2}
    assert found[0]["parts"] == found[1]["parts"]
    told = [
        sorted((one["kind"], one["data_file"], one["item_number"]) for one in records(run.run_folders[-1] / "mismatches" / AUDIT))
        for run in twins.runs
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 5
    assert twins.databases[0].query(ROWS) == twins.databases[1].query(ROWS)
    conclude.note("SIGKILL of a validation", 2, 450)


@pytest.fixture
def to_replay(twins: Twins, audit_export: Path) -> Twins:
    """Loaded while a check kept some of the rows out; the check is gone now."""
    twins.execute(f"ALTER TABLE {TARGET} ADD CONSTRAINT narrow CHECK (event_type <> 'CALL_JOINED')")
    arguments = ("--direct_num_workers=1", "--validate=none", "--max_dead_letters=100%")
    assert twins("migrate", "--export", audit_export, *arguments) == [3, 3]
    twins.execute(f"ALTER TABLE {TARGET} DROP CONSTRAINT narrow")
    return twins


def _start_replay(twins: Twins) -> Running:
    return twins.runs[0].start("dead-letters", "replay", twins.runs[0].run_folders[0], "--output", twins.runs[0].output)


def _is_held_up(database: Database) -> bool:
    return bool(database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ddb2pg' AND wait_event_type = 'Lock'"))


def _locked(database: Database) -> Any:
    """A session that keeps all others out of the target."""
    other = database.connect()
    other.autocommit = False
    other.cursor().execute(f"LOCK TABLE {TARGET} IN SHARE ROW EXCLUSIVE MODE")
    return other


def test_a_replay_that_is_killed_brings_each_in_once(to_replay: Twins, conclude: Conclude) -> None:
    """In the middle of its transaction, and after it: then the target is that of its twin."""
    database = to_replay.databases[0]
    before = database.query(ROWS)
    replayed = "SELECT count(*) FROM ddb2pg.replayed_item WHERE key_hash IS NOT NULL"
    other = _locked(database)
    process = _start_replay(to_replay)
    wait_until(lambda process=process: _is_held_up(database) or process.poll() is not None, every=0.05)
    assert process.poll() is None
    kill_group(process)
    other.close()
    wait_until(lambda: not database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ddb2pg'"))
    # The server may have been given all of it before the kill: then the whole of it counts, and the next replay brings in nothing.
    assert (database.value(replayed) == 0) == (database.query(ROWS) == before)
    process = _start_replay(to_replay)
    wait_until(lambda: database.value(replayed) > 0 or process.poll() is not None, every=0.05)
    kill_group(process)

    exit_codes = [to_replay.command(number, "dead-letters", "replay", run.run_folders[0]) for number, run in enumerate(to_replay.runs)]

    assert exit_codes == [3, 3]
    assert database.query(ROWS) == to_replay.databases[1].query(ROWS) != before
    assert database.value(replayed) == to_replay.databases[1].value(replayed) > 5
    conclude.note("SIGKILL of a replay", 2, database.value(replayed))


def test_who_waits_for_postgresql_can_be_told_to_end(to_replay: Twins, conclude: Conclude) -> None:
    """A statement that waits for a lock cannot be interrupted: the process ends within seconds all the same, and says what to do."""
    database = to_replay.databases[0]
    before = database.query(ROWS)
    told = {signal.SIGINT: 130, signal.SIGTERM: 1}
    for number, exit_code in told.items():
        other = _locked(database)
        process = _start_replay(to_replay)
        wait_until(lambda process=process: _is_held_up(database) or process.poll() is not None, every=0.05)

        process.send_signal(number)
        sent = time.monotonic()
        _, stderr = process.communicate()
        seconds = time.monotonic() - sent

        other.close()
        assert process.returncode == exit_code, stderr
        assert seconds < 60
        assert "run the same command again" in stderr
        assert not group_of(process.pid)
        wait_until(lambda: not database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ddb2pg'"))
        assert database.query(ROWS) == before
    conclude.note("SIGINT or SIGTERM during a statement that waits", len(told), len(before))
