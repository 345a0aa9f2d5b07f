"""The same work twice, or two works that exclude each other, at once: one of them yields, and the end is one of the two."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.command_line import CommandLine
from tests.faults.conclusion import Conclude
from tests.faults.jobs import Job, chunks, meanwhile, wait_until
from tests.postgres_server import Database
from transforms.tables.medzen import MEETING_AUDIT

TARGET = MEETING_AUDIT.target
# A chunk that is written, the first {first} apart, waits until another session waits for it.
MEET = (
    "CREATE SEQUENCE met; CREATE SEQUENCE alone; CREATE SEQUENCE written; "
    "CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF nextval('written') <= {first} THEN RETURN NULL; END IF; "
    "FOR look IN 1..200000 LOOP "
    "IF EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))) THEN "
    "PERFORM nextval('met'); RETURN NULL; END IF; "
    "PERFORM pg_sleep(0.001); END LOOP; "
    "PERFORM nextval('alone'); RETURN NULL; END $$; "
    f"CREATE TRIGGER meet BEFORE INSERT ON {TARGET} FOR EACH STATEMENT EXECUTE FUNCTION meet()"
)


def _times(database: Database, sequence: str) -> int:
    return int(database.value(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"))


def test_two_runs_that_meet_at_every_chunk(audit_export: Path, database: Database, job: Job, run: CommandLine, conclude: Conclude) -> None:
    """The same command twice at once, and none writes a chunk before the other has come to the same one."""
    database.execute(MEET.format(first=0))
    arguments = ("--chunk_items=10", "--direct_num_workers=1", "--validate=none")
    process = run.start_migrate(audit_export, *arguments)

    exit_code = job.migrate(database.url, audit_export, *arguments)

    stdout, stderr = process.communicate(timeout=300)
    assert (exit_code, process.returncode) == (3, 3), stderr + job.stderr
    assert _times(database, "alone") == 0
    assert _times(database, "met") >= database.value("SELECT count(*) FROM ddb2pg.chunk WHERE rows > 0") > 40
    for run_folder, printed in ((job.last_run, job.printed), (run.run_folders[-1], stdout + stderr)):
        conclude("chunk written by two runs at once", _times(database, "met"), audit_export, database, run_folder, printed)


def test_every_bundle_run_twice_changes_nothing(audit_export: Path, database: Database, job: Job, conclude: Conclude) -> None:
    """Runners may run a bundle again, whole, after it was done: the rows are there once, and so are the records in the files."""
    exit_code = job.migrate(database.url, audit_export, "--chunk_items=10", "--direct_runner_bundle_repeat=1")

    assert exit_code == 3, job.stderr
    conclude("chunk loaded again, its bundle being repeated", chunks(database), audit_export, database, job.last_run, job.printed)


def test_a_replay_beside_its_load_brings_each_in_once(
    audit_export: Path, database: Database, job: Job, run: CommandLine, conclude: Conclude
) -> None:
    """A load runs again, telling its dead letters anew, while a replay of the first run brings them in."""
    database.execute(f"ALTER TABLE {TARGET} ADD CONSTRAINT narrow CHECK (event_type <> 'CALL_JOINED')")
    arguments = ("--chunk_items=5", "--validate=none", "--max_dead_letters=100%")
    assert job.migrate(database.url, audit_export, *arguments) == 3
    first_run = job.last_run
    database.execute(f"ALTER TABLE {TARGET} DROP CONSTRAINT narrow")
    replayed = "SELECT count(*) FROM ddb2pg.replayed_item WHERE key_hash IS NOT NULL"

    process = run.start("dead-letters", "replay", first_run, "--output", run.output)
    exit_codes, came = [], 0
    while process.poll() is None:
        exit_codes.append(job.migrate(database.url, audit_export, *arguments))
        came = database.value(replayed)
    outputs = process.communicate()

    assert process.returncode == 3, outputs
    assert came > 0, "none came in during a load"
    # A run in whose midst they come in may find fewer dead letters in its files than in the ledger: then it proves nothing, and says so.
    assert set(exit_codes) <= {1, 3}, exit_codes
    assert job.migrate(database.url, audit_export, *arguments) == 3, job.stderr
    rows = database.value(f"SELECT count(*) FROM {TARGET}")
    assert rows == database.value("SELECT sum(rows) FROM ddb2pg.chunk") + database.value(replayed)
    assert job(database.url, "validate", "--export", audit_export, "--output", job.output, "--direct_num_workers=1") == 0, job.stdout
    conclude.note("dead letter replayed during a load", came, 450)


def test_a_load_beside_its_rollback_stops_and_leaves_nothing(
    audit_export: Path, database: Database, job: Job, run: CommandLine, conclude: Conclude
) -> None:
    """The rollback waits for the chunk on its way; none comes later; afterwards the same export loads as if for the first time."""
    database.execute(MEET.format(first=20))
    finished = []

    def roll_back(_: threading.Event) -> None:
        wait_until(lambda: chunks(database) > 5)
        finished.append(run.roll_back(audit_export, "--yes", "--direct_num_workers=1"))

    with meanwhile(roll_back):
        exit_code = job.migrate(database.url, audit_export, "--chunk_items=5", "--validate=none")

    assert exit_code == 1, job.stdout
    assert "a rollback of this load was begun" in job.stderr
    assert finished[0].exit_code == 0, finished[0].output
    assert _times(database, "met") > 0
    assert database.value(f"SELECT count(*) FROM {TARGET}") == 0
    database.execute(f"DROP TRIGGER meet ON {TARGET}")
    assert job.migrate(database.url, audit_export, "--chunk_items=20") == 3
    conclude("rollback begun during its load", 1, audit_export, database, job.last_run, job.printed + finished[0].output)
