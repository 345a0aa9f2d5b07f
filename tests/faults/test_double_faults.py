"""The same work twice, or two works that exclude each other, at once: one of them yields, and the end is one of the two."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.command_line import CommandLine
from tests.faults.jobs import Job, chunks, meanwhile, wait_until
from tests.pipeline.checks.planted import report_of
from tests.postgres_server import Database
from tests.truth import assert_equals_truth
from transforms.tables import MEETING_AUDIT

TARGET = MEETING_AUDIT.target


def test_a_validation_whose_bundles_run_twice_finds_each_thing_once(audit_export: Path, database: Database, job: Job) -> None:
    """As a runner may do."""
    assert job.migrate(database.url, audit_export, "--chunk_items=20") == 3
    database.execute(f"UPDATE {TARGET} SET event_type = 'X' WHERE id IN (SELECT id FROM {TARGET} ORDER BY id LIMIT 3)")

    exit_code = job(database.url, "validate", "--export", audit_export, "--output", job.output, "--direct_runner_bundle_repeat=1")

    assert exit_code == 3, job.stderr
    assert report_of(job.last_run)["tables"][0]["mismatches"] == {"different": 3}


def test_a_replay_beside_its_load_is_refused_or_brings_each_in_once(
    audit_export: Path, database: Database, job: Job, run: CommandLine
) -> None:
    """A load runs again, telling its dead letters anew, while a replay of the first run brings them in."""
    database.execute(f"ALTER TABLE {TARGET} ADD CONSTRAINT narrow CHECK (event_type <> 'CALL_JOINED')")
    arguments = ("--chunk_items=5", "--validate=none", "--max_dead_letters=100%")
    assert job.migrate(database.url, audit_export, *arguments) == 3
    first_run = job.last_run
    database.execute(f"ALTER TABLE {TARGET} DROP CONSTRAINT narrow")
    replayed = "SELECT count(*) FROM ddb2pg.replayed_item WHERE key_hash IS NOT NULL"

    process = run.start("dead-letters", "replay", first_run, "--output", run.output)
    exit_codes = []
    while process.poll() is None:
        exit_codes.append(job.migrate(database.url, audit_export, *arguments))
    outputs = process.communicate()

    assert process.returncode == 3, outputs
    assert exit_codes
    # A run in whose midst they come in may find fewer dead letters in its files than in the ledger: then it proves nothing, and says so.
    assert set(exit_codes) <= {1, 3}, exit_codes
    assert job.migrate(database.url, audit_export, *arguments) == 3, job.stderr
    rows = database.value(f"SELECT count(*) FROM {TARGET}")
    assert rows == database.value("SELECT sum(rows) FROM ddb2pg.chunk") + database.value(replayed)
    assert job(database.url, "validate", "--export", audit_export, "--output", job.output, "--direct_num_workers=1") == 0, job.stdout


def test_a_load_beside_its_rollback_stops_and_leaves_nothing(audit_export: Path, database: Database, job: Job, run: CommandLine) -> None:
    """The rollback waits for chunks on their way; none comes later; afterwards the same export loads as if for the first time."""
    rollback = []

    def roll_back(_: threading.Event) -> None:
        wait_until(lambda: chunks(database) > 5)
        rollback.append(run.roll_back(audit_export, "--yes", "--direct_num_workers=1"))

    with meanwhile(roll_back):
        # One item a chunk: it is still at it when the rollback comes.
        exit_code = job.migrate(database.url, audit_export, "--chunk_items=1", "--validate=none")
        assert exit_code in (1, 3), job.stderr

    assert rollback[0].exit_code == 0, rollback[0].output
    assert database.value(f"SELECT count(*) FROM {TARGET}") == 0
    database.execute("DELETE FROM ddb2pg.chunk; DELETE FROM ddb2pg.load")
    assert job.migrate(database.url, audit_export, "--chunk_items=20") == 3
    assert_equals_truth(audit_export, database, job.last_run, [MEETING_AUDIT])
